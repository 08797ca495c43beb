//! Segments: the files of a trail, named by the number of their first entry, and the lines in them.

use crate::entry::{LINE_MAX, Parsed, parse};
use conductor_crypto::sha256_of;
use conductor_os::dir::Dir;
use std::io::{self, BufRead, BufReader, Read};

const SUFFIX: &str = ".jsonl";

/// The name of the segment that begins with this entry.
pub fn name(first: u64) -> String {
    format!("{first:016}{SUFFIX}")
}

/// The number of the first entry of a segment, by its name.
pub fn first(file: &[u8]) -> Option<u64> {
    let first = std::str::from_utf8(file).ok()?.strip_suffix(SUFFIX)?.parse().ok()?;
    (name(first).as_bytes() == file).then_some(first)
}

/// The segments of a directory, by their first entries in order. Entries with other names are none.
pub fn list(dir: &Dir) -> io::Result<Vec<u64>> {
    let mut found: Vec<u64> = dir.names()?.iter().filter_map(|file| first(file)).collect();
    found.sort_unstable();
    Ok(found)
}

/// The length of a segment up to its last checkpoint; 0: it has none. What stands behind it may still be written, and nobody has signed it.
pub fn signed(dir: &Dir, first: u64) -> io::Result<u64> {
    let (mut at, mut signed) = (0, 0);
    for line in Lines::open(dir, first)? {
        let line = line?;
        at += line.bytes.len() as u64 + u64::from(line.whole);
        if line.whole && matches!(parse(&line.bytes), Some(Parsed::Checkpoint { .. })) {
            signed = at;
        }
    }
    Ok(signed)
}

/// The length and digest of what is in a segment, if anything is.
pub(crate) fn content(dir: &Dir, first: u64) -> io::Result<Option<(u64, String)>> {
    let mut file = dir.open_read(name(first))?;
    let length = file.metadata()?.len();
    let digest = sha256_of(&mut file, length)?;
    Ok((length > 0).then(|| (length, digest.to_string())))
}

/// A line of a segment, without its newline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its bytes, at most [`LINE_MAX`].
    pub bytes: Vec<u8>,
    /// Whether a newline ends it. Only the last one of a file may have none, or one that is too long.
    pub whole: bool,
}

/// The lines of a segment, one in memory at a time.
pub struct Lines<R>(BufReader<R>);

impl<R: Read> Lines<R> {
    /// The lines that this reader delivers.
    pub fn of(reader: R) -> Self {
        Self(BufReader::with_capacity(LINE_MAX, reader))
    }
}

impl Lines<std::fs::File> {
    /// The lines of the segment that begins with this entry.
    pub fn open(dir: &Dir, first: u64) -> io::Result<Self> {
        Ok(Self::of(dir.open_read(name(first))?))
    }
}

impl<R: Read> Iterator for Lines<R> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut bytes = Vec::with_capacity(512);
        match self.0.by_ref().take(LINE_MAX as u64).read_until(b'\n', &mut bytes) {
            Ok(0) => None,
            Ok(_) => {
                let whole = bytes.last() == Some(&b'\n');
                if whole {
                    bytes.pop();
                }
                Some(Ok(Line { bytes, whole }))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_the_last_may_be_torn() {
        let long = vec![b'x'; LINE_MAX];
        let text = [b"a\n\n".as_slice(), &long, b"\ntorn"].concat();
        let lines: Vec<Line> = Lines::of(text.as_slice()).map(Result::unwrap).collect();
        let told: Vec<(usize, bool)> = lines.iter().map(|line| (line.bytes.len(), line.whole)).collect();
        assert_eq!(told, [(1, true), (0, true), (LINE_MAX, false), (0, true), (4, false)]);
    }

    #[test]
    fn segments_are_listed_by_number_and_other_names_are_none() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        for file in [&name(7), &name(0), &name(10_000_000_000_000_000), "7.jsonl", "key", "x.jsonl"] {
            dir.create(file, 0o600, b"").unwrap();
        }
        assert_eq!(list(&dir).unwrap(), [0, 7, 10_000_000_000_000_000]);
    }
}
