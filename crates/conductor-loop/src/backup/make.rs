//! Makes a backup: a copy of the state and what belongs to it, packed, encrypted, synced, restored on trial, and only then named.

use super::archive::Packer;
use super::check::{Written, check};
use super::error::BackupError;
use super::guard::While;
use super::manifest::{FORMAT, MANIFEST, MANIFEST_TYPE, Manifest, Packed, SETTINGS, VERSION};
use super::place::{Listed, Name, Series};
use super::recipients::{own_identities, own_recipient};
use super::scratch::{DRAFT, Scratch};
use crate::handoff::layout::AUDIT;
use crate::keys::{Keys, PUBLIC_KEYS, known_public, show_public};
use crate::store::{self, Counts, Sealing, Store};
use conductor_core::Seq;
use conductor_core::record::{one_line, rfc3339};
use conductor_crypto::age::{Encryptor, Recipient};
use conductor_crypto::{KeyRing, RootKey, VerifyingKey, sha256, sha256_of};
use conductor_evidence::segment;
use conductor_os::dir::Dir;
use jiff::Timestamp;
use std::io::{self, BufWriter, Read, Write};
use std::sync::Arc;

/// The archive while it has no name yet.
const PACKED: &str = "packed";

/// What a backup is made of, besides the state.
pub struct Source<'s> {
    /// The directory with the audit trail.
    pub private: &'s Dir,
    /// The root keys.
    pub keys: &'s Keys,
    /// The settings in force, a line each.
    pub settings: &'s str,
}

/// A backup that is begun. Its steps are apart, because only the first needs the state.
pub struct Making<'d> {
    dir: &'d Dir,
    scratch: Scratch<'d>,
    name: Name,
    began: Timestamp,
    goes_on: &'d dyn Fn() -> bool,
}

/// A backup with its copy of the state.
pub struct Copied<'d> {
    making: Making<'d>,
    copy: Arc<Dir>,
    ring: Arc<KeyRing>,
    /// The public keys beside the state.
    public: Vec<VerifyingKey>,
    counts: Counts,
    last_seq: Seq,
}

/// A file to be packed, with what is already known of it.
struct Piece<'p> {
    packed: Packed,
    content: Content<'p>,
}

enum Content<'p> {
    /// This one of a directory. It is opened when its turn comes, because there may be more of them than descriptors.
    File(&'p Dir, String),
    Bytes(Vec<u8>),
}

impl<'d> Making<'d> {
    /// Begins a backup of this series as soon as no other process makes one. As soon as `goes_on` is false, it is given up.
    pub fn begin(dir: &'d Dir, series: &Series, goes_on: &'d dyn Fn() -> bool) -> Result<Self, BackupError> {
        let scratch = Scratch::when_free(dir, &format!("{DRAFT}-{series}"), goes_on)
            .map_err(BackupError::of("making a directory to work in"))?;
        let scratch = scratch.ok_or(BackupError::GivenUp)?;
        let began = Timestamp::now();
        Ok(Self { dir, scratch, name: Name::new(began, series), began, goes_on })
    }

    /// Copies the state.
    pub fn copy(self, store: &Store) -> Result<Copied<'d>, BackupError> {
        let goes_on = self.goes_on;
        unless_given_up(goes_on, self.try_copy(store))
    }

    fn try_copy(self, store: &Store) -> Result<Copied<'d>, BackupError> {
        let key =
            RootKey::generate().ok_or_else(|| BackupError::Wrong("there is no randomness".to_owned()))?;
        let ring = Arc::new(KeyRing::of(key));
        let copy = self.scratch.sub("copy").map_err(BackupError::of("making a directory to work in"))?;
        let sealing = Sealing::On(Arc::clone(&ring));
        let (counts, last_seq) = store.copy_in_passing(&copy, &sealing, self.goes_on)?;
        let public = known_public(store.dir()).map_err(BackupError::of("reading the public keys"))?;
        Ok(Copied { making: self, copy, ring, public, counts, last_seq })
    }
}

