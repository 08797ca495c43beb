//! Makes the parts of a session according to the configuration.

use super::failure::Failure;
use super::not_started::{NotStarted, READING_HELD};
use super::questions::{Asker, Questions};
use crate::config::{Config, Confine, Mode, Period};
use crate::confinement::ONLY_A_PROGRAM;
use crate::control::{self, Control};
use crate::handoff::{Handoff, check_places, layout};
use crate::intake;
use crate::payload::Budget;
use crate::runner::{self, Engine, NotRead, Program, ReadBack};
use crate::store::Ledger;
use conductor_core::intent::Policy;
use conductor_core::limits::{HELD_BYTES_MAX, Memory};
use conductor_core::query::{Covers, Held, StatusReport};
use conductor_core::scheduler::Place;
use conductor_core::{Code, Limits, Runs, Seq};
use conductor_os::outlet::Outlet;
use conductor_porch::Patience;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The scan intervals where events are unreliable, and where they work.
const PERIOD_POLLED: Duration = Duration::from_secs(2);
const PERIOD_WATCHED: Duration = Duration::from_secs(10);
/// The shortest time that a writer may hold a taken file before it is judged as it is.
const HOLD_MIN: Duration = Duration::from_secs(5);

/// The output directory's absolute path; the directory is made if missing, apart from the handoff's own files.
pub(super) fn open_out(config: &Config) -> Result<PathBuf, Failure> {
    check_places(config)?;
    runner::ensure_out(&config.fixed.out).map_err(|error| {
        let attempt = format!("failed to create output directory {}", config.fixed.out.display());
        Failure::refused(attempt, error)
    })
}

/// The path of the program to run; `None` for the embedded engine.
pub fn find_porch(config: &Config) -> Result<Option<PathBuf>, Failure> {
    Ok(choose_program(config)?.map(|program| program.path()))
}

/// The runner of intents, as statuses name it.
pub(super) fn name_of(program: Option<&Program>) -> Runs {
    program.map_or(Runs::Embedded, |program| Runs::Program(program.path()))
}

/// The initial limits of the scheduler.
pub(super) fn limits(config: &Config) -> Limits {
    Limits { workers: config.fixed.workers, memory: Memory::default(), live: config.live.scheduler.clone() }
}

/// The program to run, or `None` for the embedded engine.
pub(super) fn choose_program(config: &Config) -> Result<Option<Program>, Failure> {
    let program = find_program(config)?;
    if program.is_none() && config.fixed.porch_user.is_some() {
        // A program that is not found is replaced by the embedded engine.
        return Err(Failure::unfit(Code::UserUnusable, format!("--porch-user: {ONLY_A_PROGRAM}")));
    }
    Ok(program)
}

fn find_program(config: &Config) -> Result<Option<Program>, Failure> {
    let Runs::Program(porch) = &config.fixed.porch else { return Ok(None) };
    match Program::find(&porch.to_string_lossy(), std::env::var_os("PATH"), config.fixed.allow_unsafe_porch) {
        Ok(_) if !config.fixed.routes.is_empty() => Err(Failure::unfit(
            Code::BadValue,
            "the configuration has [[route]] tables, which only the embedded engine follows; with an external porch \
             they would be ignored. Use --porch builtin, or remove them",
        )),
        Ok(program) => Ok(Some(program)),
        Err(error) if error.code() == Code::PorchMissing && !config.fixed.porch_given => {
            tracing::warn!(
                "no porch on PATH: using the embedded engine (--porch builtin says so without this warning)"
            );
            Ok(None)
        }
        Err(error) => Err(NotStarted::Program(error).into()),
    }
}

/// The runner of intents; for the embedded engine also the directory of its packages, which the writer syncs.
pub(super) fn engine(
    config: &Config,
    program: Option<Program>,
    out: &Path,
) -> std::io::Result<(Engine, Arc<Outlet>)> {
    let engine = program.map_or_else(
        || Engine::Embedded(Arc::new(package_engine(config, out))),
        |program| Engine::External(Arc::new(program)),
    );
    // The writer syncs the embedded engine's writes.
    let outlet = Outlet::new(out, matches!(engine, Engine::Embedded(_)))?.with_floor(config.fixed.min_free);
    Ok((engine, Arc::new(outlet)))
}

/// How long a start looks at all repositories.
const REPOSITORY_PATIENCE: Duration = Duration::from_secs(10);

/// Says at the start what intents would fail on in the repositories that routes lead to. The others go on meanwhile.
pub(super) fn look_at_repositories(config: &Config) {
    let patience = Patience::new(REPOSITORY_PATIENCE, REPOSITORY_PATIENCE);
    for (repository, remark) in config.fixed.routes.inspect(&patience) {
        if remark.bad {
            tracing::warn!(repository, "{}: {}", remark.found, remark.fix);
        }
    }
}

/// The package engine as the configuration wants it.
pub fn package_engine(config: &Config, out: &Path) -> conductor_porch::Engine {
    conductor_porch::Engine::new(conductor_porch::Settings {
        form: match config.fixed.mode {
            Mode::Direct => conductor_porch::Form::Direct,
            Mode::Structured => conductor_porch::Form::Structured,
        },
        routes: config.fixed.routes.clone(),
        // The writer syncs before it records an outcome, for many packages at once.
        durable: false,
        ..conductor_porch::Settings::new(out)
    })
}

/// The retention time of files and records.
pub(super) fn retention(config: &Config) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(config.live.retention).unwrap_or(jiff::SignedDuration::MAX)
}

