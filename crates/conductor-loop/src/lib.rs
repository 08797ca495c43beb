//! The adapters around `conductor_core`: each module hides one part of the outside world. docs/ARCHITECTURE.md has the
//! map and the direction of dependencies, which a test enforces.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod admin;
pub mod backup;
pub mod cli;
pub mod commands;
pub mod config;
pub mod confinement;
pub mod control;
pub mod daemon;
pub mod handoff;
pub mod intake;
pub mod keys;
pub mod payload;
pub mod queries;
pub mod runner;
pub mod store;
pub mod telemetry;
pub mod writer;
