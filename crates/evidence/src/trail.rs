//! The writing side: appends records to the last segment of a directory, and opens what an earlier process left there.
//!
//! Each call appends whole batches, the last line of which is a signed checkpoint, with one write and without a sync: the caller makes
//! the file system durable when it publishes what the entries speak of. An opening therefore believes a segment up to its last
//! checkpoint; what is behind it was torn by the end of a process or of the machine, and is removed and recorded.

mod batch;

use crate::checkpoint::Note;
use crate::entry::{Parsed, Record, parse};
use crate::epoch::Ratchet;
use crate::recall::End;
use crate::segment::{self, Line, Lines};
use crate::tree::Point;
use crate::walk::{Depth, State};
use batch::Draft;
use conductor_crypto::{SealKey, SigningKey, sha256};
use conductor_os::dir::{Dir, Meta};
use conductor_os::{is_no_space, is_passing};
use jiff::{SignedDuration, Timestamp};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// The file of the epoch's secret.
pub const KEY_FILE: &str = "epoch-key";
const KEY_DRAFT: &str = "epoch-key.draft";
const SEGMENT_DRAFT: &str = "segment.draft";
/// The largest key file that is read.
const KEY_FILE_MAX: u64 = 4 << 10;
/// The longest epoch.
pub const EPOCH_MAX: SignedDuration = SignedDuration::from_mins(15);
/// The longest end that is removed as torn. A batch is far shorter.
const CUT_MAX: usize = 64 << 20;
/// The size from which a segment is not appended to. An opening reads one segment.
pub const SEGMENT_MAX: u64 = 8 << 20;
const FILE_MODE: u32 = 0o600;

/// What a trail is opened with.
#[derive(Debug)]
pub struct Setup {
    /// The directory of the segments.
    pub dir: Arc<Dir>,
    /// The key that vouches for the first epoch and for each seal.
    pub identity: SigningKey,
    /// The keys under which the secret of the epoch lies on the disk: all of them open it, the last one seals it.
    pub covers: Vec<SealKey>,
    /// What tells this boot of the machine from others.
    pub boot: String,
    /// The current time.
    pub now: Timestamp,
    /// [`SEGMENT_MAX`], but for tests.
    pub segment_max: u64,
}

/// Why a trail cannot be opened or appended to.
#[derive(Debug, thiserror::Error)]
pub enum TrailError {
    /// There is no space. Nothing was appended, and a later try may succeed.
    #[error("the audit trail cannot be written now: {0}")]
    NoSpace(#[source] io::Error),
    /// There is no descriptor or memory for a moment. Nothing was appended, and a later try may succeed.
    #[error("the audit trail cannot be written now: {0}")]
    Lacking(#[source] io::Error),
    /// The trail is not what was written.
    #[error("the audit trail is damaged at entry {entry}: {what}")]
    Damaged {
        /// The first entry that is wrong.
        entry: u64,
        /// How.
        what: String,
    },
    /// A file cannot be read or written.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's error.
        source: io::Error,
    },
    /// Its last segment has lost its name while it was open.
    #[error("{0} was removed or replaced while it was appended to")]
    Gone(String),
    /// The system has no randomness.
    #[error("the system has no randomness for a key")]
    NoRandomness,
}

fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> TrailError {
    move |source| {
        if is_no_space(&source) {
            TrailError::NoSpace(source)
        } else if is_passing(&source) {
            TrailError::Lacking(source)
        } else {
            TrailError::Io { what: what.into(), source }
        }
    }
}

impl TrailError {
    /// Whether a later try may succeed by itself.
    pub fn waits(&self) -> bool {
        matches!(self, Self::NoSpace(_) | Self::Lacking(_))
    }
}

/// What an opening found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Opened {
    /// The bytes that were removed behind the last checkpoint.
    pub cut: u64,
    /// Whether the key of the epoch was gone.
    pub key_lost: bool,
}

