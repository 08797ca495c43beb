//! What makes a statement about an outcome a signed one: the envelope and its signatures, the key that makes them, and what
//! is recorded of both.

use crate::Attempt;
use crate::digest::Digest;
use serde::{Deserialize, Serialize};

/// The type of the signed payload.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// The type of the statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The type of the predicate: an outcome, as docs/FORMATS.md describes it.
pub const PREDICATE_TYPE: &str = "urn:conductor-loop:outcome:v1";

/// A signed payload, as DSSE 1.0 writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// The type of the payload.
    pub payload_type: String,
    /// The payload, in base64.
    pub payload: String,
    /// Its signatures.
    pub signatures: Vec<Signature>,
}

/// One signature of an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The key's name: 16 hexadecimal digits.
    pub keyid: String,
    /// Ed25519 over the pre-authentication encoding, in base64.
    pub sig: String,
}

/// How an outcome's status is signed; recorded with the outcome, so that a status made again has the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attested {
    /// The name of the key.
    pub key: String,
    /// The version of the program that decided the outcome.
    pub version: String,
}

/// What is known of the last start of porch beyond its ending.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RunProof {
    /// The number of the start, from 1.
    pub attempt: Attempt,
    /// The command line.
    pub argv: Vec<String>,
    /// Digest of the whole standard output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout_sha256: Option<Digest>,
    /// Digest of the whole standard error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr_sha256: Option<Digest>,
    /// Digest of the change of the package as a unified diff, if the embedded engine made one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change_sha256: Option<Digest>,
    /// Digest of the program that ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub porch_sha256: Option<Digest>,
}

/// Signs statements.
pub trait Attest: Send + Sync {
    /// The name of the key that signs what is new.
    fn key(&self) -> &str;

    /// The envelope of a statement, signed by the named key or, if that one is not there any more, by the newest.
    fn attest(&self, key: &str, statement: Vec<u8>) -> Envelope;
}
