//! The end of a value: its closing quote, a blank, a delimiter before the next name, the end of the line, or the end of
//! an indented block.

use super::keys::{Key, begins_a_sentence, is_plain, is_round};
use super::scanner::{MASK, Quote, Scanner, Separated, Separator};

/// Authentication schemes that precede a secret and are not secret themselves.
const SCHEMES: &[&str] = &[
    "bearer",
    "basic",
    "digest",
    "token",
    "negotiate",
    "ntlm",
    "apikey",
    "api-key",
    "aws4-hmac-sha256",
    "hawk",
    "oauth",
    "key",
    "splunk",
    "githubtoken",
    "glpat",
    "jwt",
    "dpop",
];
/// The longest name that a delimiter inside an unquoted value may introduce.
const NEXT_NAME_MAX: usize = 48;

impl Scanner<'_> {
    /// Hides the value after a name.
    pub(super) fn value(&mut self, key: Key, name: usize, separated: Separated) {
        let Separated { value: mut at, kind, open, spaced } = separated;
        self.line.open = open;
        self.at = self.at.max(at);
        let from = at;
        if kind == Separator::Colon && spaced {
            at = self.behind_tag(at);
        }
        if kind == Separator::Colon && self.rest(at).starts_with("\\n") {
            // The next line of a text within a string: an item, a value, or another name.
            at = self.pass_blanks(at + 2);
            at += if self.rest(at).starts_with("- ") { 2 } else { 0 };
        }
        if self.rest(at).starts_with(MASK) {
            self.at = at + MASK.len();
            return;
        }
        match self.byte(at) {
            b'\n' => {
                return if kind == Separator::Colon {
                    self.next_lines(key, name, at);
                };
            }
            b'{' => return,
            b'[' => return self.list(key, at),
            b'|' | b'>' if kind == Separator::Colon && self.block_scalar(name, at) => return,
            b'<' if kind == Separator::Element => return,
            _ => {}
        }
        if let Some(quote) = self.quote_at(at) {
            let begins = at + quote.depth + 1;
            if open == Some(quote) {
                return;
            }
            let end = self.quoted_end(at, quote);
            let inner = self.slice(begins, end.max(begins + quote.depth + 1) - quote.depth - 1);
            if is_plain(key, inner) {
                self.at = self.at.max(end);
            } else {
                self.hide(from, end);
            }
            return;
        }
        if let Some(mark) =
            ["&quot;", "&#34;", "%22", "\\u0022"].iter().find(|mark| self.rest(at).starts_with(**mark))
        {
            let length = self.rest(at + mark.len()).find(*mark).filter(|length| *length < 4_096);
            let end = match length {
                Some(length) => at + 2 * mark.len() + length,
                None => self.end_of_line(at),
            };
            self.work += end - at;
            return self.hide(at, end);
        }
        let begin = self.behind_scheme(at);
        let end = self.unquoted_end(key, name, &Separated { value: begin, ..separated });
        let first = self.slice(begin, end).split(' ').next().unwrap_or_default();
        let sentence = self.byte(begin + first.len()) == b' ' && begins_a_sentence(first);
        let parser = self.slice(self.line.before[1].0, self.line.before[1].1).to_ascii_lowercase();
        let complaint = matches!(parser.as_str(), "unexpected" | "illegal" | "unrecognized" | "syntax");
        let round = key == Key::Pass && kind == Separator::Colon && self.is_round(name, first, &parser);
        if round
            || is_plain(key, self.slice(begin, end))
            || is_plain(key, first) && kind == Separator::Colon
            || (sentence && spaced && kind == Separator::Colon && key != Key::Line)
            || (complaint && spaced)
        {
            self.at = self.at.max(at);
            return;
        }
        self.hide(if begin > at { begin } else { from }, end);
    }

    /// The offset after a YAML tag or anchor before the value.
    fn behind_tag(&mut self, at: usize) -> usize {
        if !matches!(self.byte(at), b'!' | b'&') {
            return at;
        }
        let end = self.find(at, |b| matches!(b, b' ' | b'\n'));
        if self.byte(end) == b' ' { self.pass_blanks(end) } else { at }
    }

    /// Whether `pass:` refers to a test or a round: `PASS: TestX`, `first pass: renaming`.
    fn is_round(&self, name: usize, value: &str, previous: &str) -> bool {
        let words = value.bytes().all(|b| b.is_ascii_lowercase() || b == b'\'');
        self.rest(name).starts_with("PASS:") || is_round(previous) || (words && !previous.is_empty())
    }

    /// The quote that begins at an offset, with its backslashes.
    pub(super) fn quote_at(&self, at: usize) -> Option<Quote> {
        let depth = self.rest(at).bytes().take(64).take_while(|b| *b == b'\\').count();
        let mark = self.byte(at + depth);
        matches!(mark, b'"' | b'\'' | b'`').then_some(Quote { mark, depth })
    }

    /// The offset after the closing quote of the text at `at`; the end of the line if it is not closed. Text that a shell
    /// would join to it belongs to it.
    pub(super) fn quoted_end(&mut self, at: usize, quote: Quote) -> usize {
        let mut from = at + quote.depth + 1;
        loop {
            let found = self.find(from, |b| b == quote.mark || b == b'\n');
            if self.byte(found) != quote.mark || found >= self.bytes.len() {
                return found;
            }
            let run = self.bytes.get(from..found).unwrap_or_default();
            let run = run.iter().rev().take_while(|b| **b == b'\\').count();
            self.work += run;
            // A quote of the same level has as many backslashes; each level of escaping doubles them and adds one.
            if run >= quote.depth && run % (2 * (quote.depth + 1)) != quote.depth {
                from = found + 1;
                continue;
            }
            let end = found + 1;
            if quote.mark == b'\'' && self.rest(end).starts_with("\\''") {
                from = end + 3;
                continue;
            }
            let joined = self.byte(end).is_ascii_alphanumeric() && quote.depth == 0;
            return if joined { self.value_end(end, false) } else { end };
        }
    }

    /// Skips `Bearer` and other schemes, which stay visible.
    fn behind_scheme(&mut self, at: usize) -> usize {
        let end = self.find(at, |b| !(b.is_ascii_alphanumeric() || b == b'-'));
        let scheme = self.slice(at, end).to_ascii_lowercase();
        let next = self.pass_blanks(end);
        let goes_on = next > end && !matches!(self.byte(next), b'\n' | b'"' | b'\'' | b',');
        if goes_on && SCHEMES.contains(&scheme.as_str()) { next } else { at }
    }

    fn unquoted_end(&mut self, key: Key, name: usize, separated: &Separated) -> usize {
        let Separated { value, kind, open, spaced } = *separated;
        if kind == Separator::Element {
            return self.find(value, |b| matches!(b, b'<' | b'\n'));
        }
        let first = self.slice(self.line.start, name);
        let first =
            first.bytes().all(|b| matches!(b, b' ' | b'-' | b'\t')) && kind == Separator::Colon && spaced;
        self.work += 1;
        if key == Key::Line || (first && open.is_none() && !matches!(key, Key::Weak | Key::Pass)) {
            return match open {
                Some(quote) => {
                    let end = self.quoted_end(value, Quote { depth: 0, ..quote });
                    self.before_quote(value, end, quote.mark)
                }
                None => self.end_of_line(value),
            };
        }
        self.value_end(value, kind == Separator::Encoded)
    }

    /// The offset before a closing quote and its backslashes.
    pub(super) fn before_quote(&mut self, from: usize, end: usize, mark: u8) -> usize {
        if end <= from || self.byte(end - 1) != mark {
            return end;
        }
        let inner = self.bytes.get(from..end - 1).unwrap_or_default();
        let backslashes = inner.iter().rev().take_while(|b| **b == b'\\').count();
        self.work += backslashes;
        end - 1 - backslashes
    }

    /// The end of an unquoted value.
    pub(super) fn value_end(&mut self, from: usize, encoded: bool) -> usize {
        let mut at = from;
        while let Some(byte) = self.bytes.get(at).copied() {
            self.work += 1;
            if byte == b'[' && self.rest(at).starts_with(MASK) {
                at += MASK.len();
                continue;
            }
            let ends = match byte {
                b' ' | b'\n' | b'\r' | b'\t' => true,
                b'"' | b'\'' | b'`' => {
                    self.line.open.is_some_and(|open| open.mark == byte) || self.is_edge(at + 1)
                }
                b'\\' => self
                    .quote_at(at)
                    .is_some_and(|quote| self.is_edge(at + quote.depth + 1) || self.line.open.is_some()),
                b',' | b';' | b'&' | b'|' => self.begins_next(at),
                b')' | b']' | b'}' | b'>' => self.is_edge(at + 1),
                b'<' => self.byte(at + 1) == b'/',
                b'%' => encoded && (self.rest(at).starts_with("%26") || self.rest(at).starts_with("%22")),
                _ => false,
            };
            if ends {
                break;
            }
            at += if byte == b'\\' { 1 + usize::from(self.byte(at + 1) == b'\\') } else { 1 };
        }
        at.min(self.bytes.len())
    }

    /// Whether the byte at the current offset can follow a value.
    fn is_edge(&self, at: usize) -> bool {
        at >= self.bytes.len() || b" \n\r\t,;)]}>:\"'`\\&|<.".contains(&self.byte(at))
    }

    /// Whether a delimiter ends a value: a name follows it, or nothing.
    fn begins_next(&mut self, at: usize) -> bool {
        let next = self.byte(at + 1);
        if matches!(next, b' ' | b'\n' | b'\r' | b'\t' | b'"' | b'\'' | b'{' | b'[' | b'\\')
            || at + 1 >= self.bytes.len()
        {
            return true;
        }
        let name = self.rest(at + 1).bytes().take(NEXT_NAME_MAX);
        let length =
            name.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')).count();
        self.work += length;
        length > 0 && matches!(self.byte(at + 1 + length), b'=' | b':')
    }
}
