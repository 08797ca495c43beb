//! The store as a [`Ledger`]: each call is one transaction.

use super::layout::{COUNTS, DESTINATION, HELD, IMPORTED, OPEN, OUTCOMES, OWNERS, TARGETS, UPKEEP};
use super::opened::Store;
use super::{batch, index, pending};
use crate::store::{
    Counts, Extent, Ledger, Page, Part, Pending, Search, Settled, Start, StoreError, Upkeep, Work,
};
use conductor_core::intent::TargetKey;
use conductor_core::query::Held;
use conductor_core::record::{Claim, LastSuccess, Outcome};
use conductor_core::{Digest, Seq};
use jiff::Timestamp;

impl Ledger for Store {
    fn commit(&self, work: &Work<'_>) -> Result<Vec<Option<LastSuccess>>, StoreError> {
        self.write(|txn| batch::write(txn, work))
    }

    fn work_for(&self, destination: &str) -> Result<bool, StoreError> {
        let known = self.reading(|txn| DESTINATION.get(txn))?;
        if known.as_deref() == Some(destination) {
            return Ok(false);
        }
        self.write(|txn| {
            DESTINATION.put(txn, &destination.to_owned())?;
            if known.is_none() {
                return Ok(false);
            }
            let (mut targets, mut imported) = (TARGETS.of(txn)?, IMPORTED.of(txn)?);
            let forgets = targets.len()? + imported.len()? > 0;
            targets.clear()?;
            imported.clear()?;
            Ok(forgets)
        })
    }

    fn reopen(&self) -> Result<(), StoreError> {
        self.open_again()
    }

    fn has_failed(&self) -> Result<bool, StoreError> {
        self.is_stuck()
    }

    fn extent(&self) -> Result<Extent, StoreError> {
        self.reading(batch::extent)
    }

    fn last_seq(&self) -> Result<Seq, StoreError> {
        self.reading(batch::last_seq)
    }

    fn counts(&self) -> Result<Counts, StoreError> {
        self.reading(|txn| Ok(COUNTS.get(txn)?.unwrap_or_default()))
    }

    fn sizes(&self) -> Result<(u64, u64), StoreError> {
        self.reading(|txn| Ok((OPEN.of(txn)?.len()?, OUTCOMES.of(txn)?.len()?)))
    }

    fn is_open(&self, seq: Seq) -> Result<bool, StoreError> {
        self.reading(|txn| OPEN.has(txn, seq))
    }

    fn begun(&self) -> Result<Vec<(Seq, Digest)>, StoreError> {
        self.reading(pending::begun)
    }

    fn claim(&self, seq: Seq) -> Result<Option<(Claim, Option<Start>)>, StoreError> {
        self.reading(|txn| pending::claim(txn, seq))
    }

    fn claim_named(&self, name: &str) -> Result<Option<Seq>, StoreError> {
        self.reading(|txn| pending::claim_named(txn, name))
    }

    fn open_claims(&self) -> Result<Vec<(Seq, Option<Claim>)>, StoreError> {
        self.reading(pending::open_claims)
    }

    fn unsettled(&self, each: &mut dyn FnMut(Claim)) -> Result<(), StoreError> {
        self.reading(|txn| pending::unsettled(txn, each))
    }

    fn pending(&self, each: &mut dyn FnMut(Pending)) -> Result<(), StoreError> {
        self.reading(|txn| pending::pending(txn, each))
    }

    fn settled(&self, seq: Seq) -> Result<Settled, StoreError> {
        self.reading(|txn| pending::settled(txn, seq))
    }

    fn read_bytes(&self, seq: Seq, digest: &Digest, work: &mut dyn FnMut(&[u8])) -> Result<(), StoreError> {
        self.reading(|txn| pending::read_bytes(txn, seq, digest, work))
    }

    fn read_claim(&self, seq: Seq, work: &mut dyn FnMut(Claim, &[u8])) -> Result<(), StoreError> {
        self.reading(|txn| pending::read_claim(txn, seq, work))
    }

    fn outcome(&self, seq: Seq) -> Result<Option<Outcome>, StoreError> {
        self.reading(|txn| OUTCOMES.get(txn, seq))
    }

    fn outcomes(&self, from: Seq, each: &mut dyn FnMut(Outcome) -> bool) -> Result<(), StoreError> {
        self.reading(|txn| {
            for row in OUTCOMES.of(txn)?.range(from..)? {
                if !each(row?.value()?) {
                    break;
                }
            }
            Ok(())
        })
    }

    fn search(&self, search: Search<'_>, each: &mut dyn FnMut(Outcome) -> bool) -> Result<(), StoreError> {
        self.reading(|txn| index::search(txn, search, each))
    }

    fn first_since(&self, since: Timestamp, goes_on: &dyn Fn() -> bool) -> Result<Option<Seq>, StoreError> {
        self.reading(|txn| index::first_since(txn, since, goes_on))
    }

    fn old(&self, part: Part<'_>) -> Result<Page, StoreError> {
        self.reading(|txn| index::old(txn, part))
    }

    fn upkeep(&self) -> Result<Upkeep, StoreError> {
        self.reading(|txn| Ok(UPKEEP.get(txn)?.unwrap_or_default()))
    }

    fn owner(&self, path: &str) -> Result<Option<Seq>, StoreError> {
        self.reading(|txn| OWNERS.get(txn, path))
    }

    fn last_success(&self, key: &TargetKey, name: &str) -> Result<Option<LastSuccess>, StoreError> {
        self.reading(|txn| batch::last_success(txn, key, name))
    }

    fn targets_named(&self, name: &str) -> Result<Vec<String>, StoreError> {
        self.reading(|txn| {
            let mut found = Vec::new();
            for row in TARGETS.of(txn)?.all()? {
                let key = row?.name()?;
                if TargetKey::is_named_in(&key, name) {
                    found.push(key);
                }
            }
            // The order of hidden keys means nothing.
            found.sort_unstable();
            Ok(found)
        })
    }

    fn held(&self) -> Result<Vec<Held>, StoreError> {
        let held = self.reading(|txn| HELD.of(txn)?.all()?.map(|row| row?.value()).collect());
        held.map(|mut held: Vec<Held>| {
            held.sort_unstable_by(|one, other| one.target.cmp(&other.target));
            held
        })
    }
}
