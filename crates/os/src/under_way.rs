//! The starts of programs that are under way: between the making of a process and the moment at which it executes its program.

use rustix::process::Pid as Number;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The starts that are under way in this process.
static UNDER_WAY: Mutex<Vec<Arc<UnderWay>>> = Mutex::new(Vec::new());

/// A start that is under way.
#[derive(Debug)]
pub(crate) struct UnderWay {
    pub(crate) begun: Instant,
    /// The descriptor of the process, written by the kernel as soon as there is one; before that -1.
    pub(crate) descriptor: AtomicI32,
    pub(crate) killed: AtomicBool,
}

impl UnderWay {
    pub(crate) fn begin() -> Arc<Self> {
        let new = Arc::new(Self {
            begun: Instant::now(),
            descriptor: AtomicI32::new(-1),
            killed: AtomicBool::new(false),
        });
        under_way().push(Arc::clone(&new));
        new
    }

    /// The start is no longer under way: its process may be reaped, and its descriptor closed. Returns whether it was killed.
    pub(crate) fn end(self: &Arc<Self>) -> bool {
        under_way().retain(|other| !Arc::ptr_eq(other, self));
        self.killed.load(Ordering::Acquire)
    }

    /// The process, which is not reaped as long as the start is under way.
    pub(crate) fn process(&self) -> Option<Number> {
        let descriptor = self.descriptor.load(Ordering::Acquire);
        let told = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).ok()?;
        let number = told.lines().find_map(|line| line.strip_prefix("Pid:"))?;
        Number::from_raw(number.trim().parse().ok()?)
    }
}

/// All of them; while they are held, none ends.
pub(crate) fn under_way() -> MutexGuard<'static, Vec<Arc<UnderWay>>> {
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner)
}
