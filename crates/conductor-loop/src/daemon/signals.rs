//! The effect of each signal on the daemon: one table, with an entry for every number, so that no signal that others can
//! cause ends it by accident. Signals without a use get a handler that does nothing. They are not set to be ignored,
//! because an executed program inherits that, and porch must start with every signal at its default.

use super::failure::Failure;
use super::input::{Input, Inputs};
use signal_hook::consts::{
    SIGABRT, SIGBUS, SIGCHLD, SIGCONT, SIGFPE, SIGHUP, SIGILL, SIGINT, SIGKILL, SIGQUIT, SIGSEGV, SIGSTOP,
    SIGSYS, SIGTERM, SIGTRAP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH,
};
use signal_hook::iterator::Signals;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The highest signal number of Linux.
const LAST: i32 = 64;

/// The effect of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disposition {
    /// It stops the daemon; a second one stops it at once.
    Stop,
    /// It makes the daemon read its configuration again.
    Reload,
    /// Nothing: a handler without effect.
    Nothing,
    /// The default, which ends the process: the signal means that the process itself is broken.
    Fault,
    /// The default, which is to do nothing, or to stop and continue as a terminal's user asks.
    Default,
    /// Cannot be set: the kernel's own, and two that the C library reserves.
    Fixed,
}

const fn disposition(signal: i32) -> Disposition {
    match signal {
        SIGTERM | SIGINT | SIGQUIT => Disposition::Stop,
        SIGHUP => Disposition::Reload,
        SIGILL | SIGTRAP | SIGABRT | SIGBUS | SIGFPE | SIGSEGV | SIGSYS => Disposition::Fault,
        // A handler for SIGTTOU would make a write to the terminal begin again and again.
        SIGCHLD | SIGURG | SIGWINCH | SIGCONT | SIGTSTP | SIGTTIN | SIGTTOU => Disposition::Default,
        SIGKILL | SIGSTOP | 32 | 33 => Disposition::Fixed,
        // SIGIO comes from a broken read lease, SIGPIPE and SIGXFSZ from a write (which then fails with an error of its
        // own), SIGXCPU and the timers from limits and parents, the rest from no known source.
        _ => Disposition::Nothing,
    }
}

fn with(wanted: Disposition) -> impl Iterator<Item = i32> {
    (1..=LAST).filter(move |signal| disposition(*signal) == wanted)
}

/// Sets every signal according to the table, whatever the parent set. To be called before starting anything that a signal
/// could reach.
pub(super) fn set() -> Result<(), Failure> {
    let fail = |error: io::Error| Failure::refused("cannot set the handling of signals", error);
    for signal in with(Disposition::Default) {
        conductor_os::raw::default_signal(signal).map_err(fail)?;
    }
    let nobody_reads_it = Arc::new(AtomicBool::new(false));
    for signal in with(Disposition::Nothing) {
        signal_hook::flag::register(signal, Arc::clone(&nobody_reads_it)).map_err(fail)?;
    }
    conductor_os::raw::unblock_signals().map_err(fail)
}

/// The failure to forward signals to the loop.
fn cannot_install(error: io::Error) -> Failure {
    Failure::refused("cannot install signal handlers", error)
}

/// Catches the signals with a meaning; they wait until [`forward`] passes them to the loop.
pub(super) fn catch() -> Result<Signals, Failure> {
    Signals::new(with(Disposition::Stop).chain(with(Disposition::Reload))).map_err(cannot_install)
}

/// Forwards the caught signals to the loop, on a thread of its own.
pub(super) fn forward(mut signals: Signals, inputs: Inputs) -> Result<(), Failure> {
    let forward = move || {
        for signal in signals.forever() {
            let input = match disposition(signal) {
                Disposition::Reload => Input::Reload,
                _ => Input::Stop(signal),
            };
            if inputs.send(input).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(forward).map_err(cannot_install)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_covers_every_number_once() {
        let counts = [
            Disposition::Stop,
            Disposition::Reload,
            Disposition::Nothing,
            Disposition::Fault,
            Disposition::Default,
            Disposition::Fixed,
        ]
        .map(|wanted| with(wanted).count());
        assert_eq!(counts, [3, 1, 42, 7, 7, 4]);
        assert_eq!(counts.iter().sum::<usize>(), usize::try_from(LAST).unwrap());
    }
}
