//! `wait INTENT...`: until each is done or failed.

use super::ask::{open_handoff, shown};
use super::error::CommandError;
use super::output::Output;
use super::table::word;
use crate::config::Config;
use crate::handoff::layout;
use conductor_core::Exit;
use conductor_core::query::{Row, State};
use conductor_core::units::format_duration;
use conductor_os::wake::wait_readable;
use conductor_os::watch::Watch;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// The longest pause between two looks: an intent that fails before it is accepted may have no status.
const POLL: Duration = Duration::from_secs(1);
/// The pause before a busy daemon is asked again: it announces nothing.
const BUSY: Duration = Duration::from_millis(100);

/// `wait`: prints each intent when it is done or failed. Exit 0, or 8 if one failed.
pub fn wait(
    config: &Config,
    intents: &[String],
    patience: Duration,
    output: Output,
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
            let row = row(config, of, until)?;
            match row.state {
                State::Waiting | State::Running => {
                    still.push(of);
                    last = Some(row);
                }
                state => {
                    worst = worst.max(if state == State::Done { Exit::Good } else { Exit::Failed });
                    output.answer(&row, told)?;
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
        wait_readable([watch.as_ref().map(AsFd::as_fd)], Some(left.min(POLL)))
            .map_err(CommandError::system("waiting for the next status"))?;
    }
}

/// The intent. A daemon that is busy, or is just starting or stopping, is asked again until the time is up.
fn row(config: &Config, of: &str, until: Instant) -> Result<Row, CommandError> {
    loop {
        match shown(config, of) {
            Err(error) if error.is_busy() && Instant::now() < until => {
                std::thread::sleep(BUSY); // A daemon that is ready again announces it to nobody.
            }
            told => return told.map(|shown| shown.intent),
        }
    }
}

fn told(row: &Row) -> String {
    let number = row.seq.map(|seq| format!(" (number {seq})")).unwrap_or_default();
    format!("{}{number} is {}: {}\n", row.file, row.state, word(row))
}
