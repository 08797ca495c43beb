//! Why an intent is not finished: one named reason for each, from the state that decides. Queries do not change it.

use super::books::Scheduler;
use super::item::{Item, Reserve};
use super::places::Place;
use super::queues::Rank;
use crate::Attempt;
use crate::ids::Seq;
use crate::intent::TargetKey;
use crate::limits::TAKEN_MAX;
use crate::outcome::Postponed;
use crate::query::Reason;
use crate::ready::NotReady;
use crate::stage::Stage;
use crate::units::format_duration;
use std::sync::Arc;
use std::time::Duration;

/// The reason for which an intent waits, or its current activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitReason {
    /// In the handoff directory, not quiet for the debounce time yet.
    Settling {
        /// The remaining quiet time.
        left: Duration,
    },
    /// In the handoff directory, and no file is taken at the moment.
    NotTaking {
        /// Why the daemon is not ready.
        reason: NotReady,
    },
    /// In the handoff directory, while the window of takes or waiting intents is full.
    Window,
    /// In the handoff directory, being taken.
    Taking,
    /// Its claim is being written.
    Claiming,
    /// An operator holds its target.
    Held,
    /// An operator holds everything.
    AllHeld,
    /// An earlier intent of its target is unfinished.
    Behind {
        /// That intent's sequence number.
        seq: Seq,
    },
    /// It requested a retry.
    Pausing {
        /// The number of the next start.
        attempt: Attempt,
        /// The remaining pause.
        left: Duration,
    },
    /// Its start was postponed through no fault of its own.
    Postponed {
        /// The cause.
        cause: Postponed,
        /// The time until the next try; `None`: as soon as the cause ends.
        left: Option<Duration>,
        /// The affected repository.
        repository: Option<Arc<str>>,
    },
    /// Another intent works on its repository.
    Repository {
        /// The repository.
        place: Arc<str>,
    },
    /// No run starts any more: the daemon stops.
    Stopping,
    /// No run starts at the moment.
    NotStarting {
        /// Why the daemon is not ready.
        reason: NotReady,
    },
    /// --rate permits no further start now.
    Rate {
        /// The time until the next start.
        left: Duration,
    },
    /// All workers are busy.
    Workers {
        /// The number of intents that will start before it.
        ahead: usize,
    },
    /// It is next: its start is being recorded.
    Starting,
    /// A worker holds it and starts it when its current run has ended.
    InHand,
    /// `porch` runs.
    Running {
        /// The number of the start.
        attempt: Attempt,
    },
    /// Its outcome is being written.
    Recording,
}

