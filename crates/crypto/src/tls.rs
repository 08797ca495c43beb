//! The cryptography under TLS, for [`rustls`].

use rustls::crypto::CryptoProvider;
use std::sync::Arc;

/// Key exchange, ciphers, signatures and randomness of TLS connections.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
