//! Unfinished intents in a ledger: a claim with its bytes, or an outcome on its way to its files; any other combination
//! is damage. Bytes are checked against their digest at each read.

use super::{Flaw, StoreError};
use conductor_core::record::{Claim, Outcome};
use conductor_core::{Attempt, Digest, Seq};
use conductor_crypto::sha256;

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
    pub attempt: Attempt,
    /// Whether it is known to have happened.
    pub happened: bool,
}

impl Start {
    /// Starts of porch so far, of an intent that this process has not started: a start recorded ahead has not happened.
    pub fn so_far(start: Option<Self>) -> u32 {
        start.map_or(0, |start| if start.happened { start.attempt.get() } else { start.attempt.before() })
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

impl Content {
    pub(super) fn of(outcome: &Outcome) -> Self {
        if outcome.sha256.is_some() { Self::Stored } else { Self::File }
    }
}

/// An outcome to be published again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The outcome.
    pub outcome: Outcome,
    /// Its error log.
    pub report: Option<Vec<u8>>,
    /// The source of the archived file.
    pub content: Content,
}

/// The records of an unfinished intent.
#[derive(Debug)]
pub(super) struct Unfinished<'b> {
    pub(super) claim: Option<Claim>,
    pub(super) bytes: Option<&'b [u8]>,
}

/// Checks bytes against their digest; a difference is damage.
pub(super) fn check(seq: Seq, bytes: &[u8], digest: &Digest) -> Result<(), StoreError> {
    if sha256(bytes) == *digest { Ok(()) } else { Err(Flaw::OtherBytes.of(seq)) }
}

impl<'b> Unfinished<'b> {
    /// The intent's bytes, if they have the digest.
    pub(super) fn whole(&self, seq: Seq, digest: &Digest) -> Result<&'b [u8], StoreError> {
        let bytes = self.bytes.ok_or_else(|| Flaw::NoBytes.of(seq))?;
        check(seq, bytes, digest)?;
        Ok(bytes)
    }

    /// Combines the records of one number. A contradiction is damage.
    pub(super) fn into_pending(
        self,
        seq: Seq,
        outcome: Option<Outcome>,
        start: Option<Start>,
    ) -> Result<Pending, StoreError> {
        let Self { claim, bytes } = self;
        let numbers = [claim.as_ref().map(|claim| claim.seq), outcome.as_ref().map(|outcome| outcome.seq)];
        if numbers.into_iter().flatten().any(|number| number != seq) {
            return Err(Flaw::OtherNumber.of(seq));
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
                let digest = decided.ok_or_else(|| Flaw::OtherOutcome.of(seq))?;
                check(seq, bytes, &digest)?;
                Ok(Pending::Settled { outcome: Box::new(outcome), claim, content: Content::Stored })
            }
            (None, Some(outcome), None) if outcome.sha256.is_none() => {
                Ok(Pending::Settled { outcome: Box::new(outcome), claim: None, content: Content::File })
            }
            (None, None, _) => Err(Flaw::Neither.of(seq)),
            (_, _, None) => Err(Flaw::NoBytes.of(seq)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn bytes_that_are_not_those_that_were_recorded_are_damage() {
        let seq = Seq(7);
        let claim = Claim { sha256: sha256(b"ours"), ..conductor_testkit::claim(seq) };
        let of = |digest| Outcome {
            sha256: digest,
            ..Outcome::blank(seq, "intent-a.json", Timestamp::UNIX_EPOCH)
        };
        let told = |claim: Option<&Claim>, outcome: Option<Outcome>, bytes: Option<&[u8]>| {
            let pending = Unfinished { claim: claim.cloned(), bytes }.into_pending(seq, outcome, None);
            pending.map(drop).map_err(|error| error.to_string())
        };
        let damaged = |told: Result<(), String>, by: &Flaw| {
            let told = told.unwrap_err();
            assert!(told.contains(&by.to_string()), "{told}");
        };
        let (ours, other) = (Some(sha256(b"ours")), Some(sha256(b"other")));
        told(Some(&claim), None, Some(b"ours")).unwrap();
        damaged(told(Some(&claim), None, Some(b"other")), &Flaw::OtherBytes);
        for claimed in [Some(&claim), None] {
            told(claimed, Some(of(ours)), Some(b"ours")).unwrap();
            damaged(told(claimed, Some(of(ours)), Some(b"other")), &Flaw::OtherBytes);
            damaged(told(claimed, Some(of(ours)), None), &Flaw::NoBytes);
        }
        damaged(told(Some(&claim), Some(of(other)), Some(b"other")), &Flaw::OtherOutcome);
        told(None, Some(of(None)), None).unwrap();
        damaged(told(None, None, Some(b"ours")), &Flaw::Neither);
    }
}
