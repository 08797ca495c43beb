//! `check` and `plan`: the result that the daemon would have for an intent, without handing it in. No file is written.

use super::error::CommandError;
use super::output::Output;
use super::stdout::print;
use super::submit::unread;
use crate::config::Config;
use crate::daemon::package_engine;
use conductor_core::intent::{Intent, Policy, Refusal, judge};
use conductor_core::name::Names;
use conductor_core::record::one_line;
use conductor_core::{Code, Exit};
use conductor_os::plain::read_plain;
use conductor_porch::{Order, Patience, PorchError, Provenance};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// The time limit of a repository's answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// `check FILE...`: the verdict on each, with the place, the value found and the expected one.
pub fn check(config: &Config, files: &[String], output: Output) -> Result<Exit, CommandError> {
    let mut exit = Exit::Good;
    let mut answer = String::new();
    for file in files {
        let verdict = named(&config.fixed.names, file).and_then(|()| read(config, file));
        exit = exit.max(if verdict.is_ok() { Exit::Good } else { Exit::Failed });
        let told = if output.is_data() { as_line(file, &verdict) } else { as_text(file, &verdict) };
        answer.push_str(&told);
    }
    print(answer.as_bytes()).map(|_| exit)
}

/// `plan FILE...`: the change of the package that the embedded engine would make, as a unified diff or as result lines.
pub fn plan(config: &Config, files: &[String], output: Output) -> Result<Exit, CommandError> {
    let engine = package_engine(config, &config.fixed.out);
    let (mut exit, mut answer) = (Exit::Good, String::new());
    for file in files {
        let planned =
            read(config, file).map_err(|refusal| (refusal.code, refusal.to_string())).and_then(|intent| {
                let patience = Patience::new(PATIENCE, PATIENCE);
                let order = Order { intent, provenance: Provenance::default(), came: None };
                engine
                    .preview(&order, &patience)
                    .map_err(|error: PorchError| (error.code(), error.to_string()))
            });
        match planned {
            Ok(applied) if output.is_data() => answer.extend([applied.outcome.line(), "\n".to_owned()]),
            Ok(applied) if !applied.outcome.changed => {
                // Writing to a String cannot fail.
                let _ = writeln!(answer, "{file}: nothing to change in {}", applied.outcome.package);
            }
            Ok(applied) => answer.push_str(&applied.diff()),
            Err((code, reason)) => {
                exit = Exit::Failed;
                let told = if output.is_data() {
                    refused_line(file, code, &reason)
                } else {
                    refused_text(file, code, &reason)
                };
                answer.push_str(&told);
            }
        }
    }
    print(answer.as_bytes()).map(|_| exit)
}

/// Whether the daemon would take a file of this name.
fn named(names: &Names, file: &str) -> Result<(), Refusal> {
    let name =
        Path::new(file).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match names.intent(&name) {
        Some(_) => Ok(()),
        None => Err(Refusal::new(Code::BadFileName, "", &format!("the name '{name}'"), &names.expected())),
    }
}

fn read(config: &Config, file: &str) -> Result<Intent, Refusal> {
    let limit = config.live.max_file_size;
    let bytes = read_plain(Path::new(file), limit).map_err(|error| match unread(&error) {
        Code::TooLarge => {
            let expected = format!("at most {limit} bytes (--max-file-size)");
            Refusal::new(Code::TooLarge, "", "a larger file", &expected)
        }
        code => Refusal::new(code, "", &error.to_string(), "a plain file that can be read"),
    })?;
    judge(&bytes, Policy { allow_scale_to_zero: config.fixed.allow_scale_to_zero })
}

fn as_text(file: &str, verdict: &Result<Intent, Refusal>) -> String {
    match verdict {
        Ok(intent) => {
            let to = intent.replicas.map(|replicas| format!(" to {replicas}")).unwrap_or_default();
            let kind = kind(intent);
            format!("{file}: accepted: {} {}{to}\n", kind.as_str().unwrap_or_default(), intent.key)
        }
        Err(refusal) => refused_text(file, refusal.code, &refusal.to_string()),
    }
}

fn kind(intent: &Intent) -> Value {
    serde_json::to_value(intent.kind).unwrap_or_default()
}

fn refused_text(file: &str, code: Code, reason: &str) -> String {
    format!("{file}: {code} {reason}\n  what to do: {}\n", code.remedy())
}

fn as_line(file: &str, verdict: &Result<Intent, Refusal>) -> String {
    match verdict {
        Ok(intent) => line(&json!({"file": file, "verdict": "accepted", "kind": kind(intent),
            "namespace": intent.key.namespace, "target": intent.key.target, "replicas": intent.replicas,
            "priority": intent.priority, "correlation_id": intent.correlation_id})),
        Err(refusal) => line(&json!({"file": file, "verdict": "refused", "code": refusal.code.id(),
            "reason": refusal.to_string(), "remedy": refusal.code.remedy(), "field": refusal.field,
            "found": refusal.found, "expected": refusal.expected})),
    }
}

fn refused_line(file: &str, code: Code, reason: &str) -> String {
    line(
        &json!({"file": file, "verdict": "refused", "code": code.id(), "reason": reason, "remedy": code.remedy()}),
    )
}

fn line(value: &Value) -> String {
    let mut bytes = one_line(value);
    bytes.push(b'\n');
    String::from_utf8(bytes).unwrap_or_default()
}
