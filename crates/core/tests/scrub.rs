//! Lines with secrets and lines without, kept as data: `scrub/secret.txt` and `scrub/plain.txt`. A new case is a line there.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use conductor_core::scrub;

/// The cases of a file; `⏎` is a line break.
fn cases(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with("# ") && !line.is_empty());
    lines.map(|line| line.replace('⏎', "\n")).collect()
}

/// A case without its marks, and the secrets between them.
fn marked(case: &str) -> (String, Vec<String>) {
    let (mut text, mut secrets) = (String::new(), Vec::new());
    let mut rest = case;
    while let Some((before, marked)) = rest.split_once('«') {
        let (secret, after) = marked.split_once('»').expect("each mark is closed");
        text.push_str(before);
        text.push_str(secret);
        secrets.push(secret.to_owned());
        rest = after;
    }
    text.push_str(rest);
    (text, secrets)
}

#[test]
fn every_marked_secret_of_the_corpus_is_masked() {
    let cases = cases(include_str!("scrub/secret.txt"));
    assert!(cases.len() >= 200, "only {} cases", cases.len());
    let mut leaks = Vec::new();
    for case in &cases {
        let (text, secrets) = marked(case);
        assert!(!secrets.is_empty(), "no secret is marked: {case}");
        // As it is, within a text, as a program prints it, and as a JSON string within a document.
        let text_of_case = text.clone();
        let quoted = serde_json::to_string(&serde_json::json!({"a": 1, "said": text, "z": 2})).expect("JSON");
        let begins_cut = text.contains("-----END") && !text.contains("-----BEGIN");
        let around = if begins_cut { text.clone() } else { format!("line before\n{text}\nafter") };
        for (how, text) in [("alone", &text), ("between lines", &around), ("in JSON", &quoted)] {
            let (masked, block) = (scrub::mask(text), scrub::block(text.as_bytes()));
            for secret in secrets.iter().filter(|_| how != "in JSON" || is_literal(&text_of_case)) {
                if masked.contains(secret.as_str()) || block.contains(secret.as_str()) {
                    leaks.push(format!("{how}: {text}\n-> {masked}"));
                }
            }
            assert_eq!(scrub::mask(&masked), masked, "{how}: masking again");
        }
        assert!(begins_cut || scrub::mask(&around).starts_with("line before\n"), "{around}");
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}

/// Whether JSON writes the secret unchanged; secrets that need escapes have cases of their own.
fn is_literal(secret: &str) -> bool {
    !secret.contains(['"', '\\', '\n'])
}

#[test]
fn every_harmless_line_of_the_corpus_comes_out_unchanged() {
    let cases = cases(include_str!("scrub/plain.txt"));
    assert!(cases.len() >= 150, "only {} cases", cases.len());
    for case in &cases {
        assert_eq!(scrub::mask(case), *case);
        assert_eq!(scrub::mask(&format!("before\n{case}\nafter")), format!("before\n{case}\nafter"));
    }
}
