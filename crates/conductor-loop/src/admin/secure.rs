//! Authentication: TLS 1.3 with an optional authority for clients, and a bearer token. Changed files are read again, on
//! another thread than the one that serves; an unusable file leaves the previous content in force.

use conductor_crypto::same_secret;
use conductor_os::plain::read_plain;
use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::version::TLS13;
use std::io;
use std::path::{Path, PathBuf};
use std::str::Utf8Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio_rustls::TlsAcceptor;

/// The interval between checks of the files for changes.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A token shorter than this can be guessed.
const TOKEN_MIN: usize = 16;
/// The largest accepted file with a token, certificates or a key.
const FILE_MAX: u64 = 1 << 20;

/// Why certificate, key, authority or token cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {flaw}", path.display())]
pub struct SecurityError {
    /// The file.
    path: PathBuf,
    #[source]
    flaw: Flaw,
}

/// What is wrong with one of the files.
#[derive(Debug, thiserror::Error)]
enum Flaw {
    #[error("{0}")]
    Unread(#[from] io::Error),
    #[error("{0}")]
    NoText(#[from] Utf8Error),
    #[error("{0}")]
    Pem(#[from] pem::Error),
    #[error("{0}")]
    Tls(#[from] rustls::Error),
    #[error("{0}")]
    Authority(#[from] VerifierBuilderError),
    #[error("a token is one word of at least {TOKEN_MIN} characters")]
    NoToken,
    #[error("it holds no certificate")]
    NoCertificate,
}

impl Flaw {
    /// The error that this is in a file.
    fn of<F: Into<Self>>(path: &Path) -> impl Fn(F) -> SecurityError {
        move |flaw| SecurityError { path: path.to_owned(), flaw: flaw.into() }
    }
}

/// Paths of PEM files.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate, with its intermediates.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authority that signs clients' certificates, if they must have one.
    pub client_authority: Option<PathBuf>,
}

/// Acceptors with and without a required client certificate.
#[derive(Clone)]
struct Acceptors {
    authenticated: TlsAcceptor,
    plain: TlsAcceptor,
}

/// The requirements on clients.
pub struct Security {
    tls: Option<Reloading<TlsFiles, Acceptors>>,
    /// `None` inside: the token file was deleted, and every request is refused.
    token: Option<Reloading<PathBuf, Option<Vec<u8>>>>,
}

impl Security {
    /// Reads all files.
    pub fn new(tls: Option<TlsFiles>, token: Option<PathBuf>) -> Result<Self, SecurityError> {
        let paths = |files: &TlsFiles| {
            let authority = files.client_authority.clone();
            [files.certificate.clone(), files.key.clone()].into_iter().chain(authority).collect()
        };
        let tls = tls.map(|files| Reloading::new(paths(&files), files, acceptors)).transpose()?;
        if let Some(path) = &token {
            read_token(path)?;
        }
        let token =
            token.map(|path| Reloading::new(vec![path.clone()], path, |path| token_now(path))).transpose()?;
        Ok(Self { tls, token })
    }

    /// A warning for each secret that every user of the machine can read.
    pub fn exposed(&self) -> Vec<String> {
        use std::os::unix::fs::PermissionsExt;
        let key = self.tls.as_ref().map(|tls| &tls.from.key);
        let token = self.token.as_ref().map(|token| &token.from);
        let is_open = |path: &&PathBuf| {
            std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o004 != 0)
        };
        let said = |path: &PathBuf| {
            format!(
                "{0} is a secret that everybody may read; chmod o-r it (a mounted Secret: defaultMode 0400)",
                path.display()
            )
        };
        key.into_iter().chain(token).filter(is_open).map(said).collect()
    }

    /// Whether connections are encrypted.
    pub(super) fn uses_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether it is time to look at the files again.
    pub(super) fn is_due(&self) -> bool {
        self.tls.as_ref().is_some_and(Reloading::is_due) || self.token.as_ref().is_some_and(Reloading::is_due)
    }

    /// Looks at the files if it is time, and reads those that have changed. Waits for their disk.
    pub(super) fn look(&self) {
        self.tls.iter().for_each(Reloading::look);
        self.token.iter().for_each(Reloading::look);
    }

    /// `None`: plain connections are served.
    pub(super) fn acceptor(&self, authenticated: bool) -> Option<TlsAcceptor> {
        let acceptors = self.tls.as_ref()?.current();
        Some(if authenticated { acceptors.authenticated } else { acceptors.plain })
    }

    /// Whether this `Authorization` header is sufficient.
    pub(super) fn permits(&self, authorization: Option<&[u8]>) -> bool {
        let Some(token) = &self.token else { return true };
        let given = authorization.and_then(|header| header.strip_prefix(b"Bearer "));
        given.zip(token.current()).is_some_and(|(given, token)| same_secret(given, &token))
    }
}

/// A value made from files, and remade when they change.
struct Reloading<F, T> {
    paths: Vec<PathBuf>,
    from: F,
    make: fn(&F) -> Result<T, SecurityError>,
    held: Mutex<Held<T>>,
}

struct Held<T> {
    value: T,
    seen: Vec<Option<Mark>>,
    /// Unusable files that have been reported.
    refused: Vec<Option<Mark>>,
    looked: Instant,
}

/// The metadata that reveals a replaced or rewritten file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

fn marks(paths: &[PathBuf]) -> Vec<Option<Mark>> {
    use std::os::unix::fs::MetadataExt;
    let mark = |path: &PathBuf| {
        let meta = std::fs::metadata(path).ok()?;
        Some(Mark { inode: meta.ino(), size: meta.size(), changed: (meta.ctime(), meta.ctime_nsec()) })
    };
    paths.iter().map(mark).collect()
}

impl<F, T: Clone> Reloading<F, T> {
    fn new(
        paths: Vec<PathBuf>,
        from: F,
        make: fn(&F) -> Result<T, SecurityError>,
    ) -> Result<Self, SecurityError> {
        let seen = marks(&paths);
        let held = Held { value: make(&from)?, seen, refused: Vec::new(), looked: Instant::now() };
        Ok(Self { paths, from, make, held: Mutex::new(held) })
    }

    fn held(&self) -> MutexGuard<'_, Held<T>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> T {
        self.held().value.clone()
    }

    fn is_due(&self) -> bool {
        self.held().looked.elapsed() >= LOOK_EVERY
    }

    /// Nothing is held meanwhile: who needs the value has the previous one.
    fn look(&self) {
        if !self.is_due() {
            return;
        }
        self.held().looked = Instant::now();
        let seen = marks(&self.paths);
        if seen == self.held().seen {
            return;
        }
        match (self.make)(&self.from) {
            Ok(value) => {
                let mut held = self.held();
                (held.value, held.seen) = (value, seen);
                tracing::info!(file = %self.paths.first().map_or(Path::new(""), |path| path).display(), "read again, because it changed");
            }
            // The file may be half replaced: it is checked again, and the previous content stays in force.
            Err(error) if seen != self.held().refused => {
                tracing::warn!(%error, "changed and not usable; the previous content stays in force");
                self.held().refused = seen;
            }
            Err(_) => {}
        }
    }
}

/// The current token. Deleting its file revokes the token at once.
fn token_now(path: &Path) -> Result<Option<Vec<u8>>, SecurityError> {
    if std::fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        tracing::warn!(file = %path.display(), "the token file is gone: every request is refused until there is one again");
        return Ok(None);
    }
    read_token(path).map(Some)
}

fn read_token(path: &Path) -> Result<Vec<u8>, SecurityError> {
    let bytes = read(path)?;
    let token = std::str::from_utf8(&bytes).map_err(Flaw::of(path))?.trim();
    if token.len() < TOKEN_MIN || token.contains(char::is_whitespace) {
        return Err(Flaw::of(path)(Flaw::NoToken));
    }
    Ok(token.as_bytes().to_vec())
}

fn read(path: &Path) -> Result<Vec<u8>, SecurityError> {
    read_plain(path, FILE_MAX).map_err(Flaw::of(path))
}

fn acceptors(files: &TlsFiles) -> Result<Acceptors, SecurityError> {
    let plain = config(files, None)?;
    let authenticated = match &files.client_authority {
        None => Arc::clone(&plain),
        Some(authority) => config(files, Some(authority))?,
    };
    Ok(Acceptors { authenticated: authenticated.into(), plain: plain.into() })
}

fn config(files: &TlsFiles, authority: Option<&PathBuf>) -> Result<Arc<ServerConfig>, SecurityError> {
    let provider = conductor_crypto::tls::provider();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .map_err(Flaw::of(&files.certificate))?;
    let builder = match authority {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = rustls::RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(Flaw::of(path))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().map_err(Flaw::of(path))?)
        }
    };
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?).map_err(Flaw::of(&files.key))?;
    let mut config = builder
        .with_single_cert(certificates(&files.certificate)?, key)
        .map_err(Flaw::of(&files.certificate))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, SecurityError> {
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(&read(path)?).collect::<Result<_, _>>().map_err(Flaw::of(path))?;
    if certificates.is_empty() {
        return Err(Flaw::of(path)(Flaw::NoCertificate));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor_os::dir::Dir;
    use rustix::io::Errno;
    use std::error::Error;

    fn refused(tls: Option<TlsFiles>, token: Option<PathBuf>) -> SecurityError {
        Security::new(tls, token).err().unwrap()
    }

    #[test]
    fn the_error_of_a_file_keeps_what_the_system_and_the_libraries_said() {
        let bed = tempfile::tempdir().unwrap();
        let path = |name: &str| bed.path().join(name);
        let missing = refused(None, Some(path("token")));
        let cause = missing.source().and_then(Error::source).and_then(|cause| cause.downcast_ref());
        assert_eq!(cause.and_then(Errno::from_io_error), Some(Errno::NOENT));
        let said = io::Error::from(Errno::NOENT).to_string();
        assert_eq!(missing.to_string(), format!("{}: {said}", path("token").display()));
        let dir = Dir::open(bed.path()).unwrap();
        for (name, text) in [("short", "word"), ("cut", "-----BEGIN CERTIFICATE-----\nAAAA")] {
            dir.create(name, 0o600, text.as_bytes()).unwrap();
        }
        let short = refused(None, Some(path("short")));
        assert!(short.source().unwrap().source().is_none(), "a rule of ours, which no error stands behind");
        let files = TlsFiles { certificate: path("cut"), key: path("cut"), client_authority: None };
        let cut = refused(Some(files), None);
        let cause = cut.source().and_then(Error::source).and_then(|cause| cause.downcast_ref());
        assert!(matches!(cause, Some(pem::Error::MissingSectionEnd { .. })), "{cut:?}");
    }
}
