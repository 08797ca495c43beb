//! Work trees in use while intents are committed: a success is on its branch, no work of a person is overwritten or
//! staged back, and the leftovers of a killed git or a full disk are corrected.

use crate::git::{commits, committed, git, shim, try_git};
use crate::shop::{Run, Shop};
use conductor_testkit::calls::Class;
use conductor_testkit::{Action, at_call};
use rustix::io::Errno;
use serde_json::json;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const WHILE: Duration = Duration::from_secs(2);
pub(crate) const FILE: &str = "shop/web/deployment.yaml";

pub(crate) fn porch(shop: &Shop, replicas: u32, flags: &[&str]) -> Run {
    Run::of(&shop.command(&shop.intent(replicas), flags).output().unwrap())
}

#[track_caller]
pub(crate) fn clean(shop: &Shop, tree: &str) {
    assert_eq!(git(shop, tree, &["status", "--porcelain"]), "", "{tree}");
    let left = shop.tree("repo/.git").into_keys();
    let left: Vec<String> =
        left.filter(|path| path.contains(".lock") || path.starts_with("conductor-loop")).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Repeats `work` as a person would while intents are committed; returns the commits of those that succeeded.
fn while_somebody(shop: &Shop, work: impl Fn(u32) + Sync) -> Vec<String> {
    let (over, some) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (begin, mut turn) = (Instant::now(), 0);
            // A busy machine gets longer, until at least one intent has succeeded.
            while begin.elapsed() < WHILE || (!some.load(Ordering::Acquire) && begin.elapsed() < 10 * WHILE) {
                work(turn);
                turn += 1;
                // A person pauses now and then; the index is not always locked.
                std::thread::sleep(Duration::from_millis(u64::from(turn % 5) * 25));
            }
            over.store(true, Ordering::Release);
        });
        let (mut done, mut replicas, begin) = (Vec::new(), 3, Instant::now());
        while !over.load(Ordering::Acquire) && begin.elapsed() < 10 * WHILE {
            let run = porch(shop, replicas, &["--git", "repo", "--branch", "main"]);
            replicas = 3 + (replicas + 1) % 90;
            if run.code != 75 {
                done.extend(run.line()["commit"].as_str().map(ToOwned::to_owned));
                some.store(!done.is_empty(), Ordering::Release);
            }
        }
        done
    })
}

#[test]
fn a_success_is_on_its_branch_while_somebody_changes_branches() {
    let Some(shop) = committed() else { return };
    git(&shop, "repo", &["branch", "other"]);
    let other = git(&shop, "repo", &["rev-parse", "other"]);
    // A git that finds the index locked is retried.
    let done = while_somebody(&shop, |turn| {
        let branch = if turn % 2 == 0 { "other" } else { "main" };
        let changed = try_git(&shop, "repo", &["checkout", "-q", branch]);
        let said = String::from_utf8_lossy(&changed.stderr).into_owned();
        assert!(changed.status.success() || said.contains(".lock"), "{said}");
    });
    assert!(!done.is_empty());
    for commit in &done {
        git(&shop, "repo", &["merge-base", "--is-ancestor", commit, "main"]);
    }
    assert_eq!(git(&shop, "repo", &["rev-parse", "other"]), other, "nobody committed to it");
    porch(&shop, 99, &["--git", "repo", "--branch", "main"]).line();
    clean(&shop, "repo");
}

#[test]
fn no_commit_of_somebody_takes_a_success_back() {
    let Some(shop) = committed() else { return };
    let done = while_somebody(&shop, |turn| {
        shop.put("repo/mine.txt", turn.to_string());
        // A git that finds the index locked is retried.
        try_git(&shop, "repo", &["add", "mine.txt"]);
        try_git(&shop, "repo", &["commit", "-q", "-a", "-m", "Mine"]);
    });
    assert!(!done.is_empty());
    for commit in &done {
        git(&shop, "repo", &["merge-base", "--is-ancestor", commit, "main"]);
    }
    // Only intents change the file.
    let authors = git(&shop, "repo", &["log", "--format=%an", "main", "--", FILE]);
    assert_eq!(authors.lines().filter(|author| *author != "conductor-loop").count(), 1, "{authors}");
}

