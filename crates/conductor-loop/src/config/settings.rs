//! The one declaration of every setting. Flags, environment, file keys, `config show`, help and man page come from here.

/// What a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// A value.
    Value(&'static str),
    /// Nothing, or an attached `=true`/`=false`.
    Switch,
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Name of flag and file key.
    pub key: &'static str,
    /// Environment variable.
    pub environment: Option<&'static str>,
    /// Value when nobody sets it.
    pub default: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// One line of help.
    pub help: &'static str,
    /// Whether SIGHUP applies it without a restart.
    pub live: bool,
}

impl Setting {
    /// Whether its value is a list, separated by commas.
    pub fn is_list(&self) -> bool {
        matches!(self.takes, Takes::Value(name) if name.ends_with(",..."))
    }
}

const fn value(
    key: &'static str,
    environment: Option<&'static str>,
    (default, name): (&'static str, &'static str),
    live: bool,
    help: &'static str,
) -> Setting {
    Setting { key, environment, default, takes: Takes::Value(name), help, live }
}

const fn switch(key: &'static str, help: &'static str) -> Setting {
    Setting { key, environment: None, default: "false", takes: Takes::Switch, help, live: false }
}

/// A switch of the specification for something that is not built yet; not set, it shows as such.
const fn not_built(key: &'static str, environment: &'static str, help: &'static str) -> Setting {
    Setting { key, environment: Some(environment), default: "", takes: Takes::Switch, help, live: false }
}

/// The keys of what is not built yet, and what is so instead.
pub(super) const NOT_BUILT: [(&str, &str); 4] = [
    ("security-enabled", "there is nothing that it would add; what protects is always on, without a switch"),
    (
        "chroot-enabled",
        "the daemon and porch see the whole file system; give the unit or the container a root of its own",
    ),
    ("encryption-enabled", "state, archives and statuses are plain text; encrypt the volume below them"),
    ("audit-enabled", "no signed audit trail is written; ship the log lines to a place of their own"),
];

