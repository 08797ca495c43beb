//! The forms of an answer: text for people, with more columns or as names alone, and data for programs.

use super::error::CommandError;
use super::stdout::print;
use clap::ValueEnum;
use conductor_core::Exit;
use conductor_core::record::one_line;
use console::Term;
use serde::Serialize;
use std::io;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// For people; tables fit the terminal.
    Text,
    /// For people: tables with whole times and reasons, as wide as they are.
    Wide,
    /// The names alone, one a line, for other commands.
    Name,
    /// JSON, a document a line.
    Json,
    /// YAML, a document each.
    Yaml,
}

impl Output {
    /// A value as this form of data; `None`: the form is made for people.
    pub(super) fn encode(self, value: &impl Serialize) -> Option<Vec<u8>> {
        match self {
            Self::Text | Self::Wide | Self::Name => None,
            Self::Json => {
                let mut line = one_line(value);
                line.push(b'\n');
                Some(line)
            }
            // Values of ours have text as keys, so that they have a form in YAML.
            Self::Yaml => {
                Some(format!("---\n{}", serde_saphyr::to_string(value).unwrap_or_default()).into_bytes())
            }
        }
    }

    /// Whether the answer is for programs.
    pub(super) fn is_data(self) -> bool {
        matches!(self, Self::Json | Self::Yaml)
    }

    /// A value as data, or else the text for people.
    pub(super) fn form<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) -> Vec<u8> {
        self.encode(value).unwrap_or_else(|| text(value).into_bytes())
    }

    /// Prints a value as data, or else the text for people.
    pub(super) fn answer<T: Serialize>(
        self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<Exit, CommandError> {
        print(&self.form(value, text))
    }

    /// How wide a line of a table may be: as the terminal is, elsewhere without a limit.
    pub(super) fn width(self) -> usize {
        let terminal = || Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
        if self == Self::Text { terminal().unwrap_or(usize::MAX) } else { usize::MAX }
    }
}

/// When answers are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is dumb.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Colour {
    /// Decides for this process. `variable` reads the environment.
    pub fn apply(self, variable: impl Fn(&str) -> Option<String>) {
        let wanted = match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                let refused = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
                let dumb = variable("TERM").is_some_and(|term| term == "dumb");
                io::IsTerminal::is_terminal(&io::stdout()) && !refused && !dumb
            }
        };
        console::set_colors_enabled(wanted);
    }
}
