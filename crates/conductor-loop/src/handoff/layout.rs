//! The layout of a handoff directory. No other module spells these names; docs/FORMATS.md shows them as a tree.

/// Archived files of intents that succeeded.
pub const PROCESSED: &str = "processed";
/// Archived files of intents that failed, with their error logs.
pub const FAILED: &str = "failed";
/// The latest status of each name.
pub const STATUS: &str = "status";
/// The daemon's private directory.
pub const PRIVATE: &str = ".conductor";
/// The public head of the state.
pub const HEAD: &str = ".conductor-state.json";

/// The daemon's own directories.
pub const PARTS: [&str; 4] = [PROCESSED, FAILED, STATUS, PRIVATE];

/// In the private directory: taken files that are not recorded yet.
pub const TAKEN: &str = "taken";
/// In the private directory: the writer's drafts, before they get their names.
pub const DRAFTS: &str = "drafts";
/// In the private directory: the slots in which runs are staged.
pub const STAGING: &str = "staging";
/// In the private directory: the store, unless the operator chose another place.
pub const STATE: &str = "state";
/// In the private directory: the audit trail.
pub const AUDIT: &str = "audit";
/// In the private directory: the lock of the one daemon.
pub const LOCK: &str = "lock";
/// In the private directory: the run table.
pub const RUNNING: &str = "running";
/// In the private directory: the local socket.
pub const CONTROL: &str = "control";

/// The path of an entry of the private directory, from the handoff directory.
pub fn private(name: &str) -> String {
    format!("{PRIVATE}/{name}")
}

/// The path of a status, from the handoff directory.
pub fn status_path(intent: &str) -> String {
    format!("{STATUS}/{}", conductor_core::name::status_name(intent))
}