/// What the first batch after an opening records.
#[derive(Debug)]
struct Due {
    cut: Option<(u64, String)>,
    key_lost: bool,
    rotate: bool,
}

/// A trail that is open for appending.
#[derive(Debug)]
pub struct Trail {
    setup: Setup,
    state: State,
    ratchet: Ratchet,
    due: Due,
    /// The segment that is appended to, and its length; `None`: the next batch begins one.
    segment: Option<(File, u64)>,
    /// Its first entry, which names it.
    first: u64,
    /// Whether a failed write, or the end of the process before, may have left bytes behind the end.
    dirty: bool,
    /// Segments that nobody signed; the first batch removes them.
    torn: Vec<u64>,
    epoch_since: Timestamp,
    /// The epoch in the key file.
    stored: Option<u64>,
    /// The epoch that the sync under way makes durable.
    covering: Option<u64>,
}

/// What a segment holds up to its last checkpoint.
struct Believed {
    state: State,
    length: u64,
    cut: Option<(u64, String)>,
}

impl Trail {
    /// Opens the trail in a directory, or prepares one where there is none. It writes nothing: the first batch takes the
    /// place of a torn end, and says so.
    pub fn open(setup: Setup) -> Result<(Self, Opened), TrailError> {
        let mut segments = segment::list(&setup.dir).map_err(failed("listing the audit trail"))?;
        let stored = read_key(&setup)?;
        let (mut cut, mut torn) = (None, Vec::new());
        while let Some(first) = segments.pop() {
            if let Some(mut found) = read_segment(&setup.dir, first)? {
                found.cut = found.cut.or(cut);
                let (mut trail, opened) = Self::resume(setup, first, found, stored)?;
                trail.torn = torn;
                return Ok((trail, opened));
            }
            // It holds no checkpoint: it was begun by the batch that was torn.
            let unread = failed(format!("reading {}, which was begun and not signed", segment::name(first)));
            cut = segment::content(&setup.dir, first).map_err(unread)?.or(cut);
            torn.push(first);
        }
        if let Some(epoch) = stored.as_ref().map(Ratchet::epoch).filter(|epoch| *epoch > 0) {
            let what = format!("no segment is there, and the key file is one of epoch {epoch}");
            return Err(TrailError::Damaged { entry: 0, what });
        }
        let ratchet = Ratchet::random(0).ok_or(TrailError::NoRandomness)?;
        let state = State::new(ratchet.key().public(), setup.identity.public(), ms(setup.now));
        let due = Due { cut, key_lost: false, rotate: false };
        let (mut trail, opened) = Self::with(setup, state, ratchet, due);
        trail.torn = torn;
        Ok((trail, opened))
    }

    fn with(setup: Setup, state: State, ratchet: Ratchet, due: Due) -> (Self, Opened) {
        let opened = Opened { cut: due.cut.as_ref().map_or(0, |(bytes, _)| *bytes), key_lost: due.key_lost };
        let epoch_since = ms(setup.now);
        let trail = Self {
            setup,
            state,
            ratchet,
            due,
            segment: None,
            first: 0,
            dirty: false,
            torn: Vec::new(),
            epoch_since,
            stored: None,
            covering: None,
        };
        (trail, opened)
    }

