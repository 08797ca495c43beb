//! The `porch` program with real files and a real git: one module per subject; each test has a directory of its own.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking and says what it could not test"
)]

mod examples;
mod git;
mod hostile;
mod kill;
mod locks;
mod page;
mod program;
mod shop;

/// Whether a program is there; where a test cannot do without, it says so and is skipped visibly.
fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    if !found {
        eprintln!("NOT TESTED: {program} is not installed");
    }
    found
}
