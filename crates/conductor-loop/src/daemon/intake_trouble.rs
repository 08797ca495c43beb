//! What the system refuses the intake, again and again, so that the daemon is not ready for it.

/// Failures in a row before they are told.
pub(super) const FAILURES_TOLD: u32 = 5;

/// The calls that fail.
#[derive(Debug, Default)]
pub(super) struct IntakeTrouble {
    /// Failures in a row to wait for inputs and events.
    pub(super) waits: u32,
    /// Failures in a row to list the handoff directory, one a second.
    pub(super) listings: u32,
    /// Whether taken files cannot be looked at.
    pub(super) files: bool,
}

impl IntakeTrouble {
    pub(super) fn is_failing(&self) -> bool {
        self.waits >= FAILURES_TOLD || self.listings >= FAILURES_TOLD || self.files
    }
}
