//! The system's randomness.

/// A random fraction in 0..1, to spread retries. 0.5 when the system has no randomness.
pub fn random_fraction() -> f64 {
    let mut bytes = [0; 4];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
        Err(_) => 0.5,
    }
}

/// Random bytes that nobody can guess; `None` when the system has no randomness.
pub fn random_bytes<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).ok().map(|()| bytes)
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
