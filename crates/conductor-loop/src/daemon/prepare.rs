//! The three steps of a start. *Open*: directories, lock, store, recovery, engine, sockets; everything that opens, binds
//! and reads. *Confine*: the process gives up the rights that it does not need any more. *Start*: the threads. The same
//! steps lead to a session in a handoff directory that was missing and has come back.

use super::audited::config_digest;
use super::backup_sources::BackUp;
use super::backups;
use super::endpoints::{open_endpoints, serve_endpoints};
use super::executor::Executor;
use super::failure::Failure;
use super::ground::Ground;
use super::input::Input;
use super::lookout::Lookout;
use super::observe::{Observer, observe};
use super::open_audit::open_audit;
use super::outcomes::Outcomes;
use super::questions::Current;
use super::recover::{Recovered, Rules, recover};
use super::session::{Session, SessionParts};
use super::set_up::{
    bind_control, choose_program, engine, facts, held_targets, intake_settings, limits, look_at_repositories,
    name_of, open_out, places_of, read_back, remember_destination, repositories, retention, serve_control,
};
use super::shared::Shared;
use super::summary::Summary;
use super::{service_manager, signals};
use crate::config::{Config, Confine, Mode};
use crate::confinement::{self, Policy};
use crate::intake::Intake;
use crate::keys::Keys;
use crate::runner::{self, Engine, Runner};
use crate::writer::{Audit, Head, Parts, Writer};
use crate::{admin, control};
use conductor_core::attestation::Attest as _;
use conductor_core::confinement::{Confinement, Part};
use conductor_core::fact::DaemonFact;
use conductor_core::query::{Covers, Held, StatusReport};
use conductor_core::{Code, Limits, Runs};
use conductor_os::outlet::Outlet;
use signal_hook::iterator::Signals;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// What happens once for all sessions.
pub(super) struct Once {
    /// Opened, and not started yet.
    doors: Option<Doors>,
    /// What the process has given up.
    confinement: Option<Confinement>,
}

impl Once {
    /// Opens the doors.
    pub(super) fn open(config: &Config) -> Result<Self, Failure> {
        Ok(Self { doors: Some(Doors::open(config)?), confinement: None })
    }

    /// Gives up the rights of the process. Landlock, seccomp and capabilities bind the thread that calls them and are
    /// inherited by the threads and programs that it starts, and here there is only this one. The log thread is older, so
    /// that no line of the start waits for a reader; it writes to standard error and opens nothing. What is refused to
    /// all threads must permit everything opened by path later: the configuration file (SIGHUP), certificates and token
    /// (looked at each second that they are asked for), the service manager's socket, the handoff directory that comes back, the output directory,
    /// repositories, and the program of porch.
    pub(super) fn confine(
        &mut self,
        config: &Config,
        prepared: &Prepared,
        shared: &Shared<'_>,
    ) -> Result<Confinement, Failure> {
        if let Some(confinement) = &self.confinement {
            return Ok(confinement.clone());
        }
        if tracing::enabled!(tracing::Level::DEBUG) {
            let threads = conductor_os::process::threads().join(" ");
            tracing::debug!(threads, "everything is open");
        }
        let confinement = confinement::give_up(config, prepared.engine.uses_git());
        let lacking: Vec<String> = confinement.lacking().map(ToString::to_string).collect();
        if config.fixed.confine == Confine::Require && !lacking.is_empty() {
            let lacking = lacking.join("; ");
            return Err(Failure::unfit(Code::Unconfined, format!("--confine require: {lacking}")));
        }
        observe(shared.health, DaemonFact::Confined { confinement: &confinement });
        self.confinement = Some(confinement.clone());
        Ok(confinement)
    }

    /// Starts the threads of the doors.
    pub(super) fn start(&mut self, config: &Config, shared: &Shared<'_>) -> Result<(), Failure> {
        let holds = |part| self.confinement.as_ref().is_some_and(|confinement| confinement.holds(part));
        let confined = holds(Part::HttpCalls);
        self.doors.take().map_or(Ok(()), |doors| doors.start(config, shared, confined))
    }
}

/// The inputs opened once for all sessions, which depend on no directory: signals and endpoints.
struct Doors {
    signals: Signals,
    endpoints: Option<admin::Bound>,
}

impl Doors {
    /// Catches signals and binds the endpoints. Signals and connections that come before the start are kept.
    fn open(config: &Config) -> Result<Self, Failure> {
        Ok(Self { signals: signals::catch()?, endpoints: open_endpoints(config)? })
    }

    /// Starts their threads; with `confined`, the one that speaks HTTP has a filter of its own.
    fn start(self, config: &Config, shared: &Shared<'_>, confined: bool) -> Result<(), Failure> {
        signals::forward(self.signals, shared.inputs.clone())?;
        backups::start(config, shared.questions).map_err(cannot_start("the backups"))?;
        self.endpoints.map_or(Ok(()), |bound| serve_endpoints(config, bound, shared.questions, confined))
    }
}

/// A session with everything open and no thread.
pub(super) struct Prepared {
    ground: Ground,
    porch: Runs,
    limits: Limits,
    recovered: Recovered,
    audit: Option<Audit>,
    held: BTreeMap<Covers, Held>,
    engine: Engine,
    outlet: Arc<Outlet>,
    intake: Intake,
    control: Option<control::Bound>,
}

/// What runs are confined to, with what is withheld from them besides the configured places; `None`: to nothing.
fn policy(
    config: &Config,
    confinement: &Confinement,
    engine: &Engine,
    outlet: &Outlet,
    own: &[&Path],
) -> Option<Arc<Policy>> {
    let confined = config.fixed.confine != Confine::Off && !engine.uses_git();
    confined.then(|| Arc::new(Policy::new(config, confinement, outlet.path(), own)))
}

