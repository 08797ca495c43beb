//! Names for processes that outlive their run, and the porches of a daemon that was killed: these are recognised by the
//! recorded process, by our variables in their environment, and by their use of the staging directory.

use super::run_table::RunLine;
use conductor_core::{Digest, Seq};
use conductor_os::process::{self, Environment, Pid, ProcessId, ProcessInfo, is_alive, shown, wait_for_end};
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
        let Some(id) = line.process else { continue };
        // What is not known to be that process may be another with its number.
        if process::lives(id)? {
            found.extend(process::group_members(id.pid)?);
            process::kill_group(id.pid);
            process::kill(id);
        }
    }
    let first = lines.iter().filter_map(|line| line.process).map(|process| process.start).min();
    let marks: Vec<_> = open.iter().map(|(seq, sha256)| marks(*seq, sha256)).collect();
    for process in process::all()?.into_iter().filter(|process| !process.zombie) {
        let environment = Environment::of(process.id.pid)?;
        let marked = marks.iter().any(|marks| environment.has(marks));
        if (marked && works_in(process.id.pid, staging)?) || is_unmarked_rest(&process, first, staging)? {
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
fn is_unmarked_rest(process: &ProcessInfo, first: Option<u64>, staging: &str) -> io::Result<bool> {
    let may_be = first.is_some_and(|first| process.id.start >= first)
        && !process.at_terminal
        && process.id.pid != Pid::own();
    Ok(may_be && uses(process.id.pid, staging)?)
}

/// Whether a link of /proc leads into our staging directory.
fn leads_there(link: &Path, staging: &str) -> io::Result<bool> {
    Ok(shown(std::fs::read_link(link))?.is_some_and(|target| target.starts_with(staging)))
}

/// Whether its working directory or an open file is in our staging directory.
fn uses(pid: Pid, staging: &str) -> io::Result<bool> {
    if leads_there(Path::new(&format!("/proc/{pid}/cwd")), staging)? {
        return Ok(true);
    }
    let Some(files) = shown(std::fs::read_dir(format!("/proc/{pid}/fd")))? else { return Ok(false) };
    for file in files {
        // It may end meanwhile.
        let Some(file) = shown(file)? else { return Ok(false) };
        if leads_there(&file.path(), staging)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the process belongs to this handoff directory: its working directory or command line refers to our staging
/// directory.
#[expect(clippy::disallowed_methods, reason = "the kernel bounds what /proc shows of a process")]
fn works_in(pid: Pid, staging: &str) -> io::Result<bool> {
    if leads_there(Path::new(&format!("/proc/{pid}/cwd")), staging)? {
        return Ok(true);
    }
    let line = shown(std::fs::read(format!("/proc/{pid}/cmdline")))?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&line).split('\0').any(|word| word.starts_with(staging)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor_core::Attempt;
    use conductor_os::dir::Dir;
    use std::os::fd::{AsFd, AsRawFd};
    use std::process::{Command, Stdio};

    /// A process without any mark of ours, which holds nobody's output open.
    fn sleeping_in(dir: &Path) -> std::process::Child {
        let mut command = Command::new("sleep");
        command.arg("600").env_clear().current_dir(dir).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    #[test]
    fn a_porch_that_lives_on_is_ended_or_nothing_is_known_of_it_however_few_descriptors_are_free() {
        if !conductor_testkit::is_alone(
            "runner::leftovers::tests::a_porch_that_lives_on_is_ended_or_nothing_is_known_of_it_however_few_descriptors_are_free",
        ) {
            return;
        }
        let temp = tempfile::tempdir().unwrap();
        // One without any mark of ours, in the staging directory.
        let mut porch = sleeping_in(temp.path());
        let id = process::info(Pid(porch.id())).unwrap().unwrap().id;
        let line = |process| RunLine { seq: Seq(7), attempt: Attempt(1), process };
        // No process has such a number.
        let nobody = ProcessId { start: id.start, pid: Pid(1 << 30) };
        let staging = temp.path().canonicalize().unwrap().display().to_string();
        let mut used = conductor_testkit::all_descriptors();
        let mut unknown = 0;
        // The process of the line was another: the porch is found by where it works.
        while kill_leftovers(&[line(Some(nobody))], &[], &staging).is_err() {
            assert!(is_alive(id), "it was ended, and nothing was said");
            unknown += 1;
            drop(used.pop().expect("with all descriptors free it is known"));
        }
        assert!(unknown > 1);
        assert!(porch.try_wait().unwrap().is_some(), "it was said to be none");
    }

    #[test]
    fn a_neighbour_far_down_keeps_nobody_from_looking() {
        let temp = tempfile::tempdir().unwrap();
        // Longer than any path that the system tells.
        let top = Dir::open(temp.path()).unwrap();
        let far = (0..30).fold(top, |dir, _| dir.ensure(&"d".repeat(200), 0o700).unwrap());
        let there = format!("/proc/self/fd/{}", far.as_fd().as_raw_fd());
        let mut neighbour = sleeping_in(Path::new(&there));
        let pid = Pid(neighbour.id());
        let cwd = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap_err();
        assert_eq!(cwd.raw_os_error(), Some(rustix::io::Errno::NAMETOOLONG.raw_os_error()));
        let recorded = Some(ProcessId { pid: Pid(1 << 30), start: 0 });
        let line = RunLine { seq: Seq(7), attempt: Attempt(1), process: recorded };
        let left = kill_leftovers(&[line], &[], "/no/staging/directory").unwrap();
        assert_eq!(left, Leftovers::default());
        assert!(is_alive(process::info(pid).unwrap().unwrap().id));
        neighbour.kill().unwrap();
        neighbour.wait().unwrap();
    }

    #[test]
    fn a_list_that_cannot_be_read_is_never_taken_for_an_empty_one() {
        assert!(described(Ok(Vec::new()), "its control group").is_empty());
        let unread = described(Err(io::Error::other("why")), "its control group");
        assert_eq!(unread, ["processes of its control group, which cannot be listed (why)"]);
    }

    #[test]
    fn each_of_twenty_processes_is_named_once_and_the_rest_is_counted() {
        let names = |count: u32| (0..count).map(|pid| format!("{pid} porch")).collect::<Vec<_>>();
        assert!(named_once(Vec::new()).is_empty());
        let twice = [names(20), names(20)].concat();
        assert_eq!(named_once(twice), names(20));
        let more = ["and 3 more".to_owned()];
        assert_eq!(named_once(names(23)), [&names(20)[..], &more].concat());
    }

    /// What a process is started with.
    struct Start<'s> {
        marks: &'s [String],
        works_in: &'s Path,
        follows: &'s Path,
    }

    fn started(start: &Start<'_>) -> (std::process::Child, ProcessInfo) {
        // At a terminal nothing counts as a rest of a run.
        let mut command = Command::new("setsid");
        command.args(["tail", "-f"]).arg(start.follows).current_dir(start.works_in);
        command.envs(start.marks.iter().filter_map(|mark| mark.split_once('=')));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let pid = child.id().to_string().parse().unwrap();
        let files = || std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        conductor_testkit::wait_until("it has its file open", || {
            files().any(|file| std::fs::read_link(file.path()).is_ok_and(|file| file == start.follows))
        });
        (child, process::info(pid).unwrap().unwrap())
    }

    #[test]
    fn only_what_works_for_this_directory_is_ended_of_a_dead_daemon() {
        if !conductor_testkit::has("setsid") {
            return eprintln!("NOT TESTED: what a dead daemon left (setsid is not installed)");
        }
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        let (staging, elsewhere) = (root.join("staging"), root.join("elsewhere"));
        for place in [&staging, &elsewhere] {
            std::fs::create_dir(place).unwrap();
            std::fs::write(place.join("file"), "").unwrap();
        }
        let (ours, theirs) = (Digest([7; 32]), Digest([8; 32]));
        let (marked, other) = (marks(Seq(7), &ours), marks(Seq(7), &theirs));
        let (own, foreign) = (staging.join("file"), elsewhere.join("file"));
        // Marks, working directory, file, and whether it is ended where a recorded run began after it, and before it.
        let cases: [(&[String], &Path, &Path, bool, bool); 7] = [
            (&marked, &staging, &foreign, true, true),
            (&marked, &elsewhere, &own, true, true),
            (&marked, &elsewhere, &foreign, false, false),
            (&other, &staging, &foreign, false, true),
            (&[], &staging, &foreign, false, true),
            (&[], &elsewhere, &own, false, true),
            (&[], &elsewhere, &foreign, false, false),
        ];
        for (number, (marks, works_in, follows, ended_after, ended_before)) in cases.into_iter().enumerate() {
            for (first, wanted) in [(u64::MAX, ended_after), (0, ended_before)] {
                let (mut child, process) = started(&Start { marks, works_in, follows });
                // A process that has ended long ago: no process has such a number.
                let recorded = Some(ProcessId { pid: Pid(1 << 30), start: first });
                let line = RunLine { seq: Seq(7), attempt: Attempt(1), process: recorded };
                let left = kill_leftovers(&[line], &[(Seq(7), ours)], staging.to_str().unwrap()).unwrap();
                let named = if wanted { vec![describe(&process)] } else { Vec::new() };
                assert_eq!(left, Leftovers { ended: named, alive: Vec::new() }, "{number} {first}");
                assert_eq!(child.try_wait().unwrap().is_some(), wanted, "{number} {first}");
                let _ = child.kill();
                child.wait().unwrap();
            }
        }
    }
}
