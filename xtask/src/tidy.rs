//! House rules that run as tests: the arrows between modules, a pure core, headers and lengths of files, documents that
//! name tests that exist.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Every Rust file below these places, with its path from the repository.
fn sources(places: &[&str]) -> Vec<(String, String)> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    for place in places {
        walk(&root().join(place), &mut found);
    }
    found.sort();
    let name = |path: &Path| path.strip_prefix(root()).unwrap().display().to_string();
    found.iter().map(|path| (name(path), std::fs::read_to_string(path).unwrap())).collect()
}

/// The modules of the product that a file names, by `use crate::...` or in a path, outside its tests.
fn named_modules(text: &str) -> BTreeSet<String> {
    let file = syn::parse_file(text).unwrap();
    let mut named = Named::default();
    named.visit_file(&file);
    named.0
}

#[derive(Default)]
struct Named(BTreeSet<String>);

impl Named {
    fn first_of(&mut self, tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) => drop(self.0.insert(path.ident.to_string())),
            syn::UseTree::Name(name) => drop(self.0.insert(name.ident.to_string())),
            syn::UseTree::Rename(rename) => drop(self.0.insert(rename.ident.to_string())),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.first_of(tree)),
            syn::UseTree::Glob(_) => panic!("`use crate::*` hides what is used"),
        }
    }
}

impl<'a> Visit<'a> for Named {
    fn visit_item_mod(&mut self, module: &'a syn::ItemMod) {
        if !module.attrs.iter().any(is_test_only) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        if item.attrs.iter().any(is_test_only) {
            return;
        }
        // A group may begin with `crate` in each of its parts.
        let mut trees = vec![&item.tree];
        while let Some(tree) = trees.pop() {
            match tree {
                syn::UseTree::Path(path) if path.ident == "crate" => self.first_of(&path.tree),
                syn::UseTree::Group(group) => trees.extend(&group.items),
                _ => {}
            }
        }
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        if let (Some(first), Some(second)) = (path.segments.get(0), path.segments.get(1))
            && first.ident == "crate"
        {
            self.0.insert(second.ident.to_string());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'a syn::Macro) {
        // A macro's argument is not parsed as a syntax tree, so its text is searched.
        let text = called.tokens.to_string();
        for rest in text.split("crate :: ").skip(1) {
            let name =
                rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
            self.0.insert(name.to_owned());
        }
    }
}

fn is_test_only(attribute: &syn::Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && matches!(&attribute.meta, syn::Meta::List(list) if list.tokens.to_string() == "test")
}

#[test]
fn arrows_are_read_from_all_forms_of_use() {
    let text = "#[cfg(test)]
        mod tests;
        use crate::{admin as _, intake::{Report, self}};
        use {crate::runner, std::fs};
        fn f() { let x = crate::clerk::Clerk::new(); assert!(crate::store::same(x)); }
        #[cfg(test)]
        mod inside { use crate::telemetry; }";
    let named: Vec<String> = named_modules(text).into_iter().collect();
    assert_eq!(named, ["admin", "clerk", "intake", "runner", "store"]);
}

/// The arrows of docs/ARCHITECTURE.md: each module may name itself and the listed modules.
const ARROWS: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    ("cli", &["config", "daemon", "commands", "telemetry"]),
    ("commands", &["config", "daemon", "control", "inquiry", "store", "handoff"]),
    ("config", &[]),
    (
        "daemon",
        &[
            "config",
            "intake",
            "runner",
            "clerk",
            "admin",
            "control",
            "inquiry",
            "telemetry",
            "store",
            "handoff",
            "payload",
        ],
    ),
    ("admin", &[]),
    ("control", &["handoff"]),
    ("inquiry", &["store", "handoff"]),
    ("intake", &["handoff", "payload"]),
    ("runner", &["handoff", "payload"]),
    ("clerk", &["store", "handoff", "payload"]),
    ("telemetry", &[]),
    ("store", &[]),
    ("handoff", &["config", "store"]),
    ("payload", &[]),
];

#[test]
fn modules_depend_in_one_direction_only() {
    for (path, text) in sources(&["crates/conductor-loop/src"]) {
        let inside = path.strip_prefix("crates/conductor-loop/src/").unwrap();
        let own = inside.split(['/', '.']).next().unwrap();
        if own == "lib" || path.ends_with("tests.rs") {
            continue;
        }
        let allowed =
            ARROWS.iter().find(|(name, _)| *name == own).unwrap_or_else(|| panic!("{own} is in no arrow")).1;
        for named in named_modules(&text) {
            // Names of the crate's root that are not modules, such as macros, are in no arrow.
            let module = ARROWS.iter().any(|(name, _)| *name == named);
            assert!(
                !module || named == own || allowed.contains(&named.as_str()),
                "{path}: {own} must not use {named}"
            );
        }
    }
}

