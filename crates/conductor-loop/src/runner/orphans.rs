//! Processes that left their run behind: orphans that became our children. Changes to their environment do not matter: an
//! adopted child belongs to the runs in progress when it was first seen, and ends with the last of them. Programs that we
//! start ourselves are children of other threads than the main one, and are ignored here.

use super::leftovers::describe;
use conductor_os::process::{self, Environment, ProcessId, ProcessInfo};
use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long the children of killed processes are looked for: they become ours when their parent is gone.
const PURSUIT: Duration = Duration::from_secs(2);

/// Adopted children and the runs they may come from.
#[derive(Debug, Default)]
pub(super) struct Orphans(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    begun: u64,
    active: BTreeSet<u64>,
    seen: Vec<Orphan>,
}

#[derive(Debug)]
struct Orphan {
    process: ProcessInfo,
    /// The runs in progress at its first sight that have not ended yet.
    runs: BTreeSet<u64>,
}

/// The number of a run in progress.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunNumber(u64);

impl Orphans {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a run: before its program starts, so that no process of it is ever seen without its run.
    pub(super) fn begin(&self) -> RunNumber {
        let mut state = self.state();
        state.begun += 1;
        let number = state.begun;
        state.active.insert(number);
        RunNumber(number)
    }

    /// Ends a run: kills the orphans with its marks, and those that belong to no run in progress any more.
    pub(super) fn end(&self, run: RunNumber, marks: &[String]) -> Vec<String> {
        self.pursue(|state| {
            let looked = state.look();
            state.active.remove(&run.0);
            for orphan in &mut state.seen {
                orphan.runs.remove(&run.0);
            }
            (state.due(marks), looked)
        })
    }

    /// Kills every orphan: no run is in progress, and none will be.
    pub(super) fn end_all(&self) -> Vec<String> {
        self.pursue(|state| {
            state.active.clear();
            state.seen.clear();
            let looked = state.look();
            (state.due(&[]), looked)
        })
    }

    /// Repeats the look until the killed processes have left no child behind, for a bounded time.
    fn pursue(&self, due: impl Fn(&mut State) -> (Vec<ProcessInfo>, io::Result<()>)) -> Vec<String> {
        let until = Instant::now() + PURSUIT;
        let mut ended: Vec<ProcessInfo> = Vec::new();
        let looked = loop {
            let (found, looked) = due(&mut self.state());
            for process in &found {
                process::kill(process.id);
            }
            process::wait_for_end(&found.iter().map(|process| process.id).collect::<Vec<_>>(), until);
            let none = found.is_empty();
            ended.extend(found);
            if none || Instant::now() >= until {
                break looked;
            }
        };
        let mut named: Vec<String> = ended.iter().map(describe).collect();
        named.sort_unstable();
        named.dedup();
        if let Err(error) = looked {
            // Known orphans stay known, and the end of the next run looks again.
            named.push(format!("processes that left their run, which cannot be looked for now ({error})"));
        }
        named
    }
}

impl State {
    /// One read of the list of children, which is nearly always empty.
    fn look(&mut self) -> io::Result<()> {
        let adopted = process::adopted()?;
        let mut present = Vec::new();
        for pid in adopted {
            if process::reap(pid) {
                continue;
            }
            let Some(process) = process::info(pid)? else { continue };
            if !process::is_from_before(&process) {
                present.push(process);
            }
        }
        self.note(present);
        Ok(())
    }

    /// An orphan belongs to the runs of its first sight, and is forgotten when it is gone.
    fn note(&mut self, present: Vec<ProcessInfo>) {
        self.seen.retain(|orphan| present.iter().any(|process| process.id == orphan.process.id));
        for process in present {
            if !self.seen.iter().any(|orphan| orphan.process.id == process.id) {
                self.seen.push(Orphan { process, runs: self.active.clone() });
            }
        }
    }

    fn due(&self, marks: &[String]) -> Vec<ProcessInfo> {
        // One whose environment cannot be read now is due with the last of its runs.
        let environment = |id: ProcessId| Environment::of_either(id.pid);
        let marked =
            |id| !marks.is_empty() && environment(id).is_ok_and(|environment| environment.has(marks));
        let due = self.seen.iter().filter(|orphan| orphan.runs.is_empty() || marked(orphan.process.id));
        due.map(|orphan| orphan.process.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor_os::process::Pid;
    use std::process::Stdio;

    /// A running process with these words in its environment.
    fn marked(words: &[&str]) -> (std::process::Child, ProcessInfo) {
        let mut command = std::process::Command::new("sleep");
        command.arg("600").env_clear().env("PATH", "/usr/bin:/bin");
        command.envs(words.iter().filter_map(|word| word.split_once('=')));
        // Who reads our output does not wait for it where a test fails.
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let process = process::info(child.id().to_string().parse().unwrap()).unwrap().unwrap();
        (child, process)
    }

    fn numbered(pid: u32) -> ProcessInfo {
        ProcessInfo {
            id: ProcessId { pid: Pid(pid), start: 1 },
            name: "orphan".to_owned(),
            group: Pid(pid),
            at_terminal: false,
            zombie: false,
        }
    }

    #[test]
    fn an_orphan_ends_with_the_run_whose_marks_it_has_or_with_the_last_of_its_first_sight() {
        let marks = ["CONDUCTOR_INTENT_SEQ=7", "CONDUCTOR_INTENT_SHA256=a"];
        let (mut ours, of_seven) = marked(&marks);
        let (mut other, of_eight) = marked(&["CONDUCTOR_INTENT_SEQ=8", "CONDUCTOR_INTENT_SHA256=a"]);
        let mut state = State { active: BTreeSet::from([1, 2]), ..State::default() };
        state.note(vec![of_seven.clone(), of_eight.clone()]);
        let marks = marks.map(str::to_owned);
        assert_eq!(state.due(&marks), [of_seven]);
        assert!(state.due(&[]).is_empty(), "nobody's marks are no marks");
        state.seen.retain(|orphan| orphan.process == of_eight);
        state.seen[0].runs.clear();
        for marks in [&marks[..], &[]] {
            assert_eq!(state.due(marks), std::slice::from_ref(&of_eight), "its runs have ended");
        }
        for child in [&mut ours, &mut other] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    #[test]
    fn each_run_in_progress_has_a_number_of_its_own() {
        let orphans = Orphans::default();
        let first = orphans.begin();
        orphans.begin();
        assert_eq!(orphans.state().active.len(), 2);
        assert!(orphans.end(first, &[]).is_empty());
        assert_eq!(orphans.state().active.len(), 1);
    }

    #[test]
    fn an_orphan_belongs_to_the_runs_of_its_first_sight_until_it_is_gone() {
        let mut state = State { active: BTreeSet::from([1]), ..State::default() };
        state.note(vec![numbered(10)]);
        state.active = BTreeSet::from([2]);
        state.note(vec![numbered(10), numbered(11)]);
        let runs = |state: &State| -> Vec<(ProcessInfo, BTreeSet<u64>)> {
            state.seen.iter().map(|orphan| (orphan.process.clone(), orphan.runs.clone())).collect()
        };
        let (first, second) = (BTreeSet::from([1]), BTreeSet::from([2]));
        assert_eq!(runs(&state), [(numbered(10), first), (numbered(11), second.clone())]);
        state.note(vec![numbered(11)]);
        assert_eq!(runs(&state), [(numbered(11), second)]);
    }
}
