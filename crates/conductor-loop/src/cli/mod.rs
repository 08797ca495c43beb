//! The command line: flags from the one table of settings, Go's single dash accepted, subcommands, exit statuses.

mod arguments;

pub use arguments::command;

use crate::config::{Config, ConfigError, Environment, LogFormat, SETTINGS, layer};
use crate::daemon::{self, Failure, Summary};
use crate::ops::{self, OpsError};
use crate::telemetry::{self, Progress};
use clap::ArgMatches;
use conductor_core::Code;
use conductor_core::arguments::go_style;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

/// Exit statuses (design part 5).
pub mod exit {
    /// All good; also when only interrupted work is left for the next run.
    pub const OK: u8 = 0;
    /// Set-up failed.
    pub const SET_UP: u8 = 1;
    /// The command line or configuration is wrong.
    pub const USAGE: u8 = 2;
    /// The end state could not be read or written.
    pub const STATE: u8 = 3;
    /// This run had at least one failed intent.
    pub const FAILED: u8 = 8;
}

/// How long the end of the daemon waits for a reader of standard error that takes nothing.
const READER_PATIENCE: Duration = Duration::from_secs(1);

/// Runs the program with these arguments, the program's name first.
pub fn main(words: impl Iterator<Item = OsString>) -> ExitCode {
    let matches = match command().try_get_matches_from(go_style(words)) {
        Ok(matches) => matches,
        Err(error) => {
            // Help and version are no errors; clap says which stream is right.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::OK });
        }
    };
    ExitCode::from(dispatch(&matches))
}

fn dispatch(matches: &ArgMatches) -> u8 {
    let (inner, run): (&ArgMatches, fn(&ArgMatches) -> u8) = match matches.subcommand() {
        None => (matches, run_daemon),
        Some(("submit", inner)) => (inner, submit),
        Some(("check", inner)) => (inner, |matches| with_files(matches, ops::check)),
        Some(("plan", inner)) => (inner, |matches| with_files(matches, ops::plan)),
        Some(("doctor", inner)) => {
            (inner, |matches| with_config(matches, |config| ops::doctor(config, matches.get_flag("json"))))
        }
        Some(("schema", _)) => return answer(ops::print_schema()),
        Some((name, inner)) if OPERATING.contains(&name) => return operate(name, inner),
        Some(("config", inner)) => match inner.subcommand() {
            Some((_, inner)) => (inner, |matches| {
                answer(
                    layers(matches)
                        .map_err(OpsError::from)
                        .and_then(|raw| ops::config_show(&raw, matches.get_flag("json"))),
                )
            }),
            None => return exit::USAGE,
        },
        Some((_, inner)) => match inner.subcommand() {
            Some(("show", inner)) => (inner, |matches| {
                with_config(matches, |config| ops::state_show(config, matches.get_flag("json")))
            }),
            Some(("export", inner)) => (inner, |matches| {
                with_config(matches, |config| ops::state_export(config, matches.get_one("FILE")))
            }),
            Some(("rebuild", inner)) => (inner, |matches| with_config(matches, ops::state_rebuild)),
            Some((_, inner)) => (inner, |matches| {
                with_config(matches, |config| ops::state_import(config, matches.get_one("FILE")))
            }),
            None => return exit::USAGE,
        },
    };
    run(inner)
}

/// What an operator looks at and does.
const OPERATING: [&str; 11] =
    ["status", "health", "list", "show", "explain", "retry", "hold", "release", "purge", "logs", "top"];

fn operate(name: &str, matches: &ArgMatches) -> u8 {
    let text = |key: &str| matches.try_get_one::<String>(key).ok().flatten().cloned();
    let switch = |key: &str| matches.try_get_one::<bool>(key).ok().flatten().copied().unwrap_or(false);
    let (of, json) = (text("OF").unwrap_or_default(), switch("json"));
    let wanted = || ops::Wanted {
        state: text("state"),
        target: text("target"),
        code: text("code"),
        since: text("since"),
        limit: text("limit"),
    };
    with_config(matches, |config| match name {
        "status" => ops::status(config, json),
        "health" => ops::health(config, json),
        "list" => ops::list(config, &wanted(), json),
        "show" => ops::show(config, &of, json),
        "explain" => ops::explain(config, &of, json),
        "retry" => {
            let again = ops::Again {
                of: matches.get_many("OF").unwrap_or_default().cloned().collect(),
                failed: switch("failed"),
                wanted: wanted(),
                dry_run: switch("dry-run"),
                wait: patience(matches)?,
            };
            ops::retry(config, &again, json)
        }
        "hold" => ops::hold(config, &of, &text("note").unwrap_or_default(), json),
        "release" => ops::release(config, &of, json),
        "purge" => ops::purge(config, &text("older-than").unwrap_or_default(), switch("yes"), json),
        "logs" => {
            let (lines, only) = (text("lines").unwrap_or_default(), text("of"));
            ops::logs(config, &lines, (switch("follow"), json), only.as_deref())
        }
        _ => ops::top(config, json),
    })
}

