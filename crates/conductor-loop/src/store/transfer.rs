//! Export as JSON lines, and import of that or of the plain state file of the Go version.

use super::{Store, StoreError};
use conductor_core::Digest;
use conductor_core::record::{Outcome, PROCESSED_BY, Status, VERSION, one_line};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};

/// First line of an export.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    exported_at: Timestamp,
    last_seq: u64,
}

const FORMAT: &str = "conductor-loop state";
/// Upper bound of what is read of one file to import: a million entries of the Go version are about 300 MB.
const IMPORT_MAX: u64 = 2 << 30;
/// Outcomes per transaction of an import.
const CHUNK: usize = 1_000;

/// What an import brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportCount {
    /// Outcomes taken over.
    pub imported: u64,
    /// Entries that were there already or could not be used.
    pub skipped: u64,
}

/// The state file of the Go version: `states` by path.
#[derive(Debug, Deserialize)]
struct GoState {
    version: String,
    states: BTreeMap<String, Option<GoEntry>>,
}

#[derive(Debug, Deserialize)]
struct GoEntry {
    sha256: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    processed_at: Option<Timestamp>,
    status: String,
}

/// Writes every outcome as one JSON object a line, after a header line.
pub fn export(store: &Store, now: Timestamp, out: &mut impl Write) -> Result<u64, StoreError> {
    let header = Header {
        format: FORMAT.to_owned(),
        version: super::VERSION,
        exported_at: now,
        last_seq: store.last_seq()?,
    };
    let mut count = 0;
    let mut result = write_line(out, &header);
    store.outcomes(|outcome| {
        count += 1;
        result = write_line(out, &outcome);
        result.is_ok()
    })?;
    result.map_err(|error| StoreError::Io(format!("writing the export: {error}")))?;
    Ok(count)
}

fn write_line(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    out.write_all(&one_line(value))?;
    out.write_all(b"\n")
}

/// Whether a text is the state file of the Go version.
pub fn looks_like_go_state(bytes: &[u8]) -> bool {
    serde_json::from_slice::<GoState>(bytes).is_ok_and(|state| state.version.starts_with("1."))
}

/// Reads an export or a Go state file into the store. Nothing is overwritten: an import can be repeated.
pub fn import(store: &Store, now: Timestamp, from: &mut impl Read) -> Result<ImportCount, StoreError> {
    let mut text = String::new();
    from.take(IMPORT_MAX)
        .read_to_string(&mut text)
        .map_err(|error| StoreError::Import(format!("the file cannot be read as UTF-8 text: {error}")))?;
    let first = text.lines().next().unwrap_or_default();
    let outcomes = match serde_json::from_str::<Header>(first) {
        Ok(header) if header.format == FORMAT && header.version == super::VERSION => exported(&text)?,
        Ok(header) => {
            let what = format!(
                "it says '{}' version {}; expected '{FORMAT}' version {}",
                header.format,
                header.version,
                super::VERSION
            );
            return Err(StoreError::Import(what));
        }
        Err(_) => from_go(&text, store.last_seq()?, now)?,
    };
    insert(store, &outcomes)
}

fn exported(text: &str) -> Result<Vec<Outcome>, StoreError> {
    let lines = BufReader::new(text.as_bytes()).lines().enumerate().skip(1);
    lines
        .filter(|(_, line)| line.as_ref().map_or(true, |line| !line.trim().is_empty()))
        .map(|(number, line)| {
            let at = |error: String| StoreError::Import(format!("line {}: {error}", number + 1));
            let outcome: Outcome =
                serde_json::from_str(&line.map_err(|e| at(e.to_string()))?).map_err(|e| at(e.to_string()))?;
            if outcome.v == VERSION { Ok(outcome) } else { Err(at(format!("record version {}", outcome.v))) }
        })
        .collect()
}

fn from_go(text: &str, last_seq: u64, now: Timestamp) -> Result<Vec<Outcome>, StoreError> {
    let state: GoState = serde_json::from_str(text)
        .map_err(|error| StoreError::Import(format!("neither an export nor a Go state file: {error}")))?;
    if !state.version.starts_with("1.") {
        return Err(StoreError::Import(format!("a Go state file of unknown version '{}'", state.version)));
    }
    // Oldest first, so that of two entries with one name the latest wins.
    let mut entries: Vec<(&String, &GoEntry)> =
        state.states.iter().filter_map(|(path, entry)| Some((path, entry.as_ref()?))).collect();
    entries.sort_by_key(|(_, entry)| entry.processed_at);
    let mut outcomes = Vec::with_capacity(entries.len());
    for (path, entry) in entries {
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
        let (Some(sha256), Some(name)) =
            (Digest::from_hex(&entry.sha256), conductor_core::name::IntentName::new(name))
        else {
            continue;
        };
        let status = if entry.status == "processed" { Status::Success } else { Status::Failed };
        let seq = last_seq + 1 + outcomes.len() as u64;
        outcomes.push(imported(
            seq,
            name.as_str(),
            status,
            (sha256, entry.size),
            entry.processed_at.unwrap_or(now),
        ));
    }
    Ok(outcomes)
}

fn imported(seq: u64, name: &str, status: Status, (sha256, size): (Digest, u64), at: Timestamp) -> Outcome {
    Outcome {
        status,
        message: "Imported from the state file of the Go version".to_owned(),
        sha256: Some(sha256),
        size,
        imported: true,
        ..Outcome::blank(seq, name, at)
    }
}

/// Adds what is not there. Imported Go entries are recognised by name, bytes and time, exported ones by number too.
fn insert(store: &Store, outcomes: &[Outcome]) -> Result<ImportCount, StoreError> {
    let mut known = std::collections::HashMap::new();
    store.outcomes(|outcome| {
        known.insert((outcome.name, outcome.sha256, outcome.finished_at), outcome.seq);
        true
    })?;
    let taken: std::collections::HashSet<u64> = known.values().copied().collect();
    let fresh: Vec<&Outcome> = outcomes
        .iter()
        .filter(|o| !known.contains_key(&(o.name.clone(), o.sha256, o.finished_at)))
        .filter(|o| !taken.contains(&o.seq))
        .collect();
    for chunk in fresh.chunks(CHUNK) {
        store.write(|batch| chunk.iter().try_for_each(|outcome| batch.import_outcome(outcome)))?;
    }
    let imported = fresh.len() as u64;
    Ok(ImportCount { imported, skipped: outcomes.len() as u64 - imported })
}

impl std::fmt::Display for ImportCount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} imported into {PROCESSED_BY}, {} already known", self.imported, self.skipped)
    }
}