impl WaitReason {
    /// The reason's word, text and advice.
    pub fn reason(&self) -> Reason {
        let time = |left: &Duration| {
            format_duration(Duration::from_millis(u64::try_from(left.as_millis()).unwrap_or(0)))
        };
        let (word, text, advice) = match self {
            Self::Settling { left } => (
                "settling",
                format!("it is to be quiet for another {}", time(left)),
                "Nothing; or a shorter --debounce.",
            ),
            Self::NotTaking { reason } => {
                ("not-taking", format!("nothing new is taken at the moment: {reason}"), reason.advice())
            }
            Self::Window => (
                "backlog",
                format!("{TAKEN_MAX} intents of different targets are taken already, and no more at a time"),
                "Nothing; or more --workers.",
            ),
            Self::Taking => ("taking", "it is being taken and judged".to_owned(), "Nothing."),
            Self::Claiming => ("claiming", "its claim is being made durable".to_owned(), "Nothing."),
            Self::Held => held("its target", "`conductor-loop release TARGET` when it may go on."),
            Self::AllHeld => held("everything", "`conductor-loop release --all` when it may go on."),
            Self::Behind { seq } => (
                "behind",
                format!("intent {seq} of the same target comes first"),
                "`conductor-loop explain NUMBER` says what that one waits for.",
            ),
            Self::Pausing { attempt, left } => (
                "retry-pause",
                format!("the run before asked to be tried again: start {attempt} comes in {}", time(left)),
                "Find out what it is waiting for: `conductor-loop show NUMBER` has its output.",
            ),
            Self::Stopping => stopping(),
            Self::Postponed { cause, left, repository } => {
                let again = left.map_or_else(
                    || "it goes on by itself".to_owned(),
                    |left| format!("tried again in {}", time(&left)),
                );
                postponed(*cause, repository.as_deref(), &again)
            }
            Self::Repository { place } => (
                "repository",
                format!("another intent works on {place}, and one at a time does"),
                "Nothing; `conductor-loop list --state running` shows which.",
            ),
            Self::NotStarting { reason } => {
                ("not-starting", format!("nothing is started at the moment: {reason}"), reason.advice())
            }
            Self::Rate { left } => (
                "rate",
                format!("--rate lets the next one start in {}", time(left)),
                "Nothing; or a higher --rate.",
            ),
            Self::Workers { ahead } => (
                "no-worker",
                format!("all workers are busy, and {ahead} others start before it"),
                "Nothing; or more --workers, or a higher priority in the intent.",
            ),
            Self::Starting => ("starting", "its start is being recorded".to_owned(), "Nothing."),
            Self::InHand => ("next", "a worker starts it next".to_owned(), "Nothing."),
            Self::Running { attempt } => ("running", format!("its run goes on, start {attempt}"), "Nothing."),
            Self::Recording => ("recording", "its outcome is being made durable".to_owned(), "Nothing."),
        };
        Reason { word: word.to_owned(), text, advice: advice.to_owned() }
    }
}

/// Word, text and advice.
type Words = (&'static str, String, &'static str);

fn held(what: &str, advice: &'static str) -> Words {
    ("held", format!("an operator holds {what}"), advice)
}

fn stopping() -> Words {
    let text = "the daemon is stopping and starts nothing".to_owned();
    ("stopping", text, "The next start of the daemon runs it.")
}

/// The word for what runs wait for, and what helps against it.
pub fn word_and_advice(cause: Postponed) -> (&'static str, &'static str) {
    let (word, _, advice) = postponed(cause, None, "");
    (word, advice)
}

fn postponed(cause: Postponed, repository: Option<&str>, again: &str) -> Words {
    let place = repository.unwrap_or("the output directory");
    let (word, text, advice) = match cause {
        Postponed::Stopping => return stopping(),
        Postponed::NoSpace => (
            "no-space",
            "there was no space for its private copy".to_owned(),
            "Free space on the handoff's file system.",
        ),
        Postponed::NoBytes => (
            "store-unreadable",
            "its bytes could not be read back from the store".to_owned(),
            "Check the disk and the free space of the state directory: `conductor-loop logs` says what failed.",
        ),
        Postponed::PorchMissing => (
            "porch-missing",
            "it waits for porch, which is not there or is being replaced".to_owned(),
            "Put porch back; the intent goes on by itself.",
        ),
        Postponed::DirectoryReplaced => (
            "directory-replaced",
            "the directory of its private copy was replaced".to_owned(),
            "Put .conductor/staging back, or restart the daemon.",
        ),
        Postponed::System => (
            "system",
            "the system has no process, memory or descriptor left for a run".to_owned(),
            "Raise the limits of the daemon's service; `conductor-loop logs` says which call failed.",
        ),
        Postponed::Unconfined => (
            "unconfined",
            "its run cannot be confined any more as at the daemon's start, and so does not begin".to_owned(),
            "`conductor-loop logs` says what stands against it; give the daemon back what was taken from it, or restart it.",
        ),
        Postponed::PackageBusy => (
            "package-busy",
            format!("another process works in {place}"),
            "Find out who holds it: `conductor-loop logs` has the words.",
        ),
        Postponed::RemoteUnreachable => (
            "remote-unreachable",
            format!("the remote of {place} cannot be reached"),
            "Do `git push` there by hand, as the daemon's user; `conductor-loop logs` has git's words.",
        ),
        Postponed::OutFull => {
            ("out-full", format!("there is no space in {place}"), "Make room; it goes on by itself.")
        }
        Postponed::OutReadOnly => (
            "out-read-only",
            format!("{place} is mounted read-only, or the daemon's user may not write there any more"),
            "Mount it for writing, or give the user its permissions back; it goes on by itself.",
        ),
        Postponed::OutGone => (
            "out-gone",
            format!("{place} is not there, or not mounted"),
            "Bring it back; it goes on by itself.",
        ),
    };
    (word, format!("{text}; {again}"), advice)
}