/// How long --wait waits, if it is asked for.
fn patience(matches: &ArgMatches) -> Result<Option<Duration>, OpsError> {
    let text = matches.get_flag("wait").then(|| matches.get_one::<String>("wait-timeout")).flatten();
    text.map(|text| ops::wait_time(text)).transpose()
}

fn layers(matches: &ArgMatches) -> Result<crate::config::Layers, ConfigError> {
    let mut flags = BTreeMap::new();
    for setting in SETTINGS {
        if let Ok(Some(values)) = matches.try_get_many::<String>(setting.key) {
            flags.insert(setting.key, values.cloned().collect::<Vec<_>>().join(","));
        }
    }
    layer(&flags, &Environment::of_process()?)
}

fn config(matches: &ArgMatches) -> Result<Config, ConfigError> {
    layers(matches).and_then(Config::new)
}

/// The configuration of a daemon, which does not begin without what it asks for.
fn config_to_start(matches: &ArgMatches) -> Result<Config, ConfigError> {
    let config = config(matches)?;
    config.may_start().map(|()| config)
}

fn with_config(matches: &ArgMatches, work: impl FnOnce(&Config) -> Result<u8, OpsError>) -> u8 {
    answer(config(matches).map_err(OpsError::from).and_then(|config| work(&config)))
}

fn files(matches: &ArgMatches) -> Vec<String> {
    matches.get_many("FILE").unwrap_or_default().cloned().collect()
}

fn with_files(
    matches: &ArgMatches,
    work: impl FnOnce(&Config, &[String], bool) -> Result<u8, OpsError>,
) -> u8 {
    with_config(matches, |config| work(config, &files(matches), matches.get_flag("json")))
}

fn submit(matches: &ArgMatches) -> u8 {
    with_config(matches, |config| ops::submit(config, &files(matches), patience(matches)?))
}

fn run_daemon(matches: &ArgMatches) -> u8 {
    let config = match config_to_start(matches) {
        Ok(config) => config,
        Err(error) => {
            return complain(&format!("{} {error}", error.code()), error.code().remedy(), exit::USAGE);
        }
    };
    let progress = Progress::for_run(config.fixed.once);
    let json = match config.fixed.log_format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    };
    if let Err(error) = telemetry::init(config.live.log_level, json, &progress) {
        let message = format!("{} cannot start the log thread: {error}", Code::DirectorySetup);
        return complain(&message, Code::DirectorySetup.remedy(), exit::SET_UP);
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let once = config.fixed.once;
    let reload = || config_to_start(matches);
    let ended = daemon::run(config, &reload, &progress);
    // Whoever does not read must not keep the process from ending.
    let shown = telemetry::flush(READER_PATIENCE) && progress.finish();
    let status = match ended {
        Ok(summary) => {
            if shown {
                telemetry::say(&summary.to_string());
            } else if once {
                log_summary(&summary);
            }
            if once && summary.failed > 0 { exit::FAILED } else { exit::OK }
        }
        Err(failure) => complain_of(&failure),
    };
    telemetry::flush(READER_PATIENCE);
    status
}

fn log_summary(summary: &Summary) {
    let Summary { processed, duplicates, failed, interrupted, .. } = summary;
    tracing::info!(processed, duplicates, failed, interrupted, "done");
}

fn complain_of(failure: &Failure) -> u8 {
    complain(&failure.to_string(), failure.remedy(), failure.exit_status())
}

fn answer(result: Result<u8, OpsError>) -> u8 {
    match result {
        Ok(status) => status,
        Err(error) => complain(&error.message, &error.remedy, error.status),
    }
}

fn complain(message: &str, remedy: &str, status: u8) -> u8 {
    telemetry::say(&format!("ERROR: {message}\n  hint: {remedy}\n"));
    status
}
