//! The cryptography under TLS, for [`rustls`].

use rustls::crypto::CryptoProvider;
use std::sync::Arc;

/// Key exchange, ciphers, signatures and randomness of TLS connections. Their generator of random numbers is ready when this
/// returns: it collects its first seed here, with calls that a thread which serves connections may not make.
#[expect(
    clippy::disallowed_methods,
    reason = "its first use takes long, and is to be here, where nobody waits for a connection"
)]
pub fn provider() -> Arc<CryptoProvider> {
    // Without randomness each handshake says so.
    let _ = aws_lc_rs::rand::fill(&mut [0; 1]);
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
