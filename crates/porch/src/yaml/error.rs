//! Why a file cannot be read as YAML.

use super::bounds::{ALIASED_MAX, BYTES_MAX, DEPTH_MAX, NODES_MAX};

/// Why a file cannot be read as YAML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum YamlError {
    #[error("is {0} bytes; at most {BYTES_MAX} are read")]
    TooLarge(usize),
    #[error("is not UTF-8")]
    Encoding,
    #[error("is not YAML at line {line}: {reason}")]
    Syntax { line: usize, reason: String },
    #[error("has the character U+{character:04X} at line {line}, which no tool of Kubernetes takes")]
    Character { line: usize, character: u32 },
    #[error("has a YAML directive (%) at line {line}, which no tool of Kubernetes takes")]
    Directive { line: usize },
    #[error("is nested deeper than {DEPTH_MAX} at line {0}")]
    TooDeep(usize),
    #[error("has more than {NODES_MAX} nodes")]
    TooMany,
    #[error("has the key '{key}' twice in one mapping, at line {line}")]
    DuplicateKey { key: String, line: usize },
    #[error(
        "has an alias at line {line} that stands for itself, or for more than {ALIASED_MAX} nodes with those before it"
    )]
    Alias { line: usize },
}
