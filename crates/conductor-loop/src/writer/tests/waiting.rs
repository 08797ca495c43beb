//! What waits: outcomes for a sync of their packages, and statuses for a directory that takes them.

use super::*;
use crate::writer::late_statuses::{Late, RETRY};

impl Office {
    fn simulate_time(&mut self) {
        self.writer_loop.clock = || BEGUN.get() + PASSED.get();
    }

    fn packages(&self) -> &PackageSync {
        self.writer_loop.packages.as_ref().unwrap()
    }

    /// The time until the next sync of packages, while nobody waits for it.
    fn next_sync(&self) -> Option<Duration> {
        self.packages().patience(false, (self.writer_loop.clock)())
    }
}

#[test]
fn outcomes_collect_for_a_sync_of_their_packages_and_none_begins_during_another() {
    let mut office = office();
    office.simulate_time();
    office.writer_loop.flush.store(false, Ordering::Release);
    let (back, synced) = crossbeam_channel::unbounded();
    let outlet = Arc::new(Outlet::new(office.temp.path(), true).unwrap());
    office.writer_loop.packages = Some(PackageSync::start(outlet, back).unwrap());
    assert!(office.packages().is_idle());
    for seq in [1, 2] {
        assert_eq!(office.turn(vec![settle(Seq(seq))]), (true, vec![]));
        assert_eq!(office.next_sync(), Some(LINGER), "they collect from the first one on");
    }
    assert!(!office.packages().is_idle(), "a stop waits for them");
    PASSED.set(LINGER);
    office.turn(vec![]);
    let first = synced.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(!office.packages().is_idle(), "and while their sync is under way");
    assert_eq!(office.turn(vec![settle(Seq(3))]), (true, vec![]));
    PASSED.set(LINGER * 3);
    assert_eq!(office.next_sync(), None, "the first has not answered");
    let filed = ["filed 1 processed/intent-a.json", "filed 2 processed/intent-a.2.json"];
    assert_eq!(office.turn(vec![first]).1, [&["committed 2"], &filed[..]].concat());
    let second = synced.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(office.turn(vec![second]).1, ["committed 1", "filed 3 processed/intent-a.3.json"]);
    assert!(office.packages().is_idle());
}

#[test]
fn a_status_that_could_not_be_written_is_written_two_seconds_later() {
    let mut office = office();
    office.simulate_time();
    // A directory that permits nothing: every operation on it fails.
    let closed = Arc::new(Dir::open(std::path::Path::new("/proc/self/fdinfo")).unwrap());
    let open = std::mem::replace(&mut office.writer_loop.places.status, closed);
    let patience = |office: &Office| office.writer_loop.late.patience((office.writer_loop.clock)());
    office.turn(vec![settle(Seq(1))]);
    assert_eq!(patience(&office), Some(RETRY));
    PASSED.set(RETRY / 2);
    // Another one does not postpone the first.
    office.turn(vec![settle(Seq(2))]);
    assert_eq!(patience(&office), Some(RETRY / 2));
    assert!(office.writer_loop.patience() <= RETRY / 2);
    office.writer_loop.places.status = open;
    let has_status = |office: &Office| office.path("status/intent-a.json.status").exists();
    office.turn(vec![]);
    assert!(!has_status(&office), "it is not time yet");
    PASSED.set(RETRY);
    office.turn(vec![]);
    assert!(has_status(&office));
    assert_eq!(patience(&office), None, "none is left");
}

#[test]
fn of_very_many_statuses_that_could_not_be_written_the_rest_waits_for_the_next_start() {
    let mut late = Late::default();
    let now = Instant::now();
    let retried = (0..200_000).filter(|seq| late.add(Seq(*seq), now)).count();
    assert_eq!((retried, late.seqs.len()), (100_000, 100_000));
}
