//! Examples; properties that hold for every text; and the bound on the work.

use super::*;
use crate::intent::text::is_shown;
use proptest::prelude::*;

#[test]
fn what_is_too_long_is_cut_between_characters_and_says_so() {
    assert_eq!(cut("short".into(), 5), "short");
    assert_eq!(cut("äöüäöüäöü".into(), 12), "äö\n[cut]\n");
}

#[test]
fn secrets_are_masked_and_the_rest_stays() {
    let cases = [
        ("password=hunter2 next", "password=[masked] next"),
        ("DB_PASSWORD: hunter2", "DB_PASSWORD: [masked]"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer [masked]"),
        (
            "push https://bob:s3cret@git.example/x.git failed",
            "push https://bob:[masked]@git.example/x.git failed",
        ),
        ("key AKIAIOSFODNN7EXAMPLE1 used", "key [masked] used"),
        ("--api-key 12345", "--api-key [masked]"),
        ("--verbose 12345 api-key 12345", "--verbose 12345 api-key 12345"),
        ("Bearer abc.def", "Bearer [masked]"),
        ("token = abc and more", "token = [masked] and more"),
        ("the token expired, a = b", "the token expired, a = b"),
        ("ghp_123456789012", "[masked]"),
        ("ghp_12345678901", "ghp_12345678901"),
        ("x-ghp_123456789012", "x-[masked]"),
        ("abcdefghijklmnopqrstuvwxyz-ghp_1", "abcdefghijklmnopqrstuvwxyz-ghp_1"),
        ("\"token\": \"abc\"", "\"token\": [masked]"),
        ("scaled cnf-simulator to 3: ok", "scaled cnf-simulator to 3: ok"),
        ("a -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nb", "[masked]\nb"),
        ("mysql -psecret1 -h db", "mysql -p[masked] -h db"),
        ("Passwort: geheim", "Passwort: [masked]"),
        ("{\"reason\":\"password=hunter2 in reason\"}", "{\"reason\":\"password=[masked] in reason\"}"),
        ("{\\\"token\\\":\\\"a b\\\",\\\"x\\\":1}", "{\\\"token\\\":[masked],\\\"x\\\":1}"),
        ("password: |\n  a\n  b\nuser: bob", "password: |\n  [masked]\nuser: bob"),
        ("curl -u bob:pw https://host", "curl -u bob:[masked] https://host"),
        ("Cookie: a=b; c=d\nHost: x", "Cookie: [masked]\nHost: x"),
        ("a=1&token=abc&b=2", "a=1&token=[masked]&b=2"),
        ("name: DB_PASSWORD\nvalue: x", "name: DB_PASSWORD\nvalue: [masked]"),
    ];
    for (text, want) in cases {
        assert_eq!(mask(text), want);
    }
}

#[test]
fn half_a_line_is_left_out_where_the_beginning_is_missing() {
    assert_eq!(from_next_line(b"ter2 and\nnext\n"), b"next\n");
    assert_eq!(from_next_line(b"ter2 and"), b"and");
    assert_eq!(from_next_line(b"ter2"), b"");
    assert_eq!(from_next_line(&[b'x'; 5_000]).len(), 5_000 - 4_096);
}

#[test]
fn a_name_announces_a_secret_or_does_not() {
    for yes in ["password", "dbPassword", "API_KEY", "tokens", "client-secret"] {
        assert!(announces_secret(yes), "{yes}");
    }
    for no in ["secretName", "author", "monkey", "key", "session", "namespace", ""] {
        assert!(!announces_secret(no), "{no}");
    }
}

#[test]
fn escapes() {
    assert_eq!(line("a\x1b[2J\u{202e}b\n", 99), "a\\u{1b}[2J\\u{202e}b\\n");
    assert_eq!(line("abcdef", 3), "abc…");
    assert_eq!(block(b"ok\n\xffx\x07"), "ok\n\\xffx\\u{7}");
    assert_eq!(shown("a\ntoken=b", 99), "a\\ntoken=[masked]");
    assert_eq!(line("👩\u{200d}💻 می\u{200c}خواهم \u{200f}", 99), "👩\u{200d}💻 می\u{200c}خواهم \\u{200f}");
}

/// Pieces with which masking rules begin and end.
const PARTS: &[&str] = &[
    "password",
    "token",
    "=",
    ":",
    " ",
    "\n",
    "\"",
    "'",
    "\\",
    "-p",
    "-u",
    "a:b",
    "mysql",
    "Bearer",
    "Basic",
    "YTpi",
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    ",",
    ";",
    "&",
    "|",
    ">",
    "<",
    "!x ",
    "[masked]",
    "hunter2",
    "https://",
    "@",
    "-----BEGIN PRIVATE KEY-----",
    "-----END PRIVATE KEY-----",
    "MIIEvgIBADANBgkqhkiG9w0B",
    "  ",
    "- ",
    "name",
    "value",
    "Authorization",
    "Cookie",
    "ä",
    "：",
    "&quot;",
    "%22",
    "%3D",
    "\\n",
    "ghp_0123456789abcdef",
    "\u{1b}[0m",
    "pass",
    "--secret",
    "tokens",
    "$6$aaaaaaaaaaaaaaaaaaaaaaaa",
    "not",
    "true",
    "5",
    "ENV",
    "login",
    "identified",
    "by",
    "*",
    "/",
    "?",
    "eyJhbGciOiJIUzI1NiJ9",
];

#[test]
fn masking_looks_at_each_byte_a_bounded_number_of_times() {
    let pairs = [
        "token: [\n",
        "password='\n",
        "- tokens:\n",
        "password: |\n a",
        "-u a:",
        "password: !a ",
        "token: [\"a\n",
        "A\n",
        "https://a:b@",
        "user://x:y/z@",
        "password=a,",
        "\\\"token\\\":\\\"",
        "name: password ",
        "authorization: ",
        "mysql -p",
        "a://",
        "bearer ",
        "AAAAAAAAAAAAAAAAAAAA\n",
        "password:\n ",
        "tokens: [x, ",
    ];
    // A mebibyte of three of the parts; of the others enough to reveal quadratic time.
    let large = ["token: [\n", "password=a,", "a://"].map(|part| (part, 1 << 20));
    for (part, size) in PARTS.iter().chain(&pairs).map(|part| (*part, 1 << 15)).chain(large) {
        let text = part.repeat(size / part.len());
        let (masked, work) = scanner::counted(&text);
        assert!(work <= 120 * text.len(), "{part:?}: {} looks a byte", work / text.len());
        assert!(masked.len() <= 3 * text.len(), "{part:?}: {} bytes", masked.len());
    }
}

proptest! {
    #[test]
    fn nothing_but_newlines_controls_a_terminal(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let out = block(&bytes);
        prop_assert!(out.chars().all(|c| c == '\n' || is_shown(c)));
    }

    #[test]
    fn masking_a_masked_text_changes_nothing(parts in proptest::collection::vec(proptest::sample::select(PARTS), 0..24)) {
        let text = parts.concat();
        let (masked, work) = scanner::counted(&text);
        prop_assert_eq!(&mask(&masked), &masked);
        prop_assert!(masked.len() <= 8 * text.len() + 8);
        prop_assert!(work <= 200 * text.len() + 1_000, "{} looks", work);
    }

    #[test]
    fn masking_never_panics(text in "\\PC{0,200}") {
        let _ = mask(&text);
        let _ = block(text.as_bytes());
    }
}
