//! Unfinished intents in the store. A row of `OPEN` is a claim with its bytes, or an outcome on its way to its files; any
//! other row is damage. Bytes are checked against their digest at each read, and the bytes of only one intent at a time
//! are in memory.

use super::{OPEN, OUTCOMES, REPORTS, STARTS, Store, StoreError, decode, encode};
use conductor_core::Digest;
use conductor_core::record::{Claim, Outcome};
use conductor_crypto::sha256;
use redb::ReadableTable;

/// An unfinished intent. Its bytes were read and are intact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pending {
    /// A claimed intent without an outcome.
    Claimed {
        /// The claim.
        claim: Claim,
        /// The last recorded start.
        start: Option<Start>,
    },
    /// A decided outcome; its files may be missing.
    Settled {
        /// The outcome.
        outcome: Box<Outcome>,
        /// The claim; `None` for a refused file.
        claim: Option<Claim>,
        /// The source of the archived file.
        content: Content,
    },
}

/// A recorded start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// The number of the start, from 1.
    pub attempt: u32,
    /// Whether it is known to have happened.
    pub happened: bool,
}

impl Start {
    /// Starts of porch so far, of an intent that this process has not started: a start recorded ahead has not happened.
    pub fn so_far(start: Option<Self>) -> u32 {
        start.map_or(0, |start| if start.happened { start.attempt } else { start.attempt.saturating_sub(1) })
    }
}

/// The location of a decided intent's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// In the store.
    Stored,
    /// In the taken file: it was not read.
    File,
}

/// Bytes that a publication adds to the store beside its outcome.
#[derive(Debug, Clone, Copy)]
pub enum Kept<'b> {
    /// None: the claim has the bytes, or the outcome was recorded before.
    Already,
    /// The bytes of a refused file.
    Bytes(&'b [u8]),
    /// None: the file was not read and is moved itself.
    File,
}

/// An outcome to be published again.
#[derive(Debug, Clone)]
pub struct Settled {
    /// The outcome.
    pub outcome: Outcome,
    /// Its error log.
    pub report: Option<Vec<u8>>,
    /// The source of the archived file.
    pub content: Content,
}

impl Store {
    /// Numbers and digests of unfinished intents with a recorded start and without an outcome.
    pub fn begun(&self) -> Result<Vec<(u64, Digest)>, StoreError> {
        self.reading(|txn| {
            let (open, outcomes) = (txn.open_table(OPEN)?, txn.open_table(OUTCOMES)?);
            let mut begun = Vec::new();
            for row in txn.open_table(STARTS)?.iter()? {
                let seq = row?.0.value();
                let Some(value) = open.get(seq)? else { continue };
                if let (Some(claim), None) = (claim_of(value.value())?, outcomes.get(seq)?) {
                    begun.push((seq, claim.sha256));
                }
            }
            Ok(begun)
        })
    }

    /// The claim of an unfinished intent, and its recorded start.
    pub fn claim(&self, seq: u64) -> Result<Option<(Claim, Option<Start>)>, StoreError> {
        self.reading(|txn| {
            let Some(value) = txn.open_table(OPEN)?.get(seq)? else { return Ok(None) };
            let start = txn.open_table(STARTS)?.get(seq)?.map(|value| value.value());
            let start = start.map(|(attempt, happened)| Start { attempt, happened });
            Ok(claim_of(value.value())?.map(|claim| (claim, start)))
        })
    }

    /// The number of the first unfinished claim that matches.
    pub fn find_claim(&self, is_meant: impl Fn(&Claim) -> bool) -> Result<Option<u64>, StoreError> {
        self.reading(|txn| {
            for row in txn.open_table(OPEN)?.iter()? {
                if let Some(claim) = claim_of(row?.1.value())?.filter(|claim| is_meant(claim)) {
                    return Ok(Some(claim.seq));
                }
            }
            Ok(None)
        })
    }

    /// Passes every unfinished intent in order of taking, one at a time.
    pub fn pending(&self, mut each: impl FnMut(Pending)) -> Result<(), StoreError> {
        self.reading(|txn| {
            let (open, starts) = (txn.open_table(OPEN)?, txn.open_table(STARTS)?);
            let outcomes = txn.open_table(OUTCOMES)?;
            for row in open.iter()? {
                let (key, value) = row?;
                let seq = key.value();
                let start = starts.get(seq)?.map(|value| value.value());
                let outcome = outcomes.get(seq)?.map(|value| decode(value.value())).transpose()?;
                let start = start.map(|(attempt, happened)| Start { attempt, happened });
                each(Row::read(value.value())?.into_pending(seq, outcome, start)?);
            }
            Ok(())
        })
    }

