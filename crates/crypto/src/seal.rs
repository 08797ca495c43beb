//! Authenticated encryption of values at rest: XAES-256-GCM (C2SP), which is AES-256-GCM with a key of its own for each
//! value, derived from half of a random nonce of 192 bits. A random nonce of that size never repeats in practice, so a key
//! needs no counter of what it has sealed.

use crate::random::fill;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::cmac;
use conductor_core::digest::hex;
use zeroize::Zeroizing;

/// The size of a nonce in bytes: half of it derives the key, half of it is the nonce of AES-GCM.
const XNONCE: usize = 24;
/// How much larger a sealed value is, in bytes: nonce and tag.
pub const SEAL_OVERHEAD: usize = XNONCE + 16;

/// The system has no randomness, or the value is beyond what AES-GCM takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotSealed;

impl std::fmt::Display for NotSealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("it cannot be encrypted: no randomness")
    }
}

impl std::error::Error for NotSealed {}

/// A key that seals values.
pub struct SealKey(cmac::Key);

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey")
    }
}

impl SealKey {
    /// A key of these bytes; `None` for want of memory alone.
    pub fn new(key: &[u8; 32]) -> Option<Self> {
        cmac::Key::new(cmac::AES_256, key).ok().map(Self)
    }

    /// The value encrypted, and bound to `context`.
    pub fn seal(&self, context: &[u8], value: &[u8]) -> Result<Vec<u8>, NotSealed> {
        let mut nonce = [0; XNONCE];
        fill(&mut nonce).ok_or(NotSealed)?;
        self.seal_with(nonce, context, value).ok_or(NotSealed)
    }

    fn seal_with(&self, nonce: [u8; XNONCE], context: &[u8], value: &[u8]) -> Option<Vec<u8>> {
        let (key, inner) = self.of(&nonce)?;
        let mut sealed = Vec::with_capacity(value.len() + SEAL_OVERHEAD);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(value);
        let tag =
            key.seal_in_place_separate_tag(inner, Aad::from(context), sealed.get_mut(XNONCE..)?).ok()?;
        sealed.extend_from_slice(tag.as_ref());
        Some(sealed)
    }

    /// The value that was sealed for this context; `None` if it was not, or was changed.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<XNONCE>()?;
        let (key, inner) = self.of(nonce)?;
        let mut value = sealed.to_vec();
        let length = key.open_in_place(inner, Aad::from(context), &mut value).ok()?.len();
        value.truncate(length);
        Some(value)
    }

    /// The key of one value, and its nonce.
    fn of(&self, nonce: &[u8; XNONCE]) -> Option<(LessSafeKey, Nonce)> {
        let (first, second) = nonce.split_first_chunk::<NONCE_LEN>()?;
        let mut key = Zeroizing::new([0; 32]);
        for (half, counter) in key.chunks_exact_mut(16).zip([1, 2]) {
            let mut block = [0, counter, b'X', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            block.get_mut(4..)?.copy_from_slice(first);
            half.copy_from_slice(cmac::sign(&self.0, &block).ok()?.as_ref());
        }
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).ok()?);
        Some((key, Nonce::try_assume_unique_for_key(second).ok()?))
    }
}

/// A key that hides names: equal names stay equal, and nothing else can be told from them.
pub struct NameKey(aws_lc_rs::hmac::Key);

impl std::fmt::Debug for NameKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NameKey")
    }
}

impl NameKey {
    /// A key of these bytes.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key))
    }

    /// The name hidden: half of HMAC-SHA-256, in 32 hexadecimal digits.
    pub fn hide(&self, context: &str, name: &str) -> String {
        let mut mac = aws_lc_rs::hmac::Context::with_key(&self.0);
        mac.update(context.as_bytes());
        mac.update(&[0]);
        mac.update(name.as_bytes());
        hex(mac.sign().as_ref().get(..16).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of the C2SP specification of XAES-256-GCM.
    #[test]
    fn the_vectors_of_the_specification_are_sealed_and_opened() {
        for (key, context, sealed) in [
            ([1; 32], b"".as_slice(), "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
            (
                [3; 32],
                b"c2sp.org/XAES-256-GCM".as_slice(),
                "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d",
            ),
        ] {
            let (key, nonce) = (SealKey::new(&key).unwrap(), *b"ABCDEFGHIJKLMNOPQRSTUVWX");
            let made = key.seal_with(nonce, context, b"XAES-256-GCM").unwrap();
            assert_eq!(hex(&made[XNONCE..]), sealed);
            assert_eq!(key.open(context, &made).unwrap(), b"XAES-256-GCM");
        }
    }

    #[test]
    fn what_was_changed_cut_or_moved_does_not_open_and_no_nonce_repeats() {
        let (key, other) = (SealKey::new(&[7; 32]).unwrap(), SealKey::new(&[8; 32]).unwrap());
        let sealed = key.seal(b"here", b"value").unwrap();
        assert_eq!(sealed.len(), 5 + SEAL_OVERHEAD);
        assert_eq!(key.open(b"here", &sealed).unwrap(), b"value");
        assert_eq!(key.open(b"there", &sealed), None);
        assert_eq!(other.open(b"here", &sealed), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(key.open(b"here", &changed), None, "byte {at}");
            assert_eq!(key.open(b"here", &sealed[..at]), None, "cut at {at}");
        }
        let nonces: std::collections::HashSet<Vec<u8>> =
            (0..10_000).map(|_| key.seal(b"", b"").unwrap()[..XNONCE].to_vec()).collect();
        assert_eq!(nonces.len(), 10_000);
    }

    #[test]
    fn a_hidden_name_is_the_same_each_time_and_differs_by_table_and_key() {
        let (key, other) = (NameKey::new(&[1; 32]), NameKey::new(&[2; 32]));
        let hidden = key.hide("targets", "shop/web");
        assert_eq!((hidden.len(), &hidden), (32, &key.hide("targets", "shop/web")));
        for different in
            [key.hide("held", "shop/web"), key.hide("targets", "shop/we"), other.hide("targets", "shop/web")]
        {
            assert_ne!(hidden, different);
        }
    }
}
