//! Files encrypted to recipients, in the format age-encryption.org/v1 with X25519: whoever has the identity of one recipient opens them,
//! with this program or with `age`, and whoever writes them need not have it. The content goes through in chunks of 64 KiB, each of which
//! is authenticated before it is passed on.

use crate::bech32;
use crate::random::random_bytes;
use crate::secret::random_secret;
use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::io::{self, BufRead, BufReader, Read, Write};
use zeroize::Zeroizing;

const VERSION: &str = "age-encryption.org/v1";
const WRAP: &str = "age-encryption.org/v1/X25519";
const CHUNK: usize = 64 << 10;
const TAG: usize = 16;
/// The longest header that is read.
const HEADER_MAX: u64 = 64 << 10;

type FileKey = Zeroizing<[u8; 16]>;

/// Whom a file is encrypted to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient([u8; 32]);

impl Recipient {
    /// From `age1...`.
    pub fn parse(text: &str) -> Option<Self> {
        bech32::decode("age", text.trim()).map(Self)
    }
}

impl std::fmt::Display for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&bech32::encode("age", &self.0))
    }
}

/// What opens a file. It is wiped from memory when it is dropped, and never printed.
pub struct Identity(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity")
    }
}

impl Identity {
    /// An identity of these secret bytes.
    pub fn new(secret: Zeroizing<[u8; 32]>) -> Self {
        Self(secret)
    }

    /// From the lines that `age-keygen` writes; the first key of them.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        bech32::decode("age-secret-key-", lines.next()?).map(|secret| Self(Zeroizing::new(secret)))
    }

    fn private(&self) -> Option<PrivateKey> {
        PrivateKey::from_private_key(&X25519, self.0.as_ref()).ok()
    }

    /// Whom this identity opens files of; `None` for want of memory alone.
    pub fn recipient(&self) -> Option<Recipient> {
        self.private().and_then(|key| public(&key)).map(Recipient)
    }

    /// The file's key from one stanza, if it is for this identity.
    fn open(&self, share: &[u8; 32], body: &[u8]) -> Option<FileKey> {
        let key = self.private()?;
        let wrap = wrapping(&key, share, share, &public(&key)?)?;
        let mut body = Zeroizing::new(body.to_vec());
        let opened = aead(&wrap)?.open_in_place(nonce([0; NONCE_LEN]), Aad::empty(), &mut body).ok()?;
        Some(Zeroizing::new(<[u8; 16]>::try_from(&*opened).ok()?))
    }
}

fn public(key: &PrivateKey) -> Option<[u8; 32]> {
    key.compute_public_key().ok()?.as_ref().try_into().ok()
}

/// The key that wraps the file's key: from the secret that both sides share.
fn wrapping(
    mine: &PrivateKey,
    theirs: &[u8; 32],
    share: &[u8; 32],
    recipient: &[u8; 32],
) -> Option<Zeroizing<[u8; 32]>> {
    let salt = [share.as_slice(), recipient].concat();
    agree(mine, UnparsedPublicKey::new(&X25519, theirs), (), |shared| derived(shared, &salt, WRAP).ok_or(()))
        .ok()
}

fn derived(secret: &[u8], salt: &[u8], info: &str) -> Option<Zeroizing<[u8; 32]>> {
    struct Size;
    impl KeyType for Size {
        fn len(&self) -> usize {
            32
        }
    }
    let mut out = Zeroizing::new([0; 32]);
    let info = [info.as_bytes()];
    let key = Salt::new(HKDF_SHA256, salt).extract(secret);
    key.expand(&info, Size).and_then(|okm| okm.fill(out.as_mut())).ok()?;
    Some(out)
}

fn aead(key: &[u8; 32]) -> Option<LessSafeKey> {
    UnboundKey::new(&CHACHA20_POLY1305, key).ok().map(LessSafeKey::new)
}

fn nonce(bytes: [u8; NONCE_LEN]) -> Nonce {
    Nonce::assume_unique_for_key(bytes)
}

/// The key that authenticates the header.
fn header_key(file_key: &FileKey) -> Option<hmac::Key> {
    let key = derived(file_key.as_ref(), &[], "header")?;
    Some(hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()))
}

fn failed() -> io::Error {
    io::Error::other("it cannot be encrypted: no randomness")
}

