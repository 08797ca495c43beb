//! Where a value comes from, and values as text with their origins.

use std::collections::BTreeMap;

/// The origin of a value. Later ones win.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Built in.
    Default,
    /// The configuration file.
    File(String),
    /// An environment variable.
    Environment(&'static str),
    /// A command line flag.
    Flag,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path) => write!(f, "file {path}"),
            Origin::Environment(name) => write!(f, "environment {name}"),
            Origin::Flag => f.write_str("flag"),
        }
    }
}

/// A value as text, with its origin.
pub type Raw = BTreeMap<&'static str, (String, Origin)>;
