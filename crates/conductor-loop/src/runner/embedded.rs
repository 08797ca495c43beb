//! The package engine as a library call: no process unless a route leads to a repository; the same outcome type.

use super::job::Job;
use super::settings::Settings;
use super::stop::Stop;
use super::withheld::{cause_of, closed, unconfined};
use super::worker::Worker;
use conductor_core::Runs;
use conductor_core::hint::{Bound, hint};
use conductor_core::intent::{Intent, Policy, Refusal, judge};
use conductor_core::limits::MESSAGE_MAX;
use conductor_core::outcome::{Capture, Ending, Postponed, Run};
use conductor_core::scheduler::Place;
use conductor_core::scrub;
use conductor_crypto::sha256;
use conductor_os::outlet::Outage;
use conductor_porch::{Engine, Order, Outcome, Patience, PorchError, Provenance};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, io};

/// How long a worker waits for another process that works on the same package before the intent is postponed.
const LOCK_WAIT: Duration = Duration::from_secs(2);
/// The same for a repository, where the other process may take as long as a push.
const REPOSITORY_WAIT: Duration = Duration::from_millis(250);
/// The steps of git that talk to a remote.
const REMOTE_STEPS: [&str; 3] = ["ls-remote", "fetch", "push"];

/// An order and the engine that carries it out.
pub(super) struct Application {
    pub(super) engine: Arc<Engine>,
    pub(super) order: Order,
}

pub(super) fn run(worker: &Worker, settings: &Settings, job: &Job, application: Application) -> Run {
    let begin = Instant::now();
    let to_output = job.place == Place::Output;
    if let Some(ending) = closed(settings, &job.place) {
        return worker.not_run(ending);
    }
    let limit = settings.time_limit(&job.claim);
    let lock_wait = if to_output { LOCK_WAIT } else { REPOSITORY_WAIT };
    let stop = Arc::clone(&worker.stop);
    let apply = move || {
        let Application { engine, order } = application;
        let cancelled = || stop.level() >= Stop::Terminate;
        let (lock_wait, deadline) = (lock_wait.min(limit), begin + limit);
        engine.apply(&order, &Patience { lock_wait, deadline, cancelled: &cancelled, tell: &|_| {} })
    };
    worker.began(job);
    let applied = match worker.cells.apply(apply) {
        Ok(applied) => applied,
        Err(refusal) => return worker.not_run(unconfined(&refusal)),
    };
    let (mut stdout, mut change) = (Capture::default(), String::new());
    let ending = match applied.map_err(|error| ending(settings, &job.place, &error)) {
        Ok(applied) => {
            report(&applied.outcome);
            stdout.head = format!("{}\n", applied.outcome.line()).into_bytes();
            stdout.total = stdout.head.len() as u64;
            stdout.sha256 = Some(sha256(&stdout.head));
            change = applied.diff();
            Ending::Exited(0)
        }
        Err(ending) => ending,
    };
    let command = vec![Runs::Embedded.to_string()];
    let duration = begin.elapsed();
    // The limits are those of porch's processes.
    let fence: &[Bound] = if worker.cells.are_confined() { &[Bound::Fence] } else { &[] };
    let hint = hint(&ending, [&Capture::default(), &Capture::default()], fence, &[]);
    Run { ending, duration, stdout, change, command, hint, ..worker.not_run(Ending::Interrupted) }
}

/// Judges the bytes that run again, and nothing else: the claim's fields only serve ordering.
pub(super) fn order(job: &Job, bytes: &[u8]) -> Result<Order, Ending> {
    let intent = judged(bytes).map_err(|refusal| Ending::EngineFailed {
        code: refusal.code,
        message: refusal.to_string(),
        passing: false,
    })?;
    let provenance = Provenance {
        sha256: job.claim.sha256.to_string(),
        correlation_id: Some(job.claim.correlation_id.clone()),
        seq: Some(job.seq),
    };
    Ok(Order { intent, provenance, came: Some(job.came) })
}

/// Judges with scaling to zero allowed: that was decided when the intent was taken.
fn judged(bytes: &[u8]) -> Result<Intent, Refusal> {
    judge(bytes, Policy { allow_scale_to_zero: true })
}

