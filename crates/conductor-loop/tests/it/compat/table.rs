//! The whole table, checked row by row and against its page.

use super::case::{Case, Verdict};
use super::{command_line, keeping, watching};
use crate::env;
use std::fmt::Write;

fn cases() -> impl Iterator<Item = &'static Case> {
    [command_line::CASES, watching::CASES, keeping::CASES].into_iter().flatten()
}

#[test]
fn every_upstream_case_agrees_or_differs_on_purpose() {
    let next = std::sync::Mutex::new(cases());
    let wrong = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some(case) = next.lock().unwrap().next() else { return };
                    let holds = (case.holds)(&env());
                    if holds != (case.verdict == Verdict::Agrees) {
                        let claim = if holds {
                            "is marked as different, but the expectation holds"
                        } else {
                            "should agree, but does not"
                        };
                        wrong
                            .lock()
                            .unwrap()
                            .push(format!("{}: {}: {claim}", case.upstream, case.expectation));
                    }
                }
            });
        }
    });
    assert!(wrong.lock().unwrap().is_empty(), "{:#?}", wrong.lock().unwrap());
}

/// The page has exactly these rows.
#[test]
fn the_compatibility_page_shows_the_table() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/COMPATIBILITY.md")).unwrap();
    let mut rows = String::new();
    for case in cases() {
        let verdict = match case.verdict {
            Verdict::Agrees => "agrees".to_owned(),
            Verdict::Differs(reason) => format!("differs: {reason}"),
        };
        writeln!(rows, "| {} | {} | {verdict} |", case.upstream, case.expectation).unwrap();
    }
    if !page.contains(&rows) {
        let fresh = std::env::temp_dir().join("compatibility-rows.md");
        std::fs::write(&fresh, &rows).unwrap();
        panic!("docs/COMPATIBILITY.md does not show the table; the rows are in {}", fresh.display());
    }
}
