//! The rules of a trail, line by line. Writer, opening and verification share them: what one writes is what the others accept.

use crate::checkpoint::{Checkpoint, Note};
use crate::entry::{Entry, Event, Parsed, Record, Result as Outcome, key_text, parse};
use crate::tree::{Frontier, leaf};
use conductor_core::Digest;
use conductor_core::digest::hex;
use conductor_core::record::rfc3339;
use conductor_crypto::{SigningKey, VerifyingKey, sha256};
use jiff::Timestamp;
use serde_json::{Value, json};

/// The end of every line, before the hash.
const PREV: &[u8] = b"\"prev\": \"";

/// What is known after a line. It determines what the next one must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    /// The number of the next entry.
    pub(crate) next: u64,
    /// The hash of the last line.
    pub(crate) prev: Digest,
    /// The tree of all lines.
    pub(crate) tree: Frontier,
    /// The epoch.
    pub(crate) epoch: u64,
    /// The key that signs in it.
    pub(crate) key: VerifyingKey,
    /// The key of the next epoch, once it is announced; only the seal may follow.
    pub(crate) announced: Option<VerifyingKey>,
    /// The identity key.
    pub(crate) identity: VerifyingKey,
    /// Whether the next checkpoint needs the signature of the identity key, even if it is no seal.
    pub(crate) cosign: bool,
    /// The latest time.
    pub(crate) time: Timestamp,
    /// The name of the log.
    pub(crate) origin: String,
    /// Whether the last line is a checkpoint.
    pub(crate) signed: bool,
}

/// How a line breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It is no line of a trail.
    Unreadable,
    /// It has another number than its place.
    Number,
    /// It does not continue the line before.
    Chain,
    /// What it says of time, epoch, keys or tree does not fit.
    Content,
    /// The entries before it are not those that were signed.
    Root,
    /// A signature is missing or wrong.
    Signature,
    /// The trail ends before a point that is known of it.
    End,
}

/// A line that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) kind: Kind,
    /// The number that the line has, if it has one.
    pub(crate) has: Option<u64>,
    pub(crate) what: String,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Everything.
    All,
    /// Everything but signatures: the last one is enough, because the root it covers follows from every line before.
    Unsigned,
    /// Not the tree: a line before is not what was signed.
    NoTree,
}

/// The name under which the identity key signs.
pub(crate) fn identity_name(key: &VerifyingKey) -> String {
    format!("conductor-loop/identity/{}", key.id())
}

/// The name of a log, which is that of its first key.
pub(crate) fn origin_of(key: &VerifyingKey) -> String {
    format!("conductor-loop/audit/{}", key.id())
}

/// The record with which a segment begins.
pub(crate) fn segment_record(
    tree: &Frontier,
    key: &VerifyingKey,
    identity: &VerifyingKey,
    origin: &str,
) -> Record {
    let frontier: Vec<Value> = tree.peaks().iter().map(|peak| json!(peak)).collect();
    Record::of(Event::Segment, Outcome::Success)
        .with("frontier", frontier)
        .with("key", key_text(key))
        .with("identity", key_text(identity))
        .with("origin", origin)
}

/// The extension line of a checkpoint.
fn epoch_line(epoch: u64, sealed: bool, time: Timestamp) -> String {
    format!("epoch {epoch} {} {}", if sealed { "sealed" } else { "open" }, rfc3339(time))
}

/// Whether a line says that it continues the one with this hash. Compared as bytes, before anything in the line is believed.
pub(crate) fn follows(line: &[u8], prev: &Digest) -> bool {
    let end = [PREV, hex(&prev.0).as_bytes(), b"\"}"].concat();
    line.ends_with(&end)
}

fn flaw(kind: Kind, has: Option<u64>, what: impl Into<String>) -> Flaw {
    Flaw { kind, has, what: what.into() }
}

impl State {
    /// The state before the first line of a segment, as the line itself tells it; for the first one of a trail this is where belief begins.
    pub(crate) fn before(entry: &Entry) -> Option<Self> {
        let text = |name: &str| entry.detail.get(name)?.as_str();
        let peaks: Option<Vec<Digest>> = entry
            .detail
            .get("frontier")?
            .as_array()?
            .iter()
            .map(|peak| Digest::from_hex(peak.as_str()?))
            .collect();
        entry.is(Event::Segment).then_some(())?;
        Some(Self {
            next: entry.seq,
            prev: entry.prev,
            tree: Frontier::of(entry.seq, peaks?)?,
            epoch: entry.epoch,
            key: entry.key("key")?,
            announced: None,
            identity: entry.key("identity")?,
            cosign: entry.seq == 0,
            time: entry.time,
            origin: text("origin")?.to_owned(),
            signed: true,
        })
    }

