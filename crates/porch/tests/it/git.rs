//! Packages in Git repositories, read back with a real git.

use crate::has;
use crate::shop::{Run, Shop};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// A shop whose package is committed to `repo` (a work tree) with `remote.git` (bare) behind it. `None` without git.
pub(crate) fn committed() -> Option<Shop> {
    if !has("git") {
        return None;
    }
    let shop = Shop::new();
    fs::rename(shop.path("out"), shop.path("repo")).unwrap();
    shop.put("repo/README.md", "the packages of a shop\n");
    git(&shop, "repo", &["init", "-q", "-b", "main"]);
    git(&shop, "repo", &["add", "."]);
    git(&shop, "repo", &["commit", "-q", "-m", "Begin"]);
    git(&shop, ".", &["clone", "-q", "--bare", "repo", "remote.git"]);
    git(&shop, "repo", &["remote", "add", "origin", "../remote.git"]);
    Some(shop)
}

/// The same, with an output directory beside it that has no package.
pub(crate) fn committed_beside_out() -> Option<Shop> {
    let shop = committed()?;
    shop.put("out/.keep", "");
    Some(shop)
}

pub(crate) fn try_git(shop: &Shop, dir: &str, words: &[&str]) -> Output {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=Test", "-c", "user.email=test@localhost"]).args(words);
    command.current_dir(shop.path(dir)).env("HOME", shop.path(".")).env_remove("XDG_CONFIG_HOME");
    command.output().unwrap()
}

