//! What two files differ in, to prove that an edit changed one value.

use super::node::{Node, Stream, Value};

/// The paths at which two files differ, at most `limit` of them. Scalars are compared with their style: `3` is not `"3"`.
pub(super) fn differences(before: &Stream, after: &Stream, limit: usize) -> Vec<String> {
    let mut found = Vec::new();
    compare_lists(&before.documents, &after.documents, "", &mut found, limit);
    found
}

fn compare(before: &Node, after: &Node, path: &str, found: &mut Vec<String>, limit: usize) {
    if found.len() >= limit {
        return;
    }
    let same = match (&before.value, &after.value) {
        (Value::Scalar { text: a, plain: p }, Value::Scalar { text: b, plain: q }) => a == b && p == q,
        (Value::Alias(a), Value::Alias(b)) => a == b,
        (Value::List(a), Value::List(b)) => return compare_lists(a, b, path, found, limit),
        (Value::Map { entries: a, flow: f }, Value::Map { entries: b, flow: g }) if f == g => {
            return compare_maps(a, b, path, found, limit);
        }
        _ => false,
    };
    if !same || before.anchor != after.anchor || before.tagged != after.tagged {
        found.push(path.to_owned());
    }
}

fn compare_lists(before: &[Node], after: &[Node], path: &str, found: &mut Vec<String>, limit: usize) {
    if before.len() != after.len() {
        found.push(path.to_owned());
        return;
    }
    for (number, (a, b)) in before.iter().zip(after).enumerate() {
        compare(a, b, &format!("{path}/{number}"), found, limit);
    }
}

fn compare_maps(
    before: &[(Node, Node)],
    after: &[(Node, Node)],
    path: &str,
    found: &mut Vec<String>,
    limit: usize,
) {
    let name = |key: &Node| key.text().unwrap_or("?").to_owned();
    let (mut a, mut b) = (before.iter().peekable(), after.iter().peekable());
    while let (Some((key_a, value_a)), Some((key_b, value_b))) = (a.peek(), b.peek()) {
        if key_a.text() == key_b.text() {
            compare(value_a, value_b, &format!("{path}/{}", name(key_a)), found, limit);
            a.next();
        } else {
            // Present in the second only; any other difference shows up as a rest of the first.
            found.push(format!("{path}/{}", name(key_b)));
        }
        b.next();
        if found.len() >= limit {
            return;
        }
    }
    found.extend(a.chain(b).map(|(key, _)| format!("{path}/{}", name(key))));
}