    fn resume(
        setup: Setup,
        first: u64,
        found: Believed,
        stored: Option<Ratchet>,
    ) -> Result<(Self, Opened), TrailError> {
        let Believed { state, length, cut } = found;
        let on_disk = stored.as_ref().map(Ratchet::epoch);
        if let Some(later) = on_disk.filter(|epoch| *epoch > state.epoch) {
            // The key file follows the trail only when the trail is durable.
            let what = format!(
                "it ends in epoch {}, and the key file is one of epoch {later}: its end was removed",
                state.epoch
            );
            return Err(TrailError::Damaged { entry: state.next, what });
        }
        let current = stored.and_then(|ratchet| ratchet.until(state.epoch));
        if let Some(epoch) = on_disk.filter(|_| current.is_none()) {
            let what = format!("it ends in epoch {}, where no key of epoch {epoch} leads", state.epoch);
            return Err(TrailError::Damaged { entry: state.next, what });
        }
        if current.as_ref().is_some_and(|ratchet| ratchet.key().public() != state.key) {
            let what = format!("epoch {} has another key than the key file", state.epoch);
            return Err(TrailError::Damaged { entry: state.next.saturating_sub(1), what });
        }
        let key_lost = current.is_none();
        let random = || Ratchet::random(state.epoch.saturating_add(1)).ok_or(TrailError::NoRandomness);
        let ratchet = current.map_or_else(random, Ok)?;
        let name = segment::name(first);
        let file = setup.dir.open_rw(&name, FILE_MODE).map_err(failed(format!("opening {name}")))?;
        let dirty = cut.is_some();
        let due = Due { cut, key_lost, rotate: !key_lost };
        let (mut trail, opened) = Self::with(setup, state, ratchet, due);
        trail.segment = Some((file, length));
        trail.first = first;
        trail.dirty = dirty;
        trail.stored = on_disk.filter(|_| !key_lost);
        Ok((trail, opened))
    }

    /// Where the signed part ends; `None`: nothing is signed yet.
    pub fn end(&self) -> Option<End> {
        self.segment.as_ref().map(|(_, length)| End { segment: self.first, length: *length })
    }

    /// The number of entries, and the root of their tree.
    pub fn head(&self) -> Point {
        Point { size: self.state.next, root: self.state.tree.root() }
    }

    /// Whether the first batch has something to record of its own.
    fn is_due(&self, now: Timestamp) -> bool {
        let since = ms(now).duration_since(self.epoch_since);
        self.state.next == 0
            || self.due.rotate
            || self.due.key_lost
            || since >= EPOCH_MAX
            || since.is_negative()
    }

    /// The epoch of the last entry.
    pub fn epoch(&self) -> u64 {
        self.state.epoch
    }

    /// How long until an epoch ends.
    pub fn patience(&self, now: Timestamp) -> SignedDuration {
        if self.is_due(now) {
            SignedDuration::ZERO
        } else {
            EPOCH_MAX - ms(now).duration_since(self.epoch_since)
        }
    }

    /// Appends the records of a batch, with a checkpoint behind them. All of them are there afterwards, or none.
    pub fn append(&mut self, records: &[Record], now: Timestamp) -> Result<(), TrailError> {
        if records.is_empty() && !self.is_due(now) {
            return Ok(());
        }
        if self.state.next == 0 && self.stored.is_none() {
            // The first key must be there before anything that is signed with it.
            self.store_key()?;
        }
        let begins = self.segment.as_ref().is_none_or(|(_, length)| *length >= self.setup.segment_max);
        let mut draft = Draft::of(self, ms(now));
        let rotated = draft.write(records, begins);
        let Draft { state, ratchet, bytes, .. } = draft;
        let first = self.state.next;
        self.put(begins.then_some(first), &bytes)?;
        (self.state, self.ratchet) = (state, ratchet);
        self.due = Due { cut: None, key_lost: false, rotate: false };
        if rotated {
            self.epoch_since = ms(now);
        }
        Ok(())
    }

    /// Writes bytes behind the end, or into a new segment. What fails leaves the trail as it was.
    fn put(&mut self, begins: Option<u64>, bytes: &[u8]) -> Result<(), TrailError> {
        match begins {
            Some(first) => self.begin_segment(first, bytes)?,
            None => self.extend_segment(bytes)?,
        }
        // Only now: what they held is told of in these bytes. One that cannot be removed is tried again with the next batch.
        let (dir, current) = (&self.setup.dir, self.first);
        self.torn.retain(|first| {
            *first != current
                && dir
                    .unlink(segment::name(*first))
                    .is_err_and(|error| error.kind() != io::ErrorKind::NotFound)
        });
        Ok(())
    }

