//! The flags for the form of an answer: text for people, data for programs, colours.

use crate::commands::{Colour, Output};
use clap::{Args, ValueEnum};

/// The form of an answer in JSON or for people.
#[derive(Debug, Args)]
pub(super) struct JsonForm {
    /// Answer in JSON
    #[arg(long, conflicts_with = "output")]
    json: bool,
    /// Form of the answer
    #[arg(short, long, value_name = "FORM")]
    output: Option<JsonOrText>,
    #[command(flatten)]
    colours: Colours,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum JsonOrText {
    Text,
    Json,
}

impl JsonForm {
    /// Whether the answer is in JSON.
    pub(super) fn json(&self) -> bool {
        self.json || self.output == Some(JsonOrText::Json)
    }
}

/// The form of an answer as data or for people.
#[derive(Debug, Args)]
pub(super) struct Form {
    /// Answer in JSON
    #[arg(long, conflicts_with = "output")]
    json: bool,
    /// Form of the answer
    #[arg(short, long, value_name = "FORM")]
    output: Option<DataOrText>,
    #[command(flatten)]
    colours: Colours,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DataOrText {
    Text,
    Json,
    Yaml,
}

impl Form {
    pub(super) fn output(&self) -> Output {
        match self.output {
            _ if self.json => Output::Json,
            None | Some(DataOrText::Text) => Output::Text,
            Some(DataOrText::Json) => Output::Json,
            Some(DataOrText::Yaml) => Output::Yaml,
        }
    }
}

/// The form of a table, as data, or for people.
#[derive(Debug, Args)]
pub(super) struct ListForm {
    /// Answer in JSON
    #[arg(long, conflicts_with = "output")]
    json: bool,
    /// Form of the answer; wide: whole times and reasons; name: files alone
    #[arg(short, long, value_name = "FORM")]
    output: Option<TableForm>,
    #[command(flatten)]
    colours: Colours,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TableForm {
    Table,
    Wide,
    Json,
    Yaml,
    Name,
}

impl ListForm {
    pub(super) fn output(&self) -> Output {
        match self.output {
            _ if self.json => Output::Json,
            None | Some(TableForm::Table) => Output::Text,
            Some(TableForm::Wide) => Output::Wide,
            Some(TableForm::Json) => Output::Json,
            Some(TableForm::Yaml) => Output::Yaml,
            Some(TableForm::Name) => Output::Name,
        }
    }
}

/// The name of the flag that says when answers are coloured.
pub(super) const COLOUR: &str = "color";

/// When answers are coloured.
#[derive(Debug, Args)]
struct Colours {
    #[arg(id = COLOUR, long, help = "Colours: auto is on a terminal, unless NO_COLOR is set", value_name = "WHEN", default_value = "auto", hide_default_value = true)]
    _when: Colour,
}
