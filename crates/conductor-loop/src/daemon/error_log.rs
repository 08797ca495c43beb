//! `failed/NAME.error.log`: for the person who looks there first. At most 64 KiB, everything scrubbed.

use conductor_core::intent::Refusal;
use conductor_core::limits::ERROR_LOG_MAX;
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
    line("Sequence:", &outcome.seq.to_string());
    line("Correlation:", &outcome.correlation_id);
    if let Some(sha256) = outcome.sha256 {
        line("SHA-256:", &sha256.to_string());
    }
    line("Attempts:", &outcome.attempts.to_string());
    if let Some(run) = run {
        line("Ended:", &run.ending.describe());
        if !run.command.is_empty() {
            let words: Vec<String> =
                run.command.iter().map(|word| scrub::mask(&scrub::line(word, 4_096))).collect();
            line("Command:", &words.join(" "));
        }
        line("Duration:", &format!("{} ms", run.duration.as_millis()));
        if !run.leftovers.is_empty() {
            line("Left over:", &format!("killed after porch had ended: {}", run.leftovers.join(", ")));
        }
        stream(&mut log, "stdout", &run.stdout);
        stream(&mut log, "stderr", &run.stderr);
    }
    scrub::cut(log, ERROR_LOG_MAX).into_bytes()
}

fn stream(log: &mut String, name: &str, capture: &Capture) {
    let _ = writeln!(log, "\n--- {name}: {} bytes ---", capture.total);
    log.push_str(&scrub::cut(scrub::block(&capture.head), PART_MAX));
    if !capture.tail.is_empty() {
        let tail = scrub::block(&capture.tail);
        let from = (tail.len().saturating_sub(PART_MAX)..tail.len())
            .find(|at| tail.is_char_boundary(*at))
            .unwrap_or(0);
        let _ = writeln!(log, "\n--- {name}: {} bytes left out ---", capture.dropped());
        log.push_str(tail.get(from..).unwrap_or_default());
    }
    if !log.ends_with('\n') {
        log.push('\n');
    }
}
