//! Why a file was not handed in, or not again.

use conductor_core::Code;
use std::io;

/// Why a file was not handed in.
#[derive(Debug, thiserror::Error)]
pub enum NotHandedIn {
    /// The one before it has its name.
    #[error("{file} was not handed in: a file named {name} is still waiting there")]
    StillWaiting {
        /// What the user called it.
        file: String,
        /// The name that it would have.
        name: String,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
    /// The system refused it.
    #[error("{} {file} could not be handed in: {cause}", Code::NotTakeable)]
    Refused {
        /// What the user called it.
        file: String,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
}

impl NotHandedIn {
    /// What the system said of a file that was to have this name.
    pub(super) fn of(file: &str, name: &str, cause: io::Error) -> Self {
        let file = file.to_owned();
        if cause.kind() == io::ErrorKind::AlreadyExists {
            return Self::StillWaiting { file, name: name.to_owned(), cause };
        }
        Self::Refused { file, cause }
    }

    /// The remedy.
    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::StillWaiting { .. } => "Wait until it is taken, or use another name.",
            Self::Refused { .. } => Code::NotTakeable.remedy(),
        }
    }
}

/// Why a failed intent was not handed in again.
#[derive(Debug, thiserror::Error)]
pub enum NotRetried {
    /// Under its name it would lie there, and not be taken.
    #[error("its name is not {0}")]
    Name(String),
    /// Its file was not archived, or removed since.
    #[error("its file is not kept")]
    NotKept,
    /// It has no recorded digest.
    #[error("its content was never read, so there is nothing to hold the file against")]
    NeverRead,
    /// The archive has another file.
    #[error("{at} is not the file that was run: its {how} differs from the record")]
    OtherFile {
        /// Its place in the archive.
        at: String,
        /// What differs.
        how: &'static str,
    },
    /// The archived file cannot be read.
    #[error("{at} cannot be read: {cause}")]
    Unread {
        /// Its place in the archive.
        at: String,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
    /// It was read, and not handed in.
    #[error("{0}")]
    NotHandedIn(#[from] NotHandedIn),
}
