//! `cargo xtask proof [--quick | --long] [--history HISTORY] [NAME...]`: attacks the real binary and the model of it, and prints
//! the number of tries and the violations. docs/RELIABILITY.md is the record of these runs.

mod command;
mod damage;
mod extent;
mod fault;
mod fuzz;
mod kill;
mod limits;
mod model;
mod parallel;
mod scenario;
mod soak;
mod tally;

pub(crate) use command::run;
