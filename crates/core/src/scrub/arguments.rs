//! Secrets on command lines: `--password hunter2`, `-u bob:hunter2`, and short options of known programs.

use super::keys::{Key, is_plain};
use super::programs::PROGRAMS;
use super::scanner::{MASK, Scanner};

impl Scanner<'_> {
    /// Notes a program with known options.
    pub(super) fn note_program(&mut self, word: &str) {
        let known = PROGRAMS.iter().find(|program| program.names.contains(&word));
        // `-uroot -psecret`, even if the program's name is not on the line.
        let user = word.strip_prefix("-u").is_some_and(|user| !user.is_empty() && !user.starts_with('-'));
        if known.is_some() {
            self.line.program = known;
        } else if user && self.line.program.is_none() {
            self.line.program = PROGRAMS.first();
        }
    }

    /// Hides the password of an option, if this word is such an option.
    pub(super) fn argument(&mut self, start: usize, end: usize) -> bool {
        let word = self.slice(start, end);
        if !word.starts_with('-') {
            return false;
        }
        if matches!(word, "-u" | "--user" | "-U" | "--proxy-user") {
            return self.next_argument(end).is_some_and(|at| self.user_and_password(at));
        }
        if let Some(program) = self.line.program
            && let Some(rest) = word.strip_prefix(program.option)
        {
            // `-p"a b"`, but not the end of an option within quotes.
            let before = self.byte(start.saturating_sub(1));
            let quoted = self.quote_at(end).is_some_and(|quote| quote.mark != before);
            let joined = !rest.is_empty() || quoted;
            if joined && program.joined {
                return self.hide_argument(start + program.option.len(), Key::Secret);
            }
            if program.apart && rest.is_empty() {
                return self.next_argument(end).is_some_and(|at| self.hide_argument(at, Key::Pass));
            }
        }
        let key = match self.key_of(start, end) {
            Key::None | Key::Naming | Key::Value => return false,
            key => key,
        };
        match self.next_argument(end) {
            Some(at) if self.byte(at) != b'-' => self.hide_argument(at, key),
            _ => false,
        }
    }

    /// The start of the next argument: after a blank, or as the next item of a list.
    pub(super) fn next_argument(&mut self, end: usize) -> Option<usize> {
        let (at, _, closed) = self.pass_marks(end);
        let at = if closed && self.byte(at) == b',' { self.pass_blanks(at + 1) } else { at };
        (at > end && self.byte(at) != b'\n' && at < self.bytes.len()).then_some(at)
    }

    pub(super) fn hide_argument(&mut self, at: usize, key: Key) -> bool {
        if self.rest(at).starts_with(MASK) {
            self.at = at + MASK.len();
            return true;
        }
        let depth = self.rest(at).bytes().take(16).take_while(|b| *b == b'\\').count();
        let mark = self.byte(at + depth);
        let quote = super::scanner::Quote { mark, depth };
        let is_quote = matches!(mark, b'"' | b'\'' | b'`');
        if is_quote && self.line.open == Some(quote) && self.byte(at + depth + 1) != b',' {
            self.line.open = None;
        }
        let end = if is_quote { self.quoted_end(at, quote) } else { self.value_end(at, false) };
        if is_plain(key, self.slice(at, end).trim_matches(['"', '\''])) {
            return false;
        }
        self.hide(at, end);
        true
    }

    /// Hides the password in `bob:hunter2`; two numbers are a user and a group.
    pub(super) fn user_and_password(&mut self, at: usize) -> bool {
        let quote = self.quote_at(at);
        let begin = at + quote.map_or(0, |quote| quote.depth + 1);
        let end = match quote {
            Some(quote) => {
                let end = self.quoted_end(at, quote);
                self.before_quote(begin, end, quote.mark)
            }
            None => self.value_end(begin, false),
        };
        let word = self.slice(begin, end);
        let Some((user, password)) = word.split_once([':', '%']) else { return false };
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let masked = self.rest(begin + user.len() + 1).starts_with(MASK);
        if masked || password.is_empty() || password.starts_with("//") || (digits(user) && digits(password)) {
            return false;
        }
        self.hide(begin + user.len() + 1, end);
        true
    }
}
