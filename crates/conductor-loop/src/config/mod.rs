//! Configuration: every setting declared once in `settings`, layered default < file < environment < flag, each value
//! with its origin, validated whole before anything of it is used.

mod environment;
mod file;
mod settings;

pub use environment::Environment;
pub use settings::{SETTINGS, Setting, Takes};

use conductor_core::Code;
use conductor_core::limits::{Limits, Memory};
use conductor_core::units::{format_duration, parse_duration, parse_size};
use conductor_porch::Routes;
use settings::NOT_BUILT;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Where a value comes from. Later ones win.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Built in.
    Default,
    /// The configuration file.
    File(String),
    /// An environment variable.
    Environment(&'static str),
    /// A command line flag.
    Flag,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path) => write!(f, "file {path}"),
            Origin::Environment(name) => write!(f, "environment {name}"),
            Origin::Flag => f.write_str("flag"),
        }
    }
}

/// A value as text, with its origin.
pub type Raw = BTreeMap<&'static str, (String, Origin)>;

/// All layers together: the settings, and the routes, which only a file can hold.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    /// Every setting.
    pub values: Raw,
    /// The `[[route]]` and `[repository.NAME]` tables.
    pub routes: Routes,
    /// Whether the environment is that of a pod in Kubernetes.
    pub in_pod: bool,
    /// Variables that nobody reads, a sentence each.
    pub unknown: Vec<String>,
}

/// What is wrong with the configuration.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConfigError {
    /// A value cannot be used.
    #[error("--{key} (from {origin}): {reason}")]
    BadValue {
        /// Which setting.
        key: &'static str,
        /// Where it was set.
        origin: Origin,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// The file holds a key that does not exist.
    #[error("{path}: unknown key '{key}'{suggestion}")]
    UnknownKey {
        /// The file.
        path: String,
        /// The key.
        key: String,
        /// The nearest known key.
        suggestion: String,
    },
    /// A variable is not text.
    #[error("the variable {name} is not UTF-8 text")]
    NotText {
        /// The variable.
        name: String,
    },
    /// Something is asked for that does not exist yet.
    #[error("--{key} (from {origin}) is not built yet: {instead}")]
    NotBuilt {
        /// Which setting.
        key: &'static str,
        /// Where it was set.
        origin: Origin,
        /// What is so without it.
        instead: &'static str,
    },
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
}

impl ConfigError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            ConfigError::BadValue { .. } | ConfigError::NotText { .. } => Code::BadValue,
            ConfigError::NotBuilt { .. } => Code::NotBuilt,
            ConfigError::UnknownKey { .. } => Code::UnknownKey,
            ConfigError::Unreadable { .. } => Code::ConfigUnreadable,
        }
    }
}

/// How intents are passed to porch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `porch -intent FILE -out DIR`
    Direct,
    /// The same with `-structured`.
    Structured,
}

impl Mode {
    /// As in flags and status files.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Direct => "direct",
            Mode::Structured => "structured",
        }
    }
}

/// When to scan without a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// 2 s where events cannot be trusted, else 10 s.
    Auto,
    /// Events only.
    Never,
    /// This often.
    Every(Duration),
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The typed, validated configuration.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own on the command line")]
pub struct Config {
    /// Watched directory.
    pub handoff: PathBuf,
    /// Executable or `builtin`.
    pub porch: String,
    /// Whether porch was asked for by somebody, or is the default.
    pub porch_given: bool,
    /// direct or structured.
    pub mode: Mode,
    /// Where porch writes.
    pub out: PathBuf,
    /// Process the backlog, then exit.
    pub once: bool,
    /// When to scan without a hint.
    pub period: Period,
    /// Bounds of the core.
    pub limits: Limits,
    /// Time limit of one run.
    pub timeout: Duration,
    /// From TERM to KILL.
    pub grace: Duration,
    /// Largest intent file.
    pub max_file_size: u64,
    /// How long outcomes are kept.
    pub retention: Duration,
    /// Where the store lives, if not below the handoff directory.
    pub state_dir: Option<PathBuf>,
    /// Where health, metrics and the page are served; none: no port is opened.
    pub endpoints: Vec<Endpoint>,
    /// Certificate, key and authority for them.
    pub tls: Option<Tls>,
    /// Where the token is that API and metrics ask for.
    pub token_file: Option<PathBuf>,
    /// Serve page and API to whoever reaches the address.
    pub open_page: bool,
    /// Passed to porch as KUBECONFIG.
    pub kubeconfig: Option<String>,
    /// Whether replicas 0 is accepted.
    pub allow_scale_to_zero: bool,
    /// Accept a handoff directory that everybody may write.
    pub allow_unsafe_handoff: bool,
    /// Accept a porch that others could replace.
    pub allow_unsafe_porch: bool,
    /// off, error, warn, info, debug, trace.
    pub log_level: tracing::level_filters::LevelFilter,
    /// text, json, auto.
    pub log_format: LogFormat,
    /// Which package, repository and object a target has, for the embedded engine.
    pub routes: Routes,
    /// Every value as text with its origin, for `config show` and SIGHUP.
    pub raw: Raw,
    /// What is accepted and should be known, a sentence each.
    pub warnings: Vec<String>,
}

