//! The key file: where it is looked for, what is refused, and how it is made and changed.

use super::origin::Origin;
use super::public::{read_public, show_public};
use super::signing::Keys;
use conductor_core::Code;
use conductor_crypto::{BadKey, KeyRing, RootKey, VerifyingKey};
use conductor_os::dir::Dir;
use conductor_os::plain::{open_plain, read_whole};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The file that is made where the operator gave none, beside the store.
pub const ROOT_KEY: &str = "root.key";
/// The public keys of the state, beside the store.
pub const PUBLIC_KEYS: &str = "public-keys.pem";
/// The systemd credential that is looked for (`LoadCredential=conductor-state-key:...`).
const CREDENTIAL: &str = "conductor-state-key";
/// The most bytes of a key file: hundreds of keys.
const FILE_MAX: u64 = 64 << 10;
/// The most keys of a ring; their file stays far below its bound.
const KEYS_MAX: usize = 256;
/// The most bytes of a file of public keys: thousands of them.
pub const PUBLIC_MAX: u64 = 1 << 20;
/// Permission bits that make a file no secret.
const GROUP_READ: u32 = 0o040;
const OTHERS: u32 = 0o007;
const WRITABLE: u32 = 0o022;

/// What is wrong with a key file.
#[derive(Debug, thiserror::Error)]
pub enum KeyFlaw {
    /// It, or what lies beside it, cannot be read or written.
    #[error("{0}")]
    File(#[from] io::Error),
    /// It holds no key.
    #[error("{0}")]
    Key(#[from] BadKey),
    /// A rule for key files is broken.
    #[error("{0}")]
    Rule(String),
}

impl From<String> for KeyFlaw {
    fn from(rule: String) -> Self {
        Self::Rule(rule)
    }
}

impl From<&str> for KeyFlaw {
    fn from(rule: &str) -> Self {
        Self::Rule(rule.to_owned())
    }
}

/// Why there is no usable key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key file cannot be used.
    #[error("the key file {}: {flaw}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        flaw: KeyFlaw,
    },
    /// It holds other keys than those that signed before.
    #[error(
        "the key file {} holds none of the keys of this state ({known})", path.display()
    )]
    Other {
        /// The file.
        path: PathBuf,
        /// The names of the keys that signed before.
        known: String,
    },
}

impl KeyError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Unusable { .. } => Code::KeyUnusable,
            Self::Other { .. } => Code::KeyOther,
        }
    }

    pub(crate) fn of(path: &Path, flaw: impl Into<KeyFlaw>) -> Self {
        Self::Unusable { path: path.to_owned(), flaw: flaw.into() }
    }
}

/// What is looked at to find the keys of a state.
#[derive(Debug, Clone, Copy)]
pub struct Places<'p> {
    /// The key file that the operator named.
    pub given: Option<&'p Path>,
    /// The directory of the service manager's credentials.
    pub credentials: Option<&'p Path>,
    /// The handoff directory, which producers write.
    pub handoff: &'p Path,
    /// The directory of the store.
    pub state: &'p Dir,
    /// The path of that directory.
    pub state_path: &'p Path,
    /// Whether a sealed store is there: its key was, too, and none is made in its place.
    pub sealed: bool,
}

/// Where a lost key may be, for who starts a command outside the unit of the daemon.
const ELSEWHERE: &str = "a key that the service manager holds as a credential is seen by its unit alone; --state-key-file names its file";

impl Keys {
    /// The keys of a state; made if there are none, and none were there before. [`Keys::keep_public`] records them once the
    /// store has accepted them.
    pub fn open(places: &Places<'_>) -> Result<Self, KeyError> {
        Self::check(places)?.map_or_else(|| Self::make(places), Ok)
    }

