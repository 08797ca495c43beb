//! Why a session ends that nobody has stopped: its state cannot be read, written or trusted any more.

use crate::writer::Broken;
use conductor_core::Code;

/// Why the daemon cannot go on with its state. The text does not begin with the code.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// No write can become durable.
    #[error("{0}")]
    Writer(#[from] Broken),
    /// The bytes of an intent, read back for its run, are not those of its claim. The ending of a run tells it in words.
    #[error("{reason}")]
    Bytes {
        /// The stable code.
        code: Code,
        /// What is wrong with them.
        reason: String,
    },
    /// The parts of the daemon do not agree with each other.
    #[error("{0}")]
    Defect(String),
    /// The handoff directory is gone, and this process does not wait for it.
    #[error("the handoff directory is gone{}", if *from_root { "; only a start puts it into the root directory again" } else { "" })]
    HandoffGone {
        /// Whether it is gone from a root directory of the daemon's own.
        from_root: bool,
    },
}

impl Fatal {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Writer(broken) => broken.code(),
            Self::Bytes { code, .. } => *code,
            Self::Defect(_) => Code::Defect,
            Self::HandoffGone { .. } => Code::HandoffGone,
        }
    }
}
