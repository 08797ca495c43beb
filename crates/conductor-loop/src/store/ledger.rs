//! The ledger of intents as an interface: work that becomes durable in one batch, and queries. It is keyed by sequence
//! number, which only grows. Every record may be written twice with the same result.

use super::pending::{Pending, Settled, Start};
use super::{Counts, Extent, StoreError};
use conductor_core::age::{Bound, ClockBook};
use conductor_core::intent::TargetKey;
use conductor_core::query::Held;
use conductor_core::record::{Claim, LastSuccess, Outcome, Status};
use conductor_core::{Digest, Seq};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;

/// The work of one batch, durable as a whole or not at all. The parts are recorded in this order, so that claims see the
/// successes of the same batch.
#[derive(Debug, Clone, Default)]
pub struct Work<'w> {
    /// Imported outcomes, unchanged.
    pub imported: Vec<&'w Outcome>,
    /// Outcomes of intents.
    pub decided: Vec<Decided<'w>>,
    /// Accepted intents.
    pub claims: Vec<Claiming<'w>>,
    /// Starts of porch, by number: next ones, or ones known to have happened.
    pub starts: Vec<(Seq, Start)>,
    /// Targets that an operator holds or releases.
    pub holds: Vec<Hold<'w>>,
    /// Numbers whose published files are durable: only their outcomes stay.
    pub done: Vec<Seq>,
    /// Numbers whose outcomes are removed. The path of each becomes free, and its number is never used again.
    pub forgotten: Vec<Seq>,
    /// Records the state of the removal by age.
    pub upkeep: Option<&'w Upkeep>,
    /// Raises totals and numbers to at least these.
    pub floor: Option<&'w Extent>,
}

/// An outcome to be recorded. It owns its archived path from then on; if the path has another owner, the outcome owns no file.
#[derive(Debug, Clone, Copy)]
pub struct Decided<'w> {
    /// The outcome.
    pub outcome: &'w Outcome,
    /// Its error log.
    pub report: Option<&'w [u8]>,
    /// The data for the archive that is recorded with it.
    pub kept: Kept<'w>,
}

/// Data recorded beside an outcome.
#[derive(Debug, Clone, Copy)]
pub enum Kept<'b> {
    /// None: the claim has the bytes, or the outcome was recorded before.
    Already,
    /// The bytes of a refused file.
    Bytes(&'b [u8]),
    /// None: the file was not read and is moved itself.
    File,
}

/// A claim to be recorded.
#[derive(Debug, Clone, Copy)]
pub struct Claiming<'w> {
    /// The claim.
    pub claim: &'w Claim,
    /// The bytes.
    pub bytes: &'w [u8],
    /// Whether the first start is recorded with it.
    pub reserved: bool,
}

/// An operator's change to a target.
#[derive(Debug, Clone, Copy)]
pub enum Hold<'w> {
    /// It is held.
    Begins(&'w Held),
    /// It is released: `NAMESPACE/TARGET`.
    Ends(&'w str),
}

impl<'w> Work<'w> {
    /// The work of one claim.
    pub fn claim(claim: &'w Claim, bytes: &'w [u8], reserved: bool) -> Self {
        Self { claims: vec![Claiming { claim, bytes, reserved }], ..Self::default() }
    }

    /// The work of one outcome.
    pub fn decide(outcome: &'w Outcome, report: Option<&'w [u8]>, kept: Kept<'w>) -> Self {
        Self { decided: vec![Decided { outcome, report, kept }], ..Self::default() }
    }
}

/// The state of the removal by age that outlives a process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upkeep {
    /// The history of the clock.
    pub clock: ClockBook,
    /// The number at which an incomplete removal continues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swept: Option<DecidedAt>,
}

/// The position of an outcome in the order of decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DecidedAt {
    /// The time of the decision, by the clock of that moment.
    pub at: Timestamp,
    /// Sequence number.
    pub seq: Seq,
}

impl DecidedAt {
    /// The position of this outcome.
    pub fn of(outcome: &Outcome) -> Self {
        Self { at: outcome.finished_at, seq: outcome.seq }
    }
}

/// The part of the outcomes to search for old ones, and the rule.
#[derive(Debug, Clone, Copy)]
pub struct Part<'c> {
    /// The first position; `None`: the earliest.
    pub from: Option<DecidedAt>,
    /// At most this many old ones.
    pub most: usize,
    /// The bound of age.
    pub bound: Bound,
    /// The history of the clock.
    pub clock: &'c ClockBook,
}

