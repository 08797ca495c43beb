//! The intake without the loop: how far one step goes.

use super::*;
use conductor_os::monotonic;
use std::fs;
use tempfile::TempDir;

/// Files in the directory: more than one step looks at.
const FILES: usize = 300;

fn intake(events: bool) -> (Intake, TempDir) {
    let temp = tempfile::tempdir().unwrap();
    let handoff = Arc::new(Dir::open(temp.path()).unwrap());
    let taken = Arc::new(handoff.ensure("taken", 0o750).unwrap());
    let settings = Settings {
        handoff,
        path: temp.path().to_owned(),
        places: Vec::new(),
        taken,
        names: Names::default(),
        judging: Judging {
            max_file_size: 1 << 20,
            policy: Policy { allow_scale_to_zero: false },
            hold_max: Duration::ZERO,
        },
        book: Arc::default(),
        events,
        next_seq: Seq(1),
        budget: Budget::new(1 << 20),
    };
    (Intake::open(settings), temp)
}

fn fill(temp: &TempDir) {
    for number in 0..FILES {
        fs::write(temp.path().join(format!("intent-{number}.json")), "{}").unwrap();
    }
}

/// Steps until this many names were reported.
fn steps(intake: &mut Intake, others_wait: bool) -> usize {
    let (mut seen, mut steps) = (0, 0);
    while seen < FILES {
        assert_eq!(intake.patience(monotonic()), Some(Duration::ZERO), "{seen} of {FILES} after {steps}");
        intake.work(&|| others_wait);
        steps += 1;
        for report in intake.reports() {
            if let Report::Sighted(sightings) = report {
                seen += sightings.len();
            }
        }
    }
    steps
}

#[test]
fn a_step_looks_at_few_names_while_others_wait_also_on_a_slow_file_system() {
    for (events, others_wait, most) in
        [(false, false, 2), (false, true, 30), (true, false, 3), (true, true, 30)]
    {
        let (mut intake, temp) = intake(events);
        fill(&temp);
        if events {
            intake.on_hints();
        } else {
            intake.scan(true);
        }
        let taken = steps(&mut intake, others_wait);
        let least = if others_wait { FILES / 16 } else { 2 };
        assert!(
            (least..=most).contains(&taken),
            "{taken} with events: {events}, while others wait: {others_wait}"
        );
    }
}
