//! The typed, validated configuration: [`Fixed`] from start to end, [`Live`] as SIGHUP last set it.

use super::choices::{Backups, Confine, Egress, Endpoint, LogFormat, Mode, Period, Tls};
use super::error::ConfigError;
use super::layers::Layers;
use super::origin::{Origin, Raw};
use super::projected::Projected;
use super::reader::Reader;
use super::settings::SETTINGS;
use conductor_core::Runs;
use conductor_core::limits::{RunLimits, SchedulerLimits};
use conductor_core::name::Names;
use conductor_os::confine::limits::ResourceLimits;
use conductor_porch::Routes;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing::level_filters::LevelFilter;

/// The typed, validated configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Holds until the process ends.
    pub fixed: Fixed,
    /// SIGHUP changes it.
    pub live: Live,
    /// Every value as text with its origin, for `config show` and to name what a reload changes.
    pub raw: Raw,
    /// Warnings about accepted settings.
    pub warnings: Vec<String>,
    /// The volume that the configuration file is read from, where whole volumes are exchanged.
    pub projected: Option<Projected>,
}

/// Settings that only a restart changes.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own on the command line")]
pub struct Fixed {
    /// Watched directory.
    pub handoff: PathBuf,
    /// The runner of intents; a program as written, which may be a name to be found on PATH.
    pub porch: Runs,
    /// Whether porch was set explicitly.
    pub porch_given: bool,
    /// direct or structured.
    pub mode: Mode,
    /// The output directory of porch.
    pub out: PathBuf,
    /// Process the backlog, then exit.
    pub once: bool,
    /// The names of intents.
    pub names: Names,
    /// Number of concurrent runs of porch.
    pub workers: usize,
    /// The directory of the store, if not below the handoff directory.
    pub state_dir: Option<PathBuf>,
    /// The file of the root keys, if the operator gives one.
    pub state_key_file: Option<PathBuf>,
    /// Whether an audit trail is kept.
    pub audit: bool,
    /// Where backups are made, how often and for whom; `None`: none is made.
    pub backups: Option<Backups>,
    /// Whether the state is sealed.
    pub encryption: bool,
    /// The addresses of health, metrics and page; empty: no port is opened.
    pub endpoints: Vec<Endpoint>,
    /// Certificate, key and authority for them.
    pub tls: Option<Tls>,
    /// The file with the token that API and metrics require.
    pub token_file: Option<PathBuf>,
    /// Serve page and API without a token.
    pub open_page: bool,
    /// The name of this daemon in log lines and metrics, where several are watched together.
    pub instance: Option<String>,
    /// Passed to porch as KUBECONFIG.
    pub kubeconfig: Option<String>,
    /// Whether replicas 0 is accepted.
    pub allow_scale_to_zero: bool,
    /// Accept a handoff directory that every user may write.
    pub allow_unsafe_handoff: bool,
    /// Accept a porch that others could replace.
    pub allow_unsafe_porch: bool,
    /// How much confinement is wanted.
    pub confine: Confine,
    /// What porch may read and execute besides the system's directories.
    pub porch_read: Vec<PathBuf>,
    /// What porch may write besides the output and its working directory.
    pub porch_write: Vec<PathBuf>,
    /// Where porch may connect.
    pub egress: Egress,
    /// Limits on the resources of porch's processes.
    pub resources: ResourceLimits,
    /// Free space where packages are written, below which nothing starts; `None`: as little as a run could need.
    pub min_free: Option<u64>,
    /// The user that a start as root becomes.
    pub user: Option<String>,
    /// The user of an external porch, if it is to have one of its own.
    pub porch_user: Option<String>,
    /// Whether the process has a root directory of its own.
    pub chroot: bool,
    /// text, json, auto.
    pub log_format: LogFormat,
    /// The package, repository and object of each target, for the embedded engine.
    pub routes: Routes,
}

/// Settings that may change while the daemon runs. Each is declared `live` in [`SETTINGS`], and no other is.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// Debounce, attempts and rate, for the scheduler.
    pub scheduler: SchedulerLimits,
    /// Time limits of a run, for the workers.
    pub run: RunLimits,
    /// The interval of scans without an event.
    pub period: Period,
    /// The largest intent file in bytes.
    pub max_file_size: u64,
    /// How long outcomes are kept.
    pub retention: Duration,
    /// off, error, warn, info, debug, trace.
    pub log_level: LevelFilter,
}

/// The porch that is looked for where nobody names one.
const DEFAULT_PORCH: &str = "porch";

