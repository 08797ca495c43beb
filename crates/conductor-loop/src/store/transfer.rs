//! Exports JSON lines, and imports them or the plain state file of the Go version.

use super::{Extent, Hold, Ledger, Rescued, Salvaged, StoreError, Work};
use conductor_core::record::{Claim, Outcome, PROCESSED_BY, Status, VERSION, one_line};
use conductor_core::{Code, Digest};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
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
/// Version of the export; independent of the store's layout.
const EXPORT_VERSION: u32 = 1;
/// The largest file to import: a million entries of the Go version are about 300 MB.
const IMPORT_MAX: u64 = 2 << 30;
/// Outcomes per transaction of an import.
const CHUNK: usize = 1_000;

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
    store.outcomes(0, &mut |outcome| {
        count += 1;
        result = write_line(out, &outcome);
        result.is_ok()
    })?;
    result.map_err(StoreError::Export)?;
    Ok(count)
}

/// Writes the first line of an export that has the outcomes up to this number.
pub fn export_header(now: Timestamp, last_seq: u64, out: &mut impl Write) -> io::Result<()> {
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
    last_seq: u64,
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
            Err(_) => Ok(Self { outcomes: Vec::new(), entries: from_go(&text, now)?, last_seq: 0 }),
        }
    }

    /// Adds the outcomes that the store lacks. No record is overwritten or lowered: an import can be repeated, and may be
    /// older than the store. Numbers used at the export, or up to `shown`, are not used again.
    pub fn into_store(self, store: &dyn Ledger, shown: &Extent) -> Result<ImportCount, StoreError> {
        let floor = shown.or_more(Extent { last_seq: self.last_seq, ..Extent::default() });
        let first = store.last_seq()?.max(floor.last_seq) + 1;
        let numbered = self.entries.into_iter().zip(first..).map(|(entry, seq)| entry.numbered(seq));
        let outcomes: Vec<Outcome> = self.outcomes.into_iter().chain(numbered).collect();
        let Added { imported, skipped, .. } = add(store, outcomes, &floor)?;
        Ok(ImportCount { imported, skipped })
    }
}

impl Unnumbered {
    fn numbered(self, seq: u64) -> Outcome {
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
            name: conductor_core::name::IntentName::new(name)?.as_str().to_owned(),
            status: if entry.status == "processed" { Status::Success } else { Status::Failed },
            sha256: Digest::from_hex(&entry.sha256)?,
            size: entry.size,
            at: entry.processed_at.unwrap_or(now),
        })
    });
    Ok(usable.collect())
}

/// What came of outcomes that were to be added.
struct Added {
    imported: u64,
    skipped: u64,
    /// Of those that were skipped: their number belongs to another intent here.
    conflicting: u64,
}

/// Adds missing outcomes, and raises the totals. Entries of the Go version are recognised by name, bytes and time, others
/// by number too. The outcome of an intent that is unfinished here ends it: it does not run a second time.
fn add(store: &dyn Ledger, outcomes: Vec<Outcome>, floor: &Extent) -> Result<Added, StoreError> {
    let all = outcomes.len() as u64;
    let (mut fresh, mut conflicting) = missing(store, outcomes)?;
    let open: HashMap<u64, Option<Claim>> = store.open_claims()?.into_iter().collect();
    fresh.retain_mut(|outcome| match open.get(&outcome.seq) {
        None => true,
        Some(Some(claim)) if claim.name == outcome.name && Some(claim.sha256) == outcome.sha256 => {
            outcome.key.get_or_insert_with(|| claim.key.clone());
            true
        }
        Some(_) => {
            conflicting += 1;
            false
        }
    });
    for chunk in fresh.chunks(CHUNK) {
        let ended = chunk.iter().map(|outcome| outcome.seq).filter(|seq| open.contains_key(seq));
        let done = ended.collect();
        store.commit(&Work { imported: chunk.iter().collect(), done, ..Work::default() })?;
    }
    store.commit(&Work { floor: Some(floor), ..Work::default() })?;
    let imported = fresh.len() as u64;
    Ok(Added { imported, skipped: all - imported, conflicting })
}

/// Those of these outcomes that no finished intent here is, and the number of the others whose number another one has. What is held in
/// memory grows with the outcomes that are given, not with those that are here.
fn missing(store: &dyn Ledger, outcomes: Vec<Outcome>) -> Result<(Vec<Outcome>, u64), StoreError> {
    if outcomes.is_empty() {
        return Ok((outcomes, 0));
    }
    let key = |outcome: &Outcome| (outcome.name.clone(), outcome.sha256, outcome.finished_at);
    let keys: HashSet<_> = outcomes.iter().map(key).collect();
    let numbers: HashMap<u64, &Outcome> = outcomes.iter().map(|outcome| (outcome.seq, outcome)).collect();
    let (mut known, mut taken, mut conflicting) = (HashSet::new(), HashSet::new(), 0);
    store.outcomes(0, &mut |here| {
        if let Some(given) = numbers.get(&here.seq) {
            taken.insert(here.seq);
            conflicting += u64::from((&given.name, given.sha256) != (&here.name, here.sha256));
        }
        let here = key(&here);
        if keys.contains(&here) {
            known.insert(here);
        }
        true
    })?;
    let is_missing = |outcome: &Outcome| !known.contains(&key(outcome)) && !taken.contains(&outcome.seq);
    Ok((outcomes.into_iter().filter(is_missing).collect(), conflicting))
}

