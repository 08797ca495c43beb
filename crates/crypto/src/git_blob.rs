//! The names that git gives to the contents of files.

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use conductor_core::digest::hex;

/// Whether `name` is git's object id of a file with these bytes: 40 digits of SHA-1 or 64 of SHA-256, according to the
/// repository.
pub fn is_git_blob(name: &str, bytes: &[u8]) -> bool {
    let algorithm = if name.len() == 40 { &SHA1_FOR_LEGACY_USE_ONLY } else { &SHA256 };
    let mut hash = Context::new(algorithm);
    hash.update(format!("blob {}\0", bytes.len()).as_bytes());
    hash.update(bytes);
    hex(hash.finish().as_ref()) == name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_an_empty_file_are_known() {
        for name in [
            "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
            "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813",
        ] {
            assert!(is_git_blob(name, b"") && !is_git_blob(name, b"x"), "{name}");
        }
        assert!(!is_git_blob("", b""));
    }
}
