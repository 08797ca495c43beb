//! What the crypto library computes, held against a second implementation: other crates, which share no code with it.

#![expect(clippy::unwrap_used, reason = "tests")]

use aes::Aes256;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use cmac::{Cmac, Mac};
use conductor_core::digest::hex;
use conductor_crypto::{NameKey, RootKey, SealKey, SigningKey, VerifyingKey, sha256};
use ed25519_dalek::{Signer, Verifier};
use hkdf::Hkdf;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

/// AES-256-GCM with the key and the nonce that XAES-256-GCM (C2SP) makes of a key and 24 bytes.
fn xaes(key: &[u8; 32], nonce: &[u8; 24]) -> (Aes256Gcm, [u8; 12]) {
    let half = |counter: u8| {
        let mut mac = <Cmac<Aes256> as KeyInit>::new(key.into());
        mac.update(&[0, counter, b'X', 0]);
        mac.update(&nonce[..12]);
        mac.finalize().into_bytes()
    };
    let derived = [half(1), half(2)].concat();
    (Aes256Gcm::new(derived.as_slice().into()), nonce[12..].try_into().unwrap())
}

fn hkdf(secret: &[u8], salt: &[u8], info: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    Hkdf::<Sha256>::new(Some(salt), secret).expand(info, &mut out).unwrap();
    out
}

proptest! {
    #[test]
    fn what_one_seals_the_other_opens(
        key: [u8; 32],
        nonce: [u8; 24],
        context in proptest::collection::vec(any::<u8>(), 0..80),
        value in proptest::collection::vec(any::<u8>(), 0..2_000),
    ) {
        let ours = SealKey::new(&key).unwrap();
        let sealed = ours.seal(&context, &value).unwrap();
        let (aead, inner) = xaes(&key, sealed[..24].try_into().unwrap());
        let opened = aead.decrypt(Nonce::from_slice(&inner), Payload { msg: &sealed[24..], aad: &context });
        prop_assert_eq!(opened.ok(), Some(value.clone()));
        let (aead, inner) = xaes(&key, &nonce);
        let theirs = aead.encrypt(Nonce::from_slice(&inner), Payload { msg: &value, aad: &context }).unwrap();
        let sealed = [nonce.as_slice(), &theirs].concat();
        prop_assert_eq!(ours.open(&context, &sealed), Some(value));
    }

    #[test]
    fn both_sign_alike_and_verify_each_other(seed: [u8; 32], message in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let (ours, theirs) = (SigningKey::from_seed(&seed), ed25519_dalek::SigningKey::from_bytes(&seed));
        prop_assert_eq!(*ours.public().as_bytes(), theirs.verifying_key().to_bytes());
        let signature = ours.sign(&message);
        prop_assert_eq!(signature, theirs.sign(&message).to_bytes());
        prop_assert!(theirs.verifying_key().verify(&message, &signature.into()).is_ok());
        prop_assert!(VerifyingKey::from_bytes(theirs.verifying_key().as_bytes()).verify(&message, &signature));
    }

    #[test]
    fn both_derive_hash_and_hide_alike(
        secret: [u8; 32],
        salt in proptest::collection::vec(any::<u8>(), 0..80),
        purpose in "[a-z ]{1,40}",
        name in "\\PC{0,80}",
    ) {
        // A key of equal bytes is refused.
        prop_assume!(secret.iter().any(|byte| *byte != secret[0]));
        let root = RootKey::from_bytes(&secret).unwrap();
        prop_assert_eq!(*root.derive(&purpose), hkdf(&secret, &[], purpose.as_bytes()));
        prop_assert_eq!(*root.derive_with(&salt, &purpose), hkdf(&secret, &salt, purpose.as_bytes()));
        prop_assert_eq!(sha256(name.as_bytes()).0, <[u8; 32]>::from(Sha256::digest(name.as_bytes())));
        let mut mac = <hmac::Hmac<Sha256> as Mac>::new_from_slice(&secret).unwrap();
        mac.update([purpose.as_bytes(), &[0], name.as_bytes()].concat().as_slice());
        let hidden = NameKey::new(&secret).hide(&purpose, &name);
        prop_assert_eq!(hidden, hex(&mac.finalize().into_bytes()[..16]));
    }
}