/// An address and what is served there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// Where to listen.
    pub address: SocketAddr,
    /// Health and readiness.
    pub health: bool,
    /// Metrics.
    pub metrics: bool,
    /// The page and its API.
    pub page: bool,
}

/// Files for TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate, with its intermediates.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authority of clients, where they must have a certificate.
    pub client_authority: Option<PathBuf>,
}

/// Where health and metrics are served in a pod when no address is given: what the specification's manifests probe and scrape.
const POD_HEALTH: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8080);
const POD_METRICS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 9090);

/// Layers defaults, file, environment and flags.
pub fn layer(
    flags: &BTreeMap<&'static str, String>,
    environment: &Environment,
) -> Result<Layers, ConfigError> {
    let mut raw = Raw::new();
    let mut routes = Routes::default();
    for setting in SETTINGS {
        raw.insert(setting.key, (setting.default.to_owned(), Origin::Default));
    }
    let from_environment = |setting: &Setting| {
        let name = setting.environment?;
        environment.get(name).map(|value| (value, Origin::Environment(name)))
    };
    let path = flags.get("config").cloned().or_else(|| environment.get("CONDUCTOR_CONFIG"));
    if let Some(path) = path.filter(|path| !path.is_empty()) {
        let content = file::read(&path)?;
        for (key, value) in content.values {
            raw.insert(key, (value, Origin::File(path.clone())));
        }
        routes = content.routes;
    }
    for setting in SETTINGS {
        if let Some(value) = from_environment(setting) {
            raw.insert(setting.key, value);
        }
        if let Some(value) = flags.get(setting.key) {
            raw.insert(setting.key, (value.clone(), Origin::Flag));
        }
    }
    Ok(Layers { values: raw, routes, in_pod: environment.is_pod(), unknown: environment.unknown() })
}

struct Reader<'r>(&'r Raw);

