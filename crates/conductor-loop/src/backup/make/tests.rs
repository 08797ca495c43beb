//! A backup is made of what is there at one moment, one file after the other, or given up without a trace.

use super::*;
use crate::backup::{list, newest};
use crate::keys::Places;
use crate::store::{Ledger, Work};
use conductor_core::record::Outcome;
use conductor_crypto::SealKey;
use conductor_evidence::entry::{Event, Record, Result as EntryResult};
use conductor_evidence::trail::{SEGMENT_MAX, Setup, Trail};
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

/// Stands in the trail, in the settings and in the state.
const WORD: &str = "a-word-that-nobody-may-read";

/// A state with its trail, and a directory of backups.
struct Host {
    temp: tempfile::TempDir,
    state: Arc<Dir>,
    private: Dir,
    backups: Dir,
    keys: Keys,
    store: Store,
    trail: Trail,
}

impl Host {
    fn new(segment_max: u64) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let private = Dir::open(temp.path()).unwrap();
        let sub = |name: &str| Arc::new(private.ensure(name, 0o700).unwrap());
        let (state, audit) = (sub("state"), sub(AUDIT));
        let state_path = temp.path().join("state");
        let places = Places {
            given: None,
            credentials: None,
            handoff: temp.path(),
            state: &state,
            state_path: &state_path,
            sealed: false,
        };
        let keys = Keys::open(&places).unwrap();
        keys.keep_public(&state, &state_path).unwrap();
        let store = Store::open(Arc::clone(&state), &Sealing::On(Arc::clone(keys.ring())), true).unwrap();
        for seq in 1..=3 {
            let outcome =
                Outcome { message: WORD.into(), ..Outcome::blank(Seq(seq), "a.json", Timestamp::now()) };
            store.commit(&Work { imported: vec![&outcome], ..Work::default() }).unwrap();
        }
        let setup = Setup {
            dir: audit,
            identity: keys.identity(),
            covers: vec![SealKey::new(&[1; 32]).unwrap()],
            boot: "0123abcd".into(),
            now: Timestamp::now(),
            segment_max,
        };
        let (trail, _) = Trail::open(setup).unwrap();
        let backups = private.ensure("backups", 0o700).unwrap();
        let mut host = Self { temp, state, private, backups, keys, store, trail };
        host.append(1);
        host
    }

    fn append(&mut self, batches: usize) {
        for _ in 0..batches {
            let record = Record::of(Event::Taken, EntryResult::Success).with("note", WORD);
            self.trail.append(&[record], Timestamp::now()).unwrap();
        }
    }

    fn make(&self, goes_on: &dyn Fn() -> bool) -> Result<Listed, BackupError> {
        let source = Source { private: &self.private, keys: &self.keys, settings: WORD };
        let making = Making::begin(&self.backups, &Series::of(&self.state).unwrap(), goes_on)?;
        making.copy(&self.store)?.finish(&source, &[])
    }

    /// The entries of the trail in the newest backup.
    fn entries(&self) -> u64 {
        let series = Series::of(&self.state).unwrap();
        let made = newest(&self.backups, &series, Timestamp::now()).unwrap().unwrap();
        let scratch = Scratch::new(&self.private, ".trial").unwrap();
        let file = self.backups.open_read(&made.name).unwrap();
        let identities = own_identities(self.keys.ring());
        check(file, &identities, &scratch.dir(), &self.keys.public(), Written::All).unwrap().entries
    }

    /// The newest segment.
    fn segment(&self) -> PathBuf {
        let audit = self.private.sub(AUDIT).unwrap();
        let last = *segment::list(&audit).unwrap().last().unwrap();
        self.temp.path().join(AUDIT).join(segment::name(last))
    }
}

