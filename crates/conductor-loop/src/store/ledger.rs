//! The ledger of intents as the rest of the program sees it: work that becomes durable in one batch, and what can be asked. It is
//! keyed by sequence number, which only grows. Everything may be recorded twice with the same result.

use super::pending::{Pending, Settled, Start};
use super::{Counts, Extent, StoreError};
use conductor_core::Digest;
use conductor_core::age::{Bound, ClockBook};
use conductor_core::inquiry::Held;
use conductor_core::intent::TargetKey;
use conductor_core::record::{Claim, LastSuccess, Outcome, Status};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;

/// What one batch makes durable: all of it or nothing. The parts are recorded in the order in which they stand here, so that
/// claims see the successes of the same batch.
#[derive(Debug, Clone, Default)]
pub struct Work<'w> {
    /// Outcomes from elsewhere, as they are.
    pub imported: Vec<&'w Outcome>,
    /// Outcomes of intents.
    pub decided: Vec<Decided<'w>>,
    /// Intents that were accepted.
    pub claims: Vec<Claiming<'w>>,
    /// Starts of porch, by number: to come, or known to have happened.
    pub starts: Vec<(u64, Start)>,
    /// Targets that an operator holds or releases.
    pub holds: Vec<Hold<'w>>,
    /// Numbers whose published files are durable: only the outcome stays.
    pub done: Vec<u64>,
    /// Numbers whose outcomes are removed. The path of each is free again, and its number is never used again.
    pub forgotten: Vec<u64>,
    /// What removing the old is to remember.
    pub upkeep: Option<&'w Upkeep>,
    /// Totals and numbers are at least these.
    pub floor: Option<&'w Extent>,
}

/// An outcome to be recorded. Its archived path is its own from then on; where that has an owner, the outcome owns no file.
#[derive(Debug, Clone, Copy)]
pub struct Decided<'w> {
    /// The outcome.
    pub outcome: &'w Outcome,
    /// Its error log.
    pub report: Option<&'w [u8]>,
    /// What is recorded with it to be archived.
    pub kept: Kept<'w>,
}

/// What is recorded beside an outcome.
#[derive(Debug, Clone, Copy)]
pub enum Kept<'b> {
    /// Nothing: the claim has the bytes, or the outcome was recorded before.
    Already,
    /// These bytes, of a file that was refused.
    Bytes(&'b [u8]),
    /// Nothing: the file was not read and is moved itself.
    File,
}

/// A claim to be recorded.
#[derive(Debug, Clone, Copy)]
pub struct Claiming<'w> {
    /// The claim.
    pub claim: &'w Claim,
    /// The bytes.
    pub bytes: &'w [u8],
    /// Whether its first start is recorded with it.
    pub armed: bool,
}

/// What an operator does to a target.
#[derive(Debug, Clone, Copy)]
pub enum Hold<'w> {
    /// It is held from now on.
    Begins(&'w Held),
    /// It is no longer held: `NAMESPACE/TARGET`.
    Ends(&'w str),
}

impl<'w> Work<'w> {
    /// One claim.
    pub fn claim(claim: &'w Claim, bytes: &'w [u8], armed: bool) -> Self {
        Self { claims: vec![Claiming { claim, bytes, armed }], ..Self::default() }
    }

    /// One outcome.
    pub fn decide(outcome: &'w Outcome, report: Option<&'w [u8]>, kept: Kept<'w>) -> Self {
        Self { decided: vec![Decided { outcome, report, kept }], ..Self::default() }
    }
}

/// What removing the old remembers from one time to the next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upkeep {
    /// What the clock has shown.
    pub clock: ClockBook,
    /// Where a removal that did not come to its end goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swept: Option<DecidedAt>,
}

/// The place of an outcome in the order in which outcomes were decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DecidedAt {
    /// When it was decided, by the clock of then.
    pub at: Timestamp,
    /// Its number.
    pub seq: u64,
}

