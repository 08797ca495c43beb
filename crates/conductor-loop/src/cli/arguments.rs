//! The declaration of the command line for clap, made from the table of settings.

use crate::config::{SETTINGS, Setting, Takes};
use clap::{Arg, ArgAction, Command};

const AFTER: &str = "\
Flags take one dash or two; each is a key of the --config file, most have a variable (CONDUCTOR_...). These and
the rarer ones (TLS, tokens, unsafe directories, ...): `man conductor-loop`, `conductor-loop config show`.
Exit status: 0 good, 1 set-up failed, 2 usage, 3 state not readable or writable, 8 (--once) an intent failed.

Examples:
  conductor-loop -porch builtin -once            work off ./handoff with the embedded engine
  conductor-loop submit --wait intent-scale.json  hand an intent in and wait for its status
  conductor-loop explain intent-scale.json        why it waits or failed, and what to do";

/// The whole command line.
pub fn command() -> Command {
    let command = Command::new("conductor-loop")
        .about("Watches a directory for intent-*.json and runs porch for each: durably, in order, one outcome each")
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(AFTER)
        .override_usage("conductor-loop [FLAGS]\n       conductor-loop <COMMAND> [ARGS]")
        .args_conflicts_with_subcommands(true)
        .disable_help_subcommand(true)
        .args(SETTINGS.iter().map(flag));
    command.subcommands(operating().into_iter().chain([
        submit(),
        check(),
        plan(),
        state(),
        config(),
        doctor(),
        schema(),
    ]))
}

/// Flags that few need: the page is to fit a screen. The man page and the README have them all.
const RARER: [&str; 23] = [
    "period",
    "grace-period",
    "max-attempts",
    "retention",
    "health-addr",
    "metrics-addr",
    "insecure-listen",
    "tls-cert",
    "tls-key",
    "tls-client-ca",
    "token-file",
    "open-page",
    "kubernetes",
    "state-dir",
    "kubeconfig",
    "allow-scale-to-zero",
    "allow-unsafe-handoff",
    "allow-unsafe-porch",
    "log-format",
    "security-enabled",
    "chroot-enabled",
    "encryption-enabled",
    "audit-enabled",
];

fn flag(setting: &Setting) -> Arg {
    let default = if setting.default.is_empty() || setting.takes == Takes::Switch {
        String::new()
    } else {
        format!(" [{}]", setting.default)
    };
    // Lists may also be given one by one.
    let action = if setting.is_list() { ArgAction::Append } else { ArgAction::Set };
    let arg = Arg::new(setting.key)
        .long(setting.key)
        .help(format!("{}{default}", setting.help))
        .action(action)
        .hide(RARER.contains(&setting.key))
        .allow_hyphen_values(true);
    match setting.takes {
        Takes::Value(name) => arg.value_name(name),
        Takes::Switch => arg
            .value_name("BOOL")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .hide_possible_values(true),
    }
}

/// The settings that every command needs to find its directory.
fn place_flags() -> impl Iterator<Item = Arg> {
    flags_of(&["handoff", "state-dir", "config"])
}

fn json() -> Arg {
    Arg::new("json").long("json").action(ArgAction::SetTrue).help("Answer in JSON")
}

fn value(name: &'static str, placeholder: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(placeholder).help(help)
}

fn of(help: &'static str) -> Arg {
    Arg::new("OF").required(true).help(help)
}

/// How long --wait waits.
fn wait() -> [Arg; 2] {
    [
        Arg::new("wait")
            .long("wait")
            .action(ArgAction::SetTrue)
            .help("Wait for each status and print it; exit 0 or 8"),
        Arg::new("wait-timeout")
            .long("timeout")
            .value_name("TIME")
            .default_value("60s")
            .help("How long to wait for all of them"),
    ]
}

fn since() -> Arg {
    value("since", "TIME", "Only since a duration ago (24h) or a time (RFC 3339)")
}

fn target() -> Arg {
    value("target", "TARGET", "Only of this target: NAME or NAMESPACE/NAME")
}

/// What an operator looks at and does.
fn operating() -> Vec<Command> {
    let subcommand =
        |name: &'static str, about: &'static str| Command::new(name).about(about).args(place_flags());
    let code = || value("code", "CODE", "Only failures with this code, such as E301");
    vec![
        subcommand("status", "How the daemon is, what waits, what was done").arg(json()),
        subcommand("health", "Exit 0 if the daemon runs and takes files, else 1: for container probes")
            .arg(json()),
        subcommand("list", "Intents: unfinished ones in their order, then finished ones, newest first")
            .arg(value("state", "STATE,...", "Only these: waiting, running, done, failed"))
            .args([target(), code(), since()])
            .arg(value("limit", "N", "At most so many, 1 to 1000 [50]"))
            .arg(json()),
        subcommand("show", "Everything about one intent: timeline, change of the package, output, error log")
            .arg(of("Number or file"))
            .arg(json()),
        subcommand("explain", "The one reason why something waits or failed, and what to do")
            .arg(of("Number, file or target"))
            .arg(json()),
        subcommand("retry", "Hands failed intents in again, byte for byte; exit 0, or 1 if one could not be")
            .arg(Arg::new("OF").num_args(0..).help("Numbers or files"))
            .arg(
                Arg::new("failed")
                    .long("failed")
                    .action(ArgAction::SetTrue)
                    .help("All whose newest run failed; refused files only with --code"),
            )
            .args([code(), since(), target()])
            .arg(Arg::new("dry-run").long("dry-run").action(ArgAction::SetTrue).help("Only say which"))
            .args(wait())
            .arg(json()),
        subcommand("hold", "Starts nothing of a target until it is released; what runs goes on")
            .arg(of("Target: NAME or NAMESPACE/NAME"))
            .arg(value("note", "TEXT", "Why, for whoever looks next"))
            .arg(json()),
        subcommand("release", "Lets a held target go on")
            .arg(of("Target: NAME or NAMESPACE/NAME"))
            .arg(json()),
        subcommand("purge", "Removes old outcomes with their files; without --yes it says what would go")
            .arg(value("older-than", "TIME", "Decided before a duration ago (24h) or a time").required(true))
            .arg(Arg::new("yes").long("yes").action(ArgAction::SetTrue).help("Do it"))
            .arg(json()),
        subcommand("logs", "The daemon's last log lines")
            .arg(value("lines", "N", "At most so many").default_value("100"))
            .arg(Arg::new("follow").long("follow").action(ArgAction::SetTrue).help("And those that come"))
            .arg(value("of", "TEXT", "Only lines with this text, such as a file or correlation id"))
            .arg(json()),
        subcommand("top", "What happens now, on a terminal: q quits").arg(json()),
    ]
}

