//! Cryptography: SHA-256, randomness, comparing secrets, the provider under TLS. The only package whose manifest names a library for
//! it; whichever takes its place is exchanged here.

#![forbid(unsafe_code)]

mod git_blob;
mod hash;
mod random;
mod secret;
#[cfg(feature = "tls")]
pub mod tls;

pub use git_blob::is_git_blob;
pub use hash::{sha256, sha256_of};
pub use random::random_fraction;
pub use secret::same_secret;
