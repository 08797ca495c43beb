//! Cryptography: SHA-256, signatures, randomness, comparison of secrets, the provider for TLS. The only package whose manifest names
//! a cryptographic library, so that another one can take its place here.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod age;
mod bech32;
mod envelope;
mod git_blob;
mod hash;
mod random;
mod root_key;
mod seal;
mod secret;
mod sign;
#[cfg(feature = "tls")]
pub mod tls;

pub use envelope::{base64, dsse_bytes, from_base64};
pub use git_blob::git_name;
pub use hash::{Sha256, sha256, sha256_of, sha256_of_parts};
pub use random::{random_bytes, random_fraction};
pub use root_key::{BadKey, KeyRing, ROOT_KEY_SIZE, RootKey};
pub use seal::{NameKey, NotSealed, SEAL_OVERHEAD, SealKey};
pub use secret::{random_secret, same_secret};
pub use sign::{KeyId, SigningKey, VerifyingKey};
