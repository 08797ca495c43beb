//! One run of an external porch. Its states are those of a test runner's unit: running, terminating (grace), killed,
//! ended; each ending has its own name. Waiting is one poll over the process, both streams and the stop signal.

use super::capture::Stream;
use super::cells::Site;
use super::job::Job;
use super::leftovers;
use super::orphans::RunNumber;
use super::program::Program;
use super::settings::Settings;
use super::staging::{PrivateCopy, Staged};
use super::stop::Stop;
use super::withheld::{cause_of, closed, unconfined};
use super::worker::Worker;
use conductor_core::hint::{Bound, hint};
use conductor_core::outcome::{Capture, EX_TEMPFAIL, Ending, Postponed, Run};
use conductor_os::cgroup::{Reached, RunGroup};
use conductor_os::child::{Found, Supervised};
use conductor_os::command::{Command, StartError, Stdio};
use conductor_os::confine::limits::ResourceLimits;
use conductor_os::is_passing;
use conductor_os::second;
use conductor_os::wake::wait_readable;
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// How long the streams are read after porch has ended: a grandchild that holds them open does not hang us.
const DRAIN: Duration = Duration::from_millis(200);
/// The polling interval if the system does not let us wait.
const LOOK: Duration = Duration::from_millis(20);
/// The variables of our environment that porch may inherit.
const ALLOWED: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

struct Running<'w> {
    worker: &'w Worker,
    child: Supervised,
    stdout: Stream,
    stderr: Stream,
    deadline: Instant,
    limit: Duration,
    grace: Duration,
}

/// Why the run was told to end, and the signals sent so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Termination {
    None,
    TermSent { by_deadline: bool, kill_at: Instant },
    KillSent { by_deadline: bool },
}

pub(super) fn run(
    worker: &Worker,
    settings: &Settings,
    program: &Program,
    staged: &Staged<'_>,
    job: &Job,
) -> Run {
    let Staged { slot, copy } = *staged;
    let mut run = worker.not_run(Ending::Interrupted);
    let executable = match ready(worker, settings, program, copy, job) {
        Ok(executable) => executable,
        Err(ending) => {
            run.ending = ending;
            return run;
        }
    };
    let mut command = command(worker, settings, &executable, job);
    let group = match in_a_group(worker, &mut command) {
        Ok(group) => group,
        Err(ending) => {
            run.ending = ending;
            return run;
        }
    };
    let words = words(worker, settings, job);
    run.porch_sha256 = program.digest(&executable);
    let begin = Instant::now();
    run.command = std::iter::once(executable.display().to_string()).chain(words.iter().cloned()).collect();
    let number = worker.orphans.begin();
    command.args(&words);
    let site = Site { number: job.slot.get(), slot, program: &executable };
    let started = match worker.cells.start(site, command) {
        Ok(started) => started,
        Err(refusal) => {
            run.leftovers = end_escaped(worker, group, number, &[]);
            run.ending = unconfined(&refusal);
            return run;
        }
    };
    let child = match started {
        Ok(child) => child,
        Err(error) => {
            let is_gone = group.as_ref().is_some_and(RunGroup::is_gone);
            run.leftovers = end_escaped(worker, group, number, &[]);
            run.ending = if is_gone { removed() } else { not_started(worker, program, &error) };
            return run;
        }
    };
    worker.began(job);
    watched(worker, settings, job, Begun { child, begin, group, number }, run)
}

/// The arguments of porch.
fn words(worker: &Worker, settings: &Settings, job: &Job) -> Vec<String> {
    let mut words = vec![
        "-intent".to_owned(),
        file(worker, job).display().to_string(),
        "-out".to_owned(),
        settings.outlet.path().display().to_string(),
    ];
    if settings.structured {
        words.push("-structured".to_owned());
    }
    words
}

/// A program that was started.
struct Begun {
    child: Supervised,
    begin: Instant,
    /// The control group that it began in, if runs have groups.
    group: Option<RunGroup<'static>>,
    number: RunNumber,
}

