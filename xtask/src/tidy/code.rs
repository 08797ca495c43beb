//! How code is written: unsafe in one place, headers and lengths of files, results and parameters, codes that tests bring about.

use super::arrows::is_test_only;
use super::manifests::SHIPPED;
use super::repository::{root, sources};
use syn::visit::{self, Visit};

#[test]
fn unsafe_code_stands_in_one_crate() {
    for crate_name in SHIPPED {
        let lib = std::fs::read_to_string(root().join(format!("crates/{crate_name}/src/lib.rs"))).unwrap();
        let fence = if crate_name == "os" { "#![deny(unsafe_code)]" } else { "#![forbid(unsafe_code)]" };
        assert!(lib.contains(fence), "{crate_name}");
    }
    let (fenced, others): (Vec<_>, Vec<_>) = sources(&["crates/os/src"])
        .into_iter()
        .partition(|(path, _)| path == "crates/os/src/raw.rs" || path.starts_with("crates/os/src/raw/"));
    let count = |word: &str| fenced.iter().map(|(_, text)| text.matches(word).count()).sum::<usize>();
    assert_eq!((count("unsafe {"), count("// SAFETY:")), (14, 14), "each call is argued");
    for (path, text) in others {
        let code = text.replace("#![deny(unsafe_code)]", "");
        let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        assert!(!code.contains("unsafe"), "{path}: unsafe code stands in the module raw only");
    }
}

/// Code that names a table of the storage engine could put values into it that bypass the store's codec.
#[test]
fn tables_of_the_storage_engine_are_named_in_one_file() {
    let inside = "crates/conductor-loop/src/store/";
    let naming = |word: &str| -> Vec<String> {
        let sources = sources(&["crates/core/src", "crates/porch/src", "crates/conductor-loop/src"]);
        let naming = sources.into_iter().filter(|(_, text)| text.contains(word));
        naming.map(|(path, _)| path).collect()
    };
    assert_eq!(naming("TableDefinition"), [format!("{inside}redb/table.rs")]);
    for around in ["open_untyped", "open_multimap"] {
        assert!(naming(around).is_empty(), "{around} goes around the codec: {:?}", naming(around));
    }
    for path in naming("redb::") {
        assert!(path.starts_with(inside), "{path} must not know the storage engine");
    }
}

#[test]
fn files_have_headers_and_fit() {
    for (path, text) in sources(&["crates", "xtask/src"]) {
        assert!(text.starts_with("//!"), "{path}: a header says what the file is for");
        assert!(text.lines().count() <= 600, "{path}: {} lines", text.lines().count());
        for word in ["todo!", "unimplemented!", "FIXME", concat!("TO", "DO")] {
            assert!(path.ends_with("tidy/code.rs") || !text.contains(word), "{path}: {word}");
        }
    }
}

/// Events of the loop are facts, which `daemon/observe.rs` turns into log lines; only set-up logs by itself.
#[test]
fn the_loop_logs_by_facts_alone() {
    const SET_UP: [&str; 9] = [
        "endpoints.rs",
        "session.rs",
        "open_audit.rs",
        "opening.rs",
        "prepare.rs",
        "recover.rs",
        "run.rs",
        "set_up.rs",
        "service_manager.rs",
    ];
    let logs = |text: &str| {
        ["trace", "debug", "info", "warn", "error"]
            .iter()
            .any(|level| text.contains(&format!("tracing::{level}!")))
    };
    let mut by_fact = 0;
    for (path, text) in sources(&["crates/conductor-loop/src/daemon"]) {
        let name = path.strip_prefix("crates/conductor-loop/src/daemon/").unwrap();
        if name == "observe.rs" {
            assert!(logs(&text));
        } else if !SET_UP.contains(&name) {
            assert!(!logs(&text), "{path}: emit a fact");
        }
        by_fact += text.matches("observe(").count();
    }
    assert!(by_fact > 30, "{by_fact}");
}

/// A discarded result states why it may be discarded: otherwise a failure goes unseen while the state goes wrong.
#[test]
fn results_that_are_thrown_away_say_why() {
    let is_test =
        |path: &str| path.contains("/tests/") || path.ends_with("tests.rs") || path.ends_with("random.rs");
    let mut thrown = 0;
    let places = [
        "crates/core/src",
        "crates/os/src",
        "crates/crypto/src",
        "crates/evidence/src",
        "crates/porch/src",
        "crates/conductor-loop/src",
    ];
    for (path, text) in sources(&places).iter().filter(|(path, _)| !is_test(path)) {
        let shipped = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
        let lines: Vec<&str> = shipped.lines().map(str::trim_start).collect();
        let discards = |line: &str| {
            // Writing to a String cannot fail, which each place would only repeat.
            line.starts_with("let _ = ") && !line.contains("write!(") && !line.contains("writeln!(")
        };
        for (number, line) in lines.iter().enumerate().filter(|(_, line)| discards(line)) {
            thrown += 1;
            let before = lines[..number].iter().rev().find(|line| !discards(line)).unwrap();
            let said = line.contains("//") || before.starts_with("//");
            assert!(said, "{path}:{}: say why the result is not needed: {line}", number + 1);
        }
    }
    assert!(thrown > 20, "{thrown}");
}

