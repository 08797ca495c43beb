//! Tables of refused and accepted intents.

mod agreement;

use super::shape::Field;
use super::*;
use crate::code::Code::{self, *};
use serde_json::{Value, json};

const README: &str = r#"{"intent_type": "scaling", "target": "cnf-simulator", "namespace": "oran-sim", "replicas": 3,
  "reason": "High load detected", "source": "planner", "correlation_id": "scale-2024-001"}"#;

#[track_caller]
fn refused(text: impl AsRef<[u8]>, code: Code, field: &str) {
    let refusal = judge(text.as_ref(), Policy::default()).expect_err("should be refused");
    assert_eq!((refusal.code, refusal.field.as_str()), (code, field), "{refusal}");
}

#[track_caller]
fn accepted(text: impl AsRef<[u8]>) -> Intent {
    judge(text.as_ref(), Policy::default()).unwrap_or_else(|refusal| panic!("refused: {refusal}"))
}

/// A flat intent with one member replaced or added.
fn with(member: &str, value: &str) -> String {
    let base =
        ["\"intent_type\": \"scaling\"", "\"target\": \"t\"", "\"namespace\": \"n\"", "\"replicas\": 3"];
    let kept = base.iter().filter(|m| !m.starts_with(&format!("\"{member}\"")));
    let members: Vec<String> =
        kept.map(|m| (*m).to_owned()).chain([format!("\"{member}\": {value}")]).collect();
    format!("{{{}}}", members.join(", "))
}

#[test]
fn the_specification_example_is_accepted() {
    let intent = accepted(README);
    assert_eq!(intent.kind, Kind::Scaling);
    assert_eq!(intent.key.to_string(), "oran-sim/cnf-simulator");
    assert_eq!((intent.replicas, intent.priority), (Some(3), 5));
    assert_eq!(intent.correlation_id.as_deref(), Some("scale-2024-001"));
}

#[test]
fn refusals_say_where_what_and_what_would_be_right() {
    let refusal = judge(with("replicas", "500").as_bytes(), Policy::default()).unwrap_err();
    let said = "out-of-range at /replicas: found 500; expected an integer from 1 to 100, for every daemon";
    assert_eq!((refusal.to_string().as_str(), refusal.code.to_string().as_str()), (said, "E215"));
    let refusal = judge(b"", Policy::default()).unwrap_err();
    assert_eq!(refusal.to_string(), "empty: found an empty file; expected a JSON object");
    let said = |text: String| judge(text.as_bytes(), Policy::default()).unwrap_err().to_string();
    assert!(said(with("source", "\"robot\"")).contains("found 'robot'; expected one of 'user', 'planner'"));
    assert!(said(with("namespace", "\"A\"")).contains("RFC 1123 label"));
    assert!(said(with("target", "[1, 2]")).contains("an array of 2"));
}

