//! The daemon's protocol in small steps, driven by the stages and the recovery table of `conductor_core::stage`, so that
//! model and product cannot drift apart. A crash can come before each step.

use super::disk::{Data, Disk, Name, Place};
use super::variant::{Omit, Porch, Variant};
use conductor_core::outcome::Verdict;
use conductor_core::stage::{Entry as Entered, Final, OnDisk, Resume, Step, Then, resume, step};
use conductor_core::{Attempt, Code};
use std::collections::BTreeMap;

/// The number of the name under which the third intent of name 0 would be archived, used by a producer.
pub(super) const NUMBERED: Name = 2;
/// Added to a number that is already taken.
const AGAIN: u8 = 100;

/// The archive place of an intent of this name.
fn archived(end: Final, name: Name, number: Option<u8>) -> Place {
    let (name, number) = if (name, number) == (NUMBERED, None) { (0, Some(3)) } else { (name, number) };
    match end {
        Final::Success | Final::Duplicate => Place::Processed(name, number),
        Final::Failed(_) => Place::Failed(name, number),
    }
}

/// The limit on starts per intent.
pub(super) const ATTEMPTS_MAX: u32 = 3;

/// One intent in the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    pub(super) name: Name,
    /// `None`: the intent was refused unread.
    pub(super) bytes: Option<u8>,
    /// The inode of the producer's file.
    inode: Option<u8>,
    /// The recorded start, and whether it is known to have run.
    start: Option<(u32, bool)>,
    pub(super) outcome: Option<Settled>,
    done: bool,
}

/// A durable outcome.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Settled {
    pub(super) end: Final,
    pub(super) attempts: u32,
    archive: Place,
}

/// The store: the committed state, and the part that is sure to survive a power cut.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Store {
    pub(super) now: BTreeMap<u8, Entry>,
    pub(super) durable: BTreeMap<u8, Entry>,
}

/// The real history, for the judge.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct World {
    /// Intents that were dropped and not replaced by their producer: name by content.
    pub(super) dropped: BTreeMap<u8, Name>,
    /// Starts of porch, in order, by content.
    pub(super) runs: Vec<u8>,
    /// Contents whose porch succeeded.
    pub(super) succeeded: Vec<u8>,
    /// Crashes so far between a start's record and its outcome.
    pub(super) crashes_in_run: u32,
    /// `porch` has asked for a retry.
    pub(super) retried: bool,
    /// A reader saw a status that is not whole.
    pub(super) torn_status_seen: bool,
    /// A power cut left half a package where a success had written a whole one.
    pub(super) package_lost: bool,
}

/// Disk, store, the unsynced run table, and the history.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Machine {
    pub(super) disk: Disk,
    pub(super) store: Store,
    /// `.conductor/running`: sequence number and attempt. Gone after a power cut, believed within one boot.
    pub(super) ledger: Option<(u8, u32)>,
    pub(super) same_boot: bool,
    pub(super) world: World,
}

/// The process died before this step.
#[derive(Debug)]
pub(super) struct Crash {
    /// Whether an intent's start was recorded and its outcome was not.
    pub(super) in_run: bool,
}

/// One life of the daemon.
pub(super) struct Daemon<'m> {
    pub(super) machine: &'m mut Machine,
    pub(super) variant: Variant,
    /// Steps left before the crash.
    pub(super) steps_left: u32,
    /// The step at which a producer drops another file of the same name.
    pub(super) interfere_at: Option<u32>,
    pub(super) steps: u32,
    in_run: bool,
    recovered: bool,
    published: Vec<u8>,
}

type Stepped = Result<(), Crash>;

impl<'m> Daemon<'m> {
    pub(super) fn new(machine: &'m mut Machine, variant: Variant, steps_left: u32) -> Self {
        Self {
            machine,
            variant,
            steps_left,
            interfere_at: None,
            steps: 0,
            in_run: false,
            recovered: false,
            published: Vec::new(),
        }
    }

