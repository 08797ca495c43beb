//! docs/PACKAGES.md is run. `UPDATE_PACKAGES=1 cargo test -p conductor-porch` writes the real output into the page.

use crate::has;
use conductor_testkit::page::{self, shown};
use std::fs;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/PACKAGES.md");
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");

#[test]
fn the_packages_page_shows_what_really_happens() {
    let text = fs::read_to_string(PAGE).unwrap();
    let commands = shown(&text);
    assert!(commands.len() > 15, "the examples are there");
    let directory = tempfile::tempdir().unwrap();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_porch")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let outputs = page::run(&commands, directory.path(), |shell| {
        shell.env("PATH", path).env("EXAMPLES", EXAMPLES).env("HOME", directory.path());
    });
    if std::env::var_os("UPDATE_PACKAGES").is_some() {
        return fs::write(PAGE, page::renewed(&text, &commands, &outputs)).unwrap();
    }
    for (shown, output) in commands.iter().zip(&outputs) {
        let program = shown.command.split(' ').next().unwrap();
        if matches!(program, "git" | "kpt" | "kubectl") && !has(program) {
            continue;
        }
        // Commands on a repository need git too.
        if shown.command.contains("--git ") && !has("git") {
            continue;
        }
        assert_eq!(output, &shown.output, "PACKAGES.md: $ {}", shown.command);
    }
}

#[test]
fn the_manifests_of_the_packages_page_are_well_formed() {
    let text = fs::read_to_string(PAGE).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut names = Vec::new();
    for (number, block) in text.split("```yaml\n").skip(1).enumerate() {
        let name = format!("{number}.yaml");
        fs::write(directory.path().join(&name), block.split("```").next().unwrap()).unwrap();
        names.push(name);
    }
    assert_eq!(names.len(), 3, "Config Sync, Flux, Argo CD");
    let kustomization = format!("resources: [{}]\n", names.join(", "));
    fs::write(directory.path().join("kustomization.yaml"), kustomization).unwrap();
    let rendered = conductor_testkit::render(directory.path()).unwrap();
    for kind in ["RootSync", "GitRepository", "Kustomization", "Application"] {
        assert!(rendered.contains(&format!("kind: {kind}\n")), "{kind}");
    }
}
