//! Repositories that lost objects, and git programs that are killed or find no room: a missing object is never taken for
//! an empty file, and temporary failures are retried.

use crate::git::{committed, git, shim};
use crate::shop::{Run, Shop};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

fn object_file(shop: &Shop, object: &str) -> PathBuf {
    shop.path(&format!("repo/.git/objects/{}/{}", &object[..2], &object[2..]))
}

#[test]
fn a_damaged_or_missing_object_is_never_an_empty_file() {
    type Damage = fn(&Shop, &str);
    let damages: [(&str, Damage); 4] = [
        ("empty", |shop, object| replace(shop, object, b"")),
        ("gone", |shop, object| fs::remove_file(object_file(shop, object)).unwrap()),
        ("garbage", |shop, object| replace(shop, object, b"garbage")),
        ("another's", |shop, object| {
            let mut child = Command::new("git")
                .current_dir(shop.path("repo"))
                .args(["hash-object", "-w", "--stdin"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            child.stdin.take().unwrap().write_all(b"something else\n").unwrap();
            let other = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
            replace(shop, object, &fs::read(object_file(shop, other.trim())).unwrap());
        }),
    ];
    for file in ["deployment.yaml", "Kptfile"] {
        for (name, damage) in damages {
            let Some(shop) = committed() else { return };
            if file == "Kptfile" {
                shop.put("repo/Kptfile", "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: all\n");
                git(&shop, "repo", &["add", "."]);
                git(&shop, "repo", &["commit", "-q", "-m", "Kptfile"]);
            }
            let path = if file == "Kptfile" { "main:Kptfile" } else { "main:shop/web/deployment.yaml" };
            let object = git(&shop, "repo", &["rev-parse", path]);
            let tip = git(&shop, "repo", &["rev-parse", "main"]);
            git(&shop, "repo", &["checkout", "-q", "--detach"]);
            damage(&shop, &object);
            for flags in [&["--git", "repo"][..], &["--git", "repo", "--dry-run"]] {
                let run = Run::of(&shop.command(&shop.intent(5), flags).output().unwrap());
                assert_eq!(run.code, 74, "{name} {file}: {}", run.stderr);
                assert!(run.stderr.contains("E312"), "{name}: {}", run.stderr);
            }
            assert_eq!(git(&shop, "repo", &["rev-parse", "main"]), tip, "{name}");
        }
    }
}

fn replace(shop: &Shop, object: &str, content: &[u8]) {
    let path = object_file(shop, object);
    fs::remove_file(&path).unwrap();
    fs::write(path, content).unwrap();
}

#[test]
fn a_killed_git_and_a_full_disk_in_its_words_are_passing() {
    for (step, before, reason) in [
        ("commit-tree", "kill -9 $$", "git was ended by signal 9"),
        ("mktree", "kill -9 $$", "git was ended by signal 9"),
        ("cat-file", "echo 'fatal: write error: No space left on device' >&2; exit 128", "No space left"),
        ("hash-object", "echo 'error: unable to write: Disk quota exceeded' >&2; exit 128", "quota"),
    ] {
        let Some(shop) = committed() else { return };
        let mut command = shop.command(&shop.intent(5), &["--git", "repo"]);
        // The step does not reach the real git.
        command.env("PATH", shim(&shop, step, &format!("{before}; exit 1")).replace("exec", ""));
        let shim = shop.read("shim/git").replace("(PATH=${PATH#*:}; ", "{ ").replace(") ;;", "; } ;;");
        shop.script("shim/git", &shim);
        Run::of(&command.output().unwrap()).refused(75, reason);
        let line = Run::of(&shop.command(&shop.intent(5), &["--git", "repo"]).output().unwrap()).line();
        assert_eq!(line["replicas"]["to"], 5, "{step}");
    }
}

/// Exchanges the places of two objects in the index of the only pack, which git does not notice.
fn exchange(shop: &Shop, one: &str, other: &str) {
    let packs = fs::read_dir(shop.path("repo/.git/objects/pack")).unwrap();
    let mut paths = packs.map(|entry| entry.unwrap().path());
    let path = paths.find(|path| path.extension().is_some_and(|end| end == "idx")).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let number = |bytes: &[u8], at: usize| {
        usize::try_from(u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())).unwrap()
    };
    // A head, how many names begin with what, the names, a sum of each, and the place of each.
    let (names, count) = (8 + 256 * 4, number(&bytes, 8 + 255 * 4));
    let place = |bytes: &[u8], object: &str| {
        let is_it =
            |n: &usize| conductor_core::digest::hex(&bytes[names + n * 20..names + (n + 1) * 20]) == object;
        names + count * 24 + (0..count).find(is_it).unwrap() * 4
    };
    let (one, other) = (place(&bytes, one), place(&bytes, other));
    for at in 0..4 {
        bytes.swap(one + at, other + at);
    }
    fs::remove_file(&path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn an_object_that_a_pack_has_under_another_s_name_is_not_taken_for_it() {
    for (one, other) in [("main:shop/web/deployment.yaml", "main:README.md"), ("main:shop", "main:shop/web")]
    {
        let Some(shop) = committed() else { return };
        git(&shop, "repo", &["repack", "-a", "-d", "-q"]);
        let [one, other] = [one, other].map(|name| git(&shop, "repo", &["rev-parse", name]));
        git(&shop, "repo", &["checkout", "-q", "--detach"]);
        exchange(&shop, &one, &other);
        let run =
            Run::of(&shop.command(&shop.intent(5), &["--git", "repo", "--branch", "main"]).output().unwrap());
        run.refused(74, "is damaged or missing; look with 'git fsck'");
        assert_eq!(git(&shop, "repo", &["rev-list", "--count", "main"]), "1");
    }
}
