//! Why a daemon is not ready: the closed list of reasons, their words on the wire, and the effect of each. Not ready
//! means that no file is taken: if a reason would harm a taken file, the files stay where their producers put them.

use crate::Code;
use std::collections::BTreeSet;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident $word:literal $taking:ident $starting:ident)*) => {
        /// A reason for not being ready. The order is the order of reporting.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum NotReady { $($(#[doc = $doc])+ $variant,)* }

        impl NotReady {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word for `/readyz`, `status`, `health`, the head and the service manager.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// Whether no new file is taken while the reason holds.
            pub const fn stops_taking(self) -> bool {
                match self { $(Self::$variant => reasons!(@ $taking),)* }
            }

            /// Whether porch is not started while the reason holds.
            pub const fn stops_starting(self) -> bool {
                match self { $(Self::$variant => reasons!(@ $starting),)* }
            }
        }
    };
    (@ takes) => { false };
    (@ starts) => { false };
    (@ no_takes) => { true };
    (@ no_starts) => { true };
}

reasons! {
    /// The daemon recovers the work of the last one.
    Starting "starting" no_takes no_starts
    /// The daemon has been asked to stop.
    Stopping "stopping" no_takes no_starts
    /// The daemon has ended.
    Stopped "stopped" no_takes no_starts
    /// No space for records. Taken intents are processed with the remaining space.
    DiskFull "disk-full" no_takes starts
    /// The handoff directory is missing.
    HandoffGone "handoff-gone" no_takes no_starts
    /// A part of the handoff directory is not the one that is open: a file filed there would not be found, and its
    /// entries belong to another user.
    DirectoryReplaced "directory-replaced" no_takes no_starts
    /// The store or its directory was removed: the process ends after the current runs.
    StateGone "state-gone" no_takes no_starts
    /// The store failed: the process is about to end.
    StoreError "store-error" no_takes no_starts
    /// Bytes of claimed intents cannot be read back from the store. The reads are retried each second.
    StoreUnreadable "store-unreadable" no_takes starts
    /// The files of ended intents cannot be made for want of a descriptor, memory or a free name; tried again until they are.
    FilingWaits "filing-waits" no_takes no_starts
    /// The program that runs intents is missing.
    PorchMissing "porch-missing" no_takes no_starts
    /// The directory of packages is full; intents that write there wait.
    OutFull "out-full" takes starts
    /// The directory of packages is mounted read-only, or no longer writable for us.
    OutReadOnly "out-read-only" takes starts
    /// The directory of packages is missing, or not mounted.
    OutGone "out-gone" takes starts
    /// The remote of a repository cannot be reached; intents for it wait.
    RemoteUnreachable "remote-unreachable" takes starts
    /// The intake cannot wait for events, list the directory or look at a taken file: the system refuses the call
    /// repeatedly. It goes on by the clock.
    IntakeFailing "intake-failing" takes starts
}

