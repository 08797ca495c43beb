//! Checks a signed status without the private key, the store or the daemon.

use super::envelope::signed_payload;
use conductor_core::attestation::{Envelope, PAYLOAD_TYPE, PREDICATE_TYPE, STATEMENT_TYPE};
use conductor_core::name::status_name;
use conductor_core::record::Status;
use conductor_core::{Digest, Seq};
use conductor_crypto::VerifyingKey;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use std::fmt;

/// What a genuine status says of the archived file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genuine {
    /// The archived file, relative to the handoff directory.
    pub archived_as: String,
    /// Digest of its bytes; `None` if it was filed unread.
    pub sha256: Option<Digest>,
    /// The number of the intent.
    pub seq: Seq,
    /// The name of its file.
    pub file: String,
    /// How it ended.
    pub status: Status,
    /// The name of the key that has signed it.
    pub key: String,
}

/// An object that names nothing twice: of two members of one name another reader may take the first.
struct Unique(Map<String, Value>);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Map<String, Value>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
                let mut members = Map::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    if members.contains_key(&name) {
                        return Err(A::Error::custom(format!("it names `{name}` twice")));
                    }
                    members.insert(name, value);
                }
                Ok(members)
            }
        }
        from.deserialize_map(Members).map(Self)
    }
}

#[derive(Deserialize)]
struct Statement {
    #[serde(rename = "_type")]
    form: String,
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: Predicate,
}

#[derive(Deserialize)]
struct Subject {
    name: String,
    digest: Map<String, Value>,
}

#[derive(Deserialize)]
struct Predicate {
    status: Map<String, Value>,
}

/// Checks the status at this file name against the trusted keys. The error says what does not match.
pub fn check_status(file_name: &str, bytes: &[u8], trusted: &[VerifyingKey]) -> Result<Genuine, String> {
    let Unique(mut status) =
        serde_json::from_slice(bytes).map_err(|error| format!("it is no JSON object: {error}"))?;
    let attestation = status.remove("attestation").ok_or("it is unsigned")?;
    let envelope: Envelope = serde_json::from_value(attestation)
        .map_err(|error| format!("its attestation is no envelope: {error}"))?;
    let (payload, key) = signed_payload(&envelope, PAYLOAD_TYPE, trusted)?;
    let statement: Statement = serde_json::from_slice(&payload)
        .map_err(|error| format!("what was signed is no statement about an outcome: {error}"))?;
    if statement.form != STATEMENT_TYPE || statement.predicate_type != PREDICATE_TYPE {
        return Err("what was signed is a statement of another type".to_owned());
    }
    let signed = &statement.predicate.status;
    if let Some(field) = first_difference(&status, signed) {
        return Err(format!("its `{field}` is not what was signed"));
    }
    let text = |key: &str| signed.get(key).and_then(Value::as_str).unwrap_or_default();
    let name = text("intent_file");
    if status_name(name) != file_name {
        return Err(format!("it is the status of {name}, at the name of another file"));
    }
    let [Subject { name: subject, digest }] = statement.subject.as_slice() else {
        return Err("the signed statement has no single subject".to_owned());
    };
    let status = signed.get("status").cloned().and_then(|status| serde_json::from_value(status).ok());
    let status = status.ok_or("its `status` is none")?;
    let sha256 = signed.get("sha256").and_then(Value::as_str);
    if subject != name || digest.get("sha256").and_then(Value::as_str) != sha256 {
        return Err("the subject of the signed statement is not the intent of the status".to_owned());
    }
    Ok(Genuine {
        archived_as: text("archived_as").to_owned(),
        sha256: sha256.and_then(Digest::from_hex),
        seq: Seq(signed.get("seq").and_then(Value::as_u64).unwrap_or_default()),
        file: name.to_owned(),
        status,
        key,
    })
}

/// The first field that is not the same in both, in the order of their names.
fn first_difference(shown: &Map<String, Value>, signed: &Map<String, Value>) -> Option<String> {
    let mut names: Vec<&String> = shown.keys().chain(signed.keys()).collect();
    names.sort_unstable();
    names.into_iter().find(|name| shown.get(*name) != signed.get(*name)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Keys, Origin};
    use conductor_core::attestation::{Attest, Attested};
    use conductor_core::record::Outcome;
    use conductor_crypto::{KeyRing, RootKey};

    fn keys() -> Keys {
        Keys::new(KeyRing::of(RootKey::generate().unwrap()), Origin::Made("key".into()))
    }

    fn signed(keys: &Keys) -> Vec<u8> {
        let outcome = Outcome {
            message: "Processed".into(),
            sha256: Some(Digest([3; 32])),
            size: 12,
            archived_as: "processed/intent-a.json".into(),
            attested: Some(Attested { key: keys.key().to_owned(), version: "1".into() }),
            ..Outcome::blank(Seq(7), "intent-a.json", "2024-08-15T10:30:00Z".parse().unwrap())
        };
        outcome.status_body(keys)
    }

    #[test]
    fn every_value_name_and_byte_of_a_signed_status_is_vouched_for() {
        let (keys, name) = (keys(), "intent-a.json.status");
        let (status, trusted) = (signed(&keys), keys.public());
        let genuine = check_status(name, &status, &trusted).unwrap();
        assert_eq!((genuine.seq, genuine.sha256), (Seq(7), Some(Digest([3; 32]))));
        let (value, plain): (Value, Value) = (serde_json::from_slice(&status).unwrap(), true.into());
        for field in value.as_object().unwrap().keys().filter(|key| *key != "attestation") {
            let mut changed = value.clone();
            changed[field] = plain.clone();
            let refused = check_status(name, &serde_json::to_vec(&changed).unwrap(), &trusted).unwrap_err();
            assert_eq!(refused, format!("its `{field}` is not what was signed"));
            changed.as_object_mut().unwrap().remove(field);
            assert!(check_status(name, &serde_json::to_vec(&changed).unwrap(), &trusted).is_err(), "{field}");
        }
        // Each byte that is not white space between two values.
        for at in 0..status.len() - 1 {
            let mut changed = status.clone();
            changed[at] ^= 1;
            if status[at] != b' ' {
                assert!(check_status(name, &changed, &trusted).is_err(), "byte {at}");
            }
        }
    }

    #[test]
    fn an_unsigned_status_and_one_of_another_name_or_key_are_found() {
        let (keys, others) = (keys(), keys());
        let (status, trusted) = (signed(&keys), keys.public());
        let refused =
            |name, bytes: &[u8], trusted: &[VerifyingKey]| check_status(name, bytes, trusted).unwrap_err();
        assert!(refused("intent-b.json.status", &status, &trusted).contains("of another file"));
        assert!(refused("intent-a.json.status", &status, &others.public()).contains("not trusted"));
        let mut value: Value = serde_json::from_slice(&status).unwrap();
        value.as_object_mut().unwrap().remove("attestation");
        let unsigned = serde_json::to_vec(&value).unwrap();
        assert_eq!(refused("intent-a.json.status", &unsigned, &trusted), "it is unsigned");
        let twice = [br#"{"status": "failed", "#, &status[1..]].concat();
        assert!(refused("intent-a.json.status", &twice, &trusted).contains("it names `status` twice"));
    }
}
