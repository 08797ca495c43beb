//! Backups: one encrypted file each, with the state, the audit trail, the public keys and the settings. It is made beside a running daemon
//! from one read transaction, and counts only after it has been restored on trial.

mod archive;
mod check;
mod error;
mod make;
mod scratch;

pub use check::{Checked, check, restored};
pub use error::BackupError;
pub use make::{Source, make};
pub use scratch::{DRAFT, Scratch};

use conductor_core::record::rfc3339;
use conductor_crypto::KeyRing;
use conductor_crypto::age::{Identity, Recipient};
use conductor_os::dir::Dir;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// `format` of a manifest.
const FORMAT: &str = "conductor-loop backup";
/// The version of the archive's layout.
const VERSION: u32 = 1;
/// The first file of an archive, which tells of the others: the manifest, in an envelope (DSSE) signed by the root keys' identities.
const MANIFEST: &str = "backup.json";
/// The payload type of the manifest's envelope.
const MANIFEST_TYPE: &str = "application/vnd.conductor-loop.backup+json";
const PUBLIC_KEYS: &str = "public-keys.pem";
const SETTINGS: &str = "settings.txt";
/// The directory of the trail's segments in an archive.
const AUDIT: &str = "audit";
/// What the identity of this host's own backups is derived for.
const OWN: &str = "conductor backup identity";
const BEGINS: &str = "conductor-";
const ENDS: &str = ".tar.age";

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
    pub last_seq: u64,
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

/// The name of a backup that is made now.
fn name_of(now: Timestamp) -> String {
    let digits: String = rfc3339(now).chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{BEGINS}{digits}{ENDS}")
}

/// A backup in its directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its file.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
}

/// The backups of a directory, oldest first.
pub fn list(dir: &Dir) -> io::Result<Vec<Listed>> {
    let mut found = Vec::new();
    for name in dir.names()? {
        let Ok(name) = String::from_utf8(name.into()) else { continue };
        if name.starts_with(BEGINS) && name.ends_with(ENDS) {
            let size = dir.stat(&name)?.size;
            found.push(Listed { name, size });
        }
    }
    found.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

/// The directory of backups, made where it is missing.
pub fn open(path: &Path) -> Result<Dir, BackupError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.and_then(|()| Dir::open(path)).map_err(BackupError::of(format!("opening {}", path.display())))
}

/// Removes the oldest backups beyond this many.
pub fn prune(dir: &Dir, keep: usize) -> io::Result<()> {
    let found = list(dir)?;
    let beyond = found.len().saturating_sub(keep);
    found.iter().take(beyond).try_for_each(|old| dir.unlink(&old.name))
}

/// When a backup of this name was made.
pub fn made_at(name: &str) -> Option<Timestamp> {
    let digits = name.strip_prefix(BEGINS)?.strip_suffix(ENDS)?;
    let time = jiff::fmt::strtime::parse("%Y%m%dT%H%M%S", digits.get(..15)?).ok()?;
    jiff::tz::Offset::UTC.to_timestamp(time.to_datetime().ok()?).ok()
}
