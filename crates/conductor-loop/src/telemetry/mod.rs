//! Logs and progress. One line per event on standard error: text on a terminal, JSON lines otherwise. Callers have
//! scrubbed the values; the formatter escapes the rest.

mod log;
mod metrics;
mod output;
mod progress;
mod recent;
mod took;

pub use log::{init, set_level};
pub use metrics::{Metrics, open_metrics};
pub use output::{flush, say};
pub use progress::{Progress, Standing};
pub use recent::log_lines;
