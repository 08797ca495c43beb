//! The intake without the loop: how far one step goes, and what becomes of an entry that cannot be taken or judged now.

use super::book::News;
use super::take::NUMBERS_TRIED;
use super::{Intake, Judging, Report, Settings, Verdict};
use crate::payload::{Budget, Payload};
use conductor_core::intent::Policy;
use conductor_core::name::Names;
use conductor_core::scheduler::Fingerprint;
use conductor_core::{Code, Seq};
use conductor_os::dir::Dir;
use conductor_os::monotonic;
use std::fs;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// The longest that anything here takes, in which a broken intake would go on for ever.
const PATIENCE: Duration = Duration::from_mins(1);
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

/// A request for this name as it is.
fn request(name: &str) -> Vec<(Box<[u8]>, Option<Fingerprint>)> {
    vec![(name.as_bytes().into(), None)]
}

/// Works until nothing is left to do; returns the observations.
fn until_idle(intake: &mut Intake) -> Vec<Report> {
    let (mut reports, begun) = (Vec::new(), monotonic());
    while intake.patience(monotonic()).is_some() {
        assert!(monotonic().saturating_sub(begun) < PATIENCE, "it does not come to rest: {reports:?}");
        intake.work(&|| false);
        reports.extend(intake.reports());
    }
    reports
}

/// Works until the next look at a file that a writer has open is over.
fn until_next_look(intake: &mut Intake) -> Vec<Report> {
    let begun = monotonic();
    while intake.patience(monotonic()) != Some(Duration::ZERO) {
        assert!(monotonic().saturating_sub(begun) < PATIENCE, "it never looks again");
        std::thread::yield_now();
    }
    intake.work(&|| false);
    intake.reports()
}

/// An intake that has taken a file whose writer still has it open.
fn holding() -> (Intake, TempDir, fs::File) {
    let (mut intake, temp) = intake(false);
    intake.apply(Judging { hold_max: Duration::from_hours(1), ..intake.settings.judging });
    let writer = fs::File::create(temp.path().join("intent-a.json")).unwrap();
    intake.take(request("intent-a.json"));
    intake.work(&|| false);
    let reports = intake.reports();
    assert!(matches!(&reports[..], [Report::Taken(_), Report::Held { seq: Seq(1) }]), "{reports:?}");
    (intake, temp, writer)
}

#[test]
fn a_listing_tells_once_of_all_entries_that_are_too_many_to_be_named() {
    let (mut intake, temp) = intake(false);
    let names = ["intent-a.json", "intent-b.json"];
    for name in names {
        fs::create_dir(temp.path().join(name)).unwrap();
    }
    for listing in ["the first", "a later"] {
        intake.scan(true);
        until_idle(&mut intake);
        assert_eq!(intake.book().left_count(), 0, "the listing before forgot those that are gone");
        let mut gone = 0_u32;
        let because = (Code::DirectoryLeft, "it is a directory");
        while intake.book().leave(&gone.to_be_bytes(), (0, 0, 0), 0, because) != News::TooMany {
            gone += 1;
        }
        intake.take(names.into_iter().flat_map(request).collect());
        let reports = until_idle(&mut intake);
        let told: Vec<_> = reports.iter().filter(|report| matches!(report, Report::Left { .. })).collect();
        assert!(
            matches!(&told[..], [Report::Left { name, .. }] if name == "more entries than can be named"),
            "in {listing} listing: {told:?}"
        );
    }
}

#[test]
fn a_held_file_for_which_memory_has_no_room_is_looked_at_again() {
    let (mut intake, temp, writer) = holding();
    fs::write(temp.path().join("taken/1.intent-a.json"), "{}").unwrap();
    let others = Payload::new(vec![0; 1 << 19], &intake.settings.budget);
    drop(writer);
    assert!(until_next_look(&mut intake).is_empty(), "there is no room to read it");
    assert!(intake.patience(monotonic()).is_some(), "it still waits");
    drop(others);
    let reports = until_idle(&mut intake);
    assert!(matches!(&reports[..], [Report::Judged(judged)] if judged.taken.seq == Seq(1)), "{reports:?}");
    assert!(intake.book().still_open().is_empty());
}

#[test]
fn a_file_for_which_memory_has_no_room_stays_and_is_waited_for_without_work() {
    let (mut intake, temp) = intake(false);
    fs::write(temp.path().join("intent-a.json"), "{}").unwrap();
    let others = Payload::new(vec![0; 1 << 19], &intake.settings.budget);
    intake.take(request("intent-a.json"));
    intake.work(&|| false);
    assert!(intake.reports().is_empty() && temp.path().join("intent-a.json").exists());
    assert_eq!(intake.patience(monotonic()), None, "the budget wakes it");
    drop(others);
    intake.work(&|| false);
    let reports = intake.reports();
    assert!(matches!(&reports[..], [Report::Taken(_), Report::Judged(_)]), "{reports:?}");
}

