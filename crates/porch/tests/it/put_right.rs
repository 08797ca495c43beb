//! What a run that was killed left in a work tree is put right by the next one, whatever of it is there: files of a new
//! package, files that are missing, and directories that are.

use crate::git::{committed, git, shim};
use crate::shop::{Run, Shop};
use crate::worktrees::{FILE, clean, porch};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The same number of replicas everywhere: in the commit of the branch, in the index and in the file.
#[track_caller]
fn shows(shop: &Shop, tree: &str, replicas: u32) {
    clean(shop, tree);
    assert!(shop.read(&format!("{tree}/{FILE}")).contains(&format!("replicas: {replicas} ")), "{tree}");
}

/// The next run: for another package, so that what is left of the first one is not simply written again.
fn another(shop: &Shop) -> Run {
    let intent = shop.intent_for("api", 3, "");
    Run::of(&shop.command(&intent, &["--git", "repo", "--branch", "main"]).output().unwrap())
}

/// A run in which `before` happens in place of a step of git, and then everything is killed.
fn killed(shop: &Shop, intent: &Path, step: &str, before: &str) {
    let mut command = shop.command(intent, &["--git", "repo"]);
    command.env("PATH", shim(shop, step, ":"));
    let text = shop.read("shim/git").replace("(PATH=${PATH#*:}; :)", &format!("{before} kill -9 $PPID $$"));
    shop.script("shim/git", &text);
    Run::of(&command.output().unwrap()).expect(-1);
}

#[test]
fn the_files_of_a_new_package_whose_commit_is_on_no_branch_are_taken_away() {
    let Some(shop) = committed() else { return };
    killed(&shop, &shop.intent_for("api", 3, ""), "update-ref", "");
    assert!(shop.path("repo/shop/api-scaling/Kptfile").exists(), "it was killed too early");
    porch(&shop, 5, &["--git", "repo"]).line();
    let left = shop.tree("repo/shop").into_keys().filter(|path| path.starts_with("api")).collect::<Vec<_>>();
    assert!(left.is_empty(), "{left:?}");
    clean(&shop, "repo");
    // What somebody has changed in it since stays.
    killed(&shop, &shop.intent_for("api", 3, ""), "update-ref", "");
    shop.put("repo/shop/api-scaling/README.md", "mine");
    porch(&shop, 6, &["--git", "repo"]).line();
    assert_eq!(git(&shop, "repo", &["status", "--porcelain"]), "?? shop/api-scaling/");
    assert_eq!(shop.tree("repo/shop/api-scaling").into_keys().collect::<Vec<_>>(), ["README.md"]);
}

#[test]
fn a_file_that_a_killed_git_took_away_before_it_wrote_it_is_there_again() {
    for gone in [FILE, "shop/web", "shop"] {
        let Some(shop) = committed() else { return };
        let remove = format!("rm -r {};", shop.path(&format!("repo/{gone}")).display());
        killed(&shop, &shop.intent(5), "-u --no-recurse-submodules", &remove);
        assert!(!shop.path(&format!("repo/{FILE}")).exists());
        another(&shop).line();
        assert!(shop.read(&format!("repo/{FILE}")).contains("replicas: 2 "), "{gone}");
        // The files beside it are no part of what the run changed; git brings them back.
        git(&shop, "repo", &["checkout", "-q", "--", "."]);
        clean(&shop, "repo");
    }
}

#[test]
fn a_commit_that_somebody_takes_back_at_once_is_made_again() {
    let Some(shop) = committed() else { return };
    let real = "git \"$@\"; git -C \"$repo\" update-ref refs/heads/main main~; exit 0;";
    let once = format!(
        "if mkdir {}; then repo={}; PATH=${{PATH#*:}}; {real} fi",
        shop.path("once").display(),
        shop.path("remote.git").display()
    );
    let mut command = shop.command(&shop.intent(5), &["--git", "remote.git"]);
    command.env("PATH", shim(&shop, "update-ref", ":"));
    let text = shop.read("shim/git").replace("(PATH=${PATH#*:}; :)", &once);
    shop.script("shim/git", &text);
    let line = Run::of(&command.output().unwrap()).line();
    let tip = git(&shop, "remote.git", &["rev-parse", "main"]);
    assert_eq!(line["commit"].as_str(), Some(tip.as_str()));
    assert_eq!(
        git(&shop, "remote.git", &["log", "--format=%s", "main"]),
        "Scale shop/web from 2 to 5\nBegin"
    );
}

