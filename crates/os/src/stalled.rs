//! Starts of programs that do not come about: whoever starts a program waits until its process has executed it, and another
//! process of its user can stop it (SIGSTOP) before that. Such a process is killed from another thread.

use crate::second;
use rustix::process::{Pid as Number, Signal, kill_process};
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The starts that are under way in this process.
static UNDER_WAY: Mutex<Vec<Arc<UnderWay>>> = Mutex::new(Vec::new());

/// A start that is under way.
#[derive(Debug)]
pub(crate) struct UnderWay {
    begun: Instant,
    /// The descriptor of the process, written by the kernel as soon as there is one; before that -1.
    pub(crate) descriptor: AtomicI32,
    killed: AtomicBool,
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
    fn process(&self) -> Option<Number> {
        let descriptor = self.descriptor.load(Ordering::Acquire);
        let told = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).ok()?;
        let number = told.lines().find_map(|line| line.strip_prefix("Pid:"))?;
        Number::from_raw(number.trim().parse().ok()?)
    }
}

fn under_way() -> MutexGuard<'static, Vec<Arc<UnderWay>>> {
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills the processes that have not executed their program within this time. Their starts fail.
pub fn end_stalled_starts(within: Duration) {
    let stalled: Vec<(Arc<UnderWay>, Number)> = under_way()
        .iter()
        .filter(|start| start.begun.elapsed() >= within)
        .filter_map(|start| Some((Arc::clone(start), start.process()?)))
        .collect();
    if stalled.is_empty() {
        return;
    }
    // What cannot be killed now is tried again at the next call.
    let _ = second::reaching(move || stalled.iter().for_each(|(start, process)| kill(start, *process)));
}

fn kill(start: &Arc<UnderWay>, process: Number) {
    // While it is under way, which does not change meanwhile, the number is that of its process.
    let under_way = under_way();
    if under_way.iter().any(|other| Arc::ptr_eq(other, start)) {
        let killed = kill_process(process, Signal::KILL).is_ok();
        start.killed.fetch_or(killed, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Command, StartError};
    use rustix::io::{ioctl_fionbio, write};
    use std::io;

    #[test]
    fn a_start_that_does_not_come_about_is_ended_and_others_are_not() {
        // A child that enters its control group writes to it, and waits as long as nobody reads.
        let (reader, writer) = io::pipe().unwrap();
        ioctl_fionbio(&writer, true).unwrap();
        while write(&writer, &[0; 4096]).is_ok() {}
        ioctl_fionbio(&writer, false).unwrap();
        let mut command = Command::new("/bin/true");
        command.in_group(writer.into());
        let started = std::thread::spawn(move || command.start());
        // One that has just begun is not stalled.
        end_stalled_starts(Duration::from_hours(1));
        while !started.is_finished() {
            assert!(Command::new("/bin/true").start().unwrap().reap().unwrap().success());
            end_stalled_starts(Duration::from_millis(300));
        }
        let Err(StartError::NotSetUp { error, .. }) = started.join().unwrap() else { panic!("it started") };
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
        assert!(under_way().is_empty());
        drop(reader);
    }
}
