//! The subcommands and their arguments, each value parsed here: the values that reach `commands` are typed.

use super::form::{DataOrText, Form, JsonOrText, Table};
use super::settings::{BackingUp, Everything, Flags, Handing, Judging, Place, Planning};
use super::values::{parse_code, parse_event, parse_limit, parse_moment, parse_state};
use clap::{Args, Subcommand as ClapSubcommand};
use conductor_core::Code;
use conductor_core::query::{EVERYTHING, Selection, State};
use conductor_core::units::parse_duration;
use jiff::Timestamp;
use std::path::PathBuf;
use std::time::Duration;

/// The commands other than the daemon.
#[derive(Debug, ClapSubcommand)]
pub(super) enum Subcommand {
    /// The daemon's status, waiting intents and totals
    Status(Status),
    /// Exit 0 if the daemon runs and takes files, else 1: for container probes
    Health(Plain),
    /// Intents: unfinished ones in their order, then finished ones, newest first
    List(List),
    /// Everything about one intent: timeline, change of the package, output, error log
    Show(Show),
    /// The one reason why an intent waits or failed, and the remedy
    Explain(Explain),
    /// Hands failed intents in again, byte for byte; exit 0, or 1 if one could not be handed in
    Retry(Retry),
    /// Starts no intent of a target, or none at all, until it is released; a current run continues
    Hold(Hold),
    /// Ends a hold
    Release(Release),
    /// Ends intents that wait: each is filed as a failure and not run
    Cancel(Cancel),
    /// Removes old outcomes with their files; without --yes only lists them
    Purge(Purge),
    /// The daemon's last log lines
    Logs(Logs),
    /// Live view on a terminal: q quits
    Top(JsonOnly),
    /// Hands intents in: temporary file, fsync, rename into the handoff directory
    Submit(Submit),
    /// Waits until intents are done or failed; exit 0 or 8
    Wait(WaitFor),
    /// Judges intents as the daemon would, without handing them in; exit 0 or 8
    Check(Intents<Judging>),
    /// Shows the change of the package that the embedded engine would make; exit 0 or 8
    Plan(Intents<Planning>),
    /// Shows, exports, imports or rebuilds the durable state
    #[command(subcommand)]
    State(StateCommand),
    /// The root keys of the state: shows them, makes a new one, exports the public halves
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Encrypted backups: makes, lists and verifies them, and restores one
    #[command(subcommand)]
    Backup(BackupCommand),
    /// The audit trail: shows, verifies and exports it, proves one entry
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Every audit entry of one correlation id, over all intents that carry it
    Trace(Trace),
    /// Verifies statuses, archived files and audit trail, offline; exit 0, 1 with findings, 2 if it cannot
    Verify(Verify),
    /// Shows the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Checks everything a daemon would need, with remedies; exit 0 or 1
    Doctor(Whole),
    /// Prints the JSON Schema of intents
    Schema,
}

#[derive(Debug, ClapSubcommand)]
pub(super) enum StateCommand {
    /// Path of the state, totals, unfinished intents
    Show(JsonOnly),
    /// Writes every outcome as a line of JSON
    Export {
        /// The file to write; standard output if absent
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        place: Flags<Place>,
    },
    /// Reads an export, or the state file of the Go version
    Import {
        /// The file to read
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        place: Flags<Place>,
    },
    /// Rebuilds a damaged, missing or older state from its readable records and the statuses
    Rebuild {
        #[command(flatten)]
        place: Flags<Place>,
    },
}

#[derive(Debug, ClapSubcommand)]
pub(super) enum KeysCommand {
    /// The key file, and the names of its keys
    Show(JsonOnly),
    /// Adds a new root key to the key file; it signs from the daemon's next start on
    Rotate {
        #[command(flatten)]
        place: Flags<Place>,
    },
    /// Prints the public keys in PEM, for `verify --public` and openssl
    ExportPublic {
        #[command(flatten)]
        place: Flags<Place>,
    },
}

