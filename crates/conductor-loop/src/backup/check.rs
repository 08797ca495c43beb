//! Restores a backup into a directory, and judges what came out: every file by its digest, the state by opening it, the trail as `audit
//! verify` does.

use super::archive::Unpacker;
use super::{
    AUDIT, BackupError, FORMAT, MANIFEST, MANIFEST_TYPE, Manifest, PUBLIC_KEYS, Packed, SETTINGS, VERSION,
};
use crate::keys::{PUBLIC_MAX, read_public, signed_payload};
use crate::store::{self, Ledger, Sealing, Store};
use conductor_core::attestation::Envelope;
use conductor_crypto::age::{Decryptor, Identity};
use conductor_crypto::{KeyRing, Sha256, VerifyingKey};
use conductor_evidence::verify::{Against, verify};
use conductor_os::dir::Dir;
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;

/// The longest manifest that is read.
const MANIFEST_MAX: u64 = 16 << 20;

/// What a backup holds, restored and found to be right.
pub struct Checked {
    /// What it says of itself.
    pub manifest: Manifest,
    /// Entries of its audit trail.
    pub entries: u64,
    /// The keys that its state and trail are signed by.
    pub public: Vec<VerifyingKey>,
    /// The names of the keys that have signed the backup itself.
    pub signed_by: Vec<String>,
    /// The store that came out of it.
    store: Arc<Dir>,
    ring: Arc<KeyRing>,
}

/// Restores a backup into an empty directory and checks it. It must be signed by one of the trusted keys; where none is known, by a key of
/// its own.
pub fn check(
    file: File,
    identities: &[Identity],
    into: &Arc<Dir>,
    trusted: &[VerifyingKey],
) -> Result<Checked, BackupError> {
    let wrong = |what: &str| BackupError::Wrong(what.to_owned());
    let input = Decryptor::begin(identities, file).map_err(BackupError::of("opening it"))?;
    let (mut envelope, mut found) = (None, Vec::new());
    let unpacked = Unpacker::new(input).each(|name, size, content| {
        if envelope.is_some() {
            found.push(unpack(into, name, size, content)?);
            return Ok(());
        }
        let mut text = Vec::new();
        content.take(MANIFEST_MAX).read_to_end(&mut text)?;
        let told = (name == MANIFEST).then(|| serde_json::from_slice::<Envelope>(&text).ok()).flatten();
        envelope = Some(told.ok_or_else(no_backup)?);
        Ok(())
    });
    unpacked.map_err(BackupError::of("restoring it"))?;
    let envelope = envelope.ok_or_else(no_backup).map_err(BackupError::of("restoring it"))?;
    let public = into.read_plain(PUBLIC_KEYS, PUBLIC_MAX);
    let public = public.and_then(|text| read_public(&String::from_utf8_lossy(&text)));
    let public = public.map_err(BackupError::of("reading its public keys"))?;
    let manifest = manifest(&envelope, if trusted.is_empty() { &public } else { trusted })?;
    if manifest.files != found {
        return Err(wrong("its files are not those that it says"));
    }
    let ring = KeyRing::parse(manifest.store_key.as_bytes())
        .map_err(|error| BackupError::Wrong(error.to_string()))?;
    let ring = Arc::new(ring);
    let store = Store::look(into, &Sealing::On(Arc::clone(&ring)))?;
    let counts = store.counts()?;
    let extent = (store.last_seq()?, counts.processed, counts.failed);
    if extent != (manifest.last_seq, manifest.processed, manifest.failed) {
        return Err(wrong("its state is not the one that it says"));
    }
    let entries = match into.sub(AUDIT) {
        Ok(audit) => judge_trail(&audit, &public)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(BackupError::of("opening its audit trail")(error)),
    };
    let signed_by = envelope.signatures.into_iter().map(|signature| signature.keyid).collect();
    Ok(Checked { manifest, entries, public, signed_by, store: Arc::clone(into), ring })
}

fn no_backup() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is no backup of this program")
}

/// The manifest, if a trusted key has signed it.
fn manifest(envelope: &Envelope, trusted: &[VerifyingKey]) -> Result<Manifest, BackupError> {
    let (payload, _) = signed_payload(envelope, MANIFEST_TYPE, trusted).map_err(BackupError::Wrong)?;
    let manifest: Manifest =
        serde_json::from_slice(&payload).map_err(|error| BackupError::Wrong(error.to_string()))?;
    match (&manifest.format, manifest.version) {
        (format, _) if format != FORMAT => {
            Err(BackupError::Wrong("it is no backup of this program".to_owned()))
        }
        (_, VERSION) => Ok(manifest),
        (_, other) => {
            Err(BackupError::Wrong(format!("it has format version {other}, and {VERSION} is known")))
        }
    }
}

fn judge_trail(audit: &Dir, public: &[VerifyingKey]) -> Result<u64, BackupError> {
    let against = Against { identities: public.to_vec(), known: Vec::new() };
    let report = verify(audit, against).map_err(BackupError::of("reading its audit trail"))?;
    match report.findings.first() {
        Some(first) => {
            Err(BackupError::Wrong(format!("its audit trail, from entry {} on: {}", first.first, first.what)))
        }
        None => Ok(report.entries),
    }
}

/// Writes a file of the archive, and says what was written. Only names that a backup has are written.
fn unpack(into: &Dir, name: &str, size: u64, content: &mut dyn Read) -> io::Result<Packed> {
    let refused =
        || io::Error::new(io::ErrorKind::InvalidData, format!("it has a file {name:?}, as no backup has"));
    let audit = name.strip_prefix(AUDIT).and_then(|rest| rest.strip_prefix('/'));
    let (dir, own) = match audit {
        Some(own) if !own.contains('/') && !own.starts_with('.') => (Some(into.ensure(AUDIT, 0o700)?), own),
        None if [store::FILE, PUBLIC_KEYS, SETTINGS].contains(&name) => (None, name),
        _ => return Err(refused()),
    };
    let dir = dir.as_ref().unwrap_or(into);
    if dir.has(own)? {
        return Err(refused());
    }
    let mut out = Hashing { file: dir.open_rw(own, 0o600)?, hash: Sha256::default() };
    io::copy(content, &mut out)?;
    out.file.sync_all()?;
    Ok(Packed { name: name.to_owned(), size, sha256: out.hash.finish() })
}

/// A file that hashes what is written into it.
struct Hashing {
    file: File,
    hash: Sha256,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Copies the state of a checked backup into a directory, sealed as it should be there. It has no name yet.
pub fn restored(checked: &Checked, state: Arc<Dir>, sealing: &Sealing) -> Result<Store, BackupError> {
    let from = Store::look(&checked.store, &Sealing::On(Arc::clone(&checked.ring)))?;
    Ok(from.copy_to(state, sealing)?)
}