/// The place that the run will write; if it cannot be determined, the output directory, where the run is refused.
pub(super) fn place_of(engine: &Engine, bytes: &[u8]) -> Place {
    let order = judged(bytes).map(|intent| Order { intent, provenance: Provenance::default(), came: None });
    let repository = order.ok().and_then(|order| engine.repository_of(&order));
    repository.map_or(Place::Output, |path| Place::Repository(path.display().to_string().into()))
}

fn ending(settings: &Settings, place: &Place, error: &PorchError) -> Ending {
    let reason = error.to_string();
    let outage = || match place {
        Place::Output => settings.outlet.look().outage,
        Place::Repository(_) => is_gone(place, error).then_some(Outage::Gone),
    };
    let cause = match error {
        PorchError::Cancelled => return Ending::Interrupted,
        error if error.is_no_space() => Some(Postponed::OutFull),
        PorchError::Io { .. } if error.is_exhausted() => Some(Postponed::System),
        PorchError::Io { .. } => outage().map(cause_of),
        // First: if the repository is gone, its remote is unknown.
        PorchError::Git { .. } if is_gone(place, error) => Some(Postponed::OutGone),
        PorchError::Git { step, .. } if error.is_passing() && REMOTE_STEPS.contains(&step.as_str()) => {
            Some(Postponed::RemoteUnreachable)
        }
        error if error.is_exhausted() => Some(Postponed::System),
        error if error.is_busy() => Some(Postponed::PackageBusy),
        _ => None,
    };
    cause.map_or_else(
        || Ending::EngineFailed { code: error.code(), message: reason.clone(), passing: error.is_passing() },
        |cause| Ending::Withheld { cause, reason: reason.clone() },
    )
}

/// Whether the repository, or the work tree of the route, is missing: it was moved away or unmounted, which says nothing
/// about the order.
fn is_gone(place: &Place, error: &PorchError) -> bool {
    let Place::Repository(shared) = place else { return false };
    let work_tree =
        if let PorchError::Git { repository, .. } = error { Some(repository.as_str()) } else { None };
    // A path that is not UTF-8 is unknown here, and must not count as missing.
    let known = |path: &&str| !path.contains(char::REPLACEMENT_CHARACTER);
    [Some(&**shared), work_tree].into_iter().flatten().filter(known).any(|path| is_absent(Path::new(path)))
}

/// Whether the path is missing, on a file system that does not answer, or an empty directory such as a bare mount point.
fn is_absent(path: &Path) -> bool {
    match fs::metadata(path) {
        // A directory without search permission, or a file in its place, needs the operator: it does not come back by itself.
        Err(error) => !matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::NotADirectory),
        Ok(meta) => meta.is_dir() && fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none()),
    }
}

fn report(outcome: &Outcome) {
    let partial = outcome.partial && outcome.commit.is_none();
    if let Some(note) = outcome.note.as_ref().filter(|_| partial) {
        // A partial package is what the route of an unknown target leads to, and no failure.
        tracing::info!(package = outcome.package, "{}", scrub::shown(note, MESSAGE_MAX));
    } else if let Some(note) = &outcome.note {
        tracing::warn!(package = outcome.package, "{}", scrub::shown(note, MESSAGE_MAX));
    }
    tracing::debug!(package = outcome.package, changed = outcome.changed, commit = outcome.commit, "package");
}

#[cfg(test)]
mod tests {
    use super::super::tests::settings;
    use super::super::{NotRead, ReadBack};
    use super::*;
    use conductor_core::Code;
    use conductor_porch::Outlook;
    use std::path::PathBuf;

    /// How an error ends a run: postponed with this cause, or failed, for a while or for good.
    #[derive(Debug, PartialEq, Eq)]
    enum End {
        Waits(Postponed),
        Fails { passing: bool },
        Interrupted,
    }

    fn io(errno: i32) -> PorchError {
        PorchError::Io { path: PathBuf::from("package"), source: io::Error::from_raw_os_error(errno) }
    }