impl Reader<'_> {
    fn text(&self, key: &'static str) -> &str {
        self.0.get(key).map_or("", |(value, _)| value)
    }

    fn bad<T>(&self, key: &'static str, reason: String) -> Result<T, ConfigError> {
        let origin = self.0.get(key).map_or(Origin::Default, |(_, origin)| origin.clone());
        Err(ConfigError::BadValue { key, origin, reason })
    }

    fn duration(&self, key: &'static str, min: Duration, max: Duration) -> Result<Duration, ConfigError> {
        match parse_duration(self.text(key)) {
            Ok(value) if (min..=max).contains(&value) => Ok(value),
            Ok(value) => {
                let (value, min, max) = (format_duration(value), format_duration(min), format_duration(max));
                self.bad(key, format!("{value} is outside {min} to {max}"))
            }
            Err(error) => self.bad(key, error.to_string()),
        }
    }

    fn number(&self, key: &'static str, min: u64, max: u64) -> Result<u64, ConfigError> {
        match self.text(key).parse::<u64>() {
            Ok(value) if (min..=max).contains(&value) => Ok(value),
            _ => self.bad(key, format!("'{}' is not a whole number from {min} to {max}", self.text(key))),
        }
    }

    fn switch(&self, key: &'static str) -> Result<bool, ConfigError> {
        match self.text(key) {
            "true" | "1" | "t" | "T" | "TRUE" | "True" => Ok(true),
            "false" | "0" | "f" | "F" | "FALSE" | "False" => Ok(false),
            other => self.bad(key, format!("'{other}' is neither true nor false")),
        }
    }

    fn choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)]) -> Result<T, ConfigError> {
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == self.text(key)) {
            Ok(*value)
        } else {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            self.bad(key, format!("'{}' is not one of {}", self.text(key), words.join(", ")))
        }
    }

    fn path(&self, key: &'static str) -> Result<PathBuf, ConfigError> {
        let text = self.text(key);
        if text.is_empty() || text.contains('\0') {
            return self.bad(key, "a path is needed".to_owned());
        }
        Ok(PathBuf::from(text))
    }

    fn optional(&self, key: &'static str) -> Option<String> {
        Some(self.text(key).to_owned()).filter(|text| !text.is_empty())
    }

    fn period(&self) -> Result<Period, ConfigError> {
        match self.text("period") {
            "auto" => Ok(Period::Auto),
            "0" | "0s" => Ok(Period::Never),
            _ => self
                .duration("period", Duration::from_millis(100), Duration::from_hours(1))
                .map(Period::Every),
        }
    }

    /// Every address with what it serves. Only loopback without TLS or consent: what is said there is not for everybody.
    fn endpoints(&self, in_pod: bool) -> Result<Vec<Endpoint>, ConfigError> {
        let open = self.switch("insecure-listen")? || self.tls()?.is_some();
        let mut endpoints = Vec::new();
        for (key, health, metrics, page) in [
            ("listen", true, true, true),
            ("health-addr", true, false, false),
            ("metrics-addr", false, true, false),
        ] {
            for text in self.text(key).split(',').map(str::trim).filter(|text| !text.is_empty()) {
                let Ok(address) = text.parse::<SocketAddr>() else {
                    return self
                        .bad(key, format!("'{text}' is not an address and port such as 127.0.0.1:9090"));
                };
                if !address.ip().is_loopback() && !open {
                    return self.bad(key, format!("{address} is reachable from outside and not encrypted; give --tls-cert and --tls-key, or accept it with --insecure-listen"));
                }
                endpoints.push(Endpoint { address, health, metrics, page });
            }
        }
        let pod = if self.text("kubernetes") == "auto" { in_pod } else { self.switch("kubernetes")? };
        if pod && !endpoints.iter().any(|endpoint| endpoint.health) {
            endpoints.push(Endpoint { address: POD_HEALTH, health: true, metrics: false, page: false });
        }
        if pod && !endpoints.iter().any(|endpoint| endpoint.metrics) {
            endpoints.push(Endpoint { address: POD_METRICS, health: false, metrics: true, page: false });
        }
        Ok(endpoints)
    }

    fn tls(&self) -> Result<Option<Tls>, ConfigError> {
        let file = |key| self.optional(key).map(PathBuf::from);
        let client_authority = file("tls-client-ca");
        match (file("tls-cert"), file("tls-key")) {
            (Some(certificate), Some(key)) => Ok(Some(Tls { certificate, key, client_authority })),
            (None, None) if client_authority.is_none() => Ok(None),
            (None, None) => {
                self.bad("tls-client-ca", "--tls-cert and --tls-key are needed with it".to_owned())
            }
            (Some(_), None) => self.bad("tls-cert", "--tls-key is needed with it".to_owned()),
            (None, Some(_)) => self.bad("tls-key", "--tls-cert is needed with it".to_owned()),
        }
    }

    /// What the settings of what is not built yet say that has no effect; nonsense is refused.
    fn without_effect(&self) -> Result<Vec<String>, ConfigError> {
        for (key, _) in NOT_BUILT.iter().filter(|(key, _)| !self.text(key).is_empty()) {
            self.switch(key)?;
        }
        let is_off = !self.text("security-enabled").is_empty() && !self.switch("security-enabled")?;
        Ok(is_off
            .then(|| {
                let origin = self.0.get("security-enabled").map_or(Origin::Default, |(_, origin)| origin.clone());
                format!("--security-enabled=false (from {origin}) switches nothing off: what protects is always on")
            })
            .into_iter()
            .collect())
    }

    fn rate(&self) -> Result<Option<f64>, ConfigError> {
        match self.text("rate") {
            "off" | "0" => Ok(None),
            text => match text.parse::<f64>() {
                Ok(rate) if rate.is_finite() && (0.001..=1e6).contains(&rate) => Ok(Some(rate)),
                _ => {
                    self.bad("rate", format!("'{text}' is neither 'off' nor a number of intents per second"))
                }
            },
        }
    }
}

