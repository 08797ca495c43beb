//! Checks the product's promise from outside after any history of kills and faults: every intent has exactly one outcome,
//! one archived file with its exact bytes, one signed status, one entry in an audit trail that verifies; porch ran for it, never beside itself
//! and not more often than promised.

use crate::{TestEnv, trail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// The expected ending of an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// `porch` succeeded.
    Success,
    /// `porch` succeeded after this many starts that ended with a temporary failure; if kills used up the other starts of
    /// --max-attempts, giving up is accepted too.
    SuccessAfter(usize),
    /// `porch` succeeded before a later intent of the same name came: only the archived file is left.
    Before,
    /// A success that repeats the one before; porch did not run.
    Duplicate,
    /// The intent failed with this code.
    Failed(&'static str),
    /// Any ending: a fault was injected on the way.
    Any,
}

/// The default of `--max-attempts`.
const MAX_ATTEMPTS: usize = 3;

/// One intent that was dropped.
#[derive(Debug, Clone)]
pub struct Dropped {
    /// Its file name.
    pub name: String,
    /// Its bytes.
    pub content: String,
    /// Its expected ending.
    pub ending: Ending,
}

macro_rules! ensure {
    ($holds:expr, $($said:tt)+) => {
        if !$holds {
            return Err(format!($($said)+));
        }
    };
}

/// Checks the promise. `kills`: the number of kills and injected faults; each may cost one more start of porch. With
/// `external`, the fake porch's records are compared with the statuses.
pub fn check(env: &TestEnv, dropped: &[Dropped], kills: usize, external: bool) -> Result<(), String> {
    let left: Vec<_> = env.names("").into_iter().filter(|name| name.starts_with("intent-")).collect();
    ensure!(left.is_empty(), "left in the handoff directory: {left:?}");
    ensure!(env.left_over().is_empty(), "left: {:?}", env.left_over());
    let statuses: BTreeSet<_> = env.names("status").into_iter().collect();
    let wanted: BTreeSet<_> = dropped.iter().map(|one| format!("{}.status", one.name)).collect();
    let (before, dropped_last): (Vec<_>, Vec<_>) =
        dropped.iter().partition(|one| one.ending == Ending::Before);
    ensure!(statuses == wanted, "statuses {statuses:?}, not {wanted:?}");
    let mut archived = BTreeSet::new();
    let runs = if external { runs(env)? } else { BTreeMap::new() };
    for one in before {
        archived.insert(archive(
            env,
            one,
            &serde_json::json!({"status": "success",
            "archived_as": format!("processed/{}", one.name)}),
        )?);
    }
    for one in dropped_last {
        let status = status(env, &one.name)?;
        ending(one, &status, kills)?;
        archived.insert(archive(env, one, &status)?);
        if external {
            let runs = runs.get(&(one.name.clone(), one.content.clone())).copied().unwrap_or(0);
            attempts(one, &status, runs, kills)?;
        }
    }
    every_status_is_signed(env, &statuses)?;
    every_file_is_told_of(env, &archived)?;
    ensure!(env.porches().is_empty(), "a porch still runs");
    outcomes(env, dropped)
}

fn status(env: &TestEnv, name: &str) -> Result<Value, String> {
    let text = env.read(&format!("status/{name}.status"));
    serde_json::from_str(&text).map_err(|error| format!("status of {name}: {error}: {text}"))
}

fn ending(one: &Dropped, status: &Value, kills: usize) -> Result<(), String> {
    let (word, code) = (status["status"].as_str(), status["error_code"].as_str());
    let duplicate = status.get("duplicate_of").is_some();
    let as_wanted = match one.ending {
        Ending::Success | Ending::Before => word == Some("success") && !duplicate,
        Ending::SuccessAfter(temporary) => {
            let given_up = code == Some("E306") && status["attempts"] == MAX_ATTEMPTS;
            (word == Some("success") && !duplicate) || (given_up && temporary + kills >= MAX_ATTEMPTS)
        }
        Ending::Duplicate => word == Some("success") && duplicate,
        Ending::Failed(wanted) => word == Some("failed") && code == Some(wanted),
        Ending::Any => word == Some("success") || (word == Some("failed") && code.is_some()),
    };
    ensure!(as_wanted, "{} was to end as {:?}: {status}", one.name, one.ending);
    Ok(())
}

/// Checks the archived file: at the place named by the status, with the dropped bytes; with an error log if it failed.
fn archive(env: &TestEnv, one: &Dropped, status: &Value) -> Result<String, String> {
    let place = status["archived_as"].as_str().unwrap_or_default().to_owned();
    let dir = if status["status"] == "success" { "processed/" } else { "failed/" };
    ensure!(place.starts_with(dir), "{} is archived as '{place}': {status}", one.name);
    let bytes = fs::read(env.handoff(&place)).map_err(|error| format!("{place}: {error}"))?;
    ensure!(
        bytes == one.content.as_bytes(),
        "{place} holds other bytes: {:?}",
        String::from_utf8_lossy(&bytes)
    );
    if dir == "failed/" {
        let log = env.read(&format!("{place}.error.log"));
        ensure!(log.contains("What to do:"), "the error log of {place} is not whole: {log}");
    }
    Ok(place)
}

/// Starts of the fake porch by intent name and content. Checks that one target never runs beside itself.
fn runs(env: &TestEnv) -> Result<BTreeMap<(String, String), u64>, String> {
    let (mut runs, mut busy_until) = (BTreeMap::new(), BTreeMap::new());
    for call in env.calls() {
        let content = call.record["content"].as_str().unwrap_or_default().to_owned();
        *runs.entry((call.intent_name(), content)).or_default() += 1;
        let before: &mut u64 = busy_until.entry(call.target()).or_default();
        ensure!(*before <= call.begin_ns, "{} ran beside itself", call.target());
        *before = call.end_ns.unwrap_or(call.begin_ns);
    }
    Ok(runs)
}

fn attempts(one: &Dropped, status: &Value, runs: u64, kills: usize) -> Result<(), String> {
    let said = status["attempts"].as_u64().unwrap_or(0);
    let kills = kills as u64;
    if one.ending == Ending::Duplicate {
        ensure!(said == 0 && runs <= 1, "{}: a duplicate that ran: {runs}, {status}", one.name);
        return Ok(());
    }
    // A run killed at once may not have recorded itself.
    let not_started = status["error_code"] == "E304";
    let honest = runs <= said && (said <= runs + kills || not_started);
    ensure!(honest, "{}: {said} attempts said, {runs} recorded, {kills} kills: {status}", one.name);
    let success = status["status"] == "success" && status.get("duplicate_of").is_none();
    ensure!(!success || runs >= 1, "{}: success without a run", one.name);
    Ok(())
}

/// Holds each status against the statement that one of the keys beside the state has signed (DSSE 1.0, as docs/FORMATS.md says).
pub(crate) fn every_status_is_signed(env: &TestEnv, names: &BTreeSet<String>) -> Result<(), String> {
    let keys = trail::public(env);
    for name in names {
        let text = env.read(&format!("status/{name}"));
        let mut status: Value =
            serde_json::from_str(&text).map_err(|error| format!("{name}: {error}: {text}"))?;
        let attestation = status["attestation"].take();
        ensure!(attestation.is_object(), "{name} is not signed: {text}");
        let decoded = |value: &Value| STANDARD.decode(value.as_str().unwrap_or_default()).unwrap_or_default();
        let form = attestation["payloadType"].as_str().unwrap_or_default();
        let payload = decoded(&attestation["payload"]);
        let mut message = format!("DSSEv1 {} {form} {} ", form.len(), payload.len()).into_bytes();
        message.extend(&payload);
        let signature: Result<[u8; 64], _> = decoded(&attestation["signatures"][0]["sig"]).try_into();
        let signature = signature.map_err(|sig| format!("{name}: a signature of {} bytes", sig.len()))?;
        ensure!(keys.iter().any(|key| key.verify(&message, &signature)), "{name}: signed by no known key");
        let statement: Value =
            serde_json::from_slice(&payload).map_err(|error| format!("{name}: {error}"))?;
        if let Some(status) = status.as_object_mut() {
            status.remove("attestation");
        }
        ensure!(statement["predicate"]["status"] == status, "{name} is not what was signed: {statement}");
    }
    Ok(())
}

fn every_file_is_told_of(env: &TestEnv, archived: &BTreeSet<String>) -> Result<(), String> {
    for dir in ["processed", "failed"] {
        for name in env.names(dir) {
            let place = format!("{dir}/{}", name.strip_suffix(".error.log").unwrap_or(&name));
            ensure!(archived.contains(&place), "{dir}/{name} belongs to no status");
        }
    }
    Ok(())
}

/// Checks that the store has one outcome for each intent, and no other.
fn outcomes(env: &TestEnv, dropped: &[Dropped]) -> Result<(), String> {
    let exported = env.run(&["state", "export", "-handoff", &env.path("handoff").display().to_string()]);
    ensure!(exported.status.success(), "state export: {}", exported.stderr);
    let lines = exported.stdout.lines().skip(1).map(serde_json::from_str::<Value>);
    let lines: Vec<Value> =
        lines.collect::<Result<_, _>>().map_err(|error| format!("state export: {error}"))?;
    let name = |line: &Value| line["name"].as_str().unwrap_or_default().to_owned();
    let mut names: Vec<String> = lines.iter().map(name).collect();
    names.sort();
    let mut wanted: Vec<String> = dropped.iter().map(|one| one.name.clone()).collect();
    wanted.sort();
    ensure!(names == wanted, "outcomes of {names:?}, not of {wanted:?}");
    let numbers: Vec<u64> = lines.iter().filter_map(|line| line["seq"].as_u64()).collect();
    trail::check(env, &numbers)
}
