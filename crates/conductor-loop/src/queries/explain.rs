//! The one reason why an intent waits or failed, or why an entry is still in the handoff directory.

use super::lying::{Loop, Lying, entry_row, lying};
use super::refusals::not_found;
use super::rows::finished_row;
use super::selector::Selector;
use super::sources::Queries;
use super::unfinished::Found;
use conductor_core::intent::TargetKey;
use conductor_core::name::unescaped;
use conductor_core::query::{EVERYTHING, Explained, Held, Reason, Refused};

impl Queries<'_> {
    /// The one reason why an intent waits or failed.
    pub fn explain(&self, of: &str) -> Result<Explained, Refused> {
        let subject = Selector::of(of);
        let explained =
            |reason, intent, waiting_behind| Explained { of: of.to_owned(), reason, intent, waiting_behind };
        if let Some(Found { row, behind, .. }) = self.find(&subject)? {
            return Ok(explained(row.reason.clone(), Some(row), behind));
        }
        let hold = match &subject {
            Selector::Target(target) => self.unfinished.hold_on(target)?,
            _ => None,
        };
        let is_own = hold.as_ref().is_some_and(|held| held.target != EVERYTHING);
        // A word without a slash may be a target, or the name of a file that is not an intent.
        if let Selector::File(name) | Selector::Target(name) = &subject
            && !name.contains('/')
            && let raw = unescaped(name)
            && let Some(lying) = lying(self.handoff, self.names, &raw, Loop::Turns)
        {
            let file = matches!(subject, Selector::File(_)) || self.outcome(&subject)?.is_none();
            if file && !is_own {
                let row = (lying != Lying::OtherName).then(|| entry_row(&raw, 0, &lying));
                return Ok(explained(lying.reason(), row, 0));
            }
        }
        let last = self.outcome(&subject)?;
        // Where everything is held, a word that is no target is not.
        let is_target = is_own || last.is_some() || of.parse::<TargetKey>().is_ok();
        if let Some(held) = hold.filter(|_| is_target) {
            return Ok(explained(held_alone(&held), None, 0));
        }
        let row = last.map(|outcome| finished_row(&outcome)).ok_or_else(|| not_found(of))?;
        Ok(explained(row.reason.clone(), Some(row), 0))
    }
}

/// Why a target without unfinished intents would wait.
fn held_alone(held: &Held) -> Reason {
    let (what, advice) = if held.target == EVERYTHING {
        ("everything", "`conductor-loop release --all` when it may go on.")
    } else {
        ("it", "`conductor-loop release TARGET` when it may go on.")
    };
    Reason::new("held", format!("an operator holds {what}; no intent of it is waiting"), advice)
}
