//! Entries: what is recorded, and how it stands in a line. Docs: docs/FORMATS.md.

use conductor_core::record::{one_line, rfc3339};
use conductor_core::{Digest, Seq};
use conductor_crypto::VerifyingKey;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The longest line with its newline. C2SP tiles give a length 16 bits.
pub const LINE_MAX: usize = (64 << 10) - 1;
/// The room of a line that a detail may not use: the other fields, whose lengths are bounded.
const OTHERS_MAX: usize = 8 << 10;

macro_rules! events {
    ($($variant:ident $name:literal $doc:literal)*) => {
        /// What happened. The names are those of the OWASP logging vocabulary where it has one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Event { $(#[doc = $doc] $variant,)* }
        impl Event {
            /// Every event, with what its name in the trail means.
            pub const ALL: &[(Self, &str, &str)] = &[$((Self::$variant, $name, $doc),)*];
            /// The least one in the order of [`Self::ALL`].
            pub(crate) const FIRST: Self = Self::ALL[0].0;
            /// The name in the trail.
            pub const fn name(self) -> &'static str { match self { $(Self::$variant => $name,)* } }
        }
    };
}

events! {
    Startup "sys_startup" "The daemon started, with this configuration."
    Shutdown "sys_shutdown" "The daemon stopped."
    Taken "intent_taken" "An intent was accepted, and its claim is durable."
    Refused "input_validation_fail" "A file was refused."
    Started "intent_started" "porch, or the engine in its place, began to work on an intent."
    Ended "intent_ended" "A run ended."
    Filed "intent_filed" "The outcome of an intent is durable."
    Admin "authz_admin" "An operator did something; `detail.action` says what."
    Denied "authz_fail" "A question was refused because of who asked."
    Config "sys_config_changed" "A reload changed a setting, or was refused."
    Imported "sensitive_create" "Outcomes came from an export."
    BackedUp "sys_backup" "A backup was made, or could not be."
    Expired "sensitive_delete" "Outcomes older than the retention time were removed."
    Segment "audit_segment" "A file of the trail begins."
    EpochEnd "audit_epoch_end" "An epoch ends; `detail.next_key` verifies the next one."
    Checkpoint "audit_checkpoint" "The signature over all entries before."
    Cut "audit_tail_cut" "A start found bytes behind the last checkpoint and removed them."
    Lost "audit_lost" "The trail is shorter than the public head says that it was."
    ClockBack "audit_clock_set_back" "The clock shows an earlier time than the entry before."
    KeyLost "audit_key_lost" "The key of the epoch was gone; a new one begins in the name of the identity key."
    Identity "audit_identity" "Another identity key signs from now on."
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Result {
    /// It worked.
    Success,
    /// It did not.
    Failure,
}

/// What is to be recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// What happened.
    pub event: Event,
    /// How it ended.
    pub outcome: Result,
    /// The identifier in every log line of an intent.
    pub correlation_id: Option<String>,
    /// The number of the intent.
    pub intent: Option<Seq>,
    /// The name of its file.
    pub file: Option<String>,
    /// Who caused it: `uid:N`, or `daemon`.
    pub actor: String,
    /// What else is known of it.
    pub detail: Map<String, Value>,
    /// Whether a start made it again because a crash had taken it.
    pub recovered: bool,
}

impl Record {
    /// A record of the daemon itself.
    pub fn of(event: Event, outcome: Result) -> Self {
        Self {
            event,
            outcome,
            correlation_id: None,
            intent: None,
            file: None,
            actor: "daemon".to_owned(),
            detail: Map::new(),
            recovered: false,
        }
    }

    /// With one more detail.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.detail.insert(key.to_owned(), value.into());
        self
    }
}

/// The actor of a user.
pub fn user(uid: u32) -> String {
    format!("uid:{uid}")
}

/// What an entry has besides its record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'p> {
    pub(crate) seq: u64,
    pub(crate) time: Timestamp,
    pub(crate) boot: &'p str,
    pub(crate) epoch: u64,
    pub(crate) prev: &'p Digest,
}

#[derive(Serialize)]
struct EntryLine<'e> {
    seq: u64,
    time: String,
    boot: &'e str,
    epoch: u64,
    event: &'static str,
    outcome: Result,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    intent: Option<Seq>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'e str>,
    actor: &'e str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    recovered: bool,
    #[serde(skip_serializing_if = "Map::is_empty")]
    detail: &'e Map<String, Value>,
    prev: &'e Digest,
}

/// The line of an entry, without its newline. A detail that is too long for a line is replaced by its length.
pub(crate) fn render(place: Place<'_>, record: &Record) -> Vec<u8> {
    let line = |detail| {
        one_line(&EntryLine {
            seq: place.seq,
            time: rfc3339(place.time),
            boot: place.boot,
            epoch: place.epoch,
            event: record.event.name(),
            outcome: record.outcome,
            correlation_id: record.correlation_id.as_deref(),
            intent: record.intent,
            file: record.file.as_deref(),
            actor: &record.actor,
            recovered: record.recovered,
            detail,
            prev: place.prev,
        })
    };
    let whole = line(&record.detail);
    if whole.len() < LINE_MAX - OTHERS_MAX {
        return whole;
    }
    let mut short = Map::new();
    short.insert("omitted_bytes".to_owned(), whole.len().into());
    line(&short)
}

#[derive(Serialize)]
struct CheckpointLine<'e> {
    seq: u64,
    event: &'static str,
    note: &'e str,
    prev: &'e Digest,
}