    /// An outcome whose files may be missing.
    pub fn settled(&self, seq: u64) -> Result<Settled, StoreError> {
        self.reading(|txn| {
            let lost = || damaged(seq, "its outcome is missing");
            let outcome = txn.open_table(OUTCOMES)?.get(seq)?.map(|value| decode(value.value()));
            let outcome: Outcome = outcome.ok_or_else(lost)??;
            let report = txn.open_table(REPORTS)?.get(seq)?.map(|value| value.value().to_vec());
            let content = if outcome.sha256.is_some() { Content::Stored } else { Content::File };
            Ok(Settled { outcome, report, content })
        })
    }

    /// Passes on the bytes of an unfinished intent, if they have the digest.
    pub fn with_bytes<T>(
        &self,
        seq: u64,
        digest: &Digest,
        work: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, StoreError> {
        self.reading(|txn| {
            let value =
                txn.open_table(OPEN)?.get(seq)?.ok_or_else(|| damaged(seq, "its record is missing"))?;
            let bytes =
                Row::read(value.value())?.bytes.ok_or_else(|| damaged(seq, "its bytes are missing"))?;
            check(seq, bytes, digest)?;
            Ok(work(bytes))
        })
    }

    /// Passes on the claim and the bytes of an intent that was claimed and is unfinished.
    pub fn with_claim<T>(
        &self,
        seq: u64,
        work: impl FnOnce(Claim, &[u8]) -> T,
    ) -> Result<Option<T>, StoreError> {
        self.reading(|txn| {
            let Some(value) = txn.open_table(OPEN)?.get(seq)? else { return Ok(None) };
            let Row { claim: Some(claim), bytes } = Row::read(value.value())? else { return Ok(None) };
            let bytes = bytes.ok_or_else(|| damaged(seq, "its bytes are missing"))?;
            check(seq, bytes, &claim.sha256)?;
            Ok(Some(work(claim, bytes)))
        })
    }
}

fn damaged(seq: u64, what: &str) -> StoreError {
    StoreError::Damaged(format!("intent {seq}: {what}"))
}

fn check(seq: u64, bytes: &[u8], digest: &Digest) -> Result<(), StoreError> {
    if sha256(bytes) == *digest {
        return Ok(());
    }
    Err(damaged(seq, "its bytes are not those whose digest is recorded"))
}

/// Claim and bytes in one value: the length of the claim, the claim, a mark, the bytes.
pub(super) fn encode_row(claim: Option<&Claim>, bytes: Option<&[u8]>) -> Result<Vec<u8>, StoreError> {
    let head = encode(&claim);
    let length = u32::try_from(head.len())
        .map_err(|_| StoreError::Io("a claim is too large to be recorded".to_owned()))?;
    let body = bytes.unwrap_or_default();
    let mut value = Vec::with_capacity(5 + head.len() + body.len());
    value.extend(length.to_be_bytes());
    value.extend(&head);
    value.push(u8::from(bytes.is_some()));
    value.extend(body);
    Ok(value)
}

/// The claim in a value of `OPEN`, without its bytes.
pub(super) fn claim_of(value: &[u8]) -> Result<Option<Claim>, StoreError> {
    Ok(Row::read(value)?.claim)
}

/// A parsed value of `OPEN`.
struct Row<'v> {
    claim: Option<Claim>,
    bytes: Option<&'v [u8]>,
}

impl<'v> Row<'v> {
    fn read(value: &'v [u8]) -> Result<Self, StoreError> {
        let cut = || StoreError::Damaged("a record is cut short".to_owned());
        let (length, rest) = value.split_first_chunk::<4>().ok_or_else(cut)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| cut())?;
        let (head, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
        let (mark, body) = rest.split_first().ok_or_else(cut)?;
        let bytes = match (mark, body) {
            (0, []) => None,
            (1, body) => Some(body),
            _ => return Err(StoreError::Damaged("a record has an unknown form".to_owned())),
        };
        Ok(Self { claim: decode(head)?, bytes })
    }

