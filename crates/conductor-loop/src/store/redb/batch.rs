//! The writes of one transaction.

use super::form::Number;
use super::index;
use super::layout::{
    COMMITS, COUNTS, HELD, HIGH_SEQ, IMPORTED, OPEN, OUTCOMES, OWNERS, REPORTS, STARTED, TARGETS, UPKEEP,
};
use super::table::{Transaction, View, Writing};
use crate::store::last_run::{LastRun, Of};
use crate::store::pending::Start;
use crate::store::{Claiming, Decided, Extent, Flaw, Hold, Kept, StoreError, Work};
use conductor_core::intent::TargetKey;
use conductor_core::record::{LastSuccess, Outcome};
use conductor_core::{Attempt, Seq};

/// Writes a batch. Returns the last success of the target for each claim.
pub(super) fn write(txn: &Writing, work: &Work<'_>) -> Result<Vec<Option<LastSuccess>>, StoreError> {
    let mut fresh = Vec::new();
    for outcome in &work.imported {
        fresh.extend(record(txn, outcome)?.then_some(*outcome));
    }
    for decided in &work.decided {
        fresh.extend(decide(txn, decided)?.then_some(decided.outcome));
    }
    count(txn, &fresh)?;
    let claims = work.claims.iter().map(|claiming| claim(txn, claiming));
    let lasts = claims.collect::<Result<Vec<_>, _>>()?;
    for (seq, start) in &work.starts {
        STARTED.put(txn, *seq, *start)?;
    }
    for hold in &work.holds {
        match hold {
            Hold::Begins(held) => HELD.put(txn, held.target.as_str(), held)?,
            Hold::Ends(target) => HELD.remove(txn, target)?,
        };
    }
    done(txn, &work.done)?;
    work.forgotten.iter().try_for_each(|seq| forget(txn, *seq))?;
    work.upkeep.map_or(Ok(()), |upkeep| UPKEEP.put(txn, upkeep))?;
    work.floor.map_or(Ok(()), |floor| raise_to(txn, floor))?;
    Ok(lasts)
}

fn claim(txn: &Writing, claiming: &Claiming<'_>) -> Result<Option<LastSuccess>, StoreError> {
    let Claiming { claim, bytes, reserved } = *claiming;
    OPEN.put(txn, claim.seq, (Some(claim), Some(bytes)))?;
    if reserved {
        STARTED.put(txn, claim.seq, Start { attempt: Attempt::FIRST, happened: false })?;
    }
    last_success(txn, &claim.key, &claim.name)
}

/// Records a decided outcome. Returns whether it is new.
fn decide(txn: &Writing, decided: &Decided<'_>) -> Result<bool, StoreError> {
    let Decided { outcome, report, kept } = *decided;
    let seq = outcome.seq;
    let mut open = OPEN.of(txn)?;
    if !open.has(seq)? {
        let bytes = match kept {
            Kept::Bytes(bytes) => Some(bytes),
            Kept::File => None,
            Kept::Already => return Err(Flaw::NoClaim.of(seq)),
        };
        open.put(seq, (None, bytes))?;
    }
    drop(open);
    if let Some(report) = report {
        REPORTS.put(txn, seq, report)?;
    }
    record(txn, outcome)
}

/// Records an outcome, with its indexes. Returns whether it is new.
fn record(txn: &Writing, outcome: &Outcome) -> Result<bool, StoreError> {
    let before = OUTCOMES.put(txn, outcome.seq, outcome)?;
    index::enter(txn, outcome, before.as_ref())?;
    own(txn, outcome, before.as_ref().map(|before| before.archived_as.as_str()))?;
    remember_last(txn, outcome)?;
    Ok(before.is_none())
}

/// Adds new outcomes to the totals.
fn count(txn: &Writing, fresh: &[&Outcome]) -> Result<(), StoreError> {
    if fresh.is_empty() {
        return Ok(());
    }
    let mut counts = COUNTS.get(txn)?.unwrap_or_default();
    for outcome in fresh {
        counts.add(outcome);
    }
    COUNTS.put(txn, &counts)
}

/// Marks published files as durable: only the outcome stays.
fn done(txn: &Writing, seqs: &[Seq]) -> Result<(), StoreError> {
    if seqs.is_empty() {
        return Ok(());
    }
    let (mut open, mut started, mut reports) = (OPEN.of(txn)?, STARTED.of(txn)?, REPORTS.of(txn)?);
    for seq in seqs {
        open.remove(*seq)?;
        started.remove(*seq)?;
        reports.remove(*seq)?;
    }
    Ok(())
}

