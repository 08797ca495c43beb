//! A second reading for constructs that go-yaml and libyaml accept and the parser does not: flow collections and quoted
//! text that continue left of their key, tabs after a colon, and halves of surrogate pairs in JSON. The inside of such a
//! collection or text is put on one line, with every byte kept in its place: line breaks, indentation and comments become
//! blanks. This module interprets nothing; the parser reads its result.

/// The masked text, of the same length; `None` if nothing needs to change.
pub(super) fn masked(text: &str) -> Option<String> {
    let mut mask =
        Mask { source: text.as_bytes(), out: text.as_bytes().to_vec(), at: 0, parent: -1, seen: (0, 0) };
    while mask.at < mask.source.len() {
        mask.line();
    }
    (mask.out != text.as_bytes()).then_some(mask.out).and_then(|bytes| String::from_utf8(bytes).ok())
}

struct Mask<'s> {
    source: &'s [u8],
    out: Vec<u8>,
    at: usize,
    /// The column of the key or dash that a block scalar would belong to.
    parent: isize,
    /// The place whose column was asked for last, and the start of its line.
    seen: (usize, usize),
}

impl Mask<'_> {
    fn byte(&self, at: usize) -> u8 {
        self.source.get(at).copied().unwrap_or(b'\n')
    }

    fn is_blank(&self, at: usize) -> bool {
        matches!(self.byte(at), b' ' | b'\t' | b'\n' | b'\r')
    }

    fn blank_out(&mut self, at: usize) {
        if let Some(byte) = self.out.get_mut(at) {
            *byte = b' ';
        }
    }

    fn end_of_line(&self, from: usize) -> usize {
        let rest = self.source.get(from..).unwrap_or_default();
        from + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
    }

    fn is_marker(&self, at: usize) -> bool {
        matches!(self.source.get(at..at + 3), Some(b"---" | b"...")) && self.is_blank(at + 3)
    }

    /// Masks one line in block style, and the constructs that begin on it.
    fn line(&mut self) {
        let start = self.at;
        if self.byte(start) == b'%' {
            self.at = self.end_of_line(start) + 1;
            return;
        }
        if self.is_marker(start) {
            self.parent = -1;
            self.at += 3;
        }
        let mut tabs_count = false;
        while self.at < self.source.len() {
            let here = self.at;
            match self.byte(here) {
                b'\n' => break,
                b' ' | b'\r' => self.at += 1,
                b'\t' => {
                    if tabs_count {
                        self.blank_out(here);
                    }
                    self.at += 1;
                }
                b'#' if here == start || self.is_blank(here - 1) => self.at = self.end_of_line(here),
                b'-' | b'?' if self.is_blank(here + 1) => {
                    self.parent = self.column(here);
                    self.at += 1;
                }
                b':' if self.is_blank(here + 1) => {
                    tabs_count = true;
                    self.at += 1;
                }
                b'&' | b'!' | b'*' => self.word(),
                b'|' | b'>' => return self.block_scalar(),
                _ => self.node(),
            }
        }
        self.at += 1;
    }

    /// Only what follows the last such place on the way forward is searched, so that all columns of a long line cost one
    /// pass over it.
    fn column(&mut self, at: usize) -> isize {
        let (from, known) = if at < self.seen.0 { (0, 0) } else { self.seen };
        let between = self.source.get(from..at).unwrap_or_default();
        let start =
            between.iter().rposition(|byte| *byte == b'\n').map_or(known, |newline| from + newline + 1);
        self.seen = (at, start);
        isize::try_from(at - start).unwrap_or(isize::MAX)
    }

    fn word(&mut self) {
        while self.at < self.source.len() && !self.is_blank(self.at) {
            self.at += 1;
        }
    }

    /// The header and every line that is blank or farther right than the parent.
    fn block_scalar(&mut self) {
        self.at = self.end_of_line(self.at) + 1;
        while self.at < self.source.len() {
            let end = self.end_of_line(self.at);
            let line = self.source.get(self.at..end).unwrap_or_default();
            let indent = line.iter().take_while(|byte| **byte == b' ').count();
            let blank = line.iter().all(|byte| matches!(byte, b' ' | b'\r'));
            let inside = isize::try_from(indent).is_ok_and(|indent| indent > self.parent);
            if self.is_marker(self.at) || !(blank || inside) {
                return;
            }
            self.at = end + 1;
        }
    }

    /// A key or a value.
    fn node(&mut self) {
        let start = self.at;
        match self.byte(start) {
            b'"' | b'\'' => self.quoted(),
            b'[' | b'{' => self.flow(),
            _ => self.plain(),
        }
        if self.byte(self.at) == b':' && self.is_blank(self.at + 1) {
            self.parent = self.column(start);
        }
    }

    fn plain(&mut self) {
        self.at += 1;
        while self.at < self.source.len() {
            let ends = match self.byte(self.at) {
                b'\n' => true,
                b':' => self.is_blank(self.at + 1),
                b'#' => self.is_blank(self.at - 1),
                _ => false,
            };
            if ends {
                return;
            }
            self.at += 1;
        }
    }

    /// Skips to after the closing quote. Line breaks and the indentation after them become blanks.
    fn quoted(&mut self) {
        let quote = self.byte(self.at);
        self.at += 1;
        let mut leading = false;
        while self.at < self.source.len() {
            let here = self.at;
            match self.byte(here) {
                b'\\' if quote == b'"' => {
                    self.surrogate(here);
                    // An escaped line break is one escaped blank then.
                    self.at += 1 + usize::from(!matches!(self.byte(here + 1), b'\n' | b'\r'));
                    continue;
                }
                b'\'' if quote == b'\'' && self.byte(here + 1) == b'\'' => self.at += 1,
                byte if byte == quote => {
                    self.at += 1;
                    return;
                }
                b'\n' if self.is_marker(here + 1) => {
                    self.at = self.source.len();
                    return;
                }
                b'\n' | b'\r' => {
                    leading = true;
                    self.blank_out(here);
                }
                b' ' | b'\t' if leading => self.blank_out(here),
                _ => leading = false,
            }
            self.at += 1;
        }
    }

    /// JSON writes a character beyond the basic plane as two escapes; each alone is none.
    fn surrogate(&mut self, at: usize) {
        let escape = self.source.get(at + 1..at + 6).map(<[u8]>::to_ascii_lowercase);
        if let Some([b'u', b'd', b'8'..=b'9' | b'a'..=b'f', ..]) = escape.as_deref() {
            for (place, byte) in (at + 2..at + 6).zip(*b"0020") {
                if let Some(out) = self.out.get_mut(place) {
                    *out = byte;
                }
            }
        }
    }

    /// Skips to after the bracket that closes the collection.
    fn flow(&mut self) {
        let (mut depth, mut fresh) = (0_usize, true);
        while self.at < self.source.len() {
            let here = self.at;
            match self.byte(here) {
                b'[' | b'{' => {
                    depth += 1;
                    fresh = true;
                }
                b']' | b'}' => {
                    depth -= 1;
                    if depth == 0 {
                        self.at += 1;
                        return;
                    }
                    fresh = false;
                }
                b'"' | b'\'' if fresh => {
                    self.quoted();
                    fresh = false;
                    continue;
                }
                b'#' if self.is_blank(here - 1) => {
                    let end = self.end_of_line(here);
                    (here..end).for_each(|at| self.blank_out(at));
                    self.at = end;
                    continue;
                }
                // A document does not end inside of a collection; the parser says so.
                b'\n' if self.is_marker(here + 1) => {
                    self.at = self.source.len();
                    return;
                }
                b'\n' | b'\r' | b'\t' | b' ' => self.blank_out(here),
                b',' => fresh = true,
                b':' => fresh = self.is_blank(here + 1) || matches!(self.byte(here - 1), b'"' | b'\''),
                _ => fresh = false,
            }
            self.at += 1;
        }
    }
}