#[derive(Debug, ClapSubcommand)]
pub(super) enum BackupCommand {
    /// Makes one, beside a running daemon or without one, and restores it on trial
    Now(BackupJson),
    /// The backups of the directory, oldest first
    List(BackupJson),
    /// Restores one on trial and checks it; exit 0 or 1
    Verify {
        #[command(flatten)]
        which: BackupFile,
        #[command(flatten)]
        form: Form<JsonOrText>,
    },
    /// Puts one in the place of the state, which is kept beside it; no daemon may run
    Restore(BackupFile),
}

#[derive(Debug, Args)]
pub(super) struct BackupJson {
    #[command(flatten)]
    pub(super) settings: Flags<BackingUp>,
    #[command(flatten)]
    pub(super) form: Form<JsonOrText>,
}

#[derive(Debug, Args)]
pub(super) struct BackupFile {
    /// The backup [the newest of --backup-dir]
    #[arg(value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// The identity (age-keygen) that it is encrypted to [that of the root key]
    #[arg(long, value_name = "FILE")]
    pub(super) identity: Option<PathBuf>,
    /// Public keys to trust besides those beside the state (`keys export-public`)
    #[arg(long, value_name = "FILE")]
    pub(super) public: Option<PathBuf>,
    #[command(flatten)]
    pub(super) settings: Flags<BackingUp>,
}

#[derive(Debug, ClapSubcommand)]
pub(super) enum AuditCommand {
    /// The entries; with --json the lines of the trail themselves
    Show(AuditShow),
    /// Verifies the trail offline, without any secret; exit 0, 1 with findings, 2 if it cannot
    Verify(Verify),
    /// Proves that an entry is in the tree of the last checkpoint (C2SP tlog-proof)
    Proof {
        #[command(flatten)]
        place: Flags<Place>,
        /// Number of the entry
        #[arg(value_name = "ENTRY")]
        entry: u64,
    },
    /// Prints the whole trail, one line of JSON an entry, checkpoints included
    Export {
        #[command(flatten)]
        place: Flags<Place>,
    },
}

#[derive(Debug, Args)]
pub(super) struct AuditShow {
    /// Only since a duration ago (24h, 7d), a day (2026-01-31, yesterday) or a time (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub(super) since: Option<Timestamp>,
    /// Only of this event, such as `intent_filed`
    #[arg(long, value_name = "EVENT", value_parser = parse_event)]
    pub(super) event: Option<String>,
    /// Only of this correlation id
    #[arg(long, value_name = "ID")]
    pub(super) correlation_id: Option<String>,
    #[command(flatten)]
    pub(super) place: Flags<Place>,
    #[command(flatten)]
    pub(super) form: Form<JsonOrText>,
}

#[derive(Debug, Args)]
pub(super) struct Trace {
    #[command(flatten)]
    pub(super) place: Flags<Place>,
    /// The correlation id
    #[arg(value_name = "CORRELATION-ID")]
    pub(super) correlation_id: String,
    #[command(flatten)]
    pub(super) form: Form<JsonOrText>,
}

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The handoff directory, or a copy of it [that of the configuration]
    #[arg(value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
    /// The public keys in PEM [those beside the state]
    #[arg(long, value_name = "FILE")]
    pub(super) public: Option<PathBuf>,
    /// A checkpoint of the audit trail from before, which it must continue
    #[arg(long, value_name = "FILE")]
    pub(super) since: Option<PathBuf>,
    #[command(flatten)]
    pub(super) place: Flags<Place>,
    #[command(flatten)]
    pub(super) form: Form<JsonOrText>,
}

#[derive(Debug, ClapSubcommand)]
pub(super) enum ConfigCommand {
    /// Every setting, its value and its origin
    Show(Whole),
}