/// Watches a started program to its end. `run`: what is known of the run before.
fn watched(worker: &Worker, settings: &Settings, job: &Job, begun: Begun, run: Run) -> Run {
    let Begun { child, begin, group, number } = begun;
    let marks = leftovers::marks(job.seq, &job.claim.sha256);
    match Running::new(worker, settings, job, child, begin) {
        Ok(running) => {
            let (ending, [stdout, stderr], left) = running.until_its_end(group, number, &marks);
            let ending = looked_over(worker, settings, ending);
            let bounds = bounds(worker, settings);
            let hint = hint(&ending, [&stdout, &stderr], &bounds, &reached(left.reached));
            Run { ending, duration: begin.elapsed(), stdout, stderr, leftovers: left.names, hint, ..run }
        }
        Err(error) => {
            let leftovers = end_escaped(worker, group, number, &marks);
            Run { leftovers, ending: Ending::Unwatched { reason: error.to_string() }, ..run }
        }
    }
}

/// Makes a control group for the run, if runs have groups, and lets the program begin in it.
fn in_a_group(worker: &Worker, command: &mut Command) -> Result<Option<RunGroup<'static>>, Ending> {
    let made = worker.groups.map(|groups| groups.for_a_run(command)).transpose();
    made.map_err(|error| no_group(&format!("cannot be made: {error}")))
}

fn no_group(why: &str) -> Ending {
    Ending::Withheld { cause: Postponed::Unconfined, reason: format!("the control group of its run {why}") }
}

fn removed() -> Ending {
    no_group("was removed by somebody before porch began; the next try makes another")
}

/// What a run of porch is subject to.
fn bounds(worker: &Worker, settings: &Settings) -> Vec<Bound> {
    let ResourceLimits { memory, cpu: _, processes, files, file_size } = settings.resources;
    let bounds = [
        (memory.is_some(), Bound::Memory),
        (processes.is_some(), Bound::Processes),
        (files.is_some(), Bound::Files),
        (file_size.is_some(), Bound::FileSize),
        (worker.cells.are_confined(), Bound::Fence),
    ];
    bounds.into_iter().filter_map(|(holds, bound)| holds.then_some(bound)).collect()
}

/// What certainly took something from the run.
fn reached(reached: Reached) -> Vec<Bound> {
    let certain = [
        (reached.memory, Bound::Memory),
        (reached.processes, Bound::Processes),
        (reached.memory_elsewhere, Bound::MemoryElsewhere),
    ];
    certain.into_iter().filter_map(|(reached, bound)| reached.then_some(bound)).collect()
}

/// What was found at the end of a run.
#[derive(Default)]
struct Left {
    /// The names of the processes that it had left.
    names: Vec<String>,
    reached: Reached,
}

/// Ends what is in the control group of a run, if it has one.
fn end_group(group: Option<RunGroup<'_>>) -> Left {
    let Some(group) = group else { return Left::default() };
    let ended = group.end();
    Left { names: leftovers::described(ended.processes, "its control group"), reached: ended.reached }
}

/// Ends what is left of a run without a program to watch; returns their names.
fn end_escaped(
    worker: &Worker,
    group: Option<RunGroup<'_>>,
    number: RunNumber,
    marks: &[String],
) -> Vec<String> {
    let mut left = end_group(group).names;
    left.extend(worker.orphans.end(number, marks));
    leftovers::named_once(left)
}

fn file(worker: &Worker, job: &Job) -> PathBuf {
    worker.slots.path_of(job.slot).join(&job.claim.name)
}

/// The program to start, if everything is in place: the program, the private copy at the path that porch gets, the output
/// directory.
fn ready(
    worker: &Worker,
    settings: &Settings,
    program: &Program,
    copy: &PrivateCopy,
    job: &Job,
) -> Result<PathBuf, Ending> {
    let withheld = |cause, reason: String| Ending::Withheld { cause, reason };
    let (executable, _) =
        program.current().map_err(|error| withheld(Postponed::PorchMissing, error.to_string()))?;
    let file = file(worker, job);
    if !copy.is_at(&file) {
        let reason = format!("{} does not lead to the private copy that was written there", file.display());
        return Err(withheld(Postponed::DirectoryReplaced, reason));
    }
    let slot = worker.slots.path_of(job.slot);
    if second::get().is_some() {
        let comes_through = second::may(&slot, second::Access::EXEC_OK);
        let slot = slot.display();
        let may = comes_through.map_err(|error| {
            let reason = format!("whether porch's user comes through to {slot} cannot be asked: {error}");
            withheld(Postponed::System, reason)
        })?;
        if !may {
            let reason = format!("porch's user does not come through to its working directory {slot}");
            return Err(withheld(Postponed::Unconfined, reason));
        }
    }
    closed(settings, &job.place).map_or(Ok(executable), Err)
}

