//! A folder's face, its `mod.rs`, lists what is in the folder and no more: code is found by the name of its file.

use super::repository::sources;
use syn::Item;

/// What stands in a face beside its lists, each item by its keyword and its name.
fn beside_lists(text: &str) -> Vec<String> {
    let lists = |item: &Item| match item {
        Item::Use(_) => true,
        Item::Mod(module) => module.content.is_none(),
        _ => false,
    };
    syn::parse_file(text).unwrap().items.iter().filter(|item| !lists(item)).map(named).collect()
}

fn named(item: &Item) -> String {
    match item {
        Item::Const(item) => format!("const {}", item.ident),
        Item::Enum(item) => format!("enum {}", item.ident),
        Item::Fn(item) => format!("fn {}", item.sig.ident),
        Item::Impl(item) => {
            let last = |path: &syn::Path| path.segments.last().map(|segment| segment.ident.to_string());
            let subject = match &*item.self_ty {
                syn::Type::Path(of) => last(&of.path),
                _ => None,
            };
            format!("impl {}", subject.unwrap_or_default())
        }
        Item::Macro(item) => {
            format!("macro {}", item.ident.as_ref().map(ToString::to_string).unwrap_or_default())
        }
        Item::Mod(item) => format!("the content of mod {}", item.ident),
        Item::Static(item) => format!("static {}", item.ident),
        Item::Struct(item) => format!("struct {}", item.ident),
        Item::Trait(item) => format!("trait {}", item.ident),
        Item::Type(item) => format!("type {}", item.ident),
        _ => "an item of another kind".to_owned(),
    }
}

#[test]
fn what_is_no_list_is_seen_in_a_face() {
    let list = "//! A room.
        #![expect(missing_docs, reason = \"the files have them\")]
        mod a;
        pub mod b;
        #[cfg(test)]
        mod tests;
        use a::Private;
        pub use b::{One, Other};
        pub(crate) use self::a::*;";
    assert_eq!(beside_lists(list), [""; 0]);
    let code = "mod a;
        const N: u8 = 1; static S: u8 = 1; type T = u8;
        struct Item; enum Either { A, B } trait Able {}
        impl Item { fn new() -> Self { Self } } impl Able for &Item {}
        fn f() {}
        macro_rules! m { () => {} }
        mod inside { pub fn g() {} }
        #[cfg(test)] mod tests { #[test] fn t() {} }
        extern crate std;";
    let found = [
        "const N",
        "static S",
        "type T",
        "struct Item",
        "enum Either",
        "trait Able",
        "impl Item",
        "impl ",
        "fn f",
        "macro m",
        "the content of mod inside",
        "the content of mod tests",
        "an item of another kind",
    ];
    assert_eq!(beside_lists(code), found);
}

#[test]
fn a_folders_face_only_lists() {
    let mut faces = 0;
    for (path, text) in sources(&["crates", "xtask/src"]) {
        if path.ends_with("/mod.rs") && path.contains("/src/") {
            faces += 1;
            let found = beside_lists(&text);
            assert!(found.is_empty(), "{path}: {} to files that are named for them", found.join(", "));
        }
    }
    assert!(faces > 20, "{faces}");
}
