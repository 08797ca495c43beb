//! The loop's unfinished intents, as rows with their reasons. Queries do not change state; Hold, Release and Purge do.

use super::ask::{Ask, Durable, Load, Purge};
use super::in_flight::InFlight;
use super::session::Session;
use crate::intake::{Left, WithWriter};
use crate::queries::{
    Found, Lined, Lying, ParkedOf, Selector, entry_row, hold_on, only_the_store_knows, parked_row,
    sighted_row,
};
use crate::writer::{Command as ToWriter, Holding};
use conductor_core::Seq;
use conductor_core::fact::OperatorFact;
use conductor_core::intent::TargetKey;
use conductor_core::name::unescaped;
use conductor_core::query::{Covers, Held, Reason, RefusalKind, Refused, Row, Selection, State};
use conductor_core::record::Claim;
use conductor_core::scheduler::{Event, WaitReason};
use conductor_os::monotonic;
use crossbeam_channel::bounded;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// The largest number of held targets: far more than an operator holds by hand.
const HELD_MAX: usize = 1_000;

impl Session<'_> {
    /// Answers a question to the loop.
    pub(super) fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Load(reply) => reply.send(self.load()),
            Ask::Rows(selection, reply) => reply.send(self.rows(&selection)),
            Ask::Find(subject, reply) => reply.send(self.find(&subject)),
            Ask::HoldOn(target, reply) => reply.send(hold_on(self.held.values(), &target).cloned()),
            Ask::Hold(held, reply) => reply.send(self.hold(held)),
            Ask::Release(target, uid, reply) => reply.send(self.release(&target, uid)),
            Ask::Cancel(cancel, reply) => reply.send(self.cancel(*cancel)),
            Ask::Purge(Purge { before, outcomes, uid }, reply) => {
                self.observe(OperatorFact::Purged { uid, outcomes, before });
                self.executor.writer.send(ToWriter::Retain { before });
                reply.send(());
            }
        }
    }

    fn load(&self) -> Load {
        let active = self.scheduler.running();
        Load {
            no_events: self.no_events.clone(),
            left: self.book.left_count() as u64,
            sighted: self.scheduler.sighted() as u64,
            waiting: self.scheduler.unfinished().saturating_sub(active) as u64,
            active: active as u64,
            oldest_waiting: self.in_flight.oldest_waiting(),
            held: self.held.values().cloned().collect(),
        }
    }

    fn rows(&self, selection: &Selection) -> Lined {
        let (now, most) = (monotonic(), selection.most.saturating_add(1));
        let order = self.scheduler.in_order();
        let (running, waiting): (Vec<Seq>, Vec<Seq>) = order
            .into_iter()
            .partition(|seq| matches!(self.in_flight.get(*seq), Some(InFlight::Running { .. })));
        let runs = running.iter().filter_map(|seq| self.row(now, *seq));
        let waits: Box<dyn Iterator<Item = Row>> = if selection.by_target {
            Box::new(self.first_of_each_target(now, &running, &waiting))
        } else {
            Box::new(waiting.iter().filter_map(|seq| self.row(now, *seq)))
        };
        let still_open = self.book.still_open();
        let still_open = still_open.iter().map(writer_row);
        let left: BTreeMap<_, _> = self.book.all_left().into_iter().collect();
        // A left name may be in the middle of a retry.
        let sighted = self.scheduler.sighted_names().filter(|(name, _)| !left.contains_key(*name));
        let sighted = sighted.map(|(name, mtime_ns)| {
            let why = self.scheduler.why_sighted(now, name).unwrap_or(WaitReason::Taking);
            sighted_row(name, mtime_ns, why.reason())
        });
        let left = left.iter().map(|(name, left)| left_row(name, left));
        let taken = |row: &Row| selection.takes(row);
        let ignored = self.book.all_ignored();
        let ignored = ignored.iter().map(|(name, mtime_ns)| entry_row(name, *mtime_ns, &Lying::OtherName));
        Lined {
            first: runs.chain(waits).filter(taken).take(most).collect(),
            parked: self.parked(selection, most),
            last: still_open.chain(sighted).chain(left).chain(ignored).filter(taken).take(most).collect(),
        }
    }

    /// The parked intents that the selection may include, of which only number, state and target are known here.
    fn parked(&self, selection: &Selection, most: usize) -> Vec<ParkedOf> {
        // The first of each target is among the others, so that no target is missing.
        let none = selection.by_target || selection.code.is_some() || !selection.wants(State::Waiting);
        let most = if none {
            0
        } else if only_the_store_knows(selection) {
            usize::MAX
        } else {
            most
        };
        let wanted = |key: &TargetKey| selection.target.as_ref().is_none_or(|name| key.is_named(name));
        let mut all: Vec<ParkedOf> = Vec::new();
        for (seq, key) in self.scheduler.parked().filter(|(_, key)| wanted(key)).take(most) {
            if let Some(last) = all.last_mut().filter(|last| last.target == *key) {
                last.seqs.push(seq);
            } else {
                let reason = self.scheduler.why_parked_of(key).reason();
                all.push(ParkedOf { target: key.clone(), reason, seqs: vec![seq] });
            }
        }
        all
    }

    /// Of the waiting intents of each target the first, with the number of the others, parked ones included.
    fn first_of_each_target<'s>(
        &'s self,
        now: Duration,
        running: &[Seq],
        waiting: &'s [Seq],
    ) -> impl Iterator<Item = Row> + 's {
        let key = |seq: &Seq| self.in_flight.get(*seq).and_then(InFlight::claim).map(|claim| &claim.key);
        let busy: HashSet<&TargetKey> = running.iter().filter_map(key).collect();
        let mut seen = HashSet::new();
        waiting.iter().filter_map(move |seq| {
            let key = key(seq).filter(|key| seen.insert(*key))?;
            // One intent of a target runs at a time.
            let before = 1 + usize::from(busy.contains(key));
            let others = self.scheduler.unfinished_of(key).saturating_sub(before);
            Some(Row { others: Some(others as u64), ..self.row(now, *seq)? })
        })
    }

    fn row(&self, now: Duration, seq: Seq) -> Option<Row> {
        unfinished_row(self.in_flight.get(seq)?, &self.scheduler.why(now, seq)?)
    }

    /// The first in the expected order that is meant.
    fn first_of(&self, is_meant: impl Fn(&Claim) -> bool) -> Option<Seq> {
        let is_meant = |seq: &Seq| self.in_flight.get(*seq).and_then(InFlight::claim).is_some_and(&is_meant);
        self.scheduler.in_order().into_iter().find(is_meant)
    }

    fn find(&self, subject: &Selector) -> Option<Found> {
        let now = monotonic();
        let seq = match subject {
            Selector::Number(seq) => Some(*seq),
            Selector::File(name) => {
                let name = unescaped(name);
                self.first_of(|claim| claim.name.as_bytes() == name)
            }
            Selector::Target(word) => self.first_of(|claim| claim.key.is_named(word)),
        };
        let found = seq.and_then(|seq| Some((self.row(now, seq)?, self.in_flight.get(seq)?)));
        if let Some((row, one)) = found {
            let behind = one.claim().map_or(0, |claim| self.scheduler.behind(&claim.key, claim.seq));
            return Some(Found { runs: one.runs().to_vec(), output: one.output(), ..Found::of(row, behind) });
        }
        let alone = |row| Some(Found::of(row, 0));
        if let Some(row) = self.book.still_open().iter().map(writer_row).find(|row| subject.is(row)) {
            return alone(row);
        }
        if let Selector::Number(seq) = subject {
            let (key, why) = self.scheduler.why_parked(*seq)?;
            let behind = self.scheduler.behind(key, *seq);
            return Some(Found::of(parked_row(*seq, key, why.reason()), behind));
        }
        let Selector::File(name) = subject else { return None };
        let name = unescaped(name);
        if let Some(left) = self.book.left(&name) {
            return alone(left_row(&name, &left));
        }
        let why = self.scheduler.why_sighted(now, &name)?;
        let mtime_ns = self.scheduler.sighted_names().find(|(raw, _)| *raw == name).map_or(0, |(_, at)| at);
        alone(sighted_row(&name, mtime_ns, why.reason()))
    }

    fn hold(&mut self, held: Held) -> Result<Durable, Refused> {
        let not_permitted =
            |text| Refused::new(RefusalKind::NotPermitted, text, "Release some, or stop the daemon.");
        let covers: Covers = held.target.parse().map_err(|error| not_permitted(format!("{error}")))?;
        if self.held.len() >= HELD_MAX && !self.held.contains_key(&covers) && covers != Covers::Everything {
            return Err(not_permitted(format!("{HELD_MAX} targets are held, and no more at a time")));
        }
        self.event(Event::Hold(covers.clone()));
        self.held.insert(covers, held.clone());
        Ok(self.recorded(Holding::Held(held)))
    }

    fn release(&mut self, covers: &Covers, uid: u32) -> Result<Durable, Refused> {
        if self.held.remove(covers).is_none() {
            let text = match covers {
                Covers::Everything => "there is no hold of everything".to_owned(),
                Covers::Target(key) => format!("{key} is not held"),
            };
            let advice = "`conductor-loop status` shows the holds.";
            return Err(Refused::new(RefusalKind::NotFound, text, advice));
        }
        self.in_flight.resume();
        self.event(Event::Release(covers.clone()));
        Ok(self.recorded(Holding::Released { target: covers.to_string(), uid }))
    }

    fn recorded(&self, holding: Holding) -> Durable {
        let (durable, later) = bounded(1);
        self.executor.writer.send(ToWriter::Hold { holding, durable });
        Durable(later)
    }
}

