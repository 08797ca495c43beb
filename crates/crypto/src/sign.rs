//! Ed25519 signatures (RFC 8032): the same key and bytes have the same signature each time.

use crate::envelope::{base64, from_base64};
use crate::hash::sha256;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, VerificationAlgorithm};
use conductor_core::digest::hex;
use std::fmt;

/// The bytes before a raw Ed25519 key in a `SubjectPublicKeyInfo` (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const PEM_BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const PEM_END: &str = "-----END PUBLIC KEY-----";

/// The private half of a key pair. The library clears its memory when the last copy goes; no copy of the seed is kept here.
#[derive(Clone)]
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// The key pair of a seed. Every 32 bytes are one, so the seed must come from a source of randomness or be derived from such bytes.
    ///
    /// # Panics
    /// When the library has no memory.
    #[expect(
        clippy::expect_used,
        reason = "32 bytes are a seed whatever they are; the library fails for want of memory alone, where Rust aborts as well"
    )]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(seed).expect("a seed has 32 bytes"))
    }

    /// The public half.
    pub fn public(&self) -> VerifyingKey {
        VerifyingKey(array(self.0.public_key().as_ref()))
    }

    /// The signature of `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        array(self.0.sign(message).as_ref())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public().id())
    }
}

/// The public half of a key pair.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VerifyingKey([u8; 32]);

impl VerifyingKey {
    /// The key of these bytes. Bytes that are no point of the curve make a key that verifies nothing.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(*bytes)
    }

    /// The bytes of the key (RFC 8032).
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether `signature` is one of `message` by the private half of this key.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        ED25519.verify_sig(&self.0, message, signature).is_ok()
    }

    /// The short name of the key.
    pub fn id(&self) -> KeyId {
        KeyId(array(&sha256(&self.0).0))
    }

    /// The key as `SubjectPublicKeyInfo` in PEM, the form that openssl reads.
    pub fn to_pem(&self) -> String {
        let text = base64(&[SPKI_PREFIX.as_slice(), &self.0].concat());
        format!("{PEM_BEGIN}\n{text}\n{PEM_END}\n")
    }

    /// Reads a key from `SubjectPublicKeyInfo` in PEM; text before and after the block is passed over. None for keys of other kinds.
    pub fn from_pem(pem: &str) -> Option<Self> {
        let text = pem.split_once(PEM_BEGIN)?.1.split_once(PEM_END)?.0;
        let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let bytes = from_base64(&text)?;
        let key = bytes.strip_prefix(SPKI_PREFIX.as_slice())?;
        Some(Self(key.try_into().ok()?))
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", hex(&self.0))
    }
}

/// The short name of a public key: the first 8 bytes of the SHA-256 of its 32 bytes, printed as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// The first bytes of `from`; the callers give at least as many as they ask for.
fn array<const N: usize>(from: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(from) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unhex<const N: usize>(text: &str) -> [u8; N] {
        let bytes: Vec<u8> =
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect();
        bytes.try_into().unwrap()
    }

    /// Section 7.1 of RFC 8032: seed, public key, message, signature.
    const RFC_8032: [(&str, &str, &[u8], &str); 3] = [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            b"",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            &[0x72],
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            &[0xaf, 0x82],
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ];

    #[test]
    fn the_vectors_of_rfc_8032_are_signed_and_verified() {
        for (seed, public, message, signature) in RFC_8032 {
            let key = SigningKey::from_seed(&unhex(seed));
            let (public, signature) = (VerifyingKey::from_bytes(&unhex(public)), unhex(signature));
            assert_eq!(key.public(), public);
            assert_eq!(key.sign(message), signature);
            assert!(public.verify(message, &signature));
        }
    }

    #[test]
    fn a_signature_holds_for_its_key_and_its_bytes_alone() {
        let key = SigningKey::from_seed(&[7; 32]);
        let signature = key.sign(b"message");
        assert!(key.public().verify(b"message", &signature));
        assert!(!key.public().verify(b"massage", &signature));
        assert!(!SigningKey::from_seed(&[8; 32]).public().verify(b"message", &signature));
        assert!(!VerifyingKey::from_bytes(&[0xff; 32]).verify(b"message", &signature));
        for at in 0..64 {
            let mut changed = signature;
            changed[at] ^= 1;
            assert!(!key.public().verify(b"message", &changed), "byte {at}");
        }
    }

    #[test]
    fn a_public_key_goes_through_pem_and_other_keys_are_refused() {
        // What `openssl pkey -pubout` writes for the first key of RFC 8032.
        let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
        let key = VerifyingKey::from_pem(pem).unwrap();
        assert_eq!(key, VerifyingKey::from_bytes(&unhex(RFC_8032[0].1)));
        assert_eq!(key.to_pem(), pem);
        assert_eq!(
            VerifyingKey::from_pem(&format!("key of host a\r\n{}", pem.replace('\n', "\r\n"))),
            Some(key)
        );
        // X25519 instead of Ed25519; one byte less; no end; no base64.
        for other in [
            pem.replace("K2VwAyEA", "K2VuAyEA"),
            pem.replace("URo=", "UQ=="),
            pem.replace("-----END", "-----"),
            pem.replace("MCow", "MC w!"),
            String::new(),
        ] {
            assert_eq!(VerifyingKey::from_pem(&other), None, "{other}");
        }
    }

    #[test]
    fn a_printed_signing_key_shows_its_name_and_not_its_seed() {
        let seed = unhex(RFC_8032[0].0);
        let printed = format!("{:?}", SigningKey::from_seed(&seed));
        assert_eq!(printed, "SigningKey(21fe31dfa154a261)");
        assert!(!printed.contains(&hex(&seed)[..8]));
        assert!(!printed.contains(&format!("{}, {}", seed[0], seed[1])));
    }
}
