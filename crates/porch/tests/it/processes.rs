//! How many programs one intent starts: each costs more than all the rest of the work.

use crate::git::{committed, git};
use crate::shop::{Run, Shop};
use std::path::Path;
use std::process::Command;

/// The steps of git that one run of `porch` starts, in order.
fn steps(shop: &Shop, intent: &Path, flags: &[&str]) -> Vec<String> {
    let real = Command::new("sh").args(["-c", "command -v git"]).output().unwrap().stdout;
    let real = String::from_utf8(real).unwrap();
    let noted = shop.path("steps");
    let text = format!(
        "#!/bin/sh\nfor word; do case $word in -C) skip=1 ;; -c) skip=1 ;; *) [ \"$skip\" ] && skip= || \
         {{ echo $word >>{}; break; }} ;; esac; done\nexec {} \"$@\"\n",
        noted.display(),
        real.trim()
    );
    shop.script("count/git", &text);
    std::fs::remove_file(&noted).ok();
    let mut command = shop.command(intent, flags);
    let path = format!("{}:{}", shop.path("count").display(), std::env::var("PATH").unwrap());
    assert_eq!(Run::of(&command.env("PATH", path).output().unwrap()).line()["changed"], true);
    shop.read("steps").lines().map(ToOwned::to_owned).collect()
}

const READ: [&str; 3] = ["config", "for-each-ref", "cat-file"];
const MADE: [&str; 3] = ["hash-object", "mktree", "commit-tree"];

#[test]
fn an_intent_starts_no_more_programs_than_it_needs() {
    let Some(shop) = committed() else { return };
    let bare = [&READ[..], &MADE, &["update-ref"]].concat();
    assert_eq!(steps(&shop, &shop.intent(5), &["--git", "remote.git"]), bare);
    let moved = ["worktree", "read-tree", "read-tree", "update-ref", "worktree"];
    let tree = [&READ[..], &MADE, &moved].concat();
    git(&shop, "repo", &["pull", "-q", "origin", "main"]);
    assert_eq!(steps(&shop, &shop.intent(6), &["--git", "repo"]), tree);
    // A large repository is not listed: what is asked for is read.
    for number in 0..500 {
        shop.put(&format!("repo/other/{number}/file.txt"), number.to_string());
    }
    git(&shop, "repo", &["add", "."]);
    git(&shop, "repo", &["commit", "-q", "-m", "Much"]);
    assert_eq!(steps(&shop, &shop.intent(7), &["--git", "repo"]), tree);
}

#[test]
fn a_push_asks_the_remote_once_and_fetches_only_what_is_not_here() {
    let Some(shop) = committed() else { return };
    git(&shop, ".", &["clone", "-q", "--bare", "repo", "bare.git"]);
    git(&shop, "bare.git", &["remote", "set-url", "origin", &shop.path("remote.git").display().to_string()]);
    let flags = ["--git", "bare.git", "--push", "origin"];
    let pushed = |fetch: &[&'static str]| {
        let asked = [&["config", "for-each-ref", "ls-remote"][..], fetch, &["cat-file"]].concat();
        [&asked[..], &MADE, &["push", "for-each-ref", "update-ref"]].concat()
    };
    assert_eq!(steps(&shop, &shop.intent(5), &flags), pushed(&[]));
    assert_eq!(steps(&shop, &shop.intent(6), &flags), pushed(&[]));
    git(&shop, ".", &["clone", "-q", "remote.git", "other"]);
    shop.put("other/more.txt", "more");
    git(&shop, "other", &["add", "."]);
    git(&shop, "other", &["commit", "-q", "-m", "More"]);
    git(&shop, "other", &["push", "-q", "origin", "main"]);
    // The local branch is behind, and follows.
    assert_eq!(steps(&shop, &shop.intent(7), &flags)[3..5], ["fetch", "for-each-ref"]);
}