fn changed() -> io::Error {
    bad("it was changed or cut off")
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The header up to its authentication.
fn header(recipients: &[Recipient], file_key: &FileKey) -> Option<String> {
    let mut text = format!("{VERSION}\n");
    for Recipient(recipient) in recipients {
        let mine = PrivateKey::from_private_key(&X25519, random_secret()?.as_ref()).ok()?;
        let share = public(&mine)?;
        let wrap = wrapping(&mine, recipient, &share, recipient)?;
        let mut body = file_key.to_vec();
        aead(&wrap)?.seal_in_place_append_tag(nonce([0; NONCE_LEN]), Aad::empty(), &mut body).ok()?;
        let (share, body) = (STANDARD_NO_PAD.encode(share), STANDARD_NO_PAD.encode(body));
        text.extend(["-> X25519 ", &share, "\n", &body, "\n"]);
    }
    text += "---";
    Some(text)
}

/// The chunks of a file's content, each with a number of its own.
struct Chunks {
    key: LessSafeKey,
    number: u64,
}

impl Chunks {
    fn of(file_key: &FileKey, salt: &[u8; 16]) -> Option<Self> {
        let key = derived(file_key.as_ref(), salt, "payload")?;
        Some(Self { key: aead(&key)?, number: 0 })
    }

    fn nonce(&mut self, last: bool) -> Nonce {
        let mut bytes = [0; NONCE_LEN];
        let number = self.number.to_be_bytes();
        for (place, byte) in bytes.iter_mut().skip(3).zip(number) {
            *place = byte;
        }
        if let Some(flag) = bytes.last_mut() {
            *flag = u8::from(last);
        }
        self.number += 1;
        nonce(bytes)
    }
}

/// Encrypts what is written into it. Without [`Encryptor::finish`] nothing opens the file.
pub struct Encryptor<W> {
    out: W,
    chunks: Chunks,
    held: Vec<u8>,
}

impl<W: Write> Encryptor<W> {
    /// Begins a file for these recipients.
    pub fn begin(recipients: &[Recipient], mut out: W) -> io::Result<Self> {
        let mut file_key = FileKey::default();
        file_key.copy_from_slice(&random_bytes::<16>().ok_or_else(failed)?);
        let salt = random_bytes::<16>().ok_or_else(failed)?;
        let head = header(recipients, &file_key).ok_or_else(failed)?;
        let tag = hmac::sign(&header_key(&file_key).ok_or_else(failed)?, head.as_bytes());
        writeln!(out, "{head} {}", STANDARD_NO_PAD.encode(tag.as_ref()))?;
        out.write_all(&salt)?;
        let chunks = Chunks::of(&file_key, &salt).ok_or_else(failed)?;
        Ok(Self { out, chunks, held: Vec::with_capacity(CHUNK + TAG) })
    }

    fn put(&mut self, last: bool) -> io::Result<()> {
        let nonce = self.chunks.nonce(last);
        let sealed = self.chunks.key.seal_in_place_append_tag(nonce, Aad::empty(), &mut self.held);
        sealed.map_err(|_| failed())?;
        self.out.write_all(&self.held)?;
        self.held.clear();
        Ok(())
    }

    /// Ends the file.
    pub fn finish(mut self) -> io::Result<W> {
        self.put(true)?;
        self.out.flush()?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Encryptor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.held.len() == CHUNK && !bytes.is_empty() {
            self.put(false)?;
        }
        let taken = bytes.get(..bytes.len().min(CHUNK - self.held.len())).unwrap_or_default();
        self.held.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The content of a file; what was changed or cut off is an error.
pub struct Decryptor<R> {
    input: BufReader<R>,
    chunks: Chunks,
    open: Vec<u8>,
    given: usize,
    ended: bool,
    /// A chunk could not be read or authenticated.
    broken: bool,
}

impl<R: Read> Decryptor<R> {
    /// Opens a file with the first of these identities that it is for.
    pub fn begin(identities: &[Identity], input: R) -> io::Result<Self> {
        let mut input = BufReader::with_capacity(CHUNK + TAG, input);
        let (file_key, signed, told) = read_header(identities, &mut input)?;
        let file_key = file_key.ok_or_else(|| bad("it is encrypted to other recipients"))?;
        let key = header_key(&file_key).ok_or_else(failed)?;
        hmac::verify(&key, &signed, &told).map_err(|_| bad("its header was changed"))?;
        let mut salt = [0; 16];
        input.read_exact(&mut salt)?;
        let chunks = Chunks::of(&file_key, &salt).ok_or_else(failed)?;
        Ok(Self { input, chunks, open: Vec::new(), given: 0, ended: false, broken: false })
    }

    /// Opens the next chunk. After an error there is nothing to be read: what was not authenticated is not handed out.
    fn next(&mut self) -> io::Result<()> {
        let opened = self.open_next();
        if opened.is_err() {
            self.open.clear();
            self.broken = true;
        }
        opened
    }

    fn open_next(&mut self) -> io::Result<()> {
        self.open.clear();
        self.given = 0;
        if self.broken {
            return Err(changed());
        }
        let most = (CHUNK + TAG) as u64;
        Read::by_ref(&mut self.input).take(most).read_to_end(&mut self.open)?;
        let last = self.input.fill_buf()?.is_empty();
        let first = self.chunks.number == 0;
        let nonce = self.chunks.nonce(last);
        let opened = self.chunks.key.open_in_place(nonce, Aad::empty(), &mut self.open);
        let length = opened.map_err(|_| changed())?.len();
        if length == 0 && !first {
            return Err(changed());
        }
        self.open.truncate(length);
        self.ended = last;
        Ok(())
    }
}

/// The file's key if one of the identities has it, the header's bytes, and their authentication.
fn read_header(
    identities: &[Identity],
    input: &mut impl BufRead,
) -> io::Result<(Option<FileKey>, Vec<u8>, Vec<u8>)> {
    let no_age = || bad("it is no file of age");
    let mut input = input.take(HEADER_MAX);
    let mut line = || -> io::Result<String> {
        let mut line = Vec::new();
        input.read_until(b'\n', &mut line)?;
        let text = String::from_utf8(line).ok().and_then(|line| line.strip_suffix('\n').map(str::to_owned));
        text.ok_or_else(no_age)
    };
    let (mut header, mut file_key) = (line()?, None);
    if header != VERSION {
        return Err(no_age());
    }
    header.push('\n');
    let mut next = line()?;
    loop {
        if let Some(told) = next.strip_prefix("--- ") {
            let told = STANDARD_NO_PAD.decode(told).map_err(|_| no_age())?;
            header.push_str("---");
            return Ok((file_key, header.into_bytes(), told));
        }
        let stanza = next.strip_prefix("-> ").ok_or_else(no_age)?;
        let share = stanza.strip_prefix("X25519 ").and_then(|share| STANDARD_NO_PAD.decode(share).ok());
        let share = share.and_then(|share| <[u8; 32]>::try_from(share).ok());
        header.extend([&next, "\n"]);
        // A body is lines of 64 letters and one that is shorter.
        let mut body = String::new();
        loop {
            let part = line()?;
            header.extend([&part, "\n"]);
            body += &part;
            if part.len() < 64 {
                break;
            }
        }
        if let (Some(share), None) = (share, &file_key) {
            let body = STANDARD_NO_PAD.decode(&body).map_err(|_| no_age())?;
            file_key = identities.iter().find_map(|identity| identity.open(&share, &body));
        }
        next = line()?;
    }
}

impl<R: Read> Read for Decryptor<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.given == self.open.len() && !self.ended {
            self.next()?;
        }
        let rest = self.open.get(self.given..).unwrap_or_default();
        let taken = rest.len().min(into.len());
        if let (Some(into), Some(rest)) = (into.get_mut(..taken), rest.get(..taken)) {
            into.copy_from_slice(rest);
        }
        self.given += taken;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(seed: u8) -> Identity {
        Identity::new(Zeroizing::new([seed; 32]))
    }

    fn sealed(content: &[u8], recipients: &[Recipient]) -> Vec<u8> {
        let mut out = Encryptor::begin(recipients, Vec::new()).unwrap();
        out.write_all(content).unwrap();
        out.finish().unwrap()
    }

    fn opened(file: &[u8], identity: Identity) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        Decryptor::begin(&[identity], file)?.read_to_end(&mut content)?;
        Ok(content)
    }

    #[test]
    fn each_recipient_opens_a_file_of_any_size_and_nobody_else() {
        let both = [identity(1).recipient().unwrap(), identity(2).recipient().unwrap()];
        for size in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let content: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let file = sealed(&content, &both);
            for seed in [1, 2] {
                assert!(opened(&file, identity(seed)).unwrap() == content, "{size}");
            }
            assert!(opened(&file, identity(3)).is_err());
        }
    }

    #[test]
    fn a_file_that_was_changed_or_cut_off_anywhere_is_an_error() {
        let file = sealed(&[7; 100], &[identity(1).recipient().unwrap()]);
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 1;
            assert!(opened(&changed, identity(1)).is_err(), "byte {at}");
            assert!(opened(&file[..at], identity(1)).is_err(), "cut off at {at}");
        }
        let long = sealed(&vec![7; 2 * CHUNK], &[identity(1).recipient().unwrap()]);
        assert!(opened(&long[..long.len() - CHUNK - TAG], identity(1)).is_err(), "without its last chunk");
        assert!(opened(&[long, vec![0]].concat(), identity(1)).is_err(), "with one more byte");
    }

    #[test]
    fn what_was_not_authenticated_is_never_handed_out() {
        let mut file = sealed(&vec![7; 2 * CHUNK], &[identity(1).recipient().unwrap()]);
        let at = file.len() - CHUNK - TAG - 1;
        file[at] ^= 1;
        let mut opened = Decryptor::begin(&[identity(1)], file.as_slice()).unwrap();
        let mut content = vec![0; 3 * CHUNK];
        for _ in 0..3 {
            assert!(opened.read(&mut content).is_err());
        }
        assert!(content.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_file_that_age_has_made_is_opened() {
        // age 1.1.1 for the recipient of the test below and another one: `age -r age1w3t... -r age1...`.
        const FILE: &str = "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSB2Qmt5WEhPQU5BaFArR090YU94T0tWSjIxcDJJaitqSUVKT2tHUkdtWlMw\
            CnlJTkorVklwQXBXWm9HU2FEN2hTSVMyUGJzWFB4ZFFJcUtuVk1NYU9wbzgKLT4gWDI1NTE5ICt2RCtHL3pnYjNaZ2owbTV6MklW\
            Q1FuOGRNWTdXa2xmVW1XZU9RekFDbUEKdUN2QVVYV2VzbVBranA4OVgvdlRQQUo0Mkh6L3FaRlh6R3Y5Qyt1NTVNMAotLS0gNWhP\
            aSs4MjVpa2V4TjlVYjJOSE96eTBHN3NHNEdJb1IvQ3dha0F3N3FRVQreVehtUxZWPnYlouoE/T8s5ARQ7mB5aBASDICAaUyn1aDM\
            VkOw9Ro1TKhy2pGnlSs3qAbw4gsGEeVepZB96Q==";
        let file = base64::engine::general_purpose::STANDARD.decode(FILE).unwrap();
        assert_eq!(
            opened(&file, Identity::parse(SECRET).unwrap()).unwrap(),
            b"what age itself has encrypted\n"
        );
    }

    /// A pair as `age-keygen -y` tells it.
    const SECRET: &str = "AGE-SECRET-KEY-1XMWWC06LY3EE5RYTXM9MFLAZ2U56JJJ36S0MYPDRWSVLUL66MV4QX3S7F6";
    const PUBLIC: &str = "age1w3tyke4gev25vaxxsvcgqu4484rf6ejpmavs57p6yz6lhy2sfs5swrvwyn";

    #[test]
    fn keys_are_written_as_age_writes_them() {
        let (secret, public) = (SECRET, PUBLIC);
        let read = Identity::parse(&format!("# a comment\n\n{secret}\n")).unwrap();
        assert_eq!(read.recipient().unwrap().to_string(), public);
        assert_eq!(Recipient::parse(public).unwrap().to_string(), public);
        for wrong in ["", "age1", "age1w3tyke4gev25vaxxsvcgqu4484rf6ejpmavs57p6yz6lhy2sfs5swrvwyq", secret] {
            assert_eq!(Recipient::parse(wrong), None, "{wrong}");
        }
        assert!(Recipient::parse(&public.replacen('a', "A", 1)).is_none(), "mixed case");
    }
}
