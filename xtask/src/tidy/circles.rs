//! Files of a crate that use each other in a circle cannot be read one after the other: there is none.

use super::arrows::is_test_only;
use super::repository::sources;
use std::collections::{BTreeMap, BTreeSet};
use syn::visit::{self, Visit};

/// A module by its path below the crate's root.
type Module = Vec<String>;

/// What a `use` brings into a file.
struct Used {
    path: Vec<String>,
    /// The name that it has there; `None`: all of it is taken, by a glob.
    name: Option<String>,
}

/// All that a `use` brings into a file.
fn uses_of(tree: &syn::UseTree) -> Vec<Used> {
    let one = |there: &syn::Ident, here: &syn::Ident| {
        vec![Used { path: vec![there.to_string()], name: Some(here.to_string()) }]
    };
    match tree {
        syn::UseTree::Path(path) => {
            let mut all = uses_of(&path.tree);
            for used in &mut all {
                used.path.insert(0, path.ident.to_string());
            }
            all
        }
        syn::UseTree::Group(group) => group.items.iter().flat_map(uses_of).collect(),
        syn::UseTree::Name(name) => one(&name.ident, &name.ident),
        syn::UseTree::Rename(name) => one(&name.ident, &name.rename),
        syn::UseTree::Glob(_) => vec![Used { path: Vec::new(), name: None }],
    }
}

/// What the paths of a file begin with, outside its tests: each as far as it may name a module.
#[derive(Default)]
struct Paths(BTreeSet<Vec<String>>);

impl Paths {
    fn of(text: &str) -> Self {
        let mut paths = Self::default();
        paths.visit_file(&syn::parse_file(text).unwrap());
        paths
    }
}

impl<'a> Visit<'a> for Paths {
    fn visit_item_mod(&mut self, module: &'a syn::ItemMod) {
        if !module.attrs.iter().any(is_test_only) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        if !item.attrs.iter().any(is_test_only) {
            self.0.extend(uses_of(&item.tree).into_iter().map(|used| used.path));
        }
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        self.0.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }
}

/// The names that a file has by `use`, with the path of each. What it takes whole by a glob has no name here.
fn names(text: &str) -> BTreeMap<String, Vec<String>> {
    let uses = syn::parse_file(text).unwrap().items.into_iter().filter_map(|item| match item {
        syn::Item::Use(item) if !item.attrs.iter().any(is_test_only) => Some(uses_of(&item.tree)),
        _ => None,
    });
    // `a::{self}` is a module, whose own path the other files write.
    let named = uses.flatten().filter(|used| used.path.last().is_some_and(|last| last != "self"));
    named.filter_map(|used| Some((used.name?, used.path))).collect()
}

/// The module that a file is, by its path below `src`.
fn module_of(path: &str) -> Module {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let mut module: Module = path.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
        module.pop();
    }
    module
}

/// What is known of a crate: its modules, and where the names are that a module has from others.
#[derive(Default)]
struct Crate {
    modules: BTreeSet<Module>,
    borrowed: BTreeMap<(Module, String), Module>,
}

impl Crate {
    fn of(files: &[(Module, &str)]) -> Self {
        let modules = files.iter().map(|(module, _)| module.clone()).collect();
        let mut known = Self { modules, ..Self::default() };
        let uses: Vec<(&Module, BTreeMap<String, Vec<String>>)> =
            files.iter().map(|(module, text)| (module, names(text))).collect();
        // A face may have a name from another face, which has it from a file.
        for _ in 0..9 {
            let mut borrowed = BTreeMap::new();
            for (module, names) in &uses {
                for (name, path) in names {
                    if let Some(module_of_name) = target(module, path, &known) {
                        borrowed.insert(((*module).clone(), name.clone()), module_of_name);
                    }
                }
            }
            if borrowed == known.borrowed {
                return known;
            }
            known.borrowed = borrowed;
        }
        panic!("a name is handed on from face to face without an end");
    }
}

/// The module of the crate that a path in another one leads to. A name that a face has from one of its files leads to that file.
fn target(from: &Module, path: &[String], known: &Crate) -> Option<Module> {
    let mut at = from.clone();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => (at, rest) = (Vec::new(), &path[1..]),
        "self" => rest = &path[1..],
        "super" => {}
        _ if known.modules.contains(&[from.as_slice(), &path[..1]].concat()) => {}
        _ => return None,
    }
    while rest.first().is_some_and(|word| word == "super") {
        at.pop();
        rest = &rest[1..];
    }
    for word in rest {
        at.push(word.clone());
        if !known.modules.contains(&at) {
            at.pop();
            return Some(known.borrowed.get(&(at.clone(), word.clone())).cloned().unwrap_or(at));
        }
    }
    Some(at)
}