/// The old outcomes of a part.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The outcomes to remove, in the order of decisions.
    pub old: Vec<Outcome>,
    /// The first number of the next part; `None`: this was the last.
    pub next: Option<DecidedAt>,
}

/// The key of a search for outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Term<'t> {
    /// The name of the file, as dropped or as archived.
    File(&'t str),
    /// The target: `NAMESPACE/TARGET`, or the target alone.
    Target(&'t str),
    /// How it ended.
    Status(Status),
}

impl Term<'_> {
    /// Whether the term finds an outcome.
    pub fn is_of(&self, outcome: &Outcome) -> bool {
        match self {
            Self::File(name) => outcome.name == *name || archived_name(outcome) == Some(*name),
            Self::Target(target) => outcome.key.as_ref().is_some_and(|key| key.is_named(target)),
            Self::Status(status) => outcome.status == *status,
        }
    }
}

/// The name of the archived file without its directory, if there is one.
pub(super) fn archived_name(outcome: &Outcome) -> Option<&str> {
    outcome.archived_as.rsplit('/').next().filter(|name| !name.is_empty())
}

/// A search for outcomes, newest first.
#[derive(Debug, Clone, Copy)]
pub struct Search<'t> {
    /// Outcomes with this term; `None`: all.
    pub term: Option<Term<'t>>,
    /// Outcomes with this number or a higher one.
    pub from: Seq,
    /// Outcomes with a lower number than this.
    pub below: Seq,
}

impl Default for Search<'_> {
    fn default() -> Self {
        Self { term: None, from: Seq(0), below: Seq::MAX }
    }
}