#[test]
fn an_index_that_cannot_be_refreshed_for_want_of_room_is_tried_again() {
    for (said, code) in [("No space left on device", 75), ("something else", 74)] {
        let Some(shop) = committed() else { return };
        let edited = shop.read(&format!("repo/{FILE}")).replace("1.4.2", "1.5.0");
        shop.put(&format!("repo/{FILE}"), &edited);
        let mut command = shop.command(&shop.intent(5), &["--git", "repo"]);
        command.env("PATH", shim(&shop, "--refresh", ":"));
        let fails = format!("echo 'fatal: {said}' >&2; exit 128");
        let text = shop.read("shim/git").replace("(PATH=${PATH#*:}; :)", &fails);
        shop.script("shim/git", &text);
        let run = Run::of(&command.output().unwrap());
        assert_eq!((run.code, run.stderr.contains(said)), (code, code == 75), "{}", run.stderr);
        assert_eq!(shop.read(&format!("repo/{FILE}")), edited);
    }
}

#[test]
fn half_of_a_file_that_a_killed_git_wrote_is_written_anew() {
    for version in [2, 5] {
        let Some(shop) = committed() else { return };
        let text = shop
            .read(&format!("repo/{FILE}"))
            .replace("replicas: 2   #", &format!("replicas: {version}   #"));
        let file = shop.path(&format!("repo/{FILE}"));
        let half = shop.put("half", &text[..text.find("  #").unwrap()]);
        let copy = format!("cp {} {};", half.display(), file.display());
        killed(&shop, &shop.intent(5), "-u --no-recurse-submodules", &copy);
        another(&shop).line();
        shows(&shop, "repo", 2);
    }
}

#[test]
fn what_somebody_has_staged_since_a_killed_run_stays_staged() {
    let Some(shop) = committed() else { return };
    let old = shop.read(&format!("repo/{FILE}"));
    killed(&shop, &shop.intent(5), "update-ref", "");
    let mine = shop.put("repo/mine.yaml", old.replace("1.4.2", "1.5.0"));
    let object = git(&shop, "repo", &["hash-object", "-w", "mine.yaml"]);
    std::fs::remove_file(mine).unwrap();
    std::fs::remove_file(shop.path("repo/.git/index.lock")).unwrap();
    git(&shop, "repo", &["update-index", "--cacheinfo", &format!("100644,{object},{FILE}")]);
    shop.put(&format!("repo/{FILE}"), &old);
    another(&shop).line();
    assert_eq!(git(&shop, "repo", &["rev-parse", &format!(":{FILE}")]), object);
    assert_eq!(shop.read(&format!("repo/{FILE}")), old);
}

#[test]
fn a_work_tree_of_another_branch_keeps_what_looks_like_a_killed_runs() {
    let Some(shop) = committed() else { return };
    git(&shop, "repo", &["worktree", "add", "-q", "../two", "-b", "other"]);
    let edited = shop.read(&format!("two/{FILE}")).replace("replicas: 2   #", "replicas: 5   #");
    shop.put(&format!("two/{FILE}"), &edited);
    git(&shop, "two", &["add", FILE]);
    killed(&shop, &shop.intent(5), "update-ref", "");
    another(&shop).line();
    shows(&shop, "repo", 2);
    assert_eq!(shop.read(&format!("two/{FILE}")), edited);
    assert_eq!(git(&shop, "two", &["status", "--porcelain"]), format!("M  {FILE}"));
}