/// The modules in files of their own that a file declares for its tests.
fn for_tests(path: &str, text: &str) -> Vec<Module> {
    let is_one = |item: syn::Item| match item {
        syn::Item::Mod(module) if module.attrs.iter().any(is_test_only) => Some(module.ident.to_string()),
        _ => None,
    };
    let named = syn::parse_file(text).unwrap().items.into_iter().filter_map(is_one);
    named.map(|name| [module_of(path), vec![name]].concat()).collect()
}

/// The modules of a circle, if there is one. A folder's face and what is in the folder are one room.
fn circle(files: &[(String, String)]) -> Option<Vec<String>> {
    let tests: Vec<Module> = files.iter().flat_map(|(path, text)| for_tests(path, text)).collect();
    let is_product = |module: &Module| !tests.iter().any(|test| module.starts_with(test));
    let files: Vec<(Module, &str)> = files
        .iter()
        .map(|(path, text)| (module_of(path), text.as_str()))
        .filter(|(module, _)| is_product(module))
        .collect();
    let mut left: BTreeMap<Module, BTreeSet<Module>> =
        files.iter().map(|(module, _)| (module.clone(), BTreeSet::new())).collect();
    let known = Crate::of(&files);
    for (from, text) in files {
        let used =
            Paths::of(text).0.iter().filter_map(|path| target(&from, path, &known)).collect::<Vec<_>>();
        let others = used.into_iter().filter(|to| !to.starts_with(&from) && !from.starts_with(to));
        left.entry(from.clone()).or_default().extend(others.collect::<Vec<_>>());
    }
    // What uses nothing that is left is in no circle.
    loop {
        let free: Vec<Module> =
            left.iter().filter(|(_, used)| used.is_empty()).map(|(module, _)| module.clone()).collect();
        if free.is_empty() {
            break;
        }
        left.retain(|module, _| !free.contains(module));
        for used in left.values_mut() {
            used.retain(|module| !free.contains(module));
        }
    }
    let told: Vec<String> = left
        .iter()
        .map(|(module, used)| {
            let used: Vec<String> = used.iter().map(|module| module.join("::")).collect();
            format!("{} uses {}", module.join("::"), used.join(", "))
        })
        .collect();
    (!told.is_empty()).then_some(told)
}

#[test]
fn a_circle_is_seen_and_what_is_none_is_not() {
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let base = [
        file("lib.rs", "mod a; mod b; mod c;"),
        file("c/mod.rs", "mod d; #[cfg(test)] mod t; use d::D; struct C;"),
    ];
    let with = |more: &[(String, String)]| circle(&[&base[..], more].concat());
    let d = file("c/d.rs", "use super::C; use crate::b::B; struct D;");
    let b = file("b.rs", "struct B; #[cfg(test)] mod tests { use crate::a::A; }");
    let t = file("c/t.rs", "use crate::a::A;");
    assert_eq!(with(&[file("a.rs", "use crate::{b::B, c::D};"), b, d.clone(), t]), None);
    let other = file("a.rs", "fn f() { crate::c::d::g(); }");
    let found = with(&[other, file("b.rs", "use super::a::A;"), d]).unwrap();
    assert_eq!(found, ["a uses c::d", "b uses a", "c::d uses b"]);
}

/// What a face lists comes from a file, and that file is what is used.
#[test]
fn a_circle_through_a_face_is_seen() {
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let with = |d: &str| {
        circle(&[
            file("lib.rs", "mod a; mod c; pub use c::D;"),
            file("c/mod.rs", "mod d; mod e; pub use d::{D, Other as Renamed}; pub use e::E;"),
            file("c/e.rs", "use super::Renamed; struct E;"),
            file("a.rs", "use crate::D; use crate::c::{self, E}; struct A;"),
            file("c/d.rs", d),
        ])
    };
    assert_eq!(with("struct D; struct Other;"), None);
    let found = with("use crate::a::A; struct D; struct Other;").unwrap();
    assert_eq!(found, ["a uses c::d, c::e", "c::d uses a", "c::e uses c::d"]);
}

#[test]
fn no_file_uses_another_in_a_circle() {
    let crates = ["conductor-loop", "core", "crypto", "evidence", "os", "porch", "testkit"];
    for root in crates.map(|name| format!("crates/{name}/src/")).into_iter().chain(["xtask/src/".to_owned()])
    {
        let inside = |(path, text): (String, String)| (path.strip_prefix(&root).unwrap().to_owned(), text);
        let files: Vec<(String, String)> = sources(&[&root]).into_iter().map(inside).collect();
        assert!(files.len() > 5, "{root}");
        let circle = circle(&files);
        assert!(circle.is_none(), "{root}: {circle:#?}");
    }
}
