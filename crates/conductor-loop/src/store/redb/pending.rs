//! Unfinished intents in the tables. The bytes of only one intent at a time are in memory.

use super::form::{Intent, parse};
use super::layout::{OPEN, OUTCOMES, REPORTS, STARTED};
use super::seq_key::SeqKey;
use super::table::{Reading, Row};
use crate::store::pending::{Content, Pending, Settled, Start};
use crate::store::{Flaw, StoreError};
use conductor_core::record::Claim;
use conductor_core::{Digest, Seq};

/// Numbers and digests of unfinished intents with a recorded start and without an outcome.
pub(super) fn begun(txn: &Reading) -> Result<Vec<(Seq, Digest)>, StoreError> {
    let (open, outcomes) = (OPEN.of(txn)?, OUTCOMES.of(txn)?);
    let mut begun = Vec::new();
    for row in STARTED.of(txn)?.all()? {
        let seq = row?.key();
        if let Some(Some(claim)) = open.get(seq)?
            && !outcomes.has(seq)?
        {
            begun.push((seq, claim.sha256));
        }
    }
    Ok(begun)
}

/// The claim of an unfinished intent, and its recorded start.
pub(super) fn claim(txn: &Reading, seq: Seq) -> Result<Option<(Claim, Option<Start>)>, StoreError> {
    let Some(Some(claim)) = OPEN.get(txn, seq)? else { return Ok(None) };
    Ok(Some((claim, STARTED.get(txn, seq)?)))
}

/// The number of the first claim of a file of this name that has no outcome.
pub(super) fn claim_named(txn: &Reading, name: &str) -> Result<Option<Seq>, StoreError> {
    let (open, outcomes) = (OPEN.of(txn)?, OUTCOMES.of(txn)?);
    for row in open.all()? {
        let named = row?.value()?.filter(|claim| claim.name == name);
        if let Some(Claim { seq, .. }) = named
            && !outcomes.has(seq)?
        {
            return Ok(Some(seq));
        }
    }
    Ok(None)
}

/// Unfinished intents by number, with their claims; `None` for those that never had a claim.
pub(super) fn open_claims(txn: &Reading) -> Result<Vec<(Seq, Option<Claim>)>, StoreError> {
    let open = OPEN.of(txn)?;
    let claim = |row: Row<'_, SeqKey, Intent>| Ok((row.key(), row.value()?));
    open.all()?.map(|row| row.and_then(claim)).collect()
}

/// Passes every claim without an outcome.
pub(super) fn unsettled(txn: &Reading, each: &mut dyn FnMut(Claim)) -> Result<(), StoreError> {
    let (open, outcomes) = (OPEN.of(txn)?, OUTCOMES.of(txn)?);
    for row in open.all()? {
        let row = row?;
        if let (Some(claim), false) = (row.value()?, outcomes.has(row.key())?) {
            each(claim);
        }
    }
    Ok(())
}

/// Passes every unfinished intent in order of taking, one at a time.
pub(super) fn pending(txn: &Reading, each: &mut dyn FnMut(Pending)) -> Result<(), StoreError> {
    let (open, started, outcomes) = (OPEN.of(txn)?, STARTED.of(txn)?, OUTCOMES.of(txn)?);
    for row in open.all()? {
        let row = row?;
        let seq = row.key();
        let (outcome, start) = (outcomes.get(seq)?, started.get(seq)?);
        each(row.read(|value| parse(value)?.into_pending(seq, outcome, start))?);
    }
    Ok(())
}

/// An outcome whose files may be missing.
pub(super) fn settled(txn: &Reading, seq: Seq) -> Result<Settled, StoreError> {
    let outcome = OUTCOMES.get(txn, seq)?.ok_or_else(|| Flaw::NoOutcome.of(seq))?;
    let (report, content) = (REPORTS.get(txn, seq)?, Content::of(&outcome));
    Ok(Settled { outcome, report, content })
}

/// Passes on the bytes of an unfinished intent, if they have the digest.
pub(super) fn read_bytes(
    txn: &Reading,
    seq: Seq,
    digest: &Digest,
    work: &mut dyn FnMut(&[u8]),
) -> Result<(), StoreError> {
    let read = OPEN.of(txn)?.read(seq, |value| {
        work(parse(value)?.whole(seq, digest)?);
        Ok(())
    });
    read?.ok_or_else(|| Flaw::NoRecord.of(seq))
}

/// Passes on the claim and the bytes of an intent that was claimed and is unfinished, if there is one.
pub(super) fn read_claim(
    txn: &Reading,
    seq: Seq,
    work: &mut dyn FnMut(Claim, &[u8]),
) -> Result<(), StoreError> {
    let read = OPEN.of(txn)?.read(seq, |value| {
        let mut found = parse(value)?;
        if let Some(claim) = found.claim.take() {
            let bytes = found.whole(seq, &claim.sha256)?;
            work(claim, bytes);
        }
        Ok(())
    });
    read.map(drop)
}

