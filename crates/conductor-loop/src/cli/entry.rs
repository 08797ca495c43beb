//! The program's entry: the arguments are parsed, and lead to the daemon or to one command.

use super::arguments::command;
use super::complaint::complain;
use super::dispatch::run_command;
use super::launch::run_daemon;
use super::settings::{Everything, Flags};
use super::subcommand::Subcommand;
use super::{form, order};
use crate::commands::{Colour, CommandError};
use clap::error::ErrorKind;
use clap::{ArgMatches, FromArgMatches};
use conductor_core::Exit;
use conductor_core::arguments::{go_style, not_utf8};
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

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
