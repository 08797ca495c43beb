//! Starts of programs that do not come about: whoever starts a program waits until its process has executed it, and another
//! process of its user can stop it (SIGSTOP) before that. Such a process is killed from another thread.

use crate::second;
use crate::under_way::{UnderWay, under_way};
use rustix::process::{Pid as Number, Signal, kill_process};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

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
            // Other tests start programs too, and none takes that long.
            end_stalled_starts(Duration::from_secs(5));
        }
        let Err(StartError::NotSetUp { error, .. }) = started.join().unwrap() else { panic!("it started") };
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
        drop(reader);
    }
}