/// Says by which key statuses are signed.
fn say_signing(shared: &Shared<'_>, keys: &Keys) {
    let file = keys.origin().path().display().to_string();
    let signing = DaemonFact::Signing { key: keys.key(), file: &file, weak: keys.origin().is_weak() };
    observe(shared.health, signing);
}

/// Says that the daemon runs, with which settings, and what it is confined to.
fn say_began(config: &Config, shared: &Shared<'_>, confinement: &Confinement) {
    let digest = config_digest(config).to_string();
    let version = env!("CARGO_PKG_VERSION");
    observe(shared.health, DaemonFact::Began { version, config: &digest, confinement });
}

/// The failure of a part that cannot be started.
fn cannot_start(what: &'static str) -> impl Fn(std::io::Error) -> Failure {
    move |error| Failure::refused(format!("cannot start {what}"), error)
}

impl Prepared {
    /// Opens a first session, or one after the directory was gone from the file system `began_on`.
    pub(super) fn open(config: &Config, began_on: Option<u64>) -> Result<Self, Failure> {
        let program = choose_program(config)?;
        look_at_repositories(config);
        let out = open_out(config)?;
        let ground = Ground::open(config, began_on)?;
        let Ground { places, store, run_table, last, .. } = &ground;
        let porch = name_of(program.as_ref());
        remember_destination(&**store, config, &out, &porch.to_string())?;
        let limits = limits(config);
        let rules = Rules { limits: &limits, mode: config.fixed.mode.as_str(), porch: &porch.to_string() };
        let recovered = recover(places, &**store, last, &rules)?;
        let audit = open_audit(config, &ground, &recovered)?;
        run_table.reset().map_err(cannot_start("the run table"))?;
        let held = held_targets(&**store)?;
        let (engine, outlet) = engine(config, program, &out).map_err(cannot_start("the output directory"))?;
        let settings = intake_settings(config, places, recovered.next_seq);
        let intake = Intake::open(settings);
        let control = bind_control(places);
        Ok(Self { ground, porch, limits, recovered, audit, held, engine, outlet, intake, control })
    }

    /// Starts the parts; if one cannot be started, the earlier ones end as they are dropped, the last first.
    pub(super) fn start<'l>(
        self,
        config: &Config,
        shared: &Shared<'l>,
        summary: &'l mut Summary,
        confinement: Confinement,
    ) -> Result<Session<'l>, Failure> {
        let Self { ground, porch, limits, recovered, audit, held, engine, outlet, intake, control } = self;
        let Ground { places, device, state, store, copied, keys, sealed_by, kept, run_table, .. } = ground;
        let own = [state.path.parent().unwrap_or(&state.path), keys.origin().path()];
        let policy = policy(config, &confinement, &engine, &outlet, &own);
        let inputs = shared.inputs.clone();
        say_signing(shared, &keys);
        let back_up = BackUp::of(config, copied, &state.dir, &places.dirs.private, &keys);
        shared.questions.set_settings(config.lines());
        let parts = Parts {
            places: places.dirs.clone(),
            packages: matches!(engine, Engine::Embedded(_)).then(|| Arc::clone(&outlet)),
            store: Arc::clone(&store),
            keys,
            head: Head::new(state.path.display().to_string(), sealed_by, state.head.audit()),
            retention: retention(config),
            audit,
        };
        let writer = Writer::start(parts, move |acks| drop(inputs.send(Input::Writer(acks))))
            .map_err(cannot_start("the writer"))?;
        shared.health.set_audit(writer.audit_door());
        say_began(config, shared, &confinement);
        intake.budget().wakes(shared.inbox.waker());
        let repositories = Arc::new(repositories(config, &engine));
        let looked_at = places_of(&outlet, &repositories);
        let lookout = Lookout::start(looked_at, config, shared).map_err(cannot_start("the lookout"))?;
        let settings = runner::Settings {
            engine,
            outlet,
            repositories,
            structured: config.fixed.mode == Mode::Structured,
            limits: config.live.run,
            kubeconfig: config.fixed.kubeconfig.clone(),
            read_back: read_back(&store),
            resources: config.fixed.resources,
            policy,
        };
        let inputs = shared.inputs.clone();
        let report = move |report| drop(inputs.send(Input::Worker(report)));
        let runner =
            Runner::start(limits.workers, settings, &places.dirs.slots, &Arc::new(run_table), report)
                .map_err(cannot_start("the workers"))?;
        let facts = StatusReport { confinement, ..facts(config, &places, &porch) };
        let handoff = Arc::clone(&places.dirs.handoff);
        let (public, names) = (Ok(kept.public_keys().to_vec()), config.fixed.names.clone());
        shared.questions.set_current(Some(Current { store, handoff, public, names, facts, back_up }));
        let control = control.and_then(|bound| serve_control(config, bound, shared.questions));
        let executor = Executor { intake, runner, writer };
        let outcomes = Outcomes { mode: config.fixed.mode, porch_path: porch.to_string() };
        let observer = Observer { summary, health: Arc::clone(shared.health) };
        let parts = SessionParts {
            limits,
            held,
            control,
            executor,
            outcomes,
            observer,
            places,
            device,
            kept,
            lookout,
            state,
        };
        let mut session = Session::new(parts, shared);
        session.say_ready(config);
        session.take_over(recovered);
        service_manager::ready();
        Ok(session)
    }
}
