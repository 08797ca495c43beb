//! What documents claim: tests that exist, figures that are constants, threats that are answered.

use super::repository::{root, sources};

/// A claim in a document names its test as `(test: name)` or in a column of tests; each must exist.
#[test]
fn documents_name_tests_that_exist() {
    let code: String = sources(&["crates", "xtask/src"]).into_iter().map(|(_, text)| text).collect();
    let mut named = 0;
    let pages = [
        "README.md",
        "CHANGELOG.md",
        "docs/ARCHITECTURE.md",
        "docs/FORMATS.md",
        "docs/COMPATIBILITY.md",
        "docs/KUBERNETES.md",
        "docs/OPERATIONS.md",
        "docs/PACKAGES.md",
        "docs/PROMISES.md",
        "docs/RELIABILITY.md",
        "docs/SECURITY.md",
        "docs/SETTINGS.md",
        "docs/THREATS.md",
    ];
    for page in pages {
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        for claim in text.split("(test: ").skip(1) {
            for name in claim.split(')').next().unwrap().split(',') {
                let name = name.trim().trim_matches('`');
                assert!(
                    code.contains(&format!("fn {name}(")),
                    "{page} names the test {name}, which does not exist"
                );
                named += 1;
            }
        }
    }
    assert!(named > 50, "the documents name their tests: {named}");
}

/// `1234567` as documents write it.
fn with_commas(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}

#[test]
fn figures_of_the_architecture_are_the_constants() {
    use conductor_core::limits::{HELD_BYTES_MAX, Memory, PARKED_MAX, SIGHTED_MAX, START_WINDOW, TAKEN_MAX};
    let page = std::fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    let memory = Memory::default();
    for sentence in [
        format!("{} names sighted, {} intents taken", with_commas(SIGHTED_MAX), with_commas(TAKEN_MAX)),
        format!(
            "first {} are among them once there are {}",
            memory.target_share,
            with_commas(memory.park_above)
        ),
        format!("up to {}, the number is", with_commas(PARKED_MAX)),
        format!("{0} MiB on their way to the store and {0} MiB that wait", HELD_BYTES_MAX >> 21),
        format!("The first {START_WINDOW} waiting intents"),
    ] {
        assert!(page.contains(&sentence), "docs/ARCHITECTURE.md does not say '{sentence}'");
    }
}

/// Whether a word is the id of a threat: a letter and two digits.
fn is_threat(word: &str) -> bool {
    let bytes = word.as_bytes();
    bytes.len() == 3 && bytes[0].is_ascii_uppercase() && bytes[1..].iter().all(u8::is_ascii_digit)
}

#[test]
fn threats_and_tests_name_each_other() {
    let page = std::fs::read_to_string(root().join("docs/THREATS.md")).unwrap();
    let sources = sources(&["crates", "xtask/src"]);
    let code: String = sources.iter().map(|(_, text)| text.as_str()).collect();
    let mut tests_of = std::collections::BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        if !is_threat(cells[0]) {
            continue;
        }
        let tests: Vec<&str> = cells[3].split(", ").map(|test| test.trim_matches('`')).collect();
        assert!(cells.len() == 4 && cells[1..3].iter().all(|cell| !cell.is_empty()), "{line}");
        for test in &tests {
            assert!(
                code.contains(&format!("fn {test}(")),
                "THREATS.md names the test {test}, which does not exist"
            );
        }
        assert!(tests_of.insert(cells[0].to_owned(), tests).is_none(), "{}: twice", cells[0]);
    }
    assert!(tests_of.len() > 40, "{}", tests_of.len());
    for (path, text) in &sources {
        for line in text.lines() {
            // A test whose name begins with threat ids must be in the row of each.
            let name = line.trim_start().strip_prefix("fn ").and_then(|rest| rest.split('(').next());
            if let Some(name) = name {
                let ids = name.split('_').map(str::to_uppercase).take_while(|word| is_threat(word));
                for id in ids {
                    let listed = tests_of.get(&id).is_some_and(|tests| tests.contains(&name));
                    assert!(listed, "{path}: {name} is not in the row of {id} in THREATS.md");
                }
            }
            for rest in line.split("hreat ").skip(1).filter(|_| line.trim_start().starts_with("//")) {
                for id in rest.split([',', ' ', ')', '.', ';', ':']).take_while(|word| is_threat(word)) {
                    assert!(tests_of.contains_key(id), "{path}: threat {id} is not in THREATS.md");
                }
            }
        }
    }
}
