//! The age of an outcome, measured with an untrusted clock. Boards without a battery start years behind; a wrong clock
//! runs ahead for a while and is set back. A young outcome never counts as old, and one wrong reading does not keep
//! outcomes for ever. The clock book is one record of the store; removal and its dry run ask the same function.

use crate::ids::Seq;
use crate::record::Outcome;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Tolerance: the clock may be this much behind the latest reading, because clocks are adjusted and threads read them in
/// any order.
const SLACK: SignedDuration = SignedDuration::from_mins(1);
/// The number of clock jumps that can prolong an outcome's retention. A clock that is right again may have been wrong
/// twice; a program that is started rarely sees a jump at each start, and must still remove old outcomes.
const JUMPS_MAX: usize = 3;

/// The history of the clock's readings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockBook {
    /// The latest reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mark: Option<Timestamp>,
    /// While the clock is behind the latest reading: the start of that time, by the same clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    behind_since: Option<Timestamp>,
    /// The last jumps forward, oldest first; one more than can prolong a retention.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    jumps: Vec<Jump>,
}

/// A move of the clock forward by more than the retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Jump {
    /// The reading after the jump.
    to: Timestamp,
    /// The last sequence number used before the jump.
    after_seq: Seq,
}

/// One reading of the clock.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// The clock's reading.
    pub now: Timestamp,
    /// The expected reading, by the monotonic clock, if this process has read the clock before.
    pub expected: Option<Timestamp>,
    /// The retention time.
    pub retention: SignedDuration,
    /// The last sequence number used.
    pub last_seq: Seq,
}

/// The limit of the retention.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// Outcomes decided before this may be removed.
    pub before: Timestamp,
    /// The clock's reading.
    pub now: Timestamp,
}

impl ClockBook {
    /// Records a reading. Returns the size of a jump forward, if it was larger than the retention.
    pub fn look(&mut self, look: Look) -> Option<SignedDuration> {
        let Look { now, expected, retention, last_seq } = look;
        let leap = expected.or(self.mark).map_or(SignedDuration::ZERO, |then| now.duration_since(then));
        let jumped = leap > retention;
        if jumped {
            self.jumps.push(Jump { to: now, after_seq: last_seq });
            let surplus = self.jumps.len().saturating_sub(JUMPS_MAX + 1);
            self.jumps.drain(..surplus);
        }
        match self.mark {
            Some(mark) if now < mark => {
                let since = self.behind_since.map_or(now, |since| since.min(now));
                self.behind_since = Some(since);
                // The clock has advanced for a whole retention from there: the latest reading was wrong, not the clock.
                if now.duration_since(since) > retention {
                    (self.mark, self.behind_since) = (Some(now), None);
                }
            }
            _ => (self.mark, self.behind_since) = (Some(now), None),
        }
        jumped.then_some(leap)
    }

    /// The moment from which an outcome decided at `finished_at` ages, if it is another one: with the clock behind, it
    /// was in truth decided after the latest reading.
    pub fn kept_since(&self, finished_at: Timestamp) -> Option<Timestamp> {
        self.mark.filter(|mark| mark.duration_since(finished_at) > SLACK)
    }

    /// Whether an outcome is old. Of the moments at which it may have been decided, the latest one not in the future
    /// counts; if all are in the future, the clock is or was wrong, and its reading at the decision counts.
    pub fn is_old(&self, outcome: &Dated, bound: Bound) -> bool {
        let Bound { before, now } = bound;
        let own = [Some(outcome.finished_at), outcome.kept_since].into_iter().flatten();
        let decided = own.filter(|at| *at <= now).max().unwrap_or(outcome.finished_at);
        let after = || self.jumps.iter().filter(|jump| jump.after_seq >= outcome.seq);
        let jumped = if after().count() > JUMPS_MAX { None } else { after().map(|jump| jump.to).max() };
        // A jump to a time in the future was undone.
        let decided = jumped.filter(|to| *to <= now).map_or(decided, |to| to.max(decided));
        decided < before
    }
}

/// The fields of an outcome that determine its age.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Dated {
    /// Sequence number.
    pub seq: Seq,
    /// The time of the decision, by the clock of that moment.
    pub finished_at: Timestamp,
    /// A later moment from which the outcome ages, if any.
    #[serde(default)]
    pub kept_since: Option<Timestamp>,
}

