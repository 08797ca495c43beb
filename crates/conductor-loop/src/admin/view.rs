//! The data of the endpoints, independent of its source.

use conductor_core::query::{Answer, Pulse, Question};

/// The data of the endpoints.
pub trait View: Send + Sync {
    /// Whether the daemon's loop still runs.
    fn is_alive(&self) -> bool;
    /// The reasons for not being ready; empty: ready.
    fn not_ready(&self) -> Vec<String>;
    /// All metrics in Prometheus' text format. May take a moment.
    fn metrics(&self) -> String;
    /// All metrics in the `OpenMetrics` format. May take a moment.
    fn open_metrics(&self) -> String;
    /// The answer to a question; a question that would change state is refused. May take a moment, and may stop with a
    /// partial answer as soon as `is_wanted` is false.
    fn answer(&self, question: Question, is_wanted: &dyn Fn() -> bool) -> Answer;
    /// Reports that a request without the required token was refused.
    fn token_refused(&self);
    /// The figures of this moment.
    fn pulse(&self) -> Pulse;
}
