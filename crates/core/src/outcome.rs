//! How one run of porch can end, and the verdict drawn from it.

use crate::code::Code;
use crate::digest::Digest;
use crate::ready::NotReady;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The ways a run ends. Each is a variant of its own; none is inferred from text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// `porch` exited by itself with this status.
    Exited(i32),
    /// It was ended by a signal that the daemon did not send.
    Signalled(i32),
    /// It was stopped at its time limit; `killed` when TERM was not enough.
    TimedOut {
        /// The limit that was exceeded.
        limit: Duration,
        /// Whether KILL was needed.
        killed: bool,
    },
    /// It never started, and a later try would not start either.
    NotStarted {
        /// The system's reason.
        reason: String,
    },
    /// It was not started, or had no effect, for a temporary reason unrelated to the intent.
    Withheld {
        /// The temporary reason.
        cause: Postponed,
        /// The finding.
        reason: String,
    },
    /// It ended, but may have run another process's file: its directory was replaced meanwhile.
    Misled {
        /// The finding.
        reason: String,
    },
    /// It failed while its package's directory was not writable.
    Hampered {
        /// Its exit status.
        status: i32,
        /// The state of that directory.
        cause: Postponed,
    },
    /// It was ended because it could no longer be watched.
    Unwatched {
        /// The system's reason.
        reason: String,
    },
    /// The daemon stopped it because the daemon itself is stopping.
    Interrupted,
    /// The embedded engine refused the intent or could not write.
    EngineFailed {
        /// The engine's code.
        code: Code,
        /// The engine's message.
        message: String,
        /// Whether a retry can help: a resource is busy or unreachable.
        passing: bool,
    },
    /// It was handed to a worker but did not begin, because the daemon is stopping: not an attempt.
    NotBegun,
    /// It was handed to a worker but did not begin, because it repeats the last success of its target: not an attempt.
    Repeats,
    /// The private copy could not be written for lack of space: not the intent's fault, not an attempt.
    NoSpace,
    /// Its bytes could not be read back from the store, so nothing ran: not the intent's fault, not an attempt.
    NoBytes {
        /// Why they could not be read; [`Code::StoreDamaged`] when they differ from the claimed bytes.
        code: Code,
        /// The store's words.
        reason: String,
    },
}

/// Everything known about one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The ending.
    pub ending: Ending,
    /// From start to end, on the monotonic clock.
    pub duration: Duration,
    /// The kept part of standard output.
    pub stdout: Capture,
    /// The kept part of standard error.
    pub stderr: Capture,
    /// Processes of the group that outlived porch and were killed: `pid name`.
    pub leftovers: Vec<String>,
    /// What may stand behind a failure besides porch itself.
    pub hint: Option<String>,
    /// The change of the package as a unified diff, if the embedded engine made one.
    pub change: String,
    /// The command line, for the error log.
    pub command: Vec<String>,
    /// Digest of the program that ran, if a program ran.
    pub porch_sha256: Option<Digest>,
    /// The number of the worker that ran it.
    pub worker: usize,
    /// The name of what ran, in sentences.
    pub runner: &'static str,
}

impl Run {
    /// The ending in one line.
    pub fn describe(&self) -> String {
        self.ending.describe(self.runner)
    }
}

/// The beginning and end of a stream, and its total size.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capture {
    /// The first bytes.
    pub head: Vec<u8>,
    /// The last bytes, when the stream was longer than the head.
    pub tail: Vec<u8>,
    /// Total number of bytes.
    pub total: u64,
    /// Digest of all bytes, if the stream was read.
    pub sha256: Option<Digest>,
}

impl Capture {
    /// Bytes between head and tail that were dropped.
    pub fn dropped(&self) -> u64 {
        self.total.saturating_sub((self.head.len() + self.tail.len()) as u64)
    }
}

