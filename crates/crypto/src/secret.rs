//! Comparison of secrets.

use crate::hash::sha256;

/// Whether two secrets are equal, in a time that reveals neither where they differ nor how long they are.
pub fn same_secret(one: &[u8], other: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(&sha256(one).0, &sha256(other).0).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_equal_secrets_are_the_same() {
        assert!(same_secret(b"abc", b"abc") && !same_secret(b"abc", b"abd") && !same_secret(b"abc", b""));
    }
}
