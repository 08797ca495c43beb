//! The parent of a commit: the branch, or the configured start of a new branch, never another root beside existing commits.

use crate::git::{commits, committed, git, shim, try_git};
use crate::has;
use crate::shop::Shop;
use crate::worktrees::porch;
use std::fs;

/// Refs of a repository, to check that none has moved.
fn refs(shop: &Shop, dir: &str) -> String {
    git(shop, dir, &["for-each-ref"])
}

#[test]
fn without_a_branch_given_it_is_the_one_of_head() {
    for (bare, init) in [(false, "repo"), (true, "bare.git")] {
        let Some(shop) = committed() else { return };
        git(&shop, "repo", &["branch", "-m", "main", "trunk"]);
        if bare {
            git(&shop, ".", &["clone", "-q", "--bare", "repo", "bare.git"]);
        }
        let line = porch(&shop, 5, &["--git", init]).line();
        assert_eq!((line["branch"].as_str(), line["replicas"]["from"].as_u64()), (Some("trunk"), Some(2)));
        assert_eq!(git(&shop, init, &["for-each-ref", "--format=%(refname)"]), "refs/heads/trunk");
    }
    let Some(shop) = committed() else { return };
    git(&shop, "repo", &["checkout", "-q", "--detach"]);
    porch(&shop, 5, &["--git", "repo"]).refused(74, "HEAD leads to no branch");
}

#[test]
fn a_branch_that_is_not_there_is_refused_with_those_that_are() {
    let Some(shop) = committed() else { return };
    git(&shop, "repo", &["branch", "other"]);
    let before = [refs(&shop, "repo"), refs(&shop, "remote.git")];
    for more in [&[][..], &["--dry-run"]] {
        let local = [&["--git", "repo", "--branch", "mian"][..], more].concat();
        porch(&shop, 5, &local).refused(74, "there is no branch mian (there is: main, other)");
        let pushed = [&["--git", "repo", "--branch", "mian", "--push", "origin"][..], more].concat();
        porch(&shop, 5, &pushed).refused(74, "there is no branch mian on origin (there is: main)");
        let from = [&["--git", "repo", "--branch", "mian", "--from", "amin"][..], more].concat();
        porch(&shop, 5, &from).refused(74, "there is no branch mian or amin");
    }
    // Commits on no branch are commits too.
    for keep in ["tag", "detached"] {
        let place = format!("{keep}-only");
        git(&shop, ".", &["clone", "-q", "remote.git", &place]);
        git(&shop, &place, &["checkout", "-q", "--detach"]);
        git(&shop, &place, &["branch", "-q", "-D", "main"]);
        git(&shop, &place, &["remote", "remove", "origin"]);
        if keep == "tag" {
            git(&shop, &place, &["tag", "one"]);
            git(&shop, &place, &["symbolic-ref", "HEAD", "refs/heads/main"]);
        }
        porch(&shop, 5, &["--git", &place, "--branch", "main"]).refused(74, "there is: no branch");
    }
    assert_eq!([refs(&shop, "repo"), refs(&shop, "remote.git")], before);
}

#[test]
fn a_branch_that_cannot_be_read_is_not_one_that_is_not_there() {
    let Some(shop) = committed() else { return };
    shop.put("repo/.git/refs/heads/main", "");
    porch(&shop, 5, &["--git", "repo", "--branch", "main"]).refused(74, "refs/heads/main");
    assert_eq!(shop.read("repo/.git/refs/heads/main"), "");
}

#[test]
fn a_review_branch_begins_where_the_operator_says() {
    for from in ["HEAD", "main"] {
        let Some(shop) = committed() else { return };
        let main = git(&shop, "repo", &["rev-parse", "main"]);
        let flags = ["--git", "repo", "--branch", "scale/web", "--from", from];
        let line = porch(&shop, 5, &flags).line();
        assert!(line["note"].as_str().unwrap().contains("was not there; it begins at"), "{line}");
        assert_eq!(git(&shop, "repo", &["rev-parse", "scale/web~"]), main, "{from}");
        assert_eq!(git(&shop, "repo", &["rev-parse", "main"]), main);
        let more = porch(&shop, 6, &flags).line();
        assert_eq!((more.get("note"), more["replicas"]["from"].as_u64()), (None, Some(5)));

        // The remote's main is ahead of the local one.
        let Some(shop) = committed() else { return };
        git(&shop, ".", &["clone", "-q", "remote.git", "other"]);
        shop.put("other/shop/web/more.yaml", "# more\n");
        git(&shop, "other", &["add", "."]);
        git(&shop, "other", &["commit", "-q", "-m", "More"]);
        git(&shop, "other", &["push", "-q", "origin", "main"]);
        let flags = [&flags[..], &["--push", "origin"]].concat();
        let diff = porch(&shop, 5, &[&flags[..], &["--dry-run"]].concat()).expect(0).stdout;
        assert!(diff.contains("+  replicas: 5"), "{diff}");
        let line = porch(&shop, 5, &flags).line();
        assert!(line["note"].as_str().unwrap().contains("it begins at"), "{line}");
        let main = git(&shop, "remote.git", &["rev-parse", "main"]);
        assert_eq!(git(&shop, "remote.git", &["rev-parse", "scale/web~"]), main, "{from}");
        // Without a change, no note and no branch.
        porch(&shop, 2, &["--git", "repo", "--branch", "x/y", "--from", from, "--push", "origin"]).line();
        assert!(!refs(&shop, "remote.git").contains("x/y"));
    }
}

