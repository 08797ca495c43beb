//! The names git gives to objects.

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use conductor_core::digest::hex;

/// The name of an object of this kind and these bytes: SHA-1 in 40 digits, else SHA-256 in 64, as the repository has it.
pub fn git_name(kind: &str, bytes: &[u8], digits: usize) -> String {
    let algorithm = if digits == 40 { &SHA1_FOR_LEGACY_USE_ONLY } else { &SHA256 };
    let mut hash = Context::new(algorithm);
    hash.update(format!("{kind} {}\0", bytes.len()).as_bytes());
    hash.update(bytes);
    hex(hash.finish().as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_an_empty_file_and_directory_are_known() {
        for name in [
            "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
            "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813",
        ] {
            assert_eq!(git_name("blob", b"", name.len()), name);
            assert_ne!(git_name("blob", b"x", name.len()), name);
        }
        assert_eq!(git_name("tree", b"", 40), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
    }
}
