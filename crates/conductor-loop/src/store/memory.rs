//! The ledger in memory, as simple as its rules permit: the reference for the other one. It ends with the process.

use super::last_run::{LastRun, Of};
use super::pending::Unfinished;
use super::{
    Content, Counts, Decided, DecidedAt, Extent, Flaw, Hold, Kept, Ledger, Page, Part, Pending, Search,
    Settled, Start, StoreError, Upkeep, Work,
};
use conductor_core::age::Dated;
use conductor_core::intent::TargetKey;
use conductor_core::query::Held;
use conductor_core::record::{Claim, LastSuccess, Outcome};
use conductor_core::{Attempt, Digest, Seq};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A ledger in memory.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<Books>);

#[derive(Debug, Clone, Default)]
struct Books {
    open: BTreeMap<Seq, (Option<Claim>, Option<Vec<u8>>)>,
    starts: BTreeMap<Seq, Start>,
    outcomes: BTreeMap<Seq, Outcome>,
    reports: BTreeMap<Seq, Vec<u8>>,
    owners: BTreeMap<String, Seq>,
    lasts: BTreeMap<Of, LastRun>,
    held: BTreeMap<String, Held>,
    upkeep: Upkeep,
    counts: Counts,
    high_seq: Seq,
    commits: u64,
    destination: Option<String>,
}

impl Books {
    fn write(&mut self, work: &Work<'_>) -> Result<Vec<Option<LastSuccess>>, StoreError> {
        work.imported.iter().for_each(|outcome| self.record(outcome));
        work.decided.iter().try_for_each(|decided| self.decide(decided))?;
        let mut lasts = Vec::new();
        for claiming in &work.claims {
            let (claim, bytes) = (claiming.claim, claiming.bytes);
            self.open.insert(claim.seq, (Some(claim.clone()), Some(bytes.to_vec())));
            if claiming.reserved {
                self.starts.insert(claim.seq, Start { attempt: Attempt::FIRST, happened: false });
            }
            lasts.push(self.last_success(&claim.key, &claim.name));
        }
        self.starts.extend(work.starts.iter().copied());
        for hold in &work.holds {
            match hold {
                Hold::Begins(held) => drop(self.held.insert(held.target.clone(), (*held).clone())),
                Hold::Ends(target) => drop(self.held.remove(*target)),
            }
        }
        for seq in &work.done {
            self.open.remove(seq);
            self.starts.remove(seq);
            self.reports.remove(seq);
        }
        work.forgotten.iter().for_each(|seq| self.forget(*seq));
        self.upkeep = work.upkeep.cloned().unwrap_or_else(|| self.upkeep.clone());
        if let Some(floor) = work.floor {
            self.high_seq = self.last_seq().max(floor.last_seq);
            let has = Extent { counts: self.counts, ..Extent::default() };
            self.counts = has.or_more(*floor).counts;
        }
        self.commits += 1;
        Ok(lasts)
    }

    fn decide(&mut self, decided: &Decided<'_>) -> Result<(), StoreError> {
        let Decided { outcome, report, kept } = *decided;
        if let Entry::Vacant(open) = self.open.entry(outcome.seq) {
            let bytes = match kept {
                Kept::Bytes(bytes) => Some(bytes.to_vec()),
                Kept::File => None,
                Kept::Already => return Err(Flaw::NoClaim.of(outcome.seq)),
            };
            open.insert((None, bytes));
        }
        if let Some(report) = report {
            self.reports.insert(outcome.seq, report.to_vec());
        }
        self.record(outcome);
        Ok(())
    }

    fn record(&mut self, outcome: &Outcome) {
        match self.outcomes.insert(outcome.seq, outcome.clone()) {
            Some(before) if before.archived_as != outcome.archived_as => self.give_up(&before),
            Some(_) => {}
            None => self.counts.add(outcome),
        }
        if !outcome.archived_as.is_empty() {
            self.owners.entry(outcome.archived_as.clone()).or_insert(outcome.seq);
        }
        let of = Of::outcome(outcome);
        if let Some(last) = LastRun::of(outcome).filter(|last| last.replaces(self.lasts.get(&of))) {
            self.lasts.insert(of, last);
        }
    }

    fn forget(&mut self, seq: Seq) {
        self.high_seq = self.last_seq().max(seq);
        let Some(outcome) = self.outcomes.remove(&seq) else { return };
        let of = Of::outcome(&outcome);
        if self.lasts.get(&of).is_some_and(|last| last.run.seq == seq) {
            self.lasts.remove(&of);
        }
        self.give_up(&outcome);
    }

