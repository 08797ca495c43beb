//! What a person sees while `--once` works on a terminal: a bar. Off a terminal: nothing.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal};

/// A progress bar, or nothing.
#[derive(Clone, Default)]
pub struct Progress(Option<ProgressBar>);

impl Progress {
    /// A bar when standard error is a terminal and the run has an end.
    pub fn for_run(once: bool) -> Self {
        if !once || !io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {pos}/{len} intents {wide_bar} {msg} {elapsed}")
        {
            bar.set_style(style);
        }
        Self(Some(bar))
    }

    /// Shows where the run stands.
    pub fn show(&self, done: u64, failed: u64, waiting: usize, running: usize) {
        if let Some(bar) = &self.0 {
            bar.set_length(done + waiting as u64);
            bar.set_position(done);
            bar.set_message(format!("{running} running, {failed} failed"));
        }
    }

    /// Writes something else to the terminal without tearing the bar.
    pub fn around<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Removes the bar. True if there was one.
    pub fn finish(&self) -> bool {
        self.0.as_ref().map(ProgressBar::finish_and_clear).is_some()
    }
}
