//! What the endpoints show, whoever knows it.

use conductor_core::inquiry::{Answer, Pulse, Question};

/// What the endpoints show.
pub trait View: Send + Sync {
    /// Whether the loop still turns.
    fn is_alive(&self) -> bool;
    /// Why nothing new is taken; empty: it is.
    fn not_ready(&self) -> Vec<String>;
    /// All metrics in Prometheus' text format. May take a moment.
    fn metrics(&self) -> String;
    /// All metrics in the `OpenMetrics` format. May take a moment.
    fn open_metrics(&self) -> String;
    /// The answer to a question; one that would change something is refused. May take a moment, and may stop with half an answer
    /// as soon as nobody wants it.
    fn answer(&self, question: Question, is_wanted: &dyn Fn() -> bool) -> Answer;
    /// A request without the token that is asked for was refused.
    fn token_refused(&self);
    /// The numbers of this moment.
    fn pulse(&self) -> Pulse;
}
