//! `retry`, `hold`, `release`, `purge`: commands that change something.

use super::ask::{all_explained, ask, list, open_handoff, shown};
use super::error::CommandError;
use super::not_handed_in::{NotHandedIn, NotRetried};
use super::output::Output;
use super::stdout::print;
use super::submit::{Submitted, place, status_seq, wait_for};
use super::table::short;
use crate::config::Config;
use crate::handoff::ArchivedAs;
use conductor_core::name::{IntentName, Names};
use conductor_core::query::{Answer, EVERYTHING, Explained, Question, ROWS_MAX, Row, Selection, State};
use conductor_core::{Code, Exit};
use conductor_crypto::sha256;
use conductor_os::dir::Dir;
use conductor_os::plain::read_whole;
use jiff::Timestamp;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::time::Duration;

/// The largest --max-file-size: a daemon of another version may not report a file's size.
const SIZE_MAX: u64 = 1 << 30;

/// The intents to retry.
#[derive(Debug, Clone)]
pub enum Retried {
    /// These, by number or file name.
    Named(Vec<String>),
    /// All failed ones of the selection.
    Failed(Selection),
}

/// The arguments of `retry`.
#[derive(Debug, Clone)]
pub struct RetryArgs {
    /// The intents to retry.
    pub which: Retried,
    /// Only list the intents.
    pub dry_run: bool,
    /// How long to wait for their statuses; `None`: do not wait.
    pub wait: Option<Duration>,
}

/// `retry`: hands the archived bytes of failed intents in again, each under its own name. It needs no running daemon.
pub fn retry(config: &Config, args: &RetryArgs, output: Output) -> Result<Exit, CommandError> {
    let rows = match &args.which {
        Retried::Failed(selection) => failed_rows(config, selection)?,
        Retried::Named(intents) => {
            intents.iter().map(|intent| failed_row(config, intent)).collect::<Result<_, _>>()?
        }
    };
    let (_, handoff) = open_handoff(config)?;
    let (mut submitted, mut answer, mut worst) = (Vec::new(), String::new(), Exit::Good);
    let names = &config.fixed.names;
    for row in &rows {
        let done = if args.dry_run {
            archived(&handoff, names, row).map(|_| None)
        } else {
            hand_in(&handoff, names, row)
        };
        // Writing to a String cannot fail.
        let _ = match &done {
            Err(reason) => {
                worst = Exit::SetUp;
                write!(answer, "{}", told(row, "not retried", Some(&reason.to_string()), output))
            }
            Ok(None) => write!(answer, "{}", told(row, "would be handed in again", None, output)),
            Ok(Some(_)) => write!(answer, "{}", told(row, "handed in again", None, output)),
        };
        submitted.extend(done.ok().flatten());
    }
    if rows.is_empty() && output == Output::Text {
        answer.push_str("nothing to retry\n");
    }
    print(answer.as_bytes())?;
    match args.wait {
        Some(patience) if !submitted.is_empty() => {
            wait_for(config, &handoff, submitted, patience).map(|status| status.max(worst))
        }
        _ => Ok(worst),
    }
}

/// Hands one failed intent in again.
pub(super) fn retry_failed(config: &Config, of: &str) -> Result<Row, CommandError> {
    let row = failed_row(config, of)?;
    let (_, handoff) = open_handoff(config)?;
    hand_in(&handoff, &config.fixed.names, &row)?;
    Ok(row)
}

fn told(row: &Row, what: &str, why: Option<&String>, output: Output) -> String {
    let code = row.error_code.map_or("", Code::id);
    let data =
        serde_json::json!({"file": row.file, "was": row.seq, "code": code, "result": what, "reason": why});
    if let Some(data) = output.encode(&data) {
        return String::from_utf8(data).unwrap_or_default();
    }
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    format!("{} (number {}, {code}) {what}{why}\n", row.file, row.seq.unwrap_or_default())
}

fn failed_row(config: &Config, of: &str) -> Result<Row, CommandError> {
    let shown = shown(config, of)?;
    if shown.intent.state != State::Failed {
        return Err(CommandError::hindered(
            format!("{of} is {}, not failed", shown.intent.state),
            "Hand the file in again by `conductor-loop submit` if it is to run once more.",
        ));
    }
    Ok(shown.intent)
}

/// Of each name only the newest intent, and only if it failed: a later success must not be undone. Refused files would be
/// refused again, and cancelled ones are not wanted, so they are left out unless their code is given.
fn failed_rows(config: &Config, selection: &Selection) -> Result<Vec<Row>, CommandError> {
    let mut page = Selection { most: ROWS_MAX, since: selection.since, ..Selection::default() };
    let (mut seen, mut rows) = (HashSet::new(), Vec::new());
    loop {
        let listing = list(config, page.clone())?;
        for row in listing.intents {
            let newest = seen.insert(row.file.clone());
            let ran = row.attempts > 0 && row.error_code != Some(Code::Cancelled);
            let passing = ran || selection.code.is_some();
            if newest && passing && row.state == State::Failed && selection.takes(&row) {
                rows.push(row);
            }
        }
        match listing.next_before {
            Some(before) => page.before = Some(before),
            None => break,
        }
    }
    // The pages have neither the unfinished ones beyond the first nor what is not of the selection.
    let names: Vec<&str> = rows.iter().map(|row| row.file.as_str()).collect();
    let of_names = all_explained(config, &names)?;
    let is_newest = |(row, of_name): (Row, Explained)| {
        let newer = of_name.intent.is_some_and(|other| other.seq != row.seq && other.file == row.file);
        (!newer).then_some(row)
    };
    // In order of taking.
    Ok(rows.into_iter().zip(of_names).rev().filter_map(is_newest).collect())
}