/// Every setting, in the order of the help.
pub const SETTINGS: &[Setting] = &[
    value(
        "handoff",
        Some("CONDUCTOR_HANDOFF_DIR"),
        ("./handoff", "DIR"),
        false,
        "Watched directory, created when missing",
    ),
    value(
        "porch",
        Some("CONDUCTOR_PORCH"),
        ("porch", "PROGRAM"),
        false,
        "Executable, or 'builtin' for the embedded engine",
    ),
    value("mode", Some("CONDUCTOR_MODE"), ("direct", "MODE"), false, "direct or structured"),
    value("out", Some("CONDUCTOR_OUT_DIR"), ("./out", "DIR"), false, "Where porch writes"),
    switch("once", "Process what is there, drain, exit"),
    value(
        "debounce",
        Some("CONDUCTOR_DEBOUNCE"),
        ("500ms", "TIME"),
        true,
        "Quiet time before a file is taken, 0 to 1h",
    ),
    value(
        "period",
        Some("CONDUCTOR_PERIOD"),
        ("auto", "TIME"),
        true,
        "Rescan interval; 0: events only; auto: 2s where events fail, else 10s",
    ),
    value("workers", Some("CONDUCTOR_MAX_WORKERS"), ("2", "N"), false, "Concurrent porch runs, 1 to 64"),
    value("timeout", Some("CONDUCTOR_PORCH_TIMEOUT"), ("30s", "TIME"), true, "Time limit of one run"),
    value(
        "grace-period",
        Some("CONDUCTOR_GRACE_PERIOD"),
        ("5s", "TIME"),
        true,
        "From TERM to KILL, and for running porches at shutdown",
    ),
    value(
        "max-attempts",
        Some("CONDUCTOR_MAX_ATTEMPTS"),
        ("3", "N"),
        true,
        "Starts per intent, for retryable endings and interrupted runs",
    ),
    value(
        "rate",
        Some("CONDUCTOR_RATE_LIMIT"),
        ("off", "N"),
        true,
        "Intents per second (burst 2 x), excess waits; off: no limit",
    ),
    value(
        "max-file-size",
        Some("CONDUCTOR_MAX_FILE_SIZE"),
        ("10MB", "SIZE"),
        true,
        "Largest intent file (1MB = 1048576 bytes)",
    ),
    value(
        "retention",
        Some("CONDUCTOR_RETENTION"),
        ("168h", "TIME"),
        true,
        "How long files and records are kept, 1h to 720h",
    ),
    value(
        "state-dir",
        Some("CONDUCTOR_STATE_DIR"),
        ("", "DIR"),
        false,
        "Where the store lives instead of HANDOFF/.conductor/state",
    ),
    value(
        "listen",
        Some("CONDUCTOR_LISTEN"),
        ("", "ADDR,..."),
        false,
        "Serve page, metrics and health there; off if absent (OPERATIONS.md)",
    ),
    value("health-addr", Some("CONDUCTOR_HEALTH_ADDR"), ("", "ADDR,..."), false, "Serve health only there"),
    value(
        "metrics-addr",
        Some("CONDUCTOR_METRICS_ADDR"),
        ("", "ADDR,..."),
        false,
        "Serve metrics only there",
    ),
    switch("insecure-listen", "Accept addresses that are not loopback without TLS"),
    value(
        "tls-cert",
        Some("CONDUCTOR_TLS_CERT"),
        ("", "FILE"),
        false,
        "Certificate (PEM) for the endpoints: TLS 1.3 only",
    ),
    value("tls-key", Some("CONDUCTOR_TLS_KEY"), ("", "FILE"), false, "Its private key (PEM)"),
    value(
        "tls-client-ca",
        Some("CONDUCTOR_TLS_CLIENT_CA"),
        ("", "FILE"),
        false,
        "Authority (PEM) that must have signed a client's certificate",
    ),
    value(
        "token-file",
        Some("CONDUCTOR_TOKEN_FILE"),
        ("", "FILE"),
        false,
        "File with the bearer token that API and metrics ask for",
    ),
    switch("open-page", "Serve page and API without a token to whoever reaches the address"),
    Setting {
        key: "kubernetes",
        environment: Some("CONDUCTOR_KUBERNETES"),
        default: "auto",
        takes: Takes::Switch,
        help: "Serve health on 8080 and metrics on 9090; auto: where KUBERNETES_SERVICE_HOST is set",
        live: false,
    },
    value("kubeconfig", None, ("", "FILE"), false, "Passed to porch as KUBECONFIG"),
    switch("allow-scale-to-zero", "Accept replicas 0"),
    switch("allow-unsafe-handoff", "Accept a handoff directory that everybody may write"),
    switch("allow-unsafe-porch", "Accept a porch executable that others could replace"),
    value(
        "log-level",
        Some("CONDUCTOR_LOG_LEVEL"),
        ("info", "LEVEL"),
        true,
        "off, error, warn, info, debug or trace",
    ),
    value(
        "log-format",
        Some("CONDUCTOR_LOG_FORMAT"),
        ("auto", "FORMAT"),
        false,
        "text, json, or auto: text on a terminal, else json",
    ),
    not_built("security-enabled", "CONDUCTOR_SECURITY_ENABLED", "Not built yet: true refuses the start"),
    not_built("chroot-enabled", "CONDUCTOR_CHROOT_ENABLED", "Not built yet: true refuses the start"),
    not_built("encryption-enabled", "CONDUCTOR_ENCRYPTION_ENABLED", "Not built yet: true refuses the start"),
    not_built("audit-enabled", "CONDUCTOR_AUDIT_ENABLED", "Not built yet: true refuses the start"),
    value("config", Some("CONDUCTOR_CONFIG"), ("", "FILE"), false, "TOML file with the same keys"),
];
