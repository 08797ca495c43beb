//! The bytes of intents in memory, counted by their type: an intent's bytes cannot be held without a share of one budget,
//! and the share is returned with the last reference. Half of the budget is for bytes on their way (read and not yet
//! durable), half for those that wait in memory although the store has them, so that waiting bytes never keep the next
//! file from being read.

use conductor_os::wake::Waker;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// The bound on the bytes of intents in memory.
#[derive(Debug)]
pub struct Budget {
    /// The limit of each half.
    most: usize,
    used: Mutex<Used>,
    reader: OnceLock<Waker>,
}

#[derive(Debug, Default)]
struct Used {
    under_way: usize,
    kept: usize,
    /// Whether the reader was refused and waits.
    waits: bool,
}

impl Budget {
    /// A budget of `most` bytes in all.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most: most / 2, used: Mutex::default(), reader: OnceLock::new() })
    }

    /// Sets the reader to wake when there is room again. One thread reads files, so there is one.
    pub fn wakes(&self, reader: Waker) {
        // A second call would mean a second reader, and there is none.
        let _ = self.reader.set(reader);
    }

    /// Whether a file of this size may be read now. A file larger than the budget is read when no other bytes are on
    /// their way. A refused reader is woken when the answer may have changed.
    pub fn has_room(&self, size: u64) -> bool {
        let mut used = self.used();
        let fits = usize::try_from(size).is_ok_and(|size| used.under_way.saturating_add(size) <= self.most);
        let room = fits || used.under_way == 0;
        used.waits |= !room;
        room
    }

    /// Bytes on their way, and bytes that wait.
    pub fn in_use(&self) -> (usize, usize) {
        let used = self.used();
        (used.under_way, used.kept)
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, size: usize, kept: bool) {
        let mut used = self.used();
        let part = if kept { &mut used.kept } else { &mut used.under_way };
        *part -= size;
        if std::mem::take(&mut used.waits)
            && let Some(reader) = self.reader.get()
        {
            reader.wake();
        }
    }
}

/// The bytes of one intent. Clones share them.
#[derive(Debug, Clone)]
pub struct Payload(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bytes: Box<[u8]>,
    kept: AtomicBool,
    budget: Arc<Budget>,
}

impl Payload {
    /// Wraps bytes that were read, on their way to the store.
    pub fn new(bytes: Vec<u8>, budget: &Arc<Budget>) -> Self {
        budget.used().under_way += bytes.len();
        let (bytes, kept) = (bytes.into_boxed_slice(), AtomicBool::new(false));
        Self(Arc::new(Inner { bytes, kept, budget: Arc::clone(budget) }))
    }

    /// The bytes are durable now: returns whether they may also stay in memory. If not, the holder drops them.
    pub fn keep(&self) -> bool {
        let Inner { bytes, kept, budget } = &*self.0;
        let mut used = budget.used();
        if kept.load(Ordering::Acquire) {
            return true;
        }
        let room = used.kept.saturating_add(bytes.len()) <= budget.most;
        if room {
            used.kept += bytes.len();
            used.under_way -= bytes.len();
            kept.store(true, Ordering::Release);
            if std::mem::take(&mut used.waits)
                && let Some(reader) = budget.reader.get()
            {
                reader.wake();
            }
        }
        room
    }
}

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes.len(), self.kept.load(Ordering::Acquire));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor_os::wake::wait_readable;
    use std::collections::VecDeque;
    use std::os::fd::AsFd;
    use std::time::Duration;

    fn payload(size: usize, budget: &Arc<Budget>) -> Payload {
        Payload::new(vec![0; size], budget)
    }

    #[test]
    fn who_waits_for_room_is_woken_when_there_is_some_and_nobody_else_is() {
        let (budget, reader) = (Budget::new(200), Waker::new().unwrap());
        budget.wakes(reader.clone());
        let woken = || {
            let [woken] = wait_readable([Some(reader.as_fd())], Some(Duration::ZERO)).unwrap();
            reader.clear();
            woken
        };
        let (one, other) = (payload(60, &budget), payload(40, &budget));
        let clone = one.clone();
        drop(one);
        assert_eq!((budget.in_use(), woken()), ((100, 0), false), "a clone still holds it");
        assert!(!budget.has_room(1));
        drop(clone);
        assert_eq!((budget.in_use(), woken(), budget.has_room(60)), ((40, 0), true, true));
        drop(other);
        assert_eq!((budget.in_use(), woken()), ((0, 0), false), "nobody waited");
        // A file larger than the whole budget is read alone.
        assert!(budget.has_room(1_000));
        let large = payload(1_000, &budget);
        assert!(!budget.has_room(0) && !large.keep());
        drop(large);
        assert!(woken());
        // Bytes that stay in memory make room for the next file.
        let stays = payload(100, &budget);
        assert!(!budget.has_room(1) && stays.keep() && stays.keep() && woken());
        assert_eq!(budget.in_use(), (0, 100));
        let next = payload(1, &budget);
        assert!(!next.keep(), "as much as may");
        drop((stays, next));
        assert_eq!(budget.in_use(), (0, 0));
    }

    /// For all sizes: the bytes in memory stay within the budget and one file, and every file is read in its turn.
    #[test]
    fn bytes_in_memory_stay_within_the_budget_and_nothing_starves() {
        let mut seed = 1_u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for _ in 0..300 {
            let budget = Budget::new(200);
            let mut files: VecDeque<(usize, bool)> =
                (0..=random(150)).map(|_| (usize::try_from(random(400)).unwrap(), random(2) == 0)).collect();
            let (mut under_way, mut kept, mut most) = (VecDeque::new(), Vec::new(), 0);
            while let Some((size, waits)) = files.front().copied() {
                if budget.has_room(size as u64) {
                    files.pop_front();
                    most = most.max(size);
                    under_way.push_back((payload(size, &budget), waits));
                } else {
                    // The store has the oldest: it waits in memory, or leaves it.
                    let (durable, waits): (Payload, bool) =
                        under_way.pop_front().expect("what takes the room gives it back");
                    if waits && durable.keep() {
                        kept.push(durable);
                    }
                }
                let (used, waiting) = budget.in_use();
                assert!(used <= 100.max(most) && waiting <= 100, "{used} {waiting}");
            }
            drop((under_way, kept));
            assert_eq!(budget.in_use(), (0, 0));
        }
    }
}
