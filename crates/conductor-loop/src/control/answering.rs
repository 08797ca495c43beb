//! Who answers, who hears of refusals, and whether runs may ask.

use conductor_core::query::{Answer, Question};

/// The answering function: gets the question, the client's user id, and whether the client still waits.
pub type Answering = dyn Fn(Question, u32, &dyn Fn() -> bool) -> Answer + Send + Sync;

/// Told of the user of each process that may not ask.
pub type Refusing = dyn Fn(u32) + Send + Sync;

/// Whether processes that the daemon started may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// They may, as any process of the daemon's user.
    MayAsk,
    /// They may not: porch must not act as the operator.
    Refused,
}
