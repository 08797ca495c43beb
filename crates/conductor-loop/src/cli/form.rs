//! The flags for the form of an answer: text for people, data for programs, colours.

use crate::commands::{Colour, Output};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};
use std::marker::PhantomData;

/// The flag that says when answers are coloured.
pub(super) const COLOUR: &str = "color";
const JSON: &str = "json";
const OUTPUT: &str = "output";

/// The forms that the answers of a command have.
pub(super) trait Forms {
    /// Each with its word; the first one where none is asked for.
    const WORDS: &'static [(&'static str, Output)];
    /// What the words mean.
    const HELP: &'static str = "Form of the answer";
}

/// Text or JSON.
#[derive(Debug, Clone)]
pub(super) struct JsonOrText;

impl Forms for JsonOrText {
    const WORDS: &'static [(&'static str, Output)] = &[("text", Output::Text), ("json", Output::Json)];
}

/// Text or one document of data.
#[derive(Debug, Clone)]
pub(super) struct DataOrText;

impl Forms for DataOrText {
    const WORDS: &'static [(&'static str, Output)] =
        &[("text", Output::Text), ("json", Output::Json), ("yaml", Output::Yaml)];
}

/// A table in all its forms.
#[derive(Debug, Clone)]
pub(super) struct Table;

impl Forms for Table {
    const WORDS: &'static [(&'static str, Output)] = &[
        ("table", Output::Text),
        ("wide", Output::Wide),
        ("json", Output::Json),
        ("yaml", Output::Yaml),
        ("name", Output::Name),
    ];
    const HELP: &'static str = "Form of the answer; wide: whole times and reasons; name: files alone";
}

/// The form that is asked for.
#[derive(Debug, Clone)]
pub(super) struct Form<F> {
    pub(super) output: Output,
    forms: PhantomData<F>,
}

impl<F: Forms> FromArgMatches for Form<F> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let asked = matches.get_one::<String>(OUTPUT);
        let asked = F::WORDS.iter().find(|(word, _)| asked.is_some_and(|asked| asked == word));
        let output = if matches.get_flag(JSON) {
            Output::Json
        } else {
            asked.map_or(Output::Text, |(_, output)| *output)
        };
        Ok(Self { output, forms: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<F: Forms> Args for Form<F> {
    fn augment_args(command: Command) -> Command {
        let words = PossibleValuesParser::new(F::WORDS.iter().map(|(word, _)| *word));
        let colours = "Colours: auto is on a terminal, unless NO_COLOR is set";
        command
            .arg(
                Arg::new(JSON)
                    .long(JSON)
                    .help("Answer in JSON")
                    .action(ArgAction::SetTrue)
                    .conflicts_with(OUTPUT),
            )
            .arg(
                Arg::new(OUTPUT).short('o').long(OUTPUT).value_name("FORM").help(F::HELP).value_parser(words),
            )
            .arg(
                Arg::new(COLOUR)
                    .long(COLOUR)
                    .value_name("WHEN")
                    .help(colours)
                    .value_parser(value_parser!(Colour)),
            )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
