//! Values of commands' arguments, read from their words: times, codes, states, names of events.

use conductor_core::Code;
use conductor_core::code::TABLE;
use conductor_core::query::{ROWS_MAX, State};
use conductor_core::units::parse_duration;
use conductor_evidence::Event;
use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

pub(super) fn parse_state(text: &str) -> Result<State, String> {
    State::from_word(text).ok_or_else(|| "it is not one of waiting, running, done, failed".to_owned())
}

pub(super) fn parse_limit(text: &str) -> Result<usize, String> {
    let limit = text.parse().ok().filter(|limit| (1..=ROWS_MAX).contains(limit));
    limit.ok_or_else(|| format!("it is not a whole number from 1 to {ROWS_MAX}"))
}

pub(super) fn parse_code(text: &str) -> Result<Code, String> {
    let entry = TABLE.iter().find(|entry| entry.id.eq_ignore_ascii_case(text) || entry.title == text);
    entry
        .map(|entry| entry.code)
        .ok_or_else(|| "it is no error code such as E301 or porch-failed (docs/ERRORS.md)".to_owned())
}

/// The name of an event of the audit trail.
pub(super) fn parse_event(text: &str) -> Result<String, String> {
    let names = || Event::ALL.iter().map(|(_, name, _)| *name);
    if names().any(|name| name == text) {
        return Ok(text.to_owned());
    }
    Err(format!("it is none of {}", names().collect::<Vec<_>>().join(", ")))
}

/// A time, the begin of a day (UTC, as every time that is shown), or a duration before now.
pub(super) fn parse_moment(text: &str) -> Result<Timestamp, String> {
    moment(text, Timestamp::now()).ok_or_else(|| {
        "it is neither a duration such as 24h or 7d, nor a day such as 2026-01-31, today or yesterday, nor a time such as 2026-01-31T12:00:00Z".to_owned()
    })
}

fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    let begin = |day: Date| Offset::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok();
    let today = Offset::UTC.to_datetime(now).date();
    match text {
        "now" => Some(now),
        "today" => begin(today),
        "yesterday" => today.yesterday().ok().and_then(begin),
        _ => {
            // A day alone: a time of day without a zone would have two meanings.
            let is_day = text.len() == "2026-01-31".len();
            let day = || text.parse().ok().filter(|_| is_day).and_then(begin);
            let ago = || parse_duration(text).ok().and_then(|ago| SignedDuration::try_from(ago).ok());
            text.parse().ok().or_else(day).or_else(|| ago().and_then(|ago| now.checked_sub(ago).ok()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_days_durations_or_moments() {
        let now = "2026-03-01T12:30:00Z".parse().unwrap();
        let cases = [
            ("24h", Some("2026-02-28T12:30:00Z")),
            ("7d", Some("2026-02-22T12:30:00Z")),
            ("1w", Some("2026-02-22T12:30:00Z")),
            ("now", Some("2026-03-01T12:30:00Z")),
            ("today", Some("2026-03-01T00:00:00Z")),
            ("yesterday", Some("2026-02-28T00:00:00Z")),
            ("2026-01-31", Some("2026-01-31T00:00:00Z")),
            ("2026-01-31T12:00:00+02:00", Some("2026-01-31T10:00:00Z")),
            ("2026-01-31T12:00:00", None),
            ("2026-02-30", None),
            ("tomorrow", None),
            ("", None),
        ];
        for (text, want) in cases {
            assert_eq!(moment(text, now), want.map(|want| want.parse().unwrap()), "{text}");
        }
    }
}
