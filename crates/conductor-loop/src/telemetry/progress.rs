//! The progress bar of `--once` on a terminal, drawn by the log thread so that a stopped terminal stops nothing else. Off
//! a terminal there is no bar.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often the bar is drawn.
const EVERY: Duration = Duration::from_millis(100);

/// A progress bar, or nothing.
#[derive(Clone, Default)]
pub struct Progress(Option<Arc<Bar>>);

struct Bar {
    bar: ProgressBar,
    /// The state of the run; `None`: already drawn. Never locked during drawing.
    standing: Mutex<Option<Standing>>,
}

/// The state of a run.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// Intents with a final outcome.
    pub done: u64,
    /// Failed intents among them.
    pub failed: u64,
    /// Files and intents that wait or run.
    pub waiting: usize,
    /// Runs in progress.
    pub running: usize,
}

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
        Self(Some(Arc::new(Bar { bar, standing: Mutex::new(None) })))
    }

    /// Sets the state of the run; it is drawn soon.
    pub fn show(&self, standing: Standing) {
        if let Some(bar) = &self.0 {
            *bar.standing.lock().unwrap_or_else(PoisonError::into_inner) = Some(standing);
        }
    }

    /// The interval between calls of [`Progress::draw`]; `None` without a bar.
    pub(super) fn period(&self) -> Option<Duration> {
        self.0.is_some().then_some(EVERY)
    }

    /// Draws the state set last. Waits for the terminal.
    pub(super) fn draw(&self) {
        let Some(bar) = &self.0 else { return };
        let standing = bar.standing.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Standing { done, failed, waiting, running }) = standing {
            bar.bar.set_length(done + waiting as u64);
            bar.bar.set_position(done);
            bar.bar.set_message(format!("{running} running, {failed} failed"));
        }
    }

    /// Writes other output to the terminal without tearing the bar.
    pub(super) fn around<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(bar) => bar.bar.suspend(write),
            None => write(),
        }
    }

    /// Removes the bar. Returns true if there was one. Waits for the terminal.
    pub fn finish(&self) -> bool {
        self.0.as_ref().map(|bar| bar.bar.finish_and_clear()).is_some()
    }
}
