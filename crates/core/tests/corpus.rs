//! A corpus of intents in the style of `JSONTestSuite`, each with its expected verdict, kept as data. A new case is a
//! file and a line in `verdicts.tsv`.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use conductor_core::intent::{Policy, judge};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

/// Expected verdict and pointer by file name.
fn verdicts() -> BTreeMap<String, (String, String)> {
    let text = std::fs::read_to_string(corpus().join("verdicts.tsv")).expect("the verdicts");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut verdicts = BTreeMap::new();
    for line in lines {
        let [name, verdict, pointer] =
            line.split('\t').collect::<Vec<_>>().try_into().expect("three columns");
        let before = verdicts.insert(name.to_owned(), (verdict.to_owned(), pointer.to_owned()));
        assert!(before.is_none(), "{name} has two verdicts");
    }
    verdicts
}

#[test]
fn every_file_of_the_corpus_gets_its_verdict() {
    let verdicts = verdicts();
    let mut wrong = Vec::new();
    for (name, (verdict, pointer)) in &verdicts {
        let bytes = std::fs::read(corpus().join("intents").join(name)).expect(name);
        let (found, at) = match judge(&bytes, Policy::default()) {
            Ok(_) => ("accepted".to_owned(), "-".to_owned()),
            Err(refusal) => (refusal.code.id().to_owned(), refusal.field),
        };
        let at = if at.is_empty() { "-".to_owned() } else { at };
        if found != *verdict || (pointer != "*" && verdict != "E204" && verdict != "E205" && at != *pointer) {
            wrong.push(format!("{name}: {found} at {at}, not {verdict} at {pointer}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), verdicts.len(), wrong.join("\n"));
}

#[test]
fn every_file_of_the_corpus_has_a_verdict() {
    let verdicts = verdicts();
    let files: Vec<String> = std::fs::read_dir(corpus().join("intents"))
        .expect("the corpus")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .collect();
    assert!(files.len() >= 300, "only {} files", files.len());
    assert_eq!(files.len(), verdicts.len());
    assert!(files.iter().all(|name| verdicts.contains_key(name)));
}
