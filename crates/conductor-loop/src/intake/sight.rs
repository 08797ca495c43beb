//! Sees names: by events, which are hints, and by listing, slice by slice, which is the truth. Every listing looks anew at
//! everything: no earlier failure of an entry, a directory, events or a call keeps it from being retried.

use super::book::IGNORED_MAX;
use super::report::Report;
use super::session::{Intake, Slice};
use super::sighting::sighting;
use conductor_core::Code;
use conductor_core::name::NameVerdict;
use conductor_core::scheduler::Sighting;
use conductor_os::dir::Dir;
use conductor_os::watch::{Hint, Watch};
use conductor_os::{is_passing, wall_ns};
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;

/// Names read in one slice of a scan: enough to sort the oldest first, small enough that a million waiting files
/// neither delay the first run nor fill memory.
const SLICE: usize = 4_096;
/// Names of events, and of a slice, looked at in one step: less than a millisecond.
const NAMES: usize = 256;
/// Names looked at before the step ends if others wait.
const NAMES_AT_ONCE: usize = 16;

/// Why a listing failed.
enum Trouble {
    /// The path no longer leads to the open handoff directory.
    Gone(String),
    /// The system refuses a call at the moment.
    Passing(io::Error),
}

impl Intake {
    /// Reads the events that wait, whose names are looked at with the next steps; further events once those were.
    pub fn on_hints(&mut self) {
        if !self.hinted.is_empty() {
            return;
        }
        let (mut overflow, mut gone) = (false, false);
        let names = &mut self.hinted;
        let drained = self.watch.as_ref().map_or(Ok(()), |watch| {
            watch.drain(NAMES, |hint| match hint {
                Hint::Name(name) if names.back() == Some(&name) => {}
                Hint::Name(name) => names.push_back(name),
                Hint::Overflow => overflow = true,
                Hint::Gone => gone = true,
            })
        });
        if let Err(error) = drained {
            self.watch = None;
            self.reports.push(Report::NoEvents(format!("reading them failed: {error}")));
        }
        if overflow {
            self.reports.push(Report::Overflow);
        }
        if gone {
            self.watch = None;
            self.reports
                .push(Report::Gone("the handoff directory was moved, deleted or unmounted".to_owned()));
        }
    }

    /// Looks at some of the names that events announced.
    pub(super) fn look_at_hinted(&mut self, others_wait: &dyn Fn() -> bool) {
        let wall = wall_ns();
        let mut sightings: Vec<Sighting> = Vec::new();
        for looked_at in 1..=NAMES {
            let Some(name) = self.hinted.pop_front() else { break };
            sightings.extend(self.sight(name, wall));
            if looked_at % NAMES_AT_ONCE == 0 && others_wait() {
                break;
            }
        }
        if !sightings.is_empty() {
            self.reports.push(Report::Sighted(sightings));
        }
    }

    /// Makes a sighting from a name, for events and scans alike.
    fn sight(&mut self, name: Box<[u8]>, wall: i64) -> Option<Sighting> {
        if self.settings.names.judge(&name) == NameVerdict::Ignore {
            self.ignore(&name);
            return None;
        }
        match self.settings.handoff.stat(OsStr::from_bytes(&name)) {
            Ok(meta) => Some(sighting(name, &meta, wall)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                self.leave(&name, None, Code::NotTakeable, &error.to_string());
                None
            }
        }
    }

    /// Starts a listing, or goes on to its next slice, whose names are looked at with the next steps.
    pub fn scan(&mut self, restart: bool) {
        match self.next_slice(restart) {
            Ok(slice) => self.slice = Some(slice),
            Err(Trouble::Gone(reason)) => self.reports.push(Report::Gone(reason)),
            Err(Trouble::Passing(error)) => {
                self.lister = None;
                self.reports.push(Report::ScanFailed(error.to_string()));
            }
        }
    }