#[test]
fn the_largest_file_is_read_and_one_of_a_byte_more_is_not() {
    let (mut intake, temp) = intake(false);
    intake.apply(Judging { max_file_size: 64, ..intake.settings.judging });
    for (size, is_read) in [(64, true), (65, false)] {
        fs::write(temp.path().join("intent-a.json"), vec![b' '; size]).unwrap();
        intake.take(request("intent-a.json"));
        let reports = until_idle(&mut intake);
        let [Report::Taken(_), Report::Judged(judged)] = &reports[..] else { panic!("{reports:?}") };
        let Verdict::Refused { refusal, bytes, .. } = &judged.verdict else { panic!("{judged:?}") };
        assert_eq!((bytes.is_some(), refusal.code == Code::TooLarge), (is_read, !is_read), "{size}");
    }
}

#[test]
fn a_name_that_looks_meant_is_told_once_and_one_that_is_gone_is_not() {
    let (mut intake, temp) = intake(true);
    fs::write(temp.path().join("intent-gone.json"), "{}").unwrap();
    fs::write(temp.path().join("intent-gone.yaml"), "").unwrap();
    fs::remove_file(temp.path().join("intent-gone.json")).unwrap();
    fs::remove_file(temp.path().join("intent-gone.yaml")).unwrap();
    intake.on_hints();
    let reports = until_idle(&mut intake);
    assert!(reports.is_empty(), "{reports:?}");
    fs::write(temp.path().join("intent-a.yaml"), "").unwrap();
    let mut told = 0;
    for _ in 0..2 {
        intake.scan(true);
        let reports = until_idle(&mut intake);
        told += reports.iter().filter(|report| matches!(report, Report::Ignored { .. })).count();
    }
    assert_eq!(told, 1);
}

#[test]
fn a_held_file_that_is_removed_waits_no_longer() {
    let (mut intake, temp, _writer) = holding();
    assert_eq!(intake.book().still_open().len(), 1);
    fs::remove_file(temp.path().join("taken/1.intent-a.json")).unwrap();
    let reports = until_next_look(&mut intake);
    assert!(matches!(&reports[..], [Report::Vanished { seq: Seq(1), .. }]), "{reports:?}");
    assert!(intake.book().still_open().is_empty() && intake.patience(monotonic()).is_none());
}

#[test]
fn a_file_passes_over_numbers_that_are_in_use_but_not_over_any_number_of_them() {
    let (mut intake, temp) = intake(false);
    let used = u64::from(NUMBERS_TRIED) + 1;
    for seq in 1..=used {
        fs::write(temp.path().join(format!("taken/{seq}.intent-a.json")), "another's").unwrap();
    }
    fs::write(temp.path().join("intent-a.json"), "{}").unwrap();
    intake.take(request("intent-a.json"));
    let reports = until_idle(&mut intake);
    assert!(
        matches!(&reports[..], [Report::Left { code: Code::NotTakeable, .. }, Report::NotTaken(_)]),
        "{reports:?}"
    );
    assert_eq!(intake.book().left_count(), 1);
    intake.take(request("intent-a.json"));
    let reports = until_idle(&mut intake);
    let free = Seq(used + 1);
    assert!(
        matches!(&reports[..], [Report::Taken(_), Report::Judged(judged)] if judged.taken.seq == free),
        "{reports:?}"
    );
    assert_eq!(intake.book().left_count(), 0);
}

#[test]
fn going_on_with_a_listing_that_has_not_begun_begins_it() {
    let (mut intake, temp) = intake(false);
    fill(&temp);
    intake.scan(false);
    steps(&mut intake, false);
}

#[test]
fn a_check_without_a_listing_tells_of_directories_whose_names_lead_elsewhere() {
    let (mut intake, temp) = intake(false);
    let place = Arc::clone(&intake.settings.taken);
    intake.settings.places.push(("taken".to_owned(), place));
    let path = |name: &str| temp.path().join(name);
    let told = |intake: &mut Intake| {
        intake.check();
        intake.reports().iter().map(|report| format!("{report:?}")).collect::<Vec<_>>()
    };
    assert!(told(&mut intake).is_empty());
    fs::rename(path("taken"), path("aside")).unwrap();
    assert_eq!(told(&mut intake), [r#"Replaced(["taken"])"#], "its name leads nowhere");
    fs::create_dir(path("taken")).unwrap();
    assert!(told(&mut intake).is_empty(), "told once");
    fs::remove_dir(path("taken")).unwrap();
    fs::rename(path("aside"), path("taken")).unwrap();
    assert_eq!(told(&mut intake), ["Replaced([])"]);
    intake.settings.path = path("taken");
    let gone = told(&mut intake);
    assert!(
        matches!(&gone[..], [gone] if gone.starts_with("Gone(") && gone.contains("was replaced by another"))
    );
}
