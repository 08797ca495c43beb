//! What is wrong with a configuration: which setting, where it was set, and what would be right.

use super::Origin;
use conductor_core::Code;

/// What is wrong with the configuration.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConfigError {
    /// A value cannot be used.
    #[error("--{key} (from {origin}): {reason}")]
    BadValue {
        /// Which setting.
        key: &'static str,
        /// Where it was set.
        origin: Origin,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// The file holds a key that does not exist.
    #[error("{path}: unknown key '{key}'{suggestion}")]
    UnknownKey {
        /// The file.
        path: String,
        /// The key.
        key: String,
        /// The nearest known key.
        suggestion: String,
    },
    /// A variable is not text.
    #[error("the variable {name} is not UTF-8 text")]
    NotText {
        /// The variable.
        name: String,
    },
    /// Something is asked for that does not exist yet.
    #[error("--{key} (from {origin}) is not built yet: {instead}")]
    NotBuilt {
        /// Which setting.
        key: &'static str,
        /// Where it was set.
        origin: Origin,
        /// What is so without it.
        instead: &'static str,
    },
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
}

impl ConfigError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            ConfigError::BadValue { .. } | ConfigError::NotText { .. } => Code::BadValue,
            ConfigError::NotBuilt { .. } => Code::NotBuilt,
            ConfigError::UnknownKey { .. } => Code::UnknownKey,
            ConfigError::Unreadable { .. } => Code::ConfigUnreadable,
        }
    }
}