/// The ledger. A commit is durable when the call returns; readers see whole batches.
pub trait Ledger: Debug + Send + Sync {
    /// Makes a batch durable. Returns the last success of the target for each claim.
    fn commit(&self, work: &Work<'_>) -> Result<Vec<Option<LastSuccess>>, StoreError>;

    /// Binds the duplicate rule to the place and form of packages. Earlier successes at another place or in another form
    /// prove nothing, so they are forgotten. Returns true if any was forgotten.
    fn work_for(&self, destination: &str) -> Result<bool, StoreError>;

    /// Continues after a failure: the durable state is read and verified, nothing is assumed of a failed batch.
    fn reopen(&self) -> Result<(), StoreError>;

    /// Whether an earlier call failed, so that [`Ledger::reopen`] must be called. Called by the writer.
    fn has_failed(&self) -> Result<bool, StoreError>;

    /// How far it has come.
    fn extent(&self) -> Result<Extent, StoreError>;

    /// The highest sequence number ever used.
    fn last_seq(&self) -> Result<Seq, StoreError>;

    /// Totals.
    fn counts(&self) -> Result<Counts, StoreError>;

    /// The number of unfinished intents, and of remembered outcomes.
    fn sizes(&self) -> Result<(u64, u64), StoreError>;

    /// Whether an intent is unfinished, or its files are not yet known to be durable.
    fn is_open(&self, seq: Seq) -> Result<bool, StoreError>;

    /// Numbers and digests of unfinished intents with a recorded start and without an outcome.
    fn begun(&self) -> Result<Vec<(Seq, Digest)>, StoreError>;

    /// The claim of an unfinished intent, and its recorded start.
    fn claim(&self, seq: Seq) -> Result<Option<(Claim, Option<Start>)>, StoreError>;

    /// The number of the first claim of a file of this name that has no outcome.
    fn claim_named(&self, name: &str) -> Result<Option<Seq>, StoreError>;

    /// Unfinished intents by number, with their claims and without their bytes; `None` for those that never had a claim.
    fn open_claims(&self) -> Result<Vec<(Seq, Option<Claim>)>, StoreError>;

    /// Passes every claim without an outcome, in order of taking, one at a time: intents still to run.
    fn unsettled(&self, each: &mut dyn FnMut(Claim)) -> Result<(), StoreError>;

    /// Passes every unfinished intent in order of taking, one at a time.
    fn pending(&self, each: &mut dyn FnMut(Pending)) -> Result<(), StoreError>;

    /// An outcome whose files may be missing.
    fn settled(&self, seq: Seq) -> Result<Settled, StoreError>;

    /// Passes on the bytes of an unfinished intent, if they have the digest.
    fn read_bytes(&self, seq: Seq, digest: &Digest, work: &mut dyn FnMut(&[u8])) -> Result<(), StoreError>;

    /// Passes on the claim and the bytes of an intent that was claimed and is unfinished, if there is one.
    fn read_claim(&self, seq: Seq, work: &mut dyn FnMut(Claim, &[u8])) -> Result<(), StoreError>;

    /// The outcome of this number.
    fn outcome(&self, seq: Seq) -> Result<Option<Outcome>, StoreError>;

    /// Passes outcomes with this number or a higher one, lowest first, to `each`, while it returns true.
    fn outcomes(&self, from: Seq, each: &mut dyn FnMut(Outcome) -> bool) -> Result<(), StoreError>;

    /// Passes the outcomes of a search, newest first, to `each`, while it returns true.
    fn search(&self, search: Search<'_>, each: &mut dyn FnMut(Outcome) -> bool) -> Result<(), StoreError>;

    /// A number below which no outcome was decided at this time or later; [`Seq::MAX`] if none was. `None` where `goes_on` was
    /// false before all of them were looked at.
    fn first_since(&self, since: Timestamp, goes_on: &dyn Fn() -> bool) -> Result<Option<Seq>, StoreError>;

    /// The old outcomes of a part: the only rule for removal by age. An outcome not yet known to be published durably is
    /// still needed.
    fn old(&self, part: Part<'_>) -> Result<Page, StoreError>;

    /// What removing the old remembers.
    fn upkeep(&self) -> Result<Upkeep, StoreError>;

    /// The number of the outcome that owns the file at this path, relative to the handoff directory. A path has one owner
    /// as long as that outcome is remembered, whatever file is there.
    fn owner(&self, path: &str) -> Result<Option<Seq>, StoreError>;

    /// The last run of a target if it succeeded; if none is known, an imported one of this name.
    fn last_success(&self, key: &TargetKey, name: &str) -> Result<Option<LastSuccess>, StoreError>;

    /// Targets of this name, in any namespace, whose last run is known.
    fn targets_named(&self, name: &str) -> Result<Vec<String>, StoreError>;

    /// Targets that an operator holds.
    fn held(&self) -> Result<Vec<Held>, StoreError>;
}

impl dyn Ledger + '_ {
    /// Fails if the ledger lacks any part of `shown`, which `witness` proves.
    pub fn check_extent(&self, shown: &Extent, witness: &str) -> Result<(), StoreError> {
        self.extent()?.check(shown, witness)
    }

    /// Passes the bytes of an unfinished intent to `work`, if they have the digest.
    pub fn with_bytes<T>(
        &self,
        seq: Seq,
        digest: &Digest,
        work: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, StoreError> {
        let (mut work, mut made) = (Some(work), None);
        self.read_bytes(seq, digest, &mut |bytes| made = work.take().map(|work| work(bytes)))?;
        made.ok_or_else(|| super::Flaw::NoBytes.of(seq))
    }

    /// Passes an intent that was claimed and is unfinished to `work`.
    pub fn with_claim<T>(
        &self,
        seq: Seq,
        work: impl FnOnce(Claim, &[u8]) -> T,
    ) -> Result<Option<T>, StoreError> {
        let (mut work, mut made) = (Some(work), None);
        self.read_claim(seq, &mut |claim, bytes| made = work.take().map(|work| work(claim, bytes)))?;
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_found_by_the_name_of_its_file_and_by_that_of_the_archived_one() {
        let blank = Outcome::blank(Seq(7), "intent-a.json", Timestamp::UNIX_EPOCH);
        let filed = Outcome { archived_as: "processed/intent-a.7.json".to_owned(), ..blank.clone() };
        let found = |outcome: &Outcome, name| Term::File(name).is_of(outcome);
        assert!(found(&filed, "intent-a.json") && found(&filed, "intent-a.7.json"));
        assert!(!found(&filed, "processed/intent-a.7.json") && !found(&filed, "intent-a.8.json"));
        assert!(
            found(&blank, "intent-a.json") && !found(&Outcome { archived_as: String::new(), ..blank }, "")
        );
    }
}
