//! The editor against written-out cases and against random documents.

use super::*;

/// A document, and what its refusal has to be.
type Refusal = (&'static str, fn(&EditError) -> bool);

fn set(source: &str, wanted: u32) -> Result<(Option<u32>, Option<String>), EditError> {
    let stream = parse(source.as_bytes()).unwrap();
    set_integer(source.as_bytes(), &stream, 0, &["spec", "replicas"], wanted)
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
        ("spec:\n  # c\n  a: 1\n", "spec:\n  # c\n  replicas: 5\n  a: 1\n"),
        ("spec:\r\n    a: 1\r\n", "spec:\r\n    replicas: 5\r\n    a: 1\r\n"),
        ("spec: {a: 1}\n", "spec: {replicas: 5, a: 1}\n"),
        ("spec: {}\n", "spec: {replicas: 5}\n"),
        ("spec: { }\n", "spec: {replicas: 5 }\n"),
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
    let numbers = [
        "'3'",
        "\"3\"",
        "0x3",
        "03",
        "3.0",
        "1_0",
        "-3",
        "~",
        "",
        "[3]",
        "!!int 3",
        "three",
        "99999999999",
        "+3",
    ];
    for number in numbers {
        let source = format!("spec:\n  replicas: {number}\n");
        assert!(matches!(set(&source, 5), Err(EditError::NotANumber { .. })), "{source}");
    }
    let others: [Refusal; 6] = [
        ("spec:\n  replicas: 3 # kpt-set: ${n}\n", |e| matches!(e, EditError::Setter(2))),
        ("spec:\n  <<: {a: 1}\n  replicas: 3\n", |e| matches!(e, EditError::Merged(_))),
        ("spec:\n", |e| matches!(e, EditError::NoMapping(_))),
        ("other: 1\n", |e| matches!(e, EditError::NoMapping(_))),
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
    let cases: [(&[u8], &str); 11] = [
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
fn aliases_are_never_expanded() {
    // Billion laughs: nine levels of nine references each.
    let mut source = "a0: &a0 lol\n".to_owned();
    for level in 1..30 {
        let reference = format!("*a{}, ", level - 1).repeat(9);
        source = format!("{source}a{level}: &a{level} [{reference}]\n");
    }
    source.push_str("spec:\n  replicas: 3\n");
    let (_, after) = set(&source, 5).unwrap();
    assert_eq!(after.unwrap(), source.replace("replicas: 3", "replicas: 5"));
}
