//! Restrictions of the whole process, and the capabilities of a thread.

use super::without::Without;
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};
use std::io;

fn told(what: &'static str) -> impl Fn(rustix::io::Errno) -> Without {
    move |errno| Without::of(what, &io::Error::from(errno))
}

/// Lets no program gain rights by being started (set-user-id, file capabilities). Holds for this thread and for the
/// threads and programs that it starts.
pub fn no_new_privileges() -> Result<(), Without> {
    set_no_new_privs(true).map_err(told("prctl PR_SET_NO_NEW_PRIVS"))
}

/// Closes the process's memory, environment and descriptors to other processes of the same user, and prevents its core
/// dumps. Its files below /proc belong to root from now on; the process itself still may read them.
pub fn not_dumpable() -> Result<(), Without> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(told("prctl PR_SET_DUMPABLE"))
}

/// Prevents core dumps of the process and of the programs that it starts.
pub fn no_core() -> Result<(), Without> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let set = setrlimit(Resource::Core, none).map_err(told("setrlimit RLIMIT_CORE"));
    set.and_then(|()| match getrlimit(Resource::Core).current {
        Some(0) => Ok(()),
        other => Err(Without::Refused(format!("the limit on core dumps is {other:?} after it was set to 0"))),
    })
}

/// The capabilities that let root use files of other users. Everything else that root can do is beyond them.
pub const OVER_FILES: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID);

/// Takes every capability but `kept` from this thread and from what it starts. Root gets nothing back by starting a
/// program only if [`no_new_privileges`] was called before.
pub fn give_up_capabilities(kept: CapabilitySet) -> Result<(), Without> {
    let now = capabilities(None).map_err(told("capget"))?;
    clear_ambient_capability_set().map_err(told("prctl PR_CAP_AMBIENT"))?;
    if now.effective.contains(CapabilitySet::SETPCAP) {
        remove_from_bounding_set(CapabilitySet::all() - kept).map_err(told("prctl PR_CAPBSET_DROP"))?;
    }
    let less = CapabilitySets {
        effective: now.effective & kept,
        permitted: now.permitted & kept,
        inheritable: CapabilitySet::empty(),
    };
    if less == now {
        // There is nothing to give up, and no need of a call that a service manager may refuse to whoever has none.
        return Ok(());
    }
    set_capabilities(None, less).map_err(told("capset"))
}

/// Takes capabilities from the bounding set, which a program's file could give back otherwise.
pub(crate) fn remove_from_bounding_set(taken: CapabilitySet) -> Result<(), rustix::io::Errno> {
    for capability in taken.iter() {
        match remove_capability_from_bounding_set(capability) {
            // Unknown to an older kernel: nobody has it there.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// Lines of the status of a program that a thread of its own started after `enter`.
    fn of_a_child(enter: impl FnOnce() + Send + 'static) -> String {
        let thread = std::thread::spawn(move || {
            enter();
            Command::new("cat").arg("/proc/self/status").output().unwrap().stdout
        });
        String::from_utf8(thread.join().unwrap()).unwrap()
    }

    #[test]
    fn capabilities_are_taken_from_what_a_thread_starts_and_from_no_other_thread() {
        let before = capabilities(None).unwrap();
        let status = of_a_child(|| {
            no_new_privileges().unwrap();
            give_up_capabilities(OVER_FILES).unwrap();
        });
        let set = |line: &str| {
            let value = status.lines().find_map(|of| of.strip_prefix(line)).unwrap();
            CapabilitySet::from_bits_retain(u64::from_str_radix(value.trim(), 16).unwrap())
        };
        for line in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
            assert!(OVER_FILES.contains(set(line)), "{line} {status}");
        }
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        assert_eq!(capabilities(None).unwrap(), before);
        assert!(!rustix::thread::no_new_privs().unwrap());
    }
}