    /// Runs the daemon from start to the end of the backlog.
    pub(super) fn run(mut self) -> Result<u32, Crash> {
        let (settlements, claims, relook) = self.recover()?;
        for seq in settlements {
            self.publish(seq)?;
        }
        // Statuses that a power cut tore are whole again; from here on readers must see whole statuses only.
        self.recovered = true;
        for (seq, started) in claims {
            self.in_run = true;
            self.live(seq, started)?;
        }
        for (seq, name) in relook {
            self.look(seq, name)?;
        }
        while let Some(name) = self.waiting() {
            self.step()?;
            let seq = self.next_seq();
            self.machine.disk.rename(Place::Handoff(name), Place::Taken(seq, name));
            self.look(seq, name)?;
        }
        self.finish()?;
        Ok(self.steps)
    }

    fn omits(&self, omit: Omit) -> bool {
        self.variant.omit == omit
    }

    /// A step boundary: a crash or a producer can come here. The view of a reader at this moment is checked.
    fn step(&mut self) -> Stepped {
        if self.steps_left == 0 {
            return Err(Crash { in_run: self.in_run });
        }
        self.steps_left -= 1;
        self.steps += 1;
        if self.interfere_at == Some(self.steps) {
            self.machine.drop_file(0, 9);
        }
        let first = self.machine.store.now.values().find(|entry| entry.bytes == Some(1));
        if self.variant.numbered
            && !self.machine.world.dropped.contains_key(&8)
            && first.is_some_and(|entry| entry.outcome.is_some())
        {
            self.machine.drop_file(0, 8);
        }
        let torn = |place| matches!(self.machine.disk.read(place), Some(Data::Torn | Data::Empty));
        let seen = self.recovered && [0, 1].into_iter().any(|name| torn(Place::Status(name)));
        self.machine.world.torn_status_seen |= seen;
        Ok(())
    }

    /// One transaction. Without its sync it may or may not survive a power cut.
    fn commit(&mut self, durable: bool, change: impl FnOnce(&mut BTreeMap<u8, Entry>)) -> Stepped {
        self.step()?;
        change(&mut self.machine.store.now);
        if durable {
            self.machine.store.durable = self.machine.store.now.clone();
        }
        Ok(())
    }

    fn waiting(&self) -> Option<Name> {
        // The numbered file was dropped first.
        if self.machine.disk.has(Place::Handoff(NUMBERED)) {
            return Some(NUMBERED);
        }
        self.machine.disk.places().find_map(|place| match place {
            Place::Handoff(name) => Some(name),
            _ => None,
        })
    }

    fn next_seq(&self) -> u8 {
        let taken = self.machine.disk.places().filter_map(|place| match place {
            Place::Taken(seq, _) => Some(seq),
            _ => None,
        });
        let known = self.machine.store.now.keys().copied();
        known.chain(taken).max().unwrap_or(0) + 1
    }

