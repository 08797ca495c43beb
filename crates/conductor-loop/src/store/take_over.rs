//! Outcomes from elsewhere become records of a store: those of an import, of the store that was there before, of the statuses. They are
//! passed one at a time and more than once, so that memory holds a few bytes of each, whatever it says.

use super::outcomes::Outcomes;
use super::{Extent, Hold, Ledger, Rescued, Salvaged, StoreError, Work};
use conductor_core::record::{Claim, Outcome, Status};
use conductor_core::{Code, Seq};
use conductor_crypto::sha256_of_parts;
use jiff::Timestamp;
use std::collections::{HashMap, HashSet};

/// Outcomes per transaction.
const CHUNK: usize = 1_000;

/// Those of other numbers than these.
struct Besides<'o> {
    outcomes: &'o dyn Outcomes,
    numbers: HashSet<Seq>,
}

impl Outcomes for Besides<'_> {
    fn each(&self, pass: &mut dyn FnMut(Outcome) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.outcomes.each(&mut |outcome| {
            if self.numbers.contains(&outcome.seq) { Ok(()) } else { pass(outcome) }
        })
    }
}

/// What came of outcomes that were to be added.
#[derive(Default)]
pub(super) struct Added {
    pub(super) imported: u64,
    pub(super) skipped: u64,
    /// Of those that were skipped: their number belongs to another intent here.
    conflicting: u64,
}

/// Adds missing outcomes, and raises the totals. Entries of the Go version are recognised by name, bytes and time, others
/// by number too. The outcome of an intent that is unfinished here ends it: it does not run a second time.
pub(super) fn add(store: &dyn Ledger, outcomes: &dyn Outcomes, floor: &Extent) -> Result<Added, StoreError> {
    let known = Known::of(store, outcomes)?;
    let open: HashMap<Seq, Option<Claim>> = store.open_claims()?.into_iter().collect();
    let mut added = Added { conflicting: known.conflicting, ..Added::default() };
    let mut chunk: Vec<Outcome> = Vec::new();
    let commit = |chunk: &mut Vec<Outcome>| {
        let ended = chunk.iter().map(|outcome| outcome.seq).filter(|seq| open.contains_key(seq));
        let done = ended.collect();
        store.commit(&Work { imported: chunk.iter().collect(), done, ..Work::default() })?;
        chunk.clear();
        Ok::<(), StoreError>(())
    };
    outcomes.each(&mut |mut outcome| {
        let is_fresh = !known.has(&outcome)
            && match open.get(&outcome.seq) {
                None => true,
                Some(Some(claim)) if claim.name == outcome.name && Some(claim.sha256) == outcome.sha256 => {
                    outcome.key.get_or_insert_with(|| claim.key.clone());
                    true
                }
                Some(_) => {
                    added.conflicting += 1;
                    false
                }
            };
        if !is_fresh {
            added.skipped += 1;
            return Ok(());
        }
        added.imported += 1;
        chunk.push(outcome);
        if chunk.len() < CHUNK { Ok(()) } else { commit(&mut chunk) }
    })?;
    commit(&mut chunk)?;
    store.commit(&Work { floor: Some(floor), ..Work::default() })?;
    Ok(added)
}

/// Enough of a digest to tell the outcomes of a store apart.
type Short = [u8; 16];

fn short(parts: &[&[u8]]) -> Short {
    let [short @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = sha256_of_parts(parts).0;
    short
}

/// Name and bytes.
fn content(outcome: &Outcome) -> Short {
    let sha256 = outcome.sha256.map(|digest| digest.0).unwrap_or_default();
    short(&[&[u8::from(outcome.sha256.is_some())], &sha256, outcome.name.as_bytes()])
}

/// Name, bytes and time.
fn identity(outcome: &Outcome) -> Short {
    short(&[&content(outcome), &outcome.finished_at.as_nanosecond().to_be_bytes()])
}

/// What a store knows of outcomes that are given.
#[derive(Default)]
struct Known {
    /// The finished intents among them.
    intents: HashSet<Short>,
    /// Their numbers that finished intents have.
    numbers: HashSet<Seq>,
    /// How many of these numbers are another intent's.
    conflicting: u64,
}

impl Known {
    /// Holds outcomes against a store. What is held in memory grows with the outcomes that are given, not with those that are here.
    fn of(store: &dyn Ledger, given: &dyn Outcomes) -> Result<Self, StoreError> {
        let (mut intents, mut numbers) = (HashSet::new(), HashMap::new());
        given.each(&mut |outcome| {
            intents.insert(identity(&outcome));
            numbers.insert(outcome.seq, content(&outcome));
            Ok(())
        })?;
        let mut known = Self::default();
        if numbers.is_empty() {
            return Ok(known);
        }
        store.outcomes(Seq(0), &mut |here| {
            if let Some(given) = numbers.get(&here.seq) {
                known.numbers.insert(here.seq);
                known.conflicting += u64::from(*given != content(&here));
            }
            known.intents.extend(intents.take(&identity(&here)));
            true
        })?;
        Ok(known)
    }

    fn has(&self, outcome: &Outcome) -> bool {
        self.numbers.contains(&outcome.seq) || self.intents.contains(&identity(outcome))
    }
}

/// What is known of a state besides its new store.
pub struct Evidence<'e> {
    /// The store that was there.
    pub salvaged: Salvaged,
    /// The outcomes that the statuses tell of.
    pub told: Box<dyn Outcomes + 'e>,
    /// What the state has come to by all evidence.
    pub extent: Extent,
    /// The numbers that the audit trail has as filed, of intents that are unfinished in the new store or in the one that was there.
    pub done: HashSet<Seq>,
    /// Whether the store that was there is whole and goes on from what the new one began with: what it lacks, it has removed.
    pub goes_on: bool,
}

