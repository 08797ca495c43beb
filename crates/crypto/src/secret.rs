//! Secrets: made and compared.

use crate::hash::sha256;
use crate::random::fill;
use zeroize::Zeroizing;

/// 32 secret bytes from the system's randomness, wiped when they are dropped; `None` if the system has none.
pub fn random_secret() -> Option<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    fill(bytes.as_mut())?;
    Some(bytes)
}

/// Whether two secrets are equal, in a time that reveals neither where they differ nor how long they are.
pub fn same_secret(one: &[u8], other: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(&sha256(one).0, &sha256(other).0).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_secrets_differ() {
        let (one, other) = (random_secret().unwrap(), random_secret().unwrap());
        assert!(*one != *other && *one != [0; 32]);
    }

    #[test]
    fn only_equal_secrets_are_the_same() {
        assert!(same_secret(b"abc", b"abc") && !same_secret(b"abc", b"abd") && !same_secret(b"abc", b""));
    }
}
