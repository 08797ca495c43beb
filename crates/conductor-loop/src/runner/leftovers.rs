//! Processes that outlive their run: escaped grandchildren while we live, whole porches of a daemon that was killed.
//! They are recognised by what we put into their environment, which they inherit wherever they go.

use super::external::is_alive;
use super::ledger::RunLine;
use crate::sys::process::{self, ProcessInfo};
use crate::sys::wake::wait_readable;
use conductor_core::Digest;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// The entries of the environment that mark one intent's processes.
pub(super) fn marks(seq: u64, sha256: &Digest) -> Vec<String> {
    vec![format!("CONDUCTOR_INTENT_SEQ={seq}"), format!("CONDUCTOR_INTENT_SHA256={sha256}")]
}

pub(super) fn describe(process: &ProcessInfo) -> String {
    format!("{} {}", process.id.pid, conductor_core::scrub::line(&process.name, 40))
}

/// Ends orphans of this run that left the process group (setsid, double fork) and became our children.
pub(super) fn end_escaped(marks: &[String]) -> Vec<String> {
    let mut ended = Vec::new();
    for number in process::adopted() {
        if process::reap(number) {
            continue;
        }
        if process::has_environment(number, marks)
            && let Some(info) = process::info(number)
        {
            process::kill(info.id);
            process::reap(number);
            ended.push(describe(&info));
        }
    }
    ended
}

/// Ends what the porches of a dead daemon left running: by process group of the recorded process, and by environment,
/// which also finds what escaped and what was started just before the record. Returns what was ended.
pub fn kill_leftovers(lines: &[RunLine], open: &[(u64, Digest)], staging: &str) -> Vec<String> {
    let mut ended = Vec::new();
    for line in lines {
        if let Some(id) = line.process.filter(|id| is_alive(*id)) {
            ended.extend(process::group_members(id.pid).iter().map(describe));
            process::kill_group(id.pid);
            process::kill(id);
        }
    }
    if !lines.is_empty() {
        for process in process::all().into_iter().filter(|process| !process.zombie) {
            let marked = open
                .iter()
                .any(|(seq, sha256)| process::has_environment(process.id.pid, &marks(*seq, sha256)));
            if marked && works_in(process.id.pid, staging) {
                process::kill(process.id);
                ended.push(describe(&process));
            }
        }
    }
    wait_for_end(lines);
    ended
}

/// Whether the process belongs to this handoff directory: its working directory or command line lies in our staging.
fn works_in(number: u32, staging: &str) -> bool {
    let cwd = std::fs::read_link(format!("/proc/{number}/cwd")).is_ok_and(|cwd| cwd.starts_with(staging));
    cwd || std::fs::read(format!("/proc/{number}/cmdline"))
        .is_ok_and(|line| String::from_utf8_lossy(&line).split('\0').any(|word| word.starts_with(staging)))
}

/// A killed process may take a moment to end; nothing of the same intent runs before it has.
fn wait_for_end(lines: &[RunLine]) {
    let until = Instant::now() + Duration::from_secs(5);
    for id in lines.iter().filter_map(|line| line.process) {
        // Taken before the look, so that the number cannot have gone to another process in between.
        let Ok(process) = process::descriptor(id.pid) else { continue };
        while is_alive(id) && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            if wait_readable([Some(process.as_fd())], Some(left)).is_err() {
                std::thread::sleep(Duration::from_millis(5)); // Nothing can wake us: that is what failed.
            }
        }
    }
}
