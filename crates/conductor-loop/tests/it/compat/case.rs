//! One row of the table: an expectation of the Go tests, and how this program stands to it.

use conductor_testkit::TestEnv;

/// Whether the expectation of the Go test holds here.
pub(super) type Holds = fn(&TestEnv) -> bool;

/// One row.
pub(super) struct Case {
    /// The Go tests that expect it.
    pub(super) upstream: &'static str,
    /// Their expectation.
    pub(super) expectation: &'static str,
    pub(super) verdict: Verdict,
    pub(super) holds: Holds,
}

#[derive(PartialEq)]
pub(super) enum Verdict {
    Agrees,
    Differs(&'static str),
}

pub(super) const fn agrees(upstream: &'static str, expectation: &'static str, holds: Holds) -> Case {
    Case { upstream, expectation, verdict: Verdict::Agrees, holds }
}

pub(super) const fn differs(
    upstream: &'static str,
    expectation: &'static str,
    reason: &'static str,
    holds: Holds,
) -> Case {
    Case { upstream, expectation, verdict: Verdict::Differs(reason), holds }
}