    /// The state of a trail that has no line yet.
    pub(crate) fn new(key: VerifyingKey, identity: VerifyingKey, now: Timestamp) -> Self {
        Self {
            next: 0,
            prev: Digest([0; 32]),
            tree: Frontier::default(),
            epoch: 0,
            key,
            announced: None,
            identity,
            cosign: true,
            time: now,
            origin: origin_of(&key),
            signed: true,
        }
    }

    /// The checkpoint that is due, signed.
    pub(crate) fn checkpoint(&self, key: &SigningKey, identity: &SigningKey) -> String {
        let sealed = self.announced.is_some();
        let checkpoint = Checkpoint {
            origin: self.origin.clone(),
            size: self.next,
            root: self.tree.root(),
            extensions: vec![epoch_line(self.epoch, sealed, self.time)],
        };
        let name = identity_name(&identity.public());
        let mut signers = vec![(self.origin.as_str(), key)];
        if sealed || self.cosign {
            signers.push((&name, identity));
        }
        checkpoint.sign(&signers)
    }

    /// Takes the line of an entry that was just made.
    pub(crate) fn wrote_entry(&mut self, line: &[u8], time: Timestamp) {
        (self.signed, self.time) = (false, time);
        self.count(line);
    }

    /// Takes the line of a checkpoint that was just made.
    pub(crate) fn wrote_checkpoint(&mut self, line: &[u8]) {
        self.apply_checkpoint();
        self.count(line);
    }

    /// Takes one line more, whose number is known to be right.
    fn count(&mut self, line: &[u8]) {
        self.next = self.next.saturating_add(1);
        self.prev = sha256(line);
        self.tree.push(leaf(line));
    }

    /// Judges a line, and takes it if it keeps the rules. `first`: it is the first one of its segment.
    pub(crate) fn take(&mut self, line: &[u8], first: bool, depth: Depth) -> Result<Parsed, Flaw> {
        let parsed = self.judge(line, first, depth)?;
        self.apply(&parsed);
        self.count(line);
        Ok(parsed)
    }

    fn judge(&self, line: &[u8], first: bool, depth: Depth) -> Result<Parsed, Flaw> {
        let follows = follows(line, &self.prev);
        let parsed = parse(line).ok_or_else(|| flaw(Kind::Unreadable, None, "it is no entry"))?;
        let seq = match &parsed {
            Parsed::Entry(entry) => entry.seq,
            Parsed::Checkpoint { seq, .. } => *seq,
        };
        if seq != self.next {
            return Err(flaw(Kind::Number, Some(seq), format!("it has the number {seq}")));
        }
        if !follows {
            return Err(flaw(Kind::Chain, Some(seq), "it does not continue the entry before"));
        }
        let judged = match &parsed {
            Parsed::Entry(entry) => self.judge_entry(entry, first, depth),
            Parsed::Checkpoint { note, .. } if !first => {
                return self.judge_note(note, depth).map(|()| parsed);
            }
            Parsed::Checkpoint { .. } => Err("a segment begins with a checkpoint".to_owned()),
        };
        judged.map_err(|what| flaw(Kind::Content, Some(seq), what)).map(|()| parsed)
    }

    fn judge_entry(&self, entry: &Entry, first: bool, depth: Depth) -> Result<(), String> {
        if self.announced.is_some() {
            return Err("an entry follows the end of its epoch".to_owned());
        }
        if entry.time < self.time && !entry.is(Event::ClockBack) {
            return Err(format!("its time is before {}", rfc3339(self.time)));
        }
        let lost = entry.is(Event::KeyLost);
        let epoch = self.epoch.saturating_add(u64::from(lost));
        if entry.epoch != epoch {
            return Err(format!("it names epoch {}, and epoch {epoch} it is", entry.epoch));
        }
        if entry.is(Event::Segment) != first || (first && !self.signed) {
            return Err("a segment begins behind a checkpoint and nowhere else".to_owned());
        }
        if first && !self.is_told_by(entry, depth) {
            return Err("its frontier and keys are not those of the entries before".to_owned());
        }
        let needs = [(Event::EpochEnd, "next_key"), (Event::KeyLost, "key"), (Event::Identity, "identity")];
        let lacks = needs.iter().any(|(event, name)| entry.is(*event) && entry.key(name).is_none());
        if lacks { Err("it names no public key".to_owned()) } else { Ok(()) }
    }

