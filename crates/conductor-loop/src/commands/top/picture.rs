//! The picture of `top`: lines that fit the terminal, whatever they tell. The first ones, five at most, tell of the
//! daemon.

use super::super::look::{explained_text, ways_out};
use super::super::table::{age, cut, picture_table, word};
use super::look::{FAILED_MOST, Shown, Sight, is_news};
use super::state::{LATELY_ROWS, Over, Top};
use conductor_core::query::{Explained, ROWS_MAX, Row, State, StatusReport};
use conductor_os::terminal::Size;
use jiff::{SignedDuration, Timestamp};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// How a line looks: parameters of the terminal's sequence for that; empty: as usual.
const USUAL: &str = "";
const BOLD: &str = "1";
const FAINT: &str = "2";
const SELECTED: &str = "7";
const RUNNING: &str = "36";
const FAILED: &str = "31";

/// Rows of a terminal that has room for the whole reason of the selected intent, and the lines it gets.
const ROWS_WITH_REASON: usize = 20;
const REASON_LINES: usize = 2;

/// One line of the picture, as wide as the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) look: &'static str,
}

impl Line {
    fn new(text: &str, look: &'static str, columns: usize) -> Self {
        Self { text: fit(text, columns), look }
    }
}

/// The text on exactly this many columns.
fn fit(text: &str, columns: usize) -> String {
    format!("{:columns$}", cut(text, columns))
}

/// The picture of this moment. Draws the rows around the selected one.
pub(super) fn picture(top: &mut Top, size: Size) -> Vec<Line> {
    let Size { rows, columns } = size;
    let mut lines: Vec<Line> = head(top)
        .into_iter()
        .map(|(text, look)| Line::new(&text, look, columns))
        .take(rows.saturating_sub(4).clamp(1, 5))
        .collect();
    let is_over = matches!(top.over, Over::Explained(_));
    let below = if rows >= ROWS_WITH_REASON && !is_over { REASON_LINES } else { 0 };
    let room = rows.saturating_sub(lines.len() + 2 + below);
    top.page = room.max(1);
    let body = match &top.over {
        Over::Explained(explained) => panel(explained, columns),
        _ => table(top, columns),
    };
    lines.extend(body.into_iter().take(room + 1));
    lines.resize(rows.saturating_sub(1 + below), Line::new("", USUAL, columns));
    lines.extend(reason(top, columns).into_iter().take(below));
    lines.resize(rows.saturating_sub(1), Line::new("", USUAL, columns));
    lines.push(Line::new(&foot(top), BOLD, columns));
    lines.truncate(rows);
    lines
}

/// The file and the whole reason of the selected intent, because the table has room for its beginning alone.
fn reason(top: &Top, columns: usize) -> Vec<Line> {
    let rows = top.rows();
    let Some(row) = rows.get(top.selected) else { return Vec::new() };
    let mut lines = wrap(&format!("{}: {}", row.file, word(row)), columns);
    if lines.len() > REASON_LINES {
        lines.truncate(REASON_LINES);
        let last = lines.pop().unwrap_or_default();
        lines.push(cut(&format!("{last} ..."), columns));
    }
    lines.iter().map(|line| Line::new(line, USUAL, columns)).collect()
}

/// What failed within the last hour, by cause, where more failed than the rows show.
fn causes(rows: &[Row], more_failed: bool) -> Option<String> {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows.iter().filter(|row| is_news(row)) {
        let code = row.error_code.map(|code| format!("{code} ")).unwrap_or_default();
        *times.entry(code + &row.reason.word).or_default() += 1;
    }
    let what = if more_failed { format!("failed, of the newest {FAILED_MOST}") } else { "failed".to_owned() };
    let mut most: Vec<(String, usize)> = times.into_iter().collect();
    most.sort_by_key(|(_, times)| Reverse(*times));
    let told = most.iter().map(|(cause, times)| format!("{cause} {times}")).collect::<Vec<_>>().join("  ");
    (most.iter().map(|(_, times)| times).sum::<usize>() > LATELY_ROWS).then(|| format!("{what}: {told}"))
}

/// Up to five lines about the daemon.
fn head(top: &Top) -> Vec<(String, &'static str)> {
    let Some(Sight { report, rows, more_failed, .. }) = &top.sight else {
        let why = top.trouble.as_deref().unwrap_or("asking the daemon");
        return vec![(format!("conductor-loop  {why}"), BOLD)];
    };
    let mut lines = vec![(first_line(report), if report.ready { BOLD } else { FAILED })];
    lines.push((numbers(report, top.rate), USUAL));
    if !report.held.is_empty() {
        let held = report.held.iter().map(|held| match held.note.as_str() {
            "" => held.subject().to_owned(),
            note => format!("{} ({note})", held.subject()),
        });
        lines.push((format!("held {}: {}", report.held.len(), held.collect::<Vec<_>>().join(", ")), USUAL));
    }
    lines.extend(ways_out(report).next().map(|advice| (format!("what to do: {advice}"), USUAL)));
    lines.extend(top.trouble.as_ref().map(|trouble| (format!("nothing newer: {trouble}"), FAILED)));
    lines.extend(
        causes(rows, *more_failed).filter(|_| top.shown == Shown::All).map(|causes| (causes, FAILED)),
    );
    lines
}