/// A command whose only setting is its directory.
#[derive(Debug, Args)]
pub(super) struct Plain {
    #[command(flatten)]
    pub(super) place: Flags<Place>,
    #[command(flatten)]
    pub(super) form: Form<DataOrText>,
}

/// A command whose only setting is its directory, with answers in JSON.
#[derive(Debug, Args)]
pub(super) struct JsonOnly {
    #[command(flatten)]
    pub(super) place: Flags<Place>,
    #[command(flatten)]
    pub(super) form: Form<JsonOrText>,
}

#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    pub(super) place: Flags<Place>,
    /// Shows it again whenever it changes, until interrupted
    #[arg(short, long)]
    pub(super) watch: bool,
    #[command(flatten)]
    pub(super) form: Form<DataOrText>,
}

/// A command with all settings of a daemon.
#[derive(Debug, Args)]
pub(super) struct Whole {
    #[command(flatten)]
    pub(super) form: Form<JsonOrText>,
    #[command(flatten)]
    pub(super) settings: Flags<Everything>,
}

/// A command on intent files.
#[derive(Debug, Args)]
pub(super) struct Intents<S: super::settings::Scope> {
    /// Intent files
    #[arg(value_name = "FILE", required = true, num_args = 1..)]
    pub(super) files: Vec<String>,
    #[command(flatten)]
    pub(super) form: Form<JsonOrText>,
    #[command(flatten)]
    pub(super) settings: Flags<S>,
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    pub(super) place: Flags<Place>,
    /// Only these: waiting, running, done, failed
    #[arg(long, value_name = "STATE,...", value_delimiter = ',', value_parser = parse_state)]
    state: Vec<State>,
    #[command(flatten)]
    narrowed: Narrowed,
    /// At most this many, 1 to 1000 [50]
    #[arg(short = 'n', long, value_name = "N", value_parser = parse_limit)]
    limit: Option<usize>,
    /// Shows it again whenever it changes, until interrupted
    #[arg(short, long)]
    pub(super) watch: bool,
    #[command(flatten)]
    pub(super) form: Form<Table>,
}

impl List {
    pub(super) fn selection(&self) -> Selection {
        let selection = self.narrowed.selection();
        Selection { states: self.state.clone(), most: self.limit.unwrap_or(selection.most), ..selection }
    }
}

/// Filters for intents.
#[derive(Debug, Args)]
struct Narrowed {
    /// Only of this target: NAME or NAMESPACE/NAME
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// Only failures with this code, such as E301
    #[arg(long, value_name = "CODE", value_parser = parse_code)]
    code: Option<Code>,
    /// Only since a duration ago (24h, 7d), a day (2026-01-31, yesterday) or a time (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    since: Option<Timestamp>,
}

impl Narrowed {
    fn selection(&self) -> Selection {
        Selection { target: self.target.clone(), code: self.code, since: self.since, ..Selection::default() }
    }
}

#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    pub(super) place: Flags<Place>,
    /// Number or file
    #[arg(value_name = "INTENT")]
    pub(super) intent: String,
    #[command(flatten)]
    pub(super) form: Form<DataOrText>,
}

#[derive(Debug, Args)]
pub(super) struct Explain {
    #[command(flatten)]
    pub(super) place: Flags<Place>,
    /// Number, file or target
    #[arg(value_name = "INTENT")]
    pub(super) intent: String,
    #[command(flatten)]
    pub(super) form: Form<DataOrText>,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("which").required(true)))]
pub(super) struct Retry {
    #[command(flatten)]
    pub(super) place: Flags<Place>,
    /// Numbers or files
    #[arg(value_name = "INTENT", group = "which")]
    pub(super) intents: Vec<String>,
    /// All whose newest run failed; refused files only with --code
    #[arg(long, group = "which")]
    pub(super) failed: bool,
    #[command(flatten)]
    narrowed: Narrowed,
    /// Only list them
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) wait: Wait,
    #[command(flatten)]
    pub(super) form: Form<DataOrText>,
}

