//! The life of the daemon: build, recover, run, drain. Owns the desk; everything that can happen arrives as one `Input`.

mod board;
mod effects;
mod endpoints;
mod error_log;
mod evidence;
mod executor;
mod ground;
mod history;
mod in_flight;
mod kept;
mod life;
mod opening;
mod outcomes;
mod questions;
mod recover;
mod reload;
mod reports;
mod set_up;
mod signals;
mod summary;
mod supervisor;
mod surroundings;
mod teller;
mod unfinished;

pub use crate::runner::LastRuns;
pub use endpoints::try_endpoints;
pub use evidence::{last_runs, shown, statuses};
pub use life::{FREE_BYTES_MIN, FREE_INODES_MIN};
pub use opening::{existing_store, look_at_store};
pub use set_up::{find_porch, package_engine};
pub use summary::Summary;

use crate::clerk::Ack;
use crate::config::{Config, ConfigError};
use crate::handoff::Unusable;
use crate::intake::Report;
use crate::runner;
use crate::telemetry::{Metrics, Progress};
use board::Board;
use conductor_core::ready::NotReady;
use conductor_core::{Code, Exit};
use crossbeam_channel::{Receiver, Sender};
use endpoints::open_endpoints;
use life::{End, Life};
use questions::{Ask, Questions, Told};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Everything that can happen to the daemon.
enum Input {
    Intake(Report),
    Clerk(Vec<Ack>),
    Worker(runner::Report),
    Place(Box<surroundings::PlaceFound>),
    /// A signal that stops the daemon.
    Stop(i32),
    /// The configuration is to be read again.
    Reload,
    Asked(Box<Ask>, Sender<Told>),
}

/// Why the daemon did not start or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It did not start: exit status 1.
    #[error("{code} {message}")]
    SetUp {
        /// The stable code.
        code: Code,
        /// What was attempted, on what, why it failed.
        message: String,
    },
    /// With `-once`: what is left waits for something outside: exit status 1.
    #[error("{code} {message}")]
    Hindered {
        /// The stable code.
        code: Code,
        /// How much waits, and for what.
        message: String,
    },
    /// State could not be read or written: exit status 3.
    #[error("{code} {message}")]
    State {
        /// The stable code.
        code: Code,
        /// What was attempted, on what, why it failed.
        message: String,
    },
    /// The store or its directory was taken away: exit status 3.
    #[error("{} {message}", Code::StoreDamaged)]
    StateGone {
        /// What was taken away, and what became of it.
        message: String,
        /// Whether it was put back.
        back: bool,
    },
}

impl From<Unusable> for Failure {
    fn from(Unusable { code, message }: Unusable) -> Self {
        Self::SetUp { code, message }
    }
}

impl Failure {
    fn set_up(code: Code, message: impl std::fmt::Display) -> Self {
        Failure::SetUp { code, message: message.to_string() }
    }

    /// The code, for its remedy.
    pub fn code(&self) -> Code {
        match self {
            Failure::SetUp { code, .. } | Failure::Hindered { code, .. } | Failure::State { code, .. } => {
                *code
            }
            Failure::StateGone { .. } => Code::StoreDamaged,
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Failure::StateGone { back: true, .. } => {
                "Start the daemon again: it goes on with what was put back."
            }
            _ => self.code().remedy(),
        }
    }

    /// The process's exit status.
    pub fn exit(&self) -> Exit {
        match self {
            Failure::SetUp { .. } | Failure::Hindered { .. } => Exit::SetUp,
            Failure::State { .. } | Failure::StateGone { .. } => Exit::State,
        }
    }
}

/// Reads the configuration again, for SIGHUP.
pub type Reload<'r> = &'r dyn Fn() -> Result<Config, ConfigError>;