impl NotReady {
    /// Advice for the operator. A cause that ends is noticed, so no restart is needed unless the advice says so.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Starting => "Wait: it recovers the last daemon's work.",
            Self::Stopping | Self::Stopped => "Start the daemon again.",
            Self::DiskFull => {
                "Free space or inodes of the handoff and the state directory; `conductor-loop logs` says where."
            }
            Self::HandoffGone => {
                "Bring the handoff directory back, for the daemon's user; it starts over in it by itself."
            }
            Self::DirectoryReplaced => {
                "Put back the part that `conductor-loop logs` names, or restart the daemon to use the present one."
            }
            Self::StateGone => {
                "Start the daemon again when it has ended: the removed files are put back first."
            }
            Self::StoreError => "Check disk and permissions of the state directory; a restart recovers.",
            Self::StoreUnreadable => {
                "Check the disk of the state directory: `conductor-loop logs` says what failed; it is tried each second."
            }
            Self::FilingWaits => {
                "Raise the service's limits of descriptors and memory: `conductor-loop logs` has the system's words."
            }
            Self::PorchMissing => "Put porch back, whole; waiting intents continue by themselves.",
            Self::OutFull => "Free space where packages are written; waiting intents continue by themselves.",
            Self::OutReadOnly => {
                "Mount for writing the place of the packages; waiting intents continue by themselves."
            }
            Self::OutGone => {
                "Make or mount the place of the packages again; waiting intents continue by themselves."
            }
            Self::RemoteUnreachable => {
                "Do `git push` in the repository as the daemon's user: `conductor-loop logs` has git's words."
            }
            Self::IntakeFailing => {
                "Raise the service's limits of memory and descriptors: `conductor-loop logs` has the system's words."
            }
        }
    }

    /// The reason of this word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == word)
    }

    /// The error code of the reason, if it is a failure.
    pub const fn code(self) -> Option<Code> {
        match self {
            Self::Starting | Self::Stopping | Self::Stopped => None,
            Self::DiskFull => Some(Code::DiskFull),
            Self::HandoffGone | Self::DirectoryReplaced => Some(Code::HandoffGone),
            Self::StoreError | Self::StoreUnreadable | Self::FilingWaits => Some(Code::StoreFailed),
            Self::StateGone => Some(Code::StoreDamaged),
            Self::PorchMissing => Some(Code::PorchMissing),
            Self::OutFull | Self::OutReadOnly | Self::OutGone => Some(Code::OutUnusable),
            Self::RemoteUnreachable => Some(Code::PackageBusy),
            Self::IntakeFailing => Some(Code::DirectorySetup),
        }
    }
}

impl std::fmt::Display for NotReady {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The reasons that hold now; empty: ready.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reasons(BTreeSet<NotReady>);

impl Reasons {
    /// Sets or removes a reason. Returns whether the set changed.
    pub fn set(&mut self, reason: NotReady, on: bool) -> bool {
        if on { self.0.insert(reason) } else { self.0.remove(&reason) }
    }

    /// Whether a reason holds.
    pub fn contains(&self, reason: NotReady) -> bool {
        self.0.contains(&reason)
    }

    /// Whether no reason holds.
    pub fn is_ready(&self) -> bool {
        self.0.is_empty()
    }

    /// The first reason for which no new file is taken; `None`: files are taken.
    pub fn stopping_taking(&self) -> Option<NotReady> {
        self.0.iter().copied().find(|reason| reason.stops_taking())
    }

    /// The first reason for which porch is not started; `None`: it is started.
    pub fn stopping_starting(&self) -> Option<NotReady> {
        self.0.iter().copied().find(|reason| reason.stops_starting())
    }

    /// The reasons' words on the wire.
    pub fn words(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

impl From<NotReady> for Reasons {
    fn from(reason: NotReady) -> Self {
        Self(BTreeSet::from([reason]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_unique_and_of_one_form() {
        let mut words: Vec<&str> = NotReady::ALL.iter().map(|reason| reason.as_str()).collect();
        assert!(words.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')));
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), NotReady::ALL.len());
    }

    #[test]
    fn who_does_not_start_does_not_take() {
        for reason in NotReady::ALL {
            assert!(reason.stops_taking() || !reason.stops_starting(), "{reason} fills the backlog for ever");
        }
    }

    #[test]
    fn one_reason_is_enough_and_the_last_to_go_opens_again() {
        let mut reasons = Reasons::from(NotReady::Starting);
        assert!(reasons.set(NotReady::DiskFull, true) && !reasons.set(NotReady::DiskFull, true));
        assert_eq!(reasons.words(), ["starting", "disk-full"]);
        assert!(reasons.set(NotReady::Starting, false));
        assert_eq!(reasons.stopping_taking(), Some(NotReady::DiskFull));
        assert_eq!(reasons.stopping_starting(), None, "what is taken is worked off");
        assert!(reasons.contains(NotReady::DiskFull) && reasons.set(NotReady::DiskFull, false));
        assert!(reasons.is_ready() && reasons.stopping_taking().is_none());
    }
}