    /// The keys that a start would find; `None`: it would make one.
    pub fn check(places: &Places<'_>) -> Result<Option<Self>, KeyError> {
        let found = Self::find(places, true)?;
        if let Some(keys) = &found {
            keys.must_be_of(places)?;
            return Ok(found);
        }
        let path = places.state_path.join(ROOT_KEY);
        let known = known_public(places.state).map_err(|error| KeyError::of(&path, error))?;
        // Never in place of a lost one: what that one has sealed would be closed, and what it has signed would be foreign.
        if places.sealed || !known.is_empty() {
            let why = format!("it is gone, and this state has been signed or sealed with it; {ELSEWHERE}");
            return Err(KeyError::of(&path, why));
        }
        Ok(None)
    }

    /// The keys for a state that takes the place of the one that is here: those that are there, whatever they have signed, or a
    /// new one, which [`Keys::keep_of_another`] writes.
    pub fn for_another_state(places: &Places<'_>) -> Result<Self, KeyError> {
        Self::find(places, true)?.map_or_else(|| Self::generated(places), Ok)
    }

    /// The keys that are there, for a command that changes nothing and may run as another user.
    pub fn look(places: &Places<'_>) -> Result<Self, KeyError> {
        let none = || KeyError::of(&places.state_path.join(ROOT_KEY), format!("there is none; {ELSEWHERE}"));
        Self::find(places, false)?.ok_or_else(none)
    }

    /// `judged`: a file that is no secret of this user is refused.
    fn find(places: &Places<'_>, judged: bool) -> Result<Option<Self>, KeyError> {
        if let Some(path) = places.given {
            let path = std::path::absolute(path).map_err(|error| KeyError::of(path, error))?;
            let (real, ring) = read_given(&path, places.handoff, judged)?;
            return Ok(Some(Self::new(ring, Origin::Given(real))));
        }
        if let Some(path) = credential(places)? {
            let ring = read(&path, false)?;
            return Ok(Some(Self::new(ring, Origin::Credential(path))));
        }
        let path = places.state_path.join(ROOT_KEY);
        if !places.state.has(ROOT_KEY).map_err(|error| KeyError::of(&path, error))? {
            return Ok(None);
        }
        // It lies in the private directory, whose owner and modes are checked with it.
        let ring = read(&path, false)?;
        Ok(Some(Self::new(ring, Origin::Made(path))))
    }

    fn generated(places: &Places<'_>) -> Result<Self, KeyError> {
        let path = places.state_path.join(ROOT_KEY);
        let key = RootKey::generate().ok_or_else(|| KeyError::of(&path, "no randomness"))?;
        Ok(Self::new(KeyRing::of(key), Origin::Made(path)))
    }

    fn make(places: &Places<'_>) -> Result<Self, KeyError> {
        let keys = Self::generated(places)?;
        keys.keep_root(places.state).map_err(|error| KeyError::of(keys.origin().path(), error))?;
        Ok(keys)
    }

    /// Writes the key file where it was made by this program and is missing.
    fn keep_root(&self, state: &Dir) -> io::Result<()> {
        if self.origin().is_weak() && !state.has(ROOT_KEY)? {
            state.replace(ROOT_KEY, 0o400, self.ring().text().as_bytes())?;
        }
        Ok(())
    }

    /// Refuses keys of another state: what that one has signed would be foreign.
    fn must_be_of(&self, places: &Places<'_>) -> Result<(), KeyError> {
        let known = known_public(places.state)
            .map_err(|error| KeyError::of(&places.state_path.join(PUBLIC_KEYS), error))?;
        let ours = self.public();
        if known.is_empty() || known.iter().any(|key| ours.contains(key)) {
            return Ok(());
        }
        let names: Vec<String> = known.iter().map(|key| key.id().to_string()).collect();
        Err(KeyError::Other { path: self.origin().path().to_owned(), known: names.join(", ") })
    }

    /// Keeps the public keys beside the store, with those that were there.
    pub fn keep_public(&self, state: &Dir, state_path: &Path) -> Result<(), KeyError> {
        let failed = |error: io::Error| KeyError::of(&state_path.join(PUBLIC_KEYS), error);
        keep_all(state, &self.public()).map_err(failed)
    }

