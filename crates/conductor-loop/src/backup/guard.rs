//! Reading and writing that end as soon as a backup is not wanted any more.

use std::io::{self, Read, Write};

/// A reader or writer that fails once `goes_on` is false.
pub(super) struct While<'g, T> {
    pub(super) inner: T,
    pub(super) goes_on: &'g dyn Fn() -> bool,
}

impl<T> While<'_, T> {
    fn wanted(&mut self) -> io::Result<&mut T> {
        if (self.goes_on)() {
            Ok(&mut self.inner)
        } else {
            Err(io::Error::other("it is not wanted any more"))
        }
    }
}

impl<T: Read> Read for While<'_, T> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.wanted()?.read(into)
    }
}

impl<T: Write> Write for While<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wanted()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wanted()?.flush()
    }
}