    fn give_up(&mut self, outcome: &Outcome) {
        if self.owners.get(&outcome.archived_as) == Some(&outcome.seq) {
            self.owners.remove(&outcome.archived_as);
        }
    }

    fn last_seq(&self) -> Seq {
        let open = self.open.keys().next_back().copied().unwrap_or(Seq(0));
        let outcomes = self.outcomes.keys().next_back().copied().unwrap_or(Seq(0));
        self.high_seq.max(open).max(outcomes)
    }

    fn last_success(&self, key: &TargetKey, name: &str) -> Option<LastSuccess> {
        let target = self.lasts.get(&Of::Target(key.to_string()));
        target.or_else(|| self.lasts.get(&Of::Name(name.to_owned()))).cloned().and_then(LastRun::success)
    }
}

impl Memory {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger for Memory {
    fn commit(&self, work: &Work<'_>) -> Result<Vec<Option<LastSuccess>>, StoreError> {
        // The whole batch or nothing.
        let mut books = self.books();
        let mut changed = books.clone();
        let lasts = changed.write(work)?;
        *books = changed;
        Ok(lasts)
    }

    fn work_for(&self, destination: &str) -> Result<bool, StoreError> {
        let mut books = self.books();
        if books.destination.as_deref() == Some(destination) {
            return Ok(false);
        }
        books.commits += 1;
        let known = books.destination.replace(destination.to_owned()).is_some();
        let forgets = known && !books.lasts.is_empty();
        if known {
            books.lasts.clear();
        }
        Ok(forgets)
    }