    #[expect(clippy::type_complexity, reason = "three lists that are used once, where they are made")]
    fn recover(&mut self) -> Result<(Vec<u8>, Vec<(u8, u32)>, Vec<(u8, Name)>), Crash> {
        let (mut settlements, mut claims, mut relook) = (Vec::new(), Vec::new(), Vec::new());
        let mut given_up = Vec::new();
        let entries = self.machine.store.now.clone();
        let succeeded = entries
            .values()
            .any(|entry| entry.outcome.as_ref().is_some_and(|outcome| outcome.end == Final::Success));
        let half = matches!(self.machine.disk.read(Place::Package), Some(Data::Torn | Data::Empty));
        self.machine.world.package_lost |= half && succeeded;
        for (seq, entry) in entries.iter().filter(|(_, entry)| !entry.done) {
            self.forget_returned(entry)?;
            match self.resume_of(*seq, entry) {
                Resume::Publish => settlements.push(*seq),
                Resume::GiveUp => given_up.push(*seq),
                Resume::Run { started } => {
                    claims.push((*seq, started));
                    self.step()?;
                    self.machine.disk.unlink(Place::Taken(*seq, entry.name));
                }
                Resume::Look => {}
            }
        }
        let taken: Vec<_> = self.machine.disk.places().collect();
        for place in taken {
            let Place::Taken(seq, name) = place else { continue };
            match self.machine.store.now.get(&seq) {
                // Its bytes are archived or in the store: a leftover. A file that was not read is still to be moved.
                Some(entry) if entry.done || entry.bytes.is_some() => {
                    self.step()?;
                    self.machine.disk.unlink(place);
                }
                Some(_) => {}
                None => relook.push((seq, name)),
            }
        }
        if !self.omits(Omit::CountingStarts) {
            let used_up = given_up.iter().map(|seq| (*seq, ATTEMPTS_MAX));
            let counted: Vec<_> = claims.iter().copied().chain(used_up).collect();
            self.commit(true, |store| {
                for (seq, started) in counted {
                    let entry = store.get_mut(&seq).expect("it was found there");
                    entry.start = (started > 0).then_some((started, true));
                }
            })?;
        }
        for place in [Place::Staged, Place::Draft] {
            self.step()?;
            self.machine.disk.unlink(place);
        }
        self.step()?;
        self.machine.ledger = None;
        self.machine.same_boot = true;
        for seq in given_up {
            self.settle(seq, Final::Failed(Code::Interrupted), ATTEMPTS_MAX)?;
            settlements.push(seq);
        }
        Ok((settlements, claims, relook))
    }

    /// Removes a file whose removal was undone by a power cut although its claim is durable.
    fn forget_returned(&mut self, entry: &Entry) -> Stepped {
        let place = Place::Handoff(entry.name);
        if entry.inode.is_some() && self.machine.disk.inode(place) == entry.inode {
            self.step()?;
            self.machine.disk.unlink(place);
        }
        Ok(())
    }

    fn resume_of(&self, seq: u8, entry: &Entry) -> Resume {
        if entry.outcome.is_some() {
            return resume(OnDisk::Settled, ATTEMPTS_MAX);
        }
        let started = match entry.start {
            None => 0,
            Some((attempt, false)) if self.machine.same_boot => {
                attempt - u32::from(self.machine.ledger != Some((seq, attempt)))
            }
            Some((attempt, _)) => attempt,
        };
        resume(OnDisk::Claimed { started }, ATTEMPTS_MAX)
    }

    /// Looks at a file, judges and claims it.
    fn look(&mut self, seq: u8, name: Name) -> Stepped {
        self.step()?;
        let place = Place::Taken(seq, name);
        let (inode, data) = (self.machine.disk.inode(place), self.machine.disk.read(place));
        let entry = |bytes| Entry { name, bytes, inode, start: None, outcome: None, done: false };
        let Some(Data::Intent(content)) = data else {
            // Refused unread: the file itself is archived.
            self.machine.store.now.insert(seq, entry(None));
            self.settle(seq, Final::Failed(Code::NotRegular), 0)?;
            return self.publish(seq);
        };
        if self.omits(Omit::ClaimBeforeRemoval) {
            self.step()?;
            self.machine.disk.unlink(place);
        }
        let claim = Entry { start: Some((1, false)), ..entry(Some(content)) };
        self.in_run = true;
        self.commit(!self.omits(Omit::ClaimSync), |store| {
            store.insert(seq, claim);
        })?;
        self.step()?;
        self.machine.disk.unlink(place);
        self.live(seq, 0)
    }

    /// The life of a claimed intent, as the scheduler drives it.
    fn live(&mut self, seq: u8, started: u32) -> Stepped {
        let entry = self.machine.store.now[&seq].clone();
        let content = entry.bytes.unwrap_or_default();
        let (mut stage, _) =
            step(Entered::Accepted.into(), Step::ClaimDurable).expect("a claim became durable");
        if self.is_duplicate(seq, &entry) {
            let (_, then) = step(stage.expect("it waits"), Step::Duplicate).expect("its turn came");
            return self.record(seq, then, started);
        }
        let mut attempt = started + 1;
        loop {
            self.reserve(seq, attempt)?;
            let (handed, then) =
                step(stage.expect("it waits"), Step::Start { attempt: Attempt(attempt) }).expect("it starts");
            assert_eq!(then, Then::Run { attempt: Attempt(attempt) });
            let (running, _) = step(handed.expect("it starts"), Step::Began).expect("it begins");
            let verdict = self.porch(seq, content, attempt)?;
            let ended = Step::Ended { verdict, max_attempts: ATTEMPTS_MAX };
            let (next, then) = step(running.expect("it runs"), ended).expect("it ended");
            match then {
                Then::RetryAs { attempt: again } => (stage, attempt) = (next, again.get()),
                other => return self.record(seq, other, attempt),
            }
        }
    }

