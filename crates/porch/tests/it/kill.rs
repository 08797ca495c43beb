//! Killed before each of its system calls that change something: afterwards either the old package or the new one is
//! there, and the next run completes.

use crate::shop::Shop;
use conductor_testkit::calls::Class;
use conductor_testkit::{Action, at_call};
use std::collections::BTreeMap;

/// The time limit of a run, in seconds.
const SECONDS: u64 = 60;

type Files = BTreeMap<String, (u32, Vec<u8>)>;

/// The view of a package's reader: everything but our unfinished files and empty directories.
fn seen(shop: &Shop, below: &str) -> Files {
    let mut files = shop.tree(below);
    files.retain(|path, _| !path.contains(".porch-tmp"));
    files
}

/// Kills the run before each of its calls that change something. `prepare` makes the place; `look` checks it after each kill.
fn kill_everywhere(prepare: impl Fn() -> Shop, flags: &[&str], look: impl Fn(&Shop) -> Files) {
    // Most calls of a run with git belong to the start of a git; every third is tried.
    let stride = if flags.contains(&"--git") { 3 } else { 1 };
    let after_all = prepare();
    after_all.scale(5, flags).line();
    let (old, new) = (look(&prepare()), look(&after_all));
    assert_ne!(old, new);
    for at in (1..).step_by(stride) {
        let shop = prepare();
        let all = [&["-out", "out"], flags].concat();
        let command = shop.command(&shop.intent(5), &all);
        let Some(report) = at_call(&command, (Class::Change, Action::Kill, at), SECONDS, &shop.path("."))
        else {
            eprintln!("NOT TESTED: tracing other processes is not permitted here");
            return;
        };
        let found = look(&shop);
        assert!(found == old || found == new, "killed at {at}: neither old nor new: {:?}", found.keys());
        let Some(call) = report.at else {
            assert_eq!((report.exit, found == new), (Some(0), true), "{}", report.stderr);
            // With fewer calls the test would have seen nothing of the work.
            assert!(at > 6, "only {at} calls");
            return;
        };
        shop.scale(5, flags).line();
        assert_eq!(look(&shop), new, "killed at {at}, {call}, and run again");
    }
}

#[test]
fn an_edit_is_done_or_not() {
    kill_everywhere(Shop::new, &[], |shop| seen(shop, "out"));
}

#[test]
fn a_new_package_is_there_whole_or_not_at_all() {
    kill_everywhere(Shop::empty, &[], |shop| seen(shop, "out"));
}

#[test]
fn several_files_change_together() {
    let prepare = || {
        let shop = Shop::empty();
        shop.scale(2, &["-structured"]).line();
        shop
    };
    kill_everywhere(prepare, &["-structured", "--kustomize"], |shop| seen(shop, "out"));
}

#[test]
fn a_branch_is_where_it_was_or_where_it_was_to_go() {
    if crate::git::committed().is_none() {
        return;
    }
    let prepare = || crate::git::committed_beside_out().unwrap();
    let look = |shop: &Shop| {
        let content = crate::git::git(shop, "remote.git", &["ls-tree", "-r", "main"]);
        Files::from([("main".to_owned(), (0, content.into_bytes()))])
    };
    kill_everywhere(prepare, &["--git", "remote.git"], look);
}