/// The consequence of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// File it as processed.
    Success,
    /// File it as processed: it repeats the last success of its target, and porch never began.
    Repeats,
    /// File it as failed with this code.
    Failure(Code),
    /// File it as failed with this code; porch never began, so the start does not count as an attempt.
    Unstarted(Code),
    /// Try again after a pause, while attempts remain; the code applies when none remains.
    Retry(Code),
    /// Leave it for the next start of the daemon; the attempt counts.
    Interrupted,
    /// Run it later; the start does not count as an attempt.
    Postpone(Postponed),
}

impl Verdict {
    /// Whether the start counts as an attempt: porch began, or may have begun.
    pub fn counts(self) -> bool {
        match self {
            Self::Success | Self::Failure(_) | Self::Retry(_) | Self::Interrupted => true,
            Self::Repeats | Self::Unstarted(_) | Self::Postpone(_) => false,
        }
    }
}

/// Why a run is postponed through no fault of the intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Postponed {
    /// The daemon is stopping.
    Stopping,
    /// There was no space for the private copy.
    NoSpace,
    /// Its bytes could not be read back from the store.
    NoBytes,
    /// The program that runs intents is missing, or is being replaced.
    PorchMissing,
    /// The directory with its private copy is not the one that was opened at start.
    DirectoryReplaced,
    /// The system has no process, memory or descriptor left for the run.
    System,
    /// It would not be confined as the daemon was at its start.
    Unconfined,
    /// Another process works on the package or the repository.
    PackageBusy,
    /// The remote of its repository cannot be reached.
    RemoteUnreachable,
    /// No space in the directory of its package.
    OutFull,
    /// The directory of its package is mounted read-only, or no longer writable for us.
    OutReadOnly,
    /// The directory of its package is missing, or not mounted.
    OutGone,
}

impl Postponed {
    /// Every reason.
    pub const ALL: &[Self] = &[
        Self::Stopping,
        Self::NoSpace,
        Self::NoBytes,
        Self::PorchMissing,
        Self::DirectoryReplaced,
        Self::System,
        Self::Unconfined,
        Self::PackageBusy,
        Self::RemoteUnreachable,
        Self::OutFull,
        Self::OutReadOnly,
        Self::OutGone,
    ];

    /// The corresponding reason for not being ready, if it concerns the whole daemon.
    pub const fn not_ready(self) -> Option<NotReady> {
        match self {
            Self::Stopping
            | Self::NoSpace
            | Self::NoBytes
            | Self::System
            | Self::Unconfined
            | Self::PackageBusy => None,
            Self::PorchMissing => Some(NotReady::PorchMissing),
            Self::DirectoryReplaced => Some(NotReady::DirectoryReplaced),
            Self::RemoteUnreachable => Some(NotReady::RemoteUnreachable),
            Self::OutFull => Some(NotReady::OutFull),
            Self::OutReadOnly => Some(NotReady::OutReadOnly),
            Self::OutGone => Some(NotReady::OutGone),
        }
    }

    /// The error code of a daemon that ends because the reason lasts.
    pub const fn code(self) -> Code {
        match self {
            Self::Stopping => Code::Interrupted,
            Self::NoSpace => Code::DiskFull,
            Self::NoBytes => Code::StoreFailed,
            Self::PorchMissing => Code::PorchMissing,
            Self::DirectoryReplaced => Code::HandoffGone,
            Self::System => Code::PorchNotStarted,
            Self::Unconfined => Code::Unconfined,
            Self::PackageBusy | Self::RemoteUnreachable => Code::PackageBusy,
            Self::OutFull | Self::OutReadOnly | Self::OutGone => Code::OutUnusable,
        }
    }
}

/// `EX_TEMPFAIL` of sysexits.h: the one exit status that requests a retry.
pub const EX_TEMPFAIL: i32 = 75;