/// What is known of a state besides its new store.
#[derive(Default)]
pub struct Evidence {
    /// The readable records of the store that was there.
    pub salvaged: Salvaged,
    /// The outcomes that the statuses tell of.
    pub told: Vec<Outcome>,
    /// What the state has come to by all evidence.
    pub extent: Extent,
}

/// What was taken over from the evidence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TakenOver {
    /// Outcomes of the store that was there.
    pub outcomes: u64,
    /// Outcomes that only the statuses tell of.
    pub told: u64,
    /// Unfinished intents.
    pub unfinished: u64,
    /// Unfinished intents that ended, because a later one of their name is known.
    pub given_up: u64,
    /// Outcomes and unfinished intents whose number belongs to another intent here.
    pub conflicting: u64,
}

/// Takes over what a store lacks. Where both know a number, the record of the store stands; an intent that is unfinished in the store and
/// finished by the evidence is finished; no number that was used is used again.
pub fn take_over(store: &dyn Ledger, evidence: Evidence) -> Result<TakenOver, StoreError> {
    let Evidence { salvaged: Salvaged { outcomes, open, held }, mut told, extent } = evidence;
    let latest = latest(outcomes.iter().chain(&told), &open);
    let numbers: HashSet<u64> = outcomes.iter().map(|outcome| outcome.seq).collect();
    told.retain(|outcome| !numbers.contains(&outcome.seq));
    let salvaged = add(store, outcomes, &Extent::default())?;
    let told = add(store, told, &extent)?;
    let mut taken = TakenOver {
        outcomes: salvaged.imported,
        told: told.imported,
        conflicting: salvaged.conflicting + told.conflicting,
        ..TakenOver::default()
    };
    taken.given_up = give_up_passed(store, &latest)?;
    for Rescued { claim, bytes, start } in open {
        let known = store.claim(claim.seq)?.map(|(known, _)| known.name);
        let known = known.or(store.outcome(claim.seq)?.map(|outcome| outcome.name));
        if known.is_some() || store.claim_named(&claim.name)?.is_some() {
            taken.conflicting += u64::from(known.is_none_or(|name| name != claim.name));
            continue;
        }
        let starts = start.map(|start| (claim.seq, start)).into_iter().collect();
        store.commit(&Work { starts, ..Work::claim(&claim, &bytes, false) })?;
        taken.unfinished += 1;
    }
    store.commit(&Work { holds: held.iter().map(Hold::Begins).collect(), ..Work::default() })?;
    Ok(taken)
}

/// The number of the last intent of each name.
fn latest<'k>(ended: impl Iterator<Item = &'k Outcome>, open: &[Rescued]) -> HashMap<String, u64> {
    let open = open.iter().map(|open| (&open.claim.name, open.claim.seq));
    let mut latest: HashMap<String, u64> = HashMap::new();
    for (name, seq) in ended.map(|outcome| (&outcome.name, outcome.seq)).chain(open) {
        let last = latest.entry(name.clone()).or_default();
        *last = seq.max(*last);
    }
    latest
}

/// Of two intents with one name, the later was taken after the earlier was filed, or follows it in the order of its
/// target. An older copy of the store may have the earlier as unfinished: whether it ran is unknown, and it does not run
/// again.
fn give_up_passed(store: &dyn Ledger, latest: &HashMap<String, u64>) -> Result<u64, StoreError> {
    let mut passed = Vec::new();
    store.unsettled(&mut |claim| {
        if latest.get(&claim.name).is_some_and(|seq| *seq > claim.seq) {
            passed.push(claim);
        }
    })?;
    for claim in &passed {
        let outcome = Outcome {
            status: Status::Failed,
            message: "its outcome was lost with the state; a later intent of its name is known".to_owned(),
            sha256: Some(claim.sha256),
            size: claim.size,
            correlation_id: claim.correlation_id.clone(),
            error_code: Some(Code::Interrupted),
            key: Some(claim.key.clone()),
            ..Outcome::blank(claim.seq, &claim.name, Timestamp::now())
        };
        store.commit(&Work { imported: vec![&outcome], done: vec![claim.seq], ..Work::default() })?;
    }
    Ok(passed.len() as u64)
}

impl std::fmt::Display for ImportCount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} imported into {PROCESSED_BY}, {} already known", self.imported, self.skipped)
    }
}