#[test]
fn a_file_that_was_only_touched_follows() {
    let Some(shop) = committed() else { return };
    let file = fs::File::open(shop.path(&format!("repo/{FILE}"))).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH + Duration::from_hours(24)).unwrap();
    porch(&shop, 5, &["--git", "repo"]).line();
    clean(&shop, "repo");
}

#[test]
fn a_symbolic_branch_takes_its_work_tree_along() {
    let Some(shop) = committed() else { return };
    git(&shop, "repo", &["checkout", "-q", "-b", "other"]);
    git(&shop, "repo", &["symbolic-ref", "refs/heads/main", "refs/heads/other"]);
    let line = porch(&shop, 5, &["--git", "repo", "--branch", "main"]).line();
    assert_eq!(line["commit"].as_str(), Some(git(&shop, "repo", &["rev-parse", "other"]).as_str()));
    clean(&shop, "repo");
    assert!(shop.read("repo/shop/web/deployment.yaml").contains("replicas: 5 "));
}

#[test]
fn every_linked_work_tree_of_the_branch_follows() {
    let Some(shop) = committed() else { return };
    git(&shop, "repo", &["checkout", "-q", "--detach"]);
    git(&shop, "repo", &["worktree", "add", "-q", "../one", "main"]);
    git(&shop, "repo", &["worktree", "add", "-q", "-f", "../two", "main"]);
    porch(&shop, 5, &["--git", "repo", "--branch", "main"]).line();
    porch(&shop, 6, &["--git", "one"]).line();
    for tree in ["one", "two"] {
        clean(&shop, tree);
        assert!(shop.read(&format!("{tree}/{FILE}")).contains("replicas: 6 "), "{tree}");
    }
    clean(&shop, "repo");
}

#[test]
fn a_linked_work_tree_of_a_bare_repository_follows() {
    let Some(shop) = committed() else { return };
    git(&shop, "remote.git", &["worktree", "add", "-q", "../one", "main"]);
    for (replicas, place) in [(5, "remote.git"), (6, "one")] {
        porch(&shop, replicas, &["--git", place]).line();
        assert_eq!(git(&shop, "one", &["status", "--porcelain"]), "", "{place}");
        assert!(shop.read(&format!("one/{FILE}")).contains(&format!("replicas: {replicas} ")), "{place}");
    }
}

#[test]
fn an_index_that_another_git_has_locked_is_waited_for() {
    let Some(shop) = committed() else { return };
    let (lock, over) = (shop.put("repo/.git/index.lock", ""), AtomicBool::new(false));
    let run = std::thread::scope(|scope| {
        scope.spawn(|| {
            // It is there as long as somebody waits for the lock.
            while !shop.path("repo/.git/conductor-loop.lock").exists() && !over.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
            fs::remove_file(&lock).unwrap();
        });
        let run = porch(&shop, 5, &["--git", "repo"]);
        over.store(true, Ordering::Release);
        run
    });
    run.line();
    clean(&shop, "repo");
}

#[test]
fn where_there_are_no_hard_links_an_index_is_locked_all_the_same() {
    let Some(shop) = committed() else { return };
    for errno in [Errno::PERM, Errno::OPNOTSUPP] {
        let replicas = if errno == Errno::PERM { 5 } else { 6 };
        let command = shop.command(&shop.intent(replicas), &["--git", "repo"]);
        let call = (Class::Named(&["linkat", "link"]), Action::Fail(errno.raw_os_error()), 1);
        let Some(report) = at_call(&command, call, 60, &shop.path(".")) else {
            eprintln!("NOT TESTED: tracing other processes is not permitted here");
            return;
        };
        assert_eq!((report.exit, report.at.is_some()), (Some(0), true), "{errno:?}: {}", report.stderr);
        clean(&shop, "repo");
        assert!(shop.read(&format!("repo/{FILE}")).contains(&format!("replicas: {replicas} ")));
    }
}

