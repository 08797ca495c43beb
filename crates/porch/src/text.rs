//! What a file says, before it is parsed: whether it names an object, or may hold patches of others.

use std::borrow::Cow;

/// The text of a file. UTF-16 is known by the mark at its beginning; Windows' shells write it.
fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    let read: fn([u8; 2]) -> u16 = match bytes {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        // Checking all at once is several times as fast as looking for the place of an error.
        _ => return str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed),
    };
    let units = bytes.chunks_exact(2).filter_map(|unit| unit.try_into().ok().map(read));
    char::decode_utf16(units).map(|sign| sign.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Whether a text stands in a file by itself, not as a part of a longer name.
pub(crate) fn mentions(bytes: &[u8], text: &str) -> bool {
    let is_part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    says(&text_of(bytes), |content| {
        content.match_indices(text).any(|(at, _)| {
            let around = content.as_bytes();
            let before = at.checked_sub(1).and_then(|before| around.get(before));
            !is_part(before) && !is_part(around.get(at + text.len()))
        })
    })
}

/// Whether a file may hold an object of Flux or Argo CD with patches of what it deploys, which need not name the target.
pub(crate) fn patches_others(bytes: &[u8]) -> bool {
    says(&text_of(bytes), |content| {
        let has = |all: &[&str]| all.iter().all(|word| content.contains(word));
        has(&["kustomize.toolkit.fluxcd.io/", "patches", "replicas"])
            || has(&["argoproj.io/", "Application", "kustomize", "replicas"])
    })
}

/// Whether a text passes a test.
pub(crate) fn says(text: &str, passes: impl Fn(&str) -> bool) -> bool {
    passes(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mention_is_the_whole_name() {
        for (content, is) in [
            ("name: web\n", true),
            ("name: \"web\"", true),
            ("path: ../web/", true),
            ("web", true),
            ("web.yaml", true),
            ("name: webhook", false),
            ("name: my-web", false),
            ("name: web-2 # not web2", false),
            ("name: web-2 # web", true),
        ] {
            assert_eq!(mentions(content.as_bytes(), "web"), is, "{content}");
        }
        assert!(mentions(b"\xff name: web", "web"), "a file that is not UTF-8 is refused by name later");
        let wide = |mark: u16, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
            std::iter::once(mark).chain("name: web\n".encode_utf16()).flat_map(bytes).collect()
        };
        assert!(mentions(&wide(0xfeff, u16::to_le_bytes), "web"), "UTF-16 of Windows");
        assert!(
            mentions(&wide(0xfeff, u16::to_be_bytes), "web")
                && !mentions(&wide(0xfeff, u16::to_be_bytes), "api")
        );
    }
}
