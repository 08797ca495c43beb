//! Kill points: the real daemon is killed before each of its calls that change something, restarted, and held to its promise;
//! the restart is killed at its calls as well.

use super::extent::Extent;
use super::parallel::{in_parallel, processors, with_threads};
use super::scenario::Scenario;
use super::tally::{Job, Tally};
use crate::progress::say;
use conductor_testkit::Action;
use conductor_testkit::calls::Class;
use std::path::Path;

/// Parallel points in a scenario that mostly waits.
const WAITING: usize = 12;
/// The time limit of a run of these scenarios, in seconds.
const SECONDS: u64 = 30;

/// Kills at every point, and at each kill point kills the restart too: at each of its calls, or in a short run at a few.
pub(super) fn run(program: &Path, extent: &Extent) -> Tally {
    let mut all = Tally::default();
    for (number, scenario) in (0..).zip(extent.histories()) {
        // A quick run takes other points in each history: what they have in common is met in one of them.
        let begin = extent.from.unwrap_or(1) + number % extent.step() as u64;
        let first = single(program, scenario, (begin..).step_by(extent.step()));
        // Each restart has about as many points again; a short run takes a few of them, different ones at each kill point.
        let step = match (extent.long(), scenario.slow) {
            (true, _) => 1,
            (false, true) => 0,
            (false, false) => 97,
        };
        let points =
            (begin..).step_by(extent.step()).take(usize::try_from(first.points).unwrap_or(usize::MAX));
        let second = if step == 0 { Tally::default() } else { double(program, scenario, points, step) };
        let which = if extent.step() == 1 { "all of them" } else { "a share of them" };
        say(&format!(
            "kill: {}: {} points, {which}; {} with the restart killed too",
            scenario.name, first.points, second.points
        ));
        all.add(first);
        all.add(second);
    }
    all
}

/// Kills at these points until a run ends by itself.
fn single(program: &Path, scenario: &'static Scenario, points: impl Iterator<Item = u64> + Send) -> Tally {
    in_parallel(points, |at| {
        let stage = scenario.stage(program);
        let Some(report) = stage.run(Class::Change, Action::Kill, at, SECONDS) else {
            return Job::Impossible;
        };
        if report.at.is_none() {
            return match stage.recover_and_check(0, false) {
                Ok(()) => Job::End,
                Err(reason) => Job::Violation(format!("{}, not killed: {reason}", scenario.name)),
            };
        }
        let call = report.at.unwrap_or_default();
        Job::of(stage.recover_and_check(1, false), || {
            format!("{}, killed before call {at}, {call}", scenario.name)
        })
    })
}

/// Kills at each point, and the restart at every `step`th of its calls.
fn double(
    program: &Path,
    scenario: &'static Scenario,
    points: impl Iterator<Item = u64> + Send,
    step: u64,
) -> Tally {
    // A scenario with a pause in it mostly waits.
    let threads = if scenario.slow { WAITING } else { processors() };
    // Points of the restart, shifted at each kill point so that all are met over the whole.
    with_threads(threads, points, |at| {
        let mut again = 1 + at % step;
        let mut done = 0;
        loop {
            let stage = scenario.stage(program);
            if stage.run(Class::Change, Action::Kill, at, SECONDS).is_none() {
                return Job::Impossible;
            }
            let Some(report) = stage.run(Class::Change, Action::Kill, again, SECONDS) else {
                return Job::Impossible;
            };
            let Some(call) = report.at else { return Job::Done(done) };
            if let Err(reason) = stage.recover_and_check(2, false) {
                let name = scenario.name;
                return Job::Violation(format!(
                    "{name}, killed before call {at}, then {again} ({call}): {reason}"
                ));
            }
            done += 1;
            again += step;
        }
    })
}
