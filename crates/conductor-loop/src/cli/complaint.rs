//! How a failure of the program is told: what failed, and what to do about it.

use crate::telemetry;
use conductor_core::Exit;

/// Prints the failure and its remedy.
pub(super) fn complain(error: &dyn std::fmt::Display, remedy: &str, exit: Exit) -> Exit {
    telemetry::say(&format!("ERROR: {error}\n  hint: {remedy}\n"));
    exit
}
