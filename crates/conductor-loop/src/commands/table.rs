//! Intents as a table: a line each, cut to the terminal, states in colours.

use conductor_core::Code;
use conductor_core::query::{Reason, Row, State};
use conductor_core::record::rfc3339;
use console::Style;
use jiff::Timestamp;

/// The columns before the reason.
type Cells = [String; 5];

/// Rows in columns with ages, each line at most `width` wide.
pub(super) fn table(rows: &[Row], width: usize) -> String {
    lay_out(AGES, rows, width, age_of())
}

/// The names of the columns with ages.
const AGES: [&str; 5] = ["NUMBER", "STATE", "AGE", "TARGET", "FILE"];

fn age_of() -> impl Fn(&Row) -> String {
    let now = Timestamp::now();
    move |row| row.at.map_or_else(|| "-".to_owned(), |at| age(at, now))
}

/// A time with seconds: precise enough for people.
pub(super) fn short(at: Timestamp) -> String {
    let text = rfc3339(at);
    format!("{}Z", text.split('.').next().unwrap_or(&text))
}

/// The names of the columns, then the rows, without colours, for a picture of that width: long targets and files are cut, and
/// files have no column of their own where there is no room.
pub(super) fn picture_table<'r>(
    rows: impl Iterator<Item = &'r Row> + Clone,
    width: usize,
) -> impl Iterator<Item = String> {
    let has_files = width >= 100;
    let age = age_of();
    let of = move |row: &Row| {
        let mut cells = cells(row, &age);
        if !has_files {
            let file = std::mem::take(&mut cells[4]);
            if row.target.is_none() {
                cells[3] = file;
            }
        }
        (cells, word(row))
    };
    let mut head = AGES.map(str::to_owned);
    if !has_files {
        head[4].clear();
    }
    let mut widths = [0; 5];
    let most = [width, width, width, width / if has_files { 4 } else { 3 }, width / 4];
    for (cells, _) in std::iter::once((head.clone(), String::new())).chain(rows.clone().map(&of)) {
        for ((widest, cell), most) in widths.iter_mut().zip(&cells).zip(most) {
            *widest = cell.chars().count().min(most).max(*widest);
        }
    }
    let line = move |(cells, reason): (Cells, String)| {
        let shown = cells.iter().zip(widths).filter(|(_, widest)| *widest > 0);
        let columns: Vec<String> =
            shown.map(|(cell, widest)| format!("{:widest$}", cut(cell, widest))).collect();
        format!("{} {reason}", columns.join(" "))
    };
    std::iter::once((head, "REASON".to_owned())).chain(rows.map(of)).map(line)
}

fn cells(row: &Row, time: impl Fn(&Row) -> String) -> Cells {
    let number = row.seq.map_or_else(|| "-".to_owned(), |seq| seq.to_string());
    let target = row.target.clone().unwrap_or_else(|| "-".to_owned());
    [number, row.state.to_string(), time(row), target, row.file.clone()]
}

/// Rows in columns with whole times, as wide as they are.
pub(super) fn wide_table(rows: &[Row]) -> String {
    let time = |row: &Row| row.at.map_or_else(|| "-".to_owned(), short);
    lay_out(["NUMBER", "STATE", "TIME", "TARGET", "FILE"], rows, usize::MAX, time)
}

fn lay_out(head: [&str; 5], rows: &[Row], width: usize, time: impl Fn(&Row) -> String) -> String {
    let head = (head.map(str::to_owned), "REASON".to_owned(), Style::new());
    let rows = rows.iter().map(|row| (cells(row, &time), word(row), style(row.state)));
    let lines: Vec<(Cells, String, Style)> = std::iter::once(head).chain(rows).collect();
    let mut widths = [0; 5];
    for (cells, _, _) in &lines {
        for (widest, cell) in widths.iter_mut().zip(cells) {
            *widest = cell.chars().count().max(*widest);
        }
    }
    let mut text = String::new();
    for (cells, reason, style) in &lines {
        let mut left = width;
        for (column, (cell, widest)) in cells.iter().zip(widths).enumerate() {
            let padded = cut(&format!("{cell:<widest$}  "), left);
            left -= padded.chars().count();
            // Only the state is coloured: the rest is read, not glanced at.
            if column == 1 {
                text.push_str(&style.apply_to(padded).to_string());
            } else {
                text.push_str(&padded);
            }
        }
        text.push_str(&cut(reason, left));
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}

fn style(state: State) -> Style {
    match state {
        State::Done => Style::new().green(),
        State::Failed => Style::new().red(),
        State::Running => Style::new().cyan(),
        State::Waiting => Style::new().yellow(),
    }
}

/// At most `width` characters; what is cut off ends in an ellipsis.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain((width > 0).then_some('…')).collect()
}

/// The time since a moment in its largest unit, as kubectl writes ages: `7s`, `3m`, `5h`, `12d`.
pub(super) fn age(at: Timestamp, now: Timestamp) -> String {
    match now.duration_since(at).as_secs() {
        seconds @ ..60 => format!("{}s", seconds.max(0)),
        seconds @ 60..3_600 => format!("{}m", seconds / 60),
        seconds @ 3_600..86_400 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// The reason's word, with the code of a failure, and the sentence if it says more.
pub(super) fn word(row: &Row) -> String {
    let Reason { word, text, .. } = &row.reason;
    let more = row.others.filter(|others| *others > 0).map(|others| format!("+{others} more; "));
    let why = match (row.state, row.error_code) {
        (State::Done, None) => row.duplicate_of.map_or_else(|| word.clone(), |of| format!("{word} of {of}")),
        (_, code) => sentence(code, word, text),
    };
    more.unwrap_or_default() + &why
}

/// A reason in one line. The sentence of a refusal begins with its word already.
pub(super) fn sentence(code: Option<Code>, word: &str, text: &str) -> String {
    let code = code.map(|code| format!("{code} ")).unwrap_or_default();
    let is_said = text.strip_prefix(word).is_some_and(|rest| rest.starts_with([' ', ':']));
    if is_said { format!("{code}{text}") } else { format!("{code}{word}: {text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_said_in_their_largest_unit() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let cases = [
            ("2026-01-31T12:00:07Z", "0s"),
            ("2026-01-31T11:59:53Z", "7s"),
            ("2026-01-31T11:58:01Z", "1m"),
            ("2026-01-31T02:00:00Z", "10h"),
            ("2026-01-19T12:00:00Z", "12d"),
        ];
        for (at, want) in cases {
            assert_eq!(age(at.parse().unwrap(), now), want);
        }
    }

    #[test]
    fn a_line_is_never_wider_than_the_terminal_and_what_is_cut_off_is_marked() {
        let mut row = crate::queries::sighted_row(
            b"intent-a.json",
            0,
            Reason {
                word: "quiet".to_owned(),
                text: "written a moment ago ".repeat(9),
                advice: String::new(),
            },
        );
        row.state = State::Waiting;
        for width in 0..200 {
            let text = table(std::slice::from_ref(&row), width);
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}: {text}");
            assert_eq!(text.lines().count(), 2);
        }
        assert!(table(std::slice::from_ref(&row), 70).lines().last().unwrap().ends_with('…'));
        assert!(wide_table(&[row]).contains("1970-01-01T00:00:00Z"));
    }
}
