//! Keys of a terminal, from the bytes that it sends.

/// A key that means something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    Enter,
    Escape,
    Backspace,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    /// Ctrl-C: the terminal sends it as a byte, and no signal.
    Interrupt,
}

/// Bytes that are not a whole key yet.
#[derive(Debug, Default)]
pub(super) struct Keys(Vec<u8>);

/// The longest sequence that is waited for.
const SEQUENCE_MAX: usize = 16;

impl Keys {
    /// The keys that are whole with these bytes. An escape alone is the key: terminals send a sequence as one.
    pub(super) fn of(&mut self, bytes: &[u8]) -> Vec<Key> {
        self.0.extend_from_slice(bytes);
        let (mut keys, mut rest) = (Vec::new(), self.0.as_slice());
        while let Some((key, length)) = first(rest) {
            keys.extend(key);
            rest = rest.get(length..).unwrap_or_default();
        }
        self.0 = rest.to_vec();
        keys
    }
}

/// The first key with its number of bytes; no key: bytes that mean nothing here. `None`: there are too few bytes.
fn first(bytes: &[u8]) -> Option<(Option<Key>, usize)> {
    let key = match bytes {
        [] => return None,
        [0x1b] => Key::Escape,
        [0x1b, b'[' | b'O', rest @ ..] => return sequence(rest),
        [0x1b, ..] => return Some((None, 2)),
        [0x03, ..] => Key::Interrupt,
        [b'\r' | b'\n', ..] => Key::Enter,
        [0x7f | 0x08, ..] => Key::Backspace,
        [byte @ 0x20..0x7f, ..] => Key::Char(char::from(*byte)),
        _ => return Some((None, 1)),
    };
    Some((Some(key), 1))
}

/// The key of a sequence, of which `ESC [` or `ESC O` is read.
fn sequence(rest: &[u8]) -> Option<(Option<Key>, usize)> {
    let Some(end) = rest.iter().position(|byte| (0x40..0x7f).contains(byte)) else {
        return (rest.len() > SEQUENCE_MAX).then_some((None, rest.len() + 2));
    };
    let key = match (rest.get(end), rest.get(..end).unwrap_or_default()) {
        (Some(b'A'), _) => Some(Key::Up),
        (Some(b'B'), _) => Some(Key::Down),
        (Some(b'H'), _) | (Some(b'~'), b"1" | b"7") => Some(Key::Home),
        (Some(b'F'), _) | (Some(b'~'), b"4" | b"8") => Some(Key::End),
        (Some(b'~'), b"5") => Some(Key::PageUp),
        (Some(b'~'), b"6") => Some(Key::PageDown),
        _ => None,
    };
    Some((key, end + 3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_are_read_also_when_their_bytes_come_apart() {
        let mut keys = Keys::default();
        let read = keys.of(b"q\x1b[A\x1bOB\x1b[5~\x1b[6~\x1b[1~\x1b[F\r\x7f\x03\x1b[1;5C\xc3\xa9");
        let up_to_end = [Key::Up, Key::Down, Key::PageUp, Key::PageDown, Key::Home, Key::End];
        let rest = [Key::Enter, Key::Backspace, Key::Interrupt];
        assert_eq!(read, [&[Key::Char('q')][..], &up_to_end, &rest].concat());
        assert_eq!((keys.of(b"\x1b["), keys.of(b"5"), keys.of(b"~")), (vec![], vec![], vec![Key::PageUp]));
        assert_eq!(keys.of(b"\x1b"), [Key::Escape]);
    }

    proptest! {
        #[test]
        fn any_bytes_leave_little_behind(chunks in proptest::collection::vec(any::<Vec<u8>>(), 0..9)) {
            let mut keys = Keys::default();
            for chunk in chunks {
                keys.of(&chunk);
                prop_assert!(keys.0.len() <= SEQUENCE_MAX + 2);
            }
        }
    }
}
