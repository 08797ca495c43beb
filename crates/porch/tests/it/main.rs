//! The `porch` program with real files and a real git: one module per subject; each test has a directory of its own.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking and says what it could not test"
)]

mod around;
mod beginnings;
mod branches;
mod budget;
mod damage;
mod examples;
mod exhausted;
mod field;
mod generated;
mod git;
mod hostile;
mod inspected;
mod kill;
mod lanes;
mod locks;
mod page;
mod processes;
mod program;
mod put_right;
mod reasons;
mod remotes;
mod rendered;
mod rights;
mod several;
mod shop;
mod waiting;
mod worktrees;
mod writers;

use conductor_testkit::has;
