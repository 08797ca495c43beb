//! The program's entry: parses the command line, runs the daemon or one command, prints its error and returns its exit status.

mod arguments;
mod form;
mod order;
mod settings;
mod subcommand;
mod values;

pub use arguments::command;

use crate::commands::{
    self, AuditFilter, BackupArgs, Colour, CommandError, LogsArgs, Retried, RetryArgs, SubmitArgs, VerifyArgs,
};
use crate::config::{Config, ConfigError, Environment, Layers, LogFormat, layer};
use crate::confinement;
use crate::daemon::{self, Summary};
use crate::telemetry::{self, Progress};
use clap::error::ErrorKind;
use clap::{ArgMatches, FromArgMatches};
use conductor_core::arguments::{go_style, not_utf8};
use conductor_core::{Code, Exit};
use settings::{Everything, Flags};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;
use subcommand::{
    AuditCommand, BackupCommand, BackupFile, ConfigCommand, KeysCommand, StateCommand, Subcommand,
};

/// How long the daemon's end waits for a stalled reader of standard error.
const READER_PATIENCE: Duration = Duration::from_secs(1);

/// Runs the program with these arguments, the program's name first.
pub fn main(words: impl Iterator<Item = OsString>) -> ExitCode {
    let mut root = command();
    let words = order::commands_first(&root, go_style(words));
    let parsed = root.try_get_matches_from_mut(words.iter().cloned()).map_err(|error| match error.kind() {
        ErrorKind::InvalidUtf8 => {
            not_utf8(&words, |_| false).map_or(error, |named| root.error(ErrorKind::InvalidUtf8, named))
        }
        _ => error,
    });
    let exit = match parsed.and_then(|matches| dispatch(&matches)) {
        Ok(exit) => exit,
        Err(error) => {
            if error.use_stderr() {
                // That it cannot be shown does not make it right.
                let _ = error.print();
                Exit::Usage
            } else {
                // Help and version are what was asked for: who gets nothing has to know.
                let printed = error.print().and_then(|()| io::stdout().flush());
                let failed = printed.err().filter(|error| error.kind() != io::ErrorKind::BrokenPipe);
                failed
                    .map(CommandError::Output)
                    .map_or(Exit::Good, |error| complain(&error, error.remedy(), error.exit()))
            }
        }
    };
    ExitCode::from(exit.status())
}

fn dispatch(matches: &ArgMatches) -> Result<Exit, clap::Error> {
    if matches.subcommand().is_none() {
        return Ok(run_daemon(&Flags::<Everything>::from_arg_matches(matches)?.values));
    }
    let command = Subcommand::from_arg_matches(matches)?;
    colour(matches).apply(|name| std::env::var(name).ok());
    Ok(run_command(command).unwrap_or_else(|error| complain(&error, error.remedy(), error.exit())))
}

/// When the answer of a command is coloured.
fn colour(mut matches: &ArgMatches) -> Colour {
    while let Some((_, inner)) = matches.subcommand() {
        matches = inner;
    }
    matches.try_get_one(form::COLOUR).ok().flatten().copied().unwrap_or_default()
}

/// Settings as written by the user, by key.
type Written = BTreeMap<&'static str, String>;

fn run_command(command: Subcommand) -> Result<Exit, CommandError> {
    match command {
        Subcommand::Status(args) => {
            commands::status(&config(&args.place.values)?, args.watch, args.form.output)
        }
        Subcommand::Health(args) => commands::health(&config(&args.place.values)?, args.form.output),
        Subcommand::Top(args) => commands::top(&config(&args.place.values)?, args.form.output),
        Subcommand::List(args) => {
            commands::list(&config(&args.place.values)?, &args.selection(), args.watch, args.form.output)
        }
        Subcommand::Show(args) => {
            commands::show(&config(&args.place.values)?, &args.intent, args.form.output)
        }
        Subcommand::Explain(args) => {
            commands::explain(&config(&args.place.values)?, &args.intent, args.form.output)
        }
        Subcommand::Retry(args) => {
            let selection = args.failed.then(|| args.selection());
            let which = selection.map_or(Retried::Named(args.intents), Retried::Failed);
            let retry = RetryArgs { which, dry_run: args.dry_run, wait: args.wait.limit() };
            commands::retry(&config(&args.place.values)?, &retry, args.form.output)
        }
        Subcommand::Hold(args) => {
            commands::hold(&config(&args.place.values)?, args.covered.target(), &args.note, args.form.output)
        }
        Subcommand::Release(args) => {
            commands::release(&config(&args.place.values)?, args.covered.target(), args.form.output)
        }
        Subcommand::Cancel(args) => {
            commands::cancel(&config(&args.place.values)?, &args.intents, args.form.output)
        }
        Subcommand::Purge(args) => {
            commands::purge(&config(&args.place.values)?, args.older_than, args.yes, args.form.output)
        }
        Subcommand::Logs(args) => {
            let (lines, follow, containing) = (args.lines, args.follow, args.containing);
            let logs = LogsArgs { lines, follow, containing, output: args.form.output };
            commands::logs(&config(&args.place.values)?, &logs)
        }
        Subcommand::Submit(args) => {
            let (named, unchecked, wait) = (args.named, args.no_check, args.wait.limit());
            let submit = SubmitArgs { files: args.files, named, unchecked, wait };
            commands::submit(&config(&args.settings.values)?, &submit)
        }
        Subcommand::Wait(args) => {
            commands::wait(&config(&args.place.values)?, &args.intents, args.timeout, args.form.output)
        }
        Subcommand::Check(args) => {
            commands::check(&config(&args.settings.values)?, &args.files, args.form.output)
        }
        Subcommand::Plan(args) => {
            commands::plan(&config(&args.settings.values)?, &args.files, args.form.output)
        }
        Subcommand::State(command) => run_state_command(command),
        Subcommand::Keys(command) => run_keys_command(command),
        Subcommand::Backup(command) => run_backup_command(command),
        Subcommand::Audit(command) => run_audit_command(command),
        Subcommand::Trace(args) => {
            let filter = AuditFilter { correlation_id: Some(args.correlation_id), ..AuditFilter::default() };
            commands::audit_show(&config(&args.place.values)?, &filter, args.form.output)
        }
        Subcommand::Verify(args) => {
            let verify = VerifyArgs { dir: args.dir, public: args.public, since: args.since };
            commands::verify(&config(&args.place.values)?, &verify, args.form.output)
        }
        Subcommand::Config(ConfigCommand::Show(args)) => {
            commands::config_show(&layers(&args.settings.values)?, args.form.output)
        }
        Subcommand::Doctor(args) => commands::doctor(&config(&args.settings.values)?, args.form.output),
        Subcommand::Schema => commands::print_schema(),
    }
}

