//! Standard output of commands: what is printed once, and what is printed again and again while somebody reads.

use super::error::CommandError;
use conductor_core::Exit;
use std::io::{self, Write};
use std::os::fd::AsFd;

/// Writes to standard output. A closed pipe is no failure: `conductor-loop schema | head`.
pub(super) fn print(text: &[u8]) -> Result<Exit, CommandError> {
    print_on(text).map(|_| Exit::Good)
}

/// Writes to standard output, and says whether somebody still reads there: what prints again and again ends otherwise.
pub(super) fn print_on(text: &[u8]) -> Result<bool, CommandError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(CommandError::Output(error)),
        Ok(()) => Ok(true),
    }
}

/// Pauses before something is printed again; returns whether somebody still reads it.
pub(super) fn pause(length: std::time::Duration) -> Result<bool, CommandError> {
    let unread = conductor_os::wake::wait_unread(io::stdout().as_fd(), length);
    unread.map(|unread| !unread).map_err(CommandError::system("waiting for the next look"))
}
