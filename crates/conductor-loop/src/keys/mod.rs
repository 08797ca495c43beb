//! The root keys of a state, and what is signed in their name. Finds the key file, refuses one that is no secret, makes one
//! where the operator gave none, and keeps the public halves beside the store.

mod file;
mod status;

pub use file::{KeyError, Origin, PUBLIC_KEYS, PUBLIC_MAX, Places, ROOT_KEY, known_public};
pub use status::{Genuine, check_status};

use conductor_core::attestation::{Attest, Envelope, PAYLOAD_TYPE, Signature};
use conductor_core::scrub::line;
use conductor_crypto::{KeyRing, RootKey, SigningKey, VerifyingKey, base64, dsse_bytes, from_base64};
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

/// The keys of a state.
#[derive(Debug)]
pub struct Keys {
    ring: Arc<KeyRing>,
    origin: Origin,
    /// The key pairs that sign, oldest first; the last one for what is new.
    identities: Vec<(String, SigningKey)>,
}

impl Keys {
    fn new(ring: KeyRing, origin: Origin) -> Self {
        let identities =
            ring.keys().map(RootKey::identity).map(|key| (key.public().id().to_string(), key)).collect();
        Self { ring: Arc::new(ring), origin, identities }
    }

    /// Where they come from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The root keys.
    pub fn ring(&self) -> &Arc<KeyRing> {
        &self.ring
    }

    /// The public keys, oldest first.
    pub fn public(&self) -> Vec<VerifyingKey> {
        self.identities.iter().map(|(_, key)| key.public()).collect()
    }

    /// A payload signed by every key, so that whoever trusts one of them can check it.
    pub fn sign_by_each(&self, payload_type: &str, payload: &[u8]) -> Envelope {
        enveloped(payload_type, payload, &self.identities)
    }

    /// The key pair that signs what is new.
    pub fn identity(&self) -> SigningKey {
        self.ring.newest().identity()
    }
}

impl Attest for Keys {
    fn key(&self) -> &str {
        // A ring has a newest key.
        self.identities.last().map_or("", |(name, _)| name)
    }

    fn attest(&self, key: &str, statement: Vec<u8>) -> Envelope {
        let named = self.identities.iter().rfind(|(name, _)| name == key);
        enveloped(PAYLOAD_TYPE, &statement, named.or(self.identities.last()))
    }
}

/// A payload with a signature of each of these keys.
fn enveloped<'k>(
    payload_type: &str,
    payload: &[u8],
    keys: impl IntoIterator<Item = &'k (String, SigningKey)>,
) -> Envelope {
    let signed = dsse_bytes(payload_type, payload);
    let signature = |(name, identity): &(String, SigningKey)| Signature {
        keyid: name.clone(),
        sig: base64(&identity.sign(&signed)),
    };
    Envelope {
        payload_type: payload_type.to_owned(),
        payload: base64(payload),
        signatures: keys.into_iter().map(signature).collect(),
    }
}

/// The payload of an envelope of this type and the name of the trusted key that has signed it. The error says what does not match.
pub fn signed_payload(
    envelope: &Envelope,
    payload_type: &str,
    trusted: &[VerifyingKey],
) -> Result<(Vec<u8>, String), String> {
    if envelope.payload_type != payload_type {
        return Err(format!("its attestation has the payload type {}", line(&envelope.payload_type, 100)));
    }
    let payload = from_base64(&envelope.payload).ok_or("the payload of its attestation is no base64")?;
    let bytes = dsse_bytes(payload_type, &payload);
    let mut known = false;
    for signature in &envelope.signatures {
        let Some(key) = trusted.iter().find(|key| key.id().to_string() == signature.keyid) else { continue };
        known = true;
        let made = from_base64(&signature.sig).and_then(|sig| <[u8; 64]>::try_from(sig).ok());
        if made.is_some_and(|sig| key.verify(&bytes, &sig)) {
            return Ok((payload, signature.keyid.clone()));
        }
    }
    Err(if known {
        "its signature does not fit what was signed".to_owned()
    } else {
        let names: Vec<&str> = envelope.signatures.iter().map(|signature| signature.keyid.as_str()).collect();
        format!("it is signed by a key that is not trusted here ({})", line(&names.join(", "), 200))
    })
}

/// The public keys of a text of PEM blocks. A block that is no Ed25519 key is an error, so that none is lost without a word.
pub fn read_public(text: &str) -> io::Result<Vec<VerifyingKey>> {
    const BEGIN: &str = "-----BEGIN ";
    let blocks = text.match_indices(BEGIN).filter_map(|(at, _)| text.get(at..));
    let keys: Option<Vec<_>> = blocks.map(VerifyingKey::from_pem).collect();
    keys.ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, "a block in it is no public key of Ed25519")
    })
}

/// The public keys as PEM blocks, each with its name before it.
pub fn show_public(keys: &[VerifyingKey]) -> String {
    let mut text = String::new();
    for key in keys {
        // Writing to a String cannot fail.
        let _ = write!(text, "# {}\n{}", key.id(), key.to_pem());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor_core::digest::hex;

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
}
