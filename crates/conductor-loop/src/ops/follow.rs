//! `logs`: the daemon's last log lines, where its standard error cannot be looked at.

use super::ask::ask_daemon;
use super::look::{other_version, usage};
use super::{OpsError, print, print_json};
use crate::config::Config;
use conductor_core::inquiry::{Answer, LogLines, Question};
use std::time::Duration;

/// How often a follower asks.
const EVERY: Duration = Duration::from_millis(300);
/// More lines than the daemon keeps.
const ALL: usize = 100_000;

/// `logs [--lines N] [--follow] [--of TEXT]`: only lines that contain the text, such as a file's name or a correlation id. With
/// --json one document, and nothing is followed.
pub fn logs(
    config: &Config,
    lines: &str,
    (follow, as_json): (bool, bool),
    of: Option<&str>,
) -> Result<u8, OpsError> {
    let most: usize =
        lines.parse().map_err(|_| usage(format!("--lines: '{lines}' is not a whole number")))?;
    let mut shown = ask_lines(config, 0, ALL)?.ok_or_else(not_running)?;
    let kept: Vec<&String> = shown.lines.iter().filter(|line| is_of(line, of)).collect();
    let newest = kept.iter().skip(kept.len().saturating_sub(most)).copied();
    if as_json {
        let lines = newest.cloned().collect();
        return print_json(&LogLines { lines, last: shown.last });
    }
    say(newest)?;
    if !follow {
        return Ok(0);
    }
    loop {
        std::thread::sleep(EVERY); // The daemon announces nothing to commands.
        let Some(next) = ask_lines(config, shown.last, ALL)? else { return Ok(0) };
        say(next.lines.iter().filter(|line| is_of(line, of)))?;
        shown = next;
    }
}

fn is_of(line: &str, of: Option<&str>) -> bool {
    of.is_none_or(|text| line.contains(text))
}

fn ask_lines(config: &Config, after: u64, most: usize) -> Result<Option<LogLines>, OpsError> {
    match ask_daemon(config, &Question::Logs { after, most })? {
        None => Ok(None),
        Some(Answer::Logs(lines)) => Ok(Some(lines)),
        Some(_) => Err(other_version()),
    }
}

fn say<'l>(lines: impl Iterator<Item = &'l String>) -> Result<(), OpsError> {
    let text: String = lines.flat_map(|line| [line.as_str(), "\n"]).collect();
    print(text.as_bytes()).map(|_| ())
}

fn not_running() -> OpsError {
    OpsError {
        message: "not-running: no daemon runs here, and only a running one keeps its last log lines".into(),
        remedy: "Look where its standard error went, such as `journalctl -u conductor-loop`.".into(),
        status: 1,
    }
}
