//! The system calls that are counted, by class. Between two of them nothing outside the process changes, so a process that is
//! killed before each of them once has died at every instant that makes a difference.

use nix::libc;

/// Which calls are stopped at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// What changes files or starts and signals processes.
    Change,
    /// That, and what can fail otherwise: opening, reading, listing, making descriptors.
    Fallible,
}

impl Class {
    /// By the word that the command line uses.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "change" => Some(Self::Change),
            "fallible" => Some(Self::Fallible),
            _ => None,
        }
    }

    /// The word that the command line uses.
    pub fn word(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Fallible => "fallible",
        }
    }

    /// Its calls: name and number.
    pub fn calls(self) -> Vec<(&'static str, i64)> {
        let mut calls = CHANGE.to_vec();
        if self == Self::Fallible {
            calls.extend(FALLIBLE);
        }
        calls
    }
}

/// Name of a call by number.
pub fn name_of(number: i64) -> &'static str {
    let mut all = CHANGE.iter().chain(&FALLIBLE);
    all.find(|(_, of)| *of == number).map_or("?", |(name, _)| name)
}

/// `openat` is in both: of those that change something only the ones that create are stopped at.
pub(crate) const OPENAT: i64 = libc::SYS_openat;

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
    ("openat", OPENAT),
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

const FALLIBLE: [(&str, i64); 18] = [
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
];
