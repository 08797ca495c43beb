//! SHA-256 of bytes and of files.

use aws_lc_rs::digest::{Context, SHA256, digest};
use conductor_core::Digest;
use std::io::{self, Read};

/// The size of the part of a file that is in memory while it is hashed.
const CHUNK: u64 = 64 << 10;

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> Digest {
    as_digest(digest(&SHA256, bytes).as_ref())
}

/// SHA-256 of bytes that stand in several places.
pub fn sha256_of_parts(parts: &[&[u8]]) -> Digest {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    as_digest(context.finish().as_ref())
}

/// SHA-256 of the next `length` bytes; an early end is an error.
pub fn sha256_of(reader: &mut impl Read, length: u64) -> io::Result<Digest> {
    let (mut context, mut left) = (Context::new(&SHA256), length);
    let mut chunk = vec![0; usize::try_from(left.min(CHUNK)).unwrap_or(0)];
    while left > 0 {
        let size = usize::try_from(left.min(CHUNK)).unwrap_or(0);
        let part = chunk.get_mut(..size).unwrap_or_default();
        reader.read_exact(part)?;
        context.update(part);
        left -= size as u64;
    }
    Ok(as_digest(context.finish().as_ref()))
}

/// SHA-256 of bytes that come in parts.
pub struct Sha256(Context);

impl Default for Sha256 {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Sha256 {
    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes.
    pub fn finish(self) -> Digest {
        as_digest(self.0.finish().as_ref())
    }
}

fn as_digest(hash: &[u8]) -> Digest {
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(hash) {
        *to = *from;
    }
    Digest(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_hashed_in_parts_and_to_its_end() {
        let bytes: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        for length in [0, 1, 65_536, 65_537, bytes.len()] {
            let hashed = sha256_of(&mut bytes.as_slice(), length as u64).unwrap();
            assert_eq!(hashed, sha256(&bytes[..length]), "{length}");
        }
        assert!(sha256_of(&mut bytes.as_slice(), bytes.len() as u64 + 1).is_err());
    }

    #[test]
    fn parts_are_hashed_as_one() {
        assert_eq!(sha256_of_parts(&[b"a", b"", b"bc"]), sha256(b"abc"));
        assert_eq!(sha256_of_parts(&[]), sha256(b""));
    }

    #[test]
    fn known_answer() {
        assert_eq!(
            sha256(b"abc").to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
