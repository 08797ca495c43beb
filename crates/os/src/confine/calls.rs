//! System calls that are refused, by seccomp filters. A filter holds for its thread, or for all threads at once, and for
//! everything they start. A refused call fails with EPERM, as it would without the right to make it; nothing is killed.

use super::rules::{Rules, all, applied, condition, is, program};
use super::without::Without;
use libc::c_long;
use seccompiler::{BpfProgram, SeccompAction, SeccompCmpOp, SeccompRule, sock_filter};

/// Calls that no part of this program, and no ordinary program that it starts, has a use for: they mount, look into other
/// processes, load code into the kernel, make namespaces, use keys of the kernel, or set the machine's clock, name or
/// power. An attack on the kernel would begin with one of them.
const REFUSED: &[c_long] = &[
    // Mounts.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    // Files by handle: past the directories above them.
    libc::SYS_open_by_handle_at,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_setns,
    // The kernel itself.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_lookup_dcookie,
    libc::SYS_fanotify_init,
    libc::SYS_syslog,
    // Keys of the kernel.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // The machine.
    libc::SYS_reboot,
    libc::SYS_acct,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
];

/// The flags of unshare and clone that make a namespace. `CLONE_NEWTIME` is one of unshare alone: in clone its bit belongs
/// to the signal.
const NAMESPACES: [u64; 7] = [
    0x0002_0000, // mounts
    0x0200_0000, // control groups
    0x0400_0000, // host name
    0x0800_0000, // System V IPC
    0x1000_0000, // users
    0x2000_0000, // processes
    0x4000_0000, // network
];
const NEW_TIME: u64 = 0x80;

/// The bit of a call made through the x32 interface, whose numbers a filter would otherwise have to know separately.
#[cfg(target_arch = "x86_64")]
const X32: u32 = 0x4000_0000;

/// A filter that answers the calls of these rules with an error, and allows all others.
fn refusing(rules: Rules, errno: i32) -> Result<BpfProgram, Without> {
    program(rules, SeccompAction::Errno(errno.unsigned_abs()), SeccompAction::Allow)
}

fn namespaces(flags: &[u64]) -> Result<Vec<SeccompRule>, Without> {
    flags.iter().map(|flag| all(vec![condition(0, SeccompCmpOp::MaskedEq(*flag), *flag)?])).collect()
}

fn refused() -> Result<Rules, Without> {
    let mut rules: Rules = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_unshare, namespaces(&[&NAMESPACES[..], &[NEW_TIME]].concat())?);
    rules.insert(libc::SYS_clone, namespaces(&NAMESPACES)?);
    #[cfg(target_arch = "x86_64")]
    for call in [libc::SYS_kexec_file_load, libc::SYS_ioperm, libc::SYS_iopl] {
        rules.insert(call, Vec::new());
    }
    Ok(rules)
}

/// Answers a call through the x32 interface as a kernel without it does.
#[cfg(target_arch = "x86_64")]
fn without_x32() -> BpfProgram {
    let line = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    vec![
        line(0x20, 0, 0, 0),                                         // the number of the call
        line(0x35, 0, 1, X32),                                       // at or above the bit:
        line(0x06, 0, 0, 0x0005_0000 | libc::ENOSYS.unsigned_abs()), // it does not exist
        line(0x06, 0, 0, 0x7fff_0000),                               // else it is allowed
    ]
}

/// Refuses the calls of [`REFUSED`] and new namespaces to every thread of the process, and so to all that it starts.
/// clone3, whose flags no filter can read, does not exist any more: the C library falls back to clone.
pub fn refuse_to_process() -> Result<(), Without> {
    let clone3: Rules = [(libc::SYS_clone3, Vec::new())].into();
    let programs = [
        refusing(refused()?, libc::EPERM)?,
        refusing(clone3, libc::ENOSYS)?,
        #[cfg(target_arch = "x86_64")]
        without_x32(),
    ];
    programs.iter().try_for_each(|program| applied(seccompiler::apply_filter_all_threads(program)))
}

/// Refuses this thread, and so all that it starts, every call that would signal the process or this thread, make either
/// the receiver of another's signals, or change their limits. A Landlock domain keeps a program from signalling processes
/// outside it; this thread is inside, and a signal to one thread ends the whole process.
///
/// Without `networks`, sockets other than local ones are refused too, whatever their protocol.
pub fn refuse_to_this_thread(networks: bool) -> Result<(), Without> {
    let number = |pid: rustix::process::Pid| u64::from(pid.as_raw_nonzero().get().unsigned_abs());
    let ours = [number(rustix::process::getpid()), number(rustix::thread::gettid())];
    let both = |argument| ours.iter().map(|id| is(argument, *id)).collect::<Result<Vec<_>, _>>();
    let mut rules: Rules = [
        (libc::SYS_kill, both(0)?),
        (libc::SYS_tkill, both(0)?),
        (libc::SYS_tgkill, [both(0)?, both(1)?].concat()),
        (libc::SYS_rt_sigqueueinfo, both(0)?),
        (libc::SYS_rt_tgsigqueueinfo, [both(0)?, both(1)?].concat()),
        (libc::SYS_pidfd_open, both(0)?),
        (libc::SYS_prlimit64, both(0)?),
        (libc::SYS_sched_setaffinity, both(0)?),
        (libc::SYS_sched_setscheduler, both(0)?),
        (libc::SYS_setpriority, both(1)?),
    ]
    .into();
    let owner = |value: u64| {
        all(vec![
            condition(1, SeccompCmpOp::Eq, 8)?, // F_SETOWN
            condition(2, SeccompCmpOp::Eq, value)?,
        ])
    };
    let mut owners = ours.iter().map(|id| owner(*id)).collect::<Result<Vec<_>, _>>()?;
    owners.push(is(1, 15)?); // F_SETOWN_EX: no filter can read whom it names.
    rules.insert(libc::SYS_fcntl, owners);
    rules.insert(libc::SYS_ioctl, vec![is(1, 0x8901)?, is(1, 0x8902)?]); // FIOSETOWN, SIOCSPGRP
    if !networks {
        rules.insert(libc::SYS_socket, vec![all(vec![condition(0, SeccompCmpOp::Ne, 1)?])?]); // AF_UNIX
    }
    applied(seccompiler::apply_filter(&refusing(rules, libc::EPERM)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;
    use rustix::process::{Signal, kill_process, test_kill_process};

    #[test]
    fn a_thread_may_signal_neither_its_process_nor_itself_and_others_still_may() {
        let us = rustix::process::getpid();
        let inside = std::thread::spawn(move || {
            refuse_to_this_thread(false).unwrap();
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").map(drop);
            let local = std::os::unix::net::UnixDatagram::unbound().map(drop);
            let child = std::process::Command::new("true").spawn().unwrap();
            let other = rustix::process::Pid::from_child(&child);
            let child = (test_kill_process(other), child.wait_with_output());
            let own = kill_process(rustix::thread::gettid(), Signal::CONT);
            (test_kill_process(us), own, child.0, socket.is_err(), local.is_ok())
        });
        let (process, thread, child, no_network, local) = inside.join().unwrap();
        assert_eq!((process, thread), (Err(Errno::PERM), Err(Errno::PERM)));
        assert_eq!(child, Ok(()), "a program that it started is another process");
        assert!(no_network && local);
        assert_eq!(test_kill_process(us), Ok(()), "another thread");
    }

    #[test]
    fn every_filter_is_valid_here() {
        refusing(refused().unwrap(), libc::EPERM).unwrap();
        assert!(REFUSED.len() > 40);
    }
}
