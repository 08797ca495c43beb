//! The places that runs write. The output directory takes as many runs as there are workers; a repository takes one run
//! at a time, because every change of it needs its lock. A problem of a place delays only the intents that write there.

use super::queues::Rank;
use crate::outcome::Postponed;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The place that an intent's run writes.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The output directory.
    #[default]
    Output,
    /// A repository, by the directory that all its work trees share.
    Repository(Arc<str>),
}

/// The first pause of an unreachable repository; it doubles each time.
const REMOTE_FIRST: Duration = Duration::from_secs(1);
/// The longest pause of a repository whose remote is unreachable.
const REMOTE_MAX: Duration = Duration::from_mins(2);
/// The first pause of a repository that another process works on.
const BUSY_FIRST: Duration = Duration::from_millis(250);
/// The longest pause for a lock, which is held for seconds; the wait delays no other place.
const BUSY_MAX: Duration = Duration::from_secs(5);

/// The pause of a repository that was postponed this many times in a row.
fn pause(cause: Postponed, times: u32) -> Duration {
    let (first, most) = match cause {
        Postponed::RemoteUnreachable => (REMOTE_FIRST, REMOTE_MAX),
        _ => (BUSY_FIRST, BUSY_MAX),
    };
    first.saturating_mul(1 << times.saturating_sub(1).min(16)).min(most)
}

#[derive(Debug, Default)]
struct Lot {
    ready: BTreeSet<Rank>,
    running: BTreeSet<Rank>,
    /// The current problem of the place.
    trouble: Option<Postponed>,
    /// The last run was postponed: the cause, and the time until which no run starts here.
    pause: Option<(Postponed, Duration)>,
    /// The number of postponements in a row.
    put_off: u32,
}

impl Lot {
    fn is_open(&self, now: Duration) -> bool {
        self.trouble.is_none() && self.pause.is_none_or(|(_, until)| until <= now)
    }
}

/// Whether a repository is worked on by no run, and its last one was not postponed.
fn is_quiet(lot: &Lot) -> bool {
    lot.running.is_empty() && lot.put_off == 0
}

/// Every place that intents write to, with the heads that may run there.
#[derive(Debug, Default)]
pub(super) struct Places {
    output: Lot,
    repositories: BTreeMap<Arc<str>, Lot>,
}

impl Places {
    fn lot(&mut self, place: &Place) -> &mut Lot {
        match place {
            Place::Output => &mut self.output,
            Place::Repository(name) => self.repositories.entry(Arc::clone(name)).or_default(),
        }
    }

    fn known(&self, place: &Place) -> Option<&Lot> {
        match place {
            Place::Output => Some(&self.output),
            Place::Repository(name) => self.repositories.get(name),
        }
    }

    fn lots(&self) -> impl Iterator<Item = &Lot> {
        std::iter::once(&self.output).chain(self.repositories.values())
    }

    pub(super) fn make_ready(&mut self, place: &Place, rank: Rank) {
        self.lot(place).ready.insert(rank);
    }

    /// Withdraws a head that does not start after all.
    pub(super) fn withdraw(&mut self, rank: Rank) {
        self.output.ready.remove(&rank);
        for lot in self.repositories.values_mut() {
            lot.ready.remove(&rank);
        }
    }

    pub(super) fn started(&mut self, place: &Place, rank: Rank) {
        let lot = self.lot(place);
        lot.ready.remove(&rank);
        lot.running.insert(rank);
    }

    /// A run ended; `postponed` if it was postponed.
    pub(super) fn ended(&mut self, now: Duration, place: &Place, rank: Rank, postponed: Option<Postponed>) {
        let lot = self.lot(place);
        lot.running.remove(&rank);
        match (place, postponed) {
            // In the output directory the target pauses, not the place: other targets are not affected.
            (Place::Output, _) => {}
            (_, None) => (lot.pause, lot.put_off) = (None, 0),
            (_, Some(cause)) => {
                lot.put_off += 1;
                lot.pause = Some((cause, now + pause(cause, lot.put_off)));
            }
        }
    }

