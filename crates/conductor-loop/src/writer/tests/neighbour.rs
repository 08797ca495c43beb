//! The archive beside a producer and a hostile neighbour who choose names on purpose, with crashes at every step, purges,
//! and a store restored to an earlier state. In every case: the writer continues, each remembered outcome whose file the
//! neighbour left alone finds exactly its bytes at its recorded path, no two share a path, and the neighbour's files stay
//! unchanged.

use super::*;
use crate::store::Pending;
use conductor_core::record::Status;
use conductor_crypto::sha256;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;

/// Names that collide with each other's numbered names.
const NAMES: [&str; 6] = [
    "intent-a.json",
    "intent-a.2.json",
    "intent-a.3.json",
    "intent-a.3.2.json",
    "intent-a.2.2.json",
    "intent-a.4.json",
];

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Finishes an intent.
    File { name: usize, failed: bool },
    /// The daemon dies after the commit, with `kept` halves of the files on the disk, and is started again.
    CrashInCommit { name: usize, failed: bool, kept: usize },
    /// The daemon ends and is started again.
    Restart,
    /// The neighbour puts a file or a directory at a name that may be chosen next.
    Plant { name: usize, failed: bool, log: bool, directory: bool },
    /// The neighbour moves an archived file away.
    MoveAway { which: usize },
    /// The neighbour moves it back to its old name.
    MoveBack,
    /// Purges the oldest outcomes.
    Purge { how_many: i64 },
    /// Copies the state.
    BackUp,
    /// Restores the copy of the state.
    Restore,
}

fn step() -> impl Strategy<Value = Step> {
    let name = 0..NAMES.len();
    prop_oneof![
        6 => (name.clone(), any::<bool>()).prop_map(|(name, failed)| Step::File { name, failed }),
        3 => (name.clone(), any::<bool>(), 0..7_usize)
            .prop_map(|(name, failed, kept)| Step::CrashInCommit { name, failed, kept }),
        1 => Just(Step::Restart),
        3 => (name, any::<bool>(), any::<bool>(), any::<bool>())
            .prop_map(|(name, failed, log, directory)| Step::Plant { name, failed, log, directory }),
        3 => (0..20_usize).prop_map(|which| Step::MoveAway { which }),
        2 => Just(Step::MoveBack),
        1 => (1..4_i64).prop_map(|how_many| Step::Purge { how_many }),
        1 => Just(Step::BackUp),
        1 => Just(Step::Restore),
    ]
}

struct World {
    office: Option<Office>,
    next_seq: Seq,
    /// The number of intents and files made so far, each an hour after the last.
    made: i64,
    bytes: BTreeMap<Seq, String>,
    planted: BTreeMap<String, String>,
    /// Paths emptied by the neighbour, or by a purge that a restore has undone.
    emptied: HashSet<String>,
    stash: Vec<(String, Vec<u8>)>,
    backup: Option<Vec<u8>>,
}

impl World {
    fn new() -> Self {
        let (bytes, planted, emptied, stash) = (BTreeMap::new(), BTreeMap::new(), HashSet::new(), Vec::new());
        Self {
            office: Some(office()),
            next_seq: Seq(1),
            made: 0,
            bytes,
            planted,
            emptied,
            stash,
            backup: None,
        }
    }

    fn office(&mut self) -> &mut Office {
        self.office.as_mut().unwrap()
    }

    fn turn(&mut self, batch: Vec<Command>) {
        let (goes_on, said) = self.office().turn(batch);
        assert!(goes_on, "{said:?}");
        assert!(self.office().writer_loop.unpublished.is_empty());
    }