#[test]
fn the_correlation_id_of_a_refused_intent_is_found_where_it_is_usable() {
    let id = |value: &str| correlation_id(with("correlation_id", value).as_bytes());
    assert_eq!(id("\"scale-1\""), Some("scale-1".to_owned()));
    assert_eq!(id("\"urn:uuid:1/a\""), Some("urn:uuid:1/a".to_owned()));
    let of_spec = correlation_id(br#"{"kind": "x", "spec": {"correlation_id": "k"}}"#);
    assert_eq!(of_spec, Some("k".to_owned()));
    assert_eq!(correlation_id(br#"{"correlation_id": "x", "replicas": "no"}"#), Some("x".to_owned()));
    assert_eq!((id("\"a b\""), id("7"), correlation_id(b"{")), (None, None, None));
}

#[test]
fn each_type_is_its_own_kind() {
    for (word, kind) in [
        ("scaling", Kind::Scaling),
        ("deployment", Kind::Deployment),
        ("service", Kind::Service),
        ("configuration", Kind::Configuration),
    ] {
        assert_eq!(accepted(with("intent_type", &format!("\"{word}\""))).kind, kind);
    }
    let intent = accepted(with("source", "\"\""));
    assert_eq!((intent.source, intent.timeout_secs), (None, None), "an empty source is none");
    assert_eq!(accepted(with("source", "\"test\"")).source.as_deref(), Some("test"));
    for (text, seconds) in [("45s", 45), ("5m", 300), ("99m", 5_940), ("1h", 3_600), ("9999s", 9_999)] {
        assert_eq!(accepted(with("timeout", &format!("\"{text}\""))).timeout_secs, Some(seconds));
    }
}

#[test]
fn a13_depth_and_breadth_are_bounded() {
    let nested = |n: usize| with("metadata", &format!("{}1{}", "{\"a\":".repeat(n), "}".repeat(n)));
    accepted(nested(99));
    let refusal = judge(nested(100).as_bytes(), Policy::default()).unwrap_err();
    assert_eq!(refusal.code, TooDeep);
    refused("[".repeat(1_000_000), NotAnObject, "");
    let deep = format!("{{\"a\":{}", "[".repeat(5_000_000));
    assert_eq!(judge(deep.as_bytes(), Policy::default()).unwrap_err().code, TooDeep);
    let wide = with("metadata", &format!("{{\"a\": [{}1]}}", "1,".repeat(30_000)));
    assert_eq!(judge(wide.as_bytes(), Policy::default()).unwrap_err().code, TooManyValues);
}

#[test]
fn the_last_value_that_is_allowed_is_allowed() {
    // The document, its five members, and the list: seven values besides the numbers.
    let numbers = |count: usize| with("metadata", &format!("{{\"a\": [{}]}}", vec!["1"; count].join(",")));
    let most = crate::limits::VALUES_MAX - 7;
    accepted(numbers(most));
    let refusal = judge(numbers(most + 1).as_bytes(), Policy::default()).unwrap_err();
    assert_eq!(refusal.code, TooManyValues);
}

#[test]
fn an_empty_source_of_the_kubernetes_form_is_none() {
    let kube = |source: &str| {
        let spec = json!({"replicas": 3, "source": source});
        let intent =
            json!({"apiVersion": "v1", "kind": "ScalingIntent", "metadata": {"name": "t"}, "spec": spec});
        accepted(intent.to_string()).source
    };
    assert_eq!((kube(""), kube("test")), (None, Some("test".to_owned())));
}

#[test]
fn a14_duplicate_keys_also_by_escape() {
    refused(r#"{"replicas": 1, "replicas": 2}"#, DuplicateKey, "/replicas");
    refused(r#"{"replicas": 1, "replica\u0073": 2}"#, DuplicateKey, "/replicas");
    refused(with("metadata", r#"{"x": {"a": 1, "a": 2}}"#), DuplicateKey, "/metadata/x/a");
}

#[test]
fn a15_case_folded_keys_mean_nothing_here() {
    refused(with("REPLICAS", "100"), UnknownField, "/REPLICAS");
    refused(with("metadata", r#"{"a": 1, "A": 2}"#), DuplicateKey, "/metadata/A");
    refused(with("unknown", "1"), UnknownField, "/unknown");
    refused(with("constraints", r#"{"max": 1}"#), UnknownField, "/constraints/max");
}

#[test]
fn a16_arrays_do_not_pass_for_objects() {
    refused(r#"["scaling", "t", "n", 3]"#, NotAnObject, "");
    refused(with("constraints", "[1, 2]"), WrongType, "/constraints");
    for bare in ["null", "3", "\"x\"", "true"] {
        refused(bare, NotAnObject, "");
    }
}

#[test]
fn a17_numbers_are_plain_integers() {
    for token in ["1.0", "3e0", "-0", "1.5", "18446744073709551617", "\"3\""] {
        refused(with("replicas", token), WrongType, "/replicas");
    }
    refused(with("replicas", "null"), MissingField, "/replicas");
    for token in ["0", "-1", "101", "999999999", "4294967297", "9007199254740993"] {
        refused(with("replicas", token), OutOfRange, "/replicas");
    }
    for token in ["1e400", "03", "+3", "0x3", "NaN"] {
        refused(with("replicas", token), Syntax, "");
    }
    let policy = Policy { allow_scale_to_zero: true };
    assert_eq!(judge(with("replicas", "0").as_bytes(), policy).unwrap().replicas, Some(0));
}

#[test]
fn a18_encoding_and_second_documents() {
    refused(with("reason", r#""\ud800""#), Syntax, "");
    refused(b"{\"reason\": \"\xff\"}", NotUtf8, "");
    accepted(format!("\u{feff}{README}"));
    refused(format!("\u{feff}\u{feff}{README}"), ByteOrderMark, "");
    refused("\u{feff}", Empty, "");
    refused("\u{feff}[]", NotAnObject, "");
    refused(format!(" \u{feff}{README}"), Syntax, "");
    for unit in [u16::to_le_bytes, u16::to_be_bytes] {
        let utf16 = |text: &str| text.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
        refused(utf16(&format!("\u{feff}{README}")), ByteOrderMark, "");
        refused(utf16(README), NotUtf8, "");
    }
    for code in [ByteOrderMark, NotUtf8] {
        assert!(code.remedy().contains("[IO.File]::WriteAllText("), "what Windows PowerShell 5.1 can do");
    }
    refused(format!("{README}\0\0"), NotUtf8, "");
    refused(format!("{README} {{}}"), SecondDocument, "");
    refused(format!("{README} garbage"), SecondDocument, "");
    refused("", Empty, "");
    refused(" \n", Empty, "");
    refused(&README[..40], Incomplete, "");
    refused(r#"{"a": }"#, Syntax, "");
    refused("{'a': 1}", Syntax, "");
    refused("// comment\n{}", Syntax, "");
}

#[test]
fn a19_suspicious_characters_in_every_string() {
    for escape in [
        "\\u0000",
        "\\u001b",
        "\\u0007",
        "\\u007f",
        "\\u0085",
        "\\u009b",
        "\\u202e",
        "\\u2066",
        "\\u2069",
        "\\ufeff",
        "\\u2028",
        "\\ue000",
        "\\udb40\\udc01",
        "\\uffff",
    ] {
        refused(with("reason", &format!("\"a{escape}b\"")), SuspiciousCharacter, "/reason");
        let key = format!("{{\"k{escape}\": 1}}");
        assert_eq!(
            judge(with("metadata", &key).as_bytes(), Policy::default()).unwrap_err().code,
            SuspiciousCharacter
        );
    }
    accepted(with("reason", "\"größer – 負荷 👍\""));
}

#[test]
fn what_people_write_is_accepted_in_every_free_text() {
    for text in [
        "first line\\nsecond\\r\\n\\tindented\\n",
        "👩\u{200d}💻 👨\u{200d}👩\u{200d}👧 ❤\u{fe0f}",
        "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
        "می\u{200c}خواهم",
        "क्\u{200d}ष",
        "שָׁלוֹם\u{200f} (abc)\u{200e}",
        "\u{61c}العربية ١٢٣",
        "Donau\u{ad}dampf",
        "ภาษา\u{200b}ไทย",
        "葛\u{e0100}城",
        "a\u{a0}b",
    ] {
        accepted(with("reason", &format!("\"{text}\"")));
        accepted(with("description", &format!("\"{text}\"")));
        accepted(with("metadata", &format!("{{\"a\": [\"{text}\", {{\"b {text}\": \"{text}\"}}]}}")));
        accepted(format!(
            r#"{{"apiVersion": "v1", "kind": "ScalingIntent", "metadata": {{"annotations": {{"a/b": "{text}"}}}},
               "spec": {{"replicas": 1, "reason": "{text}"}}}}"#
        ));
    }
    for name in ["a\\nb", "a\u{200d}b", "a\u{200b}", "a\u{ad}b"] {
        refused(with("target", &format!("\"{name}\"")), BadIdentifier, "/target");
        refused(with("correlation_id", &format!("\"{name}\"")), BadIdentifier, "/correlation_id");
    }
    refused(with("target_resources", r#"["a\nb"]"#), SuspiciousCharacter, "/target_resources/0");
    refused(
        with("nephio_context", "{\"workload_cluster\": \"a\u{200b}\"}"),
        SuspiciousCharacter,
        "/nephio_context/workload_cluster",
    );
}

#[test]
fn null_says_that_an_optional_field_is_absent() {
    for Field { name, required, .. } in flat::FIELDS {
        if *required {
            refused(with(name, "null"), WrongType, &format!("/{name}"));
        } else if *name != "replicas" {
            assert_eq!(accepted(with(name, "null")), accepted(with("metadata", "{}")), "{name}");
        }
    }
    accepted(with("constraints", r#"{"max_replicas": null, "allowed_namespaces": null}"#));
    let kube = |rest: &str| format!(r#"{{"apiVersion": "v1", "kind": "NetworkIntent"{rest}}}"#);
    let minimal = accepted(kube(""));
    for rest in [
        r#", "metadata": null, "spec": null, "status": null"#,
        r#", "metadata": {"name": null, "namespace": null, "labels": null, "annotations": {"a": null}}"#,
        r#", "spec": {"action": null, "target": null, "parameters": {"sla": {"latency": null}}, "replicas": null}"#,
    ] {
        assert_eq!(accepted(kube(rest)), minimal, "{rest}");
    }
    refused(with("reason", r#"null, "reason": null"#), DuplicateKey, "/reason");
    refused(
        kube(r#", "spec": {"parameters": {"networkFunctions": [null]}}"#),
        WrongType,
        "/spec/parameters/networkFunctions/0",
    );
}

#[test]
fn what_kubernetes_adds_to_an_object_is_ignored() {
    let plain = r#"{"apiVersion": "v1", "kind": "ScalingIntent", "metadata": {"name": "web", "namespace": "n"},
        "spec": {"replicas": 3}}"#;
    let read_back = r#"{"apiVersion": "v1", "kind": "ScalingIntent", "metadata": {"name": "web", "namespace": "n",
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{\"apiVersion\":\"v1\"}\n"},
        "uid": "f3c4", "resourceVersion": "17", "generation": 2, "creationTimestamp": "2024-08-15T10:30:00Z",
        "finalizers": ["a/b"], "ownerReferences": [{"kind": "x", "controller": true}], "selfLink": "",
        "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {".": {}, "f:A": {}, "f:a": {}}}}]},
        "spec": {"replicas": 3}, "status": {"conditions": [{"type": "Ready", "message": "a\nb"}], "replicas": 99}}"#;
    assert_eq!(accepted(read_back), accepted(plain));
    refused(r#"{"apiVersion": "v1", "kind": "List", "items": []}"#, NotAllowed, "/kind");
    let long = "x".repeat(262_145);
    let with_annotation =
        plain.replacen("\"name\"", &format!("\"annotations\": {{\"a\": \"{long}\"}}, \"name\""), 1);
    refused(with_annotation, TooLong, "/metadata/annotations/a");
}

#[test]
fn times_without_an_offset_are_accepted_and_days_must_exist() {
    for good in [
        "2024-08-15T10:30:00",
        "2024-08-15T10:30:00.123456",
        "2024-02-29T00:00:00Z",
        "2000-02-29T00:00:00",
        "1600-02-29T00:00:00Z",
    ] {
        accepted(with("created_at", &format!("\"{good}\"")));
    }
    for bad in [
        "2024-02-30T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2024-04-31T00:00:00Z",
        "2024-06-31T00:00:00",
        "2024-08-15",
        "2024-08-15T10:30:00.",
    ] {
        refused(with("created_at", &format!("\"{bad}\"")), BadIdentifier, "/created_at");
    }
}

#[test]
fn both_forms_of_scaling_need_a_number_of_replicas() {
    refused(r#"{"intent_type": "scaling", "target": "t", "namespace": "n"}"#, MissingField, "/replicas");
    for rest in ["", r#", "spec": null"#, r#", "spec": {}"#, r#", "spec": {"replicas": null, "target": "t"}"#]
    {
        let text = format!(r#"{{"apiVersion": "v1", "kind": "ScalingIntent"{rest}}}"#);
        refused(text, MissingField, "/spec/replicas");
    }
}

#[test]
fn ports_may_be_named_and_quantities_may_be_numbers() {
    let port = |target: &str| {
        format!(
            r#"{{"apiVersion": "v1", "kind": "ServiceIntent", "spec": {{"ports": [{{"port": 80, "targetPort": {target}}}]}}}}"#
        )
    };
    for good in ["8080", "\"http\"", "\"http-2\"", "\"a23456789012345\"", "null"] {
        accepted(port(good));
    }
    for bad in ["\"8080\"", "\"a234567890123456\"", "\"-a\"", "\"a--b\"", "\"Http\"", "\"\""] {
        refused(port(bad), BadIdentifier, "/spec/ports/0/targetPort");
    }
    refused(port("0"), OutOfRange, "/spec/ports/0/targetPort");
    let network = |spec: &str| format!(r#"{{"apiVersion": "v1", "kind": "NetworkIntent", "spec": {spec}}}"#);
    accepted(network(
        r#"{"intent": "scale it\nto 4", "parameters": {"sla": {"latency": 5, "availability": 99.99, "jitter": "1ms"}}}"#,
    ));
    accepted(network(
        r#"{"parameters": {"networkFunctions": [{"name": "a", "type": "b", "resources": {"cpu": 0.5, "memory": "1Gi"}}]}}"#,
    ));
    refused(
        network(r#"{"parameters": {"sla": {"latency": true}}}"#),
        WrongType,
        "/spec/parameters/sla/latency",
    );
}

#[test]
fn a20_names_are_rfc_1123() {
    for bad in
        ["../../../etc/passwd", "app; rm -rf /", "Upper", "under_score", "-x", "x-", "аррӏе", "", "a..b"]
    {
        refused(with("target", &format!("{bad:?}")), BadIdentifier, "/target");
    }
    refused(with("namespace", "\"a.b\""), BadIdentifier, "/namespace");
    accepted(with("target", "\"a.b-c.1\""));
    refused(with("target", &format!("\"{}\"", "a".repeat(64))), BadIdentifier, "/target");
    refused(with("correlation_id", "\"a b\""), BadIdentifier, "/correlation_id");
}

#[test]
fn flat_fields_have_their_ranges() {
    refused(r#"{"intent_type": "scaling", "target": "t", "replicas": 1}"#, MissingField, "/namespace");
    refused(r#"{"intent_type": "scaling", "target": "t", "namespace": "n"}"#, MissingField, "/replicas");
    accepted(r#"{"intent_type": "deployment", "target": "t", "namespace": "n"}"#);
    refused(with("intent_type", "\"other\""), NotAllowed, "/intent_type");
    refused(with("source", "\"somebody\""), NotAllowed, "/source");
    refused(with("priority", "11"), OutOfRange, "/priority");
    refused(with("reason", &format!("\"{}\"", "x".repeat(513))), TooLong, "/reason");
    refused(with("timeout", "\"2h\""), BadIdentifier, "/timeout");
    assert_eq!(accepted(with("timeout", "\"5m\"")).timeout_secs, Some(300));
    refused(with("created_at", "\"yesterday\""), BadIdentifier, "/created_at");
    accepted(with("created_at", "\"2024-08-15T10:30:00.5+02:00\""));
    refused(with("constraints", r#"{"max_replicas": 2}"#), Contradiction, "/replicas");
    refused(with("constraints", r#"{"allowed_namespaces": ["other"]}"#), Contradiction, "/namespace");
    refused(
        with("constraints", r#"{"min_replicas": 3, "max_replicas": 2}"#),
        Contradiction,
        "/constraints/min_replicas",
    );
}

#[test]
fn kubernetes_form() {
    let kube = |spec: &str| {
        format!(r#"{{"apiVersion": "nephoran.com/v1", "kind": "NetworkIntent", "spec": {spec}}}"#)
    };
    let minimal = accepted(r#"{"apiVersion": "v1", "kind": "NetworkIntent"}"#);
    assert_eq!(minimal.key.to_string(), "default/networkintent");
    accepted(kube(
        r#"{"action": "scale", "target": {"type": "Deployment", "name": "x"}, "parameters":
        {"networkFunctions": [{"name": "a", "type": "b", "resources": {"cpu": "1"}}],
         "connectivity": {"n1": {"interface": "eth0"}}, "sla": {"latency": "5ms"}}, "constraints": {"placement": {"a": 1}}}"#,
    ));
    refused(kube("\"text\""), WrongType, "/spec");
    refused(kube(r#"{"action": "explode"}"#), NotAllowed, "/spec/action");
    refused(
        kube(r#"{"parameters": {"networkFunctions": [{"type": "b"}]}}"#),
        MissingField,
        "/spec/parameters/networkFunctions/0/name",
    );
    refused(
        kube(r#"{"parameters": {"connectivity": {"n1": {"interface": ""}}}}"#),
        TooLong,
        "/spec/parameters/connectivity/n1/interface",
    );
    refused(r#"{"apiVersion": "v1", "kind": "InvalidKind"}"#, NotAllowed, "/kind");
    refused(r#"{"apiVersion": "invalid", "kind": "NetworkIntent"}"#, BadIdentifier, "/apiVersion");
    refused(r#"{"apiVersion": "", "kind": "NetworkIntent"}"#, BadIdentifier, "/apiVersion");
    refused(r#"{"kind": "NetworkIntent"}"#, MissingField, "/apiVersion");
    refused(r#"{"apiVersion": "v1", "kind": 123}"#, WrongType, "/kind");
    refused(
        r#"{"apiVersion": "v1", "kind": "NetworkIntent", "metadata": {"name": "Invalid_Name!"}}"#,
        BadIdentifier,
        "/metadata/name",
    );
    accepted(
        r#"{"apiVersion": "v1", "kind": "NetworkIntent", "metadata": {"labels": {"app.kubernetes.io/Part_of": "x"}}}"#,
    );
    let scaling = accepted(
        r#"{"apiVersion": "v1", "kind": "ScalingIntent", "metadata": {"name": "m", "namespace": "n"}, "spec": {"replicas": 4}}"#,
    );
    assert_eq!((scaling.key.to_string().as_str(), scaling.replicas), ("n/m", Some(4)));
    refused(
        r#"{"apiVersion": "v1", "kind": "ScalingIntent", "spec": {"replicas": 0}}"#,
        OutOfRange,
        "/spec/replicas",
    );
    refused(
        r#"{"apiVersion": "v1", "kind": "ServiceIntent", "spec": {"ports": [{"port": 0}]}}"#,
        OutOfRange,
        "/spec/ports/0/port",
    );
}

#[test]
fn the_committed_schema_is_fresh() {
    let committed: Value = serde_json::from_str(include_str!("../../schema/intent.schema.json")).unwrap();
    assert!(committed == schema(), "schema/intent.schema.json is stale: run `cargo xtask gen`");
}
