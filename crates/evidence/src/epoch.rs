//! The keys of epochs. Each follows from the one before by a hash that cannot be undone, so whoever takes the current one cannot sign in
//! the name of an earlier epoch; and a key file that a power cut made older still leads to the current key.

use conductor_core::Digest;
use conductor_core::digest::hex;
use conductor_crypto::{SigningKey, random_secret, sha256_of_parts};
use zeroize::Zeroizing;

/// What the two hashes of a secret are for.
const NEXT: &[u8] = b"conductor-loop audit: the next epoch";
const SIGN: &[u8] = b"conductor-loop audit: the key of the epoch";

/// The most epochs between a key file and a trail: three years of them without a sync.
const AHEAD_MAX: u64 = 100_000;

/// The secret behind this one.
fn following(secret: &Zeroizing<[u8; 32]>) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(sha256_of_parts(&[NEXT, secret.as_slice()]).0)
}

/// The secret of an epoch.
#[derive(Clone)]
pub(crate) struct Ratchet {
    epoch: u64,
    secret: Zeroizing<[u8; 32]>,
    /// Made once: making it costs as much as a signature.
    key: SigningKey,
}

impl Ratchet {
    fn of(epoch: u64, secret: Zeroizing<[u8; 32]>) -> Self {
        let seed = Zeroizing::new(sha256_of_parts(&[SIGN, secret.as_slice()]).0);
        Self { epoch, key: SigningKey::from_seed(&seed), secret }
    }

    /// A new secret for this epoch; `None` if the system has no randomness.
    pub(crate) fn random(epoch: u64) -> Option<Self> {
        Some(Self::of(epoch, random_secret()?))
    }

    /// Reads the key file, which holds the epoch and 64 digits; `None` if it is none.
    pub(crate) fn read(file: &[u8]) -> Option<Self> {
        let (epoch, digits) = std::str::from_utf8(file).ok()?.strip_suffix('\n')?.split_once(' ')?;
        let secret = Zeroizing::new(Digest::from_hex(digits)?.0);
        Some(Self::of(epoch.parse().ok()?, secret))
    }

    /// The content of the key file.
    pub(crate) fn text(&self) -> Zeroizing<Vec<u8>> {
        let digits = Zeroizing::new(hex(self.secret.as_slice()));
        Zeroizing::new(format!("{} {}\n", self.epoch, digits.as_str()).into_bytes())
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The key pair of this epoch.
    pub(crate) fn key(&self) -> &SigningKey {
        &self.key
    }

    /// The secret of the next epoch.
    pub(crate) fn next(&self) -> Self {
        Self::of(self.epoch.saturating_add(1), following(&self.secret))
    }

    /// The secret of this epoch, if it is neither an earlier one nor so far ahead that no daemon came there.
    pub(crate) fn until(self, epoch: u64) -> Option<Self> {
        if !(self.epoch..self.epoch.saturating_add(AHEAD_MAX)).contains(&epoch) {
            return None;
        }
        let secret = (self.epoch..epoch).fold(self.secret, |secret, _| following(&secret));
        Some(Self::of(epoch, secret))
    }
}

impl std::fmt::Debug for Ratchet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ratchet({})", self.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_forward_only_and_an_older_file_leads_to_the_current_key() {
        let first = Ratchet::random(3).unwrap();
        let read = Ratchet::read(&first.text()).unwrap();
        assert_eq!(read.key().public(), first.key().public());
        let later = first.next().next();
        assert_eq!(read.until(5).unwrap().key().public(), later.key().public());
        assert_ne!(first.key().public(), later.key().public());
        assert!(later.clone().until(4).is_none() && later.until(u64::MAX).is_none());
        assert_ne!(Ratchet::random(3).unwrap().key().public(), first.key().public());
    }

    #[test]
    fn a_printed_secret_shows_its_epoch_alone() {
        assert_eq!(format!("{:?}", Ratchet::random(7).unwrap()), "Ratchet(7)");
        for broken in [b"".as_slice(), b"1 00\n", &[b"1 ", "0".repeat(64).as_bytes()].concat()] {
            assert!(Ratchet::read(broken).is_none());
        }
    }
}
