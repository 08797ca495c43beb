//! Subcommands: small programs over configuration, store and the daemon's local socket. Few of them need a running daemon.

mod act;
mod ask;
mod doctor;
mod follow;
mod foretell;
mod look;
mod rebuild;
mod state;
mod submit;
mod top;

pub use act::{Again, hold, purge, release, retry};
pub use doctor::doctor;
pub use follow::logs;
pub use foretell::{check, plan};
pub use look::{Wanted, explain, health, list, show, status};
pub use rebuild::state_rebuild;
pub use state::{state_export, state_import, state_show};
pub use submit::{submit, wait_time};
pub use top::top;

use crate::config::{Config, ConfigError, Layers, SETTINGS};
use crate::daemon::Failure;
use crate::store::StoreError;
use conductor_core::Code;
use conductor_core::record::one_line;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub struct OpsError {
    /// What was attempted, on what, why it failed; begins with a code where there is one.
    pub message: String,
    /// What to do.
    pub remedy: Cow<'static, str>,
    /// The exit status.
    pub status: u8,
}

impl OpsError {
    fn new(code: Code, message: impl std::fmt::Display, status: u8) -> Self {
        Self { message: format!("{code} {message}"), remedy: code.remedy().into(), status }
    }
}

impl From<ConfigError> for OpsError {
    fn from(error: ConfigError) -> Self {
        Self::new(error.code(), &error, 2)
    }
}

impl From<Failure> for OpsError {
    fn from(failure: Failure) -> Self {
        Self { message: failure.to_string(), remedy: failure.remedy().into(), status: 1 }
    }
}

impl From<StoreError> for OpsError {
    fn from(error: StoreError) -> Self {
        Self::new(error.code(), &error, 1)
    }
}

impl From<io::Error> for OpsError {
    fn from(error: io::Error) -> Self {
        Self {
            message: format!("cannot write the answer: {error}"),
            remedy: "Check where the output goes.".into(),
            status: 1,
        }
    }
}

/// Whatever is read from a closed pipe is not wanted any more: `conductor-loop schema | head` is no failure.
fn print(text: &[u8]) -> Result<u8, OpsError> {
    match io::stdout().lock().write_all(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(0),
    }
}

/// One line of JSON.
fn print_json(value: &impl Serialize) -> Result<u8, OpsError> {
    let mut line = one_line(value);
    line.push(b'\n');
    print(&line)
}

/// `schema`
pub fn print_schema() -> Result<u8, OpsError> {
    print(schema_text().as_bytes())
}

/// The shipped schema as it is printed and committed.
pub fn schema_text() -> String {
    let mut text = serde_json::to_string_pretty(&conductor_core::intent::schema()).unwrap_or_default();
    text.push('\n');
    text
}

/// `config show`
pub fn config_show(layers: &Layers, as_json: bool) -> Result<u8, OpsError> {
    let raw = &layers.values;
    // Shown even where a value is wrong: that is when one looks. The verdict is the exit status.
    let verdict = Config::new(layers.clone());
    let rows = SETTINGS
        .iter()
        .filter_map(|setting| raw.get(setting.key).map(|(value, origin)| (setting.key, value, origin)));
    if as_json {
        let members: Map<String, Value> = rows
            .map(|(key, value, origin)| {
                (key.to_owned(), json!({"value": value, "origin": origin.to_string()}))
            })
            .collect();
        print_json(&members)?;
    } else {
        let mut text = String::new();
        for (key, value, origin) in rows {
            let value = if value.is_empty() { "-" } else { value };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{key:<22} {value:<24} {origin}");
        }
        print(text.as_bytes())?;
    }
    let config = verdict?;
    for warning in &config.warnings {
        // With nowhere to warn to, the rows have to do.
        let _ = writeln!(io::stderr().lock(), "WARNING: {warning}");
    }
    config.may_start().map(|()| 0).map_err(OpsError::from)
}