#[test]
fn work_trees_behind_links_are_locked_once_and_follow() {
    let Some(shop) = committed() else { return };
    git(&shop, "repo", &["checkout", "-q", "--detach"]);
    git(&shop, "repo", &["worktree", "add", "-q", "../one", "main"]);
    std::os::unix::fs::symlink("repo", shop.path("link")).unwrap();
    let own = shop.path("link/.git/worktrees/one");
    shop.put("one/.git", format!("gitdir: {}\n", own.display()));
    for (replicas, place) in [(5, "one"), (6, "link"), (7, "repo")] {
        porch(&shop, replicas, &["--git", place, "--branch", "main"]).line();
        clean(&shop, "one");
        assert!(shop.read(&format!("one/{FILE}")).contains(&format!("replicas: {replicas} ")), "{place}");
    }
}

#[test]
fn files_that_are_ignored_or_untracked_are_never_overwritten() {
    let cases = [
        ("shop/api-scaling/README.md", "shop/api-scaling/README.md"),
        ("shop/api-scaling/deployment.yaml", "shop/api-scaling/deployment.yaml"),
        ("shop/api-scaling", "shop/api-scaling"),
        ("shop/api-scaling/Kptfile/mine", "shop/api-scaling/Kptfile"),
    ];
    for ignored in ["*-scaling\n", ""] {
        for (mine, named) in cases {
            let Some(shop) = committed() else { return };
            shop.put("repo/.gitignore", format!("{ignored}nothing\n"));
            git(&shop, "repo", &["add", ".gitignore"]);
            git(&shop, "repo", &["commit", "-q", "-m", "Ignore"]);
            shop.put(&format!("repo/{mine}"), "a week of work");
            let tip = git(&shop, "repo", &["rev-parse", "main"]);
            let intent = shop.intent_for("api", 3, "");
            let run = Run::of(&shop.command(&intent, &["--git", "repo"]).output().unwrap());
            assert!(run.stderr.contains(named) && run.stderr.contains("E312"), "{mine}: {}", run.stderr);
            run.refused(74, "not overwritten");
            assert_eq!(shop.read(&format!("repo/{mine}")), "a week of work");
            assert_eq!(git(&shop, "repo", &["rev-parse", "main"]), tip);
            fs::rename(shop.path("repo/shop/api-scaling"), shop.path("aside")).unwrap();
            Run::of(&shop.command(&intent, &["--git", "repo"]).output().unwrap()).line();
            clean(&shop, "repo");
        }
    }
}

#[test]
fn a_rebase_or_merge_of_the_branch_is_waited_for() {
    let Some(shop) = committed() else { return };
    for (file, content) in [
        (".git/rebase-merge/head-name", "refs/heads/main\n"),
        // A rebase of another branch that takes this one along.
        (".git/rebase-merge/update-refs", "refs/heads/main\n1\n2\n"),
        // `git am` is on the branch.
        (".git/rebase-apply/applying", ""),
        (".git/MERGE_HEAD", "x\n"),
    ] {
        shop.put(&format!("repo/{file}"), content);
        porch(&shop, 5, &["--git", "repo"]).refused(75, "is under way");
        fs::remove_file(shop.path(&format!("repo/{file}"))).unwrap();
    }
    porch(&shop, 5, &["--git", "repo"]).line();
}

#[test]
fn a_lock_of_somebody_else_is_never_removed() {
    let Some(shop) = committed() else { return };
    for lock in ["index.lock", "HEAD.lock", "refs/heads/main.lock"] {
        let path = shop.put(&format!("repo/.git/{lock}"), "");
        porch(&shop, 5, &["--git", "repo"]).refused(75, ".lock");
        assert!(path.exists() && commits(&shop, "repo") == 1, "{lock}");
        fs::remove_file(path).unwrap();
    }
    porch(&shop, 5, &["--git", "repo"]).line();
    clean(&shop, "repo");
}