fn first_line(report: &StatusReport) -> String {
    let state = match (report.running, report.ready) {
        (false, _) => "not running".to_owned(),
        (true, true) => "running, ready".to_owned(),
        (true, false) => format!("running, not ready: {}", report.not_ready.join(", ")),
    };
    let up = report.started_at.map(|at| format!(", up {}", age(at, Timestamp::now()))).unwrap_or_default();
    format!("conductor-loop  {state}{up}  {}", report.handoff)
}

/// The failures of the last hour; no more than so many are counted.
fn lately(failed: u64) -> String {
    format!("{failed}{}", if failed >= ROWS_MAX as u64 { "+" } else { "" })
}

fn numbers(report: &StatusReport, rate: Option<f64>) -> String {
    let now = Timestamp::now();
    let since = |seconds: u64| now - SignedDuration::from_secs(i64::try_from(seconds).unwrap_or_default());
    let oldest = report.oldest_waiting_s.map(|seconds| format!(" (oldest {})", age(since(seconds), now)));
    let at = rate.map(|rate| format!(" at {rate:.1}/s")).unwrap_or_default();
    // What a narrow terminal cuts off matters least.
    let mut parts = vec![
        format!("running {}/{}{at}", report.active, report.workers),
        format!("waiting {}{}", report.waiting, oldest.unwrap_or_default()),
        format!("failed {} in an hour, {} in all", lately(report.failed_last_hour), report.failed),
    ];
    if report.sighted > 0 {
        parts.push(format!("not taken {}", report.sighted));
    }
    parts.push(format!("done {}", report.processed));
    parts.join("  ")
}

/// The names of the columns, then the rows around the selected one.
fn table(top: &mut Top, columns: usize) -> Vec<Line> {
    let rows: Vec<Row> = top.rows().into_iter().cloned().collect();
    top.selected = top.selected.min(rows.len().saturating_sub(1));
    let last_first = rows.len().saturating_sub(top.page);
    let least = (top.selected + 1).saturating_sub(top.page);
    top.first = top.first.clamp(least, top.selected.max(least)).min(last_first);
    let seen = rows.iter().skip(top.first).take(top.page);
    let mut texts = picture_table(seen.clone(), columns.saturating_sub(1));
    let names = texts.next().unwrap_or_default();
    let mut lines = vec![Line::new(&format!(" {names}"), BOLD, columns)];
    for (place, (row, text)) in (top.first..).zip(seen.zip(texts)) {
        let is_selected = place == top.selected;
        let look = match row.state {
            _ if is_selected => SELECTED,
            State::Running => RUNNING,
            State::Failed if is_news(row) => FAILED,
            State::Done => FAINT,
            _ => USUAL,
        };
        let mark = if is_selected { '>' } else { ' ' };
        lines.push(Line::new(&format!("{mark}{text}"), look, columns));
    }
    if rows.is_empty() {
        lines.push(Line::new(&nothing(top), USUAL, columns));
    }
    lines
}

fn nothing(top: &Top) -> String {
    if !top.filter.is_empty() {
        return format!("  nothing with '{}'; Esc shows all", top.filter);
    }
    match &top.sight {
        Some(sight) => format!("  nothing yet: conductor-loop submit FILE -handoff {}", sight.report.handoff),
        None => String::new(),
    }
}

/// Why one intent waits or failed.
fn panel(explained: &Explained, columns: usize) -> Vec<Line> {
    let text = explained_text(&explained.of, explained);
    let look = |place| if place == 0 { BOLD } else { USUAL };
    let lines = text.lines().enumerate().flat_map(|(place, line)| {
        let wrapped = wrap(line, columns).into_iter();
        let lines = wrapped.map(move |line| Line::new(&line, look(place), columns));
        lines.chain([Line::new("", USUAL, columns)])
    });
    lines.collect()
}

/// Lines that break between words where they can.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        if !line.is_empty() && line.chars().count() + 1 + word.len() > columns {
            lines.push(std::mem::take(&mut line));
        }
        while word.len() > columns.max(1) {
            lines.push(word.drain(..columns.max(1)).collect());
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word);
    }
    lines.push(line);
    lines
}

/// The last line: what is asked, what was said, or the keys.
fn foot(top: &Top) -> String {
    if let Some(said) = &top.said {
        return said.clone();
    }
    match &top.over {
        Over::Filter => format!("target or file: {}_   Enter keeps it, Esc drops it", top.filter),
        Over::Explained(_) => "any key: back to the list".to_owned(),
        Over::Retry(row) => {
            let number = row.seq.map(|seq| format!(" (number {seq})")).unwrap_or_default();
            format!("hand in {}{number} again? y/n", row.file)
        }
        Over::Nothing => {
            let filter = match top.filter.as_str() {
                "" => "/ filter".to_owned(),
                text => format!("/{text} Esc all"),
            };
            format!(
                "q quit  ? keys  e why  r retry  {filter}  s sort:{}  a all u open f failed",
                top.sort.word()
            )
        }
    }
}
