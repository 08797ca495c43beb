//! Taken files that a writer still has open: the time of each next look, and the choice of the one judged as it is when
//! there are too many.

use conductor_core::limits::STILL_OPEN_MAX;
use conductor_core::name::TakenName;
use conductor_core::scheduler::Fingerprint;
use std::collections::HashMap;
use std::time::Duration;

/// The pause before the second look; later pauses are a quarter of the time waited, so that many files held for long cost
/// little.
const FIRST_LOOK: Duration = Duration::from_millis(20);
/// The longest pause between two looks.
const LAST_LOOK: Duration = Duration::from_millis(250);

/// A taken file with a writer, and the start of its wait.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) taken: TakenName,
    pub(super) uid: u32,
    pub(super) since: Duration,
    /// Its fingerprint at the last reading: text that ended too early then still does.
    pub(super) seen: Fingerprint,
}

#[derive(Debug)]
struct Waiting {
    open: Open,
    next_look: Duration,
}

/// All such files, oldest first.
#[derive(Debug, Default)]
pub(super) struct StillOpen(Vec<Waiting>);

impl StillOpen {
    /// Adds a file, or keeps one waiting.
    pub(super) fn wait(&mut self, now: Duration, open: Open) {
        let pause = (now.saturating_sub(open.since) / 4).clamp(FIRST_LOOK, LAST_LOOK);
        let at = self.0.partition_point(|other| other.open.since <= open.since);
        self.0.insert(at, Waiting { open, next_look: now + pause });
    }

    /// The time until the next look; `None` when no file waits.
    pub(super) fn patience(&self, now: Duration) -> Option<Duration> {
        self.0.iter().map(|waiting| waiting.next_look.saturating_sub(now)).min()
    }

    /// A file that is due for a look.
    pub(super) fn pop_due(&mut self, now: Duration) -> Option<Open> {
        let due = self.0.iter().enumerate().filter(|(_, waiting)| waiting.next_look <= now);
        let (index, _) = due.min_by_key(|(_, waiting)| waiting.next_look)?;
        Some(self.0.remove(index).open)
    }

    /// When there are too many: the oldest file of the owner with the most, so that an owner who holds many costs no
    /// other owner.
    pub(super) fn pop_surplus(&mut self) -> Option<Open> {
        if self.0.len() <= STILL_OPEN_MAX {
            return None;
        }
        let mut owners: HashMap<u32, usize> = HashMap::new();
        for waiting in &self.0 {
            *owners.entry(waiting.open.uid).or_default() += 1;
        }
        let most = owners.into_iter().max_by_key(|(uid, files)| (*files, *uid)).map(|(uid, _)| uid)?;
        let index = self.0.iter().position(|waiting| waiting.open.uid == most)?;
        Some(self.0.remove(index).open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor_core::Seq;

    const MS: fn(u64) -> Duration = Duration::from_millis;
    const SEEN: Fingerprint = Fingerprint { inode: 1, size: 1, mtime_ns: 1, ctime_ns: 1 };

    fn open(seq: Seq, uid: u32, since: Duration) -> Open {
        let taken = TakenName { seq, raw: format!("intent-{seq}.json").into_bytes().into() };
        Open { taken, uid, since, seen: SEEN }
    }

    #[test]
    fn looks_become_rarer_the_longer_it_takes() {
        let mut writers = StillOpen::default();
        let (mut now, mut pauses) = (MS(1_000), Vec::new());
        writers.wait(now, open(Seq(1), 7, now));
        for _ in 0..20 {
            let pause = writers.patience(now).unwrap();
            assert!(writers.pop_due(now).is_none());
            now += pause;
            let open = writers.pop_due(now).unwrap();
            writers.wait(now, open);
            pauses.push(pause);
        }
        assert!(pauses.is_sorted() && pauses[0] == FIRST_LOOK && pauses[19] == LAST_LOOK, "{pauses:?}");
    }

    #[test]
    fn who_holds_most_loses_the_oldest_and_others_none() {
        let mut writers = StillOpen::default();
        writers.wait(MS(0), open(Seq(1), 1, MS(0)));
        for seq in 2..=STILL_OPEN_MAX as u64 + 1 {
            writers.wait(MS(seq), open(Seq(seq), 2, MS(seq)));
        }
        assert_eq!(writers.pop_surplus().map(|open| open.taken.seq), Some(Seq(2)), "not the very oldest");
        assert!(writers.pop_surplus().is_none());
    }
}