#[test]
fn what_a_git_that_was_killed_left_is_put_right() {
    for step in ["-u --no-recurse-submodules", "update-ref"] {
        for (lock, signal) in [("HEAD.lock", "-9 $$"), ("refs/heads/main.lock", "-9 $$ $PPID")] {
            let Some(shop) = committed() else { return };
            let old = shop.read(&format!("repo/{FILE}"));
            // Git is killed after files are written and locks taken: alone, or together with its parent.
            let edited = old.replace("replicas: 2   #", "replicas: 5   #");
            let (file, locked) =
                (shop.path(&format!("repo/{FILE}")), shop.path(&format!("repo/.git/{lock}")));
            shop.put("edited", edited);
            let before = format!(
                "cp {} {}; : >{}; kill {signal}",
                shop.path("edited").display(),
                file.display(),
                locked.display()
            );
            let mut command = shop.command(&shop.intent(5), &["--git", "repo"]);
            command.env("PATH", shim(&shop, step, ":"));
            let text = shop.read("shim/git").replace("(PATH=${PATH#*:}; :)", &before);
            shop.script("shim/git", &text);
            let run = Run::of(&command.output().unwrap());
            assert!(run.code == 75 || run.code == -1, "{step}: {} {}", run.code, run.stderr);
            // Another intent, without any manual repair.
            let line = porch(&shop, 7, &["--git", "repo"]).line();
            assert_eq!(line["replicas"]["to"], 7);
            clean(&shop, "repo");
            assert!(shop.read(&format!("repo/{FILE}")).contains("replicas: 7 "), "{step}");
        }
    }
}

#[test]
fn a_kill_after_any_step_of_git_is_put_right() {
    let real = String::from_utf8(
        std::process::Command::new("sh").args(["-c", "command -v git"]).output().unwrap().stdout,
    );
    let real = real.unwrap();
    // Before that git only reads.
    for at in 4.. {
        let Some(shop) = committed() else { return };
        let count = shop.path("count").display().to_string();
        // Git has done its step; then everything is killed.
        let text = format!(
            "#!/bin/sh\necho x >>{count}\n[ $(wc -l <{count}) = {at} ] && {{ {real} \"$@\"; kill -9 $PPID $$; }}\nexec {real} \"$@\"\n",
            real = real.trim()
        );
        shop.script("shim/git", &text);
        let mut command = shop.command(&shop.intent(5), &["--git", "repo"]);
        command.env("PATH", format!("{}:{}", shop.path("shim").display(), std::env::var("PATH").unwrap()));
        let run = Run::of(&command.output().unwrap());
        if run.code == 0 {
            assert!(at > 10, "only {at} steps");
            return;
        }
        assert_eq!(run.code, -1, "{at}: {}", run.stderr);
        // The same intent or another one, without any manual repair.
        let wanted = if at % 2 == 0 { 5 } else { 7 };
        porch(&shop, wanted, &["--git", "repo"]).line();
        clean(&shop, "repo");
        assert!(shop.read(&format!("repo/{FILE}")).contains(&format!("replicas: {wanted} ")), "{at}");
        let text = git(&shop, "repo", &["show", &format!("main:{FILE}")]);
        assert!(text.contains(&format!("replicas: {wanted} ")), "{at}");
    }
}

