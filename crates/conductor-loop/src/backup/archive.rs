//! The files of a backup one behind the other, as a tar archive (POSIX ustar) of plain files, so that `age` and `tar` open one by themselves.

use std::io::{self, Read, Write};

const BLOCK: usize = 512;
/// The longest name. Ours are far shorter.
const NAME_MAX: usize = 100;

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// The bytes that fill up the last block of a file.
fn filling(size: u64) -> usize {
    let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
    if over == 0 { 0 } else { BLOCK - over }
}

/// The sum over a header whose own place counts as spaces.
fn sum(header: &[u8; BLOCK]) -> u64 {
    let counts =
        |at: usize, byte: u8| if (148..156).contains(&at) { u64::from(b' ') } else { u64::from(byte) };
    header.iter().enumerate().map(|(at, byte)| counts(at, *byte)).sum()
}

fn put(header: &mut [u8; BLOCK], at: usize, text: &str) {
    for (place, byte) in header.iter_mut().skip(at).zip(text.bytes()) {
        *place = byte;
    }
}

/// Writes an archive.
pub(super) struct Packer<W>(W);

impl<W: Write> Packer<W> {
    pub(super) fn new(out: W) -> Self {
        Self(out)
    }

    /// Adds a file of this size.
    pub(super) fn add(&mut self, name: &str, size: u64, content: impl Read) -> io::Result<()> {
        if name.len() > NAME_MAX {
            return Err(bad("a name is too long for an archive"));
        }
        let mut header = [0; BLOCK];
        put(&mut header, 0, name);
        put(&mut header, 100, "0000600");
        put(&mut header, 108, "0000000");
        put(&mut header, 116, "0000000");
        put(&mut header, 124, &format!("{size:011o}"));
        put(&mut header, 136, "00000000000");
        put(&mut header, 156, "0");
        put(&mut header, 257, "ustar\0");
        put(&mut header, 263, "00");
        let total = sum(&header);
        put(&mut header, 148, &format!("{total:06o}\0 "));
        self.0.write_all(&header)?;
        let copied = io::copy(&mut content.take(size), &mut self.0)?;
        if copied != size {
            return Err(bad("a file became shorter while it was read"));
        }
        let filling = [0; BLOCK];
        self.0.write_all(filling.get(..self::filling(size)).unwrap_or_default())
    }

    /// Ends the archive.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.0.write_all(&[0; 2 * BLOCK])?;
        Ok(self.0)
    }
}

/// Reads an archive.
pub(super) struct Unpacker<R>(R);

impl<R: Read> Unpacker<R> {
    pub(super) fn new(input: R) -> Self {
        Self(input)
    }

    /// Passes each file's name, size and content to `take`, which need not read it to its end. Everything is read, so that whatever
    /// authenticates the archive has seen its end.
    pub(super) fn each(
        mut self,
        mut take: impl FnMut(&str, u64, &mut dyn Read) -> io::Result<()>,
    ) -> io::Result<()> {
        loop {
            let mut header = [0; BLOCK];
            self.0.read_exact(&mut header)?;
            if header.iter().all(|byte| *byte == 0) {
                io::copy(&mut self.0, &mut io::sink())?;
                return Ok(());
            }
            let (name, size) = parsed(&header).ok_or_else(|| bad("it is no archive of plain files"))?;
            let mut content = Read::by_ref(&mut self.0).take(size);
            take(&name, size, &mut content)?;
            io::copy(&mut content, &mut io::sink())?;
            if content.limit() > 0 {
                return Err(bad("the archive is cut off"));
            }
            let mut filling = [0; BLOCK];
            self.0.read_exact(filling.get_mut(..self::filling(size)).unwrap_or_default())?;
        }
    }
}

/// Name and size of a plain file.
fn parsed(header: &[u8; BLOCK]) -> Option<(String, u64)> {
    let field = |at: usize, length: usize| {
        let bytes = header.get(at..at + length)?;
        let text = bytes.split(|byte| *byte == 0).next()?;
        std::str::from_utf8(text).ok().map(str::trim)
    };
    let number = |at, length| u64::from_str_radix(field(at, length)?, 8).ok();
    let plain = header.get(156) == Some(&b'0') && number(148, 7)? == sum(header);
    plain.then_some((field(0, NAME_MAX)?.to_owned(), number(124, 12)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_comes_out_and_what_was_cut_off_is_an_error() {
        let files = [("a", vec![1; 0]), ("audit/b.jsonl", vec![2; 512]), ("c", vec![3; 1_000])];
        let mut packer = Packer::new(Vec::new());
        for (name, content) in &files {
            packer.add(name, content.len() as u64, content.as_slice()).unwrap();
        }
        let archive = packer.finish().unwrap();
        let unpacked = |bytes: &[u8]| {
            let mut found = Vec::new();
            Unpacker::new(bytes)
                .each(|name, size, content| {
                    let mut all = Vec::new();
                    content.read_to_end(&mut all)?;
                    found.push((name.to_owned(), size, all));
                    Ok(())
                })
                .map(|()| found)
        };
        let wanted: Vec<_> = files
            .iter()
            .map(|(name, content)| ((*name).to_owned(), content.len() as u64, content.clone()))
            .collect();
        assert_eq!(unpacked(&archive).unwrap(), wanted);
        assert!(Packer::new(Vec::new()).add("a", 2, [0].as_slice()).is_err());
        for length in [0, 100, 600, 1_100, archive.len() - 2 * BLOCK] {
            assert!(unpacked(&archive[..length]).is_err(), "{length}");
        }
    }
}
