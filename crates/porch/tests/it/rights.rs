//! What a file has besides its bytes, and places where nothing can be exchanged: mounts, overlays, limits.

use crate::shop::{Run, Shop};
use conductor_testkit::without_set_id;
use rustix::fs::{CWD, XattrFlags, getxattr, setxattr};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

const FILE: &str = "out/shop/web/deployment.yaml";

fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut room = vec![0; 4096];
    let length = getxattr(path, name, &mut room[..]).ok()?;
    room.truncate(length);
    Some(room)
}

/// An access list as the kernel keeps it: owner rw, user 65534 rw, group r, mask rw, others nothing.
fn list() -> Vec<u8> {
    let entry = |tag: u16, rights: u16, id: u32| {
        [tag.to_le_bytes().to_vec(), rights.to_le_bytes().to_vec(), id.to_le_bytes().to_vec()].concat()
    };
    let none = u32::MAX;
    let entries =
        [entry(1, 6, none), entry(2, 6, 65_534), entry(4, 4, none), entry(16, 6, none), entry(32, 0, none)];
    [2_u32.to_le_bytes().to_vec(), entries.concat()].concat()
}

#[test]
fn access_lists_and_attributes_survive_an_edit() {
    for structured in [false, true] {
        let shop = Shop::new();
        let (file, flags) = if structured {
            shop.scale(3, &["-structured"]).line();
            // The Component is added, so the package is exchanged as a whole.
            ("out/shop/web-scaling-patch/scaling-patch.yaml", &["-structured", "--kustomize"][..])
        } else {
            (FILE, &[][..])
        };
        let path = shop.path(file);
        let large = vec![b'x'; 2_000];
        let set =
            [("user.owner", b"shop".to_vec()), ("user.large", large), ("system.posix_acl_access", list())];
        for (name, value) in &set {
            if setxattr(&path, *name, value, XattrFlags::empty()).is_err() {
                eprintln!("NOT TESTED: this file system has no {name}");
                return;
            }
        }
        let dir = path.parent().unwrap();
        setxattr(dir, "user.team", b"web", XattrFlags::empty()).unwrap();
        setxattr(dir, "system.posix_acl_default", &list(), XattrFlags::empty()).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        shop.scale(7, flags).line();
        for (name, value) in &set {
            assert_eq!(attribute(&path, name).as_ref(), Some(value), "{name} {structured}");
        }
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode(), mode);
        assert_eq!(attribute(dir, "user.team").as_deref(), Some(&b"web"[..]));
        assert_eq!(attribute(dir, "system.posix_acl_default"), Some(list()));
    }
    // What only the directory gives to new files does not come to one that has not got it.
    let shop = Shop::new();
    let dir = shop.path("out/shop/web");
    setxattr(&dir, "system.posix_acl_default", &list(), XattrFlags::empty()).unwrap();
    shop.scale(5, &[]).line();
    assert_eq!(attribute(&shop.path(FILE), "system.posix_acl_access"), None);
}

/// Runs a script of the shell in mounts of its own; `None` where that is not allowed.
fn in_own_mounts(shop: &Shop, script: &str) -> Option<Run> {
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-ec", script]).current_dir(shop.path("."));
    command.env("PORCH", env!("CARGO_BIN_EXE_porch")).env("INTENT", shop.intent(5));
    let allowed = Command::new("unshare").args(["--mount", "true"]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        eprintln!("NOT TESTED: mounts of one's own need root and are not allowed here");
        return None;
    }
    Some(Run::of(&command.output().unwrap()))
}

#[test]
fn a_file_that_is_a_mount_is_named_and_a_package_that_is_one_is_edited() {
    let shop = Shop::new();
    let before = shop.read(FILE);
    let mounted =
        format!("touch held; cp {FILE} held; mount --bind held {FILE}; exec $PORCH -intent $INTENT -out out");
    let Some(run) = in_own_mounts(&shop, &mounted) else { return };
    run.refused(
        73,
        "is a mount of its own (a bind-mounted file) and cannot be replaced; mount the directory it is in",
    );
    assert_eq!(shop.read(FILE), before);
    shop.scale(3, &["-structured"]).line();
    let package = "out/shop/web-scaling-patch";
    let mounted = format!(
        "mount --bind {package} {package}; exec $PORCH -intent $INTENT -out out -structured --kustomize"
    );
    in_own_mounts(&shop, &mounted).unwrap().line();
    assert!(shop.read(&format!("{package}/scaling-patch.yaml")).ends_with("replicas: 5\n"));
    assert!(shop.path(package).join("kustomization.yaml").exists());
}

#[test]
fn in_an_overlay_one_file_follows_the_other() {
    let shop = Shop::empty();
    shop.scale(3, &["-structured"]).line();
    std::fs::rename(shop.path("out"), shop.path("lower")).unwrap();
    std::fs::create_dir(shop.path("out")).unwrap();
    // Overlays do not lie on overlays.
    let script = "mkdir space; mount -t tmpfs tmpfs space; mkdir space/up space/work; \
                  mount -t overlay overlay -o lowerdir=lower,upperdir=space/up,workdir=space/work out || exit 99; \
                  $PORCH -intent $INTENT -out out -structured --kustomize; cp -r out/shop result; \
                  $PORCH -intent $INTENT -out out -structured --kustomize | grep -o '\"changed\":false'";
    let Some(run) = in_own_mounts(&shop, script) else { return };
    if run.code == 99 {
        eprintln!("NOT TESTED: this kernel makes no overlay here");
        return;
    }
    assert!(run.expect(0).stdout.contains("\"changed\":false"));
    let patch = shop.read("result/web-scaling-patch/scaling-patch.yaml");
    assert!(patch.ends_with("replicas: 5\n"), "{patch}");
    assert!(shop.path("result/web-scaling-patch/kustomization.yaml").exists());
    assert!(!shop.tree("result").keys().any(|name| name.contains("porch-tmp")));
}

