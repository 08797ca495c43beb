//! The codec of a sealed store. A store has a salt of its own, from which and from a root key its keys are derived; the
//! table `seal`, which no codec touches, has the salt, the name of the root key, and a commitment to it.

use super::codec::{Codec, Place, Plain};
use super::table::SEAL;
use crate::store::{BadRecord, Damage, StoreError};
use conductor_crypto::{KeyRing, NameKey, RootKey, SealKey, random_bytes, same_secret};
use redb::{ReadTransaction, WriteTransaction};
use std::borrow::Cow;
use std::sync::Arc;

const ROOT: &str = "root";
const SALT: &str = "salt";
const COMMITMENT: &str = "commitment";
/// What the derived keys are for.
const VALUES: &str = "conductor state values";
const NAMES: &str = "conductor state names";
const COMMITTED: &str = "conductor state commitment";
/// Begins what each value is bound to.
const CONTEXT: &[u8] = b"conductor state v1\0";

/// How a store is to be sealed, and the keys that open it.
#[derive(Debug, Clone)]
pub enum Sealing {
    /// By the newest key of the ring.
    On(Arc<KeyRing>),
    /// Not at all; the ring opens a store that was sealed before.
    Off(Arc<KeyRing>),
    /// Without keys, for this reason; only a plain store can be opened.
    Keyless(String),
    /// By another codec.
    #[cfg(test)]
    #[expect(private_interfaces, reason = "only this module's own tests give another codec")]
    With(Arc<dyn Codec>),
}

/// What the table `seal` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seal {
    /// The name of the root key.
    root: String,
    salt: Vec<u8>,
    commitment: Vec<u8>,
}

impl Sealing {
    fn ring(&self) -> Option<&KeyRing> {
        match self {
            Self::On(ring) | Self::Off(ring) => Some(ring),
            Self::Keyless(_) => None,
            #[cfg(test)]
            Self::With(_) => None,
        }
    }

    /// Why a key is not here.
    fn lacks(&self) -> String {
        if let Self::Keyless(why) = self { why.clone() } else { "it is not in the key file".to_owned() }
    }

    /// The codec of a store with this seal.
    pub(super) fn codec_of(&self, seal: Option<&Seal>) -> Result<Arc<dyn Codec>, StoreError> {
        #[cfg(test)]
        if let Self::With(codec) = self {
            return Ok(Arc::clone(codec));
        }
        let Some(seal) = seal else { return Ok(Arc::new(Plain)) };
        let root = self.ring().and_then(|ring| ring.keys().find(|key| key.id() == seal.root));
        let root = root.ok_or_else(|| StoreError::Sealed { root: seal.root.clone(), why: self.lacks() })?;
        if !same_secret(root.derive_with(&seal.salt, COMMITTED).as_ref(), &seal.commitment) {
            return Err(StoreError::Damaged(Damage::Commitment));
        }
        Ok(Arc::new(Sealed::new(root, &seal.salt)?))
    }

    /// Whether a store with this seal is not as it should be.
    pub(super) fn differs_from(&self, seal: Option<&Seal>) -> bool {
        match self {
            Self::On(ring) => seal.is_none_or(|seal| seal.root != ring.newest().id()),
            Self::Off(_) => seal.is_some(),
            // It cannot be opened where it is sealed.
            Self::Keyless(_) => false,
            #[cfg(test)]
            Self::With(_) => false,
        }
    }

    /// A seal for a new store; `None`: it is not sealed.
    pub(super) fn new_seal(&self) -> Result<Option<Seal>, StoreError> {
        let Self::On(ring) = self else { return Ok(None) };
        let salt = random_bytes::<32>().ok_or(StoreError::Unsealable)?;
        let root = ring.newest();
        let commitment = root.derive_with(&salt, COMMITTED).to_vec();
        Ok(Some(Seal { root: root.id(), salt: salt.to_vec(), commitment }))
    }
}

impl Seal {
    pub(super) fn read(txn: &ReadTransaction) -> Result<Option<Self>, StoreError> {
        let Some(found) = SEAL.get(txn, [ROOT, SALT, COMMITMENT])? else { return Ok(None) };
        let [Some(root), Some(salt), Some(commitment)] = found else {
            return Err(StoreError::Damaged(Damage::Commitment));
        };
        let root = String::from_utf8(root).map_err(|_| StoreError::Damaged(Damage::Commitment))?;
        Ok(Some(Self { root, salt, commitment }))
    }

    pub(super) fn write(&self, txn: &WriteTransaction) -> Result<(), StoreError> {
        SEAL.put(txn, &[(ROOT, self.root.as_bytes()), (SALT, &self.salt), (COMMITMENT, &self.commitment)])
    }

    /// The name of the root key.
    pub(super) fn root(&self) -> &str {
        &self.root
    }
}

/// Seals each value to its place, and hides names.
#[derive(Debug)]
struct Sealed {
    values: SealKey,
    names: NameKey,
}

impl Sealed {
    fn new(root: &RootKey, salt: &[u8]) -> Result<Self, StoreError> {
        let values = SealKey::new(&root.derive_with(salt, VALUES)).ok_or(StoreError::Unsealable)?;
        Ok(Self { values, names: NameKey::new(&root.derive_with(salt, NAMES)) })
    }
}

fn context(at: Place<'_>) -> Vec<u8> {
    [CONTEXT, at.table.as_bytes(), &[0], at.key].concat()
}

impl Codec for Sealed {
    fn encode(&self, at: Place<'_>, value: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        self.values.seal(&context(at), &value).map_err(|_| StoreError::Unsealable)
    }

    fn decode<'s>(&self, at: Place<'_>, stored: &'s [u8]) -> Result<Cow<'s, [u8]>, StoreError> {
        let value = self.values.open(&context(at), stored);
        value.map(Cow::Owned).ok_or_else(|| BadRecord::Seal { table: at.table }.into())
    }

    fn hides(&self) -> bool {
        true
    }

    fn hidden(&self, table: &'static str, name: &str) -> String {
        self.names.hide(table, name)
    }
}
