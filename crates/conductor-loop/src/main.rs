//! The program: passes its arguments to the command line and its exit status to the system.

use std::process::ExitCode;

fn main() -> ExitCode {
    conductor_loop::cli::main(std::env::args_os())
}
