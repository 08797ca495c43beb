//! `failed/NAME.error.log`: the error log beside a failed file. At most 64 KiB, everything scrubbed.

use conductor_core::intent::Refusal;
use conductor_core::limits::{ERROR_LOG_MAX, MESSAGE_MAX};
use conductor_core::outcome::{Capture, Run};
use conductor_core::record::{Outcome, rfc3339};
use conductor_core::scrub;
use std::fmt::Write;

/// Room for the four parts of the two streams; the rest is for the head of the log.
const PART_MAX: usize = (ERROR_LOG_MAX - (8 << 10)) / 4;

/// The text of the error log.
pub(super) fn render(outcome: &Outcome, run: Option<&Run>, refusal: Option<&Refusal>) -> Vec<u8> {
    let mut log = String::new();
    let mut line = |label: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(log, "{label:<12} {value}");
    };
    line("File:", &outcome.name);
    line("Failed at:", &rfc3339(outcome.finished_at));
    if let Some(code) = outcome.error_code {
        line("Code:", &format!("{code} {}", code.title()));
    }
    line("Error:", &outcome.message);
    if let Some(refusal) = refusal {
        let place = if refusal.field.is_empty() { "the file itself" } else { &refusal.field };
        line("At:", place);
        line("Found:", &refusal.found);
        line("Expected:", &refusal.expected);
    }
    if let Some(code) = outcome.error_code {
        line("What to do:", code.remedy());
    }
    if let Some(hint) = run.and_then(|run| run.hint.as_ref()) {
        line("Hint:", hint);
    }
    line("Sequence:", &outcome.seq.to_string());
    line("Correlation:", &outcome.correlation_id);
    if let Some(sha256) = outcome.sha256 {
        line("SHA-256:", &sha256.to_string());
    }
    line("Attempts:", &outcome.attempts.to_string());
    if let Some(run) = run {
        line("Ended:", &scrub::shown(&run.describe(), MESSAGE_MAX));
        if !run.command.is_empty() {
            line("Command:", &scrub::shown(&run.command.join(" "), 8_192));
        }
        line("Duration:", &format!("{} ms", run.duration.as_millis()));
        if !run.leftovers.is_empty() {
            line("Left over:", &format!("killed after porch had ended: {}", run.leftovers.join(", ")));
        }
        stream(&mut log, "stdout", &run.stdout);
        stream(&mut log, "stderr", &run.stderr);
    }
    if let (None, Some(history)) = (run, &outcome.history)
        && !history.output.is_empty()
    {
        let _ = write!(log, "\n--- the beginning of what the last run wrote ---\n{}", history.output);
    }
    scrub::cut(log, ERROR_LOG_MAX).into_bytes()
}

fn stream(log: &mut String, name: &str, capture: &Capture) {
    let _ = writeln!(log, "\n--- {name}: {} bytes ---", capture.total);
    if capture.dropped() == 0 {
        // Masked as a whole: a secret may cross the two parts.
        let whole = scrub::block(&[capture.head.as_slice(), &capture.tail].concat());
        whole_stream(log, name, &whole);
    } else {
        log.push_str(&scrub::cut(scrub::block(&capture.head), PART_MAX));
        let tail = scrub::block(scrub::from_next_line(&capture.tail));
        let _ = writeln!(log, "\n--- {name}: {} bytes left out ---", capture.dropped());
        log.push_str(end_of(&tail));
    }
    if !log.ends_with('\n') {
        log.push('\n');
    }
}

/// Writes a stream that was kept whole, in two parts if it is too long for the log.
fn whole_stream(log: &mut String, name: &str, text: &str) {
    if text.len() <= 2 * PART_MAX {
        return log.push_str(text);
    }
    let begin = text.floor_char_boundary(PART_MAX);
    let end = end_of(text);
    log.push_str(text.get(..begin).unwrap_or_default());
    let _ = writeln!(log, "\n--- {name}: {} bytes left out ---", text.len() - begin - end.len());
    log.push_str(end);
}

/// The last bytes of a text, as many as fit into a part.
fn end_of(text: &str) -> &str {
    text.get(text.ceil_char_boundary(text.len().saturating_sub(PART_MAX))..).unwrap_or_default()
}
