//! Root keys: 32 secret bytes, from which every other key is derived (HKDF-SHA-256, RFC 5869), and the ring of them.

use crate::envelope::{base64, from_base64};
use crate::secret::random_secret;
use crate::sign::SigningKey;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use conductor_core::digest::hex;
use zeroize::Zeroizing;

/// The size of a root key in bytes.
pub const ROOT_KEY_SIZE: usize = 32;
/// What a derived value is for. Each is an `info` of HKDF, and none may ever be used for another purpose.
const KEY_ID: &str = "conductor key id";
const IDENTITY: &str = "conductor identity key";

/// Why bytes are no root key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadKey {
    /// There is none.
    Missing,
    /// It is not 32 bytes, or not base64 of 32 bytes.
    Size,
    /// All its bytes are the same, as in a file that was filled and never written.
    Constant,
    /// The ring names it twice.
    Repeated,
}

impl std::fmt::Display for BadKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Missing => "it holds no key",
            Self::Size => "a key is 32 bytes: raw, or as one line of base64",
            Self::Constant => "all bytes of the key are equal",
            Self::Repeated => "it names a key twice",
        })
    }
}

impl std::error::Error for BadKey {}

/// A root key. It is wiped from memory when it is dropped, and never printed.
pub struct RootKey(Zeroizing<[u8; ROOT_KEY_SIZE]>);

impl std::fmt::Debug for RootKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RootKey({})", self.id())
    }
}

impl RootKey {
    /// A new key from the system's randomness; `None` if there is none.
    pub fn generate() -> Option<Self> {
        random_secret().map(Self)
    }

    /// A key of these bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadKey> {
        let bytes: [u8; ROOT_KEY_SIZE] = bytes.try_into().map_err(|_| BadKey::Size)?;
        let bytes = Zeroizing::new(bytes);
        let constant = bytes.iter().all(|byte| Some(byte) == bytes.first());
        if constant { Err(BadKey::Constant) } else { Ok(Self(bytes)) }
    }

    /// The 32 bytes derived for a purpose.
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; ROOT_KEY_SIZE]> {
        self.derive_with(&[], purpose)
    }

    /// The 32 bytes derived for a purpose, others for each salt.
    pub fn derive_with(&self, salt: &[u8], purpose: &str) -> Zeroizing<[u8; ROOT_KEY_SIZE]> {
        struct Size;
        impl KeyType for Size {
            fn len(&self) -> usize {
                ROOT_KEY_SIZE
            }
        }
        let mut out = Zeroizing::new([0; ROOT_KEY_SIZE]);
        let key = Salt::new(HKDF_SHA256, salt).extract(self.0.as_ref());
        let info = [purpose.as_bytes()];
        // HKDF fails only for outputs longer than 255 hashes, and this one is one hash.
        let filled = key.expand(&info, Size).and_then(|okm| okm.fill(out.as_mut()));
        debug_assert!(filled.is_ok(), "one block of HKDF");
        out
    }

    /// The name by which it is shown: 16 hexadecimal digits, from which nothing of the key can be computed.
    pub fn id(&self) -> String {
        hex(self.derive(KEY_ID).get(..8).unwrap_or_default())
    }

    /// The key pair that signs in this root key's name.
    pub fn identity(&self) -> SigningKey {
        SigningKey::from_seed(&self.derive(IDENTITY))
    }

    fn line(&self) -> Zeroizing<String> {
        Zeroizing::new(base64(self.0.as_ref()))
    }
}

/// Root keys, oldest first; the newest writes, and all of them read.
#[derive(Debug)]
pub struct KeyRing {
    older: Vec<RootKey>,
    newest: RootKey,
}

impl KeyRing {
    /// A ring of one key.
    pub fn of(newest: RootKey) -> Self {
        Self { older: Vec::new(), newest }
    }

