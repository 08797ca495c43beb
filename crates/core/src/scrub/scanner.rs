//! Replaces secrets by a mark, in one pass over the text: a word that announces a secret ([`keys`]), followed by `=`, `:`
//! or the like, hides the value after it ([`value`](super::value)); arguments of known programs, blocks that span lines
//! and tokens of known shape have rules of their own. Each byte is read a bounded number of times.

use super::keys::{Key, begins_a_sentence, classify, is_plain};
use super::programs::Program;
use super::shapes;

pub(super) const MASK: &str = "[masked]";
/// The largest distance between `name: DB_PASSWORD` and its `value:`.
const NAMED_MAX: usize = 160;
/// Marks between a name and its `=`: quotes, brackets, blanks, colours.
const CLOSERS_MAX: usize = 48;
/// Blanks and colours before a value.
const BLANKS_MAX: usize = 256;

/// An open quote: its character, and the number of backslashes before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quote {
    pub(super) mark: u8,
    pub(super) depth: usize,
}

/// The state of the current line.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Line {
    pub(super) start: usize,
    pub(super) open: Option<Quote>,
    /// A program on the line that takes a password as an argument.
    pub(super) program: Option<&'static Program>,
    /// The previous word, and the one before it.
    pub(super) before: [(usize, usize); 2],
}

/// The start of a value, and the marks between its name and it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Separated {
    pub(super) value: usize,
    pub(super) kind: Separator,
    /// The quote that is open after the marks.
    pub(super) open: Option<Quote>,
    /// A blank stands before the value.
    pub(super) spaced: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Separator {
    Equals,
    Colon,
    /// `%3D`: within a percent-encoded URL.
    Encoded,
    /// `<password>`
    Element,
}

pub(super) struct Scanner<'t> {
    pub(super) text: &'t str,
    pub(super) bytes: &'t [u8],
    pub(super) at: usize,
    pub(super) line: Line,
    pub(super) out: String,
    /// The text before this offset is in `out`, or hidden.
    pub(super) copied: usize,
    /// The start of lines that may be the rest of a key block, and the length of `out` there.
    pub(super) base64: Option<(usize, usize)>,
    /// The cached search for the next line that begins with `]`: its start, and its result.
    pub(super) list_end: Option<(usize, Option<usize>)>,
    /// The next word may name a secret.
    naming: bool,
    /// A `value` before this offset belongs to a name that announced a secret.
    named_until: usize,
    /// Number of bytes read.
    pub(super) work: usize,
}

/// The largest number of passes: a masked text may have hidden another secret from the scan.
const PASSES_MAX: usize = 4;

/// The text with its secrets masked, and the number of bytes read.
pub(super) fn counted(text: &str) -> (String, usize) {
    let (mut masked, mut work) = once(text);
    for _ in 1..PASSES_MAX {
        let (again, more) = if masked == text { break } else { once(&masked) };
        work += more;
        if again == masked {
            break;
        }
        masked = again;
    }
    (masked, work)
}

fn once(text: &str) -> (String, usize) {
    let mut scanner = Scanner {
        text,
        bytes: text.as_bytes(),
        at: 0,
        line: Line::default(),
        out: String::with_capacity(text.len()),
        copied: 0,
        base64: None,
        list_end: None,
        naming: false,
        named_until: 0,
        work: 0,
    };
    scanner.run();
    (scanner.out, scanner.work)
}

/// Letters, digits and joining characters; letters of other scripts count too.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.') || byte >= 0x80
}

