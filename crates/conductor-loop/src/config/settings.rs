//! The one declaration of every setting. Flags, environment, file keys, `config show`, help and man page come from here.

/// The form of a setting's value.
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
    /// The default value.
    pub default: &'static str,
    /// The form of its value.
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

    /// Adds an environment variable.
    const fn variable(self, name: &'static str) -> Self {
        Self { environment: Some(name), ..self }
    }

    /// Marks the setting as live: SIGHUP applies it, read into `Live`.
    const fn live(self) -> Self {
        Self { live: true, ..self }
    }
}

/// A setting with a value, which the help calls `name`. Only a restart changes it.
const fn value(key: &'static str, default: &'static str, name: &'static str, help: &'static str) -> Setting {
    Setting { key, environment: None, default, takes: Takes::Value(name), help, live: false }
}

const fn switch(key: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { key, environment: None, default, takes: Takes::Switch, help, live: false }
}

/// Every setting, in the order of the help.
pub const SETTINGS: &[Setting] = &[
    value("handoff", "./handoff", "DIR", "Watched directory, created when missing")
        .variable("CONDUCTOR_HANDOFF_DIR"),
    value("porch", "porch", "PROGRAM", "Executable, or 'builtin' for the embedded engine")
        .variable("CONDUCTOR_PORCH"),
    value("mode", "direct", "MODE", "direct or structured").variable("CONDUCTOR_MODE"),
    value("out", "./out", "DIR", "Where porch writes").variable("CONDUCTOR_OUT_DIR"),
    switch("once", "false", "Process the waiting files, drain, exit"),
    value("debounce", "500ms", "TIME", "Quiet time before a file is taken, 0 to 1h")
        .variable("CONDUCTOR_DEBOUNCE")
        .live(),
    value("period", "auto", "TIME", "Rescan interval; 0: events only; auto: 2s where events fail, else 10s")
        .variable("CONDUCTOR_PERIOD")
        .live(),
    value("workers", "2", "N", "Concurrent porch runs, 1 to 64").variable("CONDUCTOR_MAX_WORKERS"),
    value("timeout", "30s", "TIME", "Time limit of one run").variable("CONDUCTOR_PORCH_TIMEOUT").live(),
    value("grace-period", "5s", "TIME", "From TERM to KILL, and for running porches at shutdown")
        .variable("CONDUCTOR_GRACE_PERIOD")
        .live(),
    value("max-attempts", "3", "N", "Starts per intent, for retryable endings and interrupted runs")
        .variable("CONDUCTOR_MAX_ATTEMPTS")
        .live(),
    value("rate", "off", "N", "Intents per second (burst 2 x), excess waits; off: no limit")
        .variable("CONDUCTOR_RATE_LIMIT")
        .live(),
    value("max-file-size", "10MB", "SIZE", "Largest intent file (1MB = 1048576 bytes)")
        .variable("CONDUCTOR_MAX_FILE_SIZE")
        .live(),
    value("pattern", "", "GLOB,...", "Names that are taken besides intent-*.json, such as '*.json'")
        .variable("CONDUCTOR_PATTERN"),
    value("retention", "168h", "TIME", "How long files and records are kept, 1h to 720h")
        .variable("CONDUCTOR_RETENTION")
        .live(),
    value("state-dir", "", "DIR", "Where the store lives instead of HANDOFF/.conductor/state")
        .variable("CONDUCTOR_STATE_DIR"),
    value(
        "state-key-file",
        "",
        "FILE",
        "Root key of the state (32 random bytes); if absent, one is made beside it",
    )
    .variable("CONDUCTOR_STATE_KEY_FILE"),
    switch("audit-enabled", "true", "Keep a signed audit trail in HANDOFF/.conductor/audit")
        .variable("CONDUCTOR_AUDIT_ENABLED"),
    value("backup-dir", "", "DIR", "Make encrypted backups in this directory; none if absent")
        .variable("CONDUCTOR_BACKUP_DIR"),
    value("backup-interval", "24h", "TIME", "Time between backups, 1m to 8760h; off: only `backup now`")
        .variable("CONDUCTOR_BACKUP_INTERVAL"),
    value("backup-keep", "7", "N", "How many backups are kept, 1 to 10000").variable("CONDUCTOR_BACKUP_KEEP"),
    value(
        "backup-recipient",
        "",
        "AGE1...,...",
        "Recipients of age who can decrypt backups, besides the root key",
    )
    .variable("CONDUCTOR_BACKUP_RECIPIENT"),
    switch("encryption-enabled", "true", "Seal the state with AES-256-GCM; false writes it again in plain")
        .variable("CONDUCTOR_ENCRYPTION_ENABLED"),
    value("listen", "", "ADDR,...", "Serve page, metrics and health there; off if absent (OPERATIONS.md)")
        .variable("CONDUCTOR_LISTEN"),
    value("health-addr", "", "ADDR,...", "Serve health only there").variable("CONDUCTOR_HEALTH_ADDR"),
    value("metrics-addr", "", "ADDR,...", "Serve metrics only there").variable("CONDUCTOR_METRICS_ADDR"),
    switch("insecure-listen", "false", "Accept addresses that are not loopback without TLS"),
    value("tls-cert", "", "FILE", "Certificate (PEM) for the endpoints: TLS 1.3 only")
        .variable("CONDUCTOR_TLS_CERT"),
    value("tls-key", "", "FILE", "Its private key (PEM)").variable("CONDUCTOR_TLS_KEY"),
    value("tls-client-ca", "", "FILE", "Authority (PEM) that must have signed a client's certificate")
        .variable("CONDUCTOR_TLS_CLIENT_CA"),
    value("token-file", "", "FILE", "File with the bearer token that API and metrics ask for")
        .variable("CONDUCTOR_TOKEN_FILE"),
    switch("open-page", "false", "Serve page and API without a token to every client"),
    switch(
        "kubernetes",
        "auto",
        "Serve health on 8080 and metrics on 9090; auto: where KUBERNETES_SERVICE_HOST is set",
    )
    .variable("CONDUCTOR_KUBERNETES"),
    value("instance", "", "NAME", "Name of this daemon, in each log line and metric")
        .variable("CONDUCTOR_INSTANCE"),
    value("kubeconfig", "", "FILE", "Passed to porch as KUBECONFIG"),
    switch("allow-scale-to-zero", "false", "Accept replicas 0"),
    switch("allow-unsafe-handoff", "false", "Accept a handoff directory that everybody may write"),
    switch("allow-unsafe-porch", "false", "Accept a porch executable that others could replace"),
    value("log-level", "info", "LEVEL", "off, error, warn, info, debug or trace")
        .variable("CONDUCTOR_LOG_LEVEL")
        .live(),
    value("log-format", "auto", "FORMAT", "text, json, or auto: text on a terminal, else json")
        .variable("CONDUCTOR_LOG_FORMAT"),
    value(
        "confine",
        "auto",
        "MODE",
        "Confine daemon and porch: auto, require (every part, or no start) or off",
    )
    .variable("CONDUCTOR_CONFINE"),
    switch("security-enabled", "", "The specification's name for it: false means --confine off")
        .variable("CONDUCTOR_SECURITY_ENABLED"),
    value("porch-read", "", "PATH,...", "What porch may read and execute besides the system's directories")
        .variable("CONDUCTOR_PORCH_READ"),
    value("porch-write", "", "PATH,...", "What porch may write besides the output and its working directory")
        .variable("CONDUCTOR_PORCH_WRITE"),
    value(
        "egress",
        "any",
        "PORT,...",
        "Where porch may connect by TCP: any, none (no network at all), or ports",
    )
    .variable("CONDUCTOR_EGRESS"),
    value("limit-memory", "4GB", "SIZE", "Memory of a process of porch, or off")
        .variable("CONDUCTOR_LIMIT_MEMORY"),
    value("limit-cpu", "1h", "TIME", "CPU time of a process of porch, or off")
        .variable("CONDUCTOR_LIMIT_CPU"),
    value("limit-processes", "4096", "N", "Processes and threads of porch's user, or off; not for root")
        .variable("CONDUCTOR_LIMIT_PROCESSES"),
    value("limit-files", "4096", "N", "Open files of a process of porch, or off")
        .variable("CONDUCTOR_LIMIT_FILES"),
    value("limit-file-size", "4GB", "SIZE", "Largest file that porch may write, or off")
        .variable("CONDUCTOR_LIMIT_FILE_SIZE"),
    value("min-free", "auto", "SIZE", "Free space for packages below which nothing starts; auto: 1MB")
        .variable("CONDUCTOR_MIN_FREE"),
    value("user", "", "USER[:GROUP]", "User that a start as root switches to first: name or number")
        .variable("CONDUCTOR_USER"),
    value("porch-user", "", "USER", "Separate user for an external porch; needs a start as root")
        .variable("CONDUCTOR_PORCH_USER"),
    switch("chroot-enabled", "false", "Own root directory (chroot); needs a start as root")
        .variable("CONDUCTOR_CHROOT_ENABLED"),
    value("config", "", "FILE", "TOML file with the same keys").variable("CONDUCTOR_CONFIG"),
];
