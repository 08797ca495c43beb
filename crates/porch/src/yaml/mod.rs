//! YAML as a tree in which every node knows its source bytes, so that one scalar can be replaced and every other byte
//! kept. Parsing expands no alias and builds no values: a document cannot grow by it. What an alias stands for is put in place
//! for reading alone, within bounds. Constructs that a
//! Kubernetes package does not need (duplicate keys, unbounded depth, several anchors on an edited node) are refused by
//! name.

mod alias;
mod bounds;
mod difference;
mod edit;
mod error;
mod mask;
mod node;
mod parser;
#[cfg(test)]
mod random;
mod reader;
#[cfg(test)]
mod tests;

pub(crate) use bounds::{BYTES_MAX, too_large};
pub(crate) use edit::{Address, EditError, set_integer, set_integer_inside};
pub(crate) use error::YamlError;
pub(crate) use node::{Node, Step, Stream, Value, keys};
pub(crate) use parser::{parse, parse_expanded};