#[test]
fn what_somebody_put_in_a_dead_runs_place_stays() {
    let Some(shop) = committed() else { return };
    let from = git(&shop, "repo", &["rev-parse", "main"]);
    // The next commit exists, and a run died before anything moved.
    let line = porch(&shop, 5, &["--git", "repo"]).line();
    let to = line["commit"].as_str().unwrap();
    git(&shop, "repo", &["reset", "-q", "--hard", &from]);
    let text = format!(r#"{{"branch":"refs/heads/main","from":"{from}","to":"{to}","locks":[]}}"#);
    let mine = shop.read(&format!("repo/{FILE}")).replace("1.4.2", "1.5.0");
    for place in ["file", "link", "directory"] {
        shop.put("repo/.git/conductor-loop.journal", &text);
        shop.put("elsewhere/deployment.yaml", "mine");
        fs::remove_dir_all(shop.path("repo/shop")).unwrap();
        match place {
            "file" => drop(shop.put(&format!("repo/{FILE}"), &mine)),
            "link" => {
                fs::create_dir(shop.path("repo/shop")).unwrap();
                std::os::unix::fs::symlink("../../elsewhere", shop.path("repo/shop/web")).unwrap();
            }
            _ => drop(shop.put("repo/shop/web", "mine")),
        }
        let before = shop.tree("repo/shop");
        porch(&shop, 7, &["--git", "repo"]).expect(74);
        assert_eq!(shop.tree("repo/shop"), before, "{place}");
        assert_eq!(git(&shop, "repo", &["rev-parse", "main"]), from);
        let web = shop.path("repo/shop/web");
        if place == "file" {
            fs::remove_dir_all(web).unwrap();
        } else {
            fs::remove_file(web).unwrap();
        }
        git(&shop, "repo", &["checkout", "-q", "--", "."]);
    }
    assert_eq!(shop.read("elsewhere/deployment.yaml"), "mine");
}

#[test]
fn a_journal_that_somebody_planted_removes_nothing() {
    let Some(shop) = committed() else { return };
    let victim = shop.put("victim.lock", "precious");
    let tip = git(&shop, "repo", &["rev-parse", "main"]);
    let own = |name: &str| shop.path(&format!("repo/.git/{name}")).display().to_string();
    let (branch, head) = ("refs/heads/main", own("HEAD.lock"));
    for (branch, from, to, lock) in [
        (branch, None, tip.as_str(), victim.display().to_string()),
        (branch, None, &tip, own("../../victim.lock")),
        (branch, None, &tip, own("config")),
        (branch, None, &tip, own("packed-refs")),
        (branch, None, "--output=victim.lock", head.clone()),
        (branch, None, &format!("{tip}~"), head.clone()),
        (branch, None, &tip[..39], head.clone()),
        (branch, Some("--output=victim.lock"), &tip, head.clone()),
        ("HEAD", None, &tip, head.clone()),
    ] {
        let text = json!({"branch": branch, "from": from, "to": to, "locks": [lock]}).to_string();
        shop.put("repo/.git/conductor-loop.journal", text);
        shop.put("repo/.git/packed-refs", "# mine\n");
        porch(&shop, 5, &["--git", "repo"]).refused(74, "conductor-loop.journal is not as we write it");
        assert_eq!(shop.read("victim.lock"), "precious");
        assert_eq!(shop.read("repo/.git/packed-refs"), "# mine\n");
        assert!(shop.path("repo/.git/config").exists());
    }
}

#[test]
fn a_full_disk_below_a_repository_passes() {
    let Some(shop) = committed() else { return };
    fs::create_dir(shop.path("small")).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1200k", "tmpfs"])
        .arg(shop.path("small"))
        .output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("NOT TESTED: mounting needs root and is not allowed here");
        return;
    }
    git(&shop, ".", &["clone", "-q", "repo", "small/repo"]);
    for pages in [0, 2, 4, 6, 8, 10, 12, 16, 20, 24, 32] {
        let free = rustix::fs::statvfs(shop.path("small")).unwrap().f_bavail;
        let filler = usize::try_from(free.saturating_sub(pages) * 4096).unwrap();
        drop(fs::write(shop.path("small/filler"), vec![0; filler]));
        let run = porch(&shop, 10 + u32::try_from(pages).unwrap(), &["--git", "small/repo"]);
        assert!(run.code == 75 || run.code == 0, "{pages} pages: {} {}", run.code, run.stderr);
        fs::remove_file(shop.path("small/filler")).unwrap();
        let line = porch(&shop, 50 + u32::try_from(pages).unwrap(), &["--git", "small/repo"]).line();
        assert!(line["commit"].is_string(), "{pages} pages");
        assert_eq!(git(&shop, "small/repo", &["status", "--porcelain"]), "", "{pages} pages");
    }
    let unmounted = std::process::Command::new("umount").arg(shop.path("small")).status();
    assert!(unmounted.unwrap().success());
}

#[test]
fn a_work_tree_that_only_the_repository_names_is_not_written() {
    let Some(shop) = committed() else { return };
    fs::create_dir(shop.path("victim")).unwrap();
    git(&shop, "repo", &["config", "core.worktree", &shop.path("victim").display().to_string()]);
    porch(&shop, 5, &["--git", "repo"]).refused(74, "core.worktree leads to");
    assert!(shop.tree("victim").is_empty());
}