    /// Sets the current problem of a place.
    pub(super) fn set_trouble(&mut self, place: &Place, trouble: Option<Postponed>) {
        self.lot(place).trouble = trouble;
    }

    /// The heads that may start now, in order. Of a repository only the first, and of all repositories postponed the last
    /// time only one at a time, so that hanging remotes do not occupy every worker.
    pub(super) fn startable(&self, now: Duration) -> impl Iterator<Item = Rank> + '_ {
        let mut one_tries = self.repositories.values().any(|lot| lot.put_off > 0 && !lot.running.is_empty());
        let open = self.repositories.values().filter(|lot| lot.running.is_empty() && lot.is_open(now));
        let mut heads: Vec<(Rank, bool)> =
            open.filter_map(|lot| Some((*lot.ready.first()?, lot.put_off > 0))).collect();
        heads.sort_unstable();
        heads.retain(|(_, put_off)| !put_off || !std::mem::replace(&mut one_tries, true));
        let mut heads = heads.into_iter().map(|(rank, _)| rank).peekable();
        let output = self.output.is_open(now).then(|| self.output.ready.iter().copied());
        let mut output = output.into_iter().flatten().peekable();
        std::iter::from_fn(move || match (heads.peek(), output.peek()) {
            (Some(head), Some(other)) if head > other => output.next(),
            (Some(_), _) => heads.next(),
            (None, _) => output.next(),
        })
    }

    /// Whether a new intent may start here now and no other is ready to start anywhere.
    pub(super) fn is_free_for_new(&self, now: Duration, place: &Place) -> bool {
        let is_free = |lot: &Lot| lot.is_open(now) && (*place == Place::Output || is_quiet(lot));
        self.lots().all(|lot| lot.ready.is_empty()) && self.known(place).is_none_or(is_free)
    }

    /// The end of the first pause that an intent waits for.
    pub(super) fn wake_at(&self, now: Duration) -> Option<Duration> {
        let waiting = self.lots().filter(|lot| !lot.ready.is_empty());
        waiting.filter_map(|lot| Some(lot.pause?.1)).filter(|until| *until > now).min()
    }

    /// The number of ready heads before this one.
    pub(super) fn ahead(&self, rank: Rank) -> usize {
        self.lots().map(|lot| lot.ready.range(..rank).count()).sum()
    }

    /// Why no run starts in a place, and for how long if that is known.
    pub(super) fn obstacle(&self, now: Duration, place: &Place) -> Option<(Postponed, Option<Duration>)> {
        let lot = self.known(place)?;
        let pause = || lot.pause.filter(|(_, until)| *until > now);
        lot.trouble
            .map(|cause| (cause, None))
            .or_else(|| pause().map(|(cause, until)| (cause, Some(until.saturating_sub(now)))))
    }

    /// Whether the place is a repository that another run works on.
    pub(super) fn is_taken(&self, place: &Place) -> bool {
        *place != Place::Output && self.known(place).is_some_and(|lot| !lot.running.is_empty())
    }

    /// Repositories whose last run was postponed for this cause.
    pub(super) fn put_off_for(&self, cause: Postponed) -> impl Iterator<Item = &str> {
        let those = move |lot: &Lot| lot.pause.is_some_and(|(why, _)| why == cause);
        self.repositories.iter().filter(move |(_, lot)| those(lot)).map(|(name, _)| &**name)
    }

    /// The first obstacle at a place that a waiting intent writes to.
    pub(super) fn obstructed(&self) -> Option<Postponed> {
        self.lots()
            .filter(|lot| !lot.ready.is_empty())
            .find_map(|lot| lot.trouble.or(lot.pause.map(|(cause, _)| cause)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{World, admission, limits};
    use super::super::{Event, WaitReason};
    use super::*;
    use crate::ids::Seq;
    use crate::outcome::Verdict;

    fn at(repository: &str) -> Place {
        Place::Repository(repository.into())
    }

    fn accept(world: &mut World, seq: u64, place: Place) {
        world.accept(super::super::Admission { place, ..admission(seq, &format!("t{seq}"), 5) });
    }

    fn end(world: &mut World, seq: Seq, verdict: Verdict) {
        world.running.retain(|other| *other != seq);
        world.event(Event::Ended { seq, verdict, took: Duration::from_secs(1), jitter: 1.0 });
    }

    const AWAY: Verdict = Verdict::Postpone(Postponed::RemoteUnreachable);

    #[test]
    fn a_repository_is_a_lane_and_leaves_the_other_workers_alone() {
        let mut world = World::new(limits(4));
        (1..=5).for_each(|seq| accept(&mut world, seq, at("a")));
        (6..=7).for_each(|seq| accept(&mut world, seq, at("b")));
        accept(&mut world, 8, Place::Output);
        assert_eq!(Vec::from(world.running.clone()), [Seq(1), Seq(6), Seq(8)]);
        assert_eq!(
            world.scheduler.why(world.now, Seq(2)),
            Some(WaitReason::Repository { place: "a".into() })
        );
        end(&mut world, Seq(1), Verdict::Success);
        assert_eq!(Vec::from(world.running.clone()), [Seq(6), Seq(8), Seq(2)], "in order of taking");
    }

    #[test]
    fn a_remote_that_is_away_delays_only_its_own_and_fails_nothing() {
        let mut world = World::new(limits(2));
        (1..=3).for_each(|seq| accept(&mut world, seq, at("a")));
        accept(&mut world, 4, at("b"));
        let mut pauses = Vec::new();
        for _ in 0..12 {
            assert_eq!(world.running.front(), Some(&Seq(1)), "the same one goes first");
            end(&mut world, Seq(1), AWAY);
            let at = world.scheduler.wake_at().unwrap();
            pauses.push(at.saturating_sub(world.now).as_secs());
            assert!(
                matches!(world.scheduler.why(world.now, Seq(1)), Some(WaitReason::Postponed { .. })),
                "{:?}",
                world.scheduler.why(world.now, Seq(1))
            );
            assert_eq!(world.scheduler.unreachable().collect::<Vec<_>>(), ["a"]);
            if world.running.contains(&Seq(4)) {
                end(&mut world, Seq(4), Verdict::Success);
            }
            world.now = at;
            world.tick();
        }
        assert_eq!(pauses[..9], [1, 2, 4, 8, 16, 32, 64, 120, 120]);
        for seq in (1..=3).map(Seq) {
            end(&mut world, seq, Verdict::Success);
        }
        assert!(world.recorded.iter().all(|(_, _, attempts)| *attempts == 1), "{:?}", world.recorded);
        assert_eq!((world.recorded.len(), world.scheduler.unreachable().count()), (4, 0));
    }

    #[test]
    fn remotes_that_hang_share_one_worker_after_their_first_time() {
        let mut world = World::new(limits(3));
        (1..=3).for_each(|seq| accept(&mut world, seq, at(&format!("r{seq}"))));
        assert_eq!(world.running.len(), 3);
        (1..=3).for_each(|seq| end(&mut world, Seq(seq), AWAY));
        world.now += Duration::from_mins(1);
        world.tick();
        assert_eq!(world.running.len(), 1);
        let first = world.running[0];
        accept(&mut world, 4, at("good"));
        assert_eq!(world.running.len(), 2);
        end(&mut world, first, Verdict::Success);
        assert_eq!(world.running.len(), 2, "the next one is tried");
    }

    #[test]
    fn trouble_of_a_place_stops_what_leads_there_until_it_is_over() {
        let mut world = World::new(limits(3));
        world.event(Event::Trouble { place: Place::Output, cause: Some(Postponed::OutGone) });
        accept(&mut world, 1, Place::Output);
        accept(&mut world, 2, at("a"));
        assert_eq!(Vec::from(world.running.clone()), [Seq(2)]);
        assert!(matches!(
            world.scheduler.why(world.now, Seq(1)),
            Some(WaitReason::Postponed { cause: Postponed::OutGone, .. })
        ));
        assert_eq!(world.scheduler.obstructed(), Some(Postponed::OutGone));
        world.event(Event::Trouble { place: Place::Output, cause: None });
        assert_eq!(Vec::from(world.running.clone()), [Seq(2), Seq(1)]);
        assert_eq!(world.scheduler.obstructed(), None);
    }
}
