//! Which intent an operator means to cancel, and why one may not be.

use super::refusals::store_refused;
use super::selector::Selector;
use super::sources::Queries;
use crate::store::{Start, StoreError};
use conductor_core::Seq;
use conductor_core::query::{RefusalKind, Refused, Row, State};
use conductor_core::record::Claim;

impl Queries<'_> {
    /// The claim of the intent and its starts so far, if it has no outcome and no other of its name comes before it: of two
    /// intents with one name the earlier ends first, because a rebuilt state takes the later as the proof that the earlier
    /// has ended.
    pub fn cancellable(&self, of: &str) -> Result<(Claim, u32), Refused> {
        let failed = |error: StoreError| store_refused(&error);
        let seq = match Selector::of(of) {
            Selector::Number(seq) => Some(seq),
            Selector::File(name) => self.store.claim_named(&name).map_err(failed)?,
            Selector::Target(_) => {
                let text = format!("'{of}' is neither a number nor a file");
                let advice = "`conductor-loop list --target TARGET` shows both.";
                return Err(Refused::new(RefusalKind::BadQuestion, text, advice));
            }
        };
        let unended = seq.map(|seq| self.unended(seq)).transpose().map_err(failed)?.flatten();
        let Some((claim, start)) = unended else { return Err(self.not_cancellable(of)?) };
        match self.store.claim_named(&claim.name).map_err(failed)? {
            Some(first) if first < claim.seq => {
                let text = format!("{} is also the name of intent {first}, which comes first", claim.name);
                let advice = "Cancel that one, or wait for its end, and then cancel this one.";
                Err(Refused::new(RefusalKind::NotPermitted, text, advice))
            }
            _ => Ok((claim, Start::so_far(start))),
        }
    }

    /// The claim of this number and its recorded start, if it has no outcome.
    fn unended(&self, seq: Seq) -> Result<Option<(Claim, Option<Start>)>, StoreError> {
        let ended = self.store.outcome(seq)?.is_some();
        Ok(self.store.claim(seq)?.filter(|_| !ended))
    }

    /// Why an intent without a durable claim that is unfinished cannot be cancelled.
    fn not_cancellable(&self, of: &str) -> Result<Refused, Refused> {
        let Row { seq, file, state, reason, .. } = self.show(of)?.intent;
        Ok(match (seq, state) {
            (None, _) => Refused::new(
                RefusalKind::NotPermitted,
                format!("{file} is not taken yet"),
                "Remove the file from the handoff directory, or rename it.",
            ),
            // Its claim, or its outcome, is not durable yet.
            (Some(seq), State::Waiting) => Refused::new(
                RefusalKind::Busy,
                format!("{file} (number {seq}) cannot be cancelled at this moment: {}", reason.text),
                "Ask again.",
            ),
            (Some(seq), _) => Refused::new(
                RefusalKind::NotPermitted,
                format!("{file} (number {seq}) is {state}, and only what waits can be cancelled"),
                "`conductor-loop list --state waiting` shows what waits.",
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queries::OfflineView;
    use crate::store::{Kept, Ledger, Sealing, Store, Work};
    use conductor_core::Attempt;
    use conductor_core::name::Names;
    use conductor_core::record::{Claim, Outcome};
    use conductor_os::dir::Dir;
    use std::sync::Arc;

    fn record(store: &Store, seq: Seq, starts: Vec<Start>) {
        let claim = Claim { sha256: conductor_crypto::sha256(b"{}"), ..conductor_testkit::claim(seq) };
        store.commit(&Work::claim(&claim, b"{}", false)).unwrap();
        let starts = starts.into_iter().map(|start| (seq, start)).collect();
        store.commit(&Work { starts, ..Work::default() }).unwrap();
    }

    #[test]
    fn of_one_name_the_first_without_an_outcome_is_meant_with_the_starts_that_happened() {
        let temp = tempfile::tempdir().unwrap();
        let handoff = Dir::open(temp.path()).unwrap();
        let dir = Arc::new(handoff.ensure("state", 0o700).unwrap());
        let store = Store::open(dir, &Sealing::Keyless("a test".to_owned()), true).unwrap();
        record(&store, Seq(1), Vec::new());
        record(&store, Seq(2), vec![Start { attempt: Attempt(2), happened: true }]);
        record(&store, Seq(3), vec![Start { attempt: Attempt(2), happened: false }]);
        let meant = |of: &str| {
            let unfinished = OfflineView::read(&store, &handoff, &Names::default()).unwrap();
            let (public, names) = (Ok(Vec::new()), &Names::default());
            let (unfinished, public, is_wanted) = (&unfinished, &public, &|| true);
            let queries = Queries {
                store: &store,
                handoff: &handoff,
                public,
                names,
                porch_path: "porch",
                unfinished,
                is_wanted,
            };
            queries.cancellable(of).map(|(claim, started)| (claim.seq, started))
        };
        let name = conductor_testkit::claim(1).name;
        assert_eq!(meant(&name).unwrap(), (Seq(1), 0));
        assert_eq!(meant("2").unwrap_err().kind, RefusalKind::NotPermitted);
        // Its files are not durable yet, so that its claim is still there.
        let ended = |seq| Outcome {
            sha256: Some(conductor_crypto::sha256(b"{}")),
            key: Some(conductor_testkit::claim(seq).key),
            ..Outcome::blank(seq, &name, jiff::Timestamp::UNIX_EPOCH)
        };
        store.commit(&Work::decide(&ended(Seq(1)), None, Kept::Already)).unwrap();
        assert_eq!((meant(&name).unwrap(), meant("2").unwrap()), ((Seq(2), 2), (Seq(2), 2)));
        store.commit(&Work::decide(&ended(Seq(2)), None, Kept::Already)).unwrap();
        assert_eq!(meant(&name).unwrap(), (Seq(3), 1), "a start recorded ahead has not happened");
    }
}
