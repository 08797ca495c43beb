//! Secrets recognised by their shape, without any mark before them.

/// Prefixes of tokens: cloud keys, repositories, chat, payment, package registries, JSON web tokens.
const PREFIXES: &[&str] = &[
    "AKIA",
    "ASIA",
    "AIza",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "gldt-",
    "glrt-",
    "glptt-",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xoxr-",
    "xoxs-",
    "xoxe-",
    "xoxe.",
    "xapp-",
    "eyJ",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "sk-",
    "SG.",
    "npm_",
    "pypi-",
    "dop_v1_",
    "hvs.",
    "hvb.",
    "ya29.",
    "shpat_",
    "lin_api_",
    "AGE-SECRET-KEY-",
    "sq0csp-",
    "whsec_",
];
/// Token prefixes that also begin ordinary names: they need a digit further on.
const ORDINARY: &[&str] = &["sk-", "SG.", "npm_", "pypi-", "eyJ", "AIza"];
/// The length of the shortest token, prefix included.
const TOKEN_MIN: usize = 16;
/// Prefixes of password hashes in the format of crypt(3).
const HASHES: &[&str] =
    &["$1$", "$5$", "$6$", "$2a$", "$2b$", "$2y$", "$y$", "$argon2", "$apr1$", "$scrypt$"];

/// The offset of a token in a word.
pub(super) fn token(word: &str) -> Option<usize> {
    if word.len() < TOKEN_MIN {
        return None;
    }
    PREFIXES.iter().filter_map(|prefix| Some((prefix, word.find(prefix)?))).find_map(|(prefix, at)| {
        let token = word.get(at..)?;
        let edge = word.get(..at)?.bytes().next_back().is_none_or(|b| !b.is_ascii_alphanumeric());
        let random = !ORDINARY.contains(prefix) || token.bytes().any(|b| b.is_ascii_digit());
        (edge && random && token.len() >= TOKEN_MIN).then_some(at)
    })
}

/// Whether a text begins with a password hash.
pub(super) fn is_hash(text: &str) -> bool {
    HASHES.iter().any(|hash| text.starts_with(hash))
}

/// Whether a word is `user:password` in base64, as basic authentication writes it.
pub(super) fn is_basic(word: &str) -> bool {
    let (mut bits, mut count, mut text) = (0_u32, 0, Vec::new());
    for byte in word.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return false,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            text.push(u8::try_from((bits >> count) & 0xFF).unwrap_or(0));
        }
    }
    text.contains(&b':') && text.iter().all(|b| (0x20..0x7F).contains(b))
}

/// The secret part of a URL's authority, as offsets into the text after `scheme://`. `rest` ends where the URL may have ended.
pub(super) fn userinfo(scheme: &str, rest: &str) -> Option<(usize, usize)> {
    let strict = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let at = rest.get(..strict)?.rfind('@').or_else(|| behind_slash(rest, strict))?;
    match rest.get(..at)?.find(':') {
        Some(colon) => (colon + 1 < at).then_some((colon + 1, at)),
        // A user alone: for ssh it is a name, for HTTP it is a token.
        None => (scheme.ends_with("http") || scheme.ends_with("https"))
            .then_some((0, at))
            .filter(|_| at >= TOKEN_MIN),
    }
}

/// The `@` after a password that contains a slash; `host:8080/path@version` has none.
fn behind_slash(rest: &str, strict: usize) -> Option<usize> {
    let at = rest.rfind('@')?;
    let (_, password) = rest.get(..at)?.split_once(':')?;
    let port = password.bytes().take_while(u8::is_ascii_digit).count();
    let has_none = password.get(port..)?.starts_with('/') || !rest.get(..strict)?.contains(':');
    (!has_none).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_authentication_is_told_from_words() {
        for yes in ["Ym9iOmh1bnRlcjI=", "YTpi", "dXNlcjpwYXNz", "dTpw"] {
            assert!(is_basic(yes), "{yes}");
        }
        for no in ["auth", "authentication", "Auth", "realm", "", "packages"] {
            assert!(!is_basic(no), "{no}");
        }
    }

    #[test]
    fn a_url_s_secret_is_its_password_or_its_token() {
        for (scheme, rest, want) in [
            ("https", "bob:pw@host/x", Some("pw")),
            ("https", "bob:p@w@host", Some("p@w")),
            ("postgres", "bob:p/w@host/db", Some("p/w")),
            ("redis", ":pw@host", Some("pw")),
            ("https", "0123456789abcdef@host", Some("0123456789abcdef")),
            ("ssh", "0123456789abcdef@host", None),
            ("https", "host:8080/path@v1", None),
            ("https", "host/@scope/package", None),
            ("https", "bob@host", None),
            ("https", "bob:@host", None),
        ] {
            let found = userinfo(scheme, rest).and_then(|(from, to)| rest.get(from..to));
            assert_eq!(found, want, "{rest}");
        }
    }
}
