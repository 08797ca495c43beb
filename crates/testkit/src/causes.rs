//! What stands behind an error, and whether its text tells it.

use rustix::io::Errno;
use std::error::Error;
use std::io;

/// The error of the system that stands behind another one, at whatever remove, and how often the text of that one tells it.
pub fn told_cause(error: &(dyn Error + 'static)) -> Option<(Errno, usize)> {
    let behind = std::iter::successors(error.source(), |&error| error.source());
    let cause = behind.filter_map(|error| error.downcast_ref()).find_map(Errno::from_io_error)?;
    Some((cause, error.to_string().matches(&io::Error::from(cause).to_string()).count()))
}
