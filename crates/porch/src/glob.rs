//! Patterns: those of routes, in which `*` stands for any text, and every other character for itself.

/// Whether a pattern matches the whole text.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    let Some(mut left) = text.strip_prefix(head).and_then(|left| left.strip_suffix(tail)) else {
        return false;
    };
    // The leftmost match of each part is as good as any other.
    middle.split('*').all(|part| match left.split_once(part) {
        Some((_, after)) => {
            left = after;
            true
        }
        None => false,
    })
}

/// Whether an expression stands for one text, itself.
pub(crate) fn is_plain(pattern: &str) -> bool {
    pattern.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Whether a text matches an anchored regular expression of the simple sort: `.*`, alternatives, nothing else.
pub(crate) fn is_like(pattern: &str, text: &str) -> Option<bool> {
    let pattern = pattern.strip_prefix('^').unwrap_or(pattern);
    let pattern = pattern.strip_suffix('$').unwrap_or(pattern);
    if pattern.contains(['(', ')', '[', ']', '{', '}', '\\', '+', '?']) {
        return None;
    }
    let one_is = pattern.split('|').map(|one| {
        // Any other sign of an expression makes it more than that.
        let plain = one.split(".*").all(|part| !part.contains(['.', '*', '^', '$']));
        plain.then(|| matches(&one.replace(".*", "*"), text))
    });
    one_is.reduce(either).flatten()
}

/// Whether one of two holds; `None` if that cannot be determined.
pub(crate) fn either(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    }
}