    fn begin_segment(&mut self, first: u64, bytes: &[u8]) -> Result<(), TrailError> {
        let dir = &self.setup.dir;
        let name = segment::name(first);
        // Over a leftover of a write that failed; no checkpoint is in it.
        put_whole(dir, SEGMENT_DRAFT, &name, bytes).map_err(failed("writing the audit trail"))?;
        let file = dir.open_rw(&name, FILE_MODE).map_err(failed(format!("opening {name}")))?;
        self.segment = Some((file, bytes.len() as u64));
        self.first = first;
        Ok(())
    }

    fn extend_segment(&mut self, bytes: &[u8]) -> Result<(), TrailError> {
        let Some((file, length)) = &mut self.segment else { return Ok(()) };
        let end = *length + bytes.len() as u64;
        let was_dirty = std::mem::replace(&mut self.dirty, true);
        // A torn end is written over before the rest of it goes: a crash in between leaves a torn end, never a clean one of
        // which nothing tells.
        let written = file.write_all_at(bytes, *length);
        let written = written.and_then(|()| if was_dirty { file.set_len(end) } else { Ok(()) });
        if let Err(error) = written {
            self.dirty = was_dirty || file.set_len(*length).is_err();
            return Err(failed("writing the audit trail")(error));
        }
        self.dirty = false;
        *length = end;
        Ok(())
    }

    /// Says that a sync of the file system begins.
    pub fn sync_begins(&mut self) {
        self.covering = Some(self.state.epoch);
    }

    /// Whether the last segment still has its name: without it, it would be lost with the process.
    pub fn look_at_segment(&self) -> Result<(), TrailError> {
        let Some((file, _)) = &self.segment else { return Ok(()) };
        let name = segment::name(self.first);
        let open = Meta::of(file).map_err(failed(format!("looking at {name}")))?;
        match self.setup.dir.stat(&name) {
            Ok(found) if found.id == open.id => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed(format!("looking at {name}"))(error))
            }
            _ => Err(TrailError::Gone(name)),
        }
    }

    /// Says that this sync worked: the end of the last epoch is durable, so its secret goes.
    pub fn synced(&mut self) -> Result<(), TrailError> {
        let covered = self.covering.take();
        if covered == Some(self.ratchet.epoch()) && self.stored != covered {
            self.store_key()?;
        }
        Ok(())
    }

    fn store_key(&mut self) -> Result<(), TrailError> {
        let dir = &self.setup.dir;
        let sealed = self.setup.covers.last().and_then(|cover| self.ratchet.text(cover));
        let text = sealed.ok_or(TrailError::NoRandomness)?;
        put_whole(dir, KEY_DRAFT, KEY_FILE, &text).map_err(failed("writing the key of the epoch"))?;
        self.stored = Some(self.ratchet.epoch());
        Ok(())
    }
}

/// Writes a file over the one of this name: that one or this one stands there.
fn put_whole(dir: &Dir, draft: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    match dir.unlink(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => dir.create(draft, FILE_MODE, bytes)?,
    }
    dir.rename_over(draft, dir, name)
}

