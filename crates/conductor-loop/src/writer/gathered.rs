//! The records of one batch, gathered from its commands.

use super::message::{Holding, NewClaim, Publication, Source};
use crate::store::{Claiming, Decided, Hold, Kept, Start, Work};
use conductor_core::{Attempt, Seq};
use crossbeam_channel::Sender;

/// The records of one batch's commands, and the channels to confirm them.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) claims: Vec<NewClaim>,
    pub(super) reserves: Vec<(Seq, Attempt)>,
    pub(super) publications: Vec<Publication>,
    /// Targets held or released, and the channel to confirm each.
    pub(super) holds: Vec<(Holding, Sender<()>)>,
}

impl Gathered {
    pub(super) fn len(&self) -> usize {
        self.claims.len() + self.reserves.len() + self.publications.len() + self.holds.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The batch's work for the ledger.
    pub(super) fn work(&self) -> Work<'_> {
        let decided = self.publications.iter().map(|publication| Decided {
            outcome: &publication.outcome,
            report: publication.report.as_deref(),
            kept: match &publication.source {
                Source::Staged { .. } | Source::Stored => Kept::Already,
                Source::Bytes(bytes) => Kept::Bytes(bytes),
                Source::Taken(_) => Kept::File,
            },
        });
        let claims = self.claims.iter().map(|new| Claiming {
            claim: &new.claim,
            bytes: &new.bytes,
            reserved: new.reserve,
        });
        let start = |&(seq, attempt): &(Seq, Attempt)| (seq, Start { attempt, happened: false });
        let holds = self.holds.iter().map(|(holding, _)| match holding {
            Holding::Held(held) => Hold::Begins(held),
            Holding::Released { target, .. } => Hold::Ends(target),
        });
        Work {
            decided: decided.collect(),
            claims: claims.collect(),
            starts: self.reserves.iter().map(start).collect(),
            holds: holds.collect(),
            ..Work::default()
        }
    }
}