/// The names of the parts of a handoff directory, as string literals in code.
#[derive(Default)]
struct Spelled(BTreeSet<String>);

impl<'a> Visit<'a> for Spelled {
    fn visit_item_mod(&mut self, module: &'a syn::ItemMod) {
        if !module.attrs.iter().any(is_test_only) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_lit_str(&mut self, literal: &'a syn::LitStr) {
        let text = literal.value();
        let is_part = |name: &str| text == name || text.starts_with(&format!("{name}/"));
        if [".conductor", ".conductor-state.json", "drafts"].into_iter().any(is_part) {
            self.0.insert(text);
        }
    }
}

#[test]
fn only_the_handoff_module_spells_what_lies_in_a_handoff_directory() {
    let spelled = |text: &str| {
        let mut spelled = Spelled::default();
        spelled.visit_file(&syn::parse_file(text).unwrap());
        spelled.0
    };
    assert_eq!(spelled("fn f() { g(\".conductor/taken\") }").len(), 1);
    for (path, text) in sources(&["crates/conductor-loop/src"]) {
        let is_its_own = path.contains("/src/handoff/") || path.contains("/tests") || path.contains("/cli/");
        let found = spelled(&text);
        assert!(is_its_own || found.is_empty(), "{path}: {found:?} are names of handoff::layout");
    }
}

#[test]
fn core_is_pure_and_crates_point_one_way() {
    let banned = [
        "std::fs",
        "std::thread",
        "std::env",
        "std::process",
        "std::net",
        "Instant",
        "SystemTime",
        "Timestamp::now",
        "rustix",
        "rand::",
    ];
    for (path, text) in sources(&["crates/core/src"]) {
        for (number, line) in
            text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
        {
            for word in banned {
                assert!(!line.contains(word), "{path}:{}: core must not name {word}", number + 1);
            }
        }
    }
    let forbidden = [
        ("os", ["conductor-core", "conductor-crypto", "conductor-porch", "conductor-loop"].as_slice()),
        ("core", &["conductor-os", "conductor-crypto", "conductor-porch", "conductor-loop"]),
        ("crypto", &["conductor-os", "conductor-porch", "conductor-loop"]),
        ("porch", &["conductor-loop"]),
    ];
    for (name, others) in forbidden {
        let shipped = shipped_dependencies(name);
        assert!(!others.iter().any(|other| shipped.contains(*other)), "{name} ships {shipped:?}");
    }
    for name in SHIPPED {
        assert!(
            !shipped_dependencies(name).contains("conductor-testkit"),
            "{name} must not ship the test kit"
        );
    }
}

/// The packages that are part of the product.
const SHIPPED: [&str; 5] = ["core", "os", "crypto", "porch", "conductor-loop"];

/// Cryptographic libraries, including those that other dependencies could bring in.
const CRYPTO: [&str; 9] =
    ["aws-lc", "ring", "openssl", "boring", "sha1", "sha2", "rustcrypto", "ed25519", "getrandom"];

/// Each dependency of a manifest: the package's own name, and every feature it enables.
fn asked_for(manifest: &toml::Table) -> Vec<(String, Vec<String>)> {
    let mut tables: Vec<&toml::Table> = Vec::new();
    let platforms = manifest.get("target").and_then(toml::Value::as_table).into_iter().flatten();
    let places = platforms.filter_map(|(_, table)| table.as_table());
    let workspace = manifest.get("workspace").and_then(toml::Value::as_table);
    for place in [manifest].into_iter().chain(workspace).chain(places) {
        let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
        tables.extend(kinds.iter().filter_map(|kind| place.get(*kind)?.as_table()));
    }
    let said = |(key, value): (&String, &toml::Value)| {
        let name = value.get("package").and_then(toml::Value::as_str).unwrap_or(key).to_owned();
        // A package from a directory has the name in its own manifest.
        let features = value.get("features").and_then(toml::Value::as_array).into_iter().flatten();
        let place = value.get("path").into_iter();
        (name, features.chain(place).filter_map(|text| Some(text.as_str()?.to_owned())).collect())
    };
    tables.into_iter().flat_map(|table| table.iter().map(said)).collect()
}

/// Whether a word names a cryptographic library, in the spelling of a package, a feature or a directory.
fn names_crypto(word: &str) -> bool {
    let word = word.to_lowercase().replace('_', "-");
    let is = |name: &str| word.split('/').any(|part| part == name || part.starts_with(&format!("{name}-")));
    CRYPTO.iter().any(|name| is(name))
}

#[test]
fn one_manifest_names_the_crypto_library() {
    let read =
        |path: &str| -> toml::Table { std::fs::read_to_string(root().join(path)).unwrap().parse().unwrap() };
    let mut members: Vec<String> = std::fs::read_dir(root().join("crates"))
        .unwrap()
        .flatten()
        .map(|entry| format!("crates/{}/Cargo.toml", entry.file_name().into_string().unwrap()))
        .collect();
    members.push("xtask/Cargo.toml".to_owned());
    let mut naming = Vec::new();
    for path in &members {
        let asked = asked_for(&read(path));
        if asked.iter().any(|(name, words)| names_crypto(name) || words.iter().any(|word| names_crypto(word)))
        {
            naming.push(path.as_str());
        }
    }
    assert_eq!(naming, ["crates/crypto/Cargo.toml"]);
    // The workspace sets the library's version; the tests' certificates use it too.
    let named: Vec<String> = asked_for(&read("Cargo.toml"))
        .into_iter()
        .filter(|(name, words)| names_crypto(name) || words.iter().any(|word| names_crypto(word)))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(named, ["aws-lc-rs", "rcgen"]);
    for name in SHIPPED {
        assert!(!shipped_dependencies(name).contains("rcgen"), "{name}: for tests only");
    }
}

#[test]
fn a_crypto_library_is_found_under_any_name() {
    let found = |text: &str| {
        let asked = asked_for(&text.parse().unwrap());
        asked.iter().any(|(name, words)| names_crypto(name) || words.iter().any(|word| names_crypto(word)))
    };
    for text in [
        "[dependencies]\naws-lc-rs = \"1\"",
        "[dependencies]\naws-lc-rs.workspace = true",
        "[dependencies]\nhash = { package = \"sha2\", version = \"1\" }",
        "[dependencies]\nhash = { path = \"../../ring\" }",
        "[dev-dependencies]\nring = \"1\"",
        "[dependencies.openssl-sys]\nversion = \"1\"",
        "[target.'cfg(unix)'.dependencies]\nboring = \"1\"",
        "[workspace.dependencies]\nrustls = { version = \"1\", features = [\"std\", \"aws_lc_rs\"] }",
    ] {
        assert!(found(text), "{text}");
    }
    assert!(!found("[dependencies]\ntracing = \"1\"\nrustls = { version = \"1\", features = [\"std\"] }"));
}

/// The packages that a crate is built with, under their own names even if it renames them.
fn shipped_dependencies(name: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join(format!("crates/{name}/Cargo.toml"))).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let tables =
        ["dependencies", "build-dependencies"].into_iter().filter_map(|kind| manifest.get(kind)?.as_table());
    let platforms = manifest.get("target").and_then(toml::Value::as_table).into_iter().flatten();
    let of_platforms = platforms.filter_map(|(_, table)| table.get("dependencies")?.as_table());
    let package = |(key, value): (&String, &toml::Value)| {
        value.get("package").and_then(toml::Value::as_str).unwrap_or(key).to_owned()
    };
    tables.chain(of_platforms).flat_map(|table| table.iter().map(package)).collect()
}

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
    assert_eq!((count("unsafe {"), count("// SAFETY:")), (7, 7), "each call is argued");
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
            assert!(path.ends_with("tidy.rs") || !text.contains(word), "{path}: {word}");
        }
    }
}