#[test]
fn a_checkout_that_arrived_before_a_kill_has_the_change_afterwards() {
    let Some(shop) = committed() else { return };
    git(&shop, "repo", &["checkout", "-q", "-b", "other"]);
    let mut command = shop.command(&shop.intent(5), &["--git", "repo", "--branch", "main"]);
    command.env("PATH", shim(&shop, "update-ref", ":"));
    let arrives =
        "(PATH=${PATH#*:}; git \"$@\"; git -C repo symbolic-ref HEAD refs/heads/main); kill -9 $PPID $$";
    let text = shop.read("shim/git").replace("(PATH=${PATH#*:}; :)", arrives);
    shop.script("shim/git", &text);
    Run::of(&command.output().unwrap()).expect(-1);
    another(&shop).line();
    shows(&shop, "repo", 5);
}

#[test]
fn a_checkout_that_came_and_went_before_a_kill_takes_no_change_along() {
    let Some(shop) = committed() else { return };
    git(&shop, "repo", &["checkout", "-q", "-b", "other"]);
    let mut command = shop.command(&shop.intent(5), &["--git", "repo", "--branch", "main"]);
    // HEAD is on the branch only from after it was read without git until before the next run.
    command.env("PATH", shim(&shop, "worktree", "git -C repo symbolic-ref HEAD refs/heads/main"));
    let text = shop.read("shim/git");
    let (head, tail) = text.split_once(";; esac").unwrap();
    let leaves = "(PATH=${PATH#*:}; git -C repo symbolic-ref HEAD refs/heads/other); kill -9 $PPID $$";
    shop.script("shim/git", &format!("{head};; *' update-ref '*) {leaves} ;; esac{tail}"));
    Run::of(&command.output().unwrap()).expect(-1);
    assert!(shop.read(&format!("repo/{FILE}")).contains("replicas: 5 "), "it was killed too early");
    another(&shop).line();
    shows(&shop, "repo", 2);
}

#[test]
fn a_lock_of_a_linked_work_tree_that_a_killed_git_left_is_removed() {
    let Some(shop) = committed() else { return };
    git(&shop, "repo", &["checkout", "-q", "--detach"]);
    git(&shop, "repo", &["worktree", "add", "-q", "../one", "main"]);
    let lock = shop.path("repo/.git/worktrees/one/HEAD.lock");
    let mut command = shop.command(&shop.intent(5), &["--git", "one"]);
    command.env("PATH", shim(&shop, "update-ref", ":"));
    let text = shop.read("shim/git");
    let dies = format!(": >{}; kill -9 $PPID $$", lock.display());
    shop.script("shim/git", &text.replace("(PATH=${PATH#*:}; :)", &dies));
    Run::of(&command.output().unwrap()).expect(-1);
    porch(&shop, 7, &["--git", "one"]).line();
    assert!(!lock.exists());
    shows(&shop, "one", 7);
}

/// A lock that looks young may be a living git's, so it is left alone for half a second, whatever its time says.
#[test]
fn a_young_lock_of_a_dead_run_is_watched_before_it_is_removed() {
    for ahead in [Duration::ZERO, Duration::from_hours(24)] {
        let Some(shop) = committed() else { return };
        let lock = shop.path("repo/.git/HEAD.lock");
        killed(&shop, &shop.intent(5), "update-ref", &format!(": >{};", lock.display()));
        let begin = SystemTime::now();
        let file = std::fs::File::options().write(true).open(&lock).unwrap();
        file.set_modified(begin + ahead).unwrap();
        another(&shop).line();
        assert!(begin.elapsed().unwrap() >= Duration::from_millis(500), "{ahead:?}");
        shows(&shop, "repo", 2);
    }
}

#[test]
fn what_cannot_be_put_back_at_once_is_put_back_by_the_next_run() {
    let Some(shop) = committed() else { return };
    let broken = shop.path("broken").display().to_string();
    let mut command = shop.command(&shop.intent(5), &["--git", "repo"]);
    command.env("PATH", shim(&shop, "update-ref", ":"));
    // From the move of the branch on, no git does anything.
    let text = shop.read("shim/git").replace("(PATH=${PATH#*:}; :)", &format!("touch {broken}"));
    let text = text.replace("\nexec", &format!("\n[ -e {broken} ] && exit 128\nexec"));
    shop.script("shim/git", &text);
    Run::of(&command.output().unwrap()).expect(74);
    assert!(shop.read(&format!("repo/{FILE}")).contains("replicas: 5 "), "it failed too early");
    another(&shop).line();
    shows(&shop, "repo", 2);
}

