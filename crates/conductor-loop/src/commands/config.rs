//! `config show`: every setting with its origin.

use super::error::CommandError;
use super::output::Output;
use crate::config::{Config, Layers, Origin, SETTINGS};
use conductor_core::Exit;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::io::{self, Write};

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
