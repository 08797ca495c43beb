//! The black-box cases of the Go version's test suite, run against this program. Each row states the expectation of the
//! Go tests, and whether this program agrees or differs on purpose. Both are checked: a row marked "differs" fails when
//! the expectation holds after all, so that no mark outlives its reason. docs/COMPATIBILITY.md shows the same table.

mod command_line;
mod keeping;
mod runs;
mod watching;

use crate::env;
use conductor_testkit::TestEnv;
use std::fmt::Write;

fn cases() -> impl Iterator<Item = &'static Case> {
    [command_line::CASES, watching::CASES, keeping::CASES].into_iter().flatten()
}

/// Whether the expectation of the Go test holds here.
type Holds = fn(&TestEnv) -> bool;

/// One row.
struct Case {
    /// The Go tests that expect it.
    upstream: &'static str,
    /// Their expectation.
    expectation: &'static str,
    verdict: Verdict,
    holds: Holds,
}

#[derive(PartialEq)]
enum Verdict {
    Agrees,
    Differs(&'static str),
}

const fn agrees(upstream: &'static str, expectation: &'static str, holds: Holds) -> Case {
    Case { upstream, expectation, verdict: Verdict::Agrees, holds }
}

const fn differs(
    upstream: &'static str,
    expectation: &'static str,
    reason: &'static str,
    holds: Holds,
) -> Case {
    Case { upstream, expectation, verdict: Verdict::Differs(reason), holds }
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