/// The ending of a failed start. A program that may be in the middle of an update is waited for.
fn not_started(worker: &Worker, program: &Program, error: &StartError) -> Ending {
    let reason = format!("porch could not be started: {error}");
    let error = match error {
        StartError::NotExecuted(error) => error,
        StartError::NotSetUp { error, .. } => {
            let cause = match error {
                _ if !worker.slots.is_in_place() => Postponed::DirectoryReplaced,
                error if is_passing(error) => Postponed::System,
                _ => Postponed::Unconfined,
            };
            return Ending::Withheld { cause, reason };
        }
    };
    let cause = match Errno::from_io_error(error) {
        Some(Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE) => Postponed::System,
        Some(Errno::TXTBSY) => Postponed::PorchMissing,
        _ if program.current().is_err() => Postponed::PorchMissing,
        _ if !worker.slots.is_in_place() => Postponed::DirectoryReplaced,
        _ if program.is_unsettled() => Postponed::PorchMissing,
        _ => return Ending::NotStarted { reason: error.to_string() },
    };
    Ending::Withheld { cause, reason }
}

/// Checks an ending: a success counts only if porch was given the judged bytes; a failure is not the intent's if the
/// directory of packages was not writable.
fn looked_over(worker: &Worker, settings: &Settings, ending: Ending) -> Ending {
    match ending {
        Ending::Exited(0) if !worker.slots.leads_there() => {
            Ending::Misled { reason: "the staging directory was replaced while porch ran".to_owned() }
        }
        Ending::Exited(status) if status != 0 && status != EX_TEMPFAIL => {
            match settings.outlet.look().outage {
                Some(outage) => Ending::Hampered { status, cause: cause_of(outage) },
                None => ending,
            }
        }
        other => other,
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where porch is started")]
fn command(worker: &Worker, settings: &Settings, executable: &Path, job: &Job) -> Command {
    let claim = &job.claim;
    let mut command = Command::new(executable);
    // A porch may commit and push; the operator's settings for git apply to it.
    command.envs(conductor_porch::git_environment());
    for name in ALLOWED {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    if let Some(second) = second::get() {
        command.env("HOME", &second.identity().home);
        command.of_second(second);
    }
    if let Some(kubeconfig) = &settings.kubeconfig {
        command.env("KUBECONFIG", kubeconfig);
    }
    command
        .env("CONDUCTOR_INTENT_SHA256", claim.sha256.to_string())
        .env("CONDUCTOR_INTENT_SEQ", job.seq.to_string())
        .env("CONDUCTOR_INTENT_ATTEMPT", job.attempt.to_string())
        .env("CONDUCTOR_CORRELATION_ID", &claim.correlation_id)
        .current_dir(worker.slots.path_of(job.slot))
        .streams([Stdio::Null, Stdio::Piped, Stdio::Piped])
        .limits(settings.resources);
    if worker.cells.are_confined() {
        // The common directory for temporary files is closed to a run.
        command.env("TMPDIR", worker.slots.path_of(job.slot));
    }
    command
}

impl<'w> Running<'w> {
    fn new(
        worker: &'w Worker,
        settings: &Settings,
        job: &Job,
        mut child: Supervised,
        begin: Instant,
    ) -> io::Result<Self> {
        if let Some(id) = child.identity() {
            worker.run_table.started(job.slot, job.seq, job.attempt, id);
        }
        let limit = settings.time_limit(&job.claim);
        let stdout = Stream::new(child.take_stdout().map(OwnedFd::from))?;
        let stderr = Stream::new(child.take_stderr().map(OwnedFd::from))?;
        Ok(Self {
            worker,
            child,
            stdout,
            stderr,
            deadline: begin + limit,
            limit,
            grace: settings.limits.grace,
        })
    }

    fn until_its_end(
        mut self,
        group: Option<RunGroup<'_>>,
        number: RunNumber,
        marks: &[String],
    ) -> (Ending, [Capture; 2], Left) {
        let mut termination = Termination::None;
        let status = loop {
            termination = self.escalate(termination);
            let until = match termination {
                Termination::None => Some(self.deadline),
                Termination::TermSent { kill_at, .. } => Some(kill_at),
                Termination::KillSent { .. } => None,
            };
            if self.wait(until) {
                break self.child.reap();
            }
        };
        let left = self.end_leftovers(group, number, marks);
        self.drain_rest();
        let ending = match status {
            Ok(status) => named(status, termination, self.limit),
            Err(error) => Ending::Unwatched { reason: format!("its end could not be read: {error}") },
        };
        (ending, [self.stdout.finish(), self.stderr.finish()], left)
    }

    /// The next step: TERM at the deadline or at the stop signal, KILL after the grace time.
    fn escalate(&self, termination: Termination) -> Termination {
        let now = Instant::now();
        let stop = self.worker.stop.level();
        match termination {
            Termination::None if stop == Stop::Kill => self.kill(false),
            Termination::None if now >= self.deadline || stop == Stop::Terminate => {
                self.child.terminate();
                Termination::TermSent { by_deadline: now >= self.deadline, kill_at: now + self.grace }
            }
            Termination::TermSent { by_deadline, kill_at } if now >= kill_at || stop == Stop::Kill => {
                self.kill(by_deadline)
            }
            other => other,
        }
    }

    fn kill(&self, by_deadline: bool) -> Termination {
        self.child.kill();
        Termination::KillSent { by_deadline }
    }

    /// Waits for output, the end, the stop signal or the time. Returns true when the process has ended.
    fn wait(&mut self, until: Option<Instant>) -> bool {
        // Once the level is Kill, the stop signal can say nothing more.
        let sign = (self.worker.stop.level() < Stop::Kill).then(|| self.worker.waker.as_fd());
        let watched = [self.stdout.descriptor(), self.stderr.descriptor(), sign];
        let Found { ended, ready: [out, err, signalled] } = self.child.wait(watched, until);
        if out {
            self.stdout.drain();
        }
        if err {
            self.stderr.drain();
        }
        if signalled {
            self.worker.waker.clear();
        }
        ended
    }

    /// Kills the rest of the control group, of the process group, and the processes that escaped from that; returns their names.
    fn end_leftovers(&self, group: Option<RunGroup<'_>>, number: RunNumber, marks: &[String]) -> Left {
        // The control group first: what starts others again and again is ended by nothing else.
        let Left { mut names, reached } = end_group(group);
        names.extend(leftovers::described(self.child.end_rest(), "its process group"));
        names.extend(self.worker.orphans.end(number, marks));
        Left { names: leftovers::named_once(names), reached }
    }

    fn drain_rest(&mut self) {
        let until = Instant::now() + DRAIN;
        while self.stdout.descriptor().is_some() || self.stderr.descriptor().is_some() {
            let left = until.saturating_duration_since(Instant::now());
            if wait_readable([self.stdout.descriptor(), self.stderr.descriptor()], Some(left)).is_err() {
                std::thread::sleep(left.min(LOOK)); // Waiting failed, so nothing can wake us.
            }
            self.stdout.drain();
            self.stderr.drain();
            if left.is_zero() {
                return;
            }
        }
    }
}

fn named(status: ExitStatus, termination: Termination, limit: Duration) -> Ending {
    match termination {
        Termination::TermSent { by_deadline: true, .. } => Ending::TimedOut { limit, killed: false },
        Termination::KillSent { by_deadline: true } => Ending::TimedOut { limit, killed: true },
        // It finished its work in spite of the stop: a success, not an interruption.
        Termination::TermSent { .. } | Termination::KillSent { .. } if status.code() == Some(0) => {
            Ending::Exited(0)
        }
        Termination::TermSent { .. } | Termination::KillSent { .. } => Ending::Interrupted,
        Termination::None => match (status.code(), status.signal()) {
            (Some(code), _) => Ending::Exited(code),
            (None, signal) => Ending::Signalled(signal.unwrap_or(0)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{settings, worker};
    use super::super::{ReadBack, Settings};
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn settings_of(program: &Path, out: &Path) -> Settings {
        settings(program, out, ReadBack::new(|_, _| Ok(())))
    }

    /// A directory for a worker, and one for packages.
    fn places() -> tempfile::TempDir {
        let temp = tempfile::tempdir().unwrap();
        for name in ["home", "out"] {
            std::fs::create_dir(temp.path().join(name)).unwrap();
        }
        temp
    }

    /// Why a run is put off, if it is.
    fn put_off(ending: Ending) -> Option<Postponed> {
        match ending {
            Ending::Withheld { cause, .. } => Some(cause),
            Ending::NotStarted { .. } => None,
            other => panic!("{other:?}"),
        }
    }

    fn not_executed(errno: Errno) -> StartError {
        StartError::NotExecuted(errno.into())
    }

    fn not_set_up(errno: Errno) -> StartError {
        StartError::NotSetUp { step: "a step", error: errno.into() }
    }

    #[test]
    fn a_start_that_failed_is_the_programs_fault_only_where_nothing_else_is_in_the_way() {
        let temp = places();
        let at = |name: &str| temp.path().join(name);
        let true_program = Path::new("/bin/true");
        let worker = worker(&at("home"), settings_of(true_program, &at("out")));
        let settled = Program::find("/bin/true", None, true).unwrap();
        let lacking = [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE];
        for errno in lacking {
            assert_eq!(
                put_off(not_started(&worker, &settled, &not_executed(errno))),
                Some(Postponed::System)
            );
            assert_eq!(put_off(not_started(&worker, &settled, &not_set_up(errno))), Some(Postponed::System));
        }
        let refused = not_started(&worker, &settled, &not_set_up(Errno::PERM));
        assert_eq!(put_off(refused), Some(Postponed::Unconfined));
        let written_to = not_started(&worker, &settled, &not_executed(Errno::TXTBSY));
        assert_eq!(put_off(written_to), Some(Postponed::PorchMissing));
        let no_program = || not_executed(Errno::NOEXEC);
        assert_eq!(put_off(not_started(&worker, &settled, &no_program())), None, "it is its own fault");
        // One that may be in the middle of an update, and one that is gone.
        std::fs::write(at("porch"), "").unwrap();
        std::fs::set_permissions(at("porch"), PermissionsExt::from_mode(0o755)).unwrap();
        let own = Program::find(at("porch").to_str().unwrap(), None, true).unwrap();
        let is_put_off = |_| {
            // Written again until it is looked at in time.
            std::fs::write(at("porch"), "").unwrap();
            put_off(not_started(&worker, &own, &no_program())) == Some(Postponed::PorchMissing)
        };
        assert!((0..100).any(is_put_off));
        std::fs::remove_file(at("porch")).unwrap();
        assert_eq!(put_off(not_started(&worker, &own, &no_program())), Some(Postponed::PorchMissing));
        // Somebody put another directory in the place of ours.
        std::fs::rename(at("home"), at("aside")).unwrap();
        std::fs::create_dir_all(at("home/staging")).unwrap();
        for error in [no_program(), not_set_up(Errno::PERM), not_set_up(Errno::AGAIN)] {
            let cause = put_off(not_started(&worker, &settled, &error));
            assert_eq!(cause, Some(Postponed::DirectoryReplaced), "{error}");
        }
    }

    #[test]
    fn a_success_needs_our_copy_and_a_failure_a_directory_of_packages() {
        let temp = places();
        let at = |name: &str| temp.path().join(name);
        let settings = settings_of(Path::new("/bin/true"), &at("out"));
        let worker = worker(&at("home"), settings.clone());
        let look = |ending| looked_over(&worker, &settings, ending);
        let all = [0, 1, EX_TEMPFAIL].map(Ending::Exited);
        assert_eq!(all.clone().map(look), all, "everything is in place");
        std::fs::remove_dir(at("out")).unwrap();
        let hampered = Ending::Hampered { status: 1, cause: Postponed::OutGone };
        let [success, _, busy] = all.clone();
        assert_eq!(all.clone().map(look), [success, hampered, busy], "only a failure may come of it");
        assert_eq!(look(Ending::Signalled(9)), Ending::Signalled(9));
        std::fs::create_dir(at("out")).unwrap();
        std::fs::rename(at("home/staging"), at("home/aside")).unwrap();
        let [misled, failure, busy] = all.clone().map(look);
        assert!(matches!(misled, Ending::Misled { .. }), "{misled:?}");
        assert_eq!([&failure, &busy], [&all[1], &all[2]]);
    }
}
