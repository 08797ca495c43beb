//! The command line: parsed, it leads to the daemon or to one command, whose error is printed with its remedy, and to an exit status.

mod arguments;
mod complaint;
mod dispatch;
mod entry;
mod form;
mod launch;
mod order;
mod settings;
mod subcommand;
mod values;
mod written;

pub use arguments::command;
pub use entry::main;
