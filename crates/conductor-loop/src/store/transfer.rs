//! Exports JSON lines, and imports them or the plain state file of the Go version.

use super::take_over::{Added, add};
use super::{Extent, Ledger, StoreError};
use conductor_core::record::{Outcome, PROCESSED_BY, Status, VERSION, one_line};
use conductor_core::{Digest, Seq};
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
    last_seq: Seq,
}

const FORMAT: &str = "conductor-loop state";
/// Version of the export; independent of the store's layout.
const EXPORT_VERSION: u32 = 1;
/// The largest file to import: a million entries of the Go version are about 300 MB.
const IMPORT_MAX: u64 = 2 << 30;

/// The result of an import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportCount {
    /// Outcomes imported.
    pub imported: u64,
    /// Entries that existed already or could not be used.
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

/// Writes every outcome as one JSON object per line, after a header line.
pub fn export(store: &dyn Ledger, now: Timestamp, out: &mut impl Write) -> Result<u64, StoreError> {
    let mut count = 0;
    let mut result = export_header(now, store.last_seq()?, out);
    store.outcomes(Seq(0), &mut |outcome| {
        count += 1;
        result = write_line(out, &outcome);
        result.is_ok()
    })?;
    result.map_err(StoreError::Export)?;
    Ok(count)
}

/// Writes the first line of an export that has the outcomes up to this number.
pub fn export_header(now: Timestamp, last_seq: Seq, out: &mut impl Write) -> io::Result<()> {
    write_line(
        out,
        &Header { format: FORMAT.to_owned(), version: EXPORT_VERSION, exported_at: now, last_seq },
    )
}

/// Writes the line of one outcome.
pub fn export_outcome(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    write_line(out, outcome)
}

fn write_line(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    out.write_all(&one_line(value))?;
    out.write_all(b"\n")
}

/// Whether a text is the state file of the Go version.
pub fn looks_like_go_state(bytes: &[u8]) -> bool {
    serde_json::from_slice::<GoState>(bytes).is_ok_and(|state| state.version.starts_with("1."))
}

/// The content of a file to import, read and judged before a store is touched.
pub struct Import {
    /// Outcomes of an export, unchanged.
    outcomes: Vec<Outcome>,
    /// Entries of the Go version, which have no numbers.
    entries: Vec<Unnumbered>,
    /// The last number used at the export.
    last_seq: Seq,
}

struct Unnumbered {
    name: String,
    status: Status,
    sha256: Digest,
    size: u64,
    at: Timestamp,
}

impl Import {
    /// Reads an export or a Go state file.
    pub fn read(now: Timestamp, from: &mut impl Read) -> Result<Self, StoreError> {
        let mut text = String::new();
        from.take(IMPORT_MAX)
            .read_to_string(&mut text)
            .map_err(|error| StoreError::Import(format!("the file cannot be read as UTF-8 text: {error}")))?;
        let first = text.lines().next().unwrap_or_default();
        match serde_json::from_str::<Header>(first) {
            Ok(header) if header.format == FORMAT && header.version == EXPORT_VERSION => {
                Ok(Self { outcomes: exported(&text)?, entries: Vec::new(), last_seq: header.last_seq })
            }
            Ok(header) => {
                let what = format!(
                    "it says '{}' version {}; expected '{FORMAT}' version {}",
                    header.format, header.version, EXPORT_VERSION
                );
                Err(StoreError::Import(what))
            }
            Err(_) => Ok(Self { outcomes: Vec::new(), entries: from_go(&text, now)?, last_seq: Seq(0) }),
        }
    }

    /// Adds the outcomes that the store lacks. No record is overwritten or lowered: an import can be repeated, and may be
    /// older than the store. Numbers used at the export, or up to `shown`, are not used again.
    pub fn into_store(self, store: &dyn Ledger, shown: &Extent) -> Result<ImportCount, StoreError> {
        let floor = shown.or_more(Extent { last_seq: self.last_seq, ..Extent::default() });
        let first = store.last_seq()?.max(floor.last_seq).next();
        let numbered =
            self.entries.into_iter().zip((first.get()..).map(Seq)).map(|(entry, seq)| entry.numbered(seq));
        let outcomes: Vec<Outcome> = self.outcomes.into_iter().chain(numbered).collect();
        let Added { imported, skipped, .. } = add(store, &outcomes, &floor)?;
        Ok(ImportCount { imported, skipped })
    }
}

impl Unnumbered {
    fn numbered(self, seq: Seq) -> Outcome {
        Outcome {
            status: self.status,
            message: "Imported from the state file of the Go version".to_owned(),
            sha256: Some(self.sha256),
            size: self.size,
            imported: true,
            ..Outcome::blank(seq, &self.name, self.at)
        }
    }
}

/// Imports an export or a Go state file into the store. No record is overwritten: an import can be repeated.
pub fn import(store: &dyn Ledger, now: Timestamp, from: &mut impl Read) -> Result<ImportCount, StoreError> {
    Import::read(now, from)?.into_store(store, &Extent::default())
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

fn from_go(text: &str, now: Timestamp) -> Result<Vec<Unnumbered>, StoreError> {
    let state: GoState = serde_json::from_str(text)
        .map_err(|error| StoreError::Import(format!("neither an export nor a Go state file: {error}")))?;
    if !state.version.starts_with("1.") {
        return Err(StoreError::Import(format!("a Go state file of unknown version '{}'", state.version)));
    }
    // Oldest first, so that of two entries with one name the latest wins.
    let mut entries: Vec<(String, GoEntry)> =
        state.states.into_iter().filter_map(|(path, entry)| Some((path, entry?))).collect();
    entries.sort_by_key(|(_, entry)| entry.processed_at);
    let usable = entries.into_iter().filter_map(|(path, entry)| {
        let name = path.rsplit(['/', '\\']).next().unwrap_or(&path);
        Some(Unnumbered {
            name: conductor_core::name::Names::default().intent(name)?.as_str().to_owned(),
            status: if entry.status == "processed" { Status::Success } else { Status::Failed },
            sha256: Digest::from_hex(&entry.sha256)?,
            size: entry.size,
            at: entry.processed_at.unwrap_or(now),
        })
    });
    Ok(usable.collect())
}

impl std::fmt::Display for ImportCount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} imported into {PROCESSED_BY}, {} already known", self.imported, self.skipped)
    }
}
