//! `cargo xtask bench [--quick] [--rounds N] [--only S8] [--plot FILE] [--before PROGRAM]`: compares our daemon with the
//! tools a user would use instead and with an earlier build, interleaved in one run, as ratios of medians, on a journaled
//! ext4 loop image and on tmpfs (both need root). Each contender's measurements go into a table, the rates into a plot.

mod command;
mod comparison;
mod contender;
mod field;
mod mount;
mod plot;
mod scenario;
mod scrape;
mod size;
mod statistics;
mod study;

pub(crate) use command::run;
