//! Makes a backup: a copy of the state and what belongs to it, packed, encrypted, synced, restored on trial, and only then named.

use super::archive::Packer;
use super::check::check;
use super::scratch::{DRAFT, Scratch};
use super::{
    AUDIT, BackupError, FORMAT, Listed, MANIFEST, MANIFEST_TYPE, Manifest, PUBLIC_KEYS, Packed, SETTINGS,
    VERSION, name_of, own_identities, own_recipient,
};
use crate::handoff::layout;
use crate::keys::{Keys, known_public, show_public};
use crate::store::{self, Ledger, Sealing, Store};
use conductor_core::attestation::Envelope;
use conductor_core::record::{one_line, rfc3339};
use conductor_crypto::age::{Encryptor, Recipient};
use conductor_crypto::{KeyRing, RootKey, sha256, sha256_of};
use conductor_evidence::segment;
use conductor_os::dir::Dir;
use jiff::Timestamp;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;

/// What a backup is made of.
pub struct Source<'s> {
    /// The state.
    pub store: &'s Store,
    /// The directory with the audit trail.
    pub private: &'s Dir,
    /// The root keys.
    pub keys: &'s Keys,
    /// The settings in force, a line each.
    pub settings: &'s str,
}

/// A file to be packed, with what is already known of it.
struct Piece {
    packed: Packed,
    content: Content,
}

enum Content {
    File(File),
    Bytes(Vec<u8>),
}

/// Makes a backup in this directory, for these recipients and this host's own key. `goes_on` false: it is given up.
pub fn make(
    source: &Source<'_>,
    dir: &Dir,
    recipients: &[Recipient],
    goes_on: &dyn Fn() -> bool,
) -> Result<Listed, BackupError> {
    let now = Timestamp::now();
    let scratch = Scratch::new(dir, DRAFT).map_err(BackupError::of("making a directory to work in"))?;
    let key = RootKey::generate().ok_or_else(|| BackupError::Wrong("there is no randomness".to_owned()))?;
    let ring = Arc::new(KeyRing::of(key));
    let copied = scratch.sub("copy").map_err(BackupError::of("making a directory to work in"))?;
    let copy = source.store.copy_to(Arc::clone(&copied), &Sealing::On(Arc::clone(&ring)))?.complete()?;
    let (counts, last_seq) = (copy.counts()?, copy.last_seq()?);
    drop(copy);
    let pieces = pieces(source, &copied).map_err(BackupError::of("reading what is to be backed up"))?;
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        version: VERSION,
        made_at: rfc3339(now),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        store_key: ring.text().trim_end().to_owned(),
        last_seq,
        processed: counts.processed,
        failed: counts.failed,
        files: pieces.iter().map(|piece| piece.packed.clone()).collect(),
    };
    let given_up = || BackupError::Wrong("it was given up, because the daemon stops".to_owned());
    if !goes_on() {
        return Err(given_up());
    }
    let envelope = source.keys.sign_by_each(MANIFEST_TYPE, &one_line(&manifest));
    let own = own_recipient(source.keys.ring());
    let recipients: Vec<Recipient> = recipients.iter().cloned().chain(own).collect();
    let packed =
        scratch.dir.open_rw("packed", 0o600).and_then(|file| pack(file, &envelope, pieces, &recipients));
    packed.map_err(BackupError::of("writing it"))?;
    let file = scratch.dir.open_read("packed").map_err(BackupError::of("reading it"))?;
    let size = file.metadata().map_err(BackupError::of("reading it"))?.len();
    let trial = scratch.sub("trial").map_err(BackupError::of("making a directory to work in"))?;
    let restored = check(file, &own_identities(source.keys.ring()), &trial, &source.keys.public())?;
    if restored.manifest != manifest {
        return Err(BackupError::Wrong("restored on trial, it says otherwise than it should".to_owned()));
    }
    if !goes_on() {
        return Err(given_up());
    }
    let name = name_of(now);
    let named = scratch.dir.rename_new("packed", dir, &name).and_then(|()| dir.sync());
    named.map_err(BackupError::of(format!("naming it {name}")))?;
    Ok(Listed { name, size })
}

/// Everything that goes into it. The state was copied before the trail is read, so the trail knows all that the copy knows.
fn pieces(source: &Source<'_>, copied: &Dir) -> io::Result<Vec<Piece>> {
    let of_file = |name: String, file: File| -> io::Result<Piece> {
        let size = file.metadata()?.len();
        let sha256 = sha256_of(&mut &file, size)?;
        io::Seek::rewind(&mut &file)?;
        Ok(Piece { packed: Packed { name, size, sha256 }, content: Content::File(file) })
    };
    let of_bytes = |name: &str, bytes: Vec<u8>| Piece {
        packed: Packed { name: name.to_owned(), size: bytes.len() as u64, sha256: sha256(&bytes) },
        content: Content::Bytes(bytes),
    };
    let mut pieces = vec![of_file(store::FILE.to_owned(), copied.open_read(store::FILE)?)?];
    match source.private.sub(layout::AUDIT) {
        Ok(audit) => {
            for first in segment::list(&audit)? {
                let name = segment::name(first);
                pieces.push(of_file(format!("{AUDIT}/{name}"), audit.open_read(&name)?)?);
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut public = known_public(source.store.dir())?;
    let own = source.keys.public();
    public.extend(own.into_iter().filter(|key| !public.contains(key)).collect::<Vec<_>>());
    pieces.push(of_bytes(PUBLIC_KEYS, show_public(&public).into_bytes()));
    pieces.push(of_bytes(SETTINGS, source.settings.as_bytes().to_vec()));
    Ok(pieces)
}

fn pack(file: File, envelope: &Envelope, pieces: Vec<Piece>, recipients: &[Recipient]) -> io::Result<()> {
    let mut packer = Packer::new(Encryptor::begin(recipients, BufWriter::new(file))?);
    let told = one_line(envelope);
    packer.add(MANIFEST, told.len() as u64, told.as_slice())?;
    for Piece { packed, content } in pieces {
        match content {
            Content::File(file) => packer.add(&packed.name, packed.size, file)?,
            Content::Bytes(bytes) => packer.add(&packed.name, packed.size, bytes.as_slice())?,
        }
    }
    let mut out = packer.finish()?.finish()?;
    out.flush()?;
    out.get_ref().sync_all()
}