    /// Looks at some names of the slice; at its end reports them.
    pub(super) fn go_on_listing(&mut self, others_wait: &dyn Fn() -> bool) {
        let Some(mut slice) = self.slice.take() else { return };
        for looked_at in 1..=NAMES {
            let Some(name) = slice.names.pop_front() else { break };
            slice.seen.extend(self.sight(name, slice.wall));
            if looked_at % NAMES_AT_ONCE == 0 && others_wait() {
                break;
            }
        }
        if !slice.names.is_empty() {
            self.slice = Some(slice);
            return;
        }
        if !slice.seen.is_empty() {
            self.reports.push(Report::Sighted(slice.seen));
        }
        self.reports.push(Report::Slice { complete: slice.complete });
    }

    /// Reads the names of one slice.
    fn next_slice(&mut self, restart: bool) -> Result<Slice, Trouble> {
        if restart || self.lister.is_none() {
            self.check_places()?;
            // Before the listing, so that later arrivals are announced.
            self.arm_events();
            self.lister = Some(self.settings.handoff.lister().map_err(unlistable)?);
            self.settings.book.begin_listing();
        }
        let mut names: VecDeque<Box<[u8]>> = VecDeque::new();
        let mut ignored: Vec<Box<[u8]>> = Vec::new();
        let rule = &self.settings.names;
        let listed = self.lister.as_mut().map_or(Ok(true), |lister| {
            lister.slice(SLICE, |name| {
                if rule.judge(name) != NameVerdict::Ignore {
                    names.push_back(name.into());
                } else if rule.looks_meant(name) && ignored.len() < IGNORED_MAX {
                    ignored.push(name.into());
                }
            })
        });
        let complete = listed.map_err(unlistable)?;
        for name in &names {
            self.settings.book.listed(name);
        }
        for name in &ignored {
            self.ignore(name);
        }
        if complete {
            self.lister = None;
            self.settings.book.end_listing();
            self.too_many_told = false;
        }
        Ok(Slice { seen: Vec::with_capacity(names.len()), names, wall: wall_ns(), complete })
    }

    /// Events that were unavailable may be available now.
    fn arm_events(&mut self) {
        if self.settings.events
            && self.watch.is_none()
            && let Ok(watch) = Watch::on(&*self.settings.handoff)
        {
            self.watch = Some(watch);
            self.reports.push(Report::EventsAgain);
        }
    }

    /// Checks, without a scan, whether path and names still lead to the open directories.
    pub fn check(&mut self) {
        if let Err(Trouble::Gone(reason)) = self.check_places() {
            self.reports.push(Report::Gone(reason));
        }
    }

    /// Whether path and names still lead to the open directories (threat A02).
    fn check_places(&mut self) -> Result<(), Trouble> {
        let path = self.settings.path.display();
        let gone = |what: &str| Trouble::Gone(format!("the handoff directory {what}: {path}"));
        let look = |error: io::Error| {
            if is_passing(&error) { Trouble::Passing(error) } else { gone(&format!("is gone ({error})")) }
        };
        let own = self.settings.handoff.meta().map_err(look)?;
        let current = Dir::open(&self.settings.path).and_then(|dir| dir.meta()).map_err(look)?;
        if current.id != own.id {
            return Err(gone("was replaced by another"));
        }
        let mut replaced = Vec::new();
        for (name, dir) in &self.settings.places {
            let found = match self.settings.handoff.stat(name) {
                Ok(meta) => Some(meta.id),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(look(error)),
            };
            if found != Some(dir.meta().map_err(look)?.id) {
                replaced.push(name.clone());
            }
        }
        if replaced != self.replaced {
            self.replaced.clone_from(&replaced);
            self.reports.push(Report::Replaced(replaced));
        }
        Ok(())
    }
}

fn unlistable(error: io::Error) -> Trouble {
    if is_passing(&error) {
        Trouble::Passing(error)
    } else {
        Trouble::Gone(format!("the handoff directory cannot be read: {error}"))
    }
}
