//! The signed statement in a status: an in-toto Statement v1 about the intent's bytes, in a DSSE envelope. This module
//! gives statement and envelope their form; a key elsewhere makes the signature.

use crate::Attempt;
use crate::digest::Digest;
use crate::record::{Outcome, StatusBody, rfc3339};
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Statement<'r> {
    #[serde(rename = "_type")]
    form: &'static str,
    subject: [Subject<'r>; 1],
    predicate_type: &'static str,
    predicate: Predicate<'r>,
}

#[derive(Serialize)]
struct Subject<'r> {
    name: &'r str,
    digest: SubjectDigest,
}

/// A file that was refused unread has no digest of its content. In-toto asks for a set that is not empty, so it says that.
#[derive(Serialize)]
#[serde(untagged)]
enum SubjectDigest {
    Content { sha256: Digest },
    Unread { unread: &'static str },
}

#[derive(Serialize)]
struct Predicate<'r> {
    status: StatusBody<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    taken_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    producer_uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<&'r RunProof>,
    version: &'r str,
}

/// The statement about an outcome: the same bytes whenever it is made.
pub(crate) fn statement(outcome: &Outcome, attested: &Attested) -> Vec<u8> {
    let history = outcome.history.as_deref();
    let statement = Statement {
        form: STATEMENT_TYPE,
        subject: [Subject {
            name: &outcome.name,
            digest: outcome
                .sha256
                .map_or(SubjectDigest::Unread { unread: "" }, |sha256| SubjectDigest::Content { sha256 }),
        }],
        predicate_type: PREDICATE_TYPE,
        predicate: Predicate {
            status: StatusBody::of(outcome),
            taken_at: history.map(|history| rfc3339(history.taken_at)),
            producer_uid: history.map(|history| history.uid),
            run: history.and_then(|history| history.proof.as_deref()),
            version: &attested.version,
        },
    };
    // Writing a type with text keys into memory cannot fail.
    serde_json::to_vec(&statement).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Seq;
    use serde_json::{Value, json};

    struct Plainly;

    impl Attest for Plainly {
        fn key(&self) -> &'static str {
            "00ff"
        }

        fn attest(&self, key: &str, statement: Vec<u8>) -> Envelope {
            let sig = Signature { keyid: key.to_owned(), sig: "c2ln".to_owned() };
            let payload = String::from_utf8(statement).unwrap();
            Envelope { payload_type: PAYLOAD_TYPE.to_owned(), payload, signatures: vec![sig] }
        }
    }

    #[test]
    fn an_attestation_stands_last_and_says_what_the_status_says() {
        let attested = Attested { key: "00ff".into(), version: "9.9".into() };
        for sha256 in [None, Some(Digest([7; 32]))] {
            let outcome = Outcome {
                sha256,
                attested: Some(attested.clone()),
                ..Outcome::blank(Seq(7), "intent-a.json", "2024-08-15T10:30:00Z".parse().unwrap())
            };
            let bytes = outcome.status_body(&Plainly);
            assert!(outcome.is_told_by(&bytes) && outcome.is_told_by(&outcome.plain_status()));
            let mut status: Value = serde_json::from_slice(&bytes).unwrap();
            let envelope = status.as_object_mut().unwrap().remove("attestation").unwrap();
            assert_eq!(envelope["payloadType"], PAYLOAD_TYPE);
            let statement: Value = serde_json::from_str(envelope["payload"].as_str().unwrap()).unwrap();
            assert_eq!(statement["_type"], STATEMENT_TYPE);
            assert_eq!(statement["predicate"]["status"], status);
            assert_eq!(statement["predicate"]["version"], "9.9");
            let digest = sha256.map_or(json!({"unread": ""}), |it| json!({"sha256": it.to_string()}));
            assert_eq!(statement["subject"], json!([{"name": "intent-a.json", "digest": digest}]));
        }
    }

    #[test]
    fn another_status_does_not_tell_of_the_outcome() {
        let outcome = Outcome::blank(Seq(7), "intent-a.json", "2024-08-15T10:30:00Z".parse().unwrap());
        let plain = outcome.plain_status();
        let cut = plain.strip_suffix(b"}\n").unwrap();
        for (suffix, told) in [
            ("}\n", true),
            (", \"attestation\": {}}\n", true),
            ("", false),
            ("}", false),
            (", \"other\": 1}\n", false),
            (", \"attestation\": {}", false),
        ] {
            assert_eq!(outcome.is_told_by(&[cut, suffix.as_bytes()].concat()), told, "{suffix}");
        }
        let unsigned = Outcome { attested: None, ..outcome.clone() };
        assert_eq!(unsigned.status_body(&Plainly), plain);
    }
}
