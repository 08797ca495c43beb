//! The order of words that people know from kubectl, git and systemctl, in front of a parser that wants a command's settings
//! behind it: `conductor-loop -handoff DIR list`, `conductor-loop help list`, `conductor-loop version`.

use clap::{Arg, Command};
use std::ffi::{OsStr, OsString};

/// Moves the flags in front of a command behind it; `help COMMAND` becomes `COMMAND --help`, and `version` `--version`.
/// Words without a command stay as they are. The first word is the program's name.
pub(super) fn commands_first(root: &Command, words: Vec<OsString>) -> Vec<OsString> {
    let mut words = words.into_iter().peekable();
    let mut ordered: Vec<OsString> = words.next().into_iter().collect();
    let (mut flags, mut command, mut help) = (Vec::new(), root, false);
    while let Some(word) = words.peek() {
        if word == "--" {
            break;
        }
        if is_flag(word) {
            let with_value = takes_next(root, word);
            flags.extend(words.next());
            flags.extend(words.next_if(|_| with_value));
        } else if std::ptr::eq(command, root) && !help && word == "help" {
            help = words.next().is_some();
        } else if std::ptr::eq(command, root) && !help && word == "version" {
            words.next();
            flags.push("--version".into());
        } else if let Some(found) = word.to_str().and_then(|word| command.find_subcommand(word)) {
            command = found;
            ordered.extend(words.next());
        } else {
            break;
        }
    }
    flags.extend(help.then(|| "--help".into()));
    ordered.into_iter().chain(flags).chain(words).collect()
}

fn is_flag(word: &OsStr) -> bool {
    word.len() > 1 && word.as_encoded_bytes().starts_with(b"-")
}

/// Whether the word after this flag is its value. A flag has the same meaning in every command that knows it.
fn takes_next(command: &Command, flag: &OsStr) -> bool {
    let names = |arg: &Arg| match flag.to_str() {
        None => false,
        Some(flag) => {
            flag.strip_prefix("--").is_some_and(|long| arg.get_long() == Some(long))
                || arg
                    .get_short()
                    .is_some_and(|short| flag.strip_prefix('-').is_some_and(|f| f.chars().eq([short])))
        }
    };
    match command.get_arguments().find(|arg| names(arg)) {
        Some(arg) => arg.get_action().takes_values() && !arg.is_require_equals_set(),
        None => command.get_subcommands().any(|command| takes_next(command, flag)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ordered(words: &[&str]) -> Vec<String> {
        let words =
            std::iter::once("conductor-loop").chain(words.iter().copied()).map(OsString::from).collect();
        let ordered = commands_first(&crate::cli::command(), words);
        ordered.into_iter().skip(1).map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn flags_are_taken_before_and_after_the_command() {
        let cases: [(&[&str], &[&str]); 12] = [
            (&["--handoff", "h", "list"], &["list", "--handoff", "h"]),
            (&["--handoff=h", "list", "--json"], &["list", "--handoff=h", "--json"]),
            (&["--handoff", "list", "list"], &["list", "--handoff", "list"]),
            (&["--handoff", "h", "state", "--json", "show"], &["state", "show", "--handoff", "h", "--json"]),
            (&["--json", "-n", "5", "list"], &["list", "--json", "-n", "5"]),
            (&["-o", "yaml", "show", "3"], &["show", "-o", "yaml", "3"]),
            (&["--once", "--handoff", "h"], &["--once", "--handoff", "h"]),
            (&["help"], &["--help"]),
            (&["help", "state", "show"], &["state", "show", "--help"]),
            (&["version"], &["--version"]),
            (&["explain", "help"], &["explain", "help"]),
            (&["--", "list"], &["--", "list"]),
        ];
        for (words, want) in cases {
            assert_eq!(ordered(words), want, "{words:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        /// Whatever is typed is answered: it is valid, or the parser says why not. No word is lost or added but by `help` and `version`.
        #[test]
        fn every_line_of_words_is_parsed_or_refused(
            words in proptest::collection::vec(
                prop_oneof![
                    proptest::sample::select(vec![
                        "list", "show", "state", "export", "help", "version", "submit", "audit", "--json", "-o", "yaml", "-h", "--",
                        "-n", "5", "--since", "7d", "yesterday", "--handoff", "-handoff=x", "-w", "--color", "never", "", "-", "é",
                    ]).prop_map(str::to_owned),
                    "\\PC{0,12}",
                ],
                0..8,
            ),
        ) {
            let line = std::iter::once("conductor-loop".to_owned()).chain(words.iter().cloned()).map(OsString::from);
            let ordered = commands_first(&crate::cli::command(), conductor_core::arguments::go_style(line));
            prop_assert_eq!(ordered.len(), words.len() + 1);
            if let Err(error) = crate::cli::command().try_get_matches_from(ordered) {
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }
}
