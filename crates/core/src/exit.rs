//! Exit statuses of `conductor-loop`, in one table. Scripts and the service manager act on them; a status never changes
//! its meaning.

/// The exit status of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Success; also when only interrupted work is left for the next run.
    Good = 0,
    /// Set-up failed, a command could not be carried out, or `verify` has findings.
    SetUp = 1,
    /// The command line or configuration is wrong, or `verify` could check nothing.
    Usage = 2,
    /// The state could not be read or written.
    State = 3,
    /// At least one intent failed, or would fail.
    Failed = 8,
}

impl Exit {
    /// The number passed to the system.
    pub const fn status(self) -> u8 {
        self as u8
    }
}
