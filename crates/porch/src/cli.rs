//! The command line of the `porch` program: the specification's three flags, and our additions.

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};
use conductor_core::arguments::{go_style, not_utf8};
use conductor_core::units::parse_duration;
use conductor_os::plain::read_whole;
use conductor_porch::{Form, Repository, Routes, Settings};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

const AFTER: &str = "\
Flags take one dash or two, and their value after a blank or '='. One line of JSON on standard output says what was done.
Intents of several files are judged first, those of standard input each in its turn; the status is that of the worst failure.
Exit status: 0 done or nothing to do, 64 usage, 65 intent refused, 66 intent unreadable, 70 defect, 73 package cannot be
created or edited, 74 reading or writing failed, 75 busy or temporary (try again), 77 refused by policy.

Examples:
  porch -intent intent-scale.json -out ./packages                       edit the package there, or make one
  porch -intent intent-scale.json -out ./packages --dry-run             show the diff, write nothing
  cat *.json | porch -intent - -out ./packages                          one after the other
  porch -intent intent-scale.json --git ./repo --branch main --push origin";

/// The largest file of routes.
const ROUTES_MAX: u64 = 16 << 20;

/// The parsed command line.
pub(crate) struct Arguments {
    /// The intent files; at least one.
    pub intents: Vec<PathBuf>,
    /// Whether to show a diff instead of writing.
    pub dry_run: bool,
    /// The file for the result line, besides standard output.
    pub result: Option<PathBuf>,
    /// How long to wait for another process's lock.
    pub lock_wait: Duration,
    /// The time limit of one intent.
    pub timeout: Duration,
    /// The engine's settings.
    pub settings: Settings,
}

/// Parses the command line. The error tells whether it is a failure (help and version are not).
pub(crate) fn parse(words: impl Iterator<Item = OsString>) -> Result<Arguments, clap::Error> {
    let mut command = command();
    let words = go_style(words);
    let matches = match command.try_get_matches_from_mut(words.clone()) {
        Err(error) if error.kind() == ErrorKind::InvalidUtf8 => {
            let path = std::any::TypeId::of::<PathBuf>();
            let is_path = |flag: &str| {
                let known = command.get_arguments().find(|argument| argument.get_long() == Some(flag));
                known.is_some_and(|argument| argument.get_value_parser().type_id() == path)
            };
            let named = not_utf8(&words, is_path);
            return Err(named.map_or(error, |named| command.error(ErrorKind::InvalidUtf8, named)));
        }
        matches => matches?,
    };
    arguments(&matches).map_err(|reason| command.error(ErrorKind::ValueValidation, reason))
}

fn command() -> Command {
    let path = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).value_parser(clap::value_parser!(PathBuf)).help(help)
    };
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help).requires("git")
    };
    // As in Go, a switch may carry an attached value.
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .default_value("false")
            .hide_default_value(true)
            .hide_possible_values(true)
            .action(ArgAction::Set)
            .value_parser(clap::value_parser!(bool))
            .help(help)
    };
    let time = |name: &'static str, default: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("TIME").default_value(default).help(help)
    };
    let help = "The intent (JSON); - reads standard input, one or several; again for more intents";
    let intent = path("intent", "FILE", help);
    Command::new("porch")
        .about("Turns one intent into one change of one Kubernetes package")
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(AFTER)
        .override_usage("porch -intent FILE -out DIR [-structured] [FLAGS]")
        .arg(intent.required(true).action(ArgAction::Append))
        .arg(path("out", "DIR", "Where packages are; made when missing").required_unless_present("git"))
        .arg(switch("structured", "A strategic-merge patch instead of the object itself"))
        .arg(switch("kustomize", "With -structured: also a kustomize Component").requires("structured"))
        .arg(path("base", "DIR", "The package a new one is copied from"))
        .arg(path("routes", "FILE", "TOML with [[route]], [[workload]] and [repository.NAME] tables"))
        .arg(switch("dry-run", "Print a unified diff, write nothing"))
        .arg(path("result", "FILE", "Write the result line to this file too"))
        .arg(path("git", "REPO", "Commit to this work tree or bare repository instead of writing to -out"))
        .arg(text("branch", "NAME", "The branch to commit to [default: the branch of HEAD]"))
        .arg(text("from", "NAME", "Where the branch begins when it is not there; HEAD: the default branch"))
        .arg(text("directory", "DIR", "Where in the repository packages are").default_value(""))
        .arg(text("push", "REMOTE", "Push each commit; on a race, fetch, edit again, push again"))
        .arg(text("author", "NAME", "Author and committer: 'Name <address>'"))
        .arg(path("signing-key", "FILE", "SSH key that signs the commits").requires("git"))
        .arg(time("lock-wait", "10s", "How long to wait for another run in the same place"))
        .arg(time("timeout", "60s", "How long git and remotes may take for one intent"))
}

