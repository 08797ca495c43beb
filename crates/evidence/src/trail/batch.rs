//! The lines of one batch of entries: what the trail tells of itself, the entries, the checkpoint.

use super::{Due, EPOCH_MAX, Setup, Trail};
use crate::entry::{Event, Place, Record, Result as Outcome, key_text, render, render_checkpoint};
use crate::epoch::Ratchet;
use crate::walk::{State, segment_record};
use jiff::Timestamp;

/// The lines of one batch, and what is known behind them.
pub(super) struct Draft<'t> {
    setup: &'t Setup,
    due: &'t Due,
    pub(super) state: State,
    pub(super) ratchet: Ratchet,
    now: Timestamp,
    rotates: bool,
    pub(super) bytes: Vec<u8>,
}

impl<'t> Draft<'t> {
    pub(super) fn of(trail: &'t Trail, now: Timestamp) -> Self {
        let since = now.duration_since(trail.epoch_since);
        let rotates = trail.state.next > 0
            && !trail.due.key_lost
            && (trail.due.rotate || since >= EPOCH_MAX || since.is_negative());
        Self {
            setup: &trail.setup,
            due: &trail.due,
            state: trail.state.clone(),
            ratchet: trail.ratchet.clone(),
            now,
            rotates,
            bytes: Vec::with_capacity(4096),
        }
    }

    /// Makes the lines. Returns whether an epoch begins with them.
    pub(super) fn write(&mut self, records: &[Record], begins: bool) -> bool {
        let starts = self.state.next == 0;
        if begins {
            let State { tree, key, identity, origin, .. } = &self.state;
            let record = segment_record(tree, key, identity, origin);
            // Only an entry of its own may say that the clock went back.
            self.entry_at(&record, self.now.max(self.state.time));
        }
        self.own_entries();
        if self.rotates {
            let next = self.ratchet.next();
            let key = next.key().public();
            self.entry(&Record::of(Event::EpochEnd, Outcome::Success).with("next_key", key_text(&key)));
            self.state.announced = Some(key);
            self.sign();
            self.ratchet = next;
        }
        for record in records {
            self.entry(record);
        }
        if !self.state.signed {
            self.sign();
        }
        starts || self.rotates || self.due.key_lost
    }

    /// What the trail has to tell of itself.
    fn own_entries(&mut self) {
        if self.now < self.state.time {
            let before = conductor_core::record::rfc3339(self.state.time);
            self.entry(&Record::of(Event::ClockBack, Outcome::Success).with("before", before));
        }
        if self.due.key_lost {
            let key = self.ratchet.key().public();
            (self.state.epoch, self.state.key, self.state.cosign) = (self.ratchet.epoch(), key, true);
            self.entry(&Record::of(Event::KeyLost, Outcome::Failure).with("key", key_text(&key)));
        }
        if let Some((bytes, digest)) = &self.due.cut {
            let cut = Record::of(Event::Cut, Outcome::Failure).with("bytes", *bytes);
            self.entry(&cut.with("sha256", digest.as_str()));
        }
        let identity = self.setup.identity.public();
        if identity != self.state.identity {
            (self.state.identity, self.state.cosign) = (identity, true);
            self.entry(&Record::of(Event::Identity, Outcome::Success).with("identity", key_text(&identity)));
        }
    }

    fn entry(&mut self, record: &Record) {
        self.entry_at(record, self.now);
    }

    fn entry_at(&mut self, record: &Record, time: Timestamp) {
        let place = Place {
            seq: self.state.next,
            time,
            boot: &self.setup.boot,
            epoch: self.state.epoch,
            prev: &self.state.prev,
        };
        let line = render(place, record);
        self.state.wrote_entry(&line, time);
        self.keep(&line);
    }

    fn sign(&mut self) {
        let note = self.state.checkpoint(self.ratchet.key(), &self.setup.identity);
        let line = render_checkpoint(self.state.next, &note, &self.state.prev);
        self.state.wrote_checkpoint(&line);
        self.keep(&line);
    }

    fn keep(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.bytes.push(b'\n');
    }
}
