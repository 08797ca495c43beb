//! What a program file needs to run.

use crate::plain::{open_plain, read_start};
use std::path::Path;

/// How much of a file is read: its header and the table of its segments.
const HEAD: u64 = 64 << 10;
/// The kind of segment that names the program that loads this one.
const INTERPRETER: u32 = 3;

/// Whether a program needs no other file to run: neither a loader with its libraries nor, as a script does, a shell. One that
/// cannot be read, or is of a form that this does not know, counts as one that does.
pub fn stands_alone(program: &Path) -> bool {
    let head = open_plain(program).and_then(|file| read_start(file, HEAD));
    head.is_ok_and(|head| names_no_interpreter(&head) == Some(true))
}

/// `None`: it is no 64-bit ELF file of little-endian order with its table at the start.
fn names_no_interpreter(head: &[u8]) -> Option<bool> {
    let bytes = |at: usize, length: usize| head.get(at..at.checked_add(length)?);
    let short = |at| bytes(at, 2)?.try_into().ok().map(u16::from_le_bytes).map(usize::from);
    if bytes(0, 6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let table = usize::try_from(u64::from_le_bytes(bytes(0x20, 8)?.try_into().ok()?)).ok()?;
    let (size, number) = (short(0x36)?, short(0x38)?);
    for segment in 0..number {
        let kind = bytes(table.checked_add(segment * size)?, 4)?;
        if u32::from_le_bytes(kind.try_into().ok()?) == INTERPRETER {
            return Some(false);
        }
    }
    Some(number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with these kinds of segments.
    fn program(kinds: &[u32]) -> Vec<u8> {
        let mut head = vec![0_u8; 64 + 56 * kinds.len()];
        head[..6].copy_from_slice(b"\x7fELF\x02\x01");
        head[0x20] = 64;
        head[0x36] = 56;
        head[0x38] = u8::try_from(kinds.len()).unwrap();
        for (number, kind) in kinds.iter().enumerate() {
            head[64 + 56 * number..][..4].copy_from_slice(&kind.to_le_bytes());
        }
        head
    }

    #[test]
    fn a_program_stands_alone_if_it_names_no_loader() {
        assert_eq!(names_no_interpreter(&program(&[1, 1, 2])), Some(true));
        assert_eq!(names_no_interpreter(&program(&[6, INTERPRETER, 1])), Some(false));
        assert_eq!(names_no_interpreter(&program(&[])), Some(false));
        assert_eq!(names_no_interpreter(b"#!/bin/sh\n"), None);
        let whole = program(&[1, INTERPRETER]);
        for length in 0..whole.len() - 56 {
            assert_ne!(names_no_interpreter(&whole[..length]), Some(true), "cut at {length}");
        }
        assert!(!stands_alone(Path::new("/nowhere")) && !stands_alone(Path::new("/proc")));
        assert!(!stands_alone(&std::env::current_exe().unwrap()), "this test has a loader");
    }
}
