//! `logs`: the daemon's last log lines, for operators who cannot read its standard error.

use super::ask::ask_daemon;
use super::error::CommandError;
use super::output::Output;
use super::stdout::{pause, print_on};
use crate::config::Config;
use conductor_core::Exit;
use conductor_core::query::{Answer, LogLines, Question};
use std::time::Duration;

/// The interval between requests with --follow.
const EVERY: Duration = Duration::from_millis(300);
/// More lines than the daemon keeps.
const ALL: usize = 100_000;

/// The arguments of `logs`.
#[derive(Debug, Clone)]
pub struct LogsArgs {
    /// At most this many of the newest lines.
    pub lines: usize,
    /// Continue with new lines.
    pub follow: bool,
    /// Only lines that contain this text.
    pub containing: Option<String>,
    /// The form of the answer.
    pub output: Output,
}

/// `logs [--lines N] [--follow] [--of TEXT]`: only lines that contain the text, such as a file's name or a correlation
/// id. With --json it prints one document and does not follow.
pub fn logs(config: &Config, args: &LogsArgs) -> Result<Exit, CommandError> {
    let LogsArgs { lines: limit, follow, containing, output } = args;
    let mut shown = ask_lines(config, 0, ALL)?.ok_or_else(not_running)?;
    let kept: Vec<&String> =
        shown.lines.iter().filter(|line| contains(line, containing.as_deref())).collect();
    let newest = kept.iter().skip(kept.len().saturating_sub(*limit)).copied();
    if output.is_data() {
        let lines = newest.cloned().collect();
        let newest = LogLines { lines, last: shown.last };
        return output.answer(&newest, |_| String::new());
    }
    let mut is_read = say(newest)?;
    while *follow && is_read {
        // The daemon announces no lines to commands.
        if !pause(EVERY)? {
            break;
        }
        let Some(next) = ask_lines(config, shown.last, ALL)? else { break };
        is_read = say(next.lines.iter().filter(|line| contains(line, containing.as_deref())))?;
        shown = next;
    }
    Ok(Exit::Good)
}

fn contains(line: &str, text: Option<&str>) -> bool {
    text.is_none_or(|text| line.contains(text))
}

fn ask_lines(config: &Config, after: u64, most: usize) -> Result<Option<LogLines>, CommandError> {
    match ask_daemon(config, &Question::Logs { after, most })? {
        None => Ok(None),
        Some(Answer::Logs(lines)) => Ok(Some(lines)),
        Some(_) => Err(CommandError::other_version()),
    }
}

/// Says the lines, and whether somebody reads them.
fn say<'l>(lines: impl Iterator<Item = &'l String>) -> Result<bool, CommandError> {
    let text: String = lines.flat_map(|line| [line.as_str(), "\n"]).collect();
    print_on(text.as_bytes())
}

fn not_running() -> CommandError {
    CommandError::hindered(
        "not-running: no daemon runs here, and only a running one keeps its last log lines",
        "Look where its standard error went, such as `journalctl -u conductor-loop`.",
    )
}
