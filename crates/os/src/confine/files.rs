//! The Landlock domain of a thread: which files it, and what it starts, can use, where it may connect, and whom it may
//! signal. What the running kernel does not know is left out and reported.

use super::without::Without;
use crate::is_passing;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, NetPort,
    PathBeneath, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus,
    Scope,
};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};
use rustix::io::Errno;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Everything that a domain permits. A path stands for what is there when the domain is entered, with everything below it,
/// whatever happens to the path later; one that leads through a symbolic link, or nowhere, permits nothing.
#[derive(Debug, Default)]
pub struct Domain {
    /// May be read and executed.
    pub read: Vec<PathBuf>,
    /// May be read, written, executed, and changed in every way.
    pub write: Vec<PathBuf>,
    /// The only TCP ports that may be connected to; `None`: all.
    pub ports: Option<Vec<u16>>,
}

/// The parts that the kernel enforces in a domain that was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is enforced or not by itself")]
pub struct Enforced {
    /// Files and directories.
    pub files: bool,
    /// No signal to a process outside the domain.
    pub signals: bool,
    /// No connection to an abstract socket made outside the domain.
    pub abstract_sockets: bool,
    /// TCP connections to the permitted ports only.
    pub ports: bool,
}

/// The newest interface that is asked for; the kernel takes what it knows of it. The next one closes socket files, through
/// which programs ask for names of hosts and users.
pub(super) const NEWEST: ABI = ABI::V8;

pub(super) fn cannot(error: &RulesetError) -> Without {
    Without::Refused(format!("Landlock: {error}"))
}

/// The library tells these apart no further.
fn not_there() -> Without {
    let reason =
        "Landlock is not in the kernel, not switched on (lsm=), or closed by a filter of the container";
    Without::Missing(reason.to_owned())
}

pub(super) fn known_to(status: &LandlockStatus) -> Result<Enforced, Without> {
    let LandlockStatus::Available { effective_abi: abi, .. } = status else {
        return Err(not_there());
    };
    Ok(Enforced {
        files: true,
        signals: *abi >= ABI::V6,
        abstract_sockets: *abi >= ABI::V6,
        ports: *abi >= ABI::V4,
    })
}

impl Domain {
    /// Puts this thread, and whatever it starts from now on, into the domain.
    pub fn enter(&self) -> Result<Enforced, Without> {
        let status = self.created(None)?.restrict_self().map_err(|error| cannot(&error))?;
        let known = known_to(&status.landlock)?;
        if status.ruleset == RulesetStatus::NotEnforced {
            return Err(Without::Refused("Landlock enforces nothing".to_owned()));
        }
        Ok(known)
    }

    /// Builds the domain without entering it: a program that is started with it enters it before its first instruction. What
    /// the paths stand for is what is there now. `own`: an open directory in which it may do the same as in [`Domain::write`].
    pub fn build(&self, own: Option<BorrowedFd<'_>>) -> Result<OwnedFd, Without> {
        Option::from(self.created(own)?).ok_or_else(not_there)
    }

    fn created(&self, own: Option<BorrowedFd<'_>>) -> Result<RulesetCreated, Without> {
        let empty = || {
            let mut ruleset = Ruleset::default()
                .set_compatibility(CompatLevel::BestEffort)
                .handle_access(AccessFs::from_all(NEWEST))?
                .scope(Scope::from_all(NEWEST))?;
            if self.ports.is_some() {
                ruleset = ruleset.handle_access(AccessNet::ConnectTcp)?;
            }
            ruleset.create()
        };
        let mut created = empty().map_err(|error| cannot(&error))?;
        let (to_read, to_write) = (AccessFs::from_read(NEWEST), AccessFs::from_all(NEWEST));
        for (paths, access) in [(&self.read, to_read), (&self.write, to_write)] {
            created = with_rules(created, paths, access)?;
        }
        let others = |mut created: RulesetCreated| {
            if let Some(directory) = own {
                created = created.add_rule(PathBeneath::new(directory, to_write))?;
            }
            for port in self.ports.iter().flatten() {
                created = created.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
            }
            Ok(created)
        };
        others(created).map_err(|error| cannot(&error))
    }
}

