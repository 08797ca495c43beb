//! The refusal of an intent, with what it shows of foreign text made safe.

use crate::code::Code;
use crate::scrub;
use serde::{Deserialize, Serialize};

/// The refusal of an intent: the rule, the place, the value found and the expected one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The stable code.
    pub code: Code,
    /// JSON pointer (RFC 6901) to the value; empty for the document or the file itself.
    pub field: String,
    /// The value found, made safe for a terminal.
    pub found: String,
    /// The expected value.
    pub expected: String,
}

impl Refusal {
    /// Makes a refusal; `found` is cut and escaped here, so callers can pass unsafe text.
    pub fn new(code: Code, field: &str, found: &str, expected: &str) -> Self {
        let member = field.rsplit('/').next().unwrap_or_default();
        let found = if found.starts_with('\'') && scrub::announces_secret(member) {
            "a text that is not shown, for its name is a secret's".to_owned()
        } else {
            scrub::shown(found, 120)
        };
        Self { code, field: scrub::shown(field, 300), found, expected: expected.to_owned() }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.code.title())?;
        if !self.field.is_empty() {
            write!(f, " at {}", self.field)?;
        }
        write!(f, ": found {}; expected {}", self.found, self.expected)
    }
}
