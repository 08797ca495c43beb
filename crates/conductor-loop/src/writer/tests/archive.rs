//! Ownership of files: names in the archive, entries in the way, leftovers of a crash, removal by retention.

use super::*;
use crate::handoff::Archive;
use crate::writer::publish::{Filing, Progress};
use conductor_core::name::TakenName;
use conductor_core::record::Status;
use conductor_core::{Seq, Slot};
use conductor_crypto::sha256;
use std::os::unix::fs::MetadataExt;

impl Office {
    /// Publishes an outcome as recorded: entries made since its name was chosen are in the way.
    fn publish(&mut self, filing: impl Into<Filing>) -> (bool, Vec<String>) {
        let filing = filing.into();
        let Publication { outcome, report, source, .. } = &filing.publication;
        let kept = match source {
            Source::Bytes(bytes) => Kept::Bytes(bytes),
            Source::Taken(_) => Kept::File,
            Source::Staged { .. } | Source::Stored => Kept::Already,
        };
        self.writer_loop.store.commit(&Work::decide(outcome, report.as_deref(), kept)).unwrap();
        let goes_on = self.writer_loop.publish([filing]).is_ok();
        (goes_on, self.said())
    }

    fn purge(&mut self, before: Timestamp) -> Vec<String> {
        let (goes_on, said) = self.turn(vec![Command::Retain { before }]);
        assert!(goes_on);
        said
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    fn names(&self, dir: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(dir)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// A failed outcome, with an error log as the daemon writes it.
fn failure(seq: Seq, content: &str) -> Publication {
    let mut failure = publication(seq, bytes(content));
    failure.outcome.status = Status::Failed;
    failure.outcome.archived_as = "failed/intent-a.json".to_owned();
    (failure.outcome.size, failure.outcome.sha256) = (content.len() as u64, Some(sha256(content.as_bytes())));
    failure.report = Some(
        format!("File:        intent-a.json\nSequence:    {seq}\n\n--- stdout: 1 bytes ---\nSequence: 1\n")
            .into(),
    );
    failure
}

fn send(publication: Publication) -> Vec<Command> {
    vec![Command::Settle(Box::new(publication))]
}

fn filed(seq: Seq, at: &str) -> Vec<String> {
    vec![format!("filed {seq} {at}")]
}

#[test]
fn retention_goes_in_rounds_and_says_what_it_removed() {
    let mut office = office();
    let young = set_now(1);
    let all: Vec<Outcome> = (1..=300).map(|seq| outcome(Seq(seq), &format!("intent-{seq}.json"))).collect();
    let kept = Outcome { finished_at: young, ..outcome(Seq(301), "intent-301.json") };
    // A young one does not end the search: the ones after it are still old.
    let all: Vec<Outcome> = all.into_iter().chain([kept, outcome(Seq(302), "intent-302.json")]).collect();
    // Not yet known to be published durably.
    let open = outcome(Seq(303), "intent-303.json");
    let recorded = |outcome| Decided { outcome, report: None, kept: Kept::File };
    let decided = [&open].into_iter().chain(&all).map(recorded).collect();
    let done = all.iter().map(|one| one.seq).collect();
    office.writer_loop.store.commit(&Work { decided, done, ..Work::default() }).unwrap();
    // An outcome exactly as old as the bound is not older.
    assert_eq!(office.purge(young), ["retained 256"]);
    assert_eq!(office.writer_loop.patience(), Duration::ZERO, "the rest follows at once");
    assert_eq!(office.turn(vec![]), (true, vec!["retained 45".to_owned()]));
    assert_eq!(office.turn(vec![]), (true, vec![]));
    assert!(office.purge(young).is_empty(), "nothing was removed, so nothing is said");
    let mut left = Vec::new();
    office
        .writer_loop
        .store
        .outcomes(Seq(0), &mut |one| {
            left.push(one.seq);
            true
        })
        .unwrap();
    assert_eq!(left, [301, 303].map(Seq));
}

#[test]
fn retention_leaves_the_status_of_a_later_run_alone() {
    let mut office = office();
    let old = outcome(Seq(1), "intent-a.json");
    let body = String::from_utf8(old.plain_status()).unwrap();
    // The status of a later run may even begin like the old one.
    let longer = format!("{body} ");
    for (content, stays) in [(longer.as_str(), true), ("another", true), (body.as_str(), false)] {
        office.write("status/intent-a.json.status", content);
        let settled = Work::decide(&old, None, Kept::File);
        office.writer_loop.store.commit(&Work { done: vec![Seq(1)], ..settled }).unwrap();
        assert_eq!(office.purge(Timestamp::now()), ["retained 1"]);
        assert_eq!(office.names("status").len(), usize::from(stays), "{content:?}");
    }
}

#[test]
fn retention_removes_only_what_is_that_very_outcome_s() {
    let mut office = office();
    office.turn(send(failure(Seq(1), "first")));
    office.writer_loop.finish();
    // The operator moves it back to retry it; it fails again, and the name looks free.
    std::fs::rename(office.path("failed/intent-a.json"), office.path("intent-a.json")).unwrap();
    office.turn(send(failure(Seq(2), "first")));
    office.writer_loop.finish();
    let second = ["intent-a.2.json", "intent-a.2.json.error.log"].map(str::to_owned);
    assert_eq!(office.names("failed"), [&second[..], &["intent-a.json.error.log".to_owned()]].concat());
    // A foreign file of the same size in place of the first.
    office.write("failed/intent-a.json", "frist");
    let first = office.writer_loop.store.outcome(Seq(1)).unwrap().unwrap();
    let second_outcome = office.writer_loop.store.outcome(Seq(2)).unwrap().unwrap();
    let young = Outcome { finished_at: set_now(2), ..second_outcome };
    let settled = Work::decide(&young, None, Kept::File);
    office.writer_loop.store.commit(&Work { done: vec![Seq(2)], ..settled }).unwrap();
    assert_eq!(office.purge(Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1)), ["retained 1"]);
    assert_eq!(office.names("failed"), [&second[..], &["intent-a.json".to_owned()]].concat());
    // No outcome owns it now, and no other gets its place.
    assert_eq!(office.writer_loop.store.owner(&first.archived_as).unwrap(), None);
    office.turn(send(failure(Seq(3), "third")));
    assert_eq!(office.read("failed/intent-a.3.json"), b"third");
    // Foreign entries in place of a file and of its log.
    office.write("failed/intent-a.3.json", "drith");
    office.write("failed/intent-a.3.json.error.log", "Sequence:    4\nSequence:    3\n");
    office.writer_loop.finish();
    assert_eq!(office.purge(Timestamp::now()), ["retained 2"]);
    let left = ["intent-a.3.json", "intent-a.3.json.error.log", "intent-a.json"];
    assert_eq!(office.names("failed"), left);
}

#[test]
fn what_cannot_be_removed_stays_remembered() {
    let mut office = office();
    office.turn(send(publication(Seq(1), bytes(""))));
    office.writer_loop.finish();
    let places = &mut office.writer_loop.places;
    // A directory that permits nothing: every operation on it fails.
    places.processed = Arc::new(Dir::open(std::path::Path::new("/proc/self/fdinfo")).unwrap());
    let owned = Outcome { archived_as: "processed/0".to_owned(), ..outcome(Seq(1), "intent-a.json") };
    let settled = Work::decide(&owned, None, Kept::File);
    office.writer_loop.store.commit(&Work { done: vec![Seq(1)], ..settled }).unwrap();
    assert!(office.purge(Timestamp::now()).is_empty());
    assert!(office.writer_loop.store.outcome(Seq(1)).unwrap().is_some());
}

#[test]
fn what_cannot_be_looked_at_stays_remembered() {
    let endless = "n".repeat(300);
    // With the rest of its name the error log would be too long, as it never is with an intent's own name.
    let long = "n".repeat(250);
    for (name, archived, status) in [
        ("intent-a.json", &endless, Status::Success),
        (&endless, &"intent-a.json".to_owned(), Status::Success),
        ("intent-a.json", &long, Status::Failed),
    ] {
        let mut office = office();
        let archived_as = format!("{}/{archived}", Archive::of(status).folder());
        let unseen = Outcome { archived_as, status, ..outcome(Seq(1), name) };
        let settled = Work::decide(&unseen, None, Kept::File);
        office.writer_loop.store.commit(&Work { done: vec![Seq(1)], ..settled }).unwrap();
        assert!(office.purge(Timestamp::now()).is_empty(), "{name} as {archived}");
        assert!(office.writer_loop.store.outcome(Seq(1)).unwrap().is_some(), "{name} as {archived}");
    }
}

#[test]
fn a_file_that_somebody_has_removed_keeps_no_outcome() {
    for gone in ["failed/intent-a.json", "failed/intent-a.json.error.log", "status/intent-a.json.status"] {
        let mut office = office();
        office.turn(send(failure(Seq(1), "first")));
        office.writer_loop.finish();
        std::fs::remove_file(office.path(gone)).unwrap();
        assert_eq!(office.purge(Timestamp::now()), ["retained 1"], "{gone}");
        assert_eq!((office.names("failed").len(), office.names("status").len()), (0, 0), "{gone}");
    }
}

#[test]
fn what_was_moved_unread_is_known_by_its_size() {
    for (content, stays) in [("taken", false), ("another", true)] {
        let mut office = office();
        let size = "taken".len() as u64;
        let unread = Outcome { size, ..outcome(Seq(1), "intent-a.json") };
        office.write("processed/intent-a.json", content);
        let settled = Work::decide(&unread, None, Kept::File);
        office.writer_loop.store.commit(&Work { done: vec![Seq(1)], ..settled }).unwrap();
        assert_eq!(office.purge(Timestamp::now()), ["retained 1"]);
        assert_eq!(office.path("processed/intent-a.json").exists(), stays, "{content}");
    }
}

#[test]
fn what_is_older_than_the_retention_goes_unless_the_clock_has_jumped_since() {
    // The hours at which further processes begin, and whether the last of them removes it: after a time that is longer than outcomes are
    // kept, nobody knows how long it has been.
    for (begun, removed) in [(&[6, 12][..], true), (&[500], false)] {
        set_now(1);
        let mut office = office();
        office.turn(vec![settle(Seq(1))]);
        office.writer_loop.finish();
        let mut said = Vec::new();
        for hours in begun {
            let Office { temp, writer_loop, .. } = office;
            drop(writer_loop);
            set_now(*hours);
            office = office_in(temp);
            said.extend(office.turn(vec![Command::Expire { retention: SignedDuration::from_hours(9) }]).1);
        }
        assert_eq!(said, if removed { vec!["retained 1".to_owned()] } else { Vec::new() }, "{begun:?}");
    }
}

#[test]
fn a_removal_goes_on_behind_what_cannot_be_removed() {
    for (size, rounds) in [(1, 1), (33 << 20, 2)] {
        let mut office = office();
        // Its status cannot be looked at, so that it stays; what is read of files in one round is limited.
        let stays =
            Outcome { size, archived_as: "processed/a".to_owned(), ..outcome(Seq(1), &"n".repeat(300)) };
        for one in [stays, outcome(Seq(2), "intent-b.json")] {
            let settled = Work::decide(&one, None, Kept::File);
            office.writer_loop.store.commit(&Work { done: vec![one.seq], ..settled }).unwrap();
        }
        let mut said = office.purge(Timestamp::now());
        for _ in 1..rounds {
            assert!(said.is_empty(), "{said:?}");
            assert_eq!(office.writer_loop.patience(), Duration::ZERO, "the rest follows at once");
            said = office.turn(vec![]).1;
        }
        assert_eq!(said, ["retained 1"], "{size}");
        assert!(office.writer_loop.patience() > Duration::ZERO, "{size}");
    }
}

#[test]
fn a_name_is_chosen_that_nobody_has() {
    let mut office = office();
    office.write("processed/intent-b.json", "somebody's");
    office.write("processed/intent-c.5.json", "somebody's");
    let one = |seq, name: &str| {
        let outcome = outcome(seq, name);
        Command::Settle(Box::new(Publication { outcome, ..publication(seq, bytes("{}")) }))
    };
    let batch = vec![
        one(Seq(1), "intent-a.json"),
        one(Seq(2), "intent-a.json"), // Reserved by the one before, in the same batch.
        one(Seq(3), "intent-b.json"), // On the disk.
        one(Seq(4), "intent-c.json"),
        one(Seq(5), "intent-c.json"), // The numbered name is on the disk too.
        one(Seq(6), "intent-d.8.json"),
        one(Seq(7), "intent-d.json"),
        one(Seq(8), "intent-d.json"), // The numbered name is another intent's own.
    ];
    let (_, said) = office.turn(batch);
    let at: Vec<&str> =
        said.iter().filter_map(|line| line.split_once("processed/")).map(|(_, at)| at).collect();
    assert_eq!(
        at,
        [
            "intent-a.json",
            "intent-a.2.json",
            "intent-b.3.json",
            "intent-c.json",
            "intent-c.5.2.json",
            "intent-d.8.json",
            "intent-d.json",
            "intent-d.8.2.json"
        ]
    );
    // Moved away: the outcome still owns the name.
    std::fs::remove_file(office.path("processed/intent-a.json")).unwrap();
    assert_eq!(office.turn(vec![one(Seq(9), "intent-a.json")]).1[1], "filed 9 processed/intent-a.9.json");
}

#[test]
fn a_batch_records_no_name_twice() {
    let mut office = office();
    let mut batch = [1, 2, 3].map(|seq| publication(Seq(seq), bytes("{}")));
    assert!(office.writer_loop.prepare(&mut batch).is_ok());
    let names = batch.map(|publication| publication.outcome.archived_as);
    assert_eq!(names, ["processed/intent-a.json", "processed/intent-a.2.json", "processed/intent-a.3.json"]);
}

#[test]
fn a_stranger_in_the_way_costs_another_name_and_is_never_overwritten() {
    let mut office = office();
    office.write("processed/intent-a.json", "a stranger's");
    office.write("processed/intent-a.7.json", "another's");
    std::fs::create_dir(office.path("processed/intent-a.7.2.json")).unwrap();
    let third = "processed/intent-a.7.3.json";
    assert_eq!(office.publish(publication(Seq(7), bytes("ours"))), (true, filed(Seq(7), third)));
    assert_eq!(office.read(third), b"ours");
    assert_eq!(office.read("processed/intent-a.json"), b"a stranger's");
    assert_eq!(office.read("processed/intent-a.7.json"), b"another's");
    assert_eq!(office.writer_loop.store.outcome(Seq(7)).unwrap().unwrap().archived_as, third);
    // Equal bytes do not prove that a file is ours if it was not there a moment ago.
    office.write("processed/intent-a.json", "ours");
    assert_eq!(
        office.publish(publication(Seq(8), bytes("ours"))),
        (true, filed(Seq(8), "processed/intent-a.8.json"))
    );
    assert!(office.writer_loop.places.drafts.names().unwrap().is_empty(), "no draft stays behind");
}

#[test]
fn a_stranger_s_error_log_moves_both_files_elsewhere() {
    let mut office = office();
    office.write("failed/intent-a.json.error.log", "a stranger's");
    assert_eq!(office.publish(failure(Seq(7), "ours")), (true, filed(Seq(7), "failed/intent-a.7.json")));
    assert_eq!(office.read("failed/intent-a.json.error.log"), b"a stranger's");
    let names = ["intent-a.7.json", "intent-a.7.json.error.log", "intent-a.json.error.log"];
    assert_eq!(office.names("failed"), names);
    // A file that was moved whole goes back and out again.
    office.write("taken/8.intent-a.json", "taken");
    let taken = TakenName { seq: Seq(8), raw: b"intent-a.json".as_slice().into() };
    let unread = Publication { source: Source::Taken(taken), ..failure(Seq(8), "") };
    assert_eq!(office.publish(unread), (true, filed(Seq(8), "failed/intent-a.8.json")));
    assert_eq!(office.read("failed/intent-a.8.json"), b"taken");
    assert!(office.names("taken").is_empty() && !office.path("failed/intent-a.json").exists());
}

#[test]
fn what_cannot_be_archived_is_never_said_to_be() {
    let taken = || TakenName { seq: Seq(7), raw: b"intent-a.json".as_slice().into() };
    for source in [Source::Taken(taken()), bytes("ours")] {
        let mut office = office();
        office.write("taken/7.intent-a.json", "taken");
        let mut nameless = publication(Seq(7), source);
        nameless.outcome.archived_as = format!("processed/{}", "n".repeat(256));
        // Any other failure is no reason to take another name.
        assert_eq!(office.publish(nameless), (false, vec!["fatal E406".to_owned()]));
        assert!(office.names("processed").is_empty() && office.names("drafts").is_empty());
    }
    // Nor is it one where files may have been made before.
    let mut office = office();
    std::fs::remove_dir(office.path("processed")).unwrap();
    let again = Publication { kind: PublicationKind::Again, ..publication(Seq(7), bytes("ours")) };
    assert_eq!(office.publish(again), (false, vec!["fatal E406".to_owned()]));
    assert!(office.names("drafts").is_empty());
    // Moved by a daemon that died before it could report it.
    let mut office = self::office();
    office.write("processed/intent-a.json", "taken");
    let again = Publication { kind: PublicationKind::Again, ..publication(Seq(7), Source::Taken(taken())) };
    assert_eq!(office.publish(again), (true, filed(Seq(7), "processed/intent-a.json")));
}

#[test]
fn a_staged_copy_that_is_gone_is_made_from_the_bytes() {
    let staged = || stored(Seq(7), Source::Staged { slot: Slot(3) });
    let mut office = office();
    let gone = office.writer_loop.publish([staged().into()]);
    assert!(gone.is_err() && office.names("processed").is_empty(), "never an empty file");
    // With and without an entry in its place.
    for stands in [false, true] {
        let mut office = self::office();
        office.claim(Seq(7), b"ours");
        if stands {
            office.write("staging/3", "no directory");
        }
        assert_eq!(office.publish(staged()), (true, filed(Seq(7), "processed/intent-a.json")));
        assert_eq!(office.read("processed/intent-a.json"), b"ours");
    }
}

#[test]
fn what_a_power_cut_left_is_replaced_and_what_is_not_ours_is_left_alone() {
    for (found, at, untouched) in [
        ("ours", "intent-a.json", true),
        ("ou", "intent-a.json", false),
        ("ours and more", "intent-a.7.json", true),
        ("else", "intent-a.7.json", true),
    ] {
        let mut office = office();
        let path = office.path("processed/intent-a.json");
        std::fs::write(&path, found).unwrap();
        // A second link keeps the inode from being reused.
        let old = office.path("old");
        std::fs::hard_link(&path, &old).unwrap();
        let again = Publication { kind: PublicationKind::Again, ..publication(Seq(7), bytes("ours")) };
        assert_eq!(office.publish(again), (true, filed(Seq(7), &format!("processed/{at}"))), "{found}");
        assert_eq!(office.read(&format!("processed/{at}")), b"ours", "{found}");
        let same = std::fs::metadata(&path).unwrap().ino() == std::fs::metadata(&old).unwrap().ino();
        assert_eq!(same, untouched, "{found}");
        assert_eq!(std::fs::read(old).unwrap(), found.as_bytes());
    }
}

#[test]
fn an_error_log_that_a_power_cut_left_is_replaced_and_another_is_not() {
    let cases = [("File:   ", "intent-a.json"), ("", "intent-a.json"), ("File: another", "intent-a.7.json")];
    for (found, at) in cases {
        let mut office = office();
        office.write("failed/intent-a.json", "ours");
        office.write("failed/intent-a.json.error.log", found);
        let again = Publication { kind: PublicationKind::Again, ..failure(Seq(7), "ours") };
        let wanted = again.report.clone().unwrap();
        assert_eq!(office.publish(again), (true, filed(Seq(7), &format!("failed/{at}"))), "{found}");
        assert_eq!(office.read(&format!("failed/{at}.error.log")), wanted, "{found}");
        let files = office.names("failed").len();
        assert_eq!(files, if at == "intent-a.json" { 2 } else { 3 }, "{found}");
    }
}

#[test]
fn a_draft_that_was_left_behind_and_a_name_without_room_for_one_are_no_obstacle() {
    let mut office = office();
    office.write("drafts/1.draft", "of a daemon that died");
    assert!(office.publish(publication(Seq(7), bytes("ours"))).0);
    assert_eq!(office.read("processed/intent-a.json"), b"ours");
    for length in [249, 250, 255] {
        let name = "n".repeat(length);
        let mut long = publication(Seq(7), bytes("ours"));
        long.outcome.archived_as = format!("processed/{name}");
        assert!(office.publish(long).0, "{length}");
        assert_eq!(office.read(&format!("processed/{name}")), b"ours");
    }
    assert!(office.writer_loop.places.drafts.names().unwrap().is_empty());
}

#[test]
fn what_found_no_space_behind_its_file_goes_on_there_and_archives_nothing_twice() {
    let mut office = office();
    let mut half = failure(Seq(7), "ours");
    half.outcome.archived_as = "failed/intent-a.json".to_owned();
    office.write("failed/intent-a.json", "ours");
    let log = half.report.clone().unwrap();
    std::fs::write(office.path("failed/intent-a.json.error.log"), log).unwrap();
    let half = Filing { publication: half, progress: Progress::Archived };
    assert_eq!(office.publish(half), (true, filed(Seq(7), "failed/intent-a.json")));
    assert_eq!(office.names("failed"), ["intent-a.json", "intent-a.json.error.log"]);
}

#[test]
fn whatever_stands_where_a_status_belongs_the_latest_run_has_it() {
    let mut office = office();
    std::fs::create_dir_all(office.path("status/intent-a.json.status/full")).unwrap();
    std::fs::create_dir(office.path("status/intent-a.json.status.aside")).unwrap();
    assert!(office.publish(publication(Seq(7), bytes("ours"))).0);
    let status = office.read("status/intent-a.json.status");
    assert_eq!(status, office.writer_loop.store.outcome(Seq(7)).unwrap().unwrap().status_body(&Unsigned));
    assert!(office.path("status/intent-a.json.status.aside.2/full").exists(), "moved, not removed");
    // A status of an earlier run, published again, does not replace a later one.
    let mut later = publication(Seq(8), bytes("later"));
    later.outcome.archived_as = "processed/intent-a.8.json".to_owned();
    assert!(office.publish(later).0);
    let latest = office.read("status/intent-a.json.status");
    let again = || Publication { kind: PublicationKind::Again, ..publication(Seq(7), bytes("ours")) };
    assert!(office.publish(again()).0);
    assert_eq!(office.read("status/intent-a.json.status"), latest);
    // A number alone is no proof, be it one that nobody has or one of a later run.
    for number in [8, 9] {
        office.write("status/intent-a.json.status", &format!(r#"{{"seq": {number}}}"#));
        assert!(office.publish(again()).0);
        assert_eq!(office.read("status/intent-a.json.status"), status);
    }
    // Nor is what was taken later the latest, where it was decided before.
    let mut earlier = publication(Seq(9), bytes("earlier"));
    earlier.outcome.archived_as = "processed/intent-a.9.json".to_owned();
    earlier.outcome.finished_at -= SignedDuration::from_secs(1);
    assert!(office.publish(earlier).0);
    assert!(office.publish(again()).0);
    assert_eq!(office.read("status/intent-a.json.status"), status);
}

#[test]
fn a_status_that_cannot_be_written_is_told_and_written_at_the_next_start() {
    let mut office = office();
    office.writer_loop.places.status =
        Arc::new(Dir::open(std::path::Path::new("/proc/self/fdinfo")).unwrap());
    let (goes_on, said) = office.turn(send(publication(Seq(7), bytes("ours"))));
    assert_eq!((goes_on, said[1].as_str()), (true, "filed 7 processed/intent-a.json"));
    office.writer_loop.finish();
    assert_eq!(office.writer_loop.store.sizes().unwrap().0, 1, "it is published again");
    // Only a directory is moved aside, and not a status that cannot be written anew.
    let mut office = self::office();
    office.write("status/intent-a.json.status", "before");
    office.writer_loop.places.drafts =
        Arc::new(Dir::open(std::path::Path::new("/proc/self/fdinfo")).unwrap());
    office.write("taken/7.intent-a.json", "taken");
    let taken = TakenName { seq: Seq(7), raw: b"intent-a.json".as_slice().into() };
    office.turn(send(publication(Seq(7), Source::Taken(taken))));
    assert_eq!(office.names("status"), ["intent-a.json.status"]);
}

#[test]
fn a_store_of_the_version_before_is_taken_over_with_the_owners_of_its_files() {
    for version in [1, 2] {
        let office = office();
        office
            .writer_loop
            .store
            .commit(&Work::decide(&outcome(Seq(1), "intent-a.json"), None, Kept::File))
            .unwrap();
        let store = Arc::new(Dir::open(&office.path("store")).unwrap());
        let Office { temp, writer_loop, .. } = office;
        drop(writer_loop);
        Store::scrambled(store).as_of_layout(version);
        let mut office = office_in(temp);
        // The file is missing, and its name is taken.
        let (_, said) = office.turn(vec![settle(Seq(2))]);
        assert_eq!(said[1], "filed 2 processed/intent-a.2.json", "{version}");
    }
}