impl Retry {
    pub(super) fn selection(&self) -> Selection {
        self.narrowed.selection()
    }
}

/// What a hold covers.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Covered {
    /// Target: NAME or NAMESPACE/NAME
    #[arg(value_name = "TARGET")]
    target: Option<String>,
    /// Everything, whatever is held besides
    #[arg(long)]
    all: bool,
}

impl Covered {
    pub(super) fn target(&self) -> &str {
        self.target.as_deref().unwrap_or(EVERYTHING)
    }
}

#[derive(Debug, Args)]
pub(super) struct Hold {
    #[command(flatten)]
    pub(super) place: Flags<Place>,
    #[command(flatten)]
    pub(super) covered: Covered,
    /// The reason, for other operators
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(super) note: String,
    #[command(flatten)]
    pub(super) form: Form<DataOrText>,
}

#[derive(Debug, Args)]
pub(super) struct Cancel {
    #[command(flatten)]
    pub(super) place: Flags<Place>,
    /// Numbers or files
    #[arg(value_name = "INTENT", required = true, num_args = 1..)]
    pub(super) intents: Vec<String>,
    #[command(flatten)]
    pub(super) form: Form<DataOrText>,
}

#[derive(Debug, Args)]
pub(super) struct Release {
    #[command(flatten)]
    pub(super) place: Flags<Place>,
    #[command(flatten)]
    pub(super) covered: Covered,
    #[command(flatten)]
    pub(super) form: Form<DataOrText>,
}

#[derive(Debug, Args)]
pub(super) struct Purge {
    #[command(flatten)]
    pub(super) place: Flags<Place>,
    /// Decided before a duration ago (24h, 7d), a day or a time
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub(super) older_than: Timestamp,
    /// Really remove them
    #[arg(long)]
    pub(super) yes: bool,
    #[command(flatten)]
    pub(super) form: Form<DataOrText>,
}

#[derive(Debug, Args)]
pub(super) struct Logs {
    #[command(flatten)]
    pub(super) place: Flags<Place>,
    /// At most this many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    pub(super) lines: usize,
    /// Continue with new lines
    #[arg(short, long)]
    pub(super) follow: bool,
    /// Only lines with this text, such as a file or correlation id
    #[arg(long = "of", value_name = "TEXT")]
    pub(super) containing: Option<String>,
    #[command(flatten)]
    pub(super) form: Form<JsonOrText>,
}

#[derive(Debug, Args)]
pub(super) struct Submit {
    /// Files named intent-*.json, others with --as; - is standard input
    #[arg(value_name = "FILE", required = true, num_args = 1..)]
    pub(super) files: Vec<String>,
    /// The name of the one file in the handoff directory [its own; of standard input from its digest]
    #[arg(long = "as", value_name = "NAME")]
    pub(super) named: Option<String>,
    /// Hands in without judging first
    #[arg(long)]
    pub(super) no_check: bool,
    #[command(flatten)]
    pub(super) wait: Wait,
    #[command(flatten)]
    pub(super) settings: Flags<Handing>,
}

#[derive(Debug, Args)]
pub(super) struct WaitFor {
    /// Numbers or files
    #[arg(value_name = "INTENT", required = true, num_args = 1..)]
    pub(super) intents: Vec<String>,
    /// How long to wait for all of them
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    pub(super) timeout: Duration,
    #[command(flatten)]
    pub(super) place: Flags<Place>,
    #[command(flatten)]
    pub(super) form: Form<JsonOrText>,
}

/// Whether to wait for the outcome.
#[derive(Debug, Args)]
pub(super) struct Wait {
    /// Wait for each status and print it; exit 0 or 8
    #[arg(long)]
    wait: bool,
    /// How long to wait for all of them
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    timeout: Duration,
}

impl Wait {
    pub(super) fn limit(&self) -> Option<Duration> {
        self.wait.then_some(self.timeout)
    }
}
