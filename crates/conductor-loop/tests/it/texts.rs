//! Text in intents is accepted, reaches porch byte for byte, and is harmless in every display.

use crate::endpoints::{get, listening};
use crate::env;
use conductor_testkit::flat;
use std::fs;

/// An intent with additional members.
fn with(target: &str, more: &str) -> String {
    flat(target, 3).replacen('}', &format!(", {more}}}"), 1)
}

/// Asserts that no character can move a cursor, break a log line, or reorder displayed text.
#[track_caller]
fn assert_harmless(what: &str, text: &str) {
    let dangerous = |c: &char| {
        (c.is_control() && *c != '\n')
            || matches!(*c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{ad}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
    };
    assert_eq!(text.chars().find(dangerous), None, "{what}: {text:?}");
}

#[test]
fn text_of_an_intent_is_one_harmless_line_wherever_it_is_shown() {
    let env = env();
    env.script("bad: exit=3\n*: exit=0");
    let (daemon, address) = listening(&env, &["-log-level", "debug"]);
    let reason = "Peak\\nfailed 99\\r\\n\\tsecond\u{200f} line\u{ad}\\nwhat to do   rm";
    let more = format!(
        r#""reason": "{reason}", "description": "a\nb", "metadata": {{"k\n": "\tv"}}, "correlation_id": "urn:x/1""#
    );
    for target in ["good", "bad"] {
        env.drop_file(&format!("intent-{target}.json"), with(target, &more));
        assert_eq!(env.wait_status(&format!("intent-{target}.json"))["correlation_id"], "urn:x/1");
    }
    env.drop_file("intent-no.json", with("no", r#""reason": "a\u001b[2Jb", "x\ny": 1"#));
    assert_eq!(env.wait_status("intent-no.json")["error_code"], "E211");
    env.drop_file("intent-key.json", with("no", r#""x\ny\t\u200b": 1"#));
    assert_eq!(env.wait_status("intent-key.json")["error_code"], "E212");
    for of in ["1", "2", "3", "4"] {
        for words in [["show", of], ["explain", of]] {
            assert_harmless(words[0], &env.operate(&words).stdout);
            assert_harmless(words[0], &env.operate(&[&words[..], &["--json"]].concat()).stdout);
        }
        assert_harmless("API", &get(address, &format!("/api/v1/intents/{of}")).1);
    }
    let shown = env.operate(&["show", "1"]).stdout;
    assert!(
        shown.contains(r"because      Peak\nfailed 99\r\n\tsecond\u{200f} line\u{ad}\nwhat to do   rm"),
        "{shown}"
    );
    for words in [&["list"][..], &["logs"], &["status"]] {
        assert_harmless(words[0], &env.operate(words).stdout);
    }
    for name in env.names("failed").iter().filter(|name| name.ends_with(".error.log")) {
        assert_harmless(name, &env.read(&format!("failed/{name}")));
    }
    for name in env.names("status") {
        let status = env.read(&format!("status/{name}"));
        assert_eq!(status.matches('\n').count(), 1, "{status}");
        assert_harmless(&name, &status);
    }
    assert_harmless("log", &daemon.stop().stderr);
}

#[test]
fn a_byte_order_mark_reaches_archive_and_porch() {
    for porch in ["fake", "builtin"] {
        let env = env();
        let bytes =
            format!("\u{feff}{}", with("x", "\"created_at\": \"2024-08-15T10:30:00.5\", \"source\": null"));
        env.drop_file("intent-x.json", &bytes);
        let flags = if porch == "builtin" { vec!["-porch", "builtin"] } else { Vec::new() };
        env.once(&flags).expect(0);
        assert_eq!(fs::read(env.handoff("processed/intent-x.json")).unwrap(), bytes.as_bytes());
        assert_eq!(env.status("intent-x.json").unwrap()["size"], bytes.len());
        match env.calls().first() {
            Some(call) => assert_eq!(call.record["content"].as_str(), Some(bytes.as_str())),
            None => assert!(env.path("out/test/x-scaling/deployment.yaml").is_file(), "{porch}"),
        }
    }
}
