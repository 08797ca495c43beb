//! Tasks beyond cargo: `cargo xtask gen` writes the generated files, `cargo xtask proof` attacks the product, `cargo
//! xtask bench` measures it, `cargo xtask dist` packages it, `cargo xtask cluster` runs it on Kubernetes; the tests of this
//! crate fail when a generated file is stale.

mod bench;
mod build;
mod cluster;
mod dist;
mod generated;
mod progress;
mod proof;
#[cfg(test)]
mod tidy;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some("gen") => match generated::write_all() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => complain(&format!("cannot write the generated files: {error}")),
        },
        Some("bench") => match bench::run(&words) {
            Ok(report) => answer(&report),
            Err(error) => complain(&format!("the measurement failed: {error}")),
        },
        Some("proof") => match proof::run(&words) {
            Ok((report, true)) => answer(&report),
            Ok((report, false)) => complain(&report),
            Err(error) => complain(&error),
        },
        Some("dist") => match dist::run(&words) {
            Ok((report, true)) => answer(&report),
            Ok((report, false)) => complain(&report),
            Err(error) => complain(&error),
        },
        Some("cluster") => match cluster::run(&words) {
            (report, true) => answer(&report),
            (report, false) => complain(&report),
        },
        _ => complain("usage: cargo xtask gen | proof | bench | dist | cluster (all but gen know --help)"),
    }
}

#[expect(clippy::print_stderr, reason = "a command line program complains on standard error")]
fn complain(text: &str) -> ExitCode {
    eprintln!("{text}");
    ExitCode::FAILURE
}

#[expect(clippy::print_stdout, reason = "the answer of a command line program")]
fn answer(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}