impl Scheduler {
    /// Why a taken intent is not finished; `None` if the scheduler does not know it.
    pub fn why(&self, now: Duration, seq: Seq) -> Option<WaitReason> {
        let item = self.items.get(&seq)?;
        Some(match item.stage {
            Stage::Claiming | Stage::Ahead { .. } => WaitReason::Claiming,
            Stage::Handed { .. } => WaitReason::InHand,
            Stage::Running { attempt } => WaitReason::Running { attempt },
            Stage::Recording => WaitReason::Recording,
            Stage::Waiting => self.why_waiting(now, item.rank, &item.key),
        })
    }

    fn why_waiting(&self, now: Duration, rank: Rank, key: &TargetKey) -> WaitReason {
        let item = self.items.get(&rank.seq);
        if let Some((until, _)) = self.pauses.iter().find(|(_, seq)| *seq == rank.seq) {
            let left = until.saturating_sub(now);
            if let Some(cause) = item.and_then(|item| item.postponed) {
                return WaitReason::Postponed { cause, left: Some(left), repository: None };
            }
            let attempt = item.map_or(Attempt::FIRST, |item| Attempt::after(item.started));
            return WaitReason::Pausing { attempt, left };
        }
        if let Some(held) = self.why_held(key) {
            return held;
        }
        if let Some(head) = self.queues.head(key).filter(|head| *head != rank) {
            return WaitReason::Behind { seq: head.seq };
        }
        match self.reasons.stopping_starting() {
            Some(NotReady::Stopping | NotReady::Stopped) => return WaitReason::Stopping,
            Some(reason) => return WaitReason::NotStarting { reason },
            None => {}
        }
        if let Some(why) = item.and_then(|item| self.why_place(now, &item.place)) {
            return why;
        }
        if let Some(at) = self.rate_wake {
            return WaitReason::Rate { left: at.saturating_sub(now) };
        }
        if self.handed.len() < self.limits.workers && item.is_some_and(|item| item.reserve == Reserve::Asked)
        {
            return WaitReason::Starting;
        }
        WaitReason::Workers { ahead: self.places.ahead(rank) }
    }

    /// The hold on a target, if there is one.
    pub(super) fn why_held(&self, key: &TargetKey) -> Option<WaitReason> {
        if self.queues.is_all_held() {
            return Some(WaitReason::AllHeld);
        }
        self.queues.is_held(key).then_some(WaitReason::Held)
    }

    /// The obstacle at the place of its run.
    fn why_place(&self, now: Duration, place: &Place) -> Option<WaitReason> {
        let repository = match place {
            Place::Output => None,
            Place::Repository(name) => Some(Arc::clone(name)),
        };
        if let Some((cause, left)) = self.places.obstacle(now, place) {
            return Some(WaitReason::Postponed { cause, left, repository });
        }
        repository.filter(|_| self.places.is_taken(place)).map(|place| WaitReason::Repository { place })
    }

    /// Repositories whose remote was unreachable at the last run.
    pub fn unreachable(&self) -> impl Iterator<Item = &str> {
        self.places.put_off_for(Postponed::RemoteUnreachable)
    }

    /// The cause that keeps all waiting intents from starting without their fault; `None` if some may start, or none waits.
    pub fn obstructed(&self) -> Option<Postponed> {
        let paused = self.pauses.iter().find_map(|(_, seq)| self.items.get(seq)?.postponed);
        self.places.obstructed().or(paused)
    }