#[test]
fn a_work_tree_that_is_added_meanwhile_follows_and_is_locked_while_it_does() {
    let Some(shop) = committed() else { return };
    git(&shop, "repo", &["checkout", "-q", "--detach"]);
    let mut command = shop.command(&shop.intent(5), &["--git", "repo", "--branch", "main"]);
    command.env("PATH", shim(&shop, "update-ref", "git -C repo worktree add -q ../late main"));
    let text = shop.read("shim/git");
    let (head, tail) = text.split_once(";; esac").unwrap();
    let looks = "[ -e repo/.git/worktrees/late/index.lock ] && touch locked";
    shop.script("shim/git", &format!("{head};; *' ls-files '*) {looks} ;; esac{tail}"));
    Run::of(&command.output().unwrap()).line();
    assert!(shop.path("locked").exists());
    shows(&shop, "late", 5);
}

#[test]
fn an_unfinished_index_of_a_killed_run_is_in_nobodys_way() {
    let Some(shop) = committed() else { return };
    git(&shop, ".", &["init", "-q", "-b", "main", "new"]);
    for tree in ["repo", "new"] {
        for name in ["conductor-loop.index", "conductor-loop.index.lock"] {
            shop.put(&format!("{tree}/.git/{name}"), "garbage");
        }
        porch(&shop, 5, &["--git", tree]).line();
        assert_eq!(git(&shop, tree, &["status", "--porcelain"]), "");
        assert!(!shop.path(&format!("{tree}/.git/conductor-loop.index")).exists());
    }
}

#[test]
fn the_first_commit_of_a_repository_that_is_on_no_branch_leaves_no_files() {
    let Some(shop) = committed() else { return };
    std::fs::rename(shop.path("repo"), shop.path("aside")).unwrap();
    git(&shop, ".", &["init", "-q", "-b", "main", "repo"]);
    killed(&shop, &shop.intent(5), "update-ref", "");
    assert!(shop.path("repo/shop/web-scaling/deployment.yaml").exists(), "it was killed too early");
    another(&shop).line();
    let files = git(&shop, "repo", &["ls-files"]);
    assert!(
        !shop.path("repo/shop/web-scaling/deployment.yaml").exists() && !files.contains("web"),
        "{files}"
    );
    clean(&shop, "repo");
}

#[test]
fn a_link_that_a_killed_run_had_brought_is_as_before() {
    let Some(shop) = committed() else { return };
    let now = |tree: &str, target: &str| {
        let link = shop.path(&format!("{tree}/now"));
        std::fs::remove_file(&link).ok();
        std::os::unix::fs::symlink(target, link).unwrap();
        git(&shop, tree, &["add", "now"]);
        git(&shop, tree, &["commit", "-q", "-m", target]);
        git(&shop, tree, &["push", "-q", "origin", "main"]);
    };
    now("repo", "v1");
    git(&shop, ".", &["clone", "-q", "remote.git", "other"]);
    now("other", "v2");
    let mut command = shop.command(&shop.intent(5), &["--git", "repo", "--push", "origin"]);
    command.env("PATH", shim(&shop, "update-ref", ":"));
    let text = shop.read("shim/git").replace("(PATH=${PATH#*:}; :)", "kill -9 $PPID $$");
    shop.script("shim/git", &text);
    Run::of(&command.output().unwrap()).expect(-1);
    let link = || std::fs::read_link(shop.path("repo/now")).unwrap();
    assert_eq!(link(), Path::new("v2"), "it was killed too early");
    another(&shop).line();
    assert_eq!(link(), Path::new("v1"));
    shows(&shop, "repo", 2);
}