    /// Keeps these keys, and the public keys of the state that takes the place of the one that is here, with those that were there.
    pub fn keep_of_another(
        &self,
        state: &Dir,
        state_path: &Path,
        public: &[VerifyingKey],
    ) -> Result<(), KeyError> {
        let failed = |error: io::Error| KeyError::of(state_path, error);
        keep_all(state, &[public, &self.public()].concat())
            .and_then(|()| self.keep_root(state))
            .map_err(failed)
    }

    /// Puts the files of the keys back into a state directory that lost them while they were in use. `known`: the public
    /// keys that were there.
    pub fn put_back(&self, state: &Dir, known: &[VerifyingKey]) -> io::Result<()> {
        self.keep_root(state)?;
        if state.has(PUBLIC_KEYS)? {
            return Ok(());
        }
        state.replace(PUBLIC_KEYS, 0o644, show_public(known).as_bytes())
    }

    /// Adds a new root key to the key file. The keys before it stay, to read and verify what they made.
    pub fn rotate(places: &Places<'_>) -> Result<Self, KeyError> {
        let state_failed = |error: io::Error| KeyError::of(places.state_path, error);
        // Another rotation waits for this one: each reads the file that the one before wrote.
        let _alone = places.state.lock().map_err(state_failed)?;
        let keys = Self::look(places)?;
        keys.must_be_of(places)?;
        let Self { ring, origin, .. } = keys;
        let path = origin.path().to_owned();
        let failed = |error: io::Error| KeyError::of(&path, error);
        if matches!(origin, Origin::Credential(_)) {
            let why = "a credential is changed where the service manager takes it from";
            return Err(KeyError::of(&path, why));
        }
        let meta = std::fs::metadata(&path).map_err(failed)?;
        let us = rustix::process::geteuid().as_raw();
        if meta.uid() != us {
            let why = format!(
                "it belongs to user {}, and user {us} would take it over; rotate as that user",
                meta.uid()
            );
            return Err(KeyError::of(&path, why));
        }
        let mut ring = KeyRing::parse(ring.text().as_bytes()).map_err(|bad| KeyError::of(&path, bad))?;
        if ring.keys().count() >= KEYS_MAX {
            let why = format!(
                "it holds {KEYS_MAX} keys; remove the oldest, which nothing of the state needs any more"
            );
            return Err(KeyError::of(&path, why));
        }
        ring.rotate(RootKey::generate().ok_or_else(|| KeyError::of(&path, "no randomness"))?);
        let (parent, name) = (path.parent(), path.file_name().and_then(|name| name.to_str()));
        let (Some(parent), Some(name)) = (parent, name) else {
            return Err(KeyError::of(&path, "it has no directory or no plain name"));
        };
        let dir = Dir::open(parent).map_err(failed)?;
        dir.replace(name, meta.mode() & 0o700, ring.text().as_bytes()).map_err(failed)?;
        let keys = Self::new(ring, origin);
        keys.keep_public(places.state, places.state_path)?;
        Ok(keys)
    }
}

