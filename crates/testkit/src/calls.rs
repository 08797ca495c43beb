//! The counted system calls, by class. Between two of them nothing outside the process changes, so a process that is
//! killed once before each of them has died at every instant that makes a difference.

use nix::libc;

/// The calls to stop at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class<'n> {
    /// Calls that change files or start and signal processes.
    Change,
    /// The calls of these names.
    Named(&'n [&'n str]),
}

impl Class<'_> {
    /// The word for the class on a command line.
    pub fn word(self) -> String {
        match self {
            Self::Change => "change".to_owned(),
            Self::Named(names) => names.join(","),
        }
    }
}

/// Names and numbers of the calls of a class, by its word.
pub fn calls_of(word: &str) -> Vec<(&'static str, i64)> {
    let all = CHANGE.iter().chain(&OTHERS).copied();
    let wanted = |name: &str| match word {
        "change" => CHANGE.iter().any(|(of, _)| *of == name),
        names => names.split(',').any(|of| of == name),
    };
    all.filter(|(name, _)| wanted(name)).collect()
}

/// Name of a call by number.
pub fn name_of(number: i64) -> &'static str {
    let mut all = CHANGE.iter().chain(&OTHERS);
    all.find(|(_, of)| *of == number).map_or("?", |(name, _)| name)
}

const CHANGE: [(&str, i64); 32] = [
    ("write", libc::SYS_write),
    ("pwrite64", libc::SYS_pwrite64),
    ("writev", libc::SYS_writev),
    ("ftruncate", libc::SYS_ftruncate),
    ("fallocate", libc::SYS_fallocate),
    ("copy_file_range", libc::SYS_copy_file_range),
    ("fsync", libc::SYS_fsync),
    ("fdatasync", libc::SYS_fdatasync),
    ("syncfs", libc::SYS_syncfs),
    ("renameat", libc::SYS_renameat),
    ("renameat2", libc::SYS_renameat2),
    ("unlinkat", libc::SYS_unlinkat),
    ("mkdirat", libc::SYS_mkdirat),
    ("linkat", libc::SYS_linkat),
    ("symlinkat", libc::SYS_symlinkat),
    ("openat", libc::SYS_openat),
    ("openat2", libc::SYS_openat2),
    ("fchmod", libc::SYS_fchmod),
    ("fchmodat", libc::SYS_fchmodat),
    ("fchown", libc::SYS_fchown),
    ("fchownat", libc::SYS_fchownat),
    ("utimensat", libc::SYS_utimensat),
    ("flock", libc::SYS_flock),
    ("clone", libc::SYS_clone),
    ("clone3", libc::SYS_clone3),
    ("execve", libc::SYS_execve),
    ("execveat", libc::SYS_execveat),
    ("kill", libc::SYS_kill),
    ("tgkill", libc::SYS_tgkill),
    ("pidfd_send_signal", libc::SYS_pidfd_send_signal),
    ("mknodat", libc::SYS_mknodat),
    ("exit_group", libc::SYS_exit_group),
];

/// Other calls that can fail.
const OTHERS: [(&str, i64); 19] = [
    ("read", libc::SYS_read),
    ("pread64", libc::SYS_pread64),
    ("getdents64", libc::SYS_getdents64),
    ("fstat", libc::SYS_fstat),
    ("newfstatat", libc::SYS_newfstatat),
    ("statx", libc::SYS_statx),
    ("fstatfs", libc::SYS_fstatfs),
    ("pipe2", libc::SYS_pipe2),
    ("eventfd2", libc::SYS_eventfd2),
    ("dup", libc::SYS_dup),
    ("dup3", libc::SYS_dup3),
    ("inotify_init1", libc::SYS_inotify_init1),
    ("inotify_add_watch", libc::SYS_inotify_add_watch),
    ("pidfd_open", libc::SYS_pidfd_open),
    ("ppoll", libc::SYS_ppoll),
    ("waitid", libc::SYS_waitid),
    ("wait4", libc::SYS_wait4),
    ("socket", libc::SYS_socket),
    // The same call has this name where there is no `epoll_wait`.
    #[cfg(target_arch = "x86_64")]
    ("epoll_wait", libc::SYS_epoll_wait),
    #[cfg(not(target_arch = "x86_64"))]
    ("epoll_wait", libc::SYS_epoll_pwait),
];
