//! Debounce: sighted names that have been quiet long enough are due. Trailing edge, bounded: a file that keeps changing
//! is taken at the latest ten debounce times after it was first seen.

use super::message::{Fingerprint, Sighting};
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// Names that are waiting to be taken.
#[derive(Debug, Default)]
pub(super) struct Debounce {
    names: HashMap<Box<[u8]>, Entry>,
    /// Due time first; among names due together the oldest file, then the name.
    order: BTreeSet<(Duration, i64, Box<[u8]>)>,
}

#[derive(Debug)]
struct Entry {
    latest: Duration,
    due: Duration,
    fingerprint: Fingerprint,
}

/// A name that is due.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) name: Box<[u8]>,
    /// The required fingerprint; `None` when the file is taken as it is.
    pub(super) expect: Option<Fingerprint>,
}

impl Debounce {
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// Records a sighted name. `age` is the time since its last change according to the file system.
    pub(super) fn sighted(
        &mut self,
        now: Duration,
        sighting: Sighting,
        debounce: Duration,
        debounce_max: Duration,
    ) {
        let Sighting { name, fingerprint, age } = sighting;
        match self.names.get_mut(&name) {
            None => {
                let due = now + debounce.saturating_sub(age);
                self.order.insert((due, fingerprint.mtime_ns, name.clone()));
                self.names.insert(name, Entry { latest: now + debounce_max, due, fingerprint });
            }
            Some(entry) if entry.fingerprint == fingerprint => {}
            Some(entry) => {
                self.order.remove(&(entry.due, entry.fingerprint.mtime_ns, name.clone()));
                entry.due = (now + debounce).min(entry.latest);
                entry.fingerprint = fingerprint;
                self.order.insert((entry.due, fingerprint.mtime_ns, name));
            }
        }
    }

    /// Applies new times: shorter ones to names that already wait, longer ones to names seen from now on.
    pub(super) fn shorten(&mut self, now: Duration, debounce: Duration, debounce_max: Duration) {
        let order = std::mem::take(&mut self.order);
        for (due, mtime_ns, name) in order {
            let earlier = due.min(now + debounce);
            if let Some(entry) = self.names.get_mut(&name) {
                entry.latest = entry.latest.min(now + debounce_max);
                entry.due = earlier;
            }
            self.order.insert((earlier, mtime_ns, name));
        }
    }

    pub(super) fn forget(&mut self, name: &[u8]) {
        if let Some((name, entry)) = self.names.remove_entry(name) {
            self.order.remove(&(entry.due, entry.fingerprint.mtime_ns, name));
        }
    }

    /// The next due name. It leaves the order but stays known until its taking is answered.
    pub(super) fn pop_due(&mut self, now: Duration) -> Option<Due> {
        if self.next_due()? > now {
            return None;
        }
        let (_, _, name) = self.order.pop_first()?;
        let entry = self.names.get(&name)?;
        let expect = (entry.due < entry.latest).then_some(entry.fingerprint);
        Some(Due { name, expect })
    }

    /// The time at which a name is due, requested ones included; `None` if it is unknown.
    pub(super) fn due(&self, name: &[u8]) -> Option<Duration> {
        self.names.get(name).map(|entry| entry.due)
    }

    /// Names with their modification times, due ones first.
    pub(super) fn names(&self) -> impl Iterator<Item = (&[u8], i64)> {
        self.order.iter().map(|(_, mtime_ns, name)| (&**name, *mtime_ns))
    }

    pub(super) fn next_due(&self) -> Option<Duration> {
        self.order.first().map(|(due, _, _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn sighting(name: &str, version: i64, age: Duration) -> Sighting {
        let fingerprint = Fingerprint { inode: 1, size: 1, mtime_ns: version, ctime_ns: version };
        Sighting { name: name.as_bytes().into(), fingerprint, age }
    }

    #[test]
    fn old_files_are_due_at_once_oldest_first() {
        let mut settle = Debounce::default();
        for (name, mtime) in [("b", 2), ("a", 2), ("c", 1)] {
            settle.sighted(MS(5), sighting(name, mtime, MS(9999)), MS(500), MS(5000));
        }
        let order: Vec<_> = std::iter::from_fn(|| settle.pop_due(MS(5))).map(|due| due.name).collect();
        assert_eq!(order, [b"c".as_slice().into(), b"a".as_slice().into(), Box::from(b"b".as_slice())]);
    }

    proptest! {
        /// Against a naive model: due at the last change plus the window, but never later than the bound.
        #[test]
        fn equals_the_naive_model(gaps in proptest::collection::vec(0u64..120, 0..80)) {
            let (window, bound) = (MS(100), MS(1000));
            let (mut settle, mut now, mut last_change) = (Debounce::default(), MS(0), MS(0));
            settle.sighted(now, sighting("x", 0, MS(0)), window, bound);
            for (version, gap) in gaps.iter().enumerate() {
                now += MS(*gap);
                if now >= (last_change + window).min(bound) {
                    break;
                }
                prop_assert!(settle.pop_due(now).is_none());
                settle.sighted(now, sighting("x", i64::try_from(version + 1).unwrap(), MS(0)), window, bound);
                last_change = now;
            }
            let expected = (last_change + window).min(bound);
            prop_assert_eq!(settle.next_due(), Some(expected));
            let due = settle.pop_due(expected).unwrap();
            prop_assert_eq!(due.expect.is_none(), expected == bound, "taken as it stands only at the bound");
        }
    }
}