impl Fixed {
    fn read(read: &Reader<'_>, routes: Routes, in_pod: bool) -> Result<Self, ConfigError> {
        Ok(Self {
            handoff: read.path("handoff")?,
            porch: Runs::from(read.text("porch")),
            porch_given: match read.origin("porch") {
                Origin::Default => false,
                // The default, written out in a file, is the default.
                Origin::File(_) => read.text("porch") != DEFAULT_PORCH,
                _ => true,
            },
            mode: read.choice("mode", &[("direct", Mode::Direct), ("structured", Mode::Structured)])?,
            out: read.path("out")?,
            once: read.switch("once")?,
            names: read.names()?,
            workers: usize::try_from(read.number("workers", 1, 64)?).unwrap_or(1),
            state_dir: read.optional("state-dir").map(PathBuf::from),
            backups: read.backups()?,
            encryption: read.switch("encryption-enabled")?,
            state_key_file: read.optional("state-key-file").map(PathBuf::from),
            audit: read.switch("audit-enabled")?,
            endpoints: read.endpoints(in_pod)?,
            tls: read.tls()?,
            token_file: read.optional("token-file").map(PathBuf::from),
            open_page: read.switch("open-page")?,
            instance: read.instance()?,
            kubeconfig: read.optional("kubeconfig"),
            allow_scale_to_zero: read.switch("allow-scale-to-zero")?,
            allow_unsafe_handoff: read.switch("allow-unsafe-handoff")?,
            allow_unsafe_porch: read.switch("allow-unsafe-porch")?,
            confine: read.confine()?,
            porch_read: read.paths("porch-read"),
            porch_write: read.paths("porch-write"),
            egress: read.egress()?,
            resources: read.resources()?,
            min_free: read.min_free()?,
            user: read.optional("user"),
            porch_user: read.optional("porch-user"),
            chroot: read.switch("chroot-enabled")?,
            log_format: read.choice(
                "log-format",
                &[("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)],
            )?,
            routes,
        })
    }
}

impl Fixed {
    /// The files with secrets, which may be renewed while the daemon runs; as configured.
    pub fn secrets(&self) -> impl Iterator<Item = &Path> {
        let tls = self.tls.as_ref().map(|tls| tls.key.as_path());
        [self.state_key_file.as_deref(), tls, self.token_file.as_deref()].into_iter().flatten()
    }

    /// The daemon's own directories and secrets, which nothing opens to porch; as configured.
    pub fn withheld(&self) -> impl Iterator<Item = &Path> {
        let backups = self.backups.as_ref().map(|backups| backups.dir.as_path());
        let own = [Some(self.handoff.as_path()), self.state_dir.as_deref(), backups];
        own.into_iter().flatten().chain(self.secrets())
    }
}

impl Live {
    fn read(read: &Reader<'_>) -> Result<Self, ConfigError> {
        let (none, hour) = (Duration::ZERO, Duration::from_hours(1));
        let levels = [
            ("off", LevelFilter::OFF),
            ("error", LevelFilter::ERROR),
            ("warn", LevelFilter::WARN),
            ("info", LevelFilter::INFO),
            ("debug", LevelFilter::DEBUG),
            ("trace", LevelFilter::TRACE),
        ];
        Ok(Self {
            scheduler: SchedulerLimits {
                debounce: read.duration("debounce", none, hour)?,
                max_attempts: u32::try_from(read.number("max-attempts", 1, 1000)?).unwrap_or(1),
                rate: read.rate()?,
            },
            run: RunLimits {
                timeout: read.duration("timeout", Duration::from_millis(1), 24 * hour)?,
                grace: read.duration("grace-period", none, hour)?,
            },
            period: read.period()?,
            max_file_size: read.size("max-file-size", 1 << 30)?,
            retention: read.duration("retention", hour, 720 * hour)?,
            log_level: read.choice("log-level", &levels)?,
        })
    }
}

/// The keys of settings whose text a reload changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Applied at once.
    pub live: Vec<&'static str>,
    /// Need a restart to take effect.
    pub restart: Vec<&'static str>,
}

impl Config {
    /// Validates everything; the first problem is the error.
    pub fn new(layers: Layers) -> Result<Self, ConfigError> {
        let Layers { values: raw, routes, in_pod, unknown, projected } = layers;
        let read = Reader(&raw);
        let fixed = Fixed::read(&read, routes, in_pod)?;
        let live = Live::read(&read)?;
        Ok(Self { fixed, live, raw, warnings: unknown, projected })
    }

    /// The configuration file, if there is one.
    pub fn file(&self) -> Option<&str> {
        self.raw.get("config").map(|(path, _)| path.as_str()).filter(|path| !path.is_empty())
    }

    /// The settings in force, each as a line `KEY=VALUE`.
    pub fn lines(&self) -> String {
        let value = |key| self.raw.get(key).map_or("", |(value, _)| value.as_str());
        SETTINGS.iter().flat_map(|setting| [setting.key, "=", value(setting.key), "\n"]).collect()
    }

    /// Adopts the live settings of `new`. Fixed settings stay, as text too, so that the next reload names them again.
    pub fn reload(&mut self, new: Self) {
        self.live = new.live;
        self.projected = new.projected;
        let live = |key: &str| SETTINGS.iter().any(|setting| setting.key == key && setting.live);
        self.raw.extend(new.raw.into_iter().filter(|(key, _)| live(key)));
    }

    /// The differences from `old`.
    pub fn changes(&self, old: &Config) -> Changes {
        let value = |config: &Config, key| config.raw.get(key).map(|(value, _)| value.clone());
        let changed = |live: bool| {
            SETTINGS
                .iter()
                .filter(|setting| setting.live == live && value(self, setting.key) != value(old, setting.key))
                .map(|setting| setting.key)
                .collect()
        };
        let mut restart: Vec<&'static str> = changed(false);
        if self.fixed.routes != old.fixed.routes {
            restart.push("route");
        }
        Changes { live: changed(true), restart }
    }
}
