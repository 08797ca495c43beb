//! `cargo xtask dist [--test]`: the release artifacts: static programs, a Debian package, a container image; with
//! `--test` each is installed or run and tested for its purpose.

mod command;
mod deb;
mod image;
mod place;
mod process;
mod programs;
mod trial;

pub(crate) use command::run;
pub(crate) use place::root;
pub(crate) use process::{ensure, output, wait_for};
pub(crate) use programs::build_programs;
