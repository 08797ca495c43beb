//! Names for processes that outlive their run, and the porches of a daemon that was killed: these are recognised by the
//! recorded process, by our variables in their environment, and by their use of the staging directory.

use super::run_table::RunLine;
use conductor_core::{Digest, Seq};
use conductor_os::process::{self, Environment, Pid, ProcessId, ProcessInfo, is_alive, wait_for_end};
use conductor_os::second;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// The entries of the environment that mark one intent's processes.
pub(super) fn marks(seq: Seq, sha256: &Digest) -> Vec<String> {
    vec![format!("CONDUCTOR_INTENT_SEQ={seq}"), format!("CONDUCTOR_INTENT_SHA256={sha256}")]
}

pub(super) fn describe(process: &ProcessInfo) -> String {
    format!("{} {}", process.id.pid, conductor_core::scrub::line(&process.name, 40))
}

/// Names processes that were ended, and those that were not looked at with the reason: nobody may take them for none.
pub(super) fn described(found: io::Result<Vec<ProcessInfo>>, whose: &str) -> Vec<String> {
    match found {
        Ok(found) => found.iter().map(describe).collect(),
        Err(error) => vec![format!("processes of {whose}, which cannot be listed ({error})")],
    }
}

/// Processes that are named; further ones are counted.
const NAMED_MAX: usize = 20;

/// Each name once, and no more of them than a reader wants to see.
pub(super) fn named_once(found: Vec<String>) -> Vec<String> {
    let mut named: Vec<String> = Vec::new();
    let mut more = 0_usize;
    for one in found {
        if named.contains(&one) {
            continue;
        }
        if named.len() < NAMED_MAX {
            named.push(one);
        } else {
            more += 1;
        }
    }
    if more > 0 {
        named.push(format!("and {more} more"));
    }
    named
}

/// What the porches of a dead daemon left running.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Names of those that were ended.
    pub ended: Vec<String>,
    /// Names of those that live on: they belong to another user, or hang in the system.
    pub alive: Vec<String>,
}

/// Ends the processes that the porches of a dead daemon left running: by the process group of the recorded process; by
/// environment, which also finds escaped processes and those started just before the record; and by open files in the
/// staging directory, which finds processes that emptied their environment. Looked for as each user that porch has here: the system shows
/// environment and files of a process to its own user alone.
///
/// An error: it is not known what they left.
pub fn kill_leftovers(lines: &[RunLine], open: &[(Seq, Digest)], staging: &str) -> io::Result<Leftovers> {
    if lines.is_empty() {
        return Ok(Leftovers::default());
    }
    let mut found = end_those_in_sight(lines, open, staging)?;
    if let Some(second) = second::get() {
        let (lines, open, staging) = (lines.to_vec(), open.to_vec(), staging.to_owned());
        found.extend(second.run(move || end_those_in_sight(&lines, &open, &staging))??);
    }
    let (alive, ended): (Vec<_>, Vec<_>) = found.into_iter().partition(|process| is_alive(process.id));
    let names = |of: Vec<ProcessInfo>| named_once(of.iter().map(describe).collect());
    Ok(Leftovers { ended: names(ended), alive: names(alive) })
}

fn end_those_in_sight(
    lines: &[RunLine],
    open: &[(Seq, Digest)],
    staging: &str,
) -> io::Result<Vec<ProcessInfo>> {
    let mut found: Vec<ProcessInfo> = Vec::new();
    for line in lines {
        if let Some(id) = line.process.filter(|id| is_alive(*id)) {
            found.extend(process::group_members(id.pid)?);
            process::kill_group(id.pid);
            process::kill(id);
        }
    }
    let first = lines.iter().filter_map(|line| line.process).map(|process| process.start).min();
    let marks: Vec<_> = open.iter().map(|(seq, sha256)| marks(*seq, sha256)).collect();
    for process in process::all()?.into_iter().filter(|process| !process.zombie) {
        let environment = Environment::of(process.id.pid);
        let marked = marks.iter().any(|marks| environment.has(marks));
        if (marked && works_in(process.id.pid, staging)) || is_unmarked_rest(&process, first, staging) {
            process::kill(process.id);
            found.push(process);
        }
    }
    // Nothing of the same intent starts before they have ended.
    let recorded = lines.iter().filter_map(|line| line.process);
    let killed: Vec<ProcessId> = recorded.chain(found.iter().map(|process| process.id)).collect();
    wait_for_end(&killed, Instant::now() + Duration::from_secs(5));
    Ok(found)
}

/// Whether a process without our marks certainly belongs to a run: it began after one of the recorded runs, has no
/// terminal (a person may look around in the staging directory), and works or has a file open in the staging directory.
fn is_unmarked_rest(process: &ProcessInfo, first: Option<u64>, staging: &str) -> bool {
    first.is_some_and(|first| process.id.start >= first)
        && !process.at_terminal
        && process.id.pid != Pid::own()
        && uses(process.id.pid, staging)
}

/// Whether its working directory or an open file is in our staging directory.
fn uses(pid: Pid, staging: &str) -> bool {
    let leads_there = |link: &Path| std::fs::read_link(link).is_ok_and(|target| target.starts_with(staging));
    if leads_there(Path::new(&format!("/proc/{pid}/cwd"))) {
        return true;
    }
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files.map(|file| file.path()).any(|file| leads_there(&file))
}

/// Whether the process belongs to this handoff directory: its working directory or command line refers to our staging
/// directory.
#[expect(clippy::disallowed_methods, reason = "the kernel bounds what /proc shows of a process")]
fn works_in(pid: Pid, staging: &str) -> bool {
    let cwd = std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(staging));
    cwd || std::fs::read(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|line| String::from_utf8_lossy(&line).split('\0').any(|word| word.starts_with(staging)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_cannot_be_read_is_never_taken_for_an_empty_one() {
        assert!(described(Ok(Vec::new()), "its control group").is_empty());
        let unread = described(Err(io::Error::other("why")), "its control group");
        assert_eq!(unread, ["processes of its control group, which cannot be listed (why)"]);
    }
}
