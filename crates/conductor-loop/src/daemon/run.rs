//! The daemon from its first step to its last: one session in the handoff directory, and another each time that directory
//! was missing and has come back.

use super::failure::Failure;
use super::fatal::Fatal;
use super::health::Health;
use super::input::{Input, Reload, inputs};
use super::not_started::NotStarted;
use super::prepare::{Once, Prepared};
use super::questions::Questions;
use super::session::{End, Session};
use super::shared::Shared;
use super::signals;
use super::summary::Summary;
use crate::config::Config;
use crate::telemetry::{Metrics, Progress};
use conductor_core::ready::NotReady;
use conductor_os::{is_passing, monotonic};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The polling interval for a missing handoff directory.
const GONE_POLL: Duration = Duration::from_millis(200);
/// The pause before an existing but unusable handoff directory is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// A shorter session in a handoff directory delays the next one.
const SHORT_LIFE: Duration = Duration::from_secs(5);
/// The longest delay of the next session in an existing directory.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Runs until the backlog is done (--once), a signal comes, or something fails.
pub fn run(mut config: Config, reload: Reload<'_>, progress: &Progress) -> Result<Summary, Failure> {
    set_process_up(config.fixed.user.is_some())?;
    let (inputs, inbox) = inputs().map_err(|error| Failure::refused("making the loop's wake-up", error))?;
    let mut summary = Summary::default();
    let health = open_health(&config)?;
    let questions = Arc::new(Questions::new(inputs.clone(), Arc::clone(&health)));
    let shared = Shared { inputs, inbox: &inbox, progress, health: &health, questions: &questions };
    let mut once = Once::open(&config)?;
    let mut again: Option<Again> = None;
    let mut pause = Duration::ZERO;
    loop {
        let began = Instant::now();
        let began_on = again.as_ref().map(|again| again.device);
        let session = match (begin(&config, began_on, &mut once, &shared, &mut summary), &mut again) {
            // A directory that came back may be unusable for a while, which passes like its absence.
            (Err(Failure::SetUp(why)), Some(again)) => {
                questions.set_current(None);
                again.say(&why);
                match wait(&config, &shared, AGAIN) {
                    Waited::Enough => continue,
                    Waited::Stopped => return Ok(summary),
                }
            }
            (session, _) => session?,
        };
        let device = session.device;
        let end = session.run(&mut config, reload);
        questions.set_current(None);
        match end? {
            End::Finished => return Ok(summary),
            End::Hindered { code, message, remedy } => {
                return Err(Failure::Hindered { code, message, remedy });
            }
            End::HandoffGone if config.fixed.once || config.fixed.chroot => {
                return Err(Failure::State(Fatal::HandoffGone { from_root: !config.fixed.once }));
            }
            End::HandoffGone => {
                // The device of the start: the mounts decide whether the directory is missing.
                let device = again.map_or(device, |again| again.device);
                again = Some(Again { device, said: None });
                // A session that ends at once must not be followed by the next without a pause.
                let short = began.elapsed() < SHORT_LIFE;
                pause = if short { (pause * 2).clamp(GONE_POLL, PAUSE_MAX) } else { Duration::ZERO };
                if matches!(wait(&config, &shared, pause), Waited::Stopped) {
                    return Ok(summary);
                }
                tracing::info!(directory = %config.fixed.handoff.display(), "the handoff directory is back; starting over in it");
            }
        }
    }
}

/// Sets the state of the process that is independent of its later files.
fn set_process_up(names_a_user: bool) -> Result<(), Failure> {
    conductor_os::panics::end_the_process();
    signals::set()?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o027));
    if let Err(error) = conductor_os::raw::mark_inherited_close_on_exec() {
        tracing::debug!(%error, "inherited descriptors stay as they are: porch may see them");
    }
    if let Err(error) = conductor_os::process::adopt_orphans() {
        if is_passing(&error) {
            return Err(Failure::refused("finding the children from before", error));
        }
        tracing::warn!(%error, "processes that leave the process group of a porch are not found and keep running");
    }
    if rustix::process::geteuid().is_root() && !names_a_user {
        tracing::warn!("running as root; a user of its own is safer (--user)");
    }
    Ok(())
}

/// Opens everything, confines the process, and only then starts the first thread. Signals and endpoints are opened and
/// started with the first session.
fn begin<'l>(
    config: &Config,
    began_on: Option<u64>,
    once: &mut Once,
    shared: &Shared<'l>,
    summary: &'l mut Summary,
) -> Result<Session<'l>, Failure> {
    let prepared = Prepared::open(config, began_on)?;
    let confinement = once.confine(config, &prepared, shared)?;
    once.start(config, shared)?;
    prepared.start(config, shared, summary, confinement)
}

/// The daemon's knowledge after its handoff directory was missing.
struct Again {
    /// The file system of the first session.
    device: u64,
    /// The last reported reason why the directory cannot be used yet.
    said: Option<String>,
}

impl Again {
    /// Reports why the directory cannot be used, once for each reason.
    fn say(&mut self, why: &NotStarted) {
        let (code, message) = (why.code(), why.to_string());
        if self.said.as_ref() != Some(&message) {
            tracing::error!(
                code = code.id(),
                "the handoff directory cannot be used yet; waiting: {message}. {}",
                why.remedy().unwrap_or(code.remedy())
            );
            self.said = Some(message);
        }
    }
}

/// The end of a wait for the handoff directory.
enum Waited {
    /// The directory may be tried again.
    Enough,
    /// A signal stopped the daemon.
    Stopped,
}

/// Waits at least this long, and until the handoff directory exists.
fn wait(config: &Config, shared: &Shared<'_>, least: Duration) -> Waited {
    let Shared { health, inbox, .. } = shared;
    health.set_not_ready(NotReady::HandoffGone.into());
    let mut reload = false;
    let until = monotonic() + least;
    while monotonic() < until || !config.fixed.handoff.is_dir() {
        health.turn(monotonic());
        match inbox.receive(GONE_POLL) {
            Ok(Input::Stop(_)) => return Waited::Stopped,
            Ok(Input::Reload) => reload = true,
            // Messages of the last session's threads at their end no longer matter.
            Ok(_) | Err(_) => {}
        }
    }
    for input in inbox.try_iter() {
        match input {
            Input::Stop(_) => return Waited::Stopped,
            Input::Reload => reload = true,
            _ => {}
        }
    }
    if reload {
        // The next session reads the configuration again. It fails only if nothing receives, and then nothing runs.
        let _ = shared.inputs.send(Input::Reload);
    }
    Waited::Enough
}

fn open_health(config: &Config) -> Result<Arc<Health>, Failure> {
    let metrics = Metrics::new(config.fixed.instance.as_deref()).map_err(NotStarted::Metrics)?;
    Ok(Arc::new(Health::new(metrics)))
}
