//! The keys of a state while they are used: what they sign. How they are found and kept stands in `file`.

use super::envelope::enveloped;
use super::origin::Origin;
use conductor_core::attestation::{Attest, Envelope, PAYLOAD_TYPE};
use conductor_crypto::{KeyRing, RootKey, SigningKey, VerifyingKey};
use std::sync::Arc;

/// The keys of a state.
#[derive(Debug)]
pub struct Keys {
    pub(super) ring: Arc<KeyRing>,
    pub(super) origin: Origin,
    /// The key pairs that sign, oldest first; the last one for what is new.
    identities: Vec<(String, SigningKey)>,
}

impl Keys {
    pub(super) fn new(ring: KeyRing, origin: Origin) -> Self {
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