    fn next(&mut self, name: usize, failed: bool) -> Publication {
        let seq = self.next_seq;
        (self.next_seq, self.made) = (seq.next(), self.made + 1);
        let content = format!("intent {} of this test", self.made);
        self.bytes.insert(seq, content.clone());
        let mut one = publication(seq, bytes(&content));
        one.outcome = Outcome {
            name: NAMES[name].to_owned(),
            finished_at: set_now(self.made),
            size: content.len() as u64,
            sha256: Some(sha256(content.as_bytes())),
            status: if failed { Status::Failed } else { Status::Success },
            ..outcome(seq, NAMES[name])
        };
        one.report = failed.then(|| format!("Sequence:    {seq}\nmade: {}\n", self.made).into());
        one
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::File { name, failed } => {
                let one = self.next(name, failed);
                self.turn(vec![Command::Settle(Box::new(one))]);
                self.office().writer_loop.finish();
            }
            Step::CrashInCommit { name, failed, kept } => self.crash(name, failed, kept),
            Step::Restart => self.restart(),
            Step::Plant { name, failed, log, directory } => self.plant(name, failed, log, directory),
            Step::MoveAway { which } => self.move_away(which),
            Step::MoveBack => {
                if let Some((path, content)) = self.stash.pop() {
                    let at = self.office().path(&path);
                    if !at.exists() {
                        fs::write(at, content).unwrap();
                    }
                }
            }
            Step::Purge { how_many } => {
                let before = self.remembered();
                let Some(first) = before.iter().map(|outcome| outcome.finished_at).min() else { return };
                let bound = first + SignedDuration::from_hours(how_many);
                self.turn(vec![Command::Retain { before: bound }]);
                let after: HashSet<Seq> = self.remembered().iter().map(|outcome| outcome.seq).collect();
                let gone = before.into_iter().filter(|outcome| !after.contains(&outcome.seq));
                self.emptied.extend(gone.map(|outcome| outcome.archived_as));
            }
            Step::BackUp => {
                let Office { temp, writer_loop, .. } = self.office.take().unwrap();
                drop(writer_loop);
                self.backup = Some(fs::read(temp.path().join("store/ledger.redb")).unwrap());
                self.office = Some(office_in(temp));
            }
            Step::Restore => self.restore(),
        }
    }

    /// Unsynced files may be lost or truncated: archived file, error log, status.
    fn crash(&mut self, name: usize, failed: bool, kept: usize) {
        let one = self.next(name, failed);
        let seq = one.outcome.seq;
        self.turn(vec![Command::Settle(Box::new(one))]);
        let outcome = self.office().writer_loop.store.outcome(seq).unwrap().unwrap();
        let archived = self.office().path(&outcome.archived_as);
        let log = self.office().path(&format!("{}.error.log", outcome.archived_as));
        let status = self.office().path(&format!("status/{}.status", outcome.name));
        for (number, path) in [archived, log, status].into_iter().enumerate() {
            if number == 1 && !failed {
                continue; // An existing file of that name is the neighbour's.
            }
            let lost = number * 2 >= kept;
            if lost && path.is_file() {
                fs::remove_file(path).unwrap();
            } else if number * 2 + 1 == kept && path.is_file() {
                let content = fs::read(&path).unwrap();
                fs::write(path, &content[..content.len() / 2]).unwrap();
            }
        }
        self.restart();
    }

    fn restart(&mut self) {
        let Office { temp, writer_loop, .. } = self.office.take().unwrap();
        drop(writer_loop);
        let office = office_in(temp);
        let mut again = Vec::new();
        let mut decided = |pending| {
            if let Pending::Settled { outcome, .. } = pending {
                again.push(Again { seq: outcome.seq, taken: None });
            }
        };
        office.writer_loop.store.pending(&mut decided).unwrap();
        self.office = Some(office);
        self.turn(vec![Command::Republish(again)]);
        self.office().writer_loop.finish();
    }

    fn plant(&mut self, name: usize, failed: bool, log: bool, directory: bool) {
        self.made += 1;
        let dir = if failed { "failed" } else { "processed" };
        let names = conductor_core::name::archive_names(NAMES[name], self.next_seq).take(3);
        let names: Vec<String> = names.collect();
        let end = if log { ".error.log" } else { "" };
        let path = format!("{dir}/{}{end}", names[usize::try_from(self.made % 3).unwrap()]);
        let (at, content) = (self.office().path(&path), format!("the neighbour's {}", self.made));
        if at.exists() {
            return;
        }
        if directory {
            fs::create_dir(at).unwrap();
        } else {
            fs::write(at, &content).unwrap();
            self.planted.insert(path, content);
        }
    }

    fn move_away(&mut self, which: usize) {
        let remembered = self.remembered();
        let Some(outcome) = remembered.get(which % remembered.len().max(1)) else { return };
        if self.planted.contains_key(&outcome.archived_as) {
            return; // The neighbour's own file, in place of one that it has moved away.
        }
        let at = self.office().path(&outcome.archived_as);
        if let Ok(content) = fs::read(&at) {
            fs::remove_file(at).unwrap();
            self.stash.push((outcome.archived_as.clone(), content));
            self.emptied.insert(outcome.archived_as.clone());
        }
    }

    /// Files stay; records made since the copy are forgotten, and their numbers are used again.
    fn restore(&mut self) {
        let Some(backup) = self.backup.clone() else { return };
        let Office { temp, writer_loop, .. } = self.office.take().unwrap();
        drop(writer_loop);
        fs::write(temp.path().join("store/ledger.redb"), backup).unwrap();
        // The store's mark is restored with it.
        let _ = fs::remove_file(temp.path().join("store/ledger.mark"));
        self.office = Some(office_in(temp));
        self.next_seq = self.office().writer_loop.store.last_seq().unwrap().next();
        self.restart();
    }

    fn remembered(&mut self) -> Vec<Outcome> {
        let mut all = Vec::new();
        let store = &self.office().writer_loop.store;
        store
            .outcomes(Seq(0), &mut |outcome| {
                all.push(outcome);
                true
            })
            .unwrap();
        all
    }

    fn check(&mut self) {
        let remembered = self.remembered();
        let paths: BTreeSet<&String> = remembered.iter().map(|outcome| &outcome.archived_as).collect();
        assert_eq!(paths.len(), remembered.len(), "two share a path: {remembered:#?}");
        for outcome in &remembered {
            let path = &outcome.archived_as;
            match fs::read(self.office().path(path)) {
                Ok(found) if self.planted.get(path).is_none_or(|planted| planted.as_bytes() != found) => {
                    let wanted = &self.bytes[&outcome.seq];
                    assert!(
                        String::from_utf8_lossy(&found) == *wanted || self.emptied.contains(path),
                        "{path} of {} holds {:?}",
                        outcome.seq,
                        String::from_utf8_lossy(&found)
                    );
                }
                other => assert!(self.emptied.contains(path), "{path} of {}: {other:?}", outcome.seq),
            }
        }
        for (path, content) in self.planted.clone() {
            assert_eq!(fs::read_to_string(self.office().path(&path)).unwrap(), content, "{path} was planted");
        }
        assert!(self.office().writer_loop.places.drafts.names().unwrap().is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_belongs_to_one_outcome_is_never_another_s(steps in proptest::collection::vec(step(), 1..30)) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
            world.check();
        }
    }
}