    /// Records the start before it happens; the claim has recorded the first one.
    fn reserve(&mut self, seq: u8, attempt: u32) -> Stepped {
        if self.machine.store.now[&seq].start == Some((attempt, false)) && !self.omits(Omit::StartSync) {
            return Ok(());
        }
        let durable = !self.omits(Omit::StartSync);
        self.commit(durable, |store| {
            store.get_mut(&seq).expect("claimed").start = Some((attempt, false));
        })
    }

    fn is_duplicate(&self, seq: u8, entry: &Entry) -> bool {
        let mut before = self.machine.store.now.range(..seq).rev().map(|(_, entry)| entry);
        // A failed run may have changed the world: it invalidates the success before it.
        let last = before.find_map(|one| Some((one, one.outcome.as_ref()?)));
        last.is_some_and(|(one, outcome)| {
            !matches!(outcome.end, Final::Failed(_)) && (one.name, one.bytes) == (entry.name, entry.bytes)
        })
    }

    /// One run of porch on the private copy, with a package as its effect.
    fn porch(&mut self, seq: u8, content: u8, attempt: u32) -> Result<Verdict, Crash> {
        self.step()?;
        self.machine.ledger = Some((seq, attempt));
        self.step()?;
        self.machine.disk.create(Place::Staged);
        self.step()?;
        self.machine.disk.write(Place::Staged, Data::Intent(content));
        self.step()?;
        self.machine.world.runs.push(content);
        if self.variant.porch == Porch::AsksOnce && attempt == 1 {
            self.step()?;
            self.machine.world.retried = true;
            return Ok(Verdict::Retry(Code::PorchBusy));
        }
        if self.variant.porch == Porch::Fails {
            self.step()?;
            return Ok(Verdict::Failure(Code::PorchFailed));
        }
        self.step()?;
        self.machine.disk.create(Place::PackageDraft);
        self.machine.disk.write(Place::PackageDraft, Data::Intent(content));
        if self.machine.disk.has(Place::Package) && !self.omits(Omit::PackageDraftSync) {
            self.step()?;
            self.machine.disk.sync_data(Place::PackageDraft);
        }
        self.step()?;
        self.machine.disk.rename(Place::PackageDraft, Place::Package);
        self.machine.world.succeeded.push(content);
        if !self.omits(Omit::PackageSync) {
            self.step()?;
            self.machine.disk.sync();
        }
        Ok(Verdict::Success)
    }

    fn record(&mut self, seq: u8, then: Then, attempts: u32) -> Stepped {
        let Then::Record(end) = then else { unreachable!("nothing else is left to do: {then:?}") };
        if self.omits(Omit::OutcomeBeforeFiles) {
            self.plan_outcome(seq, end, attempts);
            self.publish(seq)?;
        }
        self.settle(seq, end, attempts)?;
        self.publish(seq)
    }

    fn outcome(&self, seq: u8, end: Final, attempts: u32) -> Settled {
        let name = self.machine.store.now[&seq].name;
        let mut candidates =
            [None, Some(seq), Some(AGAIN + seq)].into_iter().map(|number| archived(end, name, number));
        let archive = candidates
            .find(|place| self.is_free(*place))
            .unwrap_or_else(|| archived(end, name, Some(AGAIN + seq)));
        Settled { end, attempts, archive }
    }

