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
    // Nor is a repository without a branch that can be read one without a commit.
    git(&shop, ".", &["init", "-q", "-b", "main", "new"]);
    shop.put("new/.git/refs/heads/other", "");
    porch(&shop, 5, &["--git", "new"]).refused(74, "there is no branch main (there is: no branch)");
    // Another ref that cannot be read does not matter where the branch is there.
    shop.put("remote.git/refs/conductor-loop/base", "");
    porch(&shop, 5, &["--git", "remote.git"]).line();
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
        assert!(line["note"].as_str().unwrap().contains("it begins at main ("), "{line}");
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
    // The address for pushes may also come from a rule for all of them.
    git(&shop, "repo", &["config", "--unset-all", "remote.origin.pushurl"]);
    git(&shop, "repo", &["config", "url.../write.git.pushInsteadOf", "../remote.git"]);
    for replicas in [8, 9] {
        porch(&shop, replicas, &["--git", "repo", "--push", "origin"]).line();
    }
    assert_eq!((commits(&shop, "write.git"), commits(&shop, "remote.git")), (6, 1));
    // An address is not looked up as a name.
    porch(&shop, 10, &["--git", "repo", "--push", "../write.git"]).line();
    assert_eq!(commits(&shop, "write.git"), 7);
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

#[test]
fn a_branch_that_leads_to_no_commit_is_named_and_stays() {
    let Some(shop) = committed() else { return };
    let tree = git(&shop, "remote.git", &["rev-parse", "main^{tree}"]);
    for name in ["packed-refs", "refs/heads/main"] {
        let _ = fs::remove_file(shop.path(&format!("remote.git/{name}")));
    }
    shop.put("remote.git/refs/heads/main", format!("{tree}\n"));
    porch(&shop, 5, &["--git", "remote.git"]).refused(74, "refs/heads/main leads to a tree, not to a commit");
    assert_eq!(shop.read("remote.git/refs/heads/main").trim_end(), tree);
}

#[test]
fn of_many_branches_ten_are_named_and_the_rest_counted() {
    let Some(shop) = committed() else { return };
    for number in 0..9 {
        git(&shop, "repo", &["branch", &format!("b{number}")]);
    }
    let flags = ["--git", "repo", "--branch", "mian"];
    porch(&shop, 5, &flags).refused(74, "b7, b8, main); name one of those");
    git(&shop, "repo", &["branch", "next"]);
    git(&shop, "repo", &["branch", "other"]);
    porch(&shop, 5, &flags).refused(74, "b7, b8, main, 2 more); name one of those");
}

#[test]
fn a_submodule_s_checkout_and_a_work_tree_s_own_directory_are_repositories() {
    let Some(shop) = committed() else { return };
    // The checkout of a submodule follows, though git names another place for it.
    git(&shop, ".", &["init", "-q", "-b", "main", "super"]);
    let address = shop.path("remote.git").display().to_string();
    let words = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &address, "sub"];
    git(&shop, "super", &words);
    let line = porch(&shop, 5, &["--git", "super/sub"]).line();
    assert_eq!(line["commit"].as_str(), Some(git(&shop, "super/sub", &["rev-parse", "main"]).as_str()));
    assert_eq!(git(&shop, "super/sub", &["status", "--porcelain"]), "");
    assert!(shop.read("super/sub/shop/web/deployment.yaml").contains("replicas: 5 "));
    // What is ignored there is in the way there.
    shop.put("super/.git/modules/sub/info/exclude", "*-scaling\n");
    shop.put("super/sub/shop/api-scaling/README.md", "mine");
    let run = shop.command(&shop.intent_for("api", 3, ""), &["--git", "super/sub"]).output().unwrap();
    crate::shop::Run::of(&run).refused(74, "it is not overwritten");
    assert_eq!(shop.read("super/sub/shop/api-scaling/README.md"), "mine");
    // The branch of a linked work tree, by the directory where git keeps its HEAD.
    git(&shop, "repo", &["worktree", "add", "-q", "../one", "-b", "one"]);
    let line = porch(&shop, 7, &["--git", "repo/.git/worktrees/one"]).line();
    assert_eq!(line["branch"], "one");
    assert_eq!(git(&shop, "one", &["status", "--porcelain"]), "");
    assert!(shop.read("one/shop/web/deployment.yaml").contains("replicas: 7 "));
}

#[test]
fn a_leftover_of_the_name_of_a_plan_s_own_directory_is_passed_over() {
    let Some(shop) = committed() else { return };
    git(&shop, ".", &["clone", "-q", "remote.git", "other"]);
    git(&shop, "other", &["commit", "-q", "--allow-empty", "-m", "More"]);
    git(&shop, "other", &["push", "-q", "origin", "main"]);
    let script =
        "mkdir -p scratch/conductor-loop-plan-$$-0/mine; export TMPDIR=$PWD/scratch; exec \"$0\" \"$@\"";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_porch"), "-intent"]).arg(shop.intent(5));
    command.args(["--git", "repo", "--push", "origin", "--dry-run"]).current_dir(shop.path("."));
    let run = crate::shop::Run::of(&command.env("HOME", shop.path(".")).output().unwrap()).expect(0);
    assert!(run.stdout.contains("+  replicas: 5 "), "{}", run.stdout);
    let left: Vec<_> =
        fs::read_dir(shop.path("scratch")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.len() == 1 && left[0].join("mine").is_dir(), "{left:?}");
}

#[test]
fn a_mount_point_without_its_repository_is_none_of_the_repository_around_it() {
    let Some(shop) = committed() else { return };
    fs::create_dir(shop.path("repo/mounted")).unwrap();
    for more in [&[][..], &["--dry-run"]] {
        let flags = [&["--git", "repo/mounted"][..], more].concat();
        porch(&shop, 5, &flags).refused(74, "it is an empty directory; mount the repository there");
    }
    assert_eq!(commits(&shop, "repo"), 1);
    // What git says of a place that is in no repository is what is told.
    porch(&shop, 5, &["--git", "out"]).expect(74);
    shop.put("plain/file", "x");
    porch(&shop, 5, &["--git", "plain"]).refused(74, "not a git repository");
}

#[test]
fn what_git_says_of_head_is_told_and_a_warning_stops_nothing() {
    let Some(shop) = committed() else { return };
    git(&shop, "repo", &["checkout", "-q", "--detach"]);
    let with = |before: &str| {
        let mut command = shop.command(&shop.intent(5), &["--git", "repo"]);
        command.env("PATH", shim(&shop, "symbolic-ref", ":"));
        let text = shop.read("shim/git").replace("(PATH=${PATH#*:}; :)", before);
        shop.script("shim/git", &text);
        crate::shop::Run::of(&command.output().unwrap())
    };
    with("echo 'fatal: HEAD is odd' >&2; exit 128").refused(74, "HEAD is odd");
    // A link, as git made it once, is only read by git.
    git(&shop, "repo", &["checkout", "-q", "main"]);
    fs::remove_file(shop.path("repo/.git/HEAD")).unwrap();
    std::os::unix::fs::symlink("refs/heads/main", shop.path("repo/.git/HEAD")).unwrap();
    assert_eq!(with("echo 'warning: HEAD is a link' >&2").line()["branch"], "main");
}
