//! Secrets in texts, and names that announce one.

use super::keys::{Key, classify};
use super::scanner;

/// Masks likely secrets: values of secret-like names in every notation, bearer tokens, credentials in URLs and on command
/// lines, key blocks and well-known token forms. A help, not a promise: an unmarked secret cannot be recognised. The time
/// grows linearly with the text.
pub fn mask(text: &str) -> String {
    scanner::counted(text).0
}

/// Whether a name announces that its value is a secret.
pub fn announces_secret(name: &str) -> bool {
    !matches!(classify(name), Key::None | Key::Naming | Key::Value | Key::Weak)
}
