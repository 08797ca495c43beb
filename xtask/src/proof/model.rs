//! The bounded model checker of the testkit, run over all histories, and over the protocol without each of its durability steps.

use super::extent::Extent;
use super::parallel::in_parallel;
use super::tally::{Job, Tally};
use crate::progress::say;
use conductor_testkit::model::{Omit, VARIANTS, Variant, explore};
use std::path::Path;

/// End states of one history in a short run.
const SHORT: u64 = 400_000;
/// Enough end states to find the violation that each missing step allows.
const MUTANT: u64 = 60_000;

pub(super) fn run(_: &Path, extent: &Extent) -> Tally {
    let most = if extent.long() { u64::MAX } else { SHORT };
    let mut tally = in_parallel(0..VARIANTS.len() as u64, |number| {
        let variant = VARIANTS[usize::try_from(number).unwrap_or(0)];
        let found = explore(variant, most);
        say(&format!(
            "model: {variant:?}: {} crash points, {} end states",
            found.crash_points, found.end_states
        ));
        if found.violations.is_empty() {
            Job::Done(found.end_states)
        } else {
            Job::Violation(format!("model, {variant:?}: {:?}", found.violations))
        }
    });
    let mutants = in_parallel(0..Omit::ALL.len() as u64, |number| {
        let omit = Omit::ALL[usize::try_from(number).unwrap_or(0)];
        let broken = VARIANTS.iter().find_map(|variant| {
            let found = explore(Variant { omit, ..*variant }, MUTANT);
            (!found.violations.is_empty()).then_some(found.violations)
        });
        match broken {
            Some(violations) => {
                say(&format!("model: without {omit:?}, as it must be: {violations:?}"));
                Job::Done(0)
            }
            None => Job::Violation(format!("model: without {omit:?} nothing breaks")),
        }
    });
    tally.add(mutants);
    tally
}
