//! The life of one intent as a state machine, and the action of a restart for each state it can find on disk. Scheduler and
//! recovery, model, simulator and product share these enums.

use crate::Attempt;
use crate::code::Code;
use crate::outcome::{Postponed, Verdict};

/// The stage of one taken intent.
///
/// ```text
/// Accepted -----> Claiming <-Ended(again)- Ahead
///                    | |                   ^ |
///       ClaimDurable | +----- HandAhead ---+ | ClaimDurable
///                    v                       v
/// FoundDurable -> Waiting --Start--------> Handed --Began--> Running
///                  | | ^                     | |                | |
///             Park | | +---------------------|-+--Ended(again)--+ |
///                  v | Duplicate,            |                    |
///              (parked)| Cancel              | Ended(final)       |
///                      v                     v                    |
/// Decided ----------> Recording <------------+--------------------+
///                      | Filed
///                      v
///                    (gone)
/// ```
///
/// An interrupted run leaves Handed and Running without another stage: the next start of the daemon continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Judged and accepted; the claim is being written. `porch` must not start yet.
    Claiming,
    /// A worker holds it while its claim, and the record of this start, are being written. `porch` must not start yet.
    Ahead {
        /// The number of the start, from 1.
        attempt: Attempt,
    },
    /// The claim is durable. The intent waits for its turn, a worker, the rate or a retry pause.
    Waiting,
    /// A worker holds it; the record of this start was durable before. `porch` has not started.
    Handed {
        /// The number of the start, from 1.
        attempt: Attempt,
    },
    /// `porch` was started.
    Running {
        /// The number of the start, from 1.
        attempt: Attempt,
    },
    /// The outcome is being written; after that its files are published.
    Recording,
}

/// The origin of an intent's first stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Judged and accepted.
    Accepted,
    /// Its claim is already durable: found at the start, or read back after it was parked.
    FoundDurable,
    /// Refused, or decided by an earlier daemon: its outcome is being written.
    Decided,
}

impl From<Entry> for Stage {
    fn from(entry: Entry) -> Self {
        match entry {
            Entry::Accepted => Self::Claiming,
            Entry::FoundDurable => Self::Waiting,
            Entry::Decided => Self::Recording,
        }
    }
}

/// An event in the life of an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is handed to an idle worker, which prepares its run while the claim is being written.
    HandAhead {
        /// The number of the start, from 1.
        attempt: Attempt,
    },
    /// The claim is durable.
    ClaimDurable,
    /// Many intents of its target wait: only its number stays in memory.
    Park,
    /// It is handed to a worker.
    Start {
        /// The number of the start, from 1.
        attempt: Attempt,
    },
    /// Its turn came, and it repeats the last success of its target.
    Duplicate,
    /// An operator cancels it while it waits.
    Cancel,
    /// The worker has started porch.
    Began,
    /// The run ended, or its start did not happen.
    Ended {
        /// The verdict drawn from it.
        verdict: Verdict,
        /// The limit on starts.
        max_attempts: u32,
    },
    /// The outcome is durable and its files are published.
    Filed,
}

/// The action that follows a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Queue it behind earlier intents of its target.
    Queue,
    /// Keep only its number.
    Park,
    /// Hand it to a worker.
    Run {
        /// The number of the start.
        attempt: Attempt,
    },
    /// Do nothing: an answer is on its way.
    Await,
    /// It keeps its place at the head of its queue.
    KeepPlace,
    /// Take it back from the worker; its claim is still being written.
    TakeBack,
    /// Record this final outcome.
    Record(Final),
    /// Try again after the pause for this attempt number.
    RetryAs {
        /// The number of the next attempt.
        attempt: Attempt,
    },
    /// Wait for the cause to end, then run the same attempt.
    TryAgain(Postponed),
    /// Leave it in the store: the next start of the daemon continues.
    LeaveForNextStart,
    /// Forget it: nothing is left to do.
    Forget,
}

/// The final outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Final {
    /// `porch` succeeded.
    Success,
    /// It repeats an earlier success.
    Duplicate,
    /// It failed with this code.
    Failed(Code),
}

/// An event that its stage does not permit: a bug of the daemon, never the intent's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{step:?} in stage {stage:?}")]
pub struct Misstep {
    /// The current stage.
    pub stage: Stage,
    /// The event.
    pub step: Step,
}