impl Config {
    /// Validates everything; the first problem is the error.
    pub fn new(layers: Layers) -> Result<Self, ConfigError> {
        use tracing::level_filters::LevelFilter as L;
        let Layers { values: raw, routes, in_pod, unknown } = layers;
        let read = Reader(&raw);
        let (none, hour) = (Duration::ZERO, Duration::from_hours(1));
        let max_file_size = match parse_size(read.text("max-file-size")) {
            Ok(size) if (1..=1 << 30).contains(&size) => size,
            Ok(size) => return read.bad("max-file-size", format!("{size} is outside 1 to 1073741824 bytes")),
            Err(error) => return read.bad("max-file-size", error.to_string()),
        };
        let workers = read.number("workers", 1, 64)?;
        let attempts = read.number("max-attempts", 1, 1000)?;
        let levels = [
            ("off", L::OFF),
            ("error", L::ERROR),
            ("warn", L::WARN),
            ("info", L::INFO),
            ("debug", L::DEBUG),
            ("trace", L::TRACE),
        ];
        let formats = [("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)];
        let config = Self {
            handoff: read.path("handoff")?,
            porch: read.text("porch").to_owned(),
            porch_given: raw.get("porch").is_some_and(|(_, origin)| *origin != Origin::Default),
            mode: read.choice("mode", &[("direct", Mode::Direct), ("structured", Mode::Structured)])?,
            out: read.path("out")?,
            once: read.switch("once")?,
            period: read.period()?,
            limits: Limits {
                memory: Memory::default(),
                debounce: read.duration("debounce", none, hour)?,
                workers: usize::try_from(workers).unwrap_or(1),
                max_attempts: u32::try_from(attempts).unwrap_or(1),
                rate: read.rate()?,
            },
            timeout: read.duration("timeout", Duration::from_millis(1), 24 * hour)?,
            grace: read.duration("grace-period", none, hour)?,
            max_file_size,
            retention: read.duration("retention", hour, 720 * hour)?,
            state_dir: read.optional("state-dir").map(PathBuf::from),
            endpoints: read.endpoints(in_pod)?,
            tls: read.tls()?,
            token_file: read.optional("token-file").map(PathBuf::from),
            open_page: read.switch("open-page")?,
            kubeconfig: read.optional("kubeconfig"),
            allow_scale_to_zero: read.switch("allow-scale-to-zero")?,
            allow_unsafe_handoff: read.switch("allow-unsafe-handoff")?,
            allow_unsafe_porch: read.switch("allow-unsafe-porch")?,
            log_level: read.choice("log-level", &levels)?,
            log_format: read.choice("log-format", &formats)?,
            routes,
            warnings: [unknown, read.without_effect()?].concat(),
            raw: Raw::new(),
        };
        Ok(Self { raw, ..config })
    }

    /// Refuses what a daemon must not do silently without: settings that ask for what is not built yet. Commands that only look
    /// or hand in do not ask.
    pub fn may_start(&self) -> Result<(), ConfigError> {
        let read = Reader(&self.raw);
        for (key, instead) in NOT_BUILT {
            if !read.text(key).is_empty() && read.switch(key)? {
                let origin = self.raw.get(key).map_or(Origin::Default, |(_, origin)| origin.clone());
                return Err(ConfigError::NotBuilt { key, origin, instead });
            }
        }
        Ok(())
    }

    /// This configuration with the settings of `new` that may change while running. By the table of settings, so that no second
    /// list can forget one.
    pub fn with_live_of(&self, new: &Self) -> Result<Self, ConfigError> {
        let mut values = self.raw.clone();
        for setting in SETTINGS.iter().filter(|setting| setting.live) {
            if let Some(value) = new.raw.get(setting.key) {
                values.insert(setting.key, value.clone());
            }
        }
        let read = Self::new(Layers { values, ..Layers::default() })?;
        // What does not come from a setting's text alone is fixed.
        Ok(Self {
            routes: self.routes.clone(),
            endpoints: self.endpoints.clone(),
            warnings: self.warnings.clone(),
            ..read
        })
    }

    /// Settings that differ from `old` and need a restart to take effect, and those that do not.
    pub fn changes(&self, old: &Config) -> (Vec<&'static str>, Vec<&'static str>) {
        let value = |config: &Config, key| config.raw.get(key).map(|(value, _)| value.clone());
        let changed = |live: bool| {
            SETTINGS
                .iter()
                .filter(|setting| setting.live == live && value(self, setting.key) != value(old, setting.key))
                .map(|setting| setting.key)
                .collect()
        };
        let mut restart: Vec<&'static str> = changed(false);
        if self.routes != old.routes {
            restart.push("route");
        }
        (changed(true), restart)
    }
}

#[cfg(test)]
mod tests;