/// The repositories that a run may write, each with the free space that it needs.
pub(super) fn repositories(config: &Config, engine: &Engine) -> BTreeMap<Place, Arc<Outlet>> {
    let Engine::Embedded(engine) = engine else { return BTreeMap::new() };
    let outlet = |path: &Path| Arc::new(Outlet::expected(path).with_floor(config.fixed.min_free));
    let place = |path: &Path| Place::Repository(path.display().to_string().into());
    engine.repositories().iter().map(|path| (place(path), outlet(path))).collect()
}

/// Every place that a run may write.
pub(super) fn places_of(
    out: &Arc<Outlet>,
    repositories: &BTreeMap<Place, Arc<Outlet>>,
) -> Vec<(Place, Arc<Outlet>)> {
    let repositories = repositories.iter().map(|(place, outlet)| (place.clone(), Arc::clone(outlet)));
    std::iter::once((Place::Output, Arc::clone(out))).chain(repositories).collect()
}

/// Conditions besides the configuration that determine the interval of listings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circumstances {
    /// Whether the kernel reports new files.
    pub(super) events: bool,
    /// Whether left entries are to be retried: no event reports when they can be taken.
    pub(super) something_left: bool,
}

pub(super) fn period(config: &Config, now: Circumstances) -> Option<Duration> {
    match config.live.period {
        Period::Every(period) => Some(period),
        // Without events, "events only" would mean never.
        Period::Never | Period::Auto if !now.events => Some(PERIOD_POLLED),
        Period::Never if !now.something_left => None,
        Period::Never | Period::Auto => Some(PERIOD_WATCHED),
    }
}

/// The rules for judging files.
pub(super) fn judging(config: &Config) -> intake::Judging {
    intake::Judging {
        max_file_size: config.live.max_file_size,
        policy: Policy { allow_scale_to_zero: config.fixed.allow_scale_to_zero },
        hold_max: config.live.scheduler.debounce_max().max(HOLD_MIN),
    }
}

pub(super) fn intake_settings(config: &Config, places: &Handoff, next_seq: Seq) -> intake::Settings {
    let named = [
        (layout::PROCESSED, &places.dirs.processed),
        (layout::FAILED, &places.dirs.failed),
        (layout::STATUS, &places.dirs.status),
        (layout::PRIVATE, &places.dirs.private),
    ];
    intake::Settings {
        handoff: Arc::clone(&places.dirs.handoff),
        path: places.path.clone(),
        places: named.into_iter().map(|(name, dir)| (name.to_owned(), Arc::clone(dir))).collect(),
        taken: Arc::clone(&places.dirs.taken),
        names: config.fixed.names.clone(),
        judging: judging(config),
        book: Arc::default(),
        events: !places.dirs.handoff.is_network_file_system(),
        next_seq,
        budget: Budget::new(HELD_BYTES_MAX),
    }
}

/// Binds the duplicate rule to the destination: with another output, mode or porch the same intent runs again.
pub(super) fn remember_destination(
    store: &dyn Ledger,
    config: &Config,
    out: &Path,
    porch: &str,
) -> Result<(), Failure> {
    let destination = format!("{} {porch} {}", config.fixed.mode.as_str(), out.display());
    let forgot =
        store.work_for(&destination).map_err(NotStarted::records("recording where packages are written"))?;
    if forgot {
        tracing::info!(
            "output, mode or porch are others than before: an intent that repeats an earlier one runs again"
        );
    }
    Ok(())
}

/// What an operator held when the last daemon ended.
pub(super) fn held_targets(store: &dyn Ledger) -> Result<BTreeMap<Covers, Held>, Failure> {
    let held = store.held().map_err(NotStarted::records(READING_HELD))?;
    let by_key = |held: Held| {
        let key = held.target.parse().map_err(NotStarted::Held)?;
        Ok((key, held))
    };
    held.into_iter().map(by_key).collect()
}

/// Binds the local socket. A file system without sockets costs the commands, not the daemon.
pub(super) fn bind_control(places: &Handoff) -> Option<control::Bound> {
    control::Bound::bind(Arc::clone(&places.dirs.private)).inspect_err(warn_of_no_control).ok()
}

/// Answers on the local socket.
pub(super) fn serve_control(
    config: &Config,
    bound: control::Bound,
    questions: &Arc<Questions>,
) -> Option<Control> {
    let questions = Arc::clone(questions);
    let refused = Arc::clone(&questions);
    let refusing = Box::new(move |uid| refused.asker_refused(uid));
    let confined = config.fixed.confine != Confine::Off;
    let runs = if confined { control::Runs::Refused } else { control::Runs::MayAsk };
    let answering = move |question, uid, is_wanted: &dyn Fn() -> bool| {
        questions.answer(question, Asker::User(uid), is_wanted)
    };
    bound.serve(Arc::new(answering), refusing, runs).inspect_err(warn_of_no_control).ok()
}

fn warn_of_no_control(error: &std::io::Error) {
    tracing::warn!(%error, "no local socket: status, list and the like do not work");
}

/// The parts of a status report that are fixed for a session.
pub(super) fn facts(config: &Config, places: &Handoff, porch: &Runs) -> StatusReport {
    let out = &config.fixed.out;
    StatusReport {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        running: true,
        pid: Some(std::process::id()),
        started_at: Some(jiff::Timestamp::now()),
        handoff: places.path.display().to_string(),
        out: out.canonicalize().unwrap_or_else(|_| out.clone()).display().to_string(),
        porch_path: porch.to_string(),
        mode: config.fixed.mode.as_str().to_owned(),
        workers: config.fixed.workers,
        ..StatusReport::default()
    }
}

/// Reads bytes that are not in memory, for the workers.
pub(super) fn read_back(store: &Arc<dyn Ledger>) -> ReadBack {
    let store = Arc::clone(store);
    ReadBack::new(move |claim, work| {
        store
            .with_bytes(claim.seq, &claim.sha256, work)
            .map_err(|error| NotRead { code: error.code(), reason: error.to_string() })
    })
}