    fn git(step: &str, repository: &Path, outlook: Outlook) -> PorchError {
        let repository = repository.display().to_string();
        PorchError::Git { step: step.to_owned(), repository, reason: "why".to_owned(), outlook }
    }

    fn end(out: &Path, place: &Place, error: &PorchError) -> End {
        let unread = ReadBack::new(|_, _| Err(NotRead { code: Code::StoreFailed, reason: "why".to_owned() }));
        let settings = settings(Path::new("/bin/true"), out, unread);
        match ending(&settings, place, error) {
            Ending::Withheld { cause, reason } => {
                assert_eq!(reason, error.to_string());
                End::Waits(cause)
            }
            Ending::EngineFailed { code, message, passing } => {
                assert_eq!((code, message), (error.code(), error.to_string()));
                End::Fails { passing }
            }
            Ending::Interrupted => End::Interrupted,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_the_machine_lacks_is_waited_for_and_what_is_the_intents_fails() {
        let temp = tempfile::tempdir().unwrap();
        let (busy, changed) = (
            PorchError::Busy { place: "package".to_owned(), waited: LOCK_WAIT },
            PorchError::Contended { place: "package".to_owned(), plans: 3 },
        );
        let here = |step, outlook| git(step, temp.path(), outlook);
        let (enospc, emfile, eacces) = (28, 24, 13);
        for (error, wanted) in [
            (PorchError::Cancelled, End::Interrupted),
            (io(enospc), End::Waits(Postponed::OutFull)),
            (io(emfile), End::Waits(Postponed::System)),
            (io(eacces), End::Fails { passing: false }),
            (busy, End::Waits(Postponed::PackageBusy)),
            (changed, End::Fails { passing: true }),
            (PorchError::Policy("why".to_owned()), End::Fails { passing: false }),
            (here("commit", Outlook::NoSpace), End::Waits(Postponed::OutFull)),
            (here("commit", Outlook::Exhausted), End::Waits(Postponed::System)),
            (here("commit", Outlook::Passing), End::Fails { passing: true }),
            (here("push", Outlook::Passing), End::Waits(Postponed::RemoteUnreachable)),
            (here("push", Outlook::Lasting), End::Fails { passing: false }),
        ] {
            assert_eq!(end(temp.path(), &Place::Output, &error), wanted, "{error}");
        }
    }

    #[test]
    fn an_output_or_repository_that_is_gone_is_waited_for() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        let repository = |name: &str| Place::Repository(at(name).display().to_string().into());
        fs::create_dir(at("mount point")).unwrap();
        fs::create_dir_all(at("there/of git")).unwrap();
        fs::write(at("file"), "").unwrap();
        let (enoent, lasting) = (2, |name: &str| git("status", &at(name), Outlook::Lasting));
        let (gone, failed) = (End::Waits(Postponed::OutGone), End::Fails { passing: false });
        for (place, error, wanted) in [
            (repository("nowhere"), lasting("there"), &gone),
            (repository("there"), lasting("nowhere"), &gone),
            (repository("mount point"), lasting("there"), &gone),
            (repository("nowhere"), io(enoent), &gone),
            (repository("there"), lasting("there"), &failed),
            (repository("there"), io(enoent), &failed),
            // Neither comes back by itself.
            (repository("file"), lasting("there"), &failed),
            (repository("file/below"), lasting("there"), &failed),
            // How it is written is not known, so it cannot be looked for.
            (repository("\u{fffd}"), lasting("there"), &failed),
            (Place::Output, lasting("nowhere"), &failed),
        ] {
            assert_eq!(end(temp.path(), &place, &error), *wanted, "{place:?} {error}");
        }
        let (out, unread) = (at("out"), ReadBack::new(|_, _| Ok(())));
        fs::create_dir(&out).unwrap();
        let settings = settings(Path::new("/bin/true"), &out, unread);
        fs::remove_dir(&out).unwrap();
        let ended = ending(&settings, &Place::Output, &io(enoent));
        assert!(matches!(ended, Ending::Withheld { cause: Postponed::OutGone, .. }), "{ended:?}");
    }
}
