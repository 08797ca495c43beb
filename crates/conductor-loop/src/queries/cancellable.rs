//! Which intent an operator means to cancel, and why one may not be.

use super::{Queries, Selector, store_refused};
use conductor_core::query::{RefusalKind, Refused, Row};
use conductor_core::record::Claim;

impl Queries<'_> {
    /// The claim of the intent, if it has no outcome and no other of its name comes before it: of two intents with one name
    /// the earlier ends first, because a rebuilt state takes the later as the proof that the earlier has ended.
    pub fn cancellable(&self, of: &str) -> Result<Claim, Refused> {
        let claim = match Selector::of(of) {
            Selector::Number(seq) => self.unended(seq)?,
            Selector::File(name) => self.first_named(&name)?,
            Selector::Target(_) => {
                let text = format!("'{of}' is neither a number nor a file");
                let advice = "`conductor-loop list --target TARGET` shows both.";
                return Err(Refused::new(RefusalKind::BadQuestion, text, advice));
            }
        };
        let Some(claim) = claim else { return Err(self.not_cancellable(of)?) };
        match self.first_named(&claim.name)? {
            Some(first) if first.seq < claim.seq => {
                let text =
                    format!("{} is also the name of intent {}, which comes first", claim.name, first.seq);
                let advice = "Cancel that one, or wait for its end, and then cancel this one.";
                Err(Refused::new(RefusalKind::NotPermitted, text, advice))
            }
            _ => Ok(claim),
        }
    }

    /// The claim of this number, if it has no outcome.
    fn unended(&self, seq: u64) -> Result<Option<Claim>, Refused> {
        let ended = self.store.outcome(seq).map_err(|error| store_refused(&error))?.is_some();
        let claim = self.store.claim(seq).map_err(|error| store_refused(&error))?;
        Ok(claim.filter(|_| !ended).map(|(claim, _)| claim))
    }

    /// The first claim of this name that has no outcome.
    fn first_named(&self, name: &str) -> Result<Option<Claim>, Refused> {
        let mut first = None;
        let searched = self.store.unsettled(&mut |claim| {
            if claim.name == name && first.is_none() {
                first = Some(claim);
            }
        });
        searched.map_err(|error| store_refused(&error))?;
        Ok(first)
    }

    /// Why an intent without an unfinished claim cannot be cancelled.
    fn not_cancellable(&self, of: &str) -> Result<Refused, Refused> {
        let Row { seq, file, state, .. } = self.show(of)?.intent;
        Ok(match seq {
            None => Refused::new(
                RefusalKind::NotPermitted,
                format!("{file} is not taken yet"),
                "Remove the file from the handoff directory, or rename it.",
            ),
            Some(seq) => Refused::new(
                RefusalKind::NotPermitted,
                format!("{file} (number {seq}) is {state}, and only what waits can be cancelled"),
                "`conductor-loop list --state waiting` shows what waits.",
            ),
        })
    }
}