#[test]
fn a_remote_without_a_commit_gets_what_is_here() {
    let Some(shop) = committed() else { return };
    git(&shop, ".", &["init", "-q", "--bare", "-b", "main", "empty.git"]);
    git(&shop, "repo", &["remote", "set-url", "origin", "../empty.git"]);
    porch(&shop, 5, &["--git", "repo", "--push", "origin"]).line();
    assert_eq!(git(&shop, "empty.git", &["log", "--format=%s", "main"]), "Scale shop/web from 2 to 5\nBegin");
    git(&shop, ".", &["init", "-q", "--bare", "-b", "main", "none.git"]);
    git(&shop, ".", &["clone", "-q", "none.git", "clone"]);
    let line = porch(&shop, 5, &["--git", "clone", "--push", "origin"]).line();
    assert_eq!((line["branch"].as_str(), commits(&shop, "none.git")), (Some("main"), 1));
}

#[test]
fn a_local_branch_that_the_remote_has_not_is_pushed_with_what_it_is() {
    let Some(shop) = committed() else { return };
    git(&shop, "repo", &["branch", "scale/web"]);
    let line = porch(&shop, 5, &["--git", "repo", "--branch", "scale/web", "--push", "origin"]).line();
    assert!(line["note"].as_str().unwrap().contains("begins at the local"), "{line}");
    assert_eq!(git(&shop, "remote.git", &["rev-list", "--count", "scale/web"]), "2");
}

#[test]
fn repositories_of_the_other_hash_work_from_the_first_commit_on() {
    if !has("git") {
        return;
    }
    let shop = Shop::empty();
    for (name, more) in [("work", &[][..]), ("bare.git", &["--bare"])] {
        let words = [&["init", "-q", "-b", "main", "--object-format=sha256"][..], more, &[name]].concat();
        if !try_git(&shop, ".", &words).status.success() {
            eprintln!("NOT TESTED: this git makes no repository with SHA-256");
            return;
        }
        for replicas in [4, 5] {
            let line = porch(&shop, replicas, &["--git", name]).line();
            assert_eq!(line["commit"].as_str().map(str::len), Some(64));
        }
        assert_eq!(
            (commits(&shop, name), git(&shop, name, &["fsck", "--strict", "--no-dangling"])),
            (2, String::new())
        );
    }
    assert_eq!(git(&shop, "work", &["status", "--porcelain"]), "");
}

#[test]
fn a_work_tree_that_is_gone_stops_nothing() {
    let Some(shop) = committed() else { return };
    git(&shop, "repo", &["checkout", "-q", "--detach"]);
    git(&shop, "repo", &["worktree", "add", "-q", "../gone", "main"]);
    fs::remove_dir_all(shop.path("gone")).unwrap();
    porch(&shop, 5, &["--git", "repo", "--branch", "main"]).line();
    // Another directory is there now.
    shop.put("gone/mine.txt", "mine");
    porch(&shop, 6, &["--git", "repo", "--branch", "main"]).line();
    assert_eq!((commits(&shop, "repo"), shop.read("gone/mine.txt").as_str()), (3, "mine"));
}

#[test]
fn a_ref_of_the_remote_that_only_ends_like_the_branch_is_not_it() {
    let Some(shop) = committed() else { return };
    let tip = git(&shop, "remote.git", &["rev-parse", "main"]);
    git(&shop, "remote.git", &["update-ref", "refs/x/refs/heads/rel", &tip]);
    let flags = ["--git", "repo", "--push", "origin", "--branch", "rel"];
    porch(&shop, 5, &flags).refused(74, "there is no branch rel on origin");
    porch(&shop, 5, &[&flags[..], &["--from", "main"]].concat()).line();
    assert_eq!(git(&shop, "remote.git", &["rev-parse", "refs/heads/rel~"]), tip);
    // A ref that makes every push of that branch fail is for the remote's owner to remove.
    git(&shop, "remote.git", &["update-ref", "refs/heads/refs/heads/main", &tip]);
    porch(&shop, 5, &["--git", "repo", "--push", "origin"]).refused(74, "matches more than one");
}

