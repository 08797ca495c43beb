//! The public head of the state, `.conductor-state.json`, and the file of the Go version under the same name.

use super::layout;
use crate::store::{self, Counts};
use conductor_core::Seq;
use conductor_evidence::tree::Point;
use conductor_os::dir::{Dir, Kind};
use conductor_os::plain::read_whole;
use serde::{Deserialize, Serialize};

/// `format` of a head, which tells it from the state file of the Go version.
pub const FORMAT: &str = "conductor-loop state head";
/// A head or Go state file larger than this is not read at start; `state import` takes any size.
const HEAD_MAX: u64 = 512 << 20;

/// The file's content.
#[derive(Debug, Serialize, Deserialize)]
pub struct HeadBody {
    /// [`FORMAT`].
    pub format: String,
    /// Version of the store.
    pub version: u32,
    /// The store.
    pub store: String,
    /// Whether records are encrypted.
    pub sealed: bool,
    /// The name of the root key that they are encrypted with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_by: Option<String>,
    /// Whether the daemon takes new files.
    pub ready: bool,
    /// The reasons for not being ready.
    pub not_ready: Vec<String>,
    /// Totals.
    pub counts: Counts,
    /// The last sequence number.
    pub last_seq: Seq,
    /// How far the audit trail has come, if one is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<AuditHead>,
    /// The time of writing.
    pub updated_at: String,
}

/// The size of the audit trail and the root of its tree: whoever knows them notices that its end was removed.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct AuditHead {
    /// The number of entries.
    pub size: u64,
    /// The root of their tree.
    pub root: conductor_core::Digest,
}

/// The content at the name `.conductor-state.json`.
pub enum HeadFile {
    /// No file.
    Absent,
    /// Our head: there was a store.
    Ours(Box<HeadBody>),
    /// The state file of the Go version.
    Go(Vec<u8>),
    /// Another file.
    Unknown,
}

impl HeadFile {
    /// How far the audit trail had come.
    pub fn audit(&self) -> Option<Point> {
        let Self::Ours(head) = self else { return None };
        head.audit.map(|audit| Point { size: audit.size, root: audit.root })
    }

    /// Reads the existing file.
    pub fn read(handoff: &Dir) -> Self {
        match handoff.stat(layout::HEAD) {
            Err(_) => return Self::Absent,
            Ok(meta) if meta.kind != Kind::File => return Self::Unknown,
            Ok(_) => {}
        }
        let Ok(bytes) = handoff.open_read(layout::HEAD).and_then(|file| read_whole(file, HEAD_MAX)) else {
            return Self::Unknown;
        };
        match serde_json::from_slice::<HeadBody>(&bytes) {
            Ok(head) if head.format == FORMAT => Self::Ours(Box::new(head)),
            _ if store::looks_like_go_state(&bytes) => Self::Go(bytes),
            _ => Self::Unknown,
        }
    }
}
