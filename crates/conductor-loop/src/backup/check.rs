//! Restores a backup into a directory, and judges what comes out: every file by its digest, the state by opening it, the trail as `audit
//! verify` does, while it passes.

use super::archive::Unpacker;
use super::{BackupError, FORMAT, MANIFEST, MANIFEST_TYPE, Manifest, Packed, SETTINGS, VERSION};
use crate::handoff::StateFiles;
use crate::handoff::layout::AUDIT;
use crate::keys::{PUBLIC_KEYS, PUBLIC_MAX, read_public, signed_payload};
use crate::store::{self, Ledger, Sealing, Store};
use conductor_core::attestation::Envelope;
use conductor_crypto::age::{Decryptor, Identity};
use conductor_crypto::{KeyRing, Sha256, VerifyingKey};
use conductor_evidence::segment::{self, Lines};
use conductor_evidence::verify::{Against, Verifier};
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

/// What is written of a backup while it is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// State and trail: it is restored.
    All,
    /// The state alone, because only a file can be opened as one. It is sealed by a key that the backup alone has, so nothing of what is
    /// encrypted in the backup lies in clear beside it.
    State,
}

/// Restores a backup into an empty directory and checks it. It must be signed by one of the trusted keys; where none is known, by a key of
/// its own.
pub fn check(
    file: impl Read,
    identities: &[Identity],
    into: &Arc<Dir>,
    trusted: &[VerifyingKey],
    written: Written,
) -> Result<Checked, BackupError> {
    let wrong = |what: &str| BackupError::Wrong(what.to_owned());
    let input = Decryptor::begin(identities, file).map_err(BackupError::Closed)?;
    let mut envelope = None;
    let mut unpacking = Unpacking { into, written, found: Vec::new(), public: None, trail: None };
    let unpacked = Unpacker::new(input).each(|name, size, content| {
        if envelope.is_some() {
            return unpacking.take(name, size, content);
        }
        let mut text = Vec::new();
        content.take(MANIFEST_MAX).read_to_end(&mut text)?;
        let told = (name == MANIFEST).then(|| serde_json::from_slice::<Envelope>(&text).ok()).flatten();
        envelope = Some(told.ok_or_else(no_backup)?);
        Ok(())
    });
    unpacked.map_err(BackupError::of("restoring it"))?;
    let Unpacking { found, public, trail, .. } = unpacking;
    let envelope = envelope.ok_or_else(no_backup).map_err(BackupError::of("restoring it"))?;
    let public = public.ok_or_else(|| wrong("it has no public keys"))?;
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
    let entries = trail.map_or(Ok(0), judged)?;
    let signed_by = envelope.signatures.into_iter().map(|signature| signature.keyid).collect();
    Ok(Checked { manifest, entries, public, signed_by, store: Arc::clone(into), ring })
}

fn no_backup() -> io::Error {
    bad("it is no backup of this program".to_owned())
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

/// The entries of a trail that nothing speaks against.
fn judged(trail: Verifier) -> Result<u64, BackupError> {
    let report = trail.finish();
    match report.findings.first() {
        Some(first) => {
            Err(BackupError::Wrong(format!("its audit trail, from entry {} on: {}", first.first, first.what)))
        }
        None => Ok(report.entries),
    }
}

/// What has come out of an archive so far.
struct Unpacking<'i> {
    into: &'i Dir,
    written: Written,
    found: Vec<Packed>,
    public: Option<Vec<VerifyingKey>>,
    /// The trail, verified while it passes.
    trail: Option<Verifier>,
}

impl Unpacking<'_> {
    /// Takes a file of the archive. Only those that a backup has are taken, each once.
    fn take(&mut self, name: &str, size: u64, content: &mut dyn Read) -> io::Result<()> {
        let refused = || bad(format!("it has a file {name:?}, as no backup has"));
        if self.found.iter().any(|before| before.name == name) {
            return Err(refused());
        }
        let mut passing = Passing { content, hash: Sha256::default(), out: None };
        match name {
            store::FILE => passing.out = Some(self.into.open_rw(name, 0o600)?),
            PUBLIC_KEYS => {
                let mut text = String::new();
                Read::by_ref(&mut passing).take(PUBLIC_MAX).read_to_string(&mut text)?;
                self.public = Some(read_public(&text)?);
            }
            SETTINGS => {}
            segment => {
                let own = segment.strip_prefix(AUDIT).and_then(|rest| rest.strip_prefix('/'));
                let own = own.and_then(|own| segment::first(own.as_bytes())).ok_or_else(refused)?;
                self.segment(own, &mut passing)?;
            }
        }
        io::copy(&mut passing, &mut io::sink())?;
        self.found.push(Packed { name: name.to_owned(), size, sha256: passing.hash.finish() });
        Ok(())
    }

    fn segment(&mut self, first: u64, passing: &mut Passing<'_>) -> io::Result<()> {
        if self.written == Written::All {
            passing.out = Some(self.into.ensure(AUDIT, 0o700)?.open_rw(&segment::name(first), 0o600)?);
        }
        let public =
            self.public.as_ref().ok_or_else(|| bad("its trail stands before its public keys".to_owned()))?;
        let against = || Against { identities: public.clone(), known: Vec::new() };
        self.trail.get_or_insert_with(|| Verifier::new(against())).segment(first, Lines::of(passing))
    }
}

fn bad(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The content of a file, hashed while it is read, and written where it is to be restored.
struct Passing<'c> {
    content: &'c mut dyn Read,
    hash: Sha256,
    out: Option<File>,
}

impl Read for Passing<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(into)?;
        let bytes = into.get(..read).unwrap_or_default();
        self.hash.update(bytes);
        if let Some(out) = &mut self.out {
            out.write_all(bytes)?;
        }
        Ok(read)
    }
}

/// Copies the state of a checked backup into a directory, sealed as it should be there. It has no name yet.
pub fn restored(checked: &Checked, state: &StateFiles) -> Result<Store, BackupError> {
    let from = Store::look(&checked.store, &Sealing::On(Arc::clone(&checked.ring)))?;
    Ok(state.copy_of(&from)?)
}