#[cfg(test)]
mod tests {
    use super::super::form::Form;
    use super::super::tests::{claim, outcome, store};
    use super::*;
    use crate::store::{Kept, Ledger, Store, Work};
    use conductor_core::Attempt;
    use conductor_core::record::Outcome;
    use conductor_crypto::sha256;

    const BYTES: &[u8] = b"abc";

    fn whole_claim(seq: Seq) -> Claim {
        Claim { sha256: sha256(BYTES), ..claim(seq) }
    }

    fn all(store: &Store) -> Result<Vec<Pending>, StoreError> {
        let mut found = Vec::new();
        store.pending(&mut |pending| found.push(pending))?;
        Ok(found)
    }

    #[test]
    fn bytes_that_are_not_those_of_their_digest_are_damage_wherever_they_are_read() {
        let (_temp, _dir, store) = store();
        store.commit(&Work::claim(&whole_claim(Seq(4)), BYTES, true)).unwrap();
        let ledger: &dyn Ledger = &store;
        let found = all(&store).unwrap();
        let start = Some(Start { attempt: Attempt(1), happened: false });
        assert_eq!(found, [Pending::Claimed { claim: whole_claim(Seq(4)), start }]);
        assert_eq!(ledger.with_bytes(Seq(4), &sha256(BYTES), <[u8]>::to_vec).unwrap(), BYTES);
        let shown = ledger.with_claim(Seq(4), |claim, bytes| (claim.seq, bytes.to_vec())).unwrap();
        assert_eq!(shown, Some((Seq(4), BYTES.to_vec())));

        store.commit(&Work::claim(&whole_claim(Seq(4)), b"abd", true)).unwrap();
        let failures = [
            all(&store).unwrap_err(),
            ledger.with_bytes(Seq(4), &sha256(BYTES), |_| ()).unwrap_err(),
            ledger.with_claim(Seq(4), |_, _| ()).unwrap_err(),
            ledger.with_bytes(Seq(5), &sha256(BYTES), |_| ()).unwrap_err(),
            store.settled(Seq(5)).unwrap_err(),
        ];
        for failure in failures {
            assert!(matches!(failure, StoreError::Damaged(_)), "{failure}");
        }
        assert!(ledger.with_claim(Seq(5), |_, _| ()).unwrap().is_none(), "it is not there");
    }

    #[test]
    fn what_is_neither_claimed_nor_decided_whole_is_damage() {
        let decided = |digest: Option<Digest>| Outcome { sha256: digest, ..outcome(Seq(4)) };
        let own = whole_claim(Seq(4));
        let own = Some(&own);
        let ours = Some(sha256(BYTES));
        let other = Some(sha256(b"other"));
        // The claim, the bytes, and the digest of the outcome if there is one.
        let cases = [
            (own, Some(BYTES), None, true),
            (own, None, None, false),
            (None, Some(BYTES), None, false),
            (None, None, None, false),
            (own, Some(BYTES), Some(ours), true),
            (own, Some(BYTES), Some(other), false),
            (own, Some(BYTES), Some(None), false),
            (own, None, Some(ours), false),
            (None, Some(BYTES), Some(ours), true),
            (None, Some(BYTES), Some(None), false),
            (None, None, Some(None), true),
            (None, None, Some(ours), false),
        ];
        for (claim, bytes, digest, whole) in cases {
            let value = Intent::write((claim, bytes)).unwrap();
            let pending = parse(&value).unwrap().into_pending(Seq(4), digest.map(decided), None);
            assert_eq!(pending.is_ok(), whole, "{claim:?} {bytes:?} {digest:?}");
            let elsewhere = parse(&value).unwrap().into_pending(Seq(5), digest.map(decided), None);
            assert!(elsewhere.is_err(), "under another number");
        }
    }

    #[test]
    fn a_changed_mark_or_length_is_no_record() {
        let value = Intent::write((Some(&whole_claim(Seq(4))), Some(BYTES))).unwrap();
        let mark = value.len() - BYTES.len() - 1;
        for (at, byte) in [(mark, 0), (mark, 2), (3, 0), (0, 255)] {
            let mut changed = value.clone();
            changed[at] = byte;
            assert!(parse(&changed).is_err(), "{at} {byte}");
        }
        assert!(parse(&value[..mark]).is_err() && parse(&[]).is_err());
    }

    #[test]
    fn an_outcome_without_its_claim_cannot_be_recorded_as_if_it_had_one() {
        let (_temp, _dir, store) = store();
        let refused = store.commit(&Work::decide(&outcome(Seq(4)), None, Kept::Already));
        assert!(matches!(refused, Err(StoreError::Damaged(_))));
        assert!(all(&store).unwrap().is_empty() && store.outcome(Seq(4)).unwrap().is_none());
    }
}
