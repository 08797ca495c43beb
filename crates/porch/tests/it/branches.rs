//! Git's own checkout releases the index of a work tree before it writes HEAD: a branch change may do the first before an
//! intent is committed and the second during the commit, or after it.

use crate::git::{committed, git, shim};
use crate::shop::{Run, Shop};
use crate::worktrees::{FILE, clean, porch};

/// The second half of a checkout, before a step of git.
fn while_head_becomes(shop: &Shop, branch: &str, step: &str, then: &str) -> Run {
    let repo = shop.path("repo").display().to_string();
    let head = format!("git -C {repo} symbolic-ref HEAD refs/heads/{branch}; {then}");
    let mut command = shop.command(&shop.intent(5), &["--git", "repo", "--branch", "main"]);
    command.env("PATH", shim(shop, step, &head));
    Run::of(&command.output().unwrap())
}

#[track_caller]
fn shows(shop: &Shop, branch: &str, replicas: u32) {
    clean(shop, "repo");
    assert_eq!(git(shop, "repo", &["symbolic-ref", "--short", "HEAD"]), branch);
    assert!(shop.read(&format!("repo/{FILE}")).contains(&format!("replicas: {replicas} ")), "{replicas}");
}

#[test]
fn a_checkout_that_writes_head_late_takes_no_change_along() {
    for step in ["-u --no-recurse-submodules -n", "-u --no-recurse-submodules", "update-ref"] {
        let Some(shop) = committed() else { return };
        git(&shop, "repo", &["branch", "other"]);
        let line = while_head_becomes(&shop, "other", step, ":").line();
        assert_eq!(line.get("note"), None, "{step}");
        assert_eq!(line["commit"].as_str(), Some(git(&shop, "repo", &["rev-parse", "main"]).as_str()));
        shows(&shop, "other", 2);
        git(&shop, "repo", &["checkout", "-q", "main"]);
        shows(&shop, "main", 5);
    }
}

#[test]
fn a_checkout_that_arrives_late_has_the_change() {
    let Some(shop) = committed() else { return };
    git(&shop, "repo", &["checkout", "-q", "-b", "other"]);
    while_head_becomes(&shop, "main", "update-ref", ":").line();
    shows(&shop, "main", 5);
}

#[test]
fn a_kill_while_somebody_leaves_the_branch_is_put_right() {
    for step in ["-u --no-recurse-submodules", "update-ref"] {
        let Some(shop) = committed() else { return };
        git(&shop, "repo", &["branch", "other"]);
        let real = if step == "update-ref" { "" } else { "git \"$@\";" };
        while_head_becomes(&shop, "other", step, &format!("{real} kill -9 $$ $PPID")).expect(-1);
        porch(&shop, 7, &["--git", "repo", "--branch", "main"]).line();
        shows(&shop, "other", 2);
    }
}

#[test]
fn an_intent_waits_for_somebody_who_leaves_the_branch() {
    let Some(shop) = committed() else { return };
    git(&shop, "repo", &["checkout", "-q", "-b", "other"]);
    shop.put(&format!("repo/{FILE}"), shop.read(&format!("repo/{FILE}")).replace("1.4.2", "1.5.0"));
    git(&shop, "repo", &["commit", "-q", "-a", "-m", "Other"]);
    // Files and index belong to the other branch; HEAD follows.
    git(&shop, "repo", &["symbolic-ref", "HEAD", "refs/heads/main"]);
    let run = while_head_becomes(&shop, "other", "-u --no-recurse-submodules", ":");
    run.refused(75, "another process changes branches in");
    porch(&shop, 5, &["--git", "repo", "--branch", "main"]).line();
    shows(&shop, "other", 2);
}

#[test]
fn what_takes_a_success_back_is_named_with_its_remedy() {
    let Some(shop) = committed() else { return };
    porch(&shop, 5, &["--git", "repo"]).line();
    // The leftover of a checkout that slept during the commit.
    git(&shop, "repo", &["restore", "--source=HEAD~", "--staged", "--worktree", "--", FILE]);
    let commit = git(&shop, "repo", &["rev-parse", "--short", "main"]);
    let staged = git(&shop, "repo", &["diff", "--cached"]);
    let run = porch(&shop, 7, &["--git", "repo"]).expect(74);
    assert!(run.stderr.contains(&format!("{FILE} is staged in ")), "{}", run.stderr);
    assert!(run.stderr.contains(&format!("as it was before {commit}")), "{}", run.stderr);
    assert_eq!(git(&shop, "repo", &["diff", "--cached"]), staged, "it may be somebody's");
    let (_, remedy) = run.stderr.split_once("with 'git -C ").unwrap();
    let remedy = remedy.split_once("with 'git -C ").unwrap().1.split_once('\'').unwrap().0;
    let words: Vec<&str> = remedy.split(' ').collect();
    git(&shop, words[0], &words[1..]);
    porch(&shop, 7, &["--git", "repo"]).line();
    shows(&shop, "main", 7);
}

#[test]
fn what_somebody_has_staged_is_named_and_stays() {
    let Some(shop) = committed() else { return };
    let mine = shop.read(&format!("repo/{FILE}")).replace("1.4.2", "1.5.0");
    shop.put(&format!("repo/{FILE}"), &mine);
    git(&shop, "repo", &["add", FILE]);
    let run = porch(&shop, 7, &["--git", "repo"]).expect(74);
    assert!(run.stderr.contains("with changes of its own"), "{}", run.stderr);
    assert_eq!(shop.read(&format!("repo/{FILE}")), mine);
    assert_eq!(git(&shop, "repo", &["status", "--porcelain"]), format!("M  {FILE}"));
}