    fn reopen(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn has_failed(&self) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn extent(&self) -> Result<Extent, StoreError> {
        let books = self.books();
        Ok(Extent { commits: books.commits, last_seq: books.last_seq(), counts: books.counts })
    }

    fn last_seq(&self) -> Result<Seq, StoreError> {
        Ok(self.books().last_seq())
    }

    fn counts(&self) -> Result<Counts, StoreError> {
        Ok(self.books().counts)
    }

    fn sizes(&self) -> Result<(u64, u64), StoreError> {
        let books = self.books();
        Ok((books.open.len() as u64, books.outcomes.len() as u64))
    }

    fn is_open(&self, seq: Seq) -> Result<bool, StoreError> {
        Ok(self.books().open.contains_key(&seq))
    }

    fn begun(&self) -> Result<Vec<(Seq, Digest)>, StoreError> {
        let books = self.books();
        let undecided = books.starts.keys().filter(|seq| !books.outcomes.contains_key(seq));
        let claimed = undecided.filter_map(|seq| Some((*seq, books.open.get(seq)?.0.as_ref()?.sha256)));
        Ok(claimed.collect())
    }

    fn claim(&self, seq: Seq) -> Result<Option<(Claim, Option<Start>)>, StoreError> {
        let books = self.books();
        let claim = books.open.get(&seq).and_then(|(claim, _)| claim.clone());
        Ok(claim.map(|claim| (claim, books.starts.get(&seq).copied())))
    }

    fn claim_named(&self, name: &str) -> Result<Option<Seq>, StoreError> {
        let books = self.books();
        let mut undecided = books.open.iter().filter(|(seq, _)| !books.outcomes.contains_key(seq));
        let found = undecided.find(|(_, (claim, _))| claim.as_ref().is_some_and(|claim| claim.name == name));
        Ok(found.map(|(seq, _)| *seq))
    }

    fn open_claims(&self) -> Result<Vec<(Seq, Option<Claim>)>, StoreError> {
        Ok(self.books().open.iter().map(|(seq, (claim, _))| (*seq, claim.clone())).collect())
    }

    fn unsettled(&self, each: &mut dyn FnMut(Claim)) -> Result<(), StoreError> {
        let books = self.books().clone();
        let undecided = books.open.iter().filter(|(seq, _)| !books.outcomes.contains_key(seq));
        undecided.filter_map(|(_, (claim, _))| claim.clone()).for_each(each);
        Ok(())
    }

    fn pending(&self, each: &mut dyn FnMut(Pending)) -> Result<(), StoreError> {
        let books = self.books().clone();
        for (seq, (claim, bytes)) in &books.open {
            let unfinished = Unfinished { claim: claim.clone(), bytes: bytes.as_deref() };
            let (outcome, start) = (books.outcomes.get(seq).cloned(), books.starts.get(seq).copied());
            each(unfinished.into_pending(*seq, outcome, start)?);
        }
        Ok(())
    }

    fn settled(&self, seq: Seq) -> Result<Settled, StoreError> {
        let books = self.books();
        let outcome = books.outcomes.get(&seq).cloned().ok_or_else(|| Flaw::NoOutcome.of(seq))?;
        let (report, content) = (books.reports.get(&seq).cloned(), Content::of(&outcome));
        Ok(Settled { outcome, report, content })
    }

    fn read_bytes(&self, seq: Seq, digest: &Digest, work: &mut dyn FnMut(&[u8])) -> Result<(), StoreError> {
        let found = self.books().open.get(&seq).cloned();
        let (claim, bytes) = found.ok_or_else(|| Flaw::NoRecord.of(seq))?;
        work(Unfinished { claim, bytes: bytes.as_deref() }.whole(seq, digest)?);
        Ok(())
    }

    fn read_claim(&self, seq: Seq, work: &mut dyn FnMut(Claim, &[u8])) -> Result<(), StoreError> {
        let found = self.books().open.get(&seq).cloned();
        let Some((Some(claim), bytes)) = found else { return Ok(()) };
        let found = Unfinished { claim: None, bytes: bytes.as_deref() };
        let bytes = found.whole(seq, &claim.sha256)?;
        work(claim, bytes);
        Ok(())
    }

    fn outcome(&self, seq: Seq) -> Result<Option<Outcome>, StoreError> {
        Ok(self.books().outcomes.get(&seq).cloned())
    }

    fn outcomes(&self, from: Seq, each: &mut dyn FnMut(Outcome) -> bool) -> Result<(), StoreError> {
        let outcomes = self.books().outcomes.clone().split_off(&from);
        let _: Option<Outcome> = outcomes.into_values().find(|outcome| !each(outcome.clone()));
        Ok(())
    }

    fn search(&self, search: Search<'_>, each: &mut dyn FnMut(Outcome) -> bool) -> Result<(), StoreError> {
        let Search { term, from, below } = search;
        let outcomes = self.books().outcomes.clone();
        let asked = outcomes.into_values().rev().filter(|outcome| (from..below).contains(&outcome.seq));
        let mut found = asked.filter(|outcome| term.is_none_or(|term| term.is_of(outcome)));
        let _: Option<Outcome> = found.find(|outcome| !each(outcome.clone()));
        Ok(())
    }

    fn first_since(&self, since: Timestamp, _: &dyn Fn() -> bool) -> Result<Option<Seq>, StoreError> {
        let books = self.books();
        let later = books.outcomes.values().filter(|outcome| outcome.finished_at >= since);
        Ok(Some(later.map(|outcome| outcome.seq).min().unwrap_or(Seq::MAX)))
    }

    fn old(&self, part: Part<'_>) -> Result<Page, StoreError> {
        let books = self.books();
        let mut ordered: Vec<&Outcome> = books.outcomes.values().collect();
        ordered.sort_by_key(|outcome| DecidedAt::of(outcome));
        let asked = ordered.into_iter().filter(|outcome| {
            outcome.finished_at < part.bound.before
                && part.from.is_none_or(|from| DecidedAt::of(outcome) >= from)
        });
        let mut page = Page::default();
        for outcome in asked {
            if page.old.len() == part.most {
                page.next = Some(DecidedAt::of(outcome));
                break;
            }
            let is_old = part.clock.is_old(&Dated::from(outcome), part.bound);
            if is_old && !books.open.contains_key(&outcome.seq) {
                page.old.push(outcome.clone());
            }
        }
        Ok(page)
    }

    fn upkeep(&self) -> Result<Upkeep, StoreError> {
        Ok(self.books().upkeep.clone())
    }

    fn owner(&self, path: &str) -> Result<Option<Seq>, StoreError> {
        Ok(self.books().owners.get(path).copied())
    }

    fn last_success(&self, key: &TargetKey, name: &str) -> Result<Option<LastSuccess>, StoreError> {
        Ok(self.books().last_success(key, name))
    }

    fn targets_named(&self, name: &str) -> Result<Vec<String>, StoreError> {
        let books = self.books();
        let targets = books.lasts.keys().filter_map(|of| match of {
            Of::Target(key) => Some(key),
            Of::Name(_) => None,
        });
        let named = |key: &&String| TargetKey::is_named_in(key, name);
        Ok(targets.filter(named).cloned().collect())
    }

    fn held(&self) -> Result<Vec<Held>, StoreError> {
        Ok(self.books().held.values().cloned().collect())
    }
}
