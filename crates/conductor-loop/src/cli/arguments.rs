//! The command line: the daemon's flags, made from the table of settings, and the subcommands.

use super::settings::{Everything, Flags};
use super::subcommand::Subcommand;
use clap::{Args, Command, Subcommand as _};

const AFTER: &str = "\
Flags take one dash or two; each is a key of the --config file, most have a variable (CONDUCTOR_...). These and
the rarer ones (TLS, tokens, unsafe directories, ...): `man conductor-loop`, `conductor-loop config show`.
Exit status: 0 good, 1 set-up failed, 2 usage, 3 state not readable or writable, 8 (--once) an intent failed.

Examples:
  conductor-loop -porch builtin -once            process ./handoff with the embedded engine
  conductor-loop submit --wait intent-scale.json  hand an intent in and wait for its status
  conductor-loop explain intent-scale.json        why it waits or failed, and what to do";

/// The whole command line.
pub fn command() -> Command {
    let command = Command::new("conductor-loop")
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(AFTER)
        .override_usage("conductor-loop [FLAGS]\n       conductor-loop <COMMAND> [ARGS]")
        .args_conflicts_with_subcommands(true)
        .disable_help_subcommand(true);
    Subcommand::augment_subcommands(Flags::<Everything>::augment_args(command)).about(
        "Watches a directory for intent-*.json and runs porch for each: durably, in order, one outcome each",
    )
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
        assert!(help.lines().count() <= 54, "{} lines", help.lines().count());
        assert!(help.lines().all(|line| line.chars().count() <= 120), "lines fit a terminal");
    }
}