    fn into_pending(
        self,
        seq: u64,
        outcome: Option<Outcome>,
        start: Option<Start>,
    ) -> Result<Pending, StoreError> {
        let Self { claim, bytes } = self;
        let numbers = [claim.as_ref().map(|claim| claim.seq), outcome.as_ref().map(|outcome| outcome.seq)];
        if numbers.into_iter().flatten().any(|number| number != seq) {
            return Err(damaged(seq, "it is recorded under another number"));
        }
        let claimed = claim.as_ref().map(|claim| claim.sha256);
        match (claim, outcome, bytes) {
            (Some(claim), None, Some(bytes)) => {
                check(seq, bytes, &claim.sha256)?;
                Ok(Pending::Claimed { claim, start })
            }
            (claim, Some(outcome), Some(bytes)) => {
                let decided =
                    outcome.sha256.filter(|decided| claimed.is_none_or(|claimed| claimed == *decided));
                let digest = decided.ok_or_else(|| damaged(seq, "its outcome tells of other bytes"))?;
                check(seq, bytes, &digest)?;
                Ok(Pending::Settled { outcome: Box::new(outcome), claim, content: Content::Stored })
            }
            (None, Some(outcome), None) if outcome.sha256.is_none() => {
                Ok(Pending::Settled { outcome: Box::new(outcome), claim: None, content: Content::File })
            }
            (None, None, _) => Err(damaged(seq, "it is neither claimed nor decided")),
            (_, _, None) => Err(damaged(seq, "its bytes are missing")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{claim, outcome, store};
    use super::*;

    const BYTES: &[u8] = b"abc";

    fn whole_claim(seq: u64) -> Claim {
        Claim { sha256: sha256(BYTES), ..claim(seq) }
    }

    fn all(store: &Store) -> Result<Vec<Pending>, StoreError> {
        let mut found = Vec::new();
        store.pending(|pending| found.push(pending))?;
        Ok(found)
    }

    #[test]
    fn bytes_that_are_not_those_of_their_digest_are_damage_wherever_they_are_read() {
        let (_temp, _dir, store) = store();
        store.write(|batch| batch.claim(&whole_claim(4), BYTES, true)).unwrap();
        let found = all(&store).unwrap();
        let start = Some(Start { attempt: 1, happened: false });
        assert_eq!(found, [Pending::Claimed { claim: whole_claim(4), start }]);
        assert_eq!(store.with_bytes(4, &sha256(BYTES), <[u8]>::to_vec).unwrap(), BYTES);
        let shown = store.with_claim(4, |claim, bytes| (claim.seq, bytes.to_vec())).unwrap();
        assert_eq!(shown, Some((4, BYTES.to_vec())));

        store.write(|batch| batch.claim(&whole_claim(4), b"abd", true)).unwrap();
        let failures = [
            all(&store).unwrap_err(),
            store.with_bytes(4, &sha256(BYTES), |_| ()).unwrap_err(),
            store.with_claim(4, |_, _| ()).unwrap_err(),
            store.with_bytes(5, &sha256(BYTES), |_| ()).unwrap_err(),
            store.settled(5).unwrap_err(),
        ];
        for failure in failures {
            assert!(matches!(failure, StoreError::Damaged(_)), "{failure}");
        }
        assert!(store.with_claim(5, |_, _| ()).unwrap().is_none(), "it is not there");
    }

    #[test]
    fn what_is_neither_claimed_nor_decided_whole_is_damage() {
        let decided = |digest: Option<Digest>| Outcome { sha256: digest, ..outcome(4) };
        let own = whole_claim(4);
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
            let value = encode_row(claim, bytes).unwrap();
            let pending = Row::read(&value).unwrap().into_pending(4, digest.map(decided), None);
            assert_eq!(pending.is_ok(), whole, "{claim:?} {bytes:?} {digest:?}");
            let elsewhere = Row::read(&value).unwrap().into_pending(5, digest.map(decided), None);
            assert!(elsewhere.is_err(), "under another number");
        }
    }

    #[test]
    fn a_changed_mark_or_length_is_no_record() {
        let value = encode_row(Some(&whole_claim(4)), Some(BYTES)).unwrap();
        let mark = value.len() - BYTES.len() - 1;
        for (at, byte) in [(mark, 0), (mark, 2), (3, 0), (0, 255)] {
            let mut changed = value.clone();
            changed[at] = byte;
            assert!(Row::read(&changed).is_err(), "{at} {byte}");
        }
        assert!(Row::read(&value[..mark]).is_err() && Row::read(&[]).is_err());
    }

    #[test]
    fn an_outcome_without_its_claim_cannot_be_recorded_as_if_it_had_one() {
        let (_temp, _dir, store) = store();
        let refused = store.write(|batch| batch.settle(&outcome(4), None, Kept::Already));
        assert!(matches!(refused, Err(StoreError::Damaged(_))));
        assert!(all(&store).unwrap().is_empty() && !store.is_settled(4).unwrap());
    }
}