/// Applies one step: the new stage (`None`: the end) and the action.
pub fn step(stage: Stage, step: Step) -> Result<(Option<Stage>, Then), Misstep> {
    match (stage, step) {
        (Stage::Claiming, Step::ClaimDurable) => Ok((Some(Stage::Waiting), Then::Queue)),
        (Stage::Claiming, Step::HandAhead { attempt }) => Ok((Some(Stage::Ahead { attempt }), Then::Await)),
        (Stage::Ahead { attempt }, Step::ClaimDurable) => {
            Ok((Some(Stage::Handed { attempt }), Then::KeepPlace))
        }
        // The daemon stops, or the claim finds no space: nothing else ends what may not begin yet.
        (Stage::Ahead { .. }, Step::Ended { verdict: Verdict::Postpone(_), .. }) => {
            Ok((Some(Stage::Claiming), Then::TakeBack))
        }
        (Stage::Waiting, Step::Park) => Ok((None, Then::Park)),
        (Stage::Waiting, Step::Start { attempt }) => {
            Ok((Some(Stage::Handed { attempt }), Then::Run { attempt }))
        }
        (Stage::Waiting, Step::Duplicate) => Ok((Some(Stage::Recording), Then::Record(Final::Duplicate))),
        (Stage::Waiting, Step::Cancel) => {
            Ok((Some(Stage::Recording), Then::Record(Final::Failed(Code::Cancelled))))
        }
        (Stage::Handed { attempt }, Step::Began) => Ok((Some(Stage::Running { attempt }), Then::Await)),
        // A success needs a porch that ran, and a duplicate one that did not.
        (Stage::Handed { .. }, Step::Ended { verdict: Verdict::Success, .. })
        | (Stage::Running { .. }, Step::Ended { verdict: Verdict::Repeats, .. }) => {
            Err(Misstep { stage, step })
        }
        (Stage::Handed { attempt } | Stage::Running { attempt }, Step::Ended { verdict, max_attempts }) => {
            Ok(ended(attempt, verdict, max_attempts))
        }
        (Stage::Recording, Step::Filed) => Ok((None, Then::Forget)),
        (stage, step) => Err(Misstep { stage, step }),
    }
}

fn ended(attempt: Attempt, verdict: Verdict, max_attempts: u32) -> (Option<Stage>, Then) {
    match verdict {
        Verdict::Success => (Some(Stage::Recording), Then::Record(Final::Success)),
        Verdict::Repeats => (Some(Stage::Recording), Then::Record(Final::Duplicate)),
        Verdict::Failure(code) | Verdict::Unstarted(code) => {
            (Some(Stage::Recording), Then::Record(Final::Failed(code)))
        }
        Verdict::Retry(code) if attempt.get() >= max_attempts => {
            (Some(Stage::Recording), Then::Record(Final::Failed(code)))
        }
        Verdict::Retry(_) => (Some(Stage::Waiting), Then::RetryAs { attempt: attempt.next() }),
        Verdict::Postpone(cause) => (Some(Stage::Waiting), Then::TryAgain(cause)),
        Verdict::Interrupted => (None, Then::LeaveForNextStart),
    }
}

/// The states of one intent that a start of the daemon can find on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDisk {
    /// In taken/ without a record: taken, perhaps judged, no more.
    TakenOnly,
    /// A claim without an outcome. `started`: starts of porch that happened or may have happened.
    Claimed {
        /// The counted starts.
        started: u32,
    },
    /// An outcome whose files may be missing.
    Settled,
}

/// The one resume action of each state on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// Look at it and judge it as if it had just been taken.
    Look,
    /// Queue it for its next start.
    Run {
        /// The counted starts.
        started: u32,
    },
    /// The starts are used up: record it as interrupted.
    GiveUp,
    /// Make its files again from the record.
    Publish,
}