fn submit() -> Command {
    Command::new("submit")
        .about("Hands intents in: temporary file, fsync, rename into the handoff directory")
        .arg(Arg::new("FILE").required(true).num_args(1..).help("Files named intent-*.json"))
        .args(wait())
        .args(place_flags())
}

/// Flags by their keys.
fn flags_of(keys: &'static [&'static str]) -> impl Iterator<Item = Arg> {
    SETTINGS.iter().filter(move |setting| keys.contains(&setting.key)).map(flag)
}

fn intent_files() -> Arg {
    Arg::new("FILE").required(true).num_args(1..).help("Intent files")
}

fn check() -> Command {
    Command::new("check")
        .about("Judges intents as the daemon would, without handing them in; exit 0 or 8")
        .arg(intent_files())
        .arg(json())
        .args(flags_of(&["max-file-size", "allow-scale-to-zero", "config"]))
}

fn plan() -> Command {
    Command::new("plan")
        .about("Shows the change of the package that the embedded engine would make; exit 0 or 8")
        .arg(intent_files())
        .arg(json())
        .args(flags_of(&["out", "mode", "max-file-size", "allow-scale-to-zero", "config"]))
}

fn state() -> Command {
    let file = |help: &'static str| Arg::new("FILE").help(help);
    Command::new("state")
        .about("Shows, exports, imports or makes again the durable state")
        .subcommand_required(true)
        .subcommand(
            Command::new("show")
                .about("Where the state is, totals, what is unfinished")
                .arg(json())
                .args(place_flags()),
        )
        .subcommand(
            Command::new("export")
                .about("Writes every outcome as a line of JSON")
                .arg(file("Where to; standard output if absent"))
                .args(place_flags()),
        )
        .subcommand(
            Command::new("import")
                .about("Reads an export, or the state file of the Go version")
                .arg(file("Where from").required(true))
                .args(place_flags()),
        )
        .subcommand(
            Command::new("rebuild")
                .about("Makes a damaged, missing or older state again from all that is left of it and from the statuses")
                .args(place_flags()),
        )
}

fn config() -> Command {
    Command::new("config").about("Shows the configuration").subcommand_required(true).subcommand(
        Command::new("show")
            .about("Every setting, its value and where that comes from")
            .arg(json())
            .args(SETTINGS.iter().map(flag)),
    )
}

fn doctor() -> Command {
    Command::new("doctor")
        .about("Looks at everything a daemon would meet, and says what to do; exit 0 or 1")
        .arg(json())
        .args(SETTINGS.iter().map(flag))
}

fn schema() -> Command {
    Command::new("schema").about("Prints the JSON Schema of intents")
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor_core::arguments::go_style;
    use std::ffi::OsString;

    fn parse(words: &[&str]) -> Result<clap::ArgMatches, clap::Error> {
        let words = std::iter::once("conductor-loop").chain(words.iter().copied()).map(OsString::from);
        command().try_get_matches_from(go_style(words))
    }

    #[test]
    fn go_and_gnu_spellings() {
        for words in [&["-handoff", "x"][..], &["--handoff", "x"], &["-handoff=x"], &["--handoff=x"]] {
            assert_eq!(parse(words).unwrap().get_one::<String>("handoff").unwrap(), "x");
        }
        for (words, want) in
            [(&["-once"][..], "true"), (&["--once=false"], "false"), (&["-once=true"], "true")]
        {
            assert_eq!(parse(words).unwrap().get_one::<String>("once").unwrap(), want);
        }
        assert_eq!(parse(&["-h"]).unwrap_err().kind(), clap::error::ErrorKind::DisplayHelp);
    }

    #[test]
    fn mistakes_are_refused_with_a_suggestion() {
        let error = parse(&["-handof", "x"]).unwrap_err();
        assert!(error.to_string().contains("--handoff"), "{error}");
        assert!(parse(&["leftover"]).is_err());
        assert!(parse(&["-porch-url", "http://x"]).is_err());
        assert!(parse(&["-mode", "direct", "-mode", "structured"]).is_err(), "once is enough");
        assert!(parse(&["-once", "false"]).is_err(), "a switch takes an attached value only, as in Go");
    }

    #[test]
    fn the_declaration_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn help_fits_a_screen() {
        let help = command().render_help().to_string();
        assert!(help.lines().count() <= 50, "{} lines", help.lines().count());
        assert!(help.lines().all(|line| line.chars().count() <= 120), "lines fit a terminal");
    }
}
