//! What the manifests may name: a pure core, crates that point one way, one library of cryptography, a reason for each dependency.

use super::repository::{root, sources};
use std::collections::BTreeSet;

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
        (
            "os",
            ["conductor-core", "conductor-crypto", "conductor-evidence", "conductor-porch", "conductor-loop"]
                .as_slice(),
        ),
        (
            "core",
            &["conductor-os", "conductor-crypto", "conductor-evidence", "conductor-porch", "conductor-loop"],
        ),
        ("crypto", &["conductor-os", "conductor-evidence", "conductor-porch", "conductor-loop"]),
        ("evidence", &["conductor-porch", "conductor-loop"]),
        ("porch", &["conductor-evidence", "conductor-loop"]),
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
pub(super) const SHIPPED: [&str; 6] = ["core", "os", "crypto", "evidence", "porch", "conductor-loop"];

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
    // The workspace sets the library's version; the tests' certificates use it too, and others judge it.
    let named: Vec<String> = asked_for(&read("Cargo.toml"))
        .into_iter()
        .filter(|(name, words)| names_crypto(name) || words.iter().any(|word| names_crypto(word)))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(named, ["aws-lc-rs", "ed25519-dalek", "rcgen", "sha2"]);
    for name in SHIPPED {
        let shipped = shipped_dependencies(name);
        for tests_only in ["ed25519-dalek", "rcgen", "sha2"] {
            assert!(!shipped.contains(tests_only), "{name}: {tests_only} is for tests only");
        }
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
