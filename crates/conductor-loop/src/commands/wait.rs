//! `wait INTENT...`: until each is done or failed.

use super::ask::{ask, open_handoff};
use super::table::word;
use super::{CommandError, print, print_json};
use crate::config::Config;
use crate::handoff::layout;
use conductor_core::Exit;
use conductor_core::query::{Answer, Question, Row, State};
use conductor_core::units::format_duration;
use conductor_os::wake::wait_readable;
use conductor_os::watch::Watch;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// The longest pause between two looks: an intent that fails before it is accepted may have no status.
const POLL: Duration = Duration::from_secs(1);

/// `wait`: prints each intent when it is done or failed. Exit 0, or 8 if one failed.
pub fn wait(
    config: &Config,
    intents: &[String],
    patience: Duration,
    as_json: bool,
) -> Result<Exit, CommandError> {
    let (_, handoff) = open_handoff(config)?;
    let until = Instant::now() + patience;
    let mut waiting: Vec<&String> = intents.iter().collect();
    let mut worst = Exit::Good;
    loop {
        // Armed before the look, so that no change between look and wait is missed.
        let watch = handoff.sub(layout::STATUS).ok().and_then(|dir| Watch::on(dir).ok());
        let (mut still, mut last) = (Vec::new(), None);
        for of in waiting {
            let row = row(config, of)?;
            match row.state {
                State::Waiting | State::Running => {
                    still.push(of);
                    last = Some(row);
                }
                state => {
                    worst = worst.max(if state == State::Done { Exit::Good } else { Exit::Failed });
                    told(&row, as_json)?;
                }
            }
        }
        waiting = still;
        let Some(last) = last else { return Ok(worst) };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let others = waiting.len().saturating_sub(1);
            let others = if others == 0 { String::new() } else { format!(", and {others} more") };
            let message = format!(
                "after {} {} is {}: {}{others}",
                format_duration(patience),
                last.file,
                last.state,
                word(&last)
            );
            return Err(CommandError::hindered(
                message,
                "`conductor-loop explain` it, or give a longer --timeout.",
            ));
        }
        wait_readable([watch.as_ref().map(AsFd::as_fd)], Some(left.min(POLL)))?;
    }
}

fn row(config: &Config, of: &str) -> Result<Row, CommandError> {
    match ask(config, &Question::Show { of: of.to_owned() })? {
        Answer::Show(shown) => Ok(shown.intent),
        _ => Err(CommandError::other_version()),
    }
}

fn told(row: &Row, as_json: bool) -> Result<Exit, CommandError> {
    if as_json {
        return print_json(row);
    }
    let number = row.seq.map(|seq| format!(" (number {seq})")).unwrap_or_default();
    print(format!("{}{number} is {}: {}\n", row.file, row.state, word(row)).as_bytes())
}
