//! What runs intents, as settings, records and answers name it.

use std::fmt;
use std::path::PathBuf;

/// The word for the embedded engine, where a program has its path.
const EMBEDDED: &str = "builtin";

/// What runs intents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runs {
    /// The embedded package engine.
    Embedded,
    /// This program.
    Program(PathBuf),
}

impl From<&str> for Runs {
    fn from(text: &str) -> Self {
        if text == EMBEDDED { Self::Embedded } else { Self::Program(text.into()) }
    }
}

impl fmt::Display for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str(EMBEDDED),
            Self::Program(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_means_the_embedded_engine_and_everything_else_a_program() {
        assert_eq!(Runs::from("builtin"), Runs::Embedded);
        for text in ["porch", "./builtin", "/usr/bin/porch", ""] {
            assert_eq!(Runs::from(text), Runs::Program(text.into()));
            assert_eq!(Runs::from(text).to_string(), text);
        }
        assert_eq!(Runs::Embedded.to_string(), "builtin");
    }
}
