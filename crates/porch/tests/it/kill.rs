//! Killed before each of its system calls: what is there afterwards is the old package or the new one, and the next run
//! gets to the end.

use crate::shop::Shop;
use conductor_testkit::{Ended, kill_at};
use std::collections::BTreeMap;

/// Most system calls one run may make; well above what it does, so that a loop is noticed.
const CALLS_MAX: usize = 2_000;

type Files = BTreeMap<String, (u32, Vec<u8>)>;

/// What a reader of packages sees: everything but our unfinished files and empty directories.
fn seen(shop: &Shop, below: &str) -> Files {
    let mut files = shop.tree(below);
    files.retain(|path, _| !path.contains(".porch-tmp"));
    files
}

/// Kills the run at every `step`th of its system calls. `prepare` makes the place; `look` sees it after each kill.
fn kill_everywhere(step: usize, prepare: impl Fn() -> Shop, flags: &[&str], look: impl Fn(&Shop) -> Files) {
    let after_all = prepare();
    after_all.scale(5, flags).line();
    let (old, new) = (look(&prepare()), look(&after_all));
    assert_ne!(old, new);
    for (kills, at) in (1..CALLS_MAX).step_by(step).enumerate() {
        let shop = prepare();
        let all = [&["-out", "out"], flags].concat();
        let Some(ended) = kill_at(&shop.command(&shop.intent(5), &all), at) else {
            eprintln!("NOT TESTED: tracing other processes is not permitted here");
            return;
        };
        let found = look(&shop);
        assert!(found == old || found == new, "killed at {at}: neither old nor new: {:?}", found.keys());
        if ended == Ended::Exited(0) {
            assert_eq!(found, new);
            // Below that the test would have seen nothing of the work.
            assert!(kills * step > 40, "only {kills} system calls");
            return;
        }
        assert_eq!(ended, Ended::Killed, "at {at}");
        shop.scale(5, flags).line();
        assert_eq!(look(&shop), new, "killed at {at}, and run again");
        let left: Vec<String> =
            shop.tree("out").into_keys().filter(|path| path.contains(".porch-tmp")).collect();
        assert!(left.is_empty() || found == new, "killed at {at}, and run again: {left:?} is left");
    }
    panic!("the run does not end within {CALLS_MAX} system calls");
}

#[test]
fn an_edit_is_done_or_not() {
    kill_everywhere(1, Shop::new, &[], |shop| seen(shop, "out"));
}

#[test]
fn a_new_package_is_there_whole_or_not_at_all() {
    kill_everywhere(1, Shop::empty, &[], |shop| seen(shop, "out"));
}

#[test]
fn several_files_change_together() {
    let prepare = || {
        let shop = Shop::empty();
        shop.scale(2, &["-structured"]).line();
        shop
    };
    kill_everywhere(1, prepare, &["-structured", "--kustomize"], |shop| seen(shop, "out"));
}

#[test]
fn a_branch_is_where_it_was_or_where_it_was_to_go() {
    if crate::git::committed().is_none() {
        return;
    }
    let prepare = || {
        let shop = crate::git::committed().unwrap();
        shop.put("out/.keep", "");
        shop
    };
    // What git itself does in between is git's own affair; it is left to end.
    let look = |shop: &Shop| {
        let content = crate::git::git(shop, "remote.git", &["ls-tree", "-r", "main"]);
        Files::from([("main".to_owned(), (0, content.into_bytes()))])
    };
    kill_everywhere(41, prepare, &["--git", "remote.git"], look);
}
