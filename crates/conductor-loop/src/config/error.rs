//! Errors of a configuration: the setting, its origin, and the correct form.

use super::origin::Origin;
use conductor_core::Code;

/// An error in the configuration.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConfigError {
    /// A value cannot be used.
    #[error("--{key} (from {origin}): {reason}")]
    BadValue {
        /// The setting.
        key: &'static str,
        /// The origin of the value.
        origin: Origin,
        /// The error, and the correct form.
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
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// The reason.
        reason: String,
    },
}

impl ConfigError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            ConfigError::BadValue { .. } | ConfigError::NotText { .. } => Code::BadValue,
            ConfigError::UnknownKey { .. } => Code::UnknownKey,
            ConfigError::Unreadable { .. } => Code::ConfigUnreadable,
        }
    }
}
