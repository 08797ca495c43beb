//! What the keys of a state sign, also after another one was added.

use super::{Keys, Origin, read_public, show_public};
use conductor_core::attestation::Attest;
use conductor_core::digest::hex;
use conductor_crypto::{KeyRing, RootKey};

#[test]
fn each_key_of_the_ring_signs_again_what_it_has_signed() {
    let mut ring = KeyRing::of(RootKey::generate().unwrap());
    let keys = Keys::new(KeyRing::parse(ring.text().as_bytes()).unwrap(), Origin::Made("a".into()));
    let (old, signed) = (keys.key().to_owned(), keys.attest(keys.key(), b"{}".to_vec()));
    ring.rotate(RootKey::generate().unwrap());
    let keys = Keys::new(ring, Origin::Made("a".into()));
    assert_ne!(keys.key(), old);
    assert_eq!(keys.attest(&old, b"{}".to_vec()), signed);
    let unknown = keys.attest("0000000000000000", b"{}".to_vec());
    assert_eq!(unknown.signatures[0].keyid, keys.key());
    assert_eq!(read_public(&show_public(&keys.public())).unwrap(), keys.public());
    assert!(read_public("-----BEGIN PUBLIC KEY-----\nAAAA").is_err());
    assert_eq!(hex(&keys.public()[0].id().0), old);
}
