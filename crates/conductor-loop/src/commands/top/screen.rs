//! The terminal's screen: entered, left, and drawn row by row.

use super::picture::Line;
use conductor_os::terminal::Size;
use std::fmt::Write as _;
use std::io::{self, Write};

/// A terminal that does not say how large it is.
pub(super) const SIZE_UNKNOWN: Size = Size { rows: 24, columns: 80 };
/// The other screen, without a cursor and without wrapping, and back.
pub(super) const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
pub(super) const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// Writes to the terminal at once.
pub(super) fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// The sequences that draw these lines. Each covers its whole row, so nothing flickers; only a row with characters of
/// unknown width is cleared first.
pub(super) fn drawn(lines: &[Line], anew: bool) -> String {
    let plain = !console::colors_enabled();
    let mut text = if anew { "\x1b[2J".to_owned() } else { String::new() };
    for (row, line) in (1..).zip(lines) {
        let clear = if line.text.is_ascii() { "" } else { "\x1b[2K" };
        let look = if plain && line.look.starts_with('3') { "" } else { line.look };
        // Writing to a String cannot fail.
        let _ = write!(text, "\x1b[{row};1H{clear}\x1b[0;{look}m{}\x1b[0m", line.text);
    }
    text
}