impl Ending {
    /// Draws the verdict. Success is exit status 0 and nothing else.
    pub fn verdict(&self) -> Verdict {
        match self {
            Ending::Exited(0) => Verdict::Success,
            Ending::Exited(EX_TEMPFAIL) => Verdict::Retry(Code::PorchBusy),
            Ending::Exited(_) => Verdict::Failure(Code::PorchFailed),
            Ending::Signalled(_) => Verdict::Failure(Code::PorchSignalled),
            Ending::TimedOut { .. } => Verdict::Failure(Code::PorchTimeout),
            Ending::NotStarted { .. } => Verdict::Unstarted(Code::PorchNotStarted),
            Ending::Withheld { cause, .. } => Verdict::Postpone(*cause),
            Ending::Misled { .. } => Verdict::Retry(Code::PorchMisled),
            Ending::Hampered { .. } => Verdict::Retry(Code::OutUnusable),
            Ending::Unwatched { .. } => Verdict::Retry(Code::PorchNotStarted),
            Ending::Interrupted => Verdict::Interrupted,
            Ending::EngineFailed { code, passing: true, .. } => Verdict::Retry(*code),
            Ending::EngineFailed { code, passing: false, .. } => Verdict::Failure(*code),
            Ending::NotBegun => Verdict::Postpone(Postponed::Stopping),
            Ending::Repeats => Verdict::Repeats,
            Ending::NoSpace => Verdict::Postpone(Postponed::NoSpace),
            Ending::NoBytes { .. } => Verdict::Postpone(Postponed::NoBytes),
        }
    }

    /// Whether porch, or the engine in its place, began to work on the intent.
    pub fn began(&self) -> bool {
        !matches!(self.verdict(), Verdict::Postpone(_) | Verdict::Unstarted(_) | Verdict::Repeats)
    }

    /// The value of `exit_code` in the status file.
    pub fn exit_code(&self) -> Option<i32> {
        match self {
            Ending::Exited(status) | Ending::Hampered { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The value of `signal` in the status file.
    pub fn signal(&self) -> Option<&'static str> {
        match self {
            Ending::Signalled(number) => Some(signal_name(*number)),
            Ending::TimedOut { killed: true, .. } => Some("SIGKILL"),
            Ending::TimedOut { killed: false, .. } => Some("SIGTERM"),
            _ => None,
        }
    }

    /// A description in one line, with the name of what ran.
    pub fn describe(&self, runner: &str) -> String {
        match self {
            Ending::Exited(status) => format!("{runner} exited with status {status}"),
            Ending::Signalled(number) => {
                let limit = limit_of(*number).map(|limit| format!(": it reached the limit on {limit}"));
                format!("{runner} was ended by {}{}", signal_name(*number), limit.unwrap_or_default())
            }
            Ending::TimedOut { limit, killed } => {
                let how = if *killed { "killed after it ignored SIGTERM" } else { "stopped by SIGTERM" };
                format!("{runner} timed out after {} and was {how}", crate::units::format_duration(*limit))
            }
            Ending::NotStarted { reason, .. } => format!("{runner} could not be started: {reason}"),
            Ending::Withheld { reason, .. } | Ending::Misled { reason } => reason.clone(),
            Ending::Hampered { status, cause } => {
                let state = match cause {
                    Postponed::OutFull => "full",
                    Postponed::OutReadOnly => "read-only",
                    _ => "gone",
                };
                format!("{runner} exited with status {status} while the output directory was {state}")
            }
            Ending::Unwatched { reason } => format!("{runner} could not be watched and was ended: {reason}"),
            Ending::Interrupted => format!("{runner} was stopped because the daemon stopped"),
            Ending::EngineFailed { message, .. } => message.clone(),
            Ending::NotBegun => format!("{runner} was not started because the daemon is stopping"),
            Ending::Repeats => format!("{runner} was not started: it repeats the last success of its target"),
            Ending::NoSpace => "there was no space for the private copy".to_owned(),
            Ending::NoBytes { reason, .. } => format!("its bytes could not be read back: {reason}"),
        }
    }
}

/// The limit on a resource that a signal reports.
fn limit_of(signal: i32) -> Option<&'static str> {
    match signal {
        24 => Some("CPU time (--limit-cpu)"),
        25 => Some("the size of a file (--limit-file-size)"),
        _ => None,
    }
}

/// The name of a Linux signal number.
pub fn signal_name(number: i32) -> &'static str {
    const NAMES: [&str; 32] = [
        "signal 0",
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGILL",
        "SIGTRAP",
        "SIGABRT",
        "SIGBUS",
        "SIGFPE",
        "SIGKILL",
        "SIGUSR1",
        "SIGSEGV",
        "SIGUSR2",
        "SIGPIPE",
        "SIGALRM",
        "SIGTERM",
        "SIGSTKFLT",
        "SIGCHLD",
        "SIGCONT",
        "SIGSTOP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGVTALRM",
        "SIGPROF",
        "SIGWINCH",
        "SIGIO",
        "SIGPWR",
        "SIGSYS",
    ];
    usize::try_from(number).ok().and_then(|n| NAMES.get(n)).copied().unwrap_or("a real-time signal")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exit_zero_succeeds() {
        let endings = [
            (Ending::Exited(0), Verdict::Success),
            (Ending::Exited(1), Verdict::Failure(Code::PorchFailed)),
            (Ending::Exited(75), Verdict::Retry(Code::PorchBusy)),
            (Ending::Exited(130), Verdict::Failure(Code::PorchFailed)),
            (Ending::Exited(143), Verdict::Failure(Code::PorchFailed)),
            (Ending::Signalled(9), Verdict::Failure(Code::PorchSignalled)),
            (Ending::Interrupted, Verdict::Interrupted),
            (Ending::NoSpace, Verdict::Postpone(Postponed::NoSpace)),
            (Ending::NotBegun, Verdict::Postpone(Postponed::Stopping)),
            (Ending::Repeats, Verdict::Repeats),
            (
                Ending::NoBytes { code: Code::StoreFailed, reason: String::new() },
                Verdict::Postpone(Postponed::NoBytes),
            ),
        ];
        for (ending, want) in endings {
            assert_eq!(ending.verdict(), want, "{ending:?}");
        }
    }

