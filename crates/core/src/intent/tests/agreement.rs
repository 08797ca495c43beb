//! Code and schema agree in both directions, and judging never panics.

use super::README;
use crate::code::Code::{Contradiction, DuplicateKey};
use crate::intent::{Policy, correlation_id, judge, schema};
use proptest::prelude::*;
use serde_json::{Value, json};

fn leaf() -> impl Strategy<Value = Value> {
    let words = [
        "scaling",
        "deployment",
        "user",
        "",
        "x",
        "a-b",
        "A",
        "n",
        "../x",
        "v1",
        "default",
        "30s",
        "2024-08-15T10:30:00Z",
        "a.b",
        "é",
        "a\u{202e}b",
        "a\nb",
        "a\u{200d}b",
        "a\u{200b}",
        "2024-08-15T10:30:00",
        "2024-02-30T10:30:00",
        "http",
        "\u{0}",
        "deploy",
        "NetworkIntent",
        "ScalingIntent",
        "TCP",
    ];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..130).prop_map(Value::from),
        (0i64..200).prop_map(|n| json!(f64::from(i32::try_from(n).unwrap()) + 0.5)),
        proptest::sample::select(words.to_vec()).prop_map(Value::from),
        "[a-z0-9.:/-]{0,70}".prop_map(Value::from),
    ]
}

fn tree() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z]{1,3}|name|type|cpu|port|interface", inner, 0..4)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

/// A document near a valid one: a base with some members replaced, removed or added anywhere.
fn document() -> impl Strategy<Value = Value> {
    let bases = vec![
        serde_json::from_str(README).unwrap(),
        json!({"intent_type": "deployment", "target": "t", "namespace": "n", "constraints": {"max_replicas": 5},
               "metadata": {"a": {"b": [1, "x"]}}, "nephio_context": {"blueprint_name": "b"}}),
        json!({"apiVersion": "a.b/v1beta1", "kind": "NetworkIntent", "metadata": {"name": "x", "labels": {"a/b": "c"}},
               "spec": {"action": "scale", "parameters": {"networkFunctions": [{"name": "a", "type": "b"}],
               "connectivity": {"n1": {"interface": "i"}}, "sla": {"latency": "1"}}}}),
        json!({"apiVersion": "v1", "kind": "ScalingIntent", "spec": {"target": "t", "replicas": 3}}),
        json!({"apiVersion": "v1", "kind": "ServiceIntent", "spec": {"ports": [{"port": 80, "protocol": "TCP"}]}}),
    ];
    let keys = [
        "intent_type",
        "target",
        "namespace",
        "replicas",
        "reason",
        "source",
        "priority",
        "timeout",
        "intent",
        "uid",
        "managedFields",
        "targetPort",
        "latency",
        "target_resources",
        "correlation_id",
        "metadata",
        "constraints",
        "status",
        "created_at",
        "kind",
        "apiVersion",
        "spec",
        "labels",
        "annotations",
        "min_replicas",
        "action",
        "parameters",
        "ports",
        "port",
        "name",
        "sla",
        "connectivity",
        "resources",
        "zzz",
    ];
    let edit = (
        proptest::sample::select(keys.to_vec()),
        proptest::option::of(tree()),
        any::<proptest::sample::Index>(),
    );
    (proptest::sample::select(bases), proptest::collection::vec(edit, 0..3)).prop_map(|(mut doc, edits)| {
        for (key, value, place) in edits {
            let mut maps = Vec::new();
            pointers(&doc, String::new(), &mut maps);
            let at = maps.get(place.index(maps.len())).cloned().unwrap_or_default();
            if let Some(members) = doc.pointer_mut(&at).and_then(Value::as_object_mut) {
                match value {
                    Some(value) => members.insert(key.to_owned(), value),
                    None => members.remove(key),
                };
            }
        }
        doc
    })
}

fn pointers(value: &Value, at: String, out: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(k, v)| {
                pointers(v, format!("{at}/{}", k.replace('~', "~0").replace('/', "~1")), out);
            });
            out.push(at);
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, v)| pointers(v, format!("{at}/{i}"), out));
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]
    #[test]
    fn code_and_schema_agree_in_both_directions(doc in document()) {
        static VALIDATOR: std::sync::LazyLock<jsonschema::Validator> =
            std::sync::LazyLock::new(|| jsonschema::draft202012::new(&schema()).expect("the schema compiles"));
        let by_schema = VALIDATOR.is_valid(&doc);
        match judge(doc.to_string().as_bytes(), Policy::default()) {
            Ok(_) => prop_assert!(by_schema, "accepted by code, refused by schema: {doc}"),
            // Rules about the bytes or about two values at once, which the schema's comment lists.
            Err(refusal) if matches!(refusal.code, Contradiction | DuplicateKey) => {}
            Err(refusal) => prop_assert!(!by_schema, "refused by code, accepted by schema: {doc}: {refusal}"),
        }
    }

    #[test]
    fn judging_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = judge(&bytes, Policy::default());
        let _ = correlation_id(&bytes);
    }

    #[test]
    fn judging_text_never_panics(text in "[{}\\[\\]\",:a-z0-9\\\\ \\PC]{0,120}") {
        let _ = judge(text.as_bytes(), Policy::default());
    }
}