    /// Whether a place is free: no overwrite, and no place reserved for another outcome's file.
    fn is_free(&self, place: Place) -> bool {
        let owns = |entry: &Entry| entry.outcome.as_ref().is_some_and(|outcome| outcome.archive == place);
        // Omit::NameOwner: numbered names count as free without a check.
        let believed = self.omits(Omit::NameOwner)
            && matches!(place, Place::Processed(_, Some(_)) | Place::Failed(_, Some(_)));
        believed || (!self.machine.disk.has(place) && !self.machine.store.now.values().any(owns))
    }

    fn plan_outcome(&mut self, seq: u8, end: Final, attempts: u32) {
        let outcome = self.outcome(seq, end, attempts);
        self.machine.store.now.get_mut(&seq).expect("claimed").outcome = Some(outcome);
    }

    fn settle(&mut self, seq: u8, end: Final, attempts: u32) -> Stepped {
        let outcome = self.outcome(seq, end, attempts);
        let durable = !self.omits(Omit::OutcomeSync);
        self.commit(durable, |store| {
            let entry = store.get_mut(&seq).expect("claimed");
            if entry.outcome.is_none() {
                entry.outcome = Some(outcome);
            }
        })?;
        self.in_run = false;
        Ok(())
    }

    /// Writes archived file, error log and status; each step can be repeated.
    fn publish(&mut self, seq: u8) -> Stepped {
        let entry = self.machine.store.now[&seq].clone();
        let settled = entry.outcome.clone().expect("settled");
        let taken = Place::Taken(seq, entry.name);
        if let Some(content) = entry.bytes {
            self.archive(settled.archive, content)?;
        } else if self.machine.disk.has(taken) {
            self.step()?;
            self.machine.disk.rename(taken, settled.archive);
        }
        if let Place::Failed(name, number) = settled.archive {
            self.replace(Place::ErrorLog(name, number), Data::Log(seq))?;
        }
        self.replace(Place::Status(entry.name), Data::Status(seq))?;
        self.published.push(seq);
        if self.variant.sync_each { self.done() } else { Ok(()) }
    }

    fn archive(&mut self, to: Place, content: u8) -> Stepped {
        if self.machine.disk.read(to) == Some(Data::Intent(content)) {
            return Ok(());
        }
        if self.machine.disk.read(Place::Staged) == Some(Data::Intent(content)) {
            self.step()?;
            self.machine.disk.rename(Place::Staged, to);
            return Ok(());
        }
        self.replace(to, Data::Intent(content))
    }

    /// Writes a draft and renames it over the place: readers see the old file or the new one.
    fn replace(&mut self, to: Place, data: Data) -> Stepped {
        let draft =
            if self.omits(Omit::StatusDraft) && matches!(to, Place::Status(_)) { to } else { Place::Draft };
        self.step()?;
        self.machine.disk.create(draft);
        self.step()?;
        self.machine.disk.write(draft, data);
        if draft != to {
            self.step()?;
            self.machine.disk.rename(draft, to);
        }
        Ok(())
    }

    /// One sync covers all published files; only then do the bytes leave the store.
    fn done(&mut self) -> Stepped {
        if self.published.is_empty() {
            return Ok(());
        }
        if !self.omits(Omit::FileSync) {
            self.step()?;
            self.machine.disk.sync();
        }
        let published = std::mem::take(&mut self.published);
        self.commit(true, |store| {
            for seq in published {
                store.get_mut(&seq).expect("published").done = true;
            }
        })
    }

    fn finish(&mut self) -> Stepped {
        self.done()?;
        // The staged copy belongs to a run that was archived from memory.
        self.step()?;
        self.machine.disk.unlink(Place::Staged);
        Ok(())
    }
}

impl Machine {
    /// A producer drops a file: its own sync, then a rename that replaces any file of that name not yet taken.
    pub(super) fn drop_file(&mut self, name: Name, content: u8) {
        let place = Place::Handoff(name);
        if let Some(Data::Intent(replaced)) = self.disk.read(place) {
            self.world.dropped.remove(&replaced);
        }
        self.disk.create_synced(place, Data::Intent(content));
        self.world.dropped.insert(content, name);
    }
}