/// A code that no test brings about is a promise nobody has seen kept.
#[test]
fn every_code_is_brought_about_by_a_test() {
    let is_test = |path: &str| path.contains("/tests/") || path.ends_with("tests.rs");
    let inside = |text: &str| text.split_once("#[cfg(test)]\nmod tests {").map(|(_, tests)| tests.to_owned());
    let mut tests: String = sources(&["crates"])
        .into_iter()
        .filter_map(|(path, text)| if is_test(&path) { Some(text) } else { inside(&text) })
        .collect();
    tests += &std::fs::read_to_string(root().join("crates/core/tests/corpus/verdicts.tsv")).unwrap();
    // Raised when the engine finds its own result wrong: no input provokes it unless the engine has a defect.
    let exempt = [conductor_core::Code::PackageCheckFailed];
    let is_named = |entry: &conductor_core::code::Entry| {
        let variant = format!("Code::{:?}", entry.code);
        let word = |text: &str, of: &str| {
            text.match_indices(of).any(|(at, _)| !text[at + of.len()..].starts_with(char::is_alphanumeric))
        };
        word(&tests, entry.id) || word(&tests, &variant)
    };
    let unnamed: Vec<&str> = conductor_core::code::TABLE
        .iter()
        .filter(|entry| !exempt.contains(&entry.code) && !is_named(entry))
        .map(|entry| entry.id)
        .collect();
    assert!(unnamed.is_empty(), "no test names the codes {unnamed:?}");
}

#[test]
fn names_of_places_outside_do_not_occur() {
    // Built from parts, so that this file does not contain them itself.
    let words = [["/work", "/"].concat(), ["crates", ".io"].concat(), ["shared", "/design"].concat()];
    let pages = [
        "README.md",
        "docs/OPERATIONS.md",
        "docs/BENCHMARKS.md",
        "docs/RELIABILITY.md",
        "docs/THREATS.md",
        ".ci/run",
    ];
    let pages = pages.map(|page| (page.to_owned(), std::fs::read_to_string(root().join(page)).unwrap()));
    for (path, text) in sources(&["crates", "xtask/src"]).into_iter().chain(pages) {
        for word in &words {
            assert!(!text.contains(word.as_str()), "{path}: {word}");
        }
    }
}

/// The functions of a file with a parameter that is taken apart by position, tests left out.
#[derive(Default)]
struct TupleParameters(Vec<String>);

impl<'a> Visit<'a> for TupleParameters {
    fn visit_item_mod(&mut self, module: &'a syn::ItemMod) {
        if !module.attrs.iter().any(is_test_only) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_signature(&mut self, signature: &'a syn::Signature) {
        let is_tuple = |input: &syn::FnArg| matches!(input, syn::FnArg::Typed(typed) if matches!(&*typed.pat, syn::Pat::Tuple(tuple) if !tuple.elems.is_empty()));
        if signature.inputs.iter().any(is_tuple) {
            self.0.push(signature.ident.to_string());
        }
    }
}

/// A tuple gets a function past the limit of its parameters and takes their names away: a struct keeps them.
#[test]
fn parameters_have_names() {
    let named = |text: &str| {
        let mut found = TupleParameters::default();
        found.visit_file(&syn::parse_file(text).unwrap());
        found.0
    };
    let text = "fn a((x, y): (u8, u8)) {} struct S; impl S { fn b(&self, (x, _): &(u8, u8)) {} fn c(&self, xy: (u8, u8)) {} }
        trait T { fn d((x, y): (u8, u8)) {} } fn e() { [(1, 2)].map(|(x, y)| x + y); }
        #[cfg(test)] mod tests { fn f((x, y): (u8, u8)) {} }";
    assert_eq!(named(text), ["a", "b", "d"]);
    for (path, text) in sources(&["crates"]) {
        // Not shipped: the test kit, and what stands beside the sources.
        let shipped =
            path.contains("/src/") && !path.starts_with("crates/testkit/") && !path.contains("/tests/");
        if shipped && !path.ends_with("tests.rs") && !path.ends_with("random.rs") {
            assert_eq!(named(&text), [""; 0], "{path}: give them a struct with named fields");
        }
    }
}