/// `None`: its claim is not known here, because it was refused or decided by an earlier daemon.
fn unfinished_row(one: &InFlight, why: &WaitReason) -> Option<Row> {
    let (claim, runs) = (one.claim()?, one.runs());
    let (state, at, attempts) = match one {
        InFlight::Running { since, attempt, .. } => (State::Running, *since, attempt.get()),
        _ => (State::Waiting, claim.taken_at, u32::try_from(runs.len()).unwrap_or(u32::MAX)),
    };
    Some(Row {
        seq: Some(claim.seq),
        state,
        target: Some(claim.key.to_string()),
        correlation_id: Some(claim.correlation_id.clone()),
        sha256: Some(claim.sha256),
        at: Some(at),
        attempts,
        duration_ms: runs.last().map(|run| run.took_ms),
        ..sighted_row(claim.name.as_bytes(), 0, why.reason())
    })
}

/// An entry that cannot be taken.
fn left_row(name: &[u8], left: &Left) -> Row {
    entry_row(name, left.mtime_ns, &Lying::Left { code: left.code, why: left.reason.clone() })
}

/// A taken file that is open for writing.
fn writer_row(file: &WithWriter) -> Row {
    let reason = Reason {
        word: "writer-open".to_owned(),
        text: "it is taken; another process has it open for writing, or its text ends too early".to_owned(),
        advice: "Close the file; after ten debounce times, at least 5s, it is judged as it stands."
            .to_owned(),
    };
    Row { seq: Some(file.seq), ..sighted_row(&file.name, file.mtime_ns, reason) }
}
