//! Everything about one intent: its record, its files as they are now, its moments, and what proves it.

use super::filed::{Filed, Filing};
use super::proof::{Published, proof};
use super::refusals::{not_found, store_refused};
use super::rows::finished_row;
use super::selector::Selector;
use super::sources::Queries;
use super::timeline::{run_moments, timeline};
use super::unfinished::Found;
use conductor_core::limits::REASON_MAX;
use conductor_core::query::{Proof, Refused, Row, Shown, State, TimelineEntry};
use conductor_core::record::{Asked, History};
use conductor_core::runs::Runs;
use conductor_core::scrub;

impl Queries<'_> {
    /// Everything about one intent; of several with one name, the newest.
    pub fn show(&self, of: &str) -> Result<Shown, Refused> {
        let subject = Selector::of(of);
        if let Some(found) = self.find(&subject)? {
            return self.show_unfinished(found);
        }
        let outcome = self.outcome(&subject)?.ok_or_else(|| not_found(of))?;
        let same_name = self.same_name(&outcome.name, Some(outcome.seq))?;
        let is_open = self.store.is_open(outcome.seq).map_err(|error| store_refused(&error))?;
        let filing = if is_open { Filing::UnderWay } else { Filing::Complete };
        let newest = !same_name.iter().any(|other| other.seq > Some(outcome.seq));
        let Filed { content, error_log, warnings } = Filed::look(self.handoff, &outcome, filing, newest);
        let mut shown = Shown {
            size: outcome.size,
            mode: Some(outcome.mode.clone()),
            porch_path: Some(outcome.porch_path.clone()),
            timeline: timeline(&outcome),
            content,
            error_log,
            not_as_filed: warnings,
            same_name,
            ..blank(finished_row(&outcome))
        };
        if let Some(history) = outcome.history {
            let History { uid, asked, runs, output, diff, .. } = *history;
            (shown.uid, shown.asked, shown.runs) = (Some(uid), asked.map(harmless), runs);
            (shown.output, shown.diff) = (output, diff);
        }
        if !outcome.imported {
            let published = match (newest, filing) {
                (false, _) => Published::Replaced,
                (true, Filing::UnderWay) => Published::NotYet,
                (true, Filing::Complete) => Published::Here,
            };
            shown.proof = proof(self.handoff, self.public, &shown, published);
        }
        Ok(shown)
    }

    fn show_unfinished(&self, found: Found) -> Result<Shown, Refused> {
        let Found { row, runs, output, .. } = found;
        let same_name = self.same_name(&row.file, None)?;
        let with_content = |claim, bytes: &[u8]| (claim, scrub::block(bytes));
        let stored = row.seq.map(|seq| self.store.with_claim(seq, with_content)).transpose();
        let stored = stored.map_err(|error| store_refused(&error))?.flatten();
        let mut shown = Shown { runs, output, same_name, ..blank(row) };
        if let Some((claim, content)) = stored {
            shown.content = Some(content);
            let what = format!("taken: {} bytes, owner uid {}", claim.size, claim.uid);
            shown.timeline.push(TimelineEntry { at: claim.taken_at, what });
            (shown.size, shown.uid) = (claim.size, Some(claim.uid));
            shown.asked = Some(harmless(claim.asked()));
        }
        shown.timeline.extend(run_moments(&shown.runs, Runs::from(self.porch_path).name()));
        if let (State::Running, Some(at)) = (shown.intent.state, shown.intent.at) {
            let what = format!("start {} of {}", shown.intent.attempts, Runs::from(self.porch_path).name());
            shown.timeline.push(TimelineEntry { at, what });
        }
        Ok(shown)
    }
}

/// Scrubs the reason: records of earlier versions have it as its producer wrote it.
fn harmless(asked: Asked) -> Asked {
    Asked { reason: asked.reason.map(|reason| scrub::shown(&reason, REASON_MAX)), ..asked }
}

/// An answer of which only the row is known.
fn blank(intent: Row) -> Shown {
    Shown {
        intent,
        asked: None,
        size: 0,
        uid: None,
        mode: None,
        porch_path: None,
        timeline: Vec::new(),
        runs: Vec::new(),
        output: String::new(),
        diff: String::new(),
        error_log: None,
        content: None,
        not_as_filed: Vec::new(),
        proof: Proof::default(),
        same_name: Vec::new(),
    }
}
