//! The values that several settings share or that are more than a number, a path or a switch.

use conductor_crypto::age::Recipient;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The form of porch's command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `porch -intent FILE -out DIR`
    Direct,
    /// The same with `-structured`.
    Structured,
}

impl Mode {
    /// The word in flags and status files.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Direct => "direct",
            Mode::Structured => "structured",
        }
    }
}

/// How much confinement the operator wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confine {
    /// Every part that kernel and container permit.
    Auto,
    /// Every part, or no start.
    Require,
    /// Nothing.
    Off,
}

/// Where porch may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Egress {
    /// Everywhere.
    Any,
    /// Nowhere: no network socket at all.
    None,
    /// By TCP to these ports; other protocols are not limited.
    Ports(Vec<u16>),
}

/// The interval of scans without an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// 2 s if events are unreliable, else 10 s.
    Auto,
    /// Events only.
    Never,
    /// This often.
    Every(Duration),
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// An address and its services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// The address to listen on.
    pub address: SocketAddr,
    /// Health and readiness.
    pub health: bool,
    /// Metrics.
    pub metrics: bool,
    /// The page and its API.
    pub page: bool,
}

/// How backups are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backups {
    /// Where.
    pub dir: PathBuf,
    /// How often; `None`: when somebody asks for one.
    pub interval: Option<Duration>,
    /// How many are kept.
    pub keep: usize,
    /// Who can open them besides the root key.
    pub recipients: Vec<Recipient>,
}

/// Files for TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate, with its intermediates.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authority of client certificates, if clients must have one.
    pub client_authority: Option<PathBuf>,
}