/// The archived bytes, checked against the record.
fn archived(handoff: &Dir, names: &Names, row: &Row) -> Result<(IntentName, Vec<u8>), NotRetried> {
    // Under any other name it would lie there, and not be taken.
    let name = names.intent(&row.file).ok_or_else(|| NotRetried::Name(names.expected()))?;
    let at = row.archived_as.as_deref().and_then(ArchivedAs::parse).ok_or(NotRetried::NotKept)?;
    let recorded = row.sha256.ok_or(NotRetried::NeverRead)?;
    let other = |how| NotRetried::OtherFile { at: at.to_string(), how };
    // One byte more than recorded reveals another file; its real size does not matter.
    let read = handoff
        .sub(at.archive.folder())
        .and_then(|dir| read_whole(dir.open_read(at.name)?, row.size.unwrap_or(SIZE_MAX)));
    let bytes = read.map_err(|error| match error.kind() {
        ErrorKind::FileTooLarge => other("size"),
        _ => NotRetried::Unread { at: at.to_string(), cause: error },
    })?;
    if sha256(&bytes) != recorded {
        return Err(other("SHA-256"));
    }
    Ok((name, bytes))
}

fn hand_in(handoff: &Dir, names: &Names, row: &Row) -> Result<Option<Submitted>, NotRetried> {
    let (name, bytes) = archived(handoff, names, row)?;
    let before = status_seq(handoff, &name);
    place(handoff, &name, &bytes).map_err(|cause| NotHandedIn::of(&row.file, name.as_str(), cause))?;
    Ok(Some(Submitted { sha256: sha256(&bytes), name, before }))
}

/// `hold TARGET | --all`
pub fn hold(config: &Config, target: &str, note: &str, output: Output) -> Result<Exit, CommandError> {
    let question = Question::Hold { target: target.to_owned(), note: note.to_owned() };
    let Answer::Held(held) = ask(config, &question)? else { return Err(CommandError::other_version()) };
    output.answer(&held, |held| match held.target.as_str() {
        EVERYTHING => "everything is held: nothing starts until `conductor-loop release --all`\n".to_owned(),
        target => {
            format!("{target} is held: nothing of it starts until `conductor-loop release {target}`\n")
        }
    })
}

/// `cancel INTENT...`: each by number or file name.
pub fn cancel(config: &Config, intents: &[String], output: Output) -> Result<Exit, CommandError> {
    let mut worst = Exit::Good;
    for of in intents {
        // What was done is told before the next is asked for, which may take long or fail.
        let told = match ask(config, &Question::Cancel { of: of.clone() }) {
            Ok(Answer::Cancelled(row)) => output.form(&row, |row| cancelled(row)),
            Ok(_) => return Err(CommandError::other_version()),
            Err(error) if intents.len() == 1 => return Err(error),
            // The others are cancelled all the same.
            Err(error) => {
                let told =
                    serde_json::json!({"of": of, "result": "not cancelled", "reason": error.to_string()});
                worst = worst.max(error.exit());
                output.form(&told, |_| format!("{of} is not cancelled: {error}\n"))
            }
        };
        print(&told)?;
    }
    Ok(worst)
}

fn cancelled(row: &Row) -> String {
    let file = row.archived_as.as_deref().unwrap_or_default();
    format!("{} (number {}) is cancelled, and filed as {file}\n", row.file, row.seq.unwrap_or_default())
}

/// `release TARGET | --all`
pub fn release(config: &Config, target: &str, output: Output) -> Result<Exit, CommandError> {
    let question = Question::Release { target: target.to_owned() };
    let Answer::Released { target } = ask(config, &question)? else {
        return Err(CommandError::other_version());
    };
    output.answer(&serde_json::json!({"target": target}), |_| match target.as_str() {
        EVERYTHING => "everything may go on, but for targets that are held themselves\n".to_owned(),
        target => format!("{target} may go on\n"),
    })
}

/// `purge --older-than TIME [--yes]`
pub fn purge(config: &Config, before: Timestamp, really: bool, output: Output) -> Result<Exit, CommandError> {
    let Answer::Purged(purged) = ask(config, &Question::Purge { before, really })? else {
        return Err(CommandError::other_version());
    };
    if let Some(data) = output.encode(&purged) {
        return print(&data);
    }
    let (what, next) = if really {
        ("are being removed", String::new())
    } else {
        (
            "would be removed",
            format!(
                "Nothing was removed. With --yes it is: conductor-loop purge --older-than {} --yes\n",
                short(before)
            ),
        )
    };
    let text = format!(
        "{} outcomes {what} with their archived files and statuses, {} of them failures\n{next}",
        purged.outcomes, purged.failed
    );
    print(text.as_bytes())
}