fn run_state_command(command: StateCommand) -> Result<Exit, CommandError> {
    match command {
        StateCommand::Show(args) => commands::state_show(&config(&args.place.values)?, args.form.output),
        StateCommand::Export { file, place } => {
            commands::state_export(&config(&place.values)?, file.as_deref())
        }
        StateCommand::Import { file, place } => commands::state_import(&config(&place.values)?, &file),
        StateCommand::Rebuild { place } => commands::state_rebuild(&config(&place.values)?),
    }
}

fn run_audit_command(command: AuditCommand) -> Result<Exit, CommandError> {
    match command {
        AuditCommand::Show(args) => {
            let (since, event, correlation_id) = (args.since, args.event, args.correlation_id);
            let filter = AuditFilter { since, event, correlation_id };
            commands::audit_show(&config(&args.place.values)?, &filter, args.form.output)
        }
        AuditCommand::Verify(args) => {
            let verify = VerifyArgs { dir: args.dir, public: args.public, since: args.since };
            commands::audit_verify(&config(&args.place.values)?, &verify, args.form.output)
        }
        AuditCommand::Proof { place, entry } => commands::audit_proof(&config(&place.values)?, entry),
        AuditCommand::Export { place } => commands::audit_export(&config(&place.values)?),
    }
}

fn run_backup_command(command: BackupCommand) -> Result<Exit, CommandError> {
    let of = |which: BackupFile| {
        let args = BackupArgs { file: which.file, identity: which.identity, public: which.public };
        config(&which.settings.values).map(|config| (config, args))
    };
    match command {
        BackupCommand::Now(args) => commands::backup_now(&config(&args.settings.values)?, args.form.output),
        BackupCommand::List(args) => commands::backup_list(&config(&args.settings.values)?, args.form.output),
        BackupCommand::Verify { which, form } => {
            let (config, args) = of(which)?;
            commands::backup_verify(&config, &args, form.output)
        }
        BackupCommand::Restore(which) => {
            let (config, args) = of(which)?;
            commands::backup_restore(&config, &args)
        }
    }
}

fn run_keys_command(command: KeysCommand) -> Result<Exit, CommandError> {
    match command {
        KeysCommand::Show(args) => commands::keys_show(&config(&args.place.values)?, args.form.output),
        KeysCommand::Rotate { place } => commands::keys_rotate(&config(&place.values)?),
        KeysCommand::ExportPublic { place } => commands::keys_export_public(&config(&place.values)?),
    }
}

fn layers(written: &Written) -> Result<Layers, ConfigError> {
    layer(written, &Environment::of_process()?)
}

fn config(written: &Written) -> Result<Config, ConfigError> {
    layers(written).and_then(Config::new)
}

fn run_daemon(written: &Written) -> Exit {
    let read = || config(written);
    let config = match read() {
        Ok(config) => config,
        Err(error) => {
            return complain(&format_args!("{} {error}", error.code()), error.code().remedy(), Exit::Usage);
        }
    };
    // Before anything is opened, and before there is another thread.
    if let Err(refused) = confinement::begin(&config, || daemon::find_porch(&config).ok().flatten()) {
        return complain(&refused, refused.code.remedy(), Exit::SetUp);
    }
    let progress = Progress::for_run(config.fixed.once);
    let json = match config.fixed.log_format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !io::stderr().is_terminal(),
    };
    let instance = config.fixed.instance.as_deref();
    if let Err(error) = telemetry::init(config.live.log_level, json, instance, &progress) {
        let message = format!("{} cannot start the log thread: {error}", Code::DirectorySetup);
        return complain(&message, Code::DirectorySetup.remedy(), Exit::SetUp);
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    confinement::say_begun(&config);
    let once = config.fixed.once;
    let ended = daemon::run(config, &read, &progress);
    // A reader that has stalled must not keep the process from ending.
    let shown = telemetry::flush(READER_PATIENCE) && progress.finish();
    let status = match ended {
        Ok(summary) => {
            if shown {
                telemetry::say(&summary.to_string());
            } else {
                log_summary(&summary, if once { "done" } else { "stopped" });
            }
            if once && summary.failed > 0 { Exit::Failed } else { Exit::Good }
        }
        Err(failure) => complain(&failure, failure.remedy(), failure.exit()),
    };
    telemetry::flush(READER_PATIENCE);
    status
}

fn log_summary(summary: &Summary, ended: &str) {
    let Summary { processed, duplicates, failed, interrupted, .. } = summary;
    tracing::info!(processed, duplicates, failed, interrupted, "{ended}");
}

/// Prints the failure and its remedy.
fn complain(error: &dyn std::fmt::Display, remedy: &str, exit: Exit) -> Exit {
    telemetry::say(&format!("ERROR: {error}\n  hint: {remedy}\n"));
    exit
}
