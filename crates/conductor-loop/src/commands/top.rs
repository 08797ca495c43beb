//! `top`: a live view, redrawn each second on a terminal; elsewhere drawn once.

use super::ask::ask;
use super::look::status_text;
use super::table::table;
use super::{CommandError, print, print_json};
use crate::config::Config;
use conductor_core::Exit;
use conductor_core::query::{Answer, Listing, Question, Selection, State, StatusReport};
use console::{Key, Term};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(1);
/// A terminal that does not say how large it is.
const SIZE_UNKNOWN: (u16, u16) = (24, 80);
/// The other screen, without a cursor, and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// Room for a picture, in characters.
#[derive(Debug, Clone, Copy)]
struct Size {
    rows: usize,
    columns: usize,
}

/// Which intents are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    All,
    Unfinished,
    Failed,
}

/// `top`: q ends it, a, u and f choose all, unfinished or failed intents. With --json it prints the data of one picture.
pub fn top(config: &Config, as_json: bool) -> Result<Exit, CommandError> {
    let term = Term::stdout();
    if as_json {
        let (report, listing) = look(config, Shown::All, usize::MAX)?;
        return print_json(&serde_json::json!({"status": report, "intents": listing.intents}));
    }
    if !term.is_term() {
        let frame = frame(config, Shown::All, None, Size { rows: usize::MAX, columns: usize::MAX })?.0;
        return print(frame.as_bytes());
    }
    let keys = keys(&term);
    term.write_str(ENTER)?;
    let ended = draw(config, &term, &keys);
    term.write_str(LEAVE)?;
    ended.map(|()| Exit::Good)
}

/// Keys as they are pressed, from a thread of their own.
fn keys(term: &Term) -> Receiver<Key> {
    let (sender, keys) = crossbeam_channel::unbounded();
    let term = term.clone();
    std::thread::spawn(move || {
        while let Ok(key) = term.read_key_raw() {
            if sender.send(key).is_err() {
                return;
            }
        }
    });
    keys
}

fn draw(config: &Config, term: &Term, keys: &Receiver<Key>) -> Result<(), CommandError> {
    let (mut shown, mut last) = (Shown::All, None);
    loop {
        let (rows, columns) = term.size_checked().unwrap_or(SIZE_UNKNOWN);
        let size = Size { rows: usize::from(rows).saturating_sub(1), columns: usize::from(columns) };
        let (text, report) = frame(config, shown, last.as_ref(), size)?;
        // The rest of each line is cleared after its text, so nothing flickers.
        let lines: String = text.lines().flat_map(|line| [line, "\x1b[K\n"]).collect();
        term.write_str(&format!("\x1b[H{lines}\x1b[J"))?;
        last = Some((Instant::now(), report));
        match keys.recv_timeout(EVERY) {
            Ok(Key::Char('q' | '\u{3}') | Key::CtrlC | Key::Escape) | Err(RecvTimeoutError::Disconnected) => {
                return Ok(());
            }
            Ok(Key::Char('a')) => shown = Shown::All,
            Ok(Key::Char('u')) => shown = Shown::Unfinished,
            Ok(Key::Char('f')) => shown = Shown::Failed,
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// One picture, and its report.
fn frame(
    config: &Config,
    shown: Shown,
    last: Option<&(Instant, StatusReport)>,
    size: Size,
) -> Result<(String, StatusReport), CommandError> {
    let Size { rows, columns } = size;
    let (report, listing) = look(config, shown, rows)?;
    let mut text = status_text(&report);
    if let Some((at, before)) = last {
        let finished = |report: &StatusReport| report.processed + report.failed;
        let count = finished(&report).saturating_sub(finished(before));
        let rate = f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / at.elapsed().as_secs_f64();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:<12} {rate:.1} a second", "finished");
    }
    text.push('\n');
    text.push_str(&table(&listing.intents, columns));
    let mut lines: Vec<&str> = text.lines().collect();
    lines.truncate(rows.saturating_sub(1));
    let mut text = lines.join("\n");
    text.push('\n');
    if last.is_some() || rows < usize::MAX {
        text.push_str("q quit  a all  u unfinished  f failed");
    }
    Ok((text, report))
}

/// The data of one picture.
fn look(config: &Config, shown: Shown, rows: usize) -> Result<(StatusReport, Listing), CommandError> {
    let Answer::Status(report) = ask(config, &Question::Status)? else {
        return Err(CommandError::other_version());
    };
    let states = match shown {
        Shown::All => Vec::new(),
        Shown::Unfinished => vec![State::Running, State::Waiting],
        Shown::Failed => vec![State::Failed],
    };
    let selection = Selection { states, most: rows.clamp(10, 100), ..Selection::default() };
    match ask(config, &Question::List(selection))? {
        Answer::List(listing) => Ok((*report, listing)),
        _ => Err(CommandError::other_version()),
    }
}
