//! Checkpoints: the size and root of the tree as a signed note (C2SP tlog-checkpoint and signed-note).

use conductor_core::Digest;
use conductor_crypto::{SigningKey, VerifyingKey, base64, from_base64, sha256_of_parts};

/// What a signature line begins with: an em dash and a space.
const DASH: &str = "\u{2014} ";
/// The kind of signature in the hash of a key: Ed25519.
const ED25519: u8 = 1;

/// The size and root of a tree at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The name of the log.
    pub origin: String,
    /// The number of its entries.
    pub size: u64,
    /// The root of the tree of these entries.
    pub root: Digest,
    /// Further lines of the signed text.
    pub extensions: Vec<String>,
}

impl Checkpoint {
    /// The signed text.
    pub fn body(&self) -> String {
        let mut text = format!("{}\n{}\n{}\n", self.origin, self.size, base64(&self.root.0));
        for line in &self.extensions {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// The note: the text, and the signature of each of these keys, which have names.
    pub fn sign(&self, signers: &[(&str, &SigningKey)]) -> String {
        let body = self.body();
        let mut note = format!("{body}\n");
        for (name, key) in signers {
            let hash = key_hash(name, &key.public());
            let signature = [hash.as_slice(), &key.sign(body.as_bytes())].concat();
            for part in [DASH, name, " ", &base64(&signature), "\n"] {
                note.push_str(part);
            }
        }
        note
    }
}

/// The hash by which a signature line names its key.
fn key_hash(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let hash = sha256_of_parts(&[name.as_bytes(), b"\n", &[ED25519], key.as_bytes()]).0;
    [hash[0], hash[1], hash[2], hash[3]]
}

/// A note that was read. Nothing in it is believed before [`Note::is_signed_by`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What it says.
    pub checkpoint: Checkpoint,
    signatures: Vec<Signature>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Signature {
    name: String,
    hash: [u8; 4],
    bytes: [u8; 64],
}

impl Note {
    /// Reads a note; `None` if the text is none.
    pub fn parse(text: &str) -> Option<Self> {
        // The text may contain empty lines; the signatures follow the last one.
        let (body, signatures) = text.rsplit_once("\n\n")?;
        let mut lines = body.lines();
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let root: [u8; 32] = from_base64(root)?.try_into().ok()?;
        let checkpoint = Checkpoint {
            origin: origin.to_owned(),
            size: size.parse().ok().filter(|parsed: &u64| parsed.to_string() == size)?,
            root: Digest(root),
            extensions: lines.map(str::to_owned).collect(),
        };
        let signatures: Option<Vec<_>> =
            signatures.strip_suffix('\n')?.split('\n').map(Signature::parse).collect();
        let note = Self { checkpoint, signatures: signatures? };
        (note.checkpoint.body() == format!("{body}\n")).then_some(note)
    }

    /// Whether it carries a valid signature of this key under this name.
    pub fn is_signed_by(&self, name: &str, key: &VerifyingKey) -> bool {
        let (hash, body) = (key_hash(name, key), self.checkpoint.body());
        let mut of_key = self.signatures.iter().filter(|line| line.name == name && line.hash == hash);
        of_key.any(|line| key.verify(body.as_bytes(), &line.bytes))
    }

    /// The number of its signature lines.
    pub fn signatures(&self) -> usize {
        self.signatures.len()
    }
}

impl Signature {
    fn parse(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(DASH)?.split_once(' ')?;
        let bytes = from_base64(encoded)?;
        let (hash, signature) = bytes.split_at_checked(4)?;
        Some(Self { name: name.to_owned(), hash: hash.try_into().ok()?, bytes: signature.try_into().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            origin: "example.com/log".to_owned(),
            size: 20_852_163,
            root: Digest([9; 32]),
            extensions: vec!["epoch 3 open".to_owned()],
        }
    }

    #[test]
    fn a_note_has_the_form_of_the_specification() {
        let key = SigningKey::from_seed(&[1; 32]);
        let note = checkpoint().sign(&[("example.com/log", &key)]);
        let lines: Vec<&str> = note.lines().collect();
        assert_eq!(
            lines[..5],
            [
                "example.com/log",
                "20852163",
                "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=",
                "epoch 3 open",
                ""
            ]
        );
        assert!(lines[5].starts_with("\u{2014} example.com/log "));
        let signature = from_base64(lines[5].rsplit_once(' ').unwrap().1).unwrap();
        assert_eq!(signature.len(), 68);
        let signed = note.split_once("\n\n").unwrap().0.to_owned() + "\n";
        assert!(key.public().verify(signed.as_bytes(), signature[4..].try_into().unwrap()));
    }

    /// The verifier key and the note of the documentation of Go's golang.org/x/mod/sumdb/note.
    #[test]
    fn a_note_of_another_implementation_names_its_key_by_the_same_hash() {
        let key = "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let bytes = from_base64(key).unwrap();
        let key = VerifyingKey::from_bytes(bytes[1..].try_into().unwrap());
        assert_eq!(bytes[0], ED25519);
        assert_eq!(key_hash("PeterNeumann", &key), [0xc7, 0x4f, 0x20, 0xa3]);
        let text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
        let signature = from_base64(
            "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=",
        )
        .unwrap();
        assert_eq!(signature[..4], [0xc7, 0x4f, 0x20, 0xa3]);
        assert!(key.verify(text.as_bytes(), signature[4..].try_into().unwrap()));
    }

    #[test]
    fn a_note_is_believed_for_its_keys_and_its_text_alone() {
        let (one, other) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
        let text = checkpoint().sign(&[("log", &one), ("witness", &other)]);
        let note = Note::parse(&text).unwrap();
        assert_eq!((&note.checkpoint, note.signatures()), (&checkpoint(), 2));
        assert!(note.is_signed_by("log", &one.public()) && note.is_signed_by("witness", &other.public()));
        assert!(!note.is_signed_by("log", &other.public()) && !note.is_signed_by("witness", &one.public()));
        for (from, to) in
            [("example", "exemple"), ("20852163", "20852164"), ("CQkJ", "CQkK"), ("open", "opem")]
        {
            let changed = Note::parse(&text.replacen(from, to, 1)).unwrap();
            assert!(!changed.is_signed_by("log", &one.public()), "{from}");
        }
        for broken in ["", "a\n1\n", "a\n01\nCQkJ\n\n\u{2014} a b\n", &text[..text.len() - 1]] {
            assert_eq!(Note::parse(broken), None, "{broken}");
        }
        assert_eq!(Note::parse(&text.replace("20852163", "020852163")), None, "one number has one form");
    }
}