/// The line of a checkpoint. All of it follows from the note and the lines before, so the signature covers every byte.
pub(crate) fn render_checkpoint(seq: u64, note: &str, prev: &Digest) -> Vec<u8> {
    one_line(&CheckpointLine { seq, event: Event::Checkpoint.name(), note, prev })
}

/// A line that was read.
#[derive(Debug, Clone, PartialEq)]
pub enum Parsed {
    /// An entry.
    Entry(Box<Entry>),
    /// A checkpoint: its number, its note and the hash of the line before.
    Checkpoint {
        /// Its number, which is the number of entries before it.
        seq: u64,
        /// The note.
        note: String,
        /// The SHA-256 of the line before.
        prev: Digest,
    },
}

/// An entry that was read.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Entry {
    /// Its number, from 0.
    pub seq: u64,
    /// The time of the recording.
    pub time: Timestamp,
    /// The beginning of the boot id of the machine.
    pub boot: String,
    /// The number of the epoch.
    pub epoch: u64,
    /// The event's name.
    pub event: String,
    /// How it ended.
    pub outcome: Result,
    /// The identifier of an intent.
    pub correlation_id: Option<String>,
    /// The number of the intent.
    pub intent: Option<Seq>,
    /// The name of its file.
    pub file: Option<String>,
    /// Who caused it.
    pub actor: String,
    /// Whether a start made it again.
    #[serde(default)]
    pub recovered: bool,
    /// What else is known of it.
    #[serde(default)]
    pub detail: Map<String, Value>,
    /// The SHA-256 of the line before.
    pub prev: Digest,
}

impl Entry {
    /// Whether it is of this event.
    pub fn is(&self, event: Event) -> bool {
        self.event == event.name()
    }

    /// A public key of its detail.
    pub(crate) fn key(&self, name: &str) -> Option<VerifyingKey> {
        VerifyingKey::from_pem(&pem(self.detail.get(name)?.as_str()?))
    }
}

/// The base64 text of a public key, as it stands in entries: the second line of its PEM.
pub(crate) fn key_text(key: &VerifyingKey) -> Value {
    key.to_pem().lines().nth(1).map_or(Value::Null, |text| json!(text))
}

fn pem(text: &str) -> String {
    format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
}

/// Reads a line; `None` if it is neither an entry nor a checkpoint.
pub fn parse(line: &[u8]) -> Option<Parsed> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Checkpoint {
        seq: u64,
        event: String,
        note: String,
        prev: Digest,
    }
    if let Ok(Checkpoint { seq, event, note, prev }) = serde_json::from_slice(line) {
        let is_canonical = event == Event::Checkpoint.name() && render_checkpoint(seq, &note, &prev) == line;
        return is_canonical.then_some(Parsed::Checkpoint { seq, note, prev });
    }
    let entry: Entry = serde_json::from_slice(line).ok()?;
    Some(Parsed::Entry(Box::new(entry)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(prev: &Digest) -> Place<'_> {
        let time = "2026-11-25T23:00:00.123456Z".parse().unwrap();
        Place { seq: 7, time, boot: "0123abcd", epoch: 2, prev }
    }

    #[test]
    fn an_entry_is_one_line_that_reads_back() {
        let record = Record {
            correlation_id: Some("scale-1".into()),
            intent: Some(Seq(3)),
            file: Some("intent-a.json".into()),
            actor: user(1000),
            recovered: true,
            ..Record::of(Event::Taken, Result::Success).with("note", "two\nlines\u{7f}")
        };
        let prev = Digest([5; 32]);
        let line = render(place(&prev), &record);
        let text = String::from_utf8(line.clone()).unwrap();
        assert!(text.starts_with(
            r#"{"seq": 7, "time": "2026-11-25T23:00:00.123Z", "boot": "0123abcd", "epoch": 2, "event": "intent_taken", "outcome": "success", "correlation_id": "scale-1", "intent": 3, "file": "intent-a.json", "actor": "uid:1000", "recovered": true, "#
        ), "{text}");
        assert!(text.ends_with(&format!("\"prev\": \"{prev}\"}}")) && !text.contains('\n'));
        let Some(Parsed::Entry(entry)) = parse(&line) else { panic!("{text}") };
        assert!(entry.is(Event::Taken) && entry.recovered && entry.detail["note"] == "two\nlines\u{7f}");
    }

    #[test]
    fn no_detail_makes_a_line_too_long() {
        let record = Record::of(Event::Filed, Result::Failure).with("message", "x".repeat(1 << 20));
        let prev = Digest([5; 32]);
        let line = render(place(&prev), &record);
        assert!(line.len() < LINE_MAX);
        let Some(Parsed::Entry(entry)) = parse(&line) else { panic!() };
        assert!(entry.detail["omitted_bytes"].as_u64() > Some(1 << 20));
    }

    #[test]
    fn a_checkpoint_has_one_form_alone() {
        let (prev, note) = (Digest([5; 32]), "o\n1\nr\n\n\u{2014} o s\n");
        let line = render_checkpoint(1, note, &prev);
        assert_eq!(parse(&line), Some(Parsed::Checkpoint { seq: 1, note: note.into(), prev }));
        let text = String::from_utf8(line).unwrap();
        for other in [
            text.replacen(' ', "", 1),
            text.replacen("seq\": 1", "seq\": 1 ", 1),
            text.replace("audit_c", "audit_d"),
        ] {
            assert_eq!(parse(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn names_of_events_are_different_and_lower_case() {
        let mut names: Vec<&str> = Event::ALL
            .iter()
            .map(|(event, name, _)| {
                assert_eq!(event.name(), *name);
                *name
            })
            .collect();
        assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Event::ALL.len());
    }
}
