//! Runs programs with an action at their N-th system call: the library side of the `at-call` program, a process of its
//! own because waiting for traced processes affects every child of a process.

use crate::calls::Class;
use crate::tool;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// The action at the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// No action; the calls are counted.
    Count,
    /// The program is killed before the call.
    Kill,
    /// The call fails with this errno, once.
    Fail(i32),
    /// That call and all after it fail.
    FailOn(i32),
    /// A write writes half of its bytes.
    Short,
    /// It becomes the call of this number with these arguments.
    Instead(i64, [u64; 6]),
}

/// The result of a traced run.
#[derive(Debug, Clone)]
pub struct Report {
    /// Calls seen, including those of children where these are counted.
    pub calls: u64,
    /// The program's exit status, unless a signal ended it.
    pub exit: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<String>,
    /// The program's own calls by name.
    pub counts: BTreeMap<String, u64>,
    /// Bytes that its write calls requested.
    pub written: u64,
    /// The call at which the action happened; `None` if the program ended before it.
    pub at: Option<String>,
    /// The program's standard error.
    pub stderr: String,
}

/// Runs a program to its end, with the action at call number `at` (from 1) of the class. After `seconds` it is sent TERM,
/// ten seconds later KILL. `scratch` takes the report. `None`: tracing is not permitted here.
pub fn at_call(
    command: &Command,
    (class, action, at): (Class<'_>, Action, u64),
    seconds: u64,
    scratch: &Path,
) -> Option<Report> {
    let action = match action {
        Action::Count => "count".to_owned(),
        Action::Kill => "kill".to_owned(),
        Action::Fail(errno) => format!("fail={errno}"),
        Action::FailOn(errno) => format!("fail-on={errno}"),
        Action::Short => "short".to_owned(),
        Action::Instead(number, arguments) => {
            format!("instead={number},{}", arguments.map(|argument| argument.to_string()).join(","))
        }
    };
    let (report, log) = (scratch.join("at-call.report"), scratch.join("at-call.log"));
    let _ = std::fs::remove_file(&report);
    let mut tracer = Command::new(tool("at-call"));
    tracer.args([class.word(), action, at.to_string(), seconds.to_string()]).arg(&report);
    tracer.arg(command.get_program()).args(command.get_args()).env_clear();
    for (name, value) in command.get_envs() {
        tracer.env(name, value.unwrap_or_default());
    }
    if let Some(directory) = command.get_current_dir() {
        tracer.current_dir(directory);
    }
    // A file, not a pipe: the reader of a pipe would wait for an orphan that holds it open.
    let stderr = std::fs::File::create(&log).expect("the scratch directory is ours");
    let status =
        tracer.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).status().expect("it starts");
    let stderr = String::from_utf8_lossy(&std::fs::read(&log).unwrap_or_default()).into_owned();
    if !status.success() {
        let forbidden = stderr.contains("not permitted here") || stderr.contains("x86_64 only");
        assert!(forbidden, "at-call: {status}: {stderr}");
        return None;
    }
    let text = std::fs::read_to_string(&report).expect("a report");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    let counts = report["counts"].as_object().expect("counts");
    let text = |name: &str| report[name].as_str().map(str::to_owned);
    Some(Report {
        calls: report["calls"].as_u64().expect("a number"),
        exit: report["exit"].as_i64().and_then(|code| code.try_into().ok()),
        signal: text("signal"),
        counts: counts.iter().map(|(name, n)| (name.clone(), n.as_u64().unwrap_or(0))).collect(),
        written: report["written"].as_u64().unwrap_or(0),
        at: text("at"),
        stderr,
    })
}
