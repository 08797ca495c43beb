//! Subcommands: small programs over configuration, store and the daemon's local socket. Few of them need a running daemon.

mod act;
mod ask;
mod audit;
mod backup;
mod doctor;
mod error;
mod keys;
mod logs;
mod look;
mod output;
mod preview;
mod rebuild;
mod restore;
mod state;
mod submit;
mod table;
mod top;
mod trail;
mod verify;
mod wait;

pub use act::{Retried, RetryArgs, cancel, hold, purge, release, retry};
pub use audit::{AuditFilter, audit_export, audit_proof, audit_show, audit_verify};
pub use backup::{BackupArgs, backup_list, backup_now, backup_verify};
pub use doctor::doctor;
pub use error::CommandError;
pub use keys::{keys_export_public, keys_rotate, keys_show};
pub use logs::{LogsArgs, logs};
pub use look::{explain, health, list, show, status};
pub use output::{Colour, Output};
pub use preview::{check, plan};
pub use rebuild::state_rebuild;
pub use restore::backup_restore;
pub use state::{state_export, state_import, state_show};
pub use submit::{SubmitArgs, submit};
pub use top::top;
pub use trail::VerifyArgs;
pub use verify::verify;
pub use wait::wait;

use crate::config::{Config, Layers, Origin, SETTINGS};
use conductor_core::Exit;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::os::fd::AsFd;

/// Writes to standard output. A closed pipe is no failure: `conductor-loop schema | head`.
fn print(text: &[u8]) -> Result<Exit, CommandError> {
    print_on(text).map(|_| Exit::Good)
}

/// Writes to standard output, and says whether somebody still reads there: what prints again and again ends otherwise.
fn print_on(text: &[u8]) -> Result<bool, CommandError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(CommandError::Output(error)),
        Ok(()) => Ok(true),
    }
}

/// Pauses before something is printed again; returns whether somebody still reads it.
fn pause(length: std::time::Duration) -> Result<bool, CommandError> {
    let unread = conductor_os::wake::wait_unread(io::stdout().as_fd(), length);
    unread.map(|unread| !unread).map_err(CommandError::system("waiting for the next look"))
}

/// `schema`
pub fn print_schema() -> Result<Exit, CommandError> {
    print(schema_text().as_bytes())
}

/// The shipped schema as printed and committed.
pub fn schema_text() -> String {
    let mut text = serde_json::to_string_pretty(&conductor_core::intent::schema()).unwrap_or_default();
    text.push('\n');
    text
}

/// `config show`
pub fn config_show(layers: &Layers, output: Output) -> Result<Exit, CommandError> {
    let raw = &layers.values;
    // Shown even if a value is wrong: that is when a user looks. The verdict is the exit status.
    let verdict = Config::new(layers.clone());
    let rows = SETTINGS
        .iter()
        .filter_map(|setting| raw.get(setting.key).map(|(value, origin)| (setting.key, value, origin)));
    let mut text = String::new();
    for (key, value, origin) in rows.clone() {
        let value = if value.is_empty() { "-" } else { value };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{key:<22} {value:<24} {origin}");
    }
    let member = |(key, value, origin): (&str, &String, &Origin)| {
        (key.to_owned(), json!({"value": value, "origin": origin.to_string()}))
    };
    let members: Map<String, Value> = rows.map(member).collect();
    output.answer(&members, |_| text)?;
    let config = verdict?;
    for warning in &config.warnings {
        // If standard error cannot be written, the rows must do.
        let _ = writeln!(io::stderr().lock(), "WARNING: {warning}");
    }
    Ok(Exit::Good)
}
