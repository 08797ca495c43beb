//! What `top` shows and does, asked for on a thread of its own: a daemon that answers slowly keeps no key waiting.

use super::super::act::retry_failed;
use super::super::ask::{explained, list, report};
use super::super::error::CommandError;
use crate::config::Config;
use conductor_core::query::{Explained, LATELY, ROWS_MAX, Row, Selection, State, StatusReport};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use jiff::Timestamp;
use std::cmp::Reverse;
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(1);
/// Failures of the last hour, and finished intents, that are asked for.
pub(super) const FAILED_MOST: usize = 200;
const DONE_MOST: usize = 100;

/// Which intents are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    All,
    Unfinished,
    Failed,
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Looks at these from now on.
    Look(Shown),
    /// Says why this intent waits or failed.
    Explain(String),
    /// Hands this failed intent in again.
    Retry(String),
}

/// Everything of one moment.
#[derive(Debug, Clone)]
pub(super) struct Sight {
    pub(super) at: Instant,
    pub(super) report: StatusReport,
    /// What runs; what failed in the last hour; what waits, by target; the rest.
    pub(super) rows: Vec<Row>,
    /// Whether more failed in the last hour than were asked for.
    pub(super) more_failed: bool,
}

/// What came of a request.
pub(super) enum News {
    Sight(Box<Sight>),
    Explained(Box<Explained>),
    /// A sentence about what was done, or why it was not.
    Said(String),
    /// Why there is nothing new to see.
    NoSight(String),
}

/// Works off requests, and looks each second, until nobody listens.
pub(super) fn work(config: &Config, requests: &Receiver<Request>, news: &Sender<News>) {
    let (mut shown, mut next) = (Shown::All, Instant::now());
    loop {
        let told = match requests.recv_deadline(next) {
            Ok(Request::Look(wanted)) => {
                shown = wanted;
                next = Instant::now();
                continue;
            }
            Ok(Request::Explain(of)) => explain(config, &of),
            Ok(Request::Retry(of)) => Ok(News::Said(match retry_failed(config, &of) {
                Ok(row) => format!("{} is handed in again", row.file),
                Err(error) => format!("not retried: {error}"),
            })),
            Err(RecvTimeoutError::Timeout) => {
                next = Instant::now() + EVERY;
                let sight = sight(config, shown).map(|sight| News::Sight(Box::new(sight)));
                Ok(sight.unwrap_or_else(|error| News::NoSight(error.to_string())))
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if news.send(told.unwrap_or_else(|error: CommandError| News::Said(error.to_string()))).is_err() {
            return;
        }
    }
}

fn explain(config: &Config, of: &str) -> Result<News, CommandError> {
    explained(config, of).map(News::Explained)
}

/// Everything of this moment.
pub(super) fn sight(config: &Config, shown: Shown) -> Result<Sight, CommandError> {
    let report = report(config)?;
    let some = |state: State, before, most| {
        list(config, Selection { states: vec![state], before, most, ..Selection::default() })
            .map(|listing| listing.intents)
    };
    let (mut rows, mut more_failed) = (Vec::new(), false);
    if shown == Shown::Failed {
        rows = some(State::Failed, None, ROWS_MAX)?;
    } else {
        let states = vec![State::Running, State::Waiting];
        let unfinished = Selection { states, by_target: true, most: ROWS_MAX, ..Selection::default() };
        let (running, waiting): (Vec<Row>, Vec<Row>) =
            list(config, unfinished)?.intents.into_iter().partition(|row| row.state == State::Running);
        rows.extend(running);
        let mut finished = Vec::new();
        if shown == Shown::All {
            let failed = vec![State::Failed];
            let since = Some(Timestamp::now() - LATELY);
            let lately = Selection { states: failed, since, most: FAILED_MOST, ..Selection::default() };
            let lately = list(config, lately)?;
            more_failed = lately.more;
            let oldest = lately.intents.iter().filter_map(|row| row.seq).min();
            rows.extend(lately.intents);
            // Apart from each other: many that failed lately are no reason to show none that is done.
            finished = some(State::Failed, oldest, DONE_MOST)?;
            finished.retain(|row| !is_news(row));
            finished.extend(some(State::Done, None, DONE_MOST)?);
            finished.sort_by_key(|row| Reverse(row.seq));
            finished.truncate(DONE_MOST);
        }
        rows.extend(waiting);
        rows.extend(finished);
    }
    Ok(Sight { at: Instant::now(), report, rows, more_failed })
}

/// Whether it failed within the last hour.
pub(super) fn is_news(row: &Row) -> bool {
    row.state == State::Failed && row.at.is_some_and(|at| at >= Timestamp::now() - LATELY)
}
