//! The keys of epochs. Each follows from the one before by a hash that cannot be undone, so whoever takes the current one cannot sign in
//! the name of an earlier epoch; and a key file that a power cut made older still leads to the current key.

use conductor_crypto::{SealKey, SigningKey, base64, from_base64, random_secret, sha256_of_parts};
use zeroize::Zeroizing;

/// What the two hashes of a secret are for.
const NEXT: &[u8] = b"conductor-loop audit: the next epoch";
const SIGN: &[u8] = b"conductor-loop audit: the key of the epoch";

/// The most epochs between a key file and a trail: three years of them without a sync.
const AHEAD_MAX: u64 = 100_000;

/// What a sealed secret is bound to.
fn context(epoch: u64) -> Vec<u8> {
    format!("conductor-loop audit: the secret of epoch {epoch}").into_bytes()
}

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

    /// Reads the key file: the epoch, and the secret sealed in base64. `None` if it is none, or none of the keys opens it.
    pub(crate) fn read(file: &[u8], covers: &[SealKey]) -> Option<Self> {
        let (epoch, sealed) = std::str::from_utf8(file).ok()?.strip_suffix('\n')?.split_once(' ')?;
        let (epoch, sealed) = (epoch.parse().ok()?, from_base64(sealed)?);
        let opened = covers.iter().find_map(|cover| cover.open(&context(epoch), &sealed))?;
        let secret: [u8; 32] = Zeroizing::new(opened).as_slice().try_into().ok()?;
        Some(Self::of(epoch, Zeroizing::new(secret)))
    }

    /// The content of the key file; `None` if the system has no randomness.
    pub(crate) fn text(&self, cover: &SealKey) -> Option<Vec<u8>> {
        let sealed = cover.seal(&context(self.epoch), self.secret.as_slice()).ok()?;
        Some(format!("{} {}\n", self.epoch, base64(&sealed)).into_bytes())
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
        let covers = [7, 8].map(|byte| SealKey::new(&[byte; 32]).unwrap());
        let text = first.text(&covers[0]).unwrap();
        let read = Ratchet::read(&text, &covers).unwrap();
        assert_eq!(read.key().public(), first.key().public());
        assert!(Ratchet::read(&text, &covers[1..]).is_none(), "sealed for the other key");
        assert!(!text.windows(32).any(|part| part == first.secret.as_slice()));
        let renamed = [b"4".as_slice(), &text[1..]].concat();
        assert!(Ratchet::read(&renamed, &covers).is_none(), "of another epoch");
        let later = first.next().next();
        assert_eq!(read.until(5).unwrap().key().public(), later.key().public());
        assert_ne!(first.key().public(), later.key().public());
        assert!(later.clone().until(4).is_none() && later.until(u64::MAX).is_none());
        assert_ne!(Ratchet::random(3).unwrap().key().public(), first.key().public());
    }

    #[test]
    fn a_printed_secret_shows_its_epoch_alone() {
        assert_eq!(format!("{:?}", Ratchet::random(7).unwrap()), "Ratchet(7)");
        let cover = [SealKey::new(&[7; 32]).unwrap()];
        for broken in [b"".as_slice(), b"1 00\n", &[b"1 ", "0".repeat(64).as_bytes(), b"\n"].concat()] {
            assert!(Ratchet::read(broken, &cover).is_none());
        }
    }
}
