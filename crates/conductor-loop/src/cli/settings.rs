//! The flags of settings, made from the one table of settings: all of them, or the subset that a command needs.

use crate::config::{SETTINGS, Setting, Takes};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use std::collections::BTreeMap;
use std::marker::PhantomData;

/// The settings that a command accepts.
pub(super) trait Scope {
    /// Whether it accepts this one.
    fn takes(key: &str) -> bool;
}

/// The settings that every command needs to find its directory, and the intents in it.
#[derive(Debug, Clone)]
pub(super) struct Place;

impl Scope for Place {
    fn takes(key: &str) -> bool {
        ["handoff", "pattern", "state-dir", "state-key-file", "encryption-enabled", "config"].contains(&key)
    }
}

/// The settings of backups.
#[derive(Debug, Clone)]
pub(super) struct BackingUp;

impl Scope for BackingUp {
    fn takes(key: &str) -> bool {
        Place::takes(key) || key.starts_with("backup-") || key == "audit-enabled"
    }
}

/// The settings that decide which intents are accepted.
#[derive(Debug, Clone)]
pub(super) struct Judging;

impl Scope for Judging {
    fn takes(key: &str) -> bool {
        ["pattern", "max-file-size", "allow-scale-to-zero", "config"].contains(&key)
    }
}

/// The settings that a command needs to hand intents in, and to judge them before. Whether a scale to zero is accepted is the
/// daemon's decision.
#[derive(Debug, Clone)]
pub(super) struct Handing;

impl Scope for Handing {
    fn takes(key: &str) -> bool {
        Place::takes(key) || key == "max-file-size"
    }
}

/// The settings that decide the form of a package.
#[derive(Debug, Clone)]
pub(super) struct Planning;

impl Scope for Planning {
    fn takes(key: &str) -> bool {
        Judging::takes(key) || ["out", "mode"].contains(&key)
    }
}

/// All settings.
#[derive(Debug, Clone)]
pub(super) struct Everything;

impl Scope for Everything {
    fn takes(_: &str) -> bool {
        true
    }
}

/// Values of settings as written, by key; lists joined by commas.
#[derive(Debug, Clone)]
pub(super) struct Flags<S> {
    pub(super) values: BTreeMap<&'static str, String>,
    scope: PhantomData<S>,
}

impl<S: Scope> FromArgMatches for Flags<S> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut values = BTreeMap::new();
        for setting in SETTINGS.iter().filter(|setting| S::takes(setting.key)) {
            if let Some(written) = matches.get_many::<String>(setting.key) {
                values.insert(setting.key, written.cloned().collect::<Vec<_>>().join(","));
            }
        }
        Ok(Self { values, scope: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<S: Scope> Args for Flags<S> {
    fn augment_args(command: Command) -> Command {
        command.args(SETTINGS.iter().filter(|setting| S::takes(setting.key)).map(flag))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// Rarely needed flags, left out so that the help fits a screen. The man page and the README have all flags.
const RARER: [&str; 45] = [
    "pattern",
    "debounce",
    "timeout",
    "rate",
    "max-file-size",
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
    "instance",
    "state-dir",
    "state-key-file",
    "kubeconfig",
    "allow-scale-to-zero",
    "allow-unsafe-handoff",
    "allow-unsafe-porch",
    "log-format",
    "confine",
    "security-enabled",
    "porch-read",
    "porch-write",
    "min-free",
    "egress",
    "limit-memory",
    "limit-cpu",
    "limit-processes",
    "limit-files",
    "limit-file-size",
    "porch-user",
    "chroot-enabled",
    "encryption-enabled",
    "audit-enabled",
    "backup-dir",
    "backup-interval",
    "backup-keep",
    "backup-recipient",
];

fn flag(setting: &Setting) -> Arg {
    let default = if setting.default.is_empty() || setting.takes == Takes::Switch {
        String::new()
    } else {
        format!(" [{}]", setting.default)
    };
    // A list may also be given item by item.
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