    #[test]
    fn endings_are_told_by_number_name_and_sentence() {
        let limit = Duration::from_secs(30);
        let cases = [
            (Ending::Exited(3), Some(3), None, "exited with status 3"),
            (Ending::Signalled(11), None, Some("SIGSEGV"), "ended by SIGSEGV"),
            (
                Ending::Signalled(24),
                None,
                Some("SIGXCPU"),
                "ended by SIGXCPU: it reached the limit on CPU time",
            ),
            (Ending::Signalled(25), None, Some("SIGXFSZ"), "limit on the size of a file (--limit-file-size)"),
            (Ending::TimedOut { limit, killed: true }, None, Some("SIGKILL"), "after 30s and was killed"),
            (Ending::TimedOut { limit, killed: false }, None, Some("SIGTERM"), "after 30s and was stopped"),
            (Ending::Interrupted, None, None, "because the daemon stopped"),
        ];
        for (ending, code, signal, said) in cases {
            assert_eq!((ending.exit_code(), ending.signal()), (code, signal), "{ending:?}");
            let told = ending.describe("porch");
            assert!(told.contains(said) && told.starts_with("porch "), "{told}");
            let told = ending.describe("the embedded engine");
            assert!(told.contains(said) && !told.contains("porch"), "{told}");
        }
    }

    #[test]
    fn what_a_capture_dropped_is_what_is_in_neither_part() {
        let capture = Capture { head: vec![0; 10], tail: vec![0; 5], total: 100, sha256: None };
        assert_eq!((capture.dropped(), Capture { total: 15, ..capture }.dropped()), (85, 0));
    }

    #[test]
    fn signals_have_their_names() {
        assert_eq!(signal_name(9), "SIGKILL");
        assert_eq!(signal_name(64), "a real-time signal");
    }
}
