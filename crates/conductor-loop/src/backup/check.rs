//! Restores a backup into a directory, and judges what comes out: every file by its digest, the state by opening it, the trail as `audit
//! verify` does, while it passes.

use super::archive::Unpacker;
use super::error::BackupError;
use super::manifest::{FORMAT, MANIFEST, MANIFEST_TYPE, Manifest, SETTINGS, VERSION};
use crate::handoff::StateFiles;
use crate::handoff::layout::AUDIT;
use crate::keys::{PUBLIC_KEYS, PUBLIC_MAX, read_public, signed_payload};
use crate::store::{self, Ledger, Sealing, Store};
use conductor_core::attestation::Envelope;
use conductor_crypto::age::{Decryptor, Identity};
use conductor_crypto::{KeyRing, Sha256, VerifyingKey, from_base64};
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
    /// The name of the key by whose signature the backup was believed.
    pub signed_by: String,
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
    let mut unpacking = Unpacking { into, written, trusted, told: None, found: 0, public: None, trail: None };
    let unpacked = Unpacker::new(input).each(|name, size, content| unpacking.take(name, size, content));
    unpacked.map_err(BackupError::of("restoring it"))?;
    let Unpacking { told, found, public, trail, .. } = unpacking;
    let public = public.ok_or_else(|| wrong("it has no public keys"))?;
    let told = told.ok_or_else(no_backup).map_err(BackupError::of("restoring it"))?;
    let Signed { manifest, signed_by } = match told {
        Told::Believed(signed) => signed,
        // Nobody is known here: its own keys have to do.
        Told::Unjudged(envelope, _) => signed_manifest(&envelope, &public).map_err(BackupError::Wrong)?,
    };
    if manifest.files.len() != found {
        return Err(wrong("it has less files than it says"));
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
    Ok(Checked { manifest, entries, public, signed_by, store: Arc::clone(into), ring })
}

fn no_backup() -> io::Error {
    bad("it is no backup of this program".to_owned())
}

/// A manifest, and the name of the key that was believed.
struct Signed {
    manifest: Manifest,
    signed_by: String,
}

/// What a backup says of itself, before any other file of it was looked at.
enum Told {
    /// A trusted key has signed it.
    Believed(Signed),
    /// No key is known here; what it says bounds what is written, and is judged by its own keys at the end.
    Unjudged(Envelope, Manifest),
}

impl Told {
    fn read(content: &mut dyn Read, trusted: &[VerifyingKey]) -> io::Result<Self> {
        let mut text = Vec::new();
        content.take(MANIFEST_MAX).read_to_end(&mut text)?;
        let envelope: Envelope = serde_json::from_slice(&text).map_err(|_| no_backup())?;
        if !trusted.is_empty() {
            return signed_manifest(&envelope, trusted).map(Self::Believed).map_err(bad);
        }
        let payload = from_base64(&envelope.payload).ok_or_else(no_backup)?;
        let manifest = manifest(&payload).map_err(bad)?;
        Ok(Self::Unjudged(envelope, manifest))
    }

    fn manifest(&self) -> &Manifest {
        match self {
            Self::Believed(signed) => &signed.manifest,
            Self::Unjudged(_, manifest) => manifest,
        }
    }
}

/// The manifest, if a trusted key has signed it.
fn signed_manifest(envelope: &Envelope, trusted: &[VerifyingKey]) -> Result<Signed, String> {
    let (payload, signed_by) = signed_payload(envelope, MANIFEST_TYPE, trusted)?;
    Ok(Signed { manifest: manifest(&payload)?, signed_by })
}

fn manifest(payload: &[u8]) -> Result<Manifest, String> {
    let manifest: Manifest = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
    match (&manifest.format, manifest.version) {
        (format, _) if format != FORMAT => Err("it is no backup of this program".to_owned()),
        (_, VERSION) => Ok(manifest),
        (_, other) => Err(format!("it has format version {other}, and {VERSION} is known")),
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
    trusted: &'i [VerifyingKey],
    told: Option<Told>,
    /// How many of its files have come out.
    found: usize,
    public: Option<Vec<VerifyingKey>>,
    /// The trail, verified while it passes.
    trail: Option<Verifier>,
}

impl Unpacking<'_> {
    /// Takes a file of the archive: first the manifest, then those that it tells of, in its order.
    fn take(&mut self, name: &str, size: u64, content: &mut dyn Read) -> io::Result<()> {
        let Some(told) = &self.told else {
            if name != MANIFEST {
                return Err(no_backup());
            }
            self.told = Some(Told::read(content, self.trusted)?);
            return Ok(());
        };
        let refused = || bad(format!("it has a file {name:?} that it does not tell of there"));
        let wanted = told.manifest().files.get(self.found).cloned();
        let wanted =
            wanted.filter(|wanted| wanted.name == name && wanted.size == size).ok_or_else(refused)?;
        self.found += 1;
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
        if passing.hash.finish() != wanted.sha256 {
            return Err(bad(format!("its file {name:?} is not the one that it tells of")));
        }
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
