//! Other programs: their answers, and waiting for what they do.

use std::process::{Command, Output};

/// Fails with a reason unless something holds.
pub(crate) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// Standard output of a command that must succeed.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let Output { status, stdout, stderr } =
        command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = String::from_utf8_lossy(&stdout).into_owned();
    let complaint = String::from_utf8_lossy(&stderr).into_owned();
    ensure(status.success(), || format!("{command:?} ended with {status}: {text}{complaint}"))?;
    Ok(text)
}

/// Waits for a condition of another process, which cannot wake us; fails after a time limit.
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) -> Result<(), String> {
    let until = std::time::Instant::now() + std::time::Duration::from_mins(3);
    while !condition() {
        ensure(std::time::Instant::now() < until, || format!("waited in vain for {what}"))?;
        std::thread::sleep(std::time::Duration::from_millis(50)); // Another process cannot wake us.
    }
    Ok(())
}