    /// Why a name in the handoff directory is not taken; `None` if it has not been seen.
    pub fn why_sighted(&self, now: Duration, name: &[u8]) -> Option<WaitReason> {
        let due = self.debounce.due(name)?;
        let left = due.saturating_sub(now);
        Some(if !left.is_zero() {
            WaitReason::Settling { left }
        } else if let Some(reason) = self.reasons.stopping_taking() {
            WaitReason::NotTaking { reason }
        } else if !self.has_room() {
            WaitReason::Window
        } else {
            WaitReason::Taking
        })
    }

    /// Taken and unfinished intents in the order of start without obstacles.
    pub fn in_order(&self) -> Vec<Seq> {
        let mut ranks: Vec<Rank> = self.items.values().map(|item| item.rank).collect();
        ranks.sort_unstable();
        ranks.into_iter().map(|rank| rank.seq).collect()
    }

    /// Names seen and not taken, with their modification times in nanoseconds since 1970.
    pub fn sighted_names(&self) -> impl Iterator<Item = (&[u8], i64)> {
        self.debounce.names()
    }

    /// The number of intents that only an operator's hold keeps from being finished.
    pub(super) fn held_back(&self) -> usize {
        if !self.queues.anything_held() {
            return 0;
        }
        let held = |item: &&Item| {
            item.stage == Stage::Waiting && self.queues.is_held(&item.key) && !self.queues.is_busy(&item.key)
        };
        self.items.values().filter(held).count() + self.queues.parked_and_held()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Event;
    use super::super::tests::{World, admission, limits, live, sighting};
    use super::*;
    use crate::Code;
    use crate::limits::{Limits, SchedulerLimits};
    use crate::outcome::Verdict;
    use crate::query::Covers;

    fn key(target: &str) -> TargetKey {
        TargetKey { namespace: "n".into(), target: target.into() }
    }

    fn accept(world: &mut World, seq: u64, target: &str) {
        let admission = admission(seq, target, 5);
        world.keys.insert(admission.seq, admission.clone());
        world.event(Event::Relooking { count: 1 });
        world.event(Event::Accepted(admission));
    }

    fn end(world: &mut World, seq: Seq, verdict: Verdict) {
        world.running.retain(|other| *other != seq);
        world.event(Event::Ended { seq, verdict, took: Duration::from_secs(1), jitter: 1.0 });
    }

    fn word(world: &World, seq: Seq) -> String {
        world.scheduler.why(world.now, seq).map_or_else(|| "-".to_owned(), |why| why.reason().word)
    }

    #[test]
    fn each_reason_is_named_where_it_holds() {
        let mut world = World::new(limits(1));
        for (seq, target) in [(1, "a"), (2, "a"), (3, "b"), (4, "c")] {
            accept(&mut world, seq, target);
        }
        let why = |world: &World, seq| world.scheduler.why(world.now, seq);
        assert_eq!(why(&world, Seq(1)), Some(WaitReason::Running { attempt: Attempt(1) }));
        assert_eq!((world.scheduler.handed_out(), world.scheduler.running()), (1, 1));
        assert_eq!(why(&world, Seq(2)), Some(WaitReason::Behind { seq: Seq(1) }));
        assert_eq!(why(&world, Seq(3)), Some(WaitReason::Workers { ahead: 0 }));
        assert_eq!(why(&world, Seq(4)), Some(WaitReason::Workers { ahead: 1 }));
        assert_eq!(why(&world, Seq(5)), None);
        end(&mut world, Seq(1), Verdict::Retry(Code::PorchBusy));
        assert_eq!(
            why(&world, Seq(1)),
            Some(WaitReason::Pausing { attempt: Attempt(2), left: Duration::from_millis(500) })
        );
        world.scheduler.set_not_ready(&NotReady::PorchMissing.into());
        assert_eq!(why(&world, Seq(4)), Some(WaitReason::NotStarting { reason: NotReady::PorchMissing }));
        world.scheduler.set_not_ready(&NotReady::Stopping.into());
        assert_eq!((word(&world, Seq(4)).as_str(), word(&world, Seq(2)).as_str()), ("stopping", "behind"));
        assert_eq!(world.scheduler.in_order(), [1, 2, 3, 4].map(Seq));
    }

    #[test]
    fn rate_and_settling_say_how_long() {
        let rate = Some(0.5);
        let mut world = World::new(Limits {
            live: SchedulerLimits { rate, debounce: Duration::from_secs(2), ..live() },
            ..limits(3)
        });
        for (seq, target) in [(1, "a"), (2, "b")] {
            accept(&mut world, seq, target);
        }
        assert_eq!(word(&world, Seq(2)), "rate");
        let mut effects = Vec::new();
        world.scheduler.handle(world.now, Event::Sighted(vec![sighting("x")]), &mut effects);
        let why = |world: &World| world.scheduler.why_sighted(world.now, b"x");
        assert_eq!(why(&world), Some(WaitReason::Settling { left: Duration::from_secs(2) }));
        assert_eq!(
            world.scheduler.sighted_names().map(|(name, _)| name.to_vec()).collect::<Vec<_>>(),
            [b"x"]
        );
        world.now = Duration::from_secs(3);
        assert_eq!(why(&world), Some(WaitReason::Taking));
        world.scheduler.set_not_ready(&NotReady::DiskFull.into());
        assert_eq!(why(&world), Some(WaitReason::NotTaking { reason: NotReady::DiskFull }));
        assert_eq!(world.scheduler.why_sighted(world.now, b"y"), None);
    }

    #[test]
    fn a_held_target_starts_nothing_until_it_is_released_and_others_go_on() {
        let mut world = World::new(limits(1));
        world.event(Event::Hold(key("a").into()));
        for (seq, target) in [(1, "a"), (2, "b"), (3, "b")] {
            accept(&mut world, seq, target);
        }
        assert_eq!((word(&world, Seq(1)), world.running.clone().into()), ("held".to_owned(), vec![Seq(2)]));
        // Held while it is ready: it does not start after all; a current run continues.
        accept(&mut world, 4, "c");
        world.event(Event::Hold(key("c").into()));
        world.event(Event::Hold(key("b").into()));
        end(&mut world, Seq(2), Verdict::Success);
        assert!(world.running.is_empty(), "{:?}", world.running);
        assert_eq!((word(&world, Seq(3)), word(&world, Seq(4))), ("held".to_owned(), "held".to_owned()));
        assert_eq!(world.scheduler.held_back(), 3);
        world.event(Event::Release(key("c").into()));
        world.event(Event::Release(key("c").into()));
        assert_eq!(Vec::from(world.running.clone()), [Seq(4)]);
        end(&mut world, Seq(4), Verdict::Success);
        for target in ["a", "b"] {
            world.event(Event::Release(key(target).into()));
        }
        assert_eq!(Vec::from(world.running.clone()), [Seq(1)]);
    }

    #[test]
    fn where_everything_is_held_nothing_starts_and_single_holds_stay() {
        let mut world = World::new(limits(3));
        world.accept(admission(1, "a", 5));
        world.event(Event::Hold(key("b").into()));
        world.event(Event::Hold(Covers::Everything));
        for (seq, target) in [(2, "a"), (3, "b"), (4, "c")] {
            world.accept(admission(seq, target, 5));
        }
        assert_eq!(world.end(Verdict::Success), Seq(1), "a current run goes on");
        assert!(world.running.is_empty());
        let why = world.scheduler.why(world.now, Seq(4)).unwrap();
        assert_eq!(why, WaitReason::AllHeld);
        assert!(why.reason().advice.contains("release --all"), "{:?}", why.reason());
        assert_eq!(world.scheduler.held_back(), 3);
        world.event(Event::Release(key("b").into()));
        world.event(Event::Hold(key("c").into()));
        assert!(world.running.is_empty(), "one hold is enough");
        world.event(Event::Release(Covers::Everything));
        assert_eq!(world.running, [2, 3].map(Seq));
        world.event(Event::Release(Covers::Everything));
        world.event(Event::Release(key("c").into()));
        assert_eq!(world.running, [2, 3, 4].map(Seq));
    }

    #[test]
    fn what_is_held_does_not_keep_a_drained_scheduler_waiting() {
        let mut world = World::new(limits(1));
        world.event(Event::Hold(key("a").into()));
        accept(&mut world, 1, "a");
        world.event(Event::ScanSlice { complete: true });
        assert_eq!((world.scheduler.is_idle(), world.scheduler.is_drained()), (false, true));
        // An intent that runs, or pauses before a retry, is finished even though its target is held now.
        accept(&mut world, 2, "b");
        world.event(Event::Hold(key("b").into()));
        assert!(!world.scheduler.is_drained());
        end(&mut world, Seq(2), Verdict::Success);
        assert!(world.scheduler.is_drained());
    }

    /// Words of reasons outside the scheduler.
    const OTHERS: [&str; 5] = ["left", "writer-open", "not-running", "other-name", "unseen"];

    fn all() -> Vec<WaitReason> {
        let left = Duration::ZERO;
        let mut all = vec![
            WaitReason::Settling { left },
            WaitReason::Window,
            WaitReason::Taking,
            WaitReason::Claiming,
            WaitReason::Held,
            WaitReason::Behind { seq: Seq(1) },
            WaitReason::Pausing { attempt: Attempt(2), left },
            WaitReason::Repository { place: "r".into() },
            WaitReason::Stopping,
            WaitReason::Rate { left },
            WaitReason::Workers { ahead: 1 },
            WaitReason::Starting,
            WaitReason::InHand,
            WaitReason::Running { attempt: Attempt(1) },
            WaitReason::Recording,
        ];
        for &reason in NotReady::ALL {
            all.extend([WaitReason::NotTaking { reason }, WaitReason::NotStarting { reason }]);
        }
        let causes = Postponed::ALL.iter().copied();
        all.extend(causes.map(|cause| WaitReason::Postponed { cause, left: None, repository: None }));
        all
    }

    /// Words of the first column of the table with this head; a cell may list several, separated by commas.
    fn documented(page: &str, head: &str) -> Vec<String> {
        let text = match page {
            "FORMATS.md" => include_str!("../../../../docs/FORMATS.md"),
            "OPERATIONS.md" => include_str!("../../../../docs/OPERATIONS.md"),
            other => panic!("{other} is not read here"),
        };
        let table = text.split(head).nth(1).unwrap_or_else(|| panic!("{page} has no table {head}"));
        let rows = table.lines().skip(1).take_while(|line| line.starts_with('|')).skip(1);
        let mut words: Vec<String> = rows
            .flat_map(|row| row.split('|').nth(1).unwrap().split(','))
            .map(|word| word.trim().trim_matches('`').to_owned())
            .collect();
        words.sort();
        words
    }

    fn same(page: &str, head: &str, words: impl Iterator<Item = String>) {
        let mut words: Vec<String> = words.collect();
        words.sort();
        words.dedup();
        assert_eq!(documented(page, head), words, "{page}: {head}");
    }

    #[test]
    fn every_reason_is_in_the_documents_and_the_other_way_round() {
        let words = || {
            let others = OTHERS.iter().map(ToString::to_string);
            all().into_iter().map(|why| why.reason().word).chain(others)
        };
        same("FORMATS.md", "| word | what it waits for |", words());
        let told = |word: &String| {
            !["taking", "claiming", "starting", "recording", "running"].contains(&word.as_str())
        };
        same("OPERATIONS.md", "| it says | then |", words().filter(told));
        let not_ready = || NotReady::ALL.iter().map(ToString::to_string);
        same("FORMATS.md", "| not ready | because |", not_ready());
        same("OPERATIONS.md", "| not ready | then |", not_ready());
    }

    #[test]
    fn every_reason_has_a_sentence_and_advice() {
        for reason in all().iter().map(WaitReason::reason) {
            assert!(!reason.text.is_empty() && reason.advice.ends_with('.'), "{reason:?}");
        }
    }
}