/// Times are written in milliseconds, so no finer one is compared.
fn ms(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

fn read_key(setup: &Setup) -> Result<Option<Ratchet>, TrailError> {
    let mut text = Vec::new();
    match setup.dir.open_read(KEY_FILE).and_then(|file| file.take(KEY_FILE_MAX).read_to_end(&mut text)) {
        Ok(_) => Ok(Ratchet::read(&text, &setup.covers)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("reading the key of the epoch")(error)),
    }
}

/// Reads a segment up to its last checkpoint; `None` if it has none.
fn read_segment(dir: &Dir, first: u64) -> Result<Option<Believed>, TrailError> {
    let name = segment::name(first);
    let mut reader =
        Reader { first, state: None, good: None, wrong: None, at: 0, behind: Vec::new(), hole: false };
    for line in Lines::open(dir, first).map_err(failed(format!("opening {name}")))? {
        reader.line(&line.map_err(failed(format!("reading {name}")))?)?;
    }
    let Some(Good { before, note, state, length }) = reader.good else { return Ok(None) };
    before
        .judge_signatures(&note)
        .map_err(|flaw| TrailError::Damaged { entry: before.next, what: flaw.what })?;
    let behind = reader.behind;
    let cut = (!behind.is_empty()).then(|| (behind.len() as u64, sha256(&behind).to_string()));
    Ok(Some(Believed { state, length, cut }))
}

/// Reads one segment.
struct Reader {
    first: u64,
    state: Option<State>,
    /// The last checkpoint that fits.
    good: Option<Good>,
    /// The first entry that does not fit.
    wrong: Option<(u64, String)>,
    /// The bytes read.
    at: u64,
    /// The bytes behind the last checkpoint that fits.
    behind: Vec<u8>,
    /// Whether there are zero bytes among them.
    hole: bool,
}

/// A checkpoint, what was known before and behind it, and the place where it ends.
struct Good {
    before: State,
    note: Note,
    state: State,
    length: u64,
}

impl Reader {
    fn line(&mut self, Line { bytes, whole }: &Line) -> Result<(), TrailError> {
        self.at += bytes.len() as u64 + u64::from(*whole);
        self.behind.extend_from_slice(bytes);
        self.behind.extend(whole.then_some(b'\n'));
        self.hole |= bytes.contains(&0);
        let wrong = match &mut self.state {
            _ if self.wrong.is_some() || !whole => None,
            None => match begin(bytes, self.first) {
                Some(mut state) => {
                    let taken = state.take(bytes, true, Depth::Unsigned);
                    self.state = Some(state);
                    taken.err().map(|flaw| flaw.what)
                }
                None => Some("a segment does not begin with its first entry".to_owned()),
            },
            Some(state) => {
                let before = state.clone();
                match state.take(bytes, false, Depth::Unsigned) {
                    Err(flaw) => Some(flaw.what),
                    Ok(Parsed::Checkpoint { note, .. }) => {
                        self.behind.clear();
                        self.hole = false;
                        let (state, length) = (state.clone(), self.at);
                        self.good = Note::parse(&note).map(|note| Good { before, note, state, length });
                        None
                    }
                    Ok(Parsed::Entry(_)) => None,
                }
            }
        };
        if let Some(what) = wrong {
            self.wrong = Some((self.state.as_ref().map_or(self.first, |state| state.next), what));
        }
        self.judge_rest(bytes)
    }

    /// A line behind the first wrong one that is signed tells that the wrong one was no torn end. A hole, which only the end of the
    /// machine leaves, is one.
    fn judge_rest(&mut self, bytes: &[u8]) -> Result<(), TrailError> {
        let Some((entry, what)) = &self.wrong else { return Ok(()) };
        // Without a first line no key is known: there, whatever has the form of a checkpoint counts.
        let signed = !self.hole
            && match &self.state {
                Some(state) => is_signed(bytes, state),
                None => matches!(parse(bytes), Some(Parsed::Checkpoint { .. })),
            };
        if signed || self.behind.len() > CUT_MAX {
            return Err(TrailError::Damaged { entry: *entry, what: what.clone() });
        }
        Ok(())
    }
}

/// The state before the first line of a segment.
fn begin(line: &[u8], first: u64) -> Option<State> {
    let Some(Parsed::Entry(entry)) = parse(line) else { return None };
    State::before(&entry).filter(|state| state.next == first)
}

/// Whether a line is a checkpoint that the key of this epoch or the next one signed, wherever it stands.
fn is_signed(line: &[u8], state: &State) -> bool {
    let Some(Parsed::Checkpoint { note, .. }) = parse(line) else { return false };
    let Some(note) = Note::parse(&note) else { return false };
    let keys = [Some(state.key), state.announced];
    keys.iter().flatten().any(|key| note.is_signed_by(&state.origin, key))
}

#[cfg(test)]
mod tests;