#[test]
fn a_plan_shows_what_the_remote_has_and_writes_nothing() {
    let Some(shop) = committed() else { return };
    git(&shop, ".", &["clone", "-q", "remote.git", "other"]);
    let text = shop.read("other/shop/web/deployment.yaml").replace("replicas: 2 ", "replicas: 4 ");
    shop.put("other/shop/web/deployment.yaml", text);
    git(&shop, "other", &["commit", "-q", "-a", "-m", "Four"]);
    git(&shop, "other", &["push", "-q", "origin", "main"]);
    let before = shop.tree("repo");
    let scratch = shop.path("scratch");
    fs::create_dir(&scratch).unwrap();
    let mut command = shop.command(&shop.intent(5), &["--git", "repo", "--push", "origin", "--dry-run"]);
    let diff = crate::shop::Run::of(&command.env("TMPDIR", &scratch).output().unwrap()).expect(0).stdout;
    assert!(diff.contains("-  replicas: 4 ") && diff.contains("+  replicas: 5 "), "{diff}");
    assert_eq!(shop.tree("repo"), before);
    assert!(fs::read_dir(scratch).unwrap().next().is_none(), "nothing is left");
}

#[test]
fn what_is_pushed_is_read_where_it_is_pushed() {
    let Some(shop) = committed() else { return };
    git(&shop, ".", &["clone", "-q", "--bare", "repo", "write.git"]);
    git(&shop, "repo", &["config", "remote.origin.pushurl", "../write.git"]);
    for replicas in [5, 6, 7] {
        let line = porch(&shop, replicas, &["--git", "repo", "--push", "origin"]).line();
        assert_eq!(line.get("note"), None);
    }
    assert_eq!((commits(&shop, "write.git"), commits(&shop, "remote.git")), (4, 1));
    git(&shop, "repo", &["config", "--add", "remote.origin.pushurl", "../remote.git"]);
    porch(&shop, 8, &["--git", "repo", "--push", "origin"]).refused(74, "has 2 addresses");
}

#[test]
fn settings_of_the_repository_do_not_change_what_is_pushed_or_read() {
    let Some(shop) = committed() else { return };
    git(&shop, "repo", &["tag", "-a", "-m", "Mine", "mine"]);
    for (key, value) in [
        ("push.followTags", "true"),
        ("push.recurseSubmodules", "on-demand"),
        ("remote.origin.mirror", "true"),
        ("remote.origin.fetch", "+refs/*:refs/*"),
        ("fetch.prune", "true"),
        ("merge.verifySignatures", "true"),
        ("i18n.commitEncoding", "UTF-16"),
        ("color.ui", "always"),
        ("log.showSignature", "true"),
    ] {
        git(&shop, "repo", &["config", key, value]);
    }
    git(&shop, "repo", &["branch", "mine-alone"]);
    let tip = git(&shop, "repo", &["rev-parse", "main"]);
    let tree = git(&shop, "repo", &["rev-parse", "main^{tree}"]);
    let other = git(&shop, "repo", &["commit-tree", &tree, "-m", "Other"]);
    git(&shop, "repo", &["replace", &tip, &other]);
    porch(&shop, 5, &["--git", "repo", "--push", "origin"]).line();
    assert_eq!(git(&shop, "remote.git", &["for-each-ref", "--format=%(refname)"]), "refs/heads/main");
    let log = git(&shop, "remote.git", &["log", "--format=%s%e", "main"]);
    assert_eq!(log, "Scale shop/web from 2 to 5\nBegin");
    assert!(refs(&shop, "repo").contains("refs/heads/mine-alone"));
}

#[test]
fn a_branch_that_keeps_moving_is_come_up_with() {
    let Some(shop) = committed() else { return };
    // Another process commits to it before each of our first twelve attempts to move it.
    let remote = shop.path("remote.git").display().to_string();
    let count = shop.path("count").display().to_string();
    let race = format!(
        "echo x >>{count}; [ $(wc -l <{count}) -gt 12 ] || git -C {remote} update-ref refs/heads/main $(git -C {remote} -c \
         user.name=o -c user.email=o@o commit-tree -p main -m More main^{{tree}})"
    );
    let mut command = shop.command(&shop.intent(5), &["--git", "remote.git"]);
    command.env("PATH", shim(&shop, "update-ref", &race));
    crate::shop::Run::of(&command.output().unwrap()).line();
    assert_eq!(commits(&shop, "remote.git"), 14);
}
