//! The status of an outcome: its form, and the signed statement in it, an in-toto Statement v1 about the intent's bytes in a
//! DSSE envelope. A key elsewhere makes the signature.

use crate::attestation::{Attest, Attested, Envelope, PREDICATE_TYPE, RunProof, STATEMENT_TYPE};
use crate::code::Code;
use crate::digest::Digest;
use crate::ids::Seq;
use crate::record::{Outcome, PROCESSED_BY, Status, one_line, rfc3339};
use serde::Serialize;

/// The status file: the specification's seven fields first, then our additions.
#[derive(Serialize)]
struct StatusBody<'r> {
    intent_file: &'r str,
    status: Status,
    message: &'r str,
    timestamp: String,
    processed_by: &'static str,
    mode: &'r str,
    porch_path: &'r str,
    seq: Seq,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<Digest>,
    size: u64,
    correlation_id: &'r str,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'r str>,
    archived_as: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate_of: Option<Seq>,
    /// Last, so that a status without it is the beginning of one with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    attestation: Option<Envelope>,
}

impl<'r> StatusBody<'r> {
    /// The status without an attestation.
    fn of(outcome: &'r Outcome) -> Self {
        Self {
            intent_file: &outcome.name,
            status: outcome.status,
            message: &outcome.message,
            timestamp: rfc3339(outcome.finished_at),
            processed_by: PROCESSED_BY,
            mode: &outcome.mode,
            porch_path: &outcome.porch_path,
            seq: outcome.seq,
            sha256: outcome.sha256,
            size: outcome.size,
            correlation_id: &outcome.correlation_id,
            attempts: outcome.attempts,
            exit_code: outcome.exit_code,
            signal: outcome.signal.as_deref(),
            error_code: outcome.error_code,
            duration_ms: outcome.duration_ms,
            note: outcome.note.as_deref(),
            archived_as: &outcome.archived_as,
            duplicate_of: outcome.duplicate_of,
            attestation: None,
        }
    }

    /// One line of JSON ended by a newline.
    fn line(&self) -> Vec<u8> {
        let mut bytes = one_line(self);
        bytes.push(b'\n');
        bytes
    }
}

/// Between a status and its attestation.
const BEFORE_ATTESTATION: &[u8] = b", \"attestation\": ";

impl Outcome {
    /// The bytes of the status file: one line of JSON ended by a newline, signed as the outcome says.
    pub fn status_body(&self, key: &dyn Attest) -> Vec<u8> {
        let attested = self.attested.as_ref();
        let attestation = attested.map(|attested| key.attest(&attested.key, statement(self, attested)));
        StatusBody { attestation, ..StatusBody::of(self) }.line()
    }

    /// The status without an attestation.
    pub fn plain_status(&self) -> Vec<u8> {
        StatusBody::of(self).line()
    }

    /// Whether these are the bytes of this outcome's status, with any attestation or none: whether that one is genuine is
    /// another question.
    pub fn is_told_by(&self, status: &[u8]) -> bool {
        let plain = self.plain_status();
        let rest = plain.strip_suffix(b"}\n").and_then(|body| status.strip_prefix(body));
        rest.is_some_and(|rest| {
            rest == b"}\n" || rest.starts_with(BEFORE_ATTESTATION) && rest.ends_with(b"}\n")
        })
    }
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
fn statement(outcome: &Outcome, attested: &Attested) -> Vec<u8> {
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
    use crate::attestation::{PAYLOAD_TYPE, Signature};
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

    fn outcome() -> Outcome {
        Outcome {
            message: "Processed by worker 0 in 2.5s".into(),
            mode: "direct".into(),
            porch_path: "porch".into(),
            sha256: Some(Digest([1; 32])),
            size: 12,
            attempts: 1,
            exit_code: Some(0),
            duration_ms: Some(2500),
            archived_as: "processed/intent-a.json".into(),
            ..Outcome::blank(Seq(7), "intent-a.json", "2024-08-15T10:30:00Z".parse().unwrap())
        }
    }

    #[test]
    fn status_begins_with_the_specified_seven_and_is_one_line() {
        let body = String::from_utf8(outcome().plain_status()).unwrap();
        assert!(body.starts_with(concat!(
            r#"{"intent_file": "intent-a.json", "status": "success", "message": "Processed by worker 0 in 2.5s", "#,
            r#""timestamp": "2024-08-15T10:30:00.000Z", "processed_by": "conductor-loop", "mode": "direct", "#,
            r#""porch_path": "porch", "seq": 7"#
        )));
        assert_eq!(body.matches('\n').count(), 1);
        assert!(body.ends_with("}\n"));
        serde_json::from_str::<Value>(&body).unwrap();
    }
}
