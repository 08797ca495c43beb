//! Exports JSON lines, and imports them or the plain state file of the Go version.

use super::error::StoreError;
use super::extent::Extent;
use super::import_error::{EXPORT_VERSION, FORMAT, ImportError};
use super::ledger::Ledger;
use super::take_over::{Added, add};
use conductor_core::record::{Outcome, PROCESSED_BY, Status, VERSION, one_line};
use conductor_core::{Digest, Seq};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};

/// First line of an export.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    exported_at: Timestamp,
    last_seq: Seq,
}

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
        Ok(Self::read_whole(now, from, IMPORT_MAX)?)
    }

    /// Reads one of at most so many bytes: a part of it would be imported as if it were all.
    fn read_whole(now: Timestamp, from: &mut impl Read, most: u64) -> Result<Self, ImportError> {
        let mut text = String::new();
        from.take(most + 1).read_to_string(&mut text).map_err(ImportError::Unreadable)?;
        if text.len() as u64 > most {
            return Err(ImportError::TooLarge { most });
        }
        let first = text.lines().next().unwrap_or_default();
        match serde_json::from_str::<Header>(first) {
            Ok(header) if header.format == FORMAT && header.version == EXPORT_VERSION => {
                Ok(Self { outcomes: exported(&text)?, entries: Vec::new(), last_seq: header.last_seq })
            }
            Ok(Header { format, version, .. }) => Err(ImportError::OtherFormat { format, version }),
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

fn exported(text: &str) -> Result<Vec<Outcome>, ImportError> {
    let lines = (1..).zip(text.lines()).skip(1).filter(|(_, text)| !text.trim().is_empty());
    let outcome = |(line, text)| {
        let outcome: Outcome =
            serde_json::from_str(text).map_err(|source| ImportError::Line { line, source })?;
        match outcome.v {
            VERSION => Ok(outcome),
            version => Err(ImportError::RecordVersion { line, version }),
        }
    };
    lines.map(outcome).collect()
}

fn from_go(text: &str, now: Timestamp) -> Result<Vec<Unnumbered>, ImportError> {
    let state: GoState = serde_json::from_str(text).map_err(ImportError::Neither)?;
    if !state.version.starts_with("1.") {
        return Err(ImportError::GoVersion(state.version));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_longer_than_is_read_is_refused_also_where_a_line_ends_there() {
        let now = Timestamp::UNIX_EPOCH;
        let mut text = Vec::new();
        export_header(now, Seq(2), &mut text).unwrap();
        write_line(&mut text, &Outcome::blank(Seq(1), "intent-a.json", now)).unwrap();
        let most = text.len() as u64;
        let read = |text: &[u8]| Import::read_whole(now, &mut &*text, most).map(|read| read.outcomes.len());
        assert_eq!(read(&text).unwrap(), 1);
        write_line(&mut text, &Outcome::blank(Seq(2), "intent-b.json", now)).unwrap();
        let refused = read(&text).unwrap_err();
        assert!(matches!(refused, ImportError::TooLarge { .. }), "{refused}");
    }
}