impl From<&Outcome> for Dated {
    fn from(outcome: &Outcome) -> Self {
        let &Outcome { seq, finished_at, kept_since, .. } = outcome;
        Self { seq, finished_at, kept_since }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: SignedDuration = SignedDuration::from_hours(168);
    const DAY: i64 = 24;
    const NONE: [Seq; 0] = [];

    fn day(day: i64) -> Timestamp {
        "2026-11-23T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(day * DAY)
    }

    /// An installation: starts and decisions at days of the clock, each start in a process of its own.
    #[derive(Default)]
    struct Machine {
        book: ClockBook,
        outcomes: Vec<Dated>,
    }

    impl Machine {
        fn start(&mut self, now: i64) -> bool {
            let last_seq = self.outcomes.len() as u64;
            let look = Look { now: day(now), expected: None, retention: KEEP, last_seq: Seq(last_seq) };
            self.book.look(look).is_some()
        }

        /// Starts the daemon, which decides one outcome.
        fn decide(mut self, now: i64) -> Self {
            self.start(now);
            let kept_since = self.book.kept_since(day(now));
            let seq = self.outcomes.len() as u64 + 1;
            self.outcomes.push(Dated { seq: Seq(seq), finished_at: day(now), kept_since });
            self
        }

        /// Starts the daemon and removes old outcomes; returns their numbers.
        fn sweep(&mut self, now: i64) -> Vec<Seq> {
            self.start(now);
            let bound = Bound { before: day(now) - KEEP, now: day(now) };
            let old = self.outcomes.iter().filter(|one| self.book.is_old(one, bound));
            old.map(|one| one.seq).collect()
        }
    }

    const YEARS: i64 = 3_650;

    #[test]
    fn what_was_decided_while_the_clock_was_behind_is_young() {
        for behind in [-YEARS, -20_000, -30, -8] {
            let mut machine = Machine::default().decide(behind);
            assert_eq!(machine.sweep(0), NONE, "{behind}");
            assert_eq!(machine.sweep(6), NONE, "{behind}");
            assert_eq!(machine.sweep(8), [Seq(1)], "{behind}: one retention later");
        }
        // A daemon has just seen the latest reading: an outcome decided behind it ages from that reading.
        let mut machine = Machine::default().decide(0).decide(-YEARS);
        assert_eq!(machine.sweep(1), NONE);
        assert_eq!(machine.sweep(-YEARS + 1), NONE, "behind again");
        assert_eq!(machine.sweep(6), NONE);
        assert_eq!(machine.sweep(8), [Seq(1), Seq(2)]);
        // The clock is behind for longer than the retention, then right.
        let mut machine = Machine::default().decide(0).decide(-YEARS).decide(-YEARS + 6).decide(-YEARS + 9);
        assert_eq!(machine.sweep(10), NONE);
    }

    #[test]
    fn a_clock_that_was_wrong_twice_removes_nothing_young() {
        let mut machine = Machine::default().decide(-20_000);
        assert_eq!(machine.sweep(-YEARS), NONE);
        assert_eq!(machine.sweep(0), NONE);
        assert_eq!(machine.sweep(7), NONE);
    }

    #[test]
    fn one_from_the_future_ends_nothing_and_is_kept_until_its_time() {
        for histories in [[-30, -30, YEARS], [-30, YEARS, -30], [YEARS, -30, -30]] {
            let mut machine = histories.into_iter().fold(Machine::default(), Machine::decide);
            let old: Vec<Seq> =
                (1..).map(Seq).zip(histories).filter(|(_, at)| *at < 0).map(|(seq, _)| seq).collect();
            assert_eq!(machine.sweep(0), old, "{histories:?}");
            machine.outcomes.retain(|one| !old.contains(&one.seq));
            assert_eq!(machine.sweep(8), NONE);
            // A purge up to a later moment keeps to its own bound.
            let bound = Bound { before: day(YEARS + 1), now: day(9) };
            assert!(machine.book.is_old(&machine.outcomes[0], bound));
        }
        let mut machine = Machine::default().decide(0).decide(YEARS);
        assert_eq!(machine.sweep(YEARS), NONE, "while it is wrong");
        assert_eq!(machine.sweep(1), NONE);
    }

    #[test]
    fn a_program_that_is_started_seldom_removes_what_is_old_all_the_same() {
        let mut machine = Machine::default();
        for start in (0..80).step_by(8) {
            machine = machine.decide(start);
        }
        let gone = machine.sweep(80);
        assert!(gone.len() >= 6 && !gone.contains(&Seq(10)), "{gone:?}");
    }

    #[test]
    fn a_jump_is_seen_by_the_other_clock_and_a_long_wait_is_none() {
        let look = |now: i64, expected: i64| Look {
            now: day(now),
            expected: Some(day(expected)),
            retention: KEEP,
            last_seq: Seq(1),
        };
        let mut book = ClockBook::default();
        assert_eq!(book.look(Look { expected: None, ..look(0, 0) }), None);
        assert_eq!(book.look(look(30, 30)), None, "thirty days have passed");
        assert_eq!(book.look(look(60, 31)), Some(SignedDuration::from_hours(29 * DAY)));
        assert_eq!(book.look(look(-YEARS, 61)), None);
        let kept = book.kept_since(day(-YEARS));
        assert_eq!(kept, Some(day(60)));
        assert!(book.look(look(61, -YEARS)).is_some());
        // A clock that is a moment behind was adjusted, not wrong.
        assert_eq!(book.kept_since(day(61) - SignedDuration::from_secs(59)), None);
    }

    #[test]
    fn what_is_exactly_as_old_as_the_bound_is_not_older() {
        let dated = Dated { seq: Seq(1), finished_at: day(0), kept_since: None };
        let is_old = |before| ClockBook::default().is_old(&dated, Bound { before, now: day(9) });
        assert!(!is_old(day(0)) && is_old(day(0) + SignedDuration::from_millis(1)));
    }
}