/// The recovery table: the action for a state on disk.
pub fn resume(found: OnDisk, max_attempts: u32) -> Resume {
    match found {
        OnDisk::TakenOnly => Resume::Look,
        OnDisk::Claimed { started } if started >= max_attempts => Resume::GiveUp,
        OnDisk::Claimed { started } => Resume::Run { started },
        OnDisk::Settled => Resume::Publish,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_life_of_a_success() {
        let (stage, then) = step(Entry::Accepted.into(), Step::ClaimDurable).unwrap();
        assert_eq!((stage, then), (Some(Stage::from(Entry::FoundDurable)), Then::Queue));
        let (stage, then) = step(stage.unwrap(), Step::Start { attempt: Attempt(1) }).unwrap();
        assert_eq!(then, Then::Run { attempt: Attempt(1) });
        let (stage, then) = step(stage.unwrap(), Step::Began).unwrap();
        assert_eq!(then, Then::Await);
        let ended = Step::Ended { verdict: Verdict::Success, max_attempts: 3 };
        let (stage, then) = step(stage.unwrap(), ended).unwrap();
        assert_eq!((stage, then), (Some(Entry::Decided.into()), Then::Record(Final::Success)));
        assert_eq!(step(Stage::Recording, Step::Filed).unwrap(), (None, Then::Forget));
    }

    #[test]
    fn nothing_succeeds_that_did_not_begin() {
        let handed = Stage::Handed { attempt: Attempt(1) };
        let ended = |verdict| step(handed, Step::Ended { verdict, max_attempts: 3 });
        assert!(ended(Verdict::Success).is_err());
        let put_off = ended(Verdict::Postpone(Postponed::PorchMissing)).unwrap();
        assert_eq!(put_off, (Some(Stage::Waiting), Then::TryAgain(Postponed::PorchMissing)));
        assert!(step(Stage::Waiting, Step::Began).is_err() && step(Stage::Recording, Step::Began).is_err());
    }

    #[test]
    fn what_is_handed_ahead_begins_once_its_claim_is_durable_or_is_taken_back() {
        let (claiming, attempt) = (Stage::from(Entry::Accepted), Attempt::FIRST);
        let ahead = step(claiming, Step::HandAhead { attempt }).unwrap().0.unwrap();
        let end = |stage, verdict| step(stage, Step::Ended { verdict, max_attempts: 3 });
        assert!(step(ahead, Step::Began).is_err() && end(ahead, Verdict::Success).is_err());
        assert!(end(ahead, Verdict::Repeats).is_err(), "what it repeats is known with the claim");
        let stopping = end(ahead, Verdict::Postpone(Postponed::Stopping));
        assert_eq!(stopping, Ok((Some(claiming), Then::TakeBack)));
        let handed = Stage::Handed { attempt };
        assert_eq!(step(ahead, Step::ClaimDurable), Ok((Some(handed), Then::KeepPlace)));
        let duplicate = Ok((Some(Stage::Recording), Then::Record(Final::Duplicate)));
        assert_eq!(end(handed, Verdict::Repeats), duplicate);
        assert!(end(Stage::Running { attempt }, Verdict::Repeats).is_err());
        assert!(step(Stage::Waiting, Step::HandAhead { attempt }).is_err());
    }

    #[test]
    fn only_what_waits_can_be_cancelled() {
        let cancelled = (Some(Stage::Recording), Then::Record(Final::Failed(Code::Cancelled)));
        assert_eq!(step(Stage::Waiting, Step::Cancel), Ok(cancelled));
        let attempt = Attempt(1);
        let handed = [Stage::Ahead { attempt }, Stage::Handed { attempt }, Stage::Running { attempt }];
        for stage in handed.into_iter().chain([Stage::Claiming, Stage::Recording]) {
            assert!(step(stage, Step::Cancel).is_err(), "{stage:?}");
        }
    }

    #[test]
    fn retries_end_at_the_limit() {
        let retry = |attempt| {
            let verdict = Verdict::Retry(Code::PorchBusy);
            step(Stage::Running { attempt }, Step::Ended { verdict, max_attempts: 3 }).unwrap().1
        };
        assert_eq!(retry(Attempt(1)), Then::RetryAs { attempt: Attempt(2) });
        assert_eq!(retry(Attempt(2)), Then::RetryAs { attempt: Attempt(3) });
        assert_eq!(retry(Attempt(3)), Then::Record(Final::Failed(Code::PorchBusy)));
    }

    #[test]
    fn porch_never_starts_before_the_claim_is_durable() {
        assert!(step(Stage::Claiming, Step::Start { attempt: Attempt(1) }).is_err());
        assert!(step(Stage::Claiming, Step::Park).is_err());
        assert!(step(Stage::Recording, Step::Start { attempt: Attempt(2) }).is_err());
    }

    #[test]
    fn every_state_on_disk_has_one_resume_action() {
        assert_eq!(resume(OnDisk::TakenOnly, 3), Resume::Look);
        assert_eq!(resume(OnDisk::Claimed { started: 0 }, 3), Resume::Run { started: 0 });
        assert_eq!(resume(OnDisk::Claimed { started: 2 }, 3), Resume::Run { started: 2 });
        assert_eq!(resume(OnDisk::Claimed { started: 3 }, 3), Resume::GiveUp);
        assert_eq!(resume(OnDisk::Settled, 3), Resume::Publish);
    }
}