impl<'t> Scanner<'t> {
    /// The byte at an offset; a line break after the end.
    pub(super) fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(b'\n')
    }

    pub(super) fn slice(&self, from: usize, to: usize) -> &'t str {
        self.text.get(from..to).unwrap_or_default()
    }

    pub(super) fn rest(&self, from: usize) -> &'t str {
        self.text.get(from..).unwrap_or_default()
    }

    /// The first offset from `from` on whose byte is wanted, or the end.
    pub(super) fn find(&mut self, from: usize, wanted: impl Fn(u8) -> bool) -> usize {
        let found = self.bytes.get(from..).and_then(|rest| rest.iter().position(|byte| wanted(*byte)));
        let found = found.map_or(self.bytes.len(), |found| from + found);
        self.work += found - from.min(found) + 1;
        found
    }

    pub(super) fn end_of_line(&mut self, from: usize) -> usize {
        self.find(from, |byte| byte == b'\n')
    }

    /// Hides `from..to`; hidden text stays hidden.
    pub(super) fn hide(&mut self, from: usize, to: usize) {
        let from = from.max(self.copied);
        self.at = self.at.max(to);
        if from >= to || self.slice(from, to) == MASK {
            return;
        }
        self.out.push_str(self.slice(self.copied, from));
        self.out.push_str(MASK);
        self.copied = to;
    }

    fn run(&mut self) {
        self.begin_line(0);
        while let Some(byte) = self.bytes.get(self.at).copied() {
            self.work += 1;
            match byte {
                b'\n' => self.begin_line(self.at + 1),
                b'-' if self.rest(self.at).starts_with("-----") => self.key_block(),
                b'"' | b'\'' | b'`' => self.quote(byte),
                b'$' if shapes::is_hash(self.rest(self.at)) => self.hash(),
                byte if is_word(byte) => self.word(),
                b'\xEF' => self.at += 3,
                _ => self.at += 1,
            }
        }
        self.out.push_str(self.rest(self.copied));
    }

    pub(super) fn begin_line(&mut self, start: usize) {
        if start > 0 {
            self.note_base64(start - 1);
        }
        self.line = Line { start, ..Line::default() };
        self.at = self.at.max(start);
    }

    /// Opens or closes a quote. An apostrophe inside a word does not count.
    fn quote(&mut self, mark: u8) {
        let quote = Quote { mark, depth: self.backslashes_before(self.at) };
        let inside_word = mark == b'\'' && self.at > 0 && self.byte(self.at - 1).is_ascii_alphanumeric();
        if self.line.open == Some(quote) {
            self.line.open = None;
        } else if self.line.open.is_none() && !inside_word {
            self.line.open = Some(quote);
        }
        self.at += 1;
    }

    pub(super) fn backslashes_before(&mut self, at: usize) -> usize {
        let before = self.bytes.get(self.line.start..at).unwrap_or_default();
        let count = before.iter().rev().take(64).take_while(|byte| **byte == b'\\').count();
        self.work += count + 1;
        count
    }

    fn hash(&mut self) {
        let (from, allowed) = (self.at, b"./$,=+-");
        let end = self.find(from, |b| !(b.is_ascii_alphanumeric() || allowed.contains(&b)));
        if end - from >= 20 { self.hide(from, end) } else { self.at = end }
    }

    /// The end of a word; the wide colon and the wide equals sign of East Asian texts also end one.
    fn word_end(&mut self, start: usize) -> usize {
        let mut end = start;
        loop {
            end = self.find(end, |byte| !is_word(byte) || byte == 0xEF);
            if self.byte(end) != 0xEF
                || matches!(self.slice(end, end + 3), "：" | "＝")
                || end >= self.bytes.len()
            {
                return end;
            }
            end += 1;
        }
    }

    fn word(&mut self) {
        let start = self.at;
        let end = self.word_end(start).max(start + 1);
        let word = self.slice(start, end);
        self.work += 4 * word.len();
        self.at = end;
        if matches!(self.slice(start, start + 3), "：" | "＝") || word.bytes().all(|b| b == b'-' || b == b'.')
        {
            return;
        }
        let before = std::mem::replace(&mut self.line.before, [(start, end), (0, 0)]);
        self.line.before[1] = before[0];
        if self.rest(end).starts_with("://") {
            return self.url(start, end);
        }
        if std::mem::take(&mut self.naming) && self.key_of(start, end) != Key::None {
            self.named_until = end + NAMED_MAX;
        }
        self.note_program(word);
        if word.starts_with("-u") && self.byte(end) == b':' && self.user_and_password(start + 2) {
            return;
        }
        if let Some(separated) = self.separated(start, end) {
            let key = self.key_of(start, end);
            match key {
                Key::Naming => self.naming = true,
                Key::Value if start < self.named_until => {
                    self.named_until = 0;
                    return self.value(Key::Secret, start, separated);
                }
                Key::None | Key::Value => {}
                key => return self.value(key, start, separated),
            }
        } else if self.argument(start, end) || self.sentence(start, end, before) {
            return;
        }
        if let Some(at) = shapes::token(word) {
            let end = self.find(end, |b| !matches!(b, b'=' | b'+' | b'/'));
            self.hide(start + at, end);
        } else if word == "hooks.slack.com" && self.rest(end).starts_with("/services/") {
            let stop = self.find(end, |b| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'\\'));
            self.hide(end + "/services/".len(), stop);
        }
    }

    /// Classifies a word. The letter of an escape (`\npassword`) is not part of it.
    pub(super) fn key_of(&self, start: usize, end: usize) -> Key {
        let key = classify(self.slice(start, end));
        let escaped = start > 0 && self.byte(start - 1) == b'\\' && b"nrtbf".contains(&self.byte(start));
        if key == Key::None && escaped { classify(self.slice(start + 1, end)) } else { key }
    }

    /// Hides a password in a URL, or a token in its place.
    fn url(&mut self, start: usize, end: usize) {
        let from = end + "://".len();
        let mut stop = from;
        loop {
            stop = self.find(stop, |b| b.is_ascii_whitespace() || b":\"'`<>\\".contains(&b));
            // The start of another URL ends this one.
            if self.byte(stop) != b':' || self.rest(stop).starts_with("://") {
                break;
            }
            stop += 1;
        }
        let rest = self.slice(from, stop);
        self.at = from;
        if let Some((hide, until)) = shapes::userinfo(self.slice(start, end), rest) {
            let user = self.slice(from, from + hide);
            if shapes::token(user).is_some() {
                return self.hide(from, from + until);
            }
            self.hide(from + hide, from + until);
        }
    }

    /// The separator between a name and its value, if there is one.
    pub(super) fn separated(&mut self, start: usize, end: usize) -> Option<Separated> {
        let (at, open, _) = self.pass_marks(end);
        let rest = self.rest(at);
        let element = start > self.line.start && matches!(self.byte(start - 1), b'<' | b':');
        let wide = "：".len();
        let (length, kind) = match self.byte(at) {
            b'=' if rest.starts_with("=>") || rest.starts_with("==") => (2, Separator::Equals),
            b'=' => (1, Separator::Equals),
            b':' if rest.starts_with(":=") => (2, Separator::Equals),
            b':' if !rest.starts_with("::") && !rest.starts_with("://") => (1, Separator::Colon),
            b'%' if rest.starts_with("%3D") || rest.starts_with("%3d") => (3, Separator::Encoded),
            b'%' if rest.starts_with("%3A") || rest.starts_with("%3a") => (3, Separator::Encoded),
            b'>' if element && at == end => (1, Separator::Element),
            _ if rest.starts_with('：') => (wide, Separator::Colon),
            _ if rest.starts_with('＝') => (wide, Separator::Equals),
            _ => return None,
        };
        let value = self.pass_blanks(at + length);
        Some(Separated { value, kind, open, spaced: value > at + length })
    }

    /// Skips quotes, brackets, blanks and colours after a name; returns the quote that is then open, and whether one closed.
    pub(super) fn pass_marks(&mut self, from: usize) -> (usize, Option<Quote>, bool) {
        let (mut at, mut open, mut closed) = (from, self.line.open, false);
        while at < from + CLOSERS_MAX {
            let rest = self.rest(at);
            let backslashes = rest.bytes().take(16).take_while(|b| *b == b'\\').count();
            let mark = self.byte(at + backslashes);
            self.work += backslashes + 1;
            if matches!(mark, b'"' | b'\'' | b'`') && at == from {
                if open == Some(Quote { mark, depth: backslashes }) {
                    open = None;
                }
                closed = true;
                at += backslashes + 1;
            } else if let Some(mark) =
                ["&quot;", "&#34;", "%22", "\\u0022", "\\t"].iter().find(|m| rest.starts_with(**m))
            {
                at += mark.len();
            } else if let Some(length) = colour(rest) {
                at += length;
            } else if matches!(self.byte(at), b' ' | b'\t' | b']' | b')' | b'*') {
                at += 1;
            } else {
                break;
            }
        }
        (at, open, closed)
    }

    pub(super) fn pass_blanks(&mut self, from: usize) -> usize {
        let mut at = from;
        while at < from + BLANKS_MAX {
            let rest = self.rest(at);
            self.work += 1;
            if matches!(self.byte(at), b' ' | b'\t') || (self.byte(at) == b'*' && at < from + 2) {
                at += 1;
            } else if rest.starts_with("\\t") {
                at += 2;
            } else if let Some(length) = colour(rest) {
                at += length;
            } else {
                break;
            }
        }
        at
    }

    /// Hides secrets stated in words, without a separator.
    fn sentence(&mut self, start: usize, end: usize, before: [(usize, usize); 2]) -> bool {
        let word = self.slice(start, end);
        let next = self.pass_blanks(end);
        let [(from, to), (_, _)] = before;
        let previous = self.slice(from, to);
        if next > end && word.eq_ignore_ascii_case("bearer") {
            return self.hide_word(next);
        }
        if next > end && word.eq_ignore_ascii_case("basic") {
            let stop = self.find(next, |b| !(b.is_ascii_alphanumeric() || b"+/=-_".contains(&b)));
            let is_basic = shapes::is_basic(self.slice(next, stop));
            if is_basic {
                self.hide(next, stop);
            }
            return is_basic;
        }
        let key = self.key_of(start, end);
        if matches!(key, Key::None | Key::Naming | Key::Value | Key::Weak | Key::Plural) {
            let by = word.eq_ignore_ascii_case("by") && previous.eq_ignore_ascii_case("identified");
            return by && self.quoted_next(next);
        }
        let set_by = matches!(previous, "ENV" | "ARG" | "setenv" | "setx");
        let [_, (from, to)] = before;
        if next > end && (set_by || self.slice(from, to) == "login") {
            return self.hide_word(next);
        }
        let tuple = self.slice(start.saturating_sub(2).max(self.line.start), start);
        if matches!(tuple, "(\"" | "('") && self.byte(end + 1) == b',' {
            return self.next_argument(end).is_some_and(|at| self.hide_argument(at, key));
        }
        let lower = word.to_ascii_lowercase();
        if lower.ends_with("password") || lower.ends_with("passwd") {
            return next > end && self.quoted_next(next);
        }
        false
    }

    /// Hides the quoted text in `password 'hunter2'`.
    fn quoted_next(&mut self, at: usize) -> bool {
        let quote = self.quote_at(at).filter(|quote| self.line.open != Some(*quote));
        if let Some(quote) = quote {
            let end = self.quoted_end(at, quote);
            self.hide(at, end);
        }
        quote.is_some()
    }

    /// Hides the next word unless it belongs to a sentence.
    fn hide_word(&mut self, at: usize) -> bool {
        if self.rest(at).starts_with(MASK) {
            self.at = at + MASK.len();
            return true;
        }
        let end = self.value_end(at, false);
        let word = self.slice(at, end);
        let lower = word.trim_end_matches([',', '.', ';']).to_ascii_lowercase();
        let about = [
            "token",
            "tokens",
            "auth",
            "authentication",
            "authorization",
            "scheme",
            "header",
            "headers",
            "policy",
            "and",
            "or",
            "credentials",
            "error",
            "realm",
            "must",
            "expiry",
        ];
        let plain = word.is_empty() || is_plain(Key::Secret, word) || begins_a_sentence(&lower);
        if plain
            || about.contains(&lower.as_str())
            || lower.starts_with("realm=")
            || lower.starts_with("error=")
        {
            return false;
        }
        self.hide(at, end);
        true
    }
}

/// The length of a colour's escape sequence, raw or escaped.
fn colour(rest: &str) -> Option<usize> {
    let start =
        ["\u{1b}[", "\\u{1b}[", "\\x1b[", "\\u001b["].iter().find(|start| rest.starts_with(**start))?;
    let digits =
        rest.get(start.len()..)?.bytes().take(16).take_while(|b| b.is_ascii_digit() || *b == b';').count();
    rest.get(start.len() + digits..)?.starts_with('m').then_some(start.len() + digits + 1)
}
