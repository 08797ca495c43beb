//! `status`, `health`, `list`, `show`, `explain`: the daemon's answers as text for people, or with --json unchanged.

use super::ask::{ask_daemon, explained, list as list_of, report, shown};
use super::audit::entry_text;
use super::error::CommandError;
use super::output::Output;
use super::stdout::{pause, print_on};
use super::table::{sentence, short, table, wide_table, word};
use crate::config::Config;
use conductor_core::confinement::{Confinement, Standing};
use conductor_core::query::{
    Answer, Explained, Listing, Question, Reason, Selection, Shown, State, StatusReport,
};
use conductor_core::ready::NotReady;
use conductor_core::units::format_duration;
use conductor_core::{Exit, record::rfc3339};
use jiff::Timestamp;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::time::Duration;

/// The interval between two looks with --watch: the daemon announces nothing to commands.
const EVERY: Duration = Duration::from_secs(1);
/// Clears a terminal.
const CLEAR: &str = "\x1b[H\x1b[2J\x1b[3J";

/// `status`
pub fn status(config: &Config, watch: bool, output: Output) -> Result<Exit, CommandError> {
    let look = || report(config);
    if watch { watched(output, look, status_text) } else { output.answer(&look()?, status_text) }
}

/// Prints what is there, and again whenever it has changed, until nobody reads it. A terminal shows the newest alone.
fn watched<T: Serialize + PartialEq>(
    output: Output,
    look: impl Fn() -> Result<T, CommandError>,
    text: impl Fn(&T) -> String,
) -> Result<Exit, CommandError> {
    let clears = io::stdout().is_terminal() && output.encode(&()).is_none();
    let mut last = None;
    loop {
        let now = look()?;
        // On a terminal ages go on though nothing changes.
        if clears || last.as_ref() != Some(&now) {
            let shown = output.encode(&now).unwrap_or_else(|| text(&now).into_bytes());
            let begin = if clears { CLEAR.as_bytes() } else { &[] };
            if !print_on(&[begin, &shown].concat())? {
                return Ok(Exit::Good);
            }
        }
        last = Some(now);
        if !pause(EVERY)? {
            return Ok(Exit::Good);
        }
    }
}

/// `health`: exit 0 if the daemon runs and takes new files, else 1. For container probes, which have no other tool.
pub fn health(config: &Config, output: Output) -> Result<Exit, CommandError> {
    let reasons = match ask_daemon(config, &Question::Status)? {
        Some(Answer::Status(report)) => report.not_ready,
        Some(_) => return Err(CommandError::other_version()),
        None => vec!["not-running".to_owned()],
    };
    output.answer(&serde_json::json!({"ready": reasons.is_empty(), "reasons": reasons}), |_| {
        if reasons.is_empty() { "ready\n".to_owned() } else { format!("not ready: {}\n", reasons.join(", ")) }
    })?;
    Ok(if reasons.is_empty() { Exit::Good } else { Exit::SetUp })
}

/// Why a running daemon is not ready, and since when.
pub(super) fn not_ready(report: &StatusReport) -> String {
    let since = report.not_ready_since.map(|since| format!(" since {}", short(since))).unwrap_or_default();
    format!("running, not ready: {}{since}", report.not_ready.join(", "))
}

/// The advice for each reason that holds.
pub(super) fn ways_out(report: &StatusReport) -> impl Iterator<Item = &'static str> {
    report.not_ready.iter().filter_map(|word| NotReady::of_word(word)).map(NotReady::advice)
}

/// The parts that hold, then those that do not, with the reasons.
pub(super) fn confined(confinement: &Confinement) -> String {
    let active = Some(confinement.names(Standing::Active)).filter(|names| !names.is_empty());
    let off = confinement.names(Standing::Off);
    let off = (!off.is_empty()).then(|| format!("off: {off}"));
    let lacking = confinement.lacking().map(ToString::to_string);
    active.into_iter().chain(lacking).chain(off).collect::<Vec<_>>().join("; ")
}

pub(super) fn status_text(report: &StatusReport) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{label:<12} {value}");
    };
    let seconds = |s: i64| format_duration(Duration::from_secs(u64::try_from(s).unwrap_or(0)));
    let state = match (report.running, report.ready) {
        (false, _) => "not running".to_owned(),
        (true, true) => "running, ready".to_owned(),
        (true, false) => not_ready(report),
    };
    let up = report.started_at.map(|at| Timestamp::now().duration_since(at).as_secs());
    let since = report.pid.zip(up).map(|(pid, up)| format!(" (pid {pid}, up {})", seconds(up)));
    line("daemon", format!("{state}{}", since.unwrap_or_default()));
    for advice in ways_out(report) {
        line("what to do", advice.to_owned());
    }
    line("handoff", report.handoff.clone());
    for url in &report.endpoints {
        line("listening", url.clone());
    }
    line("porch", format!("{}, {}, {} workers", report.porch_path, report.mode, report.workers));
    if !report.confinement.0.is_empty() {
        line("confined", confined(&report.confinement));
    }
    if let Some(reason) = &report.no_events {
        line("events", format!("none, the directory is listed instead: {reason}"));
    }
    line("not taken", report.sighted.to_string());
    if report.left > 0 {
        line("left", format!("{} that cannot be taken; `conductor-loop list` says why", report.left));
    }
    let oldest = report.oldest_waiting_s.and_then(|s| i64::try_from(s).ok());
    let oldest = oldest.map(|s| format!(" (oldest for {})", seconds(s))).unwrap_or_default();
    line("waiting", format!("{}{oldest}", report.waiting));
    line("running", report.active.to_string());
    line("processed", format!("{} (of these duplicates: {})", report.processed, report.duplicates));
    line("failed", report.failed.to_string());
    line("last number", report.last_seq.to_string());
    for held in &report.held {
        let note = if held.note.is_empty() { String::new() } else { format!(": {}", held.note) };
        line("held", format!("{} since {} by user {}{note}", held.subject(), short(held.since), held.uid));
    }
    line(
        "free space",
        report.free_bytes.map_or_else(|| "-".to_owned(), |free| format!("{} MiB", free >> 20)),
    );
    text
}

