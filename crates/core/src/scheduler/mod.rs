//! The scheduler of all intents: when each is taken, which runs next, which outcome is recorded. Pure: events and the
//! time go in, effects come out; the daemon owns the one scheduler and performs its effects.

mod advance;
mod ahead;
mod books;
mod cancel;
mod course;
mod debounce;
mod events;
mod item;
mod message;
mod parking;
mod places;
mod queues;
mod rate;
mod scan;
mod wait_reason;

pub use books::Scheduler;
pub use cancel::Waits;
pub use message::{Admission, Bug, Effect, Event, Fingerprint, Parked, Sighting};
pub use places::Place;
pub use wait_reason::{WaitReason, word_and_advice};

#[cfg(test)]
mod fairness_tests;
#[cfg(test)]
mod invariant_tests;
#[cfg(test)]
mod tests;
