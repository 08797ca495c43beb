//! A model of a terminal's screen: as much of it as our programs use. What it does not know is a failure of the test.

/// One screen.
#[derive(Debug, Clone)]
pub struct Screen {
    lines: Vec<Vec<char>>,
    size: (usize, usize),
    row: usize,
    column: usize,
    wraps: bool,
    /// Bytes that are not a whole character or sequence yet.
    rest: Vec<u8>,
    /// Whether the other screen is shown, on which programs draw that leave nothing behind.
    pub is_other: bool,
    /// Whether the cursor is shown.
    pub has_cursor: bool,
    /// Lines that went out at the top of the other screen, and lines that were broken there.
    pub lost: usize,
    /// What was written on the usual screen.
    pub usual: String,
}

impl Screen {
    pub(crate) fn new((rows, columns): (u16, u16)) -> Self {
        let size = (usize::from(rows), usize::from(columns));
        Self {
            lines: vec![vec![' '; size.1]; size.0],
            size,
            row: 0,
            column: 0,
            wraps: true,
            rest: Vec::new(),
            is_other: false,
            has_cursor: true,
            lost: 0,
            usual: String::new(),
        }
    }

    /// Whether lines that are too long go on in the next one, as they usually do.
    pub fn wraps(&self) -> bool {
        self.wraps
    }

    /// The lines, without spaces at their ends.
    pub fn lines(&self) -> Vec<String> {
        self.lines.iter().map(|line| line.iter().collect::<String>().trim_end().to_owned()).collect()
    }

    /// The lines as one text.
    pub fn text(&self) -> String {
        self.lines().join("\n")
    }

    pub(crate) fn resize(&mut self, (rows, columns): (u16, u16)) {
        self.size = (usize::from(rows), usize::from(columns));
        self.lines.resize(self.size.0, Vec::new());
        self.lines.iter_mut().for_each(|line| line.resize(self.size.1, ' '));
        (self.row, self.column) = (self.row.min(self.size.0 - 1), self.column.min(self.size.1));
    }

    pub(crate) fn take(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        let taken = std::mem::take(&mut self.rest);
        let whole = match std::str::from_utf8(&taken) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&taken[..error.valid_up_to()]).expect("valid up to there"),
        };
        let mut text = whole;
        while let Some(first) = text.chars().next() {
            let length = if first == '\x1b' {
                let Some(length) = self.sequence(text) else { break };
                length
            } else {
                self.write(first);
                first.len_utf8()
            };
            text = &text[length..];
        }
        self.rest = taken[whole.len() - text.len()..].to_vec();
    }

    /// Obeys the sequence that the text begins with; returns its length, or `None` if it is not whole.
    fn sequence(&mut self, text: &str) -> Option<usize> {
        let body = text.strip_prefix("\x1b[").or_else(|| {
            assert!(text.len() < 2, "an unknown sequence: {:?}", &text[..text.len().min(9)]);
            None
        })?;
        let end = body.find(|c: char| c.is_ascii_alphabetic())?;
        let (parameters, command) = (&body[..end], body.as_bytes()[end]);
        let numbers: Vec<usize> = parameters.split(';').filter_map(|one| one.parse().ok()).collect();
        let number = |at: usize, default| numbers.get(at).copied().unwrap_or(default);
        match (command, parameters) {
            (b'h', mode) => self.set(mode, true),
            (b'l', mode) => self.set(mode, false),
            (b'H', _) => {
                let (row, column) = (number(0, 1) - 1, number(1, 1) - 1);
                (self.row, self.column) = (row.min(self.size.0 - 1), column.min(self.size.1 - 1));
            }
            (b'J', "2") => self.lines.iter_mut().for_each(|line| line.fill(' ')),
            (b'K', "2") => self.lines[self.row].fill(' '),
            (b'm', _) => {}
            other => panic!("an unknown sequence: {other:?}"),
        }
        Some(end + 3)
    }

    fn set(&mut self, mode: &str, on: bool) {
        match mode {
            "?7" => self.wraps = on,
            "?25" => self.has_cursor = on,
            "?1049" => {
                self.is_other = on;
                self.lines.iter_mut().for_each(|line| line.fill(' '));
            }
            other => panic!("an unknown mode: {other}"),
        }
    }

    fn write(&mut self, character: char) {
        if !self.is_other {
            self.usual.push(character);
            return;
        }
        match character {
            '\r' => self.column = 0,
            '\n' => self.down(),
            _ => {
                if self.column >= self.size.1 {
                    self.lost += 1;
                    if self.wraps {
                        self.column = 0;
                        self.down();
                    }
                }
                let last = self.size.1 - 1;
                self.lines[self.row][self.column.min(last)] = character;
                self.column = (self.column + 1).min(self.size.1);
            }
        }
    }

    fn down(&mut self) {
        if self.row + 1 < self.size.0 {
            self.row += 1;
            return;
        }
        self.lost += 1;
        self.lines.remove(0);
        self.lines.push(vec![' '; self.size.1]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_or_too_much_is_counted() {
        let mut screen = Screen::new((2, 4));
        screen.take(b"$ top\r\n\x1b[?1049h\x1b[2J\x1b[1;1Habcd\x1b[2;");
        screen.take(b"1H\xe2\x80");
        screen.take(b"\xa6 \x1b[0;31mx\x1b[0m");
        assert_eq!((screen.lines(), screen.lost), (vec!["abcd".to_owned(), "… x".to_owned()], 0));
        screen.take(b"yz");
        assert_eq!((screen.text(), screen.lost), ("… xy\nz".to_owned(), 2), "broken, and one went out");
        screen.take(b"\x1b[?7l\x1b[1;4Hvw");
        assert_eq!((screen.text(), screen.lost), ("… xw\nz".to_owned(), 3));
        screen.take(b"\x1b[?7h\x1b[?1049l$ ");
        assert_eq!((screen.is_other, screen.usual.as_str()), (false, "$ top\r\n$ "));
    }
}
