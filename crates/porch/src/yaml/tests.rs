//! The editor against handwritten cases and against random documents.

use super::bounds::NODES_MAX;
use super::*;

/// A document, and its expected refusal.
type Refusal = (&'static str, fn(&EditError) -> bool);

fn set(source: &str, wanted: u32) -> Result<(Option<u32>, Option<String>), EditError> {
    let stream = parse(source.as_bytes()).unwrap();
    set_integer(source.as_bytes(), &stream, 0, &keys("spec.replicas"), wanted)
        .map(|(from, after)| (from, after.map(|bytes| String::from_utf8(bytes).unwrap())))
}

#[test]
fn one_scalar_changes_and_every_other_byte_stays() {
    let cases = [
        ("spec:\n  replicas: 3\n", "spec:\n  replicas: 5\n"),
        (
            "# ü\nspec: # why\r\n    replicas:   3   # now\r\n",
            "# ü\nspec: # why\r\n    replicas:   5   # now\r\n",
        ),
        ("{spec: {a: 'ü', replicas: 3}}", "{spec: {a: 'ü', replicas: 5}}"),
        ("{\"spec\": {\"replicas\": 3}}", "{\"spec\": {\"replicas\": 5}}"),
        ("\u{feff}spec:\n  replicas: 3", "\u{feff}spec:\n  replicas: 5"),
        ("a: &x 3\nb: *x\nspec:\n  replicas: 3\n", "a: &x 3\nb: *x\nspec:\n  replicas: 5\n"),
        ("spec: &unused\n  replicas: &also 3\n", "spec: &unused\n  replicas: &also 5\n"),
    ];
    for (before, after) in cases {
        assert_eq!(set(before, 5), Ok((Some(3), Some(after.to_owned()))), "{before}");
        assert_eq!(set(before, 3), Ok((Some(3), None)), "{before}");
    }
}

#[test]
fn an_absent_scalar_becomes_the_first_of_its_mapping() {
    let cases = [
        // Comment directly above a field explains that field.
        ("spec:\n  # c\n  a: 1\n", "spec:\n  replicas: 5\n  # c\n  a: 1\n"),
        (
            "spec:\n  # general\n\n# b\n  # c\n  a: 1\n",
            "spec:\n  # general\n\n  replicas: 5\n# b\n  # c\n  a: 1\n",
        ),
        ("spec:\r\n    a: 1\r\n", "spec:\r\n    replicas: 5\r\n    a: 1\r\n"),
        ("spec: {a: 1}\n", "spec: {replicas: 5, a: 1}\n"),
        ("spec: {}\n", "spec: {replicas: 5}\n"),
        ("spec: { }\n", "spec: {replicas: 5 }\n"),
        ("{\"spec\":{\"a\":1}}", "{\"spec\":{\"replicas\":5,\"a\":1}}"),
        ("{\"spec\": {}}", "{\"spec\": {\"replicas\": 5}}"),
        (
            "{\n\t\"spec\": {\n\t\t\"a\": 1\n\t}\n}\n",
            "{\n\t\"spec\": {\n\t\t\"replicas\": 5,\n\t\t\"a\": 1\n\t}\n}\n",
        ),
        ("spec:\n  replicas:\n", "spec:\n  replicas: 5\n"),
        ("spec:\n  replicas: # none\n  a: 1\n", "spec:\n  replicas: 5 # none\n  a: 1\n"),
        ("spec:\n  replicas: ~\n", "spec:\n  replicas: 5\n"),
        ("spec:\n  replicas: null # none\n", "spec:\n  replicas: 5 # none\n"),
        ("{\"spec\": {\"a\": 1, \"replicas\": null}}", "{\"spec\": {\"a\": 1, \"replicas\": 5}}"),
        ("spec: {replicas: , a: 1}\n", "spec: {replicas: 5 , a: 1}\n"),
    ];
    for (before, after) in cases {
        assert_eq!(set(before, 5), Ok((None, Some(after.to_owned()))), "{before}");
    }
}

#[test]
fn what_cannot_be_changed_safely_is_refused() {
    let shared = [
        "spec:\n  replicas: &r 3\nother: *r\n",
        "a: &r 3\nspec:\n  replicas: *r\n",
        "spec: &s\n  replicas: 3\nother: *s\n",
        "a: &s {replicas: 3}\nspec: *s\n",
    ];
    for source in shared {
        assert!(matches!(set(source, 5), Err(EditError::Shared(_))), "{source}");
    }
    let numbers =
        ["'3'", "\"3\"", "0x3", "03", "3.0", "1_0", "-3", "[3]", "!!int 3", "three", "99999999999", "+3"];
    for number in numbers {
        let source = format!("spec:\n  replicas: {number}\n");
        assert!(matches!(set(&source, 5), Err(EditError::NotANumber { .. })), "{source}");
    }
    let others: [Refusal; 10] = [
        ("spec:\n  replicas: &a\n", |e| matches!(e, EditError::Layout(2))),
        (
            "spec:\n  replicas: # kpt-set: ${n}\n",
            |e| matches!(e, EditError::Setter(2, names) if names.as_slice() == ["n"]),
        ),
        ("spec: {replicas}\n", |e| matches!(e, EditError::Layout(1))),
        (
            "spec:\n  replicas: 3 # kpt-set: ${n}\n",
            |e| matches!(e, EditError::Setter(2, names) if names.as_slice() == ["n"]),
        ),
        ("spec:\n  <<: {a: 1}\n  replicas: 3\n", |e| matches!(e, EditError::Merged(_))),
        ("spec:\n", |e| matches!(e, EditError::NoMapping(_))),
        ("other: 1\n", |e| matches!(e, EditError::NoMapping(_))),
        ("a: &k replicas\nspec:\n  *k : 3\n", |e| matches!(e, EditError::Shared(3))),
        ("spec: [a]\n", |e| matches!(e, EditError::NoMapping(_))),
        ("spec:\n  &a x: 1\n", |e| matches!(e, EditError::Layout(_))),
    ];
    for (source, is) in others {
        let error = set(source, 5).unwrap_err();
        assert!(is(&error), "{source}: {error}");
    }
}

#[test]
fn hostile_documents_are_refused_by_name() {
    let deep = "[".repeat(110);
    let deep_block = (0..200).fold(String::new(), |text, n| text + &" ".repeat(n) + "a:\n");
    let wide = format!("[{}]", "1,".repeat(NODES_MAX + 1));
    let large = " ".repeat(BYTES_MAX + 1);
    let cases: [(&[u8], &str); 15] = [
        (b"a: 1\n...\nb: 2\n", "a document has to begin with ---"),
        (b"a: 1\n: x\n", "is not YAML at line 2: a key is missing"),
        (b"a: {\nb: [1,\n2],\n...\n}\n", "is not YAML at line"),
        (b"m:\n  a: 'x\n---\ny'\n", "is not YAML at line"),
        (b"a: 1\na: 2\n", "has the key 'a' twice in one mapping, at line 2"),
        (b"{a: 1, a: 2}", "has the key 'a' twice in one mapping, at line 1"),
        (b"\xff\xfea\x00", "is not UTF-8"),
        (b"a:\n\t- b\n", "is not YAML at line 2"),
        (b"a: *nowhere\n", "is not YAML at line 1"),
        (b"a: b: c\n", "is not YAML at line 1"),
        (b"a: 'open\n", "is not YAML"),
        (deep.as_bytes(), "is nested deeper than 100"),
        (deep_block.as_bytes(), "is nested deeper than 100"),
        (wide.as_bytes(), "has more than 200000 nodes"),
        (large.as_bytes(), "at most 4194304 are read"),
    ];
    for (source, expected) in cases {
        let error = parse(source).unwrap_err().to_string();
        let shown = String::from_utf8_lossy(source.get(..40.min(source.len())).unwrap()).into_owned();
        assert!(error.contains(expected), "{shown}: {error}");
    }
}

#[test]
fn aliases_are_not_expanded_where_a_number_is_edited() {
    let mut source = "a0: &a0 lol\n".to_owned();
    for level in 1..4 {
        let reference = format!("*a{}, ", level - 1).repeat(9);
        source = format!("{source}a{level}: &a{level} [{reference}]\n");
    }
    source.push_str("spec:\n  replicas: 3\n");
    let (_, after) = set(&source, 5).unwrap();
    assert_eq!(after.unwrap(), source.replace("replicas: 3", "replicas: 5"));
}

#[test]
fn yaml_that_only_kubernetes_takes_is_edited_in_place() {
    let lists = "spec:\n  a:\n    - args: [\n      one,\n    two, # why: [\n  ]\n  replicas: 3\n";
    let command = "spec:\n  c:\n  - command: [\"sh\",\n  \"-c\"]\n    name: x\n  replicas: 3\n";
    let labels = "spec:\n    m:\n        matchLabels: {\n    a: b\n    }\n    replicas: 3\n";
    let quoted = "m:\n  annotations:\n    a: '{\n      \"x\": 1\n    }'\n    b: \"it's\n\n  so\\\n  \"\nspec:\n  replicas: 3\n";
    let pem = "m:\n  cert: \"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n\"\nspec:\n  replicas: 3\n";
    let block =
        "m:\n  s: |\n    [ { \"\n    '\n  t: >-\n    it's [\nn:\n- |\n  {\nx:\tc\nspec:\n  replicas: 3\n";
    let windows = "m:\n    args: [\r\n  a,\r\n]\r\nspec:\n  replicas: 3\n";
    let json = "{\n\t\"a\": \"\\ud84d\\ude00 \\/\",\n\t\"spec\": {\n\t\t\"replicas\": 3\n\t}\n}\n";
    for source in
        [lists, command, labels, quoted, pem, block, windows, json, "a:\tb\nspec:\n  replicas:\t3\n"]
    {
        let expected = source.replace('3', "5");
        assert_eq!(set(source, 5), Ok((Some(3), Some(expected))), "{source}");
        assert_eq!(set(source, 3), Ok((Some(3), None)), "{source}");
    }
    let line = parse(b"a:\n    b: [\n  c,\n]\nspec:\n  replicas: 3\n").unwrap().documents[0]
        .at(&["spec", "replicas"])
        .unwrap()
        .line;
    assert_eq!(line, 6, "lines are those of the file");
}

#[test]
fn a_number_in_a_patch_that_is_written_inline_is_edited_in_place() {
    let steps = [Step::Key("patch".into())];
    let inside = |source: &str, inner: &[Step]| {
        let at = |steps| Address { document: 0, steps };
        let stream = parse(source.as_bytes()).unwrap();
        set_integer_inside(source.as_bytes(), &stream, at(&steps), at(inner), 5)
            .map(|(from, after)| (from, after.map(|bytes| String::from_utf8(bytes).unwrap())))
    };
    let json = [Step::Item(0), Step::Key("value".into())];
    let cases: [(&str, &[Step]); 6] = [
        ("patch: \"- {op: replace, path: /spec/replicas, value: 3}\"\nb: 1\n", &json),
        ("patch: '[{\"op\": \"replace\", \"path\": \"/spec/replicas\", \"value\": 3}]' # x\n", &json),
        ("patch: |-\n  # ü\n\n  - op: replace\n    path: /spec/replicas\n    value: 3\nb: 1\n", &json),
        ("patch: |\r\n    - op: replace\r\n      value: 3\r\nb: 1\r\n", &json),
        ("a: |\n  x\npatch: |+ # why\n  spec:\n    replicas: 3\n", &keys("spec.replicas")),
        ("patch: |\n  spec: {replicas: 3}", &keys("spec.replicas")),
    ];
    for (source, inner) in cases {
        assert_eq!(inside(source, inner), Ok((Some(3), Some(source.replace('3', "5")))), "{source}");
    }
    for source in [
        "patch: >\n  spec:\n    replicas: 3\n",
        "patch: |2\n  spec:\n    replicas: 3\n",
        "patch: \"spec:\\n  replicas: 3\\n\"\n",
    ] {
        let error = inside(source, &keys("spec.replicas")).unwrap_err();
        assert!(matches!(error, EditError::Folded(_)), "{source}: {error}");
    }
}
