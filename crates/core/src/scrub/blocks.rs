//! Secrets that span lines: key blocks, block scalars and lists.

use super::keys::{Key, is_plain};
use super::scanner::{MASK, Quote, Scanner};

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";

impl Scanner<'_> {
    /// Hides a private key: whole, without its end, or without its beginning (the rest of a stream that was cut).
    pub(super) fn key_block(&mut self) {
        let (at, rest) = (self.at, self.rest(self.at));
        let limit = self.end_of_line(at).min(at + 80);
        let is_private = self.text.get(at..limit).unwrap_or_default().contains("PRIVATE KEY");
        self.at = self.find(at, |b| b != b'-');
        if !is_private || !(rest.starts_with(BEGIN) || rest.starts_with(END)) {
            return;
        }
        let begins = rest.starts_with(BEGIN);
        let closing = if begins { rest.find(END).map(|found| at + found) } else { Some(at) };
        let Some(closing) = closing else {
            self.work += rest.len();
            return self.hide(self.line.start, self.bytes.len());
        };
        self.work += closing - at;
        let marker = closing + END.len();
        let label = self.find(marker, |b| matches!(b, b'-' | b'\n'));
        let end = self.find(label, |b| b != b'-');
        if begins && self.slice(at, closing).contains('\n') || !begins && self.base64.is_some() {
            let start = self.base64.take().filter(|_| !begins);
            if let Some((start, length)) = start {
                self.out.truncate(length);
                self.copied = start;
            }
            let from = start.map_or(self.line.start, |(start, _)| start);
            let end = self.end_of_line(end);
            return self.hide(from, end);
        }
        let from = if begins { at } else { self.base64_before(at) };
        self.hide(from, end);
    }

    /// The start of the base64 text before an end mark within its line.
    fn base64_before(&mut self, at: usize) -> usize {
        let before = self.bytes.get(self.line.start..at).unwrap_or_default();
        let is_part = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'\\');
        let length = before.iter().rev().take_while(is_part).count();
        self.work += length;
        at - length
    }

    /// At the end of a line, notes whether it may belong to a key block whose beginning was cut off.
    pub(super) fn note_base64(&mut self, end: usize) {
        let line = self.slice(self.line.start, end);
        let line = line.strip_suffix("\\r").unwrap_or(line);
        self.work += line.len();
        let long = line.len() >= 16 || self.line.start == 0 || self.base64.is_some();
        let is_part = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
        if !long || line.is_empty() || !line.bytes().all(is_part) {
            self.base64 = None;
        } else if self.base64.is_none() && self.copied <= self.line.start {
            self.out.push_str(self.slice(self.copied, self.line.start));
            self.copied = self.line.start;
            self.base64 = Some((self.line.start, self.out.len()));
        }
    }

    /// The number of blanks before the first character of a line; in a list's item, before its content.
    fn indent(&mut self, start: usize) -> usize {
        let content = self.find(start, |b| b != b' ');
        content - start
    }

    /// Hides `password: |` and the following lines with deeper indentation. Returns false if it is no block.
    pub(super) fn block_scalar(&mut self, name: usize, at: usize) -> bool {
        let end = self.find(at + 1, |b| !matches!(b, b'+' | b'-' | b'0'..=b'9'));
        let after = self.pass_blanks(end);
        let rest = self.rest(end);
        if rest.trim_start_matches('\\').starts_with('n') && rest.starts_with('\\') {
            // A block within a string ends with that string.
            let to = match self.line.open {
                Some(Quote { mark, .. }) => self.find(end, |b| b == mark || b == b'\n'),
                None => self.end_of_line(end),
            };
            self.hide(at, to);
            return true;
        }
        if !matches!(self.byte(after), b'\n' | b'#') && !rest.starts_with("\\r") {
            return false;
        }
        let own = self.column(name);
        let mut line_end = self.end_of_line(after);
        let first = line_end + 1;
        while line_end < self.bytes.len() {
            let start = line_end + 1;
            let indent = self.indent(start);
            if !matches!(self.byte(start + indent), b'\n') && indent <= own {
                break;
            }
            line_end = self.end_of_line(start + indent);
        }
        self.at = self.at.max(first.min(self.bytes.len()));
        if first < line_end {
            let indent = self.indent(first);
            self.hide((first + indent).min(line_end), line_end);
        }
        true
    }

    /// The column of a name, without its opening quote.
    fn column(&mut self, name: usize) -> usize {
        let before = self.slice(self.line.start, name);
        self.work += 1;
        before.len() - before.trim_start_matches([' ', '-']).len()
    }

    /// Handles a name that ends its line: its value is the next line, or the items there.
    pub(super) fn next_lines(&mut self, key: Key, name: usize, end: usize) {
        let own = self.column(name);
        let mut start = end + 1;
        self.at = end;
        while start < self.bytes.len() {
            let indent = self.indent(start);
            let line_end = self.end_of_line(start + indent);
            let line = self.slice(start + indent, line_end);
            let line = line.strip_suffix("\\r").unwrap_or(line);
            let item = line.strip_prefix("- ");
            let content = item.unwrap_or(line);
            let is_value = content.starts_with(['"', '\'']) || !content.contains([' ', '{', '[']);
            let deeper = indent > own || (item.is_some() && indent >= own);
            if !deeper
                || !is_value
                || content.ends_with(':')
                || content.contains("\": ")
                || content.contains(": ")
                || content.is_empty()
            {
                return;
            }
            let from = start + indent + line.len() - content.len();
            if content.starts_with(MASK) {
                self.at = from + MASK.len();
            } else if !is_plain(key, content.trim_matches(['"', '\'', ','])) {
                self.hide(from, from + content.trim_end_matches(',').len());
            }
            if item.is_none() {
                return;
            }
            start = line_end + 1;
        }
    }

    /// Hides `["a", "b"]`, on one line or on several. Objects in a list are scanned instead.
    pub(super) fn list(&mut self, key: Key, at: usize) {
        let line_end = self.end_of_line(at);
        let inner = self.pass_blanks(at + 1);
        self.at = at + 1;
        if matches!(self.byte(inner), b'{' | b']') {
            return;
        }
        let on_line = self.find(at, |b| matches!(b, b']' | b'\n'));
        if self.byte(on_line) == b']' && on_line < self.bytes.len() {
            let items = self.slice(at + 1, on_line);
            let plain =
                items.split(',').all(|item| is_plain(key, item.trim().trim_matches(['"', '\'', '\\'])));
            return if plain { self.at = on_line } else { self.hide(at, on_line + 1) };
        }
        let to = self.list_end(line_end).filter(|_| inner >= line_end);
        let next = self.find(line_end, |b| !b.is_ascii_whitespace());
        if self.byte(next) == b'{' {
            return;
        }
        self.hide(at, to.unwrap_or(line_end));
    }

    /// The end of the next line that begins with a closing bracket. Cached, so that no part is searched twice.
    fn list_end(&mut self, from: usize) -> Option<usize> {
        if let Some((since, found)) = self.list_end
            && since <= from
            && found.is_none_or(|found| found > from)
        {
            return found;
        }
        let mut at = from;
        let found = loop {
            if at >= self.bytes.len() {
                break None;
            }
            let content = self.find(at + 1, |b| !matches!(b, b' ' | b'\t'));
            if self.byte(content) == b']' {
                break Some(content + 1);
            }
            at = self.end_of_line(content);
        };
        self.list_end = Some((from, found));
        found
    }
}