    /// Reads a key file: 32 raw bytes, or one key a line in base64, the newest last. Empty lines and lines that begin with
    /// `#` are passed over.
    pub fn parse(file: &[u8]) -> Result<Self, BadKey> {
        if file.len() == ROOT_KEY_SIZE {
            return RootKey::from_bytes(file).map(Self::of);
        }
        let mut keys = Vec::new();
        for line in file.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
            if !line.is_empty() && !line.starts_with(b"#") {
                let text = std::str::from_utf8(line).map_err(|_| BadKey::Size)?;
                let bytes = Zeroizing::new(from_base64(text).ok_or(BadKey::Size)?);
                keys.push(RootKey::from_bytes(&bytes)?);
            }
        }
        let newest = keys.pop().ok_or(BadKey::Missing)?;
        let ring = Self { older: keys, newest };
        let mut ids: Vec<String> = ring.keys().map(RootKey::id).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(BadKey::Repeated);
        }
        Ok(ring)
    }

    /// The ring as a key file.
    pub fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        for key in self.keys() {
            text.push_str(&key.line());
            text.push('\n');
        }
        text
    }

    /// Adds a key, which writes from now on.
    pub fn rotate(&mut self, newest: RootKey) {
        self.older.push(std::mem::replace(&mut self.newest, newest));
    }

    /// The key that writes.
    pub fn newest(&self) -> &RootKey {
        &self.newest
    }

    /// Every key, oldest first.
    pub fn keys(&self) -> impl Iterator<Item = &RootKey> {
        self.older.iter().chain([&self.newest])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(first: u8) -> RootKey {
        RootKey::from_bytes(&std::array::from_fn::<u8, ROOT_KEY_SIZE, _>(|i| {
            first.wrapping_add(u8::try_from(i).unwrap())
        }))
        .unwrap()
    }

    #[test]
    fn a_key_is_32_bytes_that_are_not_all_the_same() {
        for (bytes, wrong) in [
            (vec![], BadKey::Size),
            (vec![1; 31], BadKey::Size),
            (vec![0; 32], BadKey::Constant),
            (vec![255; 32], BadKey::Constant),
        ] {
            assert_eq!(RootKey::from_bytes(&bytes).unwrap_err(), wrong, "{bytes:?}");
        }
        assert_eq!(KeyRing::parse(b"").unwrap_err(), BadKey::Missing);
        assert_eq!(KeyRing::parse(b"# none\n\n").unwrap_err(), BadKey::Missing);
        assert_eq!(KeyRing::parse(b"not base64\n").unwrap_err(), BadKey::Size);
        assert_eq!(KeyRing::parse(b"AAAA\n").unwrap_err(), BadKey::Size);
    }

    #[test]
    fn a_ring_reads_back_with_the_newest_last_and_no_key_twice() {
        let mut ring = KeyRing::of(key(1));
        ring.rotate(key(2));
        let read = KeyRing::parse(ring.text().as_bytes()).unwrap();
        assert_eq!(read.keys().map(RootKey::id).collect::<Vec<_>>(), [key(1).id(), key(2).id()]);
        assert_eq!(read.newest().id(), key(2).id());
        ring.rotate(key(1));
        assert_eq!(KeyRing::parse(ring.text().as_bytes()).unwrap_err(), BadKey::Repeated);
        let raw = key(9);
        assert_eq!(KeyRing::parse(raw.0.as_ref()).unwrap().newest().id(), raw.id());
    }

    #[test]
    fn what_is_derived_differs_by_purpose_and_key_and_shows_nothing_of_it() {
        let (one, other) = (key(1), key(2));
        assert_ne!(*one.derive("a"), *one.derive("b"));
        assert_ne!(*one.derive("a"), *other.derive("a"));
        assert_ne!(*one.derive("a"), *one.derive_with(b"salt", "a"));
        assert_eq!(one.id().len(), 16);
        assert_eq!(format!("{one:?}"), format!("RootKey({})", one.id()));
        assert_ne!(one.id(), other.id());
        assert_ne!(RootKey::generate().unwrap().id(), RootKey::generate().unwrap().id());
    }

    /// RFC 5869 with SHA-256, no salt: computed by another implementation (Python's hmac).
    #[test]
    fn the_derivation_is_hkdf() {
        assert_eq!(hex(key(1).derive("conductor test").as_ref()), KNOWN);
    }

    const KNOWN: &str = "4aa3c3ac6caaf14beae57b5719f64251fddab02bccd7abe68354150d6ae33f6c";
}