impl Copied<'_> {
    /// Packs it for these recipients and this host's own key, restores it on trial, and gives it its name.
    pub fn finish(self, source: &Source<'_>, recipients: &[Recipient]) -> Result<Listed, BackupError> {
        unless_given_up(self.making.goes_on, self.try_finish(source, recipients))
    }

    fn try_finish(&self, source: &Source<'_>, recipients: &[Recipient]) -> Result<Listed, BackupError> {
        let Making { dir, scratch, name, .. } = &self.making;
        let manifest = self.pack(source, recipients)?;
        // Packed is all that is needed: the trial takes as much space as the copy did.
        self.copy.clear(None).map_err(BackupError::of("removing the copy"))?;
        let file = scratch.dir.open_read(PACKED).map_err(BackupError::of("reading it"))?;
        let size = file.metadata().map_err(BackupError::of("reading it"))?.len();
        let trial = scratch.sub("trial").map_err(BackupError::of("making a directory to work in"))?;
        let identities = own_identities(source.keys.ring());
        let restored = check(self.guarded(file), &identities, &trial, &source.keys.public(), Written::State)
            .map_err(BackupError::on_trial)?;
        if restored.manifest != manifest {
            return Err(BackupError::Wrong("restored on trial, it says otherwise than it should".to_owned()));
        }
        let named = scratch.dir.rename_new(PACKED, dir, name.to_string()).and_then(|()| dir.sync());
        named.map_err(BackupError::of(format!("naming it {name}")))?;
        Ok(Listed::new(name, size))
    }

    /// Packs everything into one file, durably.
    fn pack(&self, source: &Source<'_>, recipients: &[Recipient]) -> Result<Manifest, BackupError> {
        let cannot_read = "reading what is to be backed up";
        let audit = trail(source.private).map_err(BackupError::of(cannot_read))?;
        let pieces = self.pieces(source, audit.as_ref()).map_err(BackupError::of(cannot_read))?;
        let manifest = Manifest {
            format: FORMAT.to_owned(),
            version: VERSION,
            made_at: rfc3339(self.making.began),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            store_key: self.ring.text().trim_end().to_owned(),
            last_seq: self.last_seq,
            processed: self.counts.processed,
            failed: self.counts.failed,
            files: pieces.iter().map(|piece| piece.packed.clone()).collect(),
        };
        let envelope = one_line(&source.keys.sign_by_each(MANIFEST_TYPE, &one_line(&manifest)));
        let own = own_recipient(source.keys.ring());
        let recipients: Vec<Recipient> = recipients.iter().cloned().chain(own).collect();
        self.write(&envelope, pieces, &recipients).map_err(BackupError::of("writing it"))?;
        Ok(manifest)
    }

    /// Everything that goes into it. The state was copied before the trail is read, so the trail knows all that the copy knows, but for what
    /// it is still to be told; the public keys stand before the trail, which is verified with them while it is read.
    fn pieces<'p>(&'p self, source: &Source<'_>, audit: Option<&'p Dir>) -> io::Result<Vec<Piece<'p>>> {
        let of_bytes = |name: &str, bytes: Vec<u8>| Piece {
            packed: Packed { name: name.to_owned(), size: bytes.len() as u64, sha256: sha256(&bytes) },
            content: Content::Bytes(bytes),
        };
        let mut public = self.public.clone();
        public.extend(source.keys.public().into_iter().filter(|key| !self.public.contains(key)));
        let size = self.copy.stat(store::FILE)?.size;
        let mut pieces = vec![
            of_bytes(PUBLIC_KEYS, show_public(&public).into_bytes()),
            of_bytes(SETTINGS, source.settings.as_bytes().to_vec()),
            self.piece(store::FILE.to_owned(), &self.copy, store::FILE, size)?,
        ];
        let Some(audit) = audit else { return Ok(pieces) };
        for (first, signed) in signed_segments(audit)? {
            let name = segment::name(first);
            pieces.push(self.piece(format!("{AUDIT}/{name}"), audit, &name, signed)?);
        }
        Ok(pieces)
    }

    /// The first bytes of a file.
    fn piece<'p>(&self, name: String, dir: &'p Dir, file: &str, size: u64) -> io::Result<Piece<'p>> {
        let sha256 = sha256_of(&mut self.guarded(dir.open_read(file)?), size)?;
        let packed = Packed { name, size, sha256 };
        Ok(Piece { packed, content: Content::File(dir, file.to_owned()) })
    }

    fn write(&self, envelope: &[u8], pieces: Vec<Piece<'_>>, recipients: &[Recipient]) -> io::Result<()> {
        let file = self.making.scratch.dir.open_rw(PACKED, 0o600)?;
        let out = self.guarded(BufWriter::new(file));
        let mut packer = Packer::new(Encryptor::begin(recipients, out)?);
        packer.add(MANIFEST, envelope.len() as u64, envelope)?;
        for Piece { packed, content } in pieces {
            match content {
                Content::File(dir, file) => {
                    let content = self.guarded(dir.open_read(&file)?);
                    packer.add(&packed.name, packed.size, content.take(packed.size))?;
                }
                Content::Bytes(bytes) => packer.add(&packed.name, packed.size, bytes.as_slice())?,
            }
        }
        let mut out = packer.finish()?.finish()?;
        out.flush()?;
        out.inner.get_ref().sync_all()
    }

    fn guarded<T>(&self, inner: T) -> While<'_, T> {
        While { inner, goes_on: self.making.goes_on }
    }
}

/// The directory of the audit trail, if there is one.
fn trail(private: &Dir) -> io::Result<Option<Dir>> {
    match private.sub(AUDIT) {
        Ok(audit) => Ok(Some(audit)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The segments of a trail, each with the length of what is signed in it.
fn signed_segments(audit: &Dir) -> io::Result<Vec<(u64, u64)>> {
    let newest = segment::list(audit)?.pop();
    // Again, because a listing may miss what is made meanwhile, and see what is made after that.
    let mut found = segment::list(audit)?;
    found.retain(|first| Some(*first) <= newest);
    let mut segments = Vec::new();
    while let Some(first) = found.pop() {
        // All before the last one are closed. One without a checkpoint was begun by a batch that was torn.
        let signed = if segments.is_empty() {
            segment::signed(audit, first)?
        } else {
            audit.stat(segment::name(first))?.size
        };
        if signed > 0 {
            segments.push((first, signed));
        }
    }
    segments.reverse();
    Ok(segments)
}

/// What fails once nobody waits for it any more was given up.
fn unless_given_up<T>(goes_on: &dyn Fn() -> bool, result: Result<T, BackupError>) -> Result<T, BackupError> {
    result.map_err(|error| if goes_on() { error } else { BackupError::GivenUp })
}

#[cfg(test)]
mod tests;