/// What was taken over from the evidence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TakenOver {
    /// Outcomes of the store that was there.
    pub outcomes: u64,
    /// Outcomes that only the statuses tell of.
    pub told: u64,
    /// Unfinished intents.
    pub unfinished: u64,
    /// Unfinished intents that ended, because a later one of their name is known.
    pub given_up: u64,
    /// Unfinished intents that ended, because they were done and their outcomes are gone.
    pub ended: u64,
    /// Outcomes and unfinished intents whose number belongs to another intent here.
    pub conflicting: u64,
}

impl Evidence<'_> {
    /// The number of intents that it tells of, from this number on, whether or not they are taken over.
    pub fn intents_from(&self, first: Seq) -> Result<u64, StoreError> {
        let mut numbers = HashSet::new();
        let mut count = |seq| {
            if seq >= first {
                numbers.insert(seq);
            }
            Ok(())
        };
        self.salvaged.each(&mut |outcome| count(outcome.seq))?;
        self.told.each(&mut |outcome| count(outcome.seq))?;
        self.salvaged.unfinished(&mut |rescued| count(rescued.claim.seq))?;
        Ok(numbers.len() as u64)
    }

    /// Takes over what a store lacks. Where both know a number, the record of the store stands; an intent that is unfinished in the
    /// store and finished by the evidence is finished; no number that was used is used again.
    pub fn take_over(self, store: &dyn Ledger) -> Result<TakenOver, StoreError> {
        let latest = self.latest(store)?;
        let mut numbers = HashSet::new();
        self.salvaged.each(&mut |outcome| {
            numbers.insert(outcome.seq);
            Ok(())
        })?;
        let salvaged = add(store, &self.salvaged, &Extent::default())?;
        let told = add(store, &Besides { outcomes: &*self.told, numbers }, &Extent::default())?;
        let mut taken = TakenOver {
            outcomes: salvaged.imported,
            told: told.imported,
            conflicting: salvaged.conflicting + told.conflicting,
            ..TakenOver::default()
        };
        taken.given_up = give_up_passed(store, &latest)?;
        self.claim_waiting(store, &mut taken)?;
        taken.ended = self.end_done(store, taken.conflicting)?;
        // At last: the totals that are known have those that have just ended.
        store.commit(&Work { floor: Some(&self.extent), ..Work::default() })?;
        self.hold(store, taken.conflicting)?;
        Ok(taken)
    }

    /// Takes over the unfinished intents. A producer may use a name again while the intent before it waits: both are taken over.
    fn claim_waiting(&self, store: &dyn Ledger, taken: &mut TakenOver) -> Result<(), StoreError> {
        let others = self.names_of_others(store)?;
        self.salvaged.unfinished(&mut |Rescued { claim, bytes, start }| {
            let known = store.claim(claim.seq)?.map(|(known, _)| (known.name, Some(known.sha256)));
            let known = known.or(store.outcome(claim.seq)?.map(|known| (known.name, known.sha256)));
            if known.is_some() || others.contains(&claim.name) {
                let is_it = known.is_some_and(|known| known == (claim.name, Some(claim.sha256)));
                taken.conflicting += u64::from(!is_it);
                return Ok(());
            }
            let starts = start.map(|start| (claim.seq, start)).into_iter().collect();
            store.commit(&Work { starts, ..Work::claim(&claim, &bytes, false) })?;
            taken.unfinished += 1;
            Ok(())
        })
    }

    /// Passes every intent that is unfinished in the store, and then those that are in the store that was there.
    pub fn waiting(&self, store: &dyn Ledger, each: &mut dyn FnMut(Claim)) -> Result<(), StoreError> {
        store.unsettled(each)?;
        self.salvaged.unfinished(&mut |rescued| {
            each(rescued.claim);
            Ok(())
        })
    }

    /// Takes over what is held. What the store that was there has released, if it is of this state, is held no more.
    fn hold(&self, store: &dyn Ledger, conflicting: u64) -> Result<(), StoreError> {
        let (before, held) = (store.held()?, self.salvaged.held()?);
        let is_released =
            |target: &str| self.goes_on && conflicting == 0 && held.iter().all(|held| held.target != target);
        let released = before.iter().filter(|held| is_released(&held.target));
        let holds = released.map(|held| Hold::Ends(&held.target)).chain(held.iter().map(Hold::Begins));
        store.commit(&Work { holds: holds.collect(), ..Work::default() })?;
        Ok(())
    }

    /// Ends what is unfinished and was done: the audit trail has it as filed, or the store that was there has removed it. One that knows
    /// another intent by a number is that of another state, and tells nothing.
    fn end_done(&self, store: &dyn Ledger, conflicting: u64) -> Result<u64, StoreError> {
        let mut removed = HashSet::new();
        if self.goes_on && conflicting == 0 {
            store.unsettled(&mut |claim| {
                removed.insert(claim.seq);
            })?;
            self.salvaged.each(&mut |outcome| {
                removed.remove(&outcome.seq);
                Ok(())
            })?;
            self.salvaged.unfinished(&mut |rescued| {
                removed.remove(&rescued.claim.seq);
                Ok(())
            })?;
        }
        let mut done = Vec::new();
        store.unsettled(&mut |claim| {
            if self.done.contains(&claim.seq) || removed.contains(&claim.seq) {
                done.push(claim);
            }
        })?;
        end(store, &done, "it was done before; its outcome was removed since, or lost with the state")
    }

    /// The names of intents that are unfinished in the store and are not known to be unfinished by the evidence.
    fn names_of_others(&self, store: &dyn Ledger) -> Result<HashSet<String>, StoreError> {
        let digest = |claim: &Claim| short(&[&claim.sha256.0, claim.name.as_bytes()]);
        let (mut waiting, mut others) = (HashSet::new(), HashSet::new());
        self.salvaged.unfinished(&mut |rescued| {
            waiting.insert((rescued.claim.seq, digest(&rescued.claim)));
            Ok(())
        })?;
        store.unsettled(&mut |claim| {
            if !waiting.contains(&(claim.seq, digest(&claim))) {
                others.insert(claim.name);
            }
        })?;
        Ok(others)
    }

    /// What the evidence knows of the names that are unfinished in the store.
    fn latest(&self, store: &dyn Ledger) -> Result<Latest, StoreError> {
        let mut latest = Latest::default();
        store.unsettled(&mut |claim| {
            latest.of_name.insert(claim.name, Seq::ZERO);
        })?;
        if latest.of_name.is_empty() {
            return Ok(latest);
        }
        let Latest { of_name, waiting } = &mut latest;
        let mut note = |name: &str, seq: Seq| {
            if let Some(last) = of_name.get_mut(name) {
                *last = seq.max(*last);
            }
            Ok(())
        };
        self.salvaged.each(&mut |outcome| note(&outcome.name, outcome.seq))?;
        self.told.each(&mut |outcome| note(&outcome.name, outcome.seq))?;
        self.salvaged.unfinished(&mut |rescued| {
            waiting.insert(rescued.claim.seq);
            note(&rescued.claim.name, rescued.claim.seq)
        })?;
        Ok(latest)
    }
}