/// Events of the loop are facts, which `daemon/observe.rs` turns into log lines; only set-up logs by itself.
#[test]
fn the_loop_logs_by_facts_alone() {
    const SET_UP: [&str; 8] = [
        "endpoints.rs",
        "life.rs",
        "opening.rs",
        "prepare.rs",
        "recover.rs",
        "run.rs",
        "set_up.rs",
        "supervisor.rs",
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
        "docs/OPERATIONS.md",
        "docs/PACKAGES.md",
        "docs/RELIABILITY.md",
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
    use conductor_core::limits::{ARMED_MAX, HELD_BYTES_MAX, Memory, PARKED_MAX, SIGHTED_MAX, TAKEN_MAX};
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
        format!("The first {ARMED_MAX} waiting intents"),
    ] {
        assert!(page.contains(&sentence), "docs/ARCHITECTURE.md does not say '{sentence}'");
    }
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

#[test]
fn every_dependency_has_a_reason() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let page = std::fs::read_to_string(root().join("docs/DEPENDENCIES.md")).unwrap();
    let section = manifest.split("[workspace.dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    for line in section.lines().filter(|line| line.contains(" = ") && !line.contains("path = ")) {
        let name = line.split(" = ").next().unwrap();
        assert!(line.contains("default-features = false"), "{name}: default features are off");
        assert!(page.contains(&format!("| {name} |")), "docs/DEPENDENCIES.md says nothing of {name}");
    }
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
