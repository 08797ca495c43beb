//! Which module may use which, read from the syntax of every file.

use super::repository::sources;
use std::collections::BTreeSet;
use syn::visit::{self, Visit};

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

pub(super) fn is_test_only(attribute: &syn::Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && matches!(&attribute.meta, syn::Meta::List(list) if list.tokens.to_string() == "test")
}

#[test]
fn arrows_are_read_from_all_forms_of_use() {
    let text = "#[cfg(test)]
        mod tests;
        use crate::{admin as _, intake::{Report, self}};
        use {crate::runner, std::fs};
        fn f() { let x = crate::writer::Writer::new(); assert!(crate::store::same(x)); }
        #[cfg(test)]
        mod inside { use crate::telemetry; }";
    let named: Vec<String> = named_modules(text).into_iter().collect();
    assert_eq!(named, ["admin", "intake", "runner", "store", "writer"]);
}

/// The arrows of docs/ARCHITECTURE.md: each module may name itself and the listed modules.
const ARROWS: &[(&str, &[&str])] = &[
    ("main", &["cli", "intents"]),
    ("cli", &["config", "confinement", "daemon", "commands", "telemetry"]),
    (
        "commands",
        &[
            "backup",
            "config",
            "confinement",
            "daemon",
            "control",
            "queries",
            "keys",
            "store",
            "handoff",
            "writer",
        ],
    ),
    ("config", &[]),
    ("confinement", &["config"]),
    (
        "daemon",
        &[
            "backup",
            "config",
            "confinement",
            "intake",
            "runner",
            "writer",
            "admin",
            "control",
            "queries",
            "telemetry",
            "store",
            "handoff",
            "keys",
            "payload",
        ],
    ),
    ("admin", &[]),
    ("backup", &["store", "handoff", "keys"]),
    ("control", &["handoff"]),
    ("queries", &["store", "handoff", "keys"]),
    ("intake", &["handoff", "payload"]),
    ("runner", &["confinement", "handoff", "payload"]),
    ("writer", &["store", "handoff", "payload"]),
    ("telemetry", &[]),
    ("store", &[]),
    ("handoff", &["config", "keys", "store"]),
    ("keys", &[]),
    ("payload", &[]),
];

/// The same of the package engine.
const PORCH_ARROWS: &[(&str, &[&str])] = &[
    ("main", &["cli", "intents", "result_file"]),
    ("cli", &[]),
    ("intents", &[]),
    ("result_file", &[]),
    ("engine", &["directory", "git", "plan", "outcome", "routes", "order", "tree", "files", "error"]),
    ("git", &["directory", "plan", "order", "tree", "survey", "files", "yaml", "error"]),
    ("directory", &["plan", "tree", "survey", "files", "yaml", "error"]),
    ("outcome", &["plan", "files", "order", "error"]),
    (
        "plan",
        &[
            "choose", "rendered", "world", "objects", "pipeline", "fleet", "template", "routes", "kinds",
            "tree", "survey", "text", "files", "yaml", "order", "error",
        ],
    ),
    (
        "choose",
        &[
            "kustomize",
            "rendered",
            "fleet",
            "world",
            "objects",
            "rules",
            "kinds",
            "survey",
            "text",
            "files",
            "yaml",
            "error",
        ],
    ),
    (
        "kustomize",
        &["patch", "rendered", "rules", "world", "kinds", "glob", "survey", "text", "files", "yaml", "error"],
    ),
    ("pipeline", &["kinds", "tree", "files", "yaml", "error"]),
    ("ytt", &["kinds", "yaml"]),
    ("fleet", &["yaml"]),
    ("patch", &["rendered", "rules", "glob", "kinds", "yaml"]),
    ("rendered", &["objects", "rules", "yaml"]),
    (
        "world",
        &["krmignore", "objects", "kinds", "glob", "tree", "survey", "text", "ytt", "files", "yaml", "error"],
    ),
    ("krmignore", &["files"]),
    ("objects", &["rules", "kinds", "files", "yaml", "error"]),
    ("rules", &["glob", "kinds", "yaml"]),
    ("routes", &["kinds", "glob", "git", "order", "files", "error"]),
    ("template", &["order", "files"]),
    ("tree", &["survey", "files", "error"]),
    ("survey", &["text", "kinds", "files"]),
    ("text", &["kinds", "files"]),
    ("kinds", &["glob", "yaml"]),
    ("order", &["error"]),
    ("error", &[]),
    ("files", &[]),
    ("glob", &[]),
    ("yaml", &[]),
];

#[test]
fn modules_depend_in_one_direction_only() {
    check_arrows("crates/conductor-loop/src", ARROWS);
    check_arrows("crates/porch/src", PORCH_ARROWS);
}

fn check_arrows(root: &str, arrows: &[(&str, &[&str])]) {
    for (path, text) in sources(&[root]) {
        let inside = path.strip_prefix(root).unwrap().trim_start_matches('/');
        let own = inside.split(['/', '.']).next().unwrap();
        if own == "lib" || path.ends_with("tests.rs") {
            continue;
        }
        let allowed =
            arrows.iter().find(|(name, _)| *name == own).unwrap_or_else(|| panic!("{own} is in no arrow")).1;
        for named in named_modules(&text) {
            // Names of the crate's root that are not modules, such as macros, are in no arrow.
            let module = arrows.iter().any(|(name, _)| *name == named);
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