/// The number of intents that a store knows, from this number on.
pub fn intents_from(store: &dyn Ledger, first: Seq) -> Result<u64, StoreError> {
    let mut count = 0;
    store.outcomes(first, &mut |_| {
        count += 1;
        true
    })?;
    store.unsettled(&mut |claim| count += u64::from(claim.seq >= first))?;
    Ok(count)
}

/// What is known of intents whose names are unfinished in a store.
#[derive(Default)]
struct Latest {
    /// The number of the last intent of each name.
    of_name: HashMap<String, Seq>,
    /// Those that are known to be unfinished.
    waiting: HashSet<Seq>,
}

/// Of two intents with one name, the later was taken after the earlier was filed, or follows it in the order of its
/// target. An older copy of the store may have the earlier as unfinished: whether it ran is unknown, and it does not run
/// again, unless the evidence has it as unfinished too.
fn give_up_passed(store: &dyn Ledger, latest: &Latest) -> Result<u64, StoreError> {
    let mut passed = Vec::new();
    store.unsettled(&mut |claim| {
        let is_passed = latest.of_name.get(&claim.name).is_some_and(|seq| *seq > claim.seq);
        if is_passed && !latest.waiting.contains(&claim.seq) {
            passed.push(claim);
        }
    })?;
    end(store, &passed, "its outcome was lost with the state; a later intent of its name is known")
}

/// Ends unfinished intents whose outcomes are lost. Returns how many.
fn end(store: &dyn Ledger, claims: &[Claim], why: &str) -> Result<u64, StoreError> {
    for claim in claims {
        let outcome = Outcome {
            status: Status::Failed,
            message: why.to_owned(),
            sha256: Some(claim.sha256),
            size: claim.size,
            correlation_id: claim.correlation_id.clone(),
            error_code: Some(Code::Interrupted),
            key: Some(claim.key.clone()),
            ..Outcome::blank(claim.seq, &claim.name, Timestamp::now())
        };
        store.commit(&Work { imported: vec![&outcome], done: vec![claim.seq], ..Work::default() })?;
    }
    Ok(claims.len() as u64)
}
