//! Backups: one encrypted file each, with the state, the audit trail, the public keys and the settings. It is made beside a running daemon
//! from one read transaction, and counts only after it has been restored on trial.

mod archive;
mod check;
mod error;
mod guard;
mod make;
mod place;
mod scratch;

pub use check::{Checked, Written, check, restored};
use conductor_core::Seq;
pub use error::BackupError;
pub use make::{Making, Source};
pub use place::{Listed, Series, by_age, list, newest, open, prune};
pub use scratch::{DRAFT, Scratch, clear_stale};

use conductor_crypto::KeyRing;
use conductor_crypto::age::{Identity, Recipient};
use serde::{Deserialize, Serialize};

/// `format` of a manifest.
const FORMAT: &str = "conductor-loop backup";
/// The version of the archive's layout.
const VERSION: u32 = 1;
/// The first file of an archive, which tells of the others: the manifest, in an envelope (DSSE) signed by the root keys' identities.
const MANIFEST: &str = "backup.json";
/// The payload type of the manifest's envelope.
const MANIFEST_TYPE: &str = "application/vnd.conductor-loop.backup+json";
const SETTINGS: &str = "settings.txt";
/// What the identity of this host's own backups is derived for.
const OWN: &str = "conductor backup identity";

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    format: String,
    /// Version of the archive's layout.
    version: u32,
    /// When it was begun.
    pub made_at: String,
    /// The program that made it.
    pub program: String,
    /// The root key that seals the copy of the state. It is random and in no other place.
    store_key: String,
    /// The last sequence number.
    pub last_seq: Seq,
    /// Intents that succeeded, duplicates included.
    pub processed: u64,
    /// Intents that failed.
    pub failed: u64,
    files: Vec<Packed>,
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Packed {
    name: String,
    size: u64,
    sha256: conductor_core::Digest,
}

/// The identities that open the backups of these root keys.
pub fn own_identities(ring: &KeyRing) -> Vec<Identity> {
    ring.keys().map(|root| Identity::new(root.derive(OWN))).collect()
}

/// Whom backups are encrypted to besides those that the operator names: the newest root key's identity, by which each is restored on
/// trial.
fn own_recipient(ring: &KeyRing) -> Option<Recipient> {
    Identity::new(ring.newest().derive(OWN)).recipient()
}