fn forget(txn: &Writing, seq: Seq) -> Result<(), StoreError> {
    if let Some(outcome) = OUTCOMES.remove(txn, seq)? {
        index::leave(txn, &outcome)?;
        forget_last(txn, &outcome)?;
        give_up_path(&mut OWNERS.of(txn)?, &outcome.archived_as, seq)?;
    }
    // The number is never used again, even if every record is gone.
    raise(txn, seq)
}

/// Reserves all numbers up to this one.
fn raise(txn: &Writing, seq: Seq) -> Result<(), StoreError> {
    let high = last_seq(txn)?.max(seq);
    HIGH_SEQ.put(txn, &high)
}

/// Raises totals and numbers to at least these.
fn raise_to(txn: &Writing, floor: &Extent) -> Result<(), StoreError> {
    raise(txn, floor.last_seq)?;
    let has = Extent { counts: COUNTS.get(txn)?.unwrap_or_default(), ..Extent::default() };
    COUNTS.put(txn, &has.or_more(*floor).counts)
}

/// Counts a commit, and returns the new extent.
pub(super) fn advance(txn: &Writing) -> Result<Extent, StoreError> {
    let commits = COMMITS.get(txn)?.unwrap_or_default() + 1;
    COMMITS.put(txn, &commits)?;
    extent(txn)
}

/// The store's extent.
pub(super) fn extent(txn: &impl Transaction) -> Result<Extent, StoreError> {
    Ok(Extent {
        commits: COMMITS.get(txn)?.unwrap_or_default(),
        last_seq: last_seq(txn)?,
        counts: COUNTS.get(txn)?.unwrap_or_default(),
    })
}

/// The highest number ever used.
pub(super) fn last_seq(txn: &impl Transaction) -> Result<Seq, StoreError> {
    let high = HIGH_SEQ.get(txn)?;
    let open = OPEN.of(txn)?.last(|seq| seq)?;
    let outcomes = OUTCOMES.of(txn)?.last(|seq| seq)?;
    Ok([high, open, outcomes].into_iter().flatten().max().unwrap_or_default())
}

/// The last run of a target if it succeeded; if none is known, an imported one of this name.
pub(super) fn last_success(
    txn: &impl Transaction,
    key: &TargetKey,
    name: &str,
) -> Result<Option<LastSuccess>, StoreError> {
    let known = match TARGETS.get(txn, key.to_string().as_str())? {
        Some(known) => Some(known),
        None => IMPORTED.get(txn, name)?,
    };
    Ok(known.and_then(LastRun::success))
}

/// Records an outcome for the duplicate rule.
fn remember_last(txn: &Writing, outcome: &Outcome) -> Result<(), StoreError> {
    let Some(last) = LastRun::of(outcome) else { return Ok(()) };
    let (mut table, key) = match Of::outcome(outcome) {
        Of::Target(key) => (TARGETS.of(txn)?, key),
        Of::Name(name) => (IMPORTED.of(txn)?, name),
    };
    if last.replaces(table.get(key.as_str())?.as_ref()) {
        table.put(key.as_str(), &last)?;
    }
    Ok(())
}

/// Forgets the record that [`remember_last`] made of this outcome.
fn forget_last(txn: &Writing, outcome: &Outcome) -> Result<(), StoreError> {
    let (mut table, key) = match Of::outcome(outcome) {
        Of::Target(key) => (TARGETS.of(txn)?, key),
        Of::Name(name) => (IMPORTED.of(txn)?, name),
    };
    if table.get(key.as_str())?.is_some_and(|last| last.run.seq == outcome.seq) {
        table.remove(key.as_str())?;
    }
    Ok(())
}

/// Makes the outcome own its path, and no longer the path recorded before.
fn own(txn: &Writing, outcome: &Outcome, before: Option<&str>) -> Result<(), StoreError> {
    let mut owners = OWNERS.of(txn)?;
    if let Some(before) = before.filter(|before| *before != outcome.archived_as) {
        give_up_path(&mut owners, before, outcome.seq)?;
    }
    claim_path(&mut owners, outcome)
}

type Owners<'t> = View<'t, Writing, &'static str, Number>;

/// Claims the outcome's path. If another outcome owns it, that one keeps it: then this outcome owns no file.
pub(super) fn claim_path(owners: &mut Owners<'_>, outcome: &Outcome) -> Result<(), StoreError> {
    let path = outcome.archived_as.as_str();
    if !path.is_empty() && !owners.has(path)? {
        owners.put(path, outcome.seq)?;
    }
    Ok(())
}

fn give_up_path(owners: &mut Owners<'_>, path: &str, seq: Seq) -> Result<(), StoreError> {
    if owners.get(path)? == Some(seq) {
        owners.remove(path)?;
    }
    Ok(())
}
