//! The runner of intents, as named in settings, records and answers.

use std::fmt;
use std::path::PathBuf;

/// The word for the embedded engine, in place of a program's path.
const EMBEDDED: &str = "builtin";

/// The runner of intents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runs {
    /// The embedded package engine.
    Embedded,
    /// The program at this path.
    Program(PathBuf),
}

impl Runs {
    /// Its name in sentences.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Embedded => "the embedded engine",
            Self::Program(_) => "porch",
        }
    }
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