/// Permits this access in and below these places. One that is not there, or not to be reached, permits nothing; but without a free
/// descriptor or memory there is no domain, because it would permit less than was asked for as long as it is used.
pub(super) fn with_rules(
    mut created: RulesetCreated,
    paths: &[PathBuf],
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, Without> {
    for path in paths {
        // One at a time: a process may have few descriptors.
        let found = match find(path) {
            Ok(found) => found,
            Err(error) if is_passing(&error) => {
                return Err(Without::Refused(format!("opening {}: {error}", path.display())));
            }
            Err(_) => continue,
        };
        let kind = of_kind(&found, access).map_err(|error| Without::Refused(error.to_string()))?;
        let rule = PathBeneath::new(&found, kind);
        created = created.add_rule(rule).map_err(|error: RulesetError| cannot(&error))?;
    }
    Ok(created)
}

/// Opens what is at a path, for a rule only: nothing of it is read.
pub(super) fn find(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        // A container's filter that does not know the call.
        Err(Errno::NOSYS | Errno::PERM) => Ok(open(path, flags | OFlags::NOFOLLOW, Mode::empty())?),
        found => Ok(found?),
    }
}

/// The rights that a file can have; a directory has them all.
pub(super) fn of_kind(found: &OwnedFd, access: BitFlags<AccessFs>) -> io::Result<BitFlags<AccessFs>> {
    let is_dir = FileType::from_raw_mode(fstat(found)?.st_mode) == FileType::Directory;
    Ok(if is_dir { access } else { access & AccessFs::from_file(NEWEST) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn without_a_free_descriptor_there_is_no_domain_instead_of_a_smaller_one() {
        if !conductor_testkit::is_alone(
            "confine::files::tests::without_a_free_descriptor_there_is_no_domain_instead_of_a_smaller_one",
        ) {
            return;
        }
        let domain = Domain { read: vec!["/usr".into(), "/etc".into()], ..Domain::default() };
        if let Err(Without::Missing(reason)) = domain.build(None) {
            return eprintln!("NOT TESTED: {reason}");
        }
        let mut all = conductor_testkit::all_descriptors();
        for free in 0..3 {
            let built = domain.build(None);
            // One for the domain, and one for each place in turn.
            assert_eq!(built.is_ok(), free >= 2, "{free} free: {built:?}");
            drop(all.pop());
        }
    }

    #[test]
    fn a_domain_permits_what_it_names_and_nothing_else() {
        let temp = tempfile::tempdir().unwrap();
        for dir in ["read", "write", "other"] {
            fs::create_dir(temp.path().join(dir)).unwrap();
            fs::write(temp.path().join(dir).join("file"), "x").unwrap();
        }
        std::os::unix::fs::symlink(temp.path().join("other"), temp.path().join("link")).unwrap();
        let path = |name: &str| temp.path().join(name);
        let write = vec![path("write"), path("link"), path("nowhere")];
        let domain = Domain { read: vec![path("read")], write, ports: Some(vec![]) };
        let at = temp.path().to_owned();
        let inside = std::thread::spawn(move || {
            let enforced = domain.enter();
            let reads = ["read", "write", "other"].map(|dir| fs::read(at.join(dir).join("file")).is_ok());
            let writes =
                ["read", "write", "other"].map(|dir| fs::write(at.join(dir).join("new"), "x").is_ok());
            (enforced, reads, writes)
        });
        let (enforced, reads, writes) = inside.join().unwrap();
        if let Err(Without::Missing(reason)) = &enforced {
            eprintln!("NOT TESTED: {reason}");
            return;
        }
        assert!(enforced.unwrap().files);
        assert_eq!((reads, writes), ([true, true, false], [false, true, false]));
        assert!(fs::read(temp.path().join("other/file")).is_ok(), "the other threads are outside");
    }
}
