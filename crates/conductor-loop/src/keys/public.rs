//! Public keys as text: PEM blocks.

use conductor_crypto::VerifyingKey;
use std::fmt::Write as _;
use std::io;

/// The public keys of a text of PEM blocks. A block that is no Ed25519 key is an error, so that none is lost without a word.
pub fn read_public(text: &str) -> io::Result<Vec<VerifyingKey>> {
    const BEGIN: &str = "-----BEGIN ";
    let blocks = text.match_indices(BEGIN).filter_map(|(at, _)| text.get(at..));
    let keys: Option<Vec<_>> = blocks.map(VerifyingKey::from_pem).collect();
    keys.ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, "a block in it is no public key of Ed25519")
    })
}

/// The public keys as PEM blocks, each with its name before it.
pub fn show_public(keys: &[VerifyingKey]) -> String {
    let mut text = String::new();
    for key in keys {
        // Writing to a String cannot fail.
        let _ = write!(text, "# {}\n{}", key.id(), key.to_pem());
    }
    text
}
