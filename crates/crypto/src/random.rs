//! The system's randomness: the kernel's generator, asked directly. The one of the crypto library collects timing noise of its own
//! before its first number, which takes some 40 ms of CPU in each process.

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

/// A random fraction in 0..1, to spread retries. 0.5 when the system has no randomness.
pub fn random_fraction() -> f64 {
    random_bytes().map_or(0.5, |bytes| f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0))
}

/// Random bytes that nobody can guess; `None` when the system has no randomness.
pub fn random_bytes<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Some(bytes)
}

/// Fills all of it with random bytes that nobody can guess, once the kernel has collected enough to make them; `None` when
/// the system has none.
pub(crate) fn fill(mut bytes: &mut [u8]) -> Option<()> {
    while !bytes.is_empty() {
        match getrandom(&mut *bytes, GetRandomFlags::empty()) {
            Ok(filled) => bytes = bytes.get_mut(filled..)?,
            Err(Errno::INTR) => {}
            Err(_) => return None,
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_is_below_one_and_not_always_the_same() {
        let drawn: Vec<f64> = (0..100).map(|_| random_fraction()).collect();
        assert!(drawn.iter().all(|fraction| (0.0..1.0).contains(fraction)));
        assert_ne!(random_bytes::<16>(), random_bytes::<16>());
        assert!(drawn.iter().any(|fraction| (fraction - drawn[0]).abs() > f64::EPSILON));
    }
}