#[test]
fn a_limit_of_a_files_size_is_told_as_a_full_disk() {
    let shop = Shop::new();
    let before = shop.tree("out");
    let command = format!(
        "ulimit -f 0; exec {} -intent {} -out out",
        env!("CARGO_BIN_EXE_porch"),
        shop.intent(5).display()
    );
    let output = Command::new("sh").args(["-c", &command]).current_dir(shop.path(".")).output().unwrap();
    Run::of(&output).refused(75, "File too large");
    assert_eq!(shop.tree("out"), before);
    shop.scale(5, &[]).line();
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let shop = Shop::new();
    let porch = env!("CARGO_BIN_EXE_porch");
    let intent = shop.intent(5).display().to_string();
    for words in ["--version".to_owned(), "--help".to_owned(), format!("-intent {intent} -out out")] {
        let command = format!("{porch} {words} >/dev/full");
        let output = Command::new("sh").args(["-c", &command]).current_dir(shop.path(".")).output().unwrap();
        Run::of(&output).refused(74, "standard output cannot be written");
    }
    assert!(shop.read(FILE).contains("replicas: 5 "), "the work is done");
    // A reader that went away needs no answer.
    let command = format!("{{ {porch} -intent {intent} -out out; echo $? >status; }} | true");
    Command::new("sh").args(["-c", &command]).current_dir(shop.path(".")).output().unwrap();
    assert_eq!(shop.read("status").trim(), "0");
}

#[test]
fn a_package_that_a_group_shares_stays_shared() {
    let shop = Shop::empty();
    shop.scale(3, &["-structured"]).line();
    let dir = shop.path("out/shop/web-scaling-patch");
    for path in [&shop.path("out/shop"), &dir] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o2775)).unwrap();
    }
    let group = std::fs::metadata(&dir).unwrap().gid();
    shop.scale(5, &["-structured", "--kustomize"]).line();
    let meta = std::fs::metadata(&dir).unwrap();
    assert_eq!((meta.mode() & 0o7777, meta.gid()), (0o2775, group));
}

#[test]
fn in_a_sandbox_without_set_group_id_packages_are_edited() {
    let shop = Shop::new();
    shop.scale(3, &["-structured"]).line();
    let (file, package) = (shop.path(FILE), shop.path("out/shop/web-scaling-patch"));
    for (path, mode) in [(&file, 0o2664), (&shop.path("out/shop"), 0o2775), (&package, 0o2750)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    for flags in [&[][..], &["-structured", "--kustomize"]] {
        let Some(mut command) = without_set_id(Path::new(env!("CARGO_BIN_EXE_porch"))) else { return };
        command
            .current_dir(shop.path("."))
            .arg("-intent")
            .arg(shop.intent(5))
            .args(["-out", "out"])
            .args(flags);
        Run::of(&command.output().unwrap()).line();
    }
    let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!(mode(&file), 0o664, "no program, so nothing is lost");
    assert_eq!(mode(&package), 0o2750, "made below such a directory, it has the bit by itself");
}

/// Sets or takes away the flag by which a directory only grows; false where that is not allowed.
fn only_grows(dir: &Path, flag: &str) -> bool {
    let mut command = Command::new("chattr");
    command.arg(flag).arg(dir).output().is_ok_and(|output| output.status.success())
}

#[test]
fn in_a_directory_that_only_grows_nothing_is_begun() {
    let left = |dir: &Path| {
        rustix::fs::statat(CWD, dir.join(".porch-tmp"), rustix::fs::AtFlags::SYMLINK_NOFOLLOW).is_ok()
    };
    // An edit, a new package, and a package that several files of change.
    for (dir, target, flags) in [
        ("out/shop/web", "web", &[][..]),
        ("out/shop", "api", &[]),
        ("out/shop", "web", &["-structured", "--kustomize"]),
    ] {
        let shop = Shop::new();
        shop.scale(3, &["-structured"]).line();
        let before = shop.tree("out");
        let path = shop.path(dir);
        if !only_grows(&path, "+a") {
            eprintln!("NOT TESTED: chattr +a is not allowed here");
            return;
        }
        let run = shop.porch(&shop.intent_for(target, 5, ""), flags);
        let is_left = left(&path);
        assert!(only_grows(&path, "-a") && !is_left, "{dir}: {}", run.stderr);
        run.refused(73, "chattr +a");
        assert!(shop.tree("out") == before, "{dir}");
    }
}

#[test]
fn an_empty_directory_that_is_a_mount_is_named() {
    let shop = Shop::new();
    let script = "mkdir -p out/shop/web-scaling-patch held; mount --bind held out/shop/web-scaling-patch; \
                  exec $PORCH -intent $INTENT -out out -structured";
    let Some(run) = in_own_mounts(&shop, script) else { return };
    run.refused(73, "is an empty directory that is a mount of its own");
    assert!(!shop.tree("out").keys().any(|name| name.contains("porch-tmp")));
}