/// How often a vanished handoff directory is looked for.
const GONE_POLL: Duration = Duration::from_millis(200);
/// How often one that is there and cannot be used is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// A life in a handoff directory that is shorter makes the next one begin later.
const SHORT_LIFE: Duration = Duration::from_secs(5);
/// The longest time until the next life begins in a directory that is there.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Runs until the backlog is done (--once), a signal comes, or something fails.
pub fn run(mut config: Config, reload: Reload<'_>, progress: &Progress) -> Result<Summary, Failure> {
    conductor_os::panics::end_the_process();
    signals::set()?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o027));
    if let Err(error) = conductor_os::raw::mark_inherited_close_on_exec() {
        tracing::debug!(%error, "inherited descriptors stay as they are: porch may see them");
    }
    if let Err(error) = conductor_os::process::adopt_orphans() {
        tracing::warn!(%error, "what leaves the process group of a porch is not found and goes on");
    }
    if rustix::process::geteuid().is_root() {
        tracing::warn!("running as root; a user of its own is safer");
    }
    let (inputs, receiver) = crossbeam_channel::unbounded();
    signals::forward(inputs.clone())?;
    let mut summary = Summary::default();
    let board = open_board()?;
    let questions = Arc::new(Questions::new(inputs.clone(), Arc::clone(&board)));
    open_endpoints(&config, &questions)?;
    let mut again: Option<Again> = None;
    let mut pause = Duration::ZERO;
    loop {
        let began = Instant::now();
        let told = (&mut summary, progress, &board, &questions);
        let began_on = again.as_ref().map(|again| again.device);
        let life = match (Life::build(&config, began_on, (&inputs, &receiver), told), &mut again) {
            // What keeps a directory that was gone from being used passes like its absence.
            (Err(Failure::SetUp { code, message }), Some(again)) => {
                questions.set_current(None);
                again.say(code, &message);
                match wait(&config, &board, &receiver, AGAIN) {
                    Waited::Enough => continue,
                    Waited::Stopped => return Ok(summary),
                }
            }
            (built, _) => built?,
        };
        let device = life.device;
        let end = life.run(&mut config, reload);
        questions.set_current(None);
        match end? {
            End::Finished => return Ok(summary),
            End::Hindered(code, message) => return Err(Failure::Hindered { code, message }),
            End::HandoffGone if config.fixed.once => {
                return Err(Failure::State {
                    code: Code::HandoffGone,
                    message: "the handoff directory is gone".to_owned(),
                });
            }
            End::HandoffGone => {
                // The device of the start: what is mounted where decides whether something is missing.
                let device = again.map_or(device, |again| again.device);
                again = Some(Again { device, said: None });
                // A life that ends as soon as it has begun is not to be followed by the next without a pause.
                let short = began.elapsed() < SHORT_LIFE;
                pause = if short { (pause * 2).clamp(GONE_POLL, PAUSE_MAX) } else { Duration::ZERO };
                if matches!(wait(&config, &board, &receiver, pause), Waited::Stopped) {
                    return Ok(summary);
                }
                tracing::info!(directory = %config.fixed.handoff.display(), "the handoff directory is back; starting over in it");
            }
        }
    }
}

/// What a daemon knows whose handoff directory was gone.
struct Again {
    /// The file system it began on.
    device: u64,
    /// Why the directory cannot be used yet, as it was said last.
    said: Option<String>,
}

impl Again {
    /// Says why the directory cannot be used, once for each reason.
    fn say(&mut self, code: Code, message: &str) {
        if self.said.as_deref() != Some(message) {
            tracing::error!(
                code = code.id(),
                "the handoff directory cannot be used yet; waiting: {message}. {}",
                code.remedy()
            );
            self.said = Some(message.to_owned());
        }
    }
}

/// How a wait for the handoff directory ended.
enum Waited {
    /// It may be tried again.
    Enough,
    /// By a signal.
    Stopped,
}

/// Waits at least so long, and until the handoff directory is there.
fn wait(config: &Config, board: &Board, receiver: &Receiver<Input>, least: Duration) -> Waited {
    board.set_not_ready(NotReady::HandoffGone.into());
    let until = conductor_os::monotonic() + least;
    while conductor_os::monotonic() < until || !config.fixed.handoff.is_dir() {
        board.turn(conductor_os::monotonic());
        // Nothing but signals can come now.
        if let Ok(Input::Stop(_)) = receiver.recv_timeout(GONE_POLL) {
            return Waited::Stopped;
        }
    }
    // What the last life's threads said at their end is nobody's business any more; a wish to stop is.
    let stopped = receiver.try_iter().any(|input| matches!(input, Input::Stop(_)));
    if stopped { Waited::Stopped } else { Waited::Enough }
}

fn open_board() -> Result<Arc<Board>, Failure> {
    let metrics =
        Metrics::new().map_err(|error| Failure::set_up(Code::BadValue, format!("the metrics: {error}")))?;
    Ok(Arc::new(Board::new(metrics)))
}
