//! Takes files by rename, in the order of requests and as memory has room for their bytes, then looks at each and judges it.

use super::book::WithWriter;
use super::look;
use super::report::Report;
use super::session::{Intake, Next};
use super::sighting::{fingerprint, sighting};
use super::still_open::Open;
use crate::handoff::TakenFiles;
use conductor_core::Code;
use conductor_core::name::{TakenName, escaped};
use conductor_core::scheduler::Fingerprint;
use conductor_core::shortage::Phase;
use conductor_os::dir::{Kind, Meta};
use conductor_os::{monotonic, wall_ns};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

/// Files taken and judged in one step at most: about a millisecond.
const FILES: usize = 16;
/// The pause after the system had no descriptor or memory for looking at a file.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);
/// Sequence numbers tried for one file when taken/ already has its name under them.
pub(super) const NUMBERS_TRIED: u32 = 1_024;

/// Whether there was room for a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    Enough,
    /// Memory had none.
    None,
    /// The system had no descriptor or memory.
    NotNow,
}

impl Intake {
    /// Takes and looks while memory has room. Strictly in order: a file that does not fit yet is waited for, so that a
    /// large file gets its turn and the small ones behind it too, since all bytes on their way return their room.
    pub(super) fn work_off(&mut self, others_wait: &dyn Fn() -> bool) {
        let now = monotonic();
        if self.not_before.is_some_and(|at| now < at) {
            return;
        }
        (self.no_room, self.not_before) = (false, None);
        for _ in 0..FILES {
            let Some(next) = self.queue.pop_front() else { return };
            let room = match &next {
                Next::Take { name, expect } => self.take_one(name, *expect),
                Next::Look(taken) => self.look(taken),
            };
            match room {
                Room::Enough => {}
                Room::None => {
                    self.queue.push_front(next);
                    self.no_room = true;
                    return;
                }
                Room::NotNow => {
                    self.queue.push_front(next);
                    self.not_before = Some(now + EXHAUSTED_PAUSE);
                    return;
                }
            }
            if others_wait() {
                return;
            }
        }
    }

    /// Looks again at a file that a writer had open, if one is due: one at a time, so that nothing waits for more than one.
    pub(super) fn look_at_still_open(&mut self) {
        if let Some(open) = self.still_open.pop_due(monotonic()) {
            self.look_again(open, true);
        }
    }

    fn take_one(&mut self, name: &[u8], expect: Option<Fingerprint>) -> Room {
        let meta = match self.settings.handoff.stat(OsStr::from_bytes(name)) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.not_there(name),
            Err(error) => return self.not_taken(name, None, Code::NotTakeable, &error.to_string()),
        };
        if meta.kind == Kind::Directory {
            return self.not_taken(name, Some(&meta), Code::DirectoryLeft, "it is a directory");
        }
        if expect.is_some_and(|expect| expect != fingerprint(&meta)) {
            return self.tell(Report::Unsettled(sighting(name.into(), &meta, wall_ns())));
        }
        if look::is_read(&self.settings, &meta) && !self.settings.budget.has_room(meta.size) {
            return Room::None;
        }
        match self.rename_in(name) {
            Ok(taken) => {
                self.settings.book.forget(name);
                self.reports.push(Report::Taken(name.into()));
                if self.look(&taken) != Room::Enough {
                    // It is taken and comes next, whatever it has grown to since.
                    self.queue.push_front(Next::Look(taken));
                }
                Room::Enough
            }
            Err(error) if conductor_os::is_no_space(&error) => {
                self.reports.push(Report::NoSpace);
                self.tell(Report::NotTaken(name.into()))
            }
            // Either the file or its destination directory is gone.
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && self.settings.handoff.stat(OsStr::from_bytes(name)).is_err() =>
            {
                self.not_there(name)
            }
            Err(error) => self.not_taken(name, Some(&meta), Code::NotTakeable, &error.to_string()),
        }
    }

    /// Sends a report that needs no room.
    fn tell(&mut self, report: Report) -> Room {
        self.reports.push(report);
        Room::Enough
    }

    fn not_there(&mut self, name: &[u8]) -> Room {
        self.settings.book.forget(name);
        self.tell(Report::NotTaken(name.into()))
    }

    fn not_taken(&mut self, name: &[u8], meta: Option<&Meta>, code: Code, reason: &str) -> Room {
        self.leave(name, meta, code, reason);
        self.tell(Report::NotTaken(name.into()))
    }

    /// Moves a file into taken/ under the next number that is free there.
    fn rename_in(&mut self, name: &[u8]) -> io::Result<TakenName> {
        let mut tried = 0;
        loop {
            let taken = TakenName { seq: self.settings.next_seq, raw: name.into() };
            match self.settings.taken.take(&self.settings.handoff, &taken) {
                Ok(()) => {
                    self.settings.next_seq = self.settings.next_seq.next();
                    return Ok(taken);
                }
                // Something under this number and name is there, and is not replaced.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tried < NUMBERS_TRIED => {
                    self.settings.next_seq = self.settings.next_seq.next();
                    tried += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Looks at a file that was just taken.
    fn look(&mut self, taken: &TakenName) -> Room {
        let looked = look::look(&self.settings, taken, look::Patience::First);
        let room = self.looked(taken, monotonic(), looked);
        if let Some(surplus) = self.still_open.pop_surplus() {
            self.look_again(surplus, false);
        }
        room
    }

    /// Looks again at a file that a writer had open; without patience, or at its end, the file is judged as it is.
    fn look_again(&mut self, open: Open, patient: bool) {
        let waited = monotonic().saturating_sub(open.since);
        let patience = if patient && waited < self.settings.judging.hold_max {
            look::Patience::Again(open.seen)
        } else {
            look::Patience::None
        };
        let looked = look::look(&self.settings, &open.taken, patience);
        if self.looked(&open.taken, open.since, looked) != Room::Enough {
            self.still_open.wait(monotonic(), open);
        }
    }

    fn looked(&mut self, taken: &TakenName, since: Duration, looked: look::Looked) -> Room {
        let seq = taken.seq;
        match looked {
            look::Looked::NoRoom => return Room::None,
            look::Looked::NotNow(error) => {
                if self.shortage.met(monotonic()) == Phase::Lasts {
                    self.reports.push(Report::FilesWait(error.to_string()));
                }
                return Room::NotNow;
            }
            look::Looked::Held(meta) => {
                if !self.settings.book.is_waiting(seq) {
                    let name = taken.raw.clone();
                    self.settings.book.wait_for_writer(WithWriter { seq, name, mtime_ns: meta.mtime_ns });
                    self.reports.push(Report::Held { seq });
                }
                let (taken, seen) = (taken.clone(), fingerprint(&meta));
                self.still_open.wait(monotonic(), Open { taken, uid: meta.uid, since, seen });
            }
            look::Looked::Judged(judged) => {
                self.settings.book.judged(seq);
                self.reports.push(Report::Judged(judged));
            }
            look::Looked::Gone => {
                self.settings.book.judged(seq);
                let name = escaped(&taken.raw);
                self.reports.push(Report::Vanished { seq, name });
            }
        }
        if self.shortage.end() {
            self.reports.push(Report::FilesGoOn);
        }
        Room::Enough
    }
}
