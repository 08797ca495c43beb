//! What a backup says of itself: the first file of its archive, and the names and versions that stand in it.

use conductor_core::Seq;
use serde::{Deserialize, Serialize};

/// `format` of a manifest.
pub(super) const FORMAT: &str = "conductor-loop backup";
/// The version of the archive's layout.
pub(super) const VERSION: u32 = 1;
/// The first file of an archive, which tells of the others: the manifest, in an envelope (DSSE) signed by the root keys' identities.
pub(super) const MANIFEST: &str = "backup.json";
/// The payload type of the manifest's envelope.
pub(super) const MANIFEST_TYPE: &str = "application/vnd.conductor-loop.backup+json";
/// The settings in force, a line each.
pub(super) const SETTINGS: &str = "settings.txt";

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub(super) format: String,
    /// Version of the archive's layout.
    pub(super) version: u32,
    /// When it was begun.
    pub made_at: String,
    /// The program that made it.
    pub program: String,
    /// The root key that seals the copy of the state. It is random and in no other place.
    pub(super) store_key: String,
    /// The last sequence number.
    pub last_seq: Seq,
    /// Intents that succeeded, duplicates included.
    pub processed: u64,
    /// Intents that failed.
    pub failed: u64,
    pub(super) files: Vec<Packed>,
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Packed {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) sha256: conductor_core::Digest,
}