impl DecidedAt {
    /// The place of this outcome.
    pub fn of(outcome: &Outcome) -> Self {
        Self { at: outcome.finished_at, seq: outcome.seq }
    }
}

/// Which outcomes are looked through for what is old, and by which rule.
#[derive(Debug, Clone, Copy)]
pub struct Part<'c> {
    /// The first; none: from the earliest on.
    pub from: Option<DecidedAt>,
    /// At most so many that are old.
    pub most: usize,
    /// What is old.
    pub bound: Bound,
    /// What the clock has shown.
    pub clock: &'c ClockBook,
}

/// What of a part is old.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// What is to be removed, in the order in which it was decided.
    pub old: Vec<Outcome>,
    /// Where the next part begins; none: this was the last.
    pub next: Option<DecidedAt>,
}

/// What outcomes are looked up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Term<'t> {
    /// The name of the file, as it was handed in or as it was archived.
    File(&'t str),
    /// The target: `NAMESPACE/TARGET`, or the target alone.
    Target(&'t str),
    /// How it ended.
    Status(Status),
}

impl Term<'_> {
    /// Whether an outcome is found by it.
    pub fn is_of(&self, outcome: &Outcome) -> bool {
        match self {
            Self::File(name) => outcome.name == *name || archived_name(outcome) == Some(*name),
            Self::Target(target) => {
                outcome.key.as_ref().is_some_and(|key| key.target == *target || key.to_string() == *target)
            }
            Self::Status(status) => outcome.status == *status,
        }
    }
}

/// The name of the archived file without its directory, where there is one.
pub(super) fn archived_name(outcome: &Outcome) -> Option<&str> {
    outcome.archived_as.rsplit('/').next().filter(|name| !name.is_empty())
}

/// Which outcomes are looked up, newest first.
#[derive(Debug, Clone, Copy)]
pub struct Search<'t> {
    /// Found by this; none: all.
    pub term: Option<Term<'t>>,
    /// With this number or a higher one.
    pub from: u64,
    /// With a lower number than this.
    pub below: u64,
}

impl Default for Search<'_> {
    fn default() -> Self {
        Self { term: None, from: 0, below: u64::MAX }
    }
}