    fn is_told_by(&self, entry: &Entry, depth: Depth) -> bool {
        Self::before(entry).is_some_and(|told| {
            (depth == Depth::NoTree || told.tree == self.tree)
                && (told.key, told.identity) == (self.key, self.identity)
                && told.origin == self.origin
        })
    }

    fn judge_note(&self, text: &str, depth: Depth) -> Result<(), Flaw> {
        let content = |what: &str| Err(flaw(Kind::Content, Some(self.next), what));
        let Some(note) = Note::parse(text) else { return content("it holds no signed note") };
        let (said, sealed) = (&note.checkpoint, self.announced.is_some());
        if said.origin != self.origin || said.size != self.next {
            return content("its checkpoint is one of another log or size");
        }
        let [line] = said.extensions.as_slice() else { return content("it has no line of its epoch") };
        let time = line.rsplit(' ').next().and_then(|time| time.parse().ok());
        let Some(time) = time.filter(|time: &Timestamp| *time == self.time) else {
            return content("its time is not that of the entry before");
        };
        if *line != epoch_line(self.epoch, sealed, time) {
            return content("it names another epoch, or seals one that did not end");
        }
        if depth != Depth::NoTree && said.root != self.tree.root() {
            // A note that is signed is right, so the entries are not.
            let kind = if self.judge_signatures(&note).is_ok() { Kind::Root } else { Kind::Content };
            return Err(flaw(kind, Some(self.next), "its root is not that of the entries before"));
        }
        if depth == Depth::Unsigned { Ok(()) } else { self.judge_signatures(&note) }
    }

    /// Whether the signatures are those that the checkpoint needs, and no more.
    pub(crate) fn judge_signatures(&self, note: &Note) -> Result<(), Flaw> {
        let signature = |what: &str| Err(flaw(Kind::Signature, Some(self.next), what));
        let cosigned = self.announced.is_some() || self.cosign;
        if !note.is_signed_by(&self.origin, &self.key) {
            return signature("it is not signed with the key of its epoch");
        }
        if cosigned && !note.is_signed_by(&identity_name(&self.identity), &self.identity) {
            return signature("it is not signed with the identity key");
        }
        if note.signatures() == 1 + usize::from(cosigned) {
            Ok(())
        } else {
            signature("it has a signature that nothing asks for")
        }
    }

    fn apply(&mut self, parsed: &Parsed) {
        match parsed {
            Parsed::Entry(entry) => self.apply_entry(entry),
            Parsed::Checkpoint { .. } => self.apply_checkpoint(),
        }
    }

    fn apply_checkpoint(&mut self) {
        (self.cosign, self.signed) = (false, true);
        if let Some(next) = self.announced.take() {
            self.epoch = self.epoch.saturating_add(1);
            self.key = next;
        }
    }

    fn apply_entry(&mut self, entry: &Entry) {
        self.signed = false;
        self.time = entry.time;
        if entry.is(Event::EpochEnd) {
            self.announced = entry.key("next_key");
        }
        if let Some(key) = entry.key("key").filter(|_| entry.is(Event::KeyLost)) {
            (self.key, self.epoch, self.cosign) = (key, entry.epoch, true);
        }
        if let Some(key) = entry.key("identity").filter(|_| entry.is(Event::Identity)) {
            (self.identity, self.cosign) = (key, true);
        }
    }

    /// Goes on behind a line that broke a rule. `known`: the number that it is taken to have.
    pub(crate) fn skip(&mut self, line: &[u8], known: u64) {
        if let Some(Parsed::Entry(entry)) = parse(line) {
            self.apply_entry(&entry);
            self.epoch = entry.epoch;
        } else if let Some(parsed @ Parsed::Checkpoint { .. }) = parse(line) {
            self.apply(&parsed);
        }
        (self.next, self.prev) = (known.saturating_add(1), sha256(line));
    }
}