/// The credential of the service manager, if it gave one.
fn credential(places: &Places<'_>) -> Result<Option<PathBuf>, KeyError> {
    let Some(path) = places.credentials.map(|dir| dir.join(CREDENTIAL)) else { return Ok(None) };
    match std::fs::symlink_metadata(&path) {
        Ok(_) => Ok(Some(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(KeyError::of(&path, error)),
    }
}

/// Keeps public keys beside the store, with those that were there.
fn keep_all(state: &Dir, more: &[VerifyingKey]) -> io::Result<()> {
    let before = known_public(state)?;
    let mut all = before.clone();
    for key in more {
        if !all.contains(key) {
            all.push(*key);
        }
    }
    if all == before {
        return Ok(());
    }
    state.replace(PUBLIC_KEYS, 0o644, show_public(&all).as_bytes())
}

/// The public keys that have signed for this state.
pub fn known_public(state: &Dir) -> io::Result<Vec<VerifyingKey>> {
    match state.read_plain(PUBLIC_KEYS, PUBLIC_MAX) {
        Ok(text) => read_public(&String::from_utf8_lossy(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Reads a key file that the operator named. Returns the path of the file itself, which a link may lead to.
fn read_given(path: &Path, handoff: &Path, judged: bool) -> Result<(PathBuf, KeyRing), KeyError> {
    let failed = |error: io::Error| KeyError::of(path, error);
    let real = path.canonicalize().map_err(failed)?;
    let handoff = handoff.canonicalize().unwrap_or_else(|_| handoff.to_owned());
    let beside = path.parent().map(Path::canonicalize).transpose().map_err(failed)?;
    if real.starts_with(&handoff) || beside.is_some_and(|beside| beside.starts_with(&handoff)) {
        return Err(KeyError::of(path, "it lies in the handoff directory, where producers write"));
    }
    let ring = read(&real, judged)?;
    Ok((real, ring))
}

fn read(path: &Path, judged: bool) -> Result<KeyRing, KeyError> {
    let failed = |error: io::Error| KeyError::of(path, error);
    let file = open_plain(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if judged {
        let us = rustix::process::geteuid().as_raw();
        judge(meta.mode(), meta.uid(), us).map_err(|why| KeyError::of(path, why))?;
    }
    let bytes = zeroize::Zeroizing::new(read_whole(file, FILE_MAX).map_err(failed)?);
    KeyRing::parse(&bytes).map_err(|bad: BadKey| KeyError::of(path, bad))
}

/// Whether a file with these permissions and this owner is a secret of the user `us`.
fn judge(mode: u32, owner: u32, us: u32) -> Result<(), String> {
    let shown = mode & 0o7777;
    if owner != us && owner != 0 {
        return Err(format!("it belongs to user {owner}, who may change it; chown it to user {us}"));
    }
    if mode & OTHERS != 0 || mode & WRITABLE != 0 || (mode & GROUP_READ != 0 && owner == us) {
        return Err(format!(
            "others may read or change it (mode {shown:04o}); chmod 0400 it, and make a new key if it was read"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor_core::attestation::Attest;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    struct Bed {
        temp: tempfile::TempDir,
        dir: Dir,
    }

    impl Bed {
        fn new() -> Self {
            let temp = tempfile::tempdir().unwrap();
            fs::create_dir(temp.path().join("handoff")).unwrap();
            fs::create_dir(temp.path().join("state")).unwrap();
            let dir = Dir::open(&temp.path().join("state")).unwrap();
            Self { temp, dir }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.temp.path().join(name)
        }

        fn run<T>(&self, given: Option<&str>, work: impl FnOnce(&Places<'_>) -> T) -> T {
            let given = given.map(|name| self.path(name));
            work(&Places {
                given: given.as_deref(),
                credentials: None,
                handoff: &self.path("handoff"),
                state: &self.dir,
                state_path: &self.path("state"),
                sealed: false,
            })
        }

        fn put(&self, name: &str, mode: u32, content: &[u8]) {
            fs::write(self.path(name), content).unwrap();
            fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
        }
    }

    /// What a start does whose store accepts the keys.
    fn accepted(places: &Places<'_>) -> Result<Keys, KeyError> {
        let keys = Keys::open(places)?;
        keys.keep_public(places.state, places.state_path)?;
        Ok(keys)
    }

    #[test]
    fn a_key_is_made_once_and_never_in_place_of_a_lost_one() {
        let bed = Bed::new();
        let first = bed.run(None, accepted).unwrap();
        assert!(first.origin().is_weak());
        assert_eq!(fs::metadata(bed.path("state/root.key")).unwrap().mode() & 0o7777, 0o400);
        assert_eq!(bed.run(None, Keys::open).unwrap().public(), first.public());
        fs::remove_file(bed.path("state/root.key")).unwrap();
        let lost = bed.run(None, Keys::open).unwrap_err();
        assert_eq!(lost.code(), Code::KeyUnusable);
        assert!(lost.to_string().contains("it is gone"), "{lost}");
        // A sealed store alone tells that there was one.
        fs::remove_file(bed.path("state/public-keys.pem")).unwrap();
        let lost = bed.run(None, |places| Keys::open(&Places { sealed: true, ..*places })).unwrap_err();
        assert!(lost.to_string().contains("it is gone"), "{lost}");
        assert!(!bed.path("state/root.key").exists());
        // The open keys go back, with all public keys that were known.
        let known = [first.public(), vec![RootKey::generate().unwrap().identity().public()]].concat();
        first.put_back(&bed.dir, &known).unwrap();
        assert_eq!(bed.run(None, Keys::open).unwrap().public(), first.public());
        assert_eq!(known_public(&bed.dir).unwrap(), known);
    }

    #[test]
    fn a_key_file_that_is_no_secret_is_refused_with_the_reason() {
        let bed = Bed::new();
        let key = KeyRing::of(RootKey::generate().unwrap()).text();
        for (name, mode, content, reason) in [
            ("short", 0o400, b"abc".as_slice(), "32 bytes"),
            ("empty", 0o400, b"", "no key"),
            ("zero", 0o400, [0; 32].as_slice(), "equal"),
            ("open", 0o444, key.as_bytes(), "chmod 0400"),
            ("group", 0o440, key.as_bytes(), "chmod 0400"),
            ("writable", 0o620, key.as_bytes(), "chmod 0400"),
            ("handoff/key", 0o400, key.as_bytes(), "where producers write"),
        ] {
            bed.put(name, mode, content);
            let refused = bed.run(Some(name), Keys::open).unwrap_err();
            assert_eq!(refused.code(), Code::KeyUnusable);
            assert!(refused.to_string().contains(reason), "{name}: {refused}");
        }
        assert!(bed.run(Some("missing"), Keys::open).is_err());
        bed.put("good", 0o400, key.as_bytes());
        assert!(!bed.run(Some("good"), Keys::open).unwrap().origin().is_weak());
        // As a volume of a Secret with fsGroup shows it to another user than root.
        assert!(judge(0o100_440, 0, 65_534).is_ok() && judge(0o100_440, 65_534, 65_534).is_err());
        assert!(judge(0o100_400, 7, 65_534).is_err() && judge(0o100_444, 0, 65_534).is_err());
    }

    #[test]
    fn keys_of_another_state_are_refused_and_rotated_ones_are_not() {
        let bed = Bed::new();
        for name in ["one", "two"] {
            bed.put(name, 0o600, KeyRing::of(RootKey::generate().unwrap()).text().as_bytes());
        }
        let before = bed.run(Some("one"), accepted).unwrap();
        let other = bed.run(Some("two"), Keys::open).unwrap_err();
        assert_eq!(other.code(), Code::KeyOther);
        assert!(other.to_string().contains(before.key()), "{other}");
        let after = bed.run(Some("one"), Keys::rotate).unwrap();
        assert_eq!(after.public().len(), 2);
        assert_ne!(after.key(), before.key());
        assert_eq!(bed.run(Some("one"), Keys::open).unwrap().public(), after.public());
        assert_eq!(known_public(&bed.dir).unwrap(), after.public());
        // A link is followed: what it leads to is rotated, and it stays a link.
        std::os::unix::fs::symlink(bed.path("one"), bed.path("link")).unwrap();
        assert_eq!(bed.run(Some("link"), Keys::rotate).unwrap().public().len(), 3);
        assert!(fs::symlink_metadata(bed.path("link")).unwrap().is_symlink());
        assert_eq!(bed.run(Some("one"), Keys::open).unwrap().public().len(), 3);
        std::os::unix::fs::symlink(bed.path("one"), bed.path("handoff/link")).unwrap();
        assert!(
            bed.run(Some("handoff/link"), Keys::open)
                .unwrap_err()
                .to_string()
                .contains("where producers write")
        );
        // Another user's key may be looked at by who can read it, and is used and rotated by its user alone.
        if std::os::unix::fs::chown(bed.path("one"), Some(65_534), None).is_ok() {
            assert!(bed.run(Some("one"), Keys::look).is_ok());
            assert!(bed.run(Some("one"), Keys::open).is_err() && bed.run(Some("one"), Keys::rotate).is_err());
        }
    }
}