/// `list`
pub fn list(
    config: &Config,
    selection: &Selection,
    watch: bool,
    output: Output,
) -> Result<Exit, CommandError> {
    let look = || list_of(config, selection.clone());
    let text = |listing: &Listing| list_text(listing, output);
    if watch { watched(output, look, text) } else { output.answer(&look()?, text) }
}

fn list_text(listing: &Listing, output: Output) -> String {
    let rows = &listing.intents;
    let mut text = match output {
        Output::Name => return rows.iter().flat_map(|row| [row.file.as_str(), "\n"]).collect(),
        Output::Wide => wide_table(rows),
        _ => table(rows, output.width()),
    };
    if listing.more {
        text.push_str("... and more (--limit, --state, --target, --since)\n");
    }
    text
}

/// `show ID|FILE`
pub fn show(config: &Config, of: &str, output: Output) -> Result<Exit, CommandError> {
    output.answer(&shown(config, of)?, |shown| shown_text(shown))
}

fn shown_text(shown: &Shown) -> String {
    let Shown { intent, .. } = shown;
    let mut text = String::new();
    let mut line = |label: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{label:<12} {value}");
        }
    };
    let asked = shown.asked.as_ref();
    line("file", Some(intent.file.clone()));
    line("number", intent.seq.map(|seq| seq.to_string()));
    line("state", Some(format!("{}: {}", intent.state, word(intent))));
    let advice = &intent.reason.advice;
    line("what to do", Some(advice.clone()).filter(|_| intent.state != State::Done && advice != "Nothing."));
    line("target", intent.target.clone());
    line(
        "asked for",
        asked.map(|asked| {
            let kind = serde_json::to_value(asked.kind).unwrap_or_default();
            let to = asked.replicas.map(|to| format!(" to {to}")).unwrap_or_default();
            format!("{}{to}, priority {}", kind.as_str().unwrap_or_default(), asked.priority)
        }),
    );
    line("because", asked.and_then(|asked| asked.reason.clone()));
    line("source", asked.and_then(|asked| asked.source.clone()));
    line("correlation", intent.correlation_id.clone());
    line("SHA-256", intent.sha256.map(|digest| digest.to_string()));
    line(
        "run by",
        shown
            .porch_path
            .as_ref()
            .map(|porch| format!("{porch}, {}", shown.mode.as_deref().unwrap_or_default())),
    );
    line("filed as", intent.archived_as.clone());
    line(
        "signed by",
        shown.proof.signed_by.as_ref().map(|key| format!("key {key}, and the status is genuine")),
    );
    line("unproven", Some(shown.proof.missing.join("; ")));
    for sentence in &shown.not_as_filed {
        line("WARNING", Some(sentence.clone()));
    }
    let mut part = |title: &str, content: &str| {
        if !content.trim().is_empty() {
            let _ = writeln!(text, "\n--- {title} ---\n{}", content.trim_end());
        }
    };
    let moments: Vec<String> =
        shown.timeline.iter().map(|moment| format!("{}  {}", rfc3339(moment.at), moment.what)).collect();
    part("timeline", &moments.join("\n"));
    part(
        "audit trail (`audit proof NUMBER` proves an entry)",
        &shown.proof.entries.iter().map(|entry| entry_text(entry, "")).collect::<Vec<_>>().join("\n"),
    );
    part("change of the package", &shown.diff);
    match &shown.error_log {
        Some(log) => part("error log", log),
        None => part("output of porch", &shown.output),
    }
    part("intent", shown.content.as_deref().unwrap_or_default());
    if !shown.same_name.is_empty() {
        part("others of this name", &table(&shown.same_name, usize::MAX));
    }
    text
}

/// `explain FILE|NUMBER|TARGET`
pub fn explain(config: &Config, of: &str, output: Output) -> Result<Exit, CommandError> {
    output.answer(&explained(config, of)?, |explained| explained_text(of, explained))
}

pub(super) fn explained_text(of: &str, explained: &Explained) -> String {
    let Reason { word, text, advice } = &explained.reason;
    let which = explained.intent.as_ref().map_or_else(
        || of.to_owned(),
        |row| match row.seq {
            Some(seq) => format!("{} (number {seq}) is {}", row.file, row.state),
            None => format!("{} is {}", row.file, row.state),
        },
    );
    let why = sentence(explained.intent.as_ref().and_then(|row| row.error_code), word, text);
    let mut answer = format!("{which}\nreason       {why}\nwhat to do   {advice}\n");
    if explained.waiting_behind > 0 {
        // Writing to a String cannot fail.
        let _ = writeln!(answer, "behind it    {} more of the same target", explained.waiting_behind);
    }
    answer
}
