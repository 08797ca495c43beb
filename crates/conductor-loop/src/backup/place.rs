//! The directory of backups. Several daemons may share one: the name of a backup tells the series that it belongs to, which is that of one
//! state, and a daemon removes backups of its own series alone.

use super::error::BackupError;
use conductor_core::digest::hex;
use conductor_core::record::rfc3339;
use conductor_crypto::random_bytes;
use conductor_os::dir::{Dir, Kind};
use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, Serializer};
use std::fmt;
use std::io;
use std::path::Path;

const BEGINS: &str = "conductor-";
const ENDS: &str = ".tar.age";
/// The letters of a time in a name: `20261126T083547123Z`.
const TIME: usize = 19;
/// The file of a series, beside the store.
const SERIES: &str = "backups.id";
/// The letters of a series.
const LETTERS: usize = 8;

/// The backups of one state. A state that was lost, and restored, begins another one: so no daemon removes backups that are not its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series(String);

impl Series {
    fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == LETTERS && text.bytes().all(is_digit)).then(|| Self(text.to_owned()))
    }

    /// The series of the state in this directory; `None`: it has none yet.
    pub fn find(state: &Dir) -> io::Result<Option<Self>> {
        match state.read_plain(SERIES, LETTERS as u64) {
            Ok(text) => Ok(std::str::from_utf8(&text).ok().and_then(Self::parse)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The series of the state in this directory, begun where it has none.
    pub fn of(state: &Dir) -> io::Result<Self> {
        if let Some(found) = Self::find(state)? {
            return Ok(found);
        }
        let random = random_bytes::<{ LETTERS / 2 }>().ok_or_else(|| io::Error::other("no randomness"))?;
        let series = Self(hex(&random));
        state.replace(SERIES, 0o600, format!("{series}\n").as_bytes())?;
        Ok(series)
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    made: Timestamp,
    series: Series,
}

impl Name {
    /// Of a backup of this series that is begun at this time.
    pub(super) fn new(made: Timestamp, series: &Series) -> Self {
        Self { made, series: series.clone() }
    }

    /// Reads a name; one that is written in another way than this program writes it is none.
    fn parse(text: &str) -> Option<Self> {
        let inner = text.strip_prefix(BEGINS)?.strip_suffix(ENDS)?;
        let (time, rest) = inner.split_at_checked(TIME)?;
        let series = Series::parse(rest.strip_prefix('-')?)?;
        let parsed = jiff::fmt::strtime::parse("%Y%m%dT%H%M%S", time.get(..15)?).ok()?;
        let whole = jiff::tz::Offset::UTC.to_timestamp(parsed.to_datetime().ok()?).ok()?;
        let millis = time.get(15..18)?.parse().ok()?;
        let made = whole.checked_add(SignedDuration::from_millis(millis)).ok()?;
        let name = Self { made, series };
        (name.to_string() == text).then_some(name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time: String = rfc3339(self.made).chars().filter(char::is_ascii_alphanumeric).collect();
        write!(f, "{BEGINS}{time}-{}{ENDS}", self.series)
    }
}

fn as_text<S: Serializer>(made: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&rfc3339(*made))
}

/// A backup in its directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its file.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was begun, by its name.
    #[serde(serialize_with = "as_text")]
    pub made_at: Timestamp,
    /// Its series.
    #[serde(skip)]
    pub series: Series,
}

impl Listed {
    pub(super) fn new(name: &Name, size: u64) -> Self {
        let Name { made, series } = name.clone();
        Self { name: name.to_string(), size, made_at: made, series }
    }
}

/// The backups of a directory, oldest first: plain files, each with a name that this program writes.
pub fn list(dir: &Dir) -> io::Result<Vec<Listed>> {
    let mut found = Vec::new();
    for name in dir.names()? {
        let Some(name) = std::str::from_utf8(&name).ok().and_then(Name::parse) else { continue };
        match dir.stat(name.to_string()) {
            Ok(meta) if meta.kind == Kind::File => found.push(Listed::new(&name, meta.size)),
            Ok(_) => {}
            // It was removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    found.sort_unstable_by(|one, other| (one.made_at, &one.name).cmp(&(other.made_at, &other.name)));
    Ok(found)
}

/// The newest backup of this series that was not made in the future, as the clock is now.
pub fn newest(dir: &Dir, series: &Series, now: Timestamp) -> io::Result<Option<Listed>> {
    let mut listed = list(dir)?;
    listed.retain(|one| one.series == *series && one.made_at <= now);
    Ok(listed.pop())
}

/// Orders backups for removal: first those of the future, which a clock that was wrong or somebody who renames has made, then by age.
/// The last one is the newest.
pub fn by_age(listed: &mut [Listed], now: Timestamp) {
    listed.sort_by_key(|one| (one.made_at <= now, one.made_at));
}

/// The directory of backups of the state in this directory. It is made for the first backup of a state alone, and the last part of it alone:
/// later, or above it, what is missing is a disk that is not mounted, and a backup would land on another one.
pub fn open(path: &Path, state: &Dir) -> Result<Dir, BackupError> {
    use std::os::unix::fs::DirBuilderExt;
    let missing = match Dir::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => error,
        opened => return opened.map_err(BackupError::of(format!("opening {}", path.display()))),
    };
    let shown = path.display();
    let begun = Series::find(state).map_err(BackupError::of("reading the id of the backups"))?.is_some();
    if begun {
        let what = format!(
            "opening {shown}, which is made for the first backup only: mount its disk, or make it: mkdir -m 0700 {shown}"
        );
        return Err(BackupError::of(what)(missing));
    }
    let made = std::fs::DirBuilder::new().mode(0o700).create(path).and_then(|()| Dir::open(path));
    made.map_err(BackupError::of(format!("making {shown}, of which the last part alone is made")))
}

/// Removes the oldest backups of the series of `made`, which was made just now, so that this many are left of it. All are tried; the first
/// error is told.
pub fn prune(dir: &Dir, keep: usize, made: &Listed) -> io::Result<()> {
    let mut others = list(dir)?;
    others.retain(|one| one.series == made.series && one.name != made.name);
    by_age(&mut others, made.made_at);
    let beyond = (others.len() + 1).saturating_sub(keep);
    let mut result = Ok(());
    for old in others.iter().take(beyond) {
        match dir.unlink(&old.name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => result = result.and(Err(error)),
            _ => {}
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "2026-11-26T08:35:47.123Z";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn series(text: &str) -> Series {
        Series::parse(text).unwrap()
    }

    fn place() -> (tempfile::TempDir, Dir) {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        (temp, dir)
    }

    fn put(dir: &Dir, made: &str, of: &str) -> Listed {
        let name = Name::new(at(made), &series(of));
        dir.create(name.to_string(), 0o600, b"x").unwrap();
        Listed::new(&name, 1)
    }

    fn names(dir: &Dir) -> Vec<String> {
        list(dir).unwrap().into_iter().map(|one| one.name).collect()
    }

    #[test]
    fn only_names_that_this_program_writes_are_those_of_backups() {
        let name = Name::new(at(AT), &series("0123abcd"));
        assert_eq!(name.to_string(), "conductor-20261126T083547123Z-0123abcd.tar.age");
        assert_eq!(Name::parse(&name.to_string()), Some(name));
        for other in [
            "conductor-.tar.age",
            "conductor-mine.tar.age",
            "conductor-20261126T083547123Z.tar.age",
            "conductor-20261126T083547Z.tar.age",
            "conductor-20261126T083547123Z-.tar.age",
            "conductor-20261126T083547123Z-0123ABCD.tar.age",
            "conductor-20261126T083547123Z-0123abcd-2.tar.age",
            "conductor-20261126T08354712éZ.tar.age",
            "conductor-20261126T083547-12Z.tar.age",
            "conductor-20261126T083560123Z.tar.age",
            "conductor-20261326T083547123Z.tar.age",
            "conductor-20261126T083547123Z.tar.age.old",
        ] {
            assert_eq!(Name::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_state_keeps_its_series_and_two_states_have_two() {
        let ((_one, one), (_other, other)) = (place(), place());
        assert_eq!(Series::find(&one).unwrap(), None);
        let own = Series::of(&one).unwrap();
        assert_eq!(
            (Series::of(&one).unwrap(), Series::find(&one).unwrap()),
            (own.clone(), Some(own.clone()))
        );
        assert_ne!(Series::of(&other).unwrap(), own);
        one.replace(SERIES, 0o600, b"damaged!").unwrap();
        assert_ne!(Series::of(&one).unwrap(), own);
    }

    #[test]
    fn what_is_no_backup_of_the_series_is_neither_counted_nor_removed() {
        let (_temp, dir) = place();
        let (own, foreign) = ("aaaaaaaa", "bbbbbbbb");
        let old = put(&dir, "2026-01-01T00:00:00Z", own);
        let of_another = put(&dir, "2026-01-02T00:00:00Z", foreign);
        dir.create("conductor-20260103T000000000Z.tar.age", 0o600, b"").unwrap();
        dir.create("conductor-mine.tar.age", 0o600, b"").unwrap();
        dir.ensure("conductor-20260104T000000000Z-aaaaaaaa.tar.age", 0o700).unwrap();
        let kept = put(&dir, "2026-01-05T00:00:00Z", own);
        // A clock was wrong, or somebody renamed it: it pushes none of the past out.
        let future = put(&dir, "2099-01-01T00:00:00Z", own);
        let made = put(&dir, "2026-01-06T00:00:00Z", own);
        prune(&dir, 3, &made).unwrap();
        assert_eq!(names(&dir), [old.name, of_another.name, kept.name, made.name.clone()]);
        assert!(!dir.has(&future.name).unwrap() && dir.has("conductor-mine.tar.age").unwrap());
        prune(&dir, 1, &made).unwrap();
        assert_eq!(names(&dir).len(), 2, "the one that was made just now stays: {:?}", names(&dir));
        assert!(dir.has(&made.name).unwrap());
    }

    #[test]
    fn a_backup_from_the_future_is_not_the_newest() {
        let (_temp, dir) = place();
        let now = at("2026-06-01T00:00:00Z");
        put(&dir, "2099-01-01T00:00:00Z", "aaaaaaaa");
        assert_eq!(newest(&dir, &series("aaaaaaaa"), now).unwrap(), None);
        let own = put(&dir, "2026-01-01T00:00:00Z", "aaaaaaaa");
        put(&dir, "2026-02-01T00:00:00Z", "bbbbbbbb");
        assert_eq!(newest(&dir, &series("aaaaaaaa"), now).unwrap(), Some(own));
    }

    #[test]
    fn where_a_disk_is_not_mounted_no_directory_is_made() {
        let (temp, state) = place();
        let disk = temp.path().join("disk");
        let path = disk.join("backups");
        let error = open(&path, &state).unwrap_err().to_string();
        assert!(error.contains("last part alone") && !disk.exists(), "{error}");
        std::fs::create_dir(&disk).unwrap();
        open(&path, &state).unwrap();
        // Backups are made, and then the disk is gone.
        Series::of(&state).unwrap();
        std::fs::remove_dir(&path).unwrap();
        let error = open(&path, &state).unwrap_err().to_string();
        assert!(error.contains("mount its disk") && !path.exists(), "{error}");
        std::fs::create_dir(&path).unwrap();
        open(&path, &state).unwrap();
    }
}
