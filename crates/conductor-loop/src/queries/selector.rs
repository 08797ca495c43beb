//! What an operator writes to name intents: a number, a file or a target. Nothing is looked for here.

use conductor_core::Seq;
use conductor_core::query::{Row, Selection};

/// The intents that an operator names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// A sequence number.
    Number(Seq),
    /// A file's name.
    File(String),
    /// A target: `NAMESPACE/TARGET`, or the target alone.
    Target(String),
}

impl Selector {
    /// Parses an operator's word: digits are a number; a name that ends with `.json` (or its status or error log) is a file.
    pub fn of(text: &str) -> Self {
        if let Ok(number) = text.parse() {
            return Self::Number(number);
        }
        let base = text.rsplit('/').next().unwrap_or(text);
        let base = [".status", ".error.log"].iter().find_map(|end| base.strip_suffix(end)).unwrap_or(base);
        let is_file =
            std::path::Path::new(base).extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
        if is_file { Self::File(base.to_owned()) } else { Self::Target(text.to_owned()) }
    }

    /// Whether the row of an unfinished intent matches.
    pub fn is(&self, row: &Row) -> bool {
        match self {
            Self::Number(seq) => row.seq == Some(*seq),
            Self::File(name) => row.file == *name,
            Self::Target(target) => {
                Selection { target: Some(target.clone()), ..Selection::default() }.takes(row)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_operator_writes_is_a_number_a_file_or_a_target() {
        for (text, want) in [
            ("17", Selector::Number(Seq(17))),
            ("intent-a.json", Selector::File("intent-a.json".into())),
            ("handoff/failed/intent-a.7.json", Selector::File("intent-a.7.json".into())),
            ("status/intent-a.json.status", Selector::File("intent-a.json".into())),
            ("failed/intent-a.json.error.log", Selector::File("intent-a.json".into())),
            ("oran-sim/web", Selector::Target("oran-sim/web".into())),
            ("web", Selector::Target("web".into())),
        ] {
            assert_eq!(Selector::of(text), want, "{text}");
        }
    }
}