/// The ledger. What is committed is durable when the call returns; whoever reads sees whole batches.
pub trait Ledger: Debug + Send + Sync {
    /// Makes a batch durable. Answers, for each claim of it, with the last success of its target.
    fn commit(&self, work: &Work<'_>) -> Result<Vec<Option<LastSuccess>>, StoreError>;

    /// Binds what duplicates are compared with to where and how packages are written. Of another place or way nothing that
    /// was done before says anything, so it is forgotten. True: there was something to forget.
    fn work_for(&self, destination: &str) -> Result<bool, StoreError>;

    /// Goes on after a failure: what is durable is read back and verified, nothing is assumed of a failed batch.
    fn reopen(&self) -> Result<(), StoreError>;

    /// Whether an earlier call failed, so that [`Ledger::reopen`] has to be called. Asked by the one who commits.
    fn has_failed(&self) -> Result<bool, StoreError>;

    /// How far it has come.
    fn extent(&self) -> Result<Extent, StoreError>;

    /// The highest sequence number ever used.
    fn last_seq(&self) -> Result<u64, StoreError>;

    /// Totals.
    fn counts(&self) -> Result<Counts, StoreError>;

    /// How many intents are unfinished, and how many outcomes are remembered.
    fn sizes(&self) -> Result<(u64, u64), StoreError>;

    /// Whether an intent is unfinished, or its files are not yet known to be durable.
    fn is_open(&self, seq: u64) -> Result<bool, StoreError>;

    /// Numbers and digests of the unfinished intents without an outcome of which a start is recorded.
    fn begun(&self) -> Result<Vec<(u64, Digest)>, StoreError>;

    /// The claim of an unfinished intent, and its recorded start.
    fn claim(&self, seq: u64) -> Result<Option<(Claim, Option<Start>)>, StoreError>;

    /// The number of the first unfinished claim of a file of this name.
    fn claim_named(&self, name: &str) -> Result<Option<u64>, StoreError>;

    /// Unfinished intents by number, with their claims and without their bytes; those that never had a claim have none.
    fn open_claims(&self) -> Result<Vec<(u64, Option<Claim>)>, StoreError>;

    /// Claims without an outcome: what is still to be run.
    fn unsettled(&self) -> Result<Vec<Claim>, StoreError>;

    /// Every unfinished intent in order of taking, one at a time.
    fn pending(&self, each: &mut dyn FnMut(Pending)) -> Result<(), StoreError>;

    /// An outcome whose files may be missing.
    fn settled(&self, seq: u64) -> Result<Settled, StoreError>;

    /// Hands over the bytes of an unfinished intent, if they are those of the digest.
    fn read_bytes(&self, seq: u64, digest: &Digest, work: &mut dyn FnMut(&[u8])) -> Result<(), StoreError>;

    /// Hands over the claim and the bytes of an intent that was claimed and is unfinished, if there is one.
    fn read_claim(&self, seq: u64, work: &mut dyn FnMut(Claim, &[u8])) -> Result<(), StoreError>;

    /// The outcome of this number.
    fn outcome(&self, seq: u64) -> Result<Option<Outcome>, StoreError>;

    /// Outcomes in order of sequence number, oldest first, to `each`, while it returns true.
    fn outcomes(&self, each: &mut dyn FnMut(Outcome) -> bool) -> Result<(), StoreError>;

    /// The outcomes that a search finds, newest first, to `each`, while it returns true.
    fn search(&self, search: Search<'_>, each: &mut dyn FnMut(Outcome) -> bool) -> Result<(), StoreError>;

    /// A number below which no outcome was decided at this time or later; [`u64::MAX`] where none was.
    fn first_since(&self, since: Timestamp) -> Result<u64, StoreError>;

    /// What of a part is old: the one rule of what is removed for its age. One that is not yet known to be published durably is
    /// still needed.
    fn old(&self, part: Part<'_>) -> Result<Page, StoreError>;

    /// What removing the old remembers.
    fn upkeep(&self) -> Result<Upkeep, StoreError>;

    /// The number of the outcome that owns the file at this path, relative to the handoff directory. A path has one owner as
    /// long as that is remembered, whatever lies there.
    fn owner(&self, path: &str) -> Result<Option<u64>, StoreError>;

    /// The last run of a target if it succeeded, or where none is known an imported one of this name.
    fn last_success(&self, key: &TargetKey, name: &str) -> Result<Option<LastSuccess>, StoreError>;

    /// Targets of this name, in whatever namespace, whose last run is known.
    fn targets_named(&self, name: &str) -> Result<Vec<String>, StoreError>;

    /// Targets that an operator holds.
    fn held(&self) -> Result<Vec<Held>, StoreError>;
}

impl dyn Ledger + '_ {
    /// One that lacks what `witness` shows has lost it.
    pub fn check_extent(&self, shown: &Extent, witness: &str) -> Result<(), StoreError> {
        self.extent()?.check(shown, witness)
    }

    /// What `work` makes of the bytes of an unfinished intent, if they are those of the digest.
    pub fn with_bytes<T>(
        &self,
        seq: u64,
        digest: &Digest,
        work: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, StoreError> {
        let (mut work, mut made) = (Some(work), None);
        self.read_bytes(seq, digest, &mut |bytes| made = work.take().map(|work| work(bytes)))?;
        made.ok_or_else(|| super::Flaw::NoBytes.of(seq))
    }

    /// What `work` makes of an intent that was claimed and is unfinished.
    pub fn with_claim<T>(
        &self,
        seq: u64,
        work: impl FnOnce(Claim, &[u8]) -> T,
    ) -> Result<Option<T>, StoreError> {
        let (mut work, mut made) = (Some(work), None);
        self.read_claim(seq, &mut |claim, bytes| made = work.take().map(|work| work(claim, bytes)))?;
        Ok(made)
    }
}
