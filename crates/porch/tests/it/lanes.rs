//! A scheduler's questions to the library: the repository of an order, and whether a failure was only a lock.

use crate::git::{committed, git};
use conductor_core::intent::{Policy, judge};
use conductor_porch::{Engine, Order, Patience, Provenance, Routes, Settings};
use std::path::Path;
use std::time::Duration;

pub(crate) fn order(target: &str, replicas: u32) -> Order {
    let text = format!(
        r#"{{"intent_type":"scaling","target":"{target}","namespace":"shop","replicas":{replicas}}}"#
    );
    let intent = judge(text.as_bytes(), Policy::default()).unwrap();
    Order { intent, provenance: Provenance::default(), came: None }
}

fn engine(table: &str, out: &Path) -> Engine {
    let routes = Routes::from_toml(table.parse().unwrap()).unwrap();
    Engine::new(Settings { routes, ..Settings::new(out) })
}

#[test]
fn all_routes_to_one_repository_lead_to_one_directory() {
    let Some(shop) = committed() else { return };
    git(&shop, "repo", &["worktree", "add", "-q", "-b", "side", "../linked"]);
    std::os::unix::fs::symlink("repo", shop.path("link")).unwrap();
    let at = |name: &str| shop.path(name).display().to_string();
    let names = ["repo", "link", "linked", "repo/shop", "remote.git", "not-there"];
    let mut tables = Vec::new();
    for (n, name) in names.iter().enumerate() {
        let repository = format!("[repository.r{n}]\ngit = \"{}\"\n", at(name));
        tables.push(format!("{repository}[[route]]\ntarget = \"t{n}\"\nrepository = \"r{n}\"\n"));
    }
    let engine = engine(&format!("{}[[route]]\ntarget = \"plain\"\n", tables.concat()), &shop.path("."));
    let place = |target: &str| engine.repository_of(&order(target, 3));
    let shared = shop.path("repo/.git").canonicalize().unwrap();
    for target in ["t0", "t1", "t2", "t3"] {
        assert_eq!(place(target).as_ref(), Some(&shared), "{target}");
    }
    assert_eq!(place("t4"), Some(shop.path("remote.git").canonicalize().unwrap()));
    assert_eq!(place("t5"), Some(shop.path("not-there")), "one that is away still has a lane");
    assert_eq!(place("plain"), None, "a directory");
    assert_eq!(place("nobody"), None, "refused before anything is touched");
}

#[test]
fn a_lock_that_was_waited_for_in_vain_is_told_apart() {
    let Some(shop) = committed() else { return };
    let repository = conductor_porch::Repository::new(shop.path("repo"));
    let engine = Engine::new(Settings { repository: Some(repository), ..Settings::new(shop.path(".")) });
    let patience = Patience::new(Duration::from_millis(20), Duration::from_secs(30));
    let held = std::fs::File::open(shop.path("repo/.git")).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let busy = engine.apply(&order("web", 5), &patience).unwrap_err();
    assert!(busy.is_busy() && busy.is_passing(), "{busy}");
    drop(held);
    std::fs::rename(shop.path("repo"), shop.path("away")).unwrap();
    let gone = engine.apply(&order("web", 5), &patience).unwrap_err();
    assert!(!gone.is_busy(), "{gone}");
}