#[test]
fn it_is_given_up_wherever_it_is_and_leaves_nothing() {
    let host = Host::new(SEGMENT_MAX);
    let asked = Cell::new(0);
    host.make(&|| asked.replace(asked.get() + 1) < usize::MAX).unwrap();
    let all = asked.get();
    assert!(all > 20, "it is asked at each row, read and write: {all}");
    let made = list(&host.backups).unwrap();
    for most in 0..all {
        asked.set(0);
        let given_up = host.make(&|| asked.replace(asked.get() + 1) < most);
        assert!(matches!(given_up, Err(BackupError::GivenUp)), "{most}: {given_up:?}");
        assert_eq!(host.backups.names().unwrap().len(), 1, "{most}");
    }
    assert_eq!(list(&host.backups).unwrap(), made);
    host.make(&|| true).unwrap();
}

#[test]
fn what_nobody_has_signed_yet_is_left_out() {
    let mut host = Host::new(SEGMENT_MAX);
    host.append(3);
    let (signed, segment) = (host.trail.head().size, host.segment());
    let whole = fs::read(&segment).unwrap();
    host.append(1);
    let longer = fs::read(&segment).unwrap();
    // A batch is an entry and a checkpoint; its lines are there one after the other, and each part by part.
    let entry = longer[whole.len()..].iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for written in [1, entry - 1, entry, entry + 1, longer.len() - whole.len() - 1] {
        fs::write(&segment, &longer[..whole.len() + written]).unwrap();
        host.make(&|| true).unwrap();
        assert_eq!(host.entries(), signed, "{written}");
    }
    // The first batch of a new segment.
    fs::write(&segment, &whole).unwrap();
    let begun = segment.with_file_name(segment::name(signed));
    fs::write(&begun, &longer[whole.len()..whole.len() + entry]).unwrap();
    host.make(&|| true).unwrap();
    assert_eq!(host.entries(), signed);
    fs::remove_file(begun).unwrap();
    fs::write(&segment, &longer).unwrap();
    host.make(&|| true).unwrap();
    assert_eq!(host.entries(), host.trail.head().size);
}

#[test]
fn backups_are_right_whenever_the_trail_grows() {
    let mut host = Host::new(1);
    let Host { private, backups, keys, store, trail, state, .. } = &mut host;
    let series = Series::of(state).unwrap();
    let (turns, asked) = std::sync::mpsc::sync_channel::<()>(0);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for () in asked {
                for _ in 0..100 {
                    let record = Record::of(Event::Taken, EntryResult::Success).with("note", WORD);
                    trail.append(&[record], Timestamp::now()).unwrap();
                }
            }
        });
        for _ in 0..10 {
            turns.send(()).unwrap();
            let making = Making::begin(backups, &series, &|| true).unwrap();
            let source = Source { private, keys, settings: WORD };
            making.copy(store).unwrap().finish(&source, &[]).unwrap();
        }
        drop(turns);
    });
}

/// The open segments of a trail below this directory.
fn open_segments(below: &Path) -> usize {
    let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let open = open.filter_map(|entry| fs::read_link(entry.path()).ok());
    open.filter(|path| path.starts_with(below) && path.extension().is_some_and(|end| end == "jsonl")).count()
}

/// Whether a file below this directory has the word in it.
fn tells(below: &Path) -> bool {
    let Ok(entries) = fs::read_dir(below) else { return false };
    entries.flatten().any(|entry| {
        let content = || fs::read(entry.path()).unwrap_or_default();
        tells(&entry.path()) || content().windows(WORD.len()).any(|window| window == WORD.as_bytes())
    })
}

#[test]
fn of_any_number_of_segments_one_is_open_at_a_time_and_nothing_lies_in_clear_meanwhile() {
    let mut host = Host::new(1);
    host.append(100);
    let (audit, backups) = (host.temp.path().join(AUDIT), host.temp.path().join("backups"));
    assert!(tells(&audit), "it does where it belongs");
    let before = open_segments(&audit);
    let (most, asked) = (Cell::new(0), Cell::new(0_u32));
    host.make(&|| {
        most.set(most.get().max(open_segments(host.temp.path()) - before));
        asked.set(asked.get() + 1);
        if asked.get() % 50 == 0 {
            assert!(!tells(&backups));
        }
        true
    })
    .unwrap();
    assert_eq!((most.get(), host.entries()), (1, host.trail.head().size));
}