fn arguments(matches: &ArgMatches) -> Result<Arguments, String> {
    let path = |name: &str| matches.get_one::<PathBuf>(name).cloned();
    let text = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
    let switch = |name: &str| matches.get_one::<bool>(name).copied().unwrap_or_default();
    let time = |name: &str| parse_duration(&text(name)).map_err(|error| format!("--{name}: {error}"));
    let repository = path("git").map(|git| repository(git, matches)).transpose()?;
    let routes = path("routes").map(|file| read_routes(&file)).transpose()?.unwrap_or_default();
    Ok(Arguments {
        intents: matches.get_many::<PathBuf>("intent").into_iter().flatten().cloned().collect(),
        dry_run: switch("dry-run"),
        result: path("result"),
        lock_wait: time("lock-wait")?,
        timeout: time("timeout")?,
        settings: Settings {
            out: path("out").unwrap_or_default(),
            form: if switch("structured") { Form::Structured } else { Form::Direct },
            kustomize: switch("kustomize"),
            base: path("base"),
            routes,
            repository,
            durable: true,
        },
    })
}

fn repository(git: PathBuf, matches: &ArgMatches) -> Result<Repository, String> {
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    let mut repository = Repository::new(git);
    repository.branch = text("branch");
    repository.from = text("from");
    repository.directory = text("directory").unwrap_or_default();
    repository.push = text("push");
    repository.author = text("author").unwrap_or(repository.author);
    repository.signing_key = matches.get_one::<PathBuf>("signing-key").cloned();
    repository.validate().map(|()| repository)
}

/// The tables of a file; the daemon's configuration file is accepted, and its other keys are ignored.
fn read_routes(path: &std::path::Path) -> Result<Routes, String> {
    let said = |reason: String| format!("--routes {}: {reason}", path.display());
    let content = std::fs::File::open(path).and_then(|file| read_whole(file, ROUTES_MAX));
    let content = content.map_err(|error| said(error.to_string()))?;
    let content = String::from_utf8(content).map_err(|_| said("is not UTF-8".to_owned()))?;
    let mut table: toml::Table =
        content.parse().map_err(|error: toml::de::Error| said(error.to_string().trim().to_owned()))?;
    table.retain(|_, value| value.is_table() || value.is_array());
    Routes::from_toml(table).map_err(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Arguments, clap::Error> {
        parse(std::iter::once("porch").chain(words.iter().copied()).map(OsString::from))
    }

    #[test]
    fn the_specifications_flags_in_every_spelling() {
        for words in [
            &["-intent", "a", "-out", "b", "-structured"][..],
            &["--intent=a", "--out=b", "--structured"],
            &["-intent=a", "-out=b", "-structured=true"],
        ] {
            let arguments = read(words).unwrap();
            assert_eq!(arguments.intents, [PathBuf::from("a")]);
            assert_eq!(
                (arguments.settings.out, arguments.settings.form),
                (PathBuf::from("b"), Form::Structured)
            );
        }
        assert_eq!(
            read(&["-intent", "a", "-out", "b", "-structured=false"]).unwrap().settings.form,
            Form::Direct
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for words in [
            &[][..],
            &["-intent", "a"],
            &["-intent", "a", "-out", "b", "left"],
            &["-intent", "a", "-out", "b", "--branch", "main"],
            &["-intent", "a", "-out", "b", "--kustomize"],
            &["-intent", "a", "--git", "r", "--branch", "-x"],
            &["-intent", "a", "--git", "r", "--branch", "refs/heads/main"],
            &["-intent", "a", "-out", "b", "--from", "main"],
            &["-intent", "a", "--git", "r", "--author", "nobody"],
            &["-intent", "a", "--git", "r", "--directory", "../up"],
            &["-intent", "a", "-out", "b", "--lock-wait", "soon"],
            &["-intent", "a", "-out", "b", "--routes", "/nonexistent"],
        ] {
            assert!(read(words).is_err_and(|error| error.use_stderr()), "{words:?}");
        }
    }

    #[test]
    fn help_fits_a_screen() {
        command().debug_assert();
        let help = command().render_help().to_string();
        assert!(help.lines().count() <= 45, "{} lines", help.lines().count());
        assert!(help.lines().all(|line| line.chars().count() <= 125), "lines fit a terminal");
    }
}
