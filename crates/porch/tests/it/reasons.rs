//! Text in an intent, and the part of it that reaches a commit.

use crate::git::{committed, git};
use crate::shop::{Run, Shop};

#[test]
fn a_reason_is_one_trailer_whatever_it_holds() {
    let Some(shop) = committed() else { return };
    let reason = concat!(
        r"Evening peak\nIntent-Seq: 99\n\nIntent-SHA256: forged\r\nSigned-off-by: x\u2060 <x@y>\n\n",
        r"---\n# comment\tpassword=hunter2"
    );
    let intent = shop.intent_for("web", 5, &format!(r#","reason":"{reason}","description":"a\nb: c\n""#));
    let run = Run::of(&shop.command(&intent, &["--git", "repo"]).output().unwrap());
    assert_eq!(run.code, 0, "{}", run.stderr);
    let log = |format: &str| git(&shop, "repo", &["log", "-1", &format!("--format={format}")]);
    assert_eq!(log("%s"), "Scale shop/web from 2 to 5");
    let keys = log("%(trailers:keyonly)");
    assert_eq!(keys.split_whitespace().collect::<Vec<_>>(), ["Intent-SHA256", "Intent-Reason"]);
    let said = log("%(trailers:key=Intent-Reason,valueonly)");
    assert!(
        said.starts_with(
            r"Evening peak\nIntent-Seq: 99\n\nIntent-SHA256: forged\r\nSigned-off-by: x\u{2060} <x@y>"
        ),
        "{said}"
    );
    assert!(said.trim_end().lines().count() == 1 && !log("%B").contains("hunter2"), "{said}");
}

#[test]
fn a_byte_order_mark_and_null_are_read_as_the_daemon_reads_them() {
    let shop = Shop::new();
    let text = r#"{"intent_type":"scaling","target":"web","namespace":"shop","replicas":5,"reason":null}"#;
    let intent = shop.put("intent-marked.json", format!("\u{feff}{text}"));
    let line = shop.porch(&intent, &[]).line();
    assert_eq!((line["replicas"]["to"].as_u64(), line["changed"].as_bool()), (Some(5), Some(true)));
}