#[track_caller]
pub(crate) fn git(shop: &Shop, dir: &str, words: &[&str]) -> String {
    let output = try_git(shop, dir, words);
    assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

pub(crate) fn commits(shop: &Shop, dir: &str) -> usize {
    git(shop, dir, &["rev-list", "--count", "main"]).parse().unwrap()
}

fn run(shop: &Shop, replicas: u32, flags: &[&str]) -> Run {
    Run::of(&shop.command(&shop.intent(replicas), flags).output().unwrap())
}

/// The replicas in the commit of a branch.
fn replicas(shop: &Shop, dir: &str) -> String {
    let text = git(shop, dir, &["show", "main:shop/web/deployment.yaml"]);
    let line = text.lines().find(|line| line.contains("# scaled")).unwrap();
    line.trim_start_matches("  replicas: ").split(' ').next().unwrap().to_owned()
}

/// A script in place of git that runs `before` ahead of the real one for the command `word`.
pub(crate) fn shim(shop: &Shop, word: &str, before: &str) -> String {
    let real = String::from_utf8(Command::new("sh").args(["-c", "command -v git"]).output().unwrap().stdout)
        .unwrap();
    let real = real.trim();
    let text = format!(
        "#!/bin/sh\ncase \" $* \" in *' {word} '*) (PATH=${{PATH#*:}}; {before}) ;; esac\nexec {real} \"$@\"\n"
    );
    shop.script("shim/git", &text);
    format!("{}:{}", shop.path("shim").display(), std::env::var("PATH").unwrap())
}

#[test]
fn one_commit_for_each_intent_that_changes_something() {
    let Some(shop) = committed() else { return };
    shop.put("repo/mine.txt", "work in progress");
    let intent = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/intent-scale-web.json"));
    let flags = ["--git", "repo", "--author", "Ana Ops <ana@example.org>"];
    let mut command = shop.command(intent, &flags);
    let sha256 = Command::new("sha256sum").arg(intent).output().unwrap().stdout;
    let sha256 = String::from_utf8(sha256).unwrap().split(' ').next().unwrap().to_owned();
    command.env("CONDUCTOR_INTENT_SHA256", &sha256).env("CONDUCTOR_INTENT_SEQ", "17");
    let line = Run::of(&command.output().unwrap()).line();
    assert_eq!(line["commit"].as_str(), Some(git(&shop, "repo", &["rev-parse", "main"]).as_str()));
    assert_eq!((line["repository"].as_str(), line["branch"].as_str()), (Some("repo"), Some("main")));
    let log = |format: &str| git(&shop, "repo", &["log", "-1", &format!("--format={format}")]);
    assert_eq!(log("%s"), "Scale shop/web from 2 to 5");
    assert_eq!(log("%an <%ae> %cn"), "Ana Ops <ana@example.org> Ana Ops");
    let trailer = |name: &str| log(&format!("%(trailers:key={name},valueonly,separator=%x2C)"));
    assert_eq!(trailer("Intent-SHA256"), sha256);
    assert_eq!(trailer("Intent-Correlation-ID"), "evening-2026-11-24");
    assert_eq!((trailer("Intent-Seq").as_str(), trailer("Intent-Reason").as_str()), ("17", "Evening peak"));
    let diff = git(&shop, "repo", &["diff", "--numstat", "main~1", "main"]);
    assert_eq!(diff, "1\t1\tshop/web/deployment.yaml");
    // The work tree has followed, and a person's own file in it stays.
    assert_eq!(git(&shop, "repo", &["status", "--porcelain"]), "?? mine.txt");
    assert!(shop.read("repo/shop/web/deployment.yaml").contains("replicas: 5   #"));
    git(&shop, "repo", &["fsck", "--strict"]);
    let again = Run::of(&shop.command(intent, &flags).output().unwrap()).line();
    assert_eq!((again["changed"].as_bool(), again.get("commit")), (Some(false), None));
    assert_eq!(commits(&shop, "repo"), 2);
}

#[test]
fn a_bare_repository_an_unborn_branch_and_another_directory() {
    let Some(shop) = committed() else { return };
    run(&shop, 4, &["--git", "remote.git"]).line();
    assert_eq!((replicas(&shop, "remote.git").as_str(), commits(&shop, "remote.git")), ("4", 2));
    for (init, name) in [
        (&["init", "-q", "-b", "main", "new"][..], "new"),
        (&["init", "-q", "--bare", "-b", "main", "new.git"], "new.git"),
    ] {
        git(&shop, ".", init);
        let line = run(&shop, 4, &["--git", name, "--directory", "clusters/one"]).line();
        assert_eq!(line["package"], "clusters/one/shop/web-scaling");
        let files = git(&shop, name, &["ls-tree", "-r", "--name-only", "main"]);
        let expected = ["Kptfile", "README.md", "deployment.yaml"]
            .map(|file| format!("clusters/one/shop/web-scaling/{file}"));
        assert_eq!(files.lines().collect::<Vec<_>>(), expected);
        assert_eq!(commits(&shop, name), 1);
    }
    assert_eq!(git(&shop, "new", &["status", "--porcelain"]), "");
    let diff = run(&shop, 9, &["--git", "new", "--directory", "clusters/one", "--dry-run"]).expect(0).stdout;
    assert!(diff.contains("-  replicas: 4\n+  replicas: 9\n"), "{diff}");
    assert_eq!(commits(&shop, "new"), 1);
}

#[test]
fn changes_of_somebody_else_in_the_work_tree_are_not_overwritten() {
    let Some(shop) = committed() else { return };
    let edited = shop.read("repo/shop/web/deployment.yaml").replace("1.4.2", "1.5.0");
    shop.put("repo/shop/web/deployment.yaml", &edited);
    run(&shop, 5, &["--git", "repo"]).refused(74, "E312");
    assert_eq!(shop.read("repo/shop/web/deployment.yaml"), edited);
    assert_eq!((commits(&shop, "repo"), replicas(&shop, "repo").as_str()), (1, "2"));
}

#[test]
fn a_push_that_comes_second_is_made_again_on_top() {
    let Some(shop) = committed() else { return };
    // Another process pushes once between our look and our push.
    git(&shop, ".", &["clone", "-q", "remote.git", "other"]);
    shop.put("other/shop/web/more.yaml", "# more\n");
    git(&shop, "other", &["add", "."]);
    git(&shop, "other", &["commit", "-q", "-m", "More"]);
    let race = format!("git -C {} push -q origin main", shop.path("other").display());
    let mut command = shop.command(&shop.intent(5), &["--git", "repo", "--push", "origin"]);
    command.env("PATH", shim(&shop, "push", &race));
    let line = Run::of(&command.output().unwrap()).line();
    assert_eq!((line["pushed_to"].as_str(), line.get("note")), (Some("origin"), None));
    for place in ["repo", "remote.git"] {
        assert_eq!(
            git(&shop, place, &["log", "--format=%s", "main"]),
            "Scale shop/web from 2 to 5\nMore\nBegin"
        );
    }
    assert_eq!(shop.read("repo/shop/web/more.yaml"), "# more\n");
    assert_eq!(git(&shop, "repo", &["status", "--porcelain"]), "");
    let again = run(&shop, 5, &["--git", "repo", "--push", "origin"]).line();
    assert_eq!((again["changed"].as_bool(), commits(&shop, "remote.git")), (Some(false), 3));
}

#[test]
fn a_push_that_always_comes_second_is_tried_later() {
    let Some(shop) = committed() else { return };
    git(&shop, ".", &["clone", "-q", "remote.git", "other"]);
    let race = format!(
        "cd {} && git -c user.name=o -c user.email=o@o commit -q --allow-empty -m More && git push -q origin main",
        shop.path("other").display()
    );
    let mut command = shop.command(&shop.intent(5), &["--git", "repo", "--push", "origin"]);
    command.env("PATH", shim(&shop, "push", &race));
    Run::of(&command.output().unwrap()).refused(75, "5 times in a row");
    assert_eq!((commits(&shop, "remote.git"), commits(&shop, "repo")), (6, 1));
}

#[test]
fn what_git_cannot_do_is_told_apart() {
    let Some(shop) = committed() else { return };
    let push = ["--git", "repo", "--push", "origin"];
    // The remote refuses the push.
    shop.script("remote.git/hooks/pre-receive", "#!/bin/sh\necho closed for the night >&2\nexit 1\n");
    run(&shop, 5, &push).refused(74, "pre-receive hook declined");
    assert_eq!(commits(&shop, "repo"), 1, "a refused push leaves the branch alone");
    // The remote is missing.
    fs::rename(shop.path("remote.git"), shop.path("away.git")).unwrap();
    run(&shop, 5, &push).refused(75, "E312");
    // No repository, no valid branch name, no git.
    run(&shop, 5, &["--git", "shim"]).refused(74, "E312");
    run(&shop, 5, &["--git", "repo", "--branch", "a..b"]).refused(64, "branch 'a..b' cannot be used");
    let mut command = shop.command(&shop.intent(5), &["--git", "repo"]);
    command.env("PATH", "/nonexistent");
    Run::of(&command.output().unwrap()).refused(74, "the git program is not installed");
    // Another process holds the repository's lock.
    let held = fs::File::open(shop.path("repo/.git")).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    run(&shop, 5, &["--git", "repo", "--lock-wait", "20ms"]).refused(75, "E311 ");
    drop(held);
    // A git that hangs is stopped.
    let mut command = shop.command(&shop.intent(5), &["--git", "repo", "--timeout", "300ms"]);
    command.env("PATH", shim(&shop, "cat-file", "sleep 1000"));
    Run::of(&command.output().unwrap()).refused(75, "did not end in time");
}

#[test]
fn no_hook_filter_or_editor_of_the_repository_runs() {
    let Some(shop) = committed() else { return };
    let trap = shop.script("trap", "#!/bin/sh\ntouch \"$(dirname \"$0\")/sprung\"\ncat\n");
    let trap_text = trap.display().to_string();
    for hook in
        ["pre-commit", "post-commit", "post-merge", "reference-transaction", "pre-push", "post-index-change"]
    {
        fs::copy(&trap, shop.path("repo/.git/hooks").join(hook)).unwrap();
    }
    for (key, value) in
        [("core.editor", trap_text.as_str()), ("core.fsmonitor", &trap_text), ("core.pager", &trap_text)]
    {
        git(&shop, "repo", &["config", key, value]);
    }
    for (key, value) in [("clean", trap_text.as_str()), ("smudge", &trap_text), ("required", "true")] {
        git(&shop, "repo", &["config", &format!("filter.x.{key}"), value]);
        git(&shop, "repo", &["config", &format!("filter.y.z.{key}"), value]);
    }
    shop.put("repo/.git/info/attributes", "*.yaml filter=x\nKptfile filter=y.z\nREADME.md filter=x\n");
    run(&shop, 5, &["--git", "repo", "--push", "origin"]).line();
    assert!(!shop.path("sprung").exists());
    // Nor for a new package.
    Run::of(&shop.command(&shop.intent_for("api", 3, ""), &["--git", "repo"]).output().unwrap()).line();
    assert!(!shop.path("sprung").exists());
    assert!(shop.read("repo/shop/web/deployment.yaml").contains("replicas: 5 "));
}

#[test]
fn links_in_a_commit_are_not_followed() {
    let Some(shop) = committed() else { return };
    fs::rename(shop.path("repo/shop/web"), shop.path("repo/real")).unwrap();
    std::os::unix::fs::symlink("../real", shop.path("repo/shop/web")).ok();
    fs::create_dir_all(shop.path("repo/shop")).unwrap();
    git(&shop, "repo", &["add", "-A"]);
    git(&shop, "repo", &["commit", "-q", "-m", "Link"]);
    run(&shop, 5, &["--git", "repo"]).refused(73, "is not a directory in the commit");
}

#[test]
fn commits_are_signed_with_an_ssh_key_on_request() {
    let Some(shop) = committed() else { return };
    if !has("ssh-keygen") {
        return;
    }
    let key = shop.path("key");
    let made =
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status().unwrap();
    assert!(made.success());
    // Named from where porch runs, which is not where git does.
    run(&shop, 5, &["--git", "repo", "--signing-key", "key"]).line();
    let public = shop.read("key.pub");
    let signers = shop.put("signers", format!("conductor-loop@localhost {public}"));
    let setting = format!("gpg.ssh.allowedSignersFile={}", signers.display());
    git(&shop, "repo", &["-c", &setting, "verify-commit", "main"]);
    assert!(!try_git(&shop, "repo", &["-c", &setting, "verify-commit", "main~1"]).status.success());
}

#[test]
fn many_at_once_make_one_line_of_commits() {
    let Some(shop) = committed() else { return };
    std::thread::scope(|scope| {
        for number in 0..8 {
            let shop = &shop;
            scope.spawn(move || {
                let intent = shop.intent_for(&format!("t{number}"), 3, "");
                let flags = ["--git", "repo", "--lock-wait", "60s"];
                Run::of(&shop.command(&intent, &flags).output().unwrap()).line();
            });
        }
    });
    assert_eq!(commits(&shop, "repo"), 9);
    assert_eq!(git(&shop, "repo", &["rev-list", "--merges", "--count", "main"]), "0");
    assert_eq!(git(&shop, "repo", &["status", "--porcelain"]), "");
}

#[test]
fn routes_lead_to_repositories_and_constraints_narrow_them() {
    let Some(shop) = committed() else { return };
    fs::create_dir(shop.path("out")).unwrap();
    let table = "[repository.core]\ngit = \"repo\"\n[[route]]\ntarget = \"web\"\nrepository = \"core\"\n\
                 max-replicas = 10\n[[route]]\n";
    shop.put("routes.toml", table);
    let flags = ["-out", "out", "--routes", "routes.toml"];
    let porch = |target: &str, replicas: u32, more: &str| {
        Run::of(&shop.command(&shop.intent_for(target, replicas, more), &flags).output().unwrap())
    };
    let into: Value = porch("web", 7, r#","constraints":{"porch_repository":"core"}"#).line();
    assert_eq!((into["repository"].as_str(), commits(&shop, "repo")), (Some("repo"), 2));
    porch("web", 11, "").refused(77, "allows 0 to 10 replicas, not 11");
    porch("api", 3, r#","constraints":{"porch_repository":"core"}"#)
        .refused(77, "no route of shop/api leads to");
    assert_eq!(porch("api", 3, "").line()["package"], "out/shop/api");
}

#[test]
fn a_commit_with_a_path_that_git_writes_nowhere_is_named() {
    named_with_its_commit(".git");
    // Which is such a directory elsewhere, and which git therefore writes nowhere.
    named_with_its_commit("git~1");
}

fn named_with_its_commit(dir: &str) {
    let Some(shop) = committed() else { return };
    let script = "b=$(git hash-object -w README.md); e=$(printf '100644 blob %s\\tconfig\\n' $b | git mktree); \
                  t=$({ git ls-tree main; printf '040000 tree %s\\t%s\\n' $e $0; } | git mktree); \
                  git -c user.name=Eve -c user.email=eve@example.org commit-tree -p main -m Evil $t";
    let output =
        Command::new("sh").args(["-ec", script, dir]).current_dir(shop.path("repo")).output().unwrap();
    let evil = String::from_utf8(output.stdout).unwrap();
    git(&shop, "repo", &["push", "-q", "origin", &format!("{}:main", evil.trim())]);
    let short = git(&shop, "repo", &["rev-parse", "--short", evil.trim()]);
    // The remote has it, and gets the change; the work tree stays where it was.
    let note = run(&shop, 5, &["--git", "repo", "--push", "origin"]).line()["note"].to_string();
    assert!(note.contains(&format!("the commit {short} of Eve has the path {dir}/config")), "{note}");
    assert_eq!(git(&shop, "repo", &["status", "--porcelain"]), "");
    assert_eq!((commits(&shop, "repo"), commits(&shop, "remote.git")), (1, 3));
    // Where nothing is checked out, nothing is written there.
    run(&shop, 6, &["--git", "remote.git"]).line();
    assert_eq!(replicas(&shop, "remote.git"), "6");
}

#[test]
fn a_commit_s_package_is_read_with_the_directories_below_it() {
    let Some(shop) = committed() else { return };
    let text = shop.read("repo/shop/web/deployment.yaml");
    fs::remove_file(shop.path("repo/shop/web/deployment.yaml")).unwrap();
    shop.put("repo/shop/web/apps/front/web.yaml", &text);
    fs::remove_file(shop.path("repo/shop/web/kustomization.yaml")).unwrap();
    shop.put("repo/shop/web/.cache/web.yaml", text.replace("replicas: 2 ", "replicas: 3 "));
    shop.put("repo/shop/web/.draft.yaml", text.replace("replicas: 2 ", "replicas: 4 "));
    shop.put("repo/shop/web/notes.txt", &text);
    // The text of a link is no manifest.
    std::os::unix::fs::symlink("web: [nothing.yaml", shop.path("repo/shop/web/gone.yaml")).unwrap();
    // Names that sort elsewhere than the same names of directories.
    shop.put("repo/shop/web-old/notes.txt", "old");
    shop.put("repo/shop/web.txt", "more");
    fs::set_permissions(shop.path("repo/shop/web/apps/front/web.yaml"), fs::Permissions::from_mode(0o755))
        .unwrap();
    git(&shop, "repo", &["add", "-A"]);
    git(&shop, "repo", &["commit", "-q", "-m", "Deeper"]);
    let line = run(&shop, 5, &["--git", "repo"]).line();
    assert_eq!(
        (line["file"].as_str(), line["replicas"]["from"].as_u64()),
        (Some("apps/front/web.yaml"), Some(2))
    );
    let diff = git(&shop, "repo", &["diff", "--numstat", "main~1", "main"]);
    assert_eq!(diff, "1\t1\tshop/web/apps/front/web.yaml");
    let raw = git(&shop, "repo", &["diff", "--raw", "main~1", "main"]);
    assert!(raw.starts_with(":100755 100755 "), "{raw}");
    git(&shop, "repo", &["fsck", "--strict"]);
    // What would be below a file is not there.
    shop.put("repo/shop/web/kustomization.yaml", "resources: [apps/front/web.yaml, notes.txt/more.yaml]\n");
    git(&shop, "repo", &["add", "-A"]);
    git(&shop, "repo", &["commit", "-q", "-m", "Below"]);
    assert_eq!(run(&shop, 6, &["--git", "repo"]).line()["file"], "apps/front/web.yaml");
    // A link in the place of a file that decides about others is not an absent file.
    std::os::unix::fs::symlink("apps/front/web.yaml", shop.path("repo/shop/web/.argocd-source-web.yaml"))
        .unwrap();
    git(&shop, "repo", &["add", "-A"]);
    git(&shop, "repo", &["commit", "-q", "-m", "Link"]);
    run(&shop, 7, &["--git", "repo"])
        .refused(73, "shop/web/.argocd-source-web.yaml cannot be used: is no regular file");
}

#[test]
fn the_bounds_of_a_package_hold_in_a_commit() {
    type File<'f> = &'f dyn Fn(usize) -> (String, String);
    let deep = "d/".repeat(70);
    let long = format!("# {}\n", "x".repeat(4_000_000));
    let cases: [(&str, usize, File); 3] = [
        ("depth", 1, &|_| (format!("{deep}x.yaml"), "a: 1\n".to_owned())),
        ("files", 2_001, &|number| (format!("{number}.yaml"), format!("a: {number}\n"))),
        ("bytes", 9, &|number| (format!("{number}.yaml"), format!("{long}a: {number}\n"))),
    ];
    for (what, count, file) in cases {
        let Some(shop) = committed() else { return };
        fs::remove_file(shop.path("repo/shop/web/kustomization.yaml")).unwrap();
        for number in 0..count {
            let (name, text) = file(number);
            shop.put(&format!("repo/shop/web/{name}"), text);
        }
        git(&shop, "repo", &["add", "-A"]);
        git(&shop, "repo", &["commit", "-q", "-m", "Large"]);
        let run = run(&shop, 5, &["--git", "repo"]).expect(73);
        assert!(run.stderr.contains("is too large at "), "{what}: {}", run.stderr);
    }
}

#[test]
fn what_a_remote_says_of_a_push_that_came_second_is_tried_again() {
    for (said, code, words) in [
        ("[remote rejected] (cannot lock ref 'refs/heads/main')", 75, "5 times in a row"),
        ("[remote rejected] (failed to update ref)", 75, "5 times in a row"),
        ("[remote rejected] (protected branch)", 74, "protected branch"),
        ("[remote failure] (it went away)", 75, "it went away"),
    ] {
        let Some(shop) = committed() else { return };
        let mut command = shop.command(&shop.intent(5), &["--git", "repo", "--push", "origin"]);
        command.env("PATH", shim(&shop, "push", ":"));
        let answer = format!("printf '!\\tmain:main\\t%s\\n' \"{said}\"; exit 1");
        let text = shop.read("shim/git").replace("(PATH=${PATH#*:}; :)", &answer);
        shop.script("shim/git", &text);
        Run::of(&command.output().unwrap()).refused(code, words);
        assert_eq!(commits(&shop, "repo"), 1);
    }
}

#[test]
fn a_branch_follows_a_push_in_which_a_file_and_a_directory_change_places() {
    let Some(shop) = committed() else { return };
    shop.put("repo/tools/run/one.sh", "one\n");
    git(&shop, "repo", &["add", "."]);
    git(&shop, "repo", &["commit", "-q", "-m", "Tools"]);
    git(&shop, "repo", &["push", "-q", "origin", "main"]);
    git(&shop, ".", &["clone", "-q", "remote.git", "other"]);
    fs::remove_file(shop.path("other/README.md")).unwrap();
    shop.put("other/README.md/index.md", "more\n");
    fs::remove_dir_all(shop.path("other/tools/run")).unwrap();
    shop.put("other/tools/run", "one\n");
    git(&shop, "other", &["add", "-A"]);
    git(&shop, "other", &["commit", "-q", "-m", "Places"]);
    git(&shop, "other", &["push", "-q", "origin", "main"]);
    let line = run(&shop, 5, &["--git", "repo", "--push", "origin"]).line();
    assert_eq!(line.get("note"), None);
    assert_eq!(git(&shop, "repo", &["status", "--porcelain"]), "");
    assert_eq!(
        (shop.read("repo/README.md/index.md"), shop.read("repo/tools/run")),
        ("more\n".into(), "one\n".into())
    );
}

#[test]
fn a_file_of_a_commit_may_be_as_large_as_a_manifest_may_be() {
    for (more, code) in [(0, 0), (1, 73)] {
        let Some(shop) = committed() else { return };
        let text = shop.read("repo/shop/web/deployment.yaml");
        let rest = (4 << 20) - text.len() - 2 + more;
        shop.put("repo/shop/web/deployment.yaml", format!("#{}\n{text}", "x".repeat(rest)));
        git(&shop, "repo", &["commit", "-q", "-a", "-m", "Large"]);
        run(&shop, 5, &["--git", "repo"]).expect(code);
    }
}
