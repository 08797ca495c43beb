//! The command line's contract: exit statuses, the result line, the dry run, and files that stay untouched.

use crate::shop::{Run, Shop};
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn a_scaling_changes_one_value_of_the_owning_package() {
    let shop = Shop::new();
    let before = shop.tree("out");
    let line = shop.scale(5, &["--result", "result.json"]).line();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&shop.read("result.json")).unwrap(), line);
    assert_eq!(line["replicas"], serde_json::json!({"from": 2, "to": 5}));
    assert_eq!(
        (line["package"].as_str(), line["file"].as_str()),
        (Some("out/shop/web"), Some("deployment.yaml"))
    );
    assert_eq!((line["changed"].as_bool(), line["dry_run"].as_bool()), (Some(true), Some(false)));
    let after = shop.tree("out");
    for (path, was) in &before {
        let wanted = if path == "shop/web/deployment.yaml" {
            let text = String::from_utf8(was.1.clone()).unwrap();
            let text = text.replace("  replicas: 2   # scaled", "  replicas: 5   # scaled");
            (was.0, text.into_bytes())
        } else {
            was.clone()
        };
        assert_eq!(after.get(path), Some(&wanted), "{path}");
    }
    assert_eq!(after.len(), before.len());
}

#[test]
fn what_is_already_so_is_not_written_again() {
    let shop = Shop::new();
    let file = shop.path("out/shop/web/deployment.yaml");
    let identity =
        || fs::metadata(&file).map(|meta| (meta.ino(), meta.mtime_nsec(), meta.ctime_nsec())).unwrap();
    let before = identity();
    let line = shop.scale(2, &[]).line();
    assert_eq!((line["changed"].as_bool(), line["files"].as_array().map(Vec::len)), (Some(false), Some(0)));
    assert_eq!(identity(), before);
    for flags in [&[][..], &["-structured"], &["-structured", "--kustomize"]] {
        let other = Shop::empty();
        other.scale(4, flags).line();
        let before = other.tree("out");
        assert_eq!(other.scale(4, flags).line()["changed"], false, "{flags:?}");
        assert_eq!(other.tree("out"), before);
    }
}

#[test]
fn the_same_intent_gives_the_same_bytes_everywhere() {
    for flags in [&[][..], &["-structured"], &["-structured", "--kustomize"], &["--base", crate::shop::WEB]] {
        let (one, two) = (Shop::empty(), Shop::empty());
        one.scale(4, flags).line();
        two.scale(9, flags).line();
        two.scale(4, flags).line();
        assert_eq!(one.tree("out"), two.tree("out"), "{flags:?}");
    }
}

#[test]
fn a_dry_run_shows_a_diff_that_patch_would_take_and_writes_nothing() {
    let shop = Shop::new();
    let before = shop.tree("out");
    let run = shop.scale(5, &["--dry-run"]).expect(0);
    let expected = "--- a/out/shop/web/deployment.yaml\n+++ b/out/shop/web/deployment.yaml\n";
    assert!(run.stdout.starts_with(expected), "{}", run.stdout);
    let changed: Vec<&str> = run.stdout.lines().filter(|line| line.starts_with(['+', '-'])).skip(2).collect();
    assert_eq!(
        changed,
        ["-  replicas: 2   # scaled by conductor-loop", "+  replicas: 5   # scaled by conductor-loop"]
    );
    assert_eq!(shop.tree("out"), before);
    assert_eq!(shop.scale(2, &["--dry-run"]).expect(0).stdout, "");
    let new = Shop::empty();
    let diff = new.scale(5, &["--dry-run", "-structured"]).expect(0).stdout;
    assert!(diff.contains("--- /dev/null\n+++ b/out/shop/web-scaling-patch/Kptfile\n"), "{diff}");
    assert!(new.tree("out").is_empty() && !new.path("out/shop").exists());
}

#[test]
fn mode_and_owner_of_an_edited_file_are_kept() {
    use std::os::unix::fs::PermissionsExt;
    let shop = Shop::new();
    let file = shop.path("out/shop/web/deployment.yaml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o604)).unwrap();
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if root {
        std::os::unix::fs::chown(&file, Some(1234), Some(4321)).unwrap();
    } else {
        eprintln!("NOT TESTED: keeping another owner needs root");
    }
    shop.scale(5, &[]).line();
    let meta = fs::metadata(&file).unwrap();
    assert_eq!(meta.mode() & 0o7777, 0o604);
    assert!(!root || (meta.uid(), meta.gid()) == (1234, 4321));
}

#[test]
fn every_failure_has_its_exit_status_and_says_what_to_do() {
    let shop = Shop::new();
    let good = shop.intent(5);
    let too_many = shop.intent(101);
    let not_json = shop.put("intent-broken.json", "{");
    let routes = "[[route]]\nnamespace = \"other\"\n";
    shop.put("routes.toml", routes);
    shop.put("out/shop/odd/x.yaml", "a: [\n# odd\n");
    let odd = shop.intent_for("odd", 3, "");
    let named = shop.intent_for("web", 7, r#","constraints":{"porch_repository":"core"}"#);
    let cases: [(i32, &str, &Path, &[&str]); 9] = [
        (64, "required", &good, &[]),
        (64, "unexpected argument", &good, &["-out", "out", "--colour"]),
        (65, "E215", &too_many, &["-out", "out"]),
        (65, "E204", &not_json, &["-out", "out"]),
        (66, "cannot be read", Path::new("nowhere.json"), &["-out", "out"]),
        (73, "E308", &good, &["-out", "routes.toml/out"]),
        (73, "E310", &odd, &["-out", "out"]),
        (77, "E309", &good, &["-out", "out", "--routes", "routes.toml"]),
        (77, "names the repository 'core'", &named, &["-out", "out"]),
    ];
    for (code, reason, intent, flags) in cases {
        let run = Run::of(&shop.command(intent, flags).output().unwrap());
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{reason}: {}", run.stderr);
        assert!(run.stderr.contains(reason), "'{reason}' is not in: {}", run.stderr);
        let explained = code < 73 || run.stderr.contains("what to do: ");
        assert!(explained && !run.stderr.contains("conductor-loop retry"), "{}", run.stderr);
    }
    for word in ["--help", "-h", "--version", "-version"] {
        let output = Command::new(env!("CARGO_BIN_EXE_porch")).arg(word).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{word}");
        assert!(!output.stdout.is_empty() && output.stderr.is_empty(), "{word}");
    }
}

#[test]
fn each_type_of_intent_has_a_package_form_or_is_refused_with_a_code() {
    let flat = |kind: &str, more: &str| {
        format!(r#"{{"intent_type":"{kind}","target":"web","namespace":"shop"{more}}}"#)
    };
    let kube = |kind: &str, spec: &str| {
        let head =
            format!(r#""apiVersion":"v1","kind":"{kind}","metadata":{{"name":"web","namespace":"shop"}}"#);
        format!(r#"{{{head},"spec":{{{spec}}}}}"#)
    };
    let cases = [
        (flat("scaling", r#","replicas":4"#), 0),
        (kube("ScalingIntent", r#""replicas":4"#), 0),
        (flat("deployment", r#","replicas":4"#), 65),
        (flat("service", ""), 65),
        (flat("configuration", ""), 65),
        (kube("NetworkIntent", ""), 65),
        (kube("DeploymentIntent", ""), 65),
        (kube("ServiceIntent", ""), 65),
        (kube("ResourceIntent", ""), 65),
        (kube("ScalingIntent", ""), 65),
    ];
    for (number, (text, code)) in cases.into_iter().enumerate() {
        let shop = Shop::empty();
        let intent = shop.put(&format!("intent-{number}.json"), &text);
        let run = shop.porch(&intent, &[]).expect(code);
        assert_eq!(code == 0, shop.path("out/shop/web-scaling").exists(), "{text}");
        // An intent that scales without a number is refused before it reaches the engine.
        let reason = if text.contains("ScalingIntent") { "E213" } else { "E307" };
        assert!(code == 0 || run.stderr.contains(reason), "{text}: {}", run.stderr);
    }
}

#[test]
fn more_than_one_changed_file_appears_at_once() {
    let shop = Shop::empty();
    shop.scale(3, &["-structured"]).line();
    shop.put("out/shop/web-scaling-patch/notes/why.txt", "because\n");
    std::os::unix::fs::symlink("why.txt", shop.path("out/shop/web-scaling-patch/notes/link")).unwrap();
    let before = shop.tree("out");
    // The Component is added and the value changed: two files.
    let line = shop.scale(6, &["-structured", "--kustomize"]).line();
    assert_eq!(line["files"], serde_json::json!(["scaling-patch.yaml", "kustomization.yaml"]));
    let after = shop.tree("out");
    assert_eq!(after.len(), before.len() + 1);
    for (path, was) in before.iter().filter(|(path, _)| !path.ends_with("scaling-patch.yaml")) {
        assert_eq!(after.get(path), Some(was), "{path}");
    }
    assert!(shop.read("out/shop/web-scaling-patch/scaling-patch.yaml").ends_with("replicas: 6\n"));
}

#[test]
fn the_setter_of_a_base_is_looked_up_in_the_base() {
    let shop = Shop::empty();
    let deployment = fs::read_to_string(Path::new(crate::shop::WEB).join("deployment.yaml")).unwrap();
    shop.put(
        "base/deployment.yaml",
        deployment.replace("replicas: 2 ", "replicas: 2 # kpt-set: ${replicas}\n#"),
    );
    let kptfile = |value: &str| {
        let head = "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata: {name: web}\npipeline:\n  mutators:\n";
        format!("{head}  - image: apply-setters:v0.2\n    configMap:{value}\n")
    };
    shop.put("base/Kptfile", kptfile("\n      image: x\n      replicas: \"2\""));
    shop.scale(5, &["--base", "base"]).refused(73, "change the setter (replicas stands at base/Kptfile:9)");
    // A setter of the same name in the output directory is another one.
    shop.put("base/Kptfile", kptfile(" {image: x}"));
    shop.put("out/shop/Kptfile", kptfile(" {replicas: \"4\"}"));
    let run = shop.scale(5, &["--base", "base"]).expect(73);
    assert!(!run.stderr.contains("stands at"), "{}", run.stderr);
}

#[test]
fn a_base_is_copied_whole_and_its_value_set() {
    use std::os::unix::fs::PermissionsExt;
    let shop = Shop::new();
    let script = shop.put("out/shop/web/hooks/check.sh", "#!/bin/sh\n");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(shop.path("out/shop/web"), shop.path("base")).unwrap();
    let line = shop.scale(5, &["--base", "base"]).line();
    assert_eq!(
        (line["package"].as_str(), line["replicas"]["from"].as_u64()),
        (Some("out/shop/web"), Some(2))
    );
    let (base, copy) = (shop.tree("base"), shop.tree("out/shop/web"));
    assert_eq!(base.keys().collect::<Vec<_>>(), copy.keys().collect::<Vec<_>>());
    for (path, (mode, content)) in &base {
        let (copied_mode, copied) = copy.get(path).unwrap();
        assert_eq!(mode & 0o100, copied_mode & 0o100, "{path}");
        assert_eq!(path == "deployment.yaml", content != copied, "{path}");
    }
    // Once the package exists, it is edited and the base is not read.
    fs::rename(shop.path("base"), shop.path("moved")).unwrap();
    shop.scale(6, &[]).line();
    assert!(shop.read("out/shop/web/deployment.yaml").contains("  replicas: 6   # scaled"));
}

#[test]
fn an_intent_on_standard_input_and_a_missing_output_directory() {
    let shop = Shop::empty();
    let intent = fs::read(shop.intent(5)).unwrap();
    let mut command = shop.command(Path::new("-"), &["-out", "new/out"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&intent).unwrap();
    let line = Run::of(&child.wait_with_output().unwrap()).line();
    assert_eq!((&line["package"], &line["partial"]), (&"new/out/shop/web-scaling".into(), &true.into()));
    assert!(shop.read("new/out/shop/web-scaling/deployment.yaml").ends_with("replicas: 5\n"));
    let broken =
        Run::of(&shop.command(Path::new("-"), &["-out", "new/out"]).stdin(Stdio::null()).output().unwrap());
    broken.expect(65);
}

/// A program in namespaces of its own, where it may mount.
fn apart(shop: &Shop, script: &str) -> Option<Run> {
    let tried = Command::new("unshare").args(["-Urm", "true"]).status();
    if !tried.is_ok_and(|status| status.success()) {
        eprintln!("NOT TESTED: no mount namespace of one's own here");
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(["-Urm", "sh", "-ec", script]).current_dir(shop.path("."));
    command.env("PORCH", env!("CARGO_BIN_EXE_porch")).env("INTENT", shop.intent(5));
    Some(Run::of(&command.output().unwrap()))
}

#[test]
fn a_manifest_that_is_a_mount_is_named_as_one() {
    let shop = Shop::new();
    let file = shop.read("out/shop/web/deployment.yaml");
    shop.put("kept.yaml", &file);
    let script =
        "mount --bind kept.yaml out/shop/web/deployment.yaml; exec \"$PORCH\" -intent \"$INTENT\" -out out";
    if let Some(run) = apart(&shop, script) {
        run.refused(73, "deployment.yaml cannot be used: is a mount of its own (a bind-mounted file)");
        assert_eq!(shop.read("kept.yaml"), file);
        assert!(!shop.path("out/shop/web/.porch-tmp").exists());
    }
}

#[test]
fn a_package_of_a_lower_layer_is_changed_file_by_file() {
    let shop = Shop::empty();
    shop.scale(3, &["-structured"]).line();
    for dir in ["upper", "work", "merged"] {
        fs::create_dir(shop.path(dir)).unwrap();
    }
    let script = "mount -t tmpfs none upper; mkdir upper/up upper/work; \
                  mount -t overlay -o lowerdir=out,upperdir=upper/up,workdir=upper/work none merged; \
                  \"$PORCH\" -intent \"$INTENT\" -out merged -structured --kustomize >/dev/null; \
                  cd merged/shop/web-scaling-patch; ls -A; tail -n 1 scaling-patch.yaml; head -n 3 kustomization.yaml | tail -n 1";
    let Some(run) = apart(&shop, script) else { return };
    if run.stderr.contains("mount") {
        eprintln!("NOT TESTED: no overlay file system here: {}", run.stderr);
        return;
    }
    let run = run.expect(0);
    assert_eq!(
        run.stdout,
        "Kptfile\nREADME.md\nkustomization.yaml\nscaling-patch.yaml\n  replicas: 5\napiVersion: kustomize.config.k8s.io/v1alpha1\n"
    );
}

#[test]
fn a_result_goes_where_it_is_led_and_replaces_no_device_link_or_pipe() {
    let shop = Shop::new();
    let result = |name: &str| shop.scale(5, &["--result", name]);
    // A link leads to the file that is written; the link stays.
    shop.put("results/there.json", "old");
    std::os::unix::fs::symlink("results/there.json", shop.path("link.json")).unwrap();
    result("link.json").line();
    assert!(fs::symlink_metadata(shop.path("link.json")).unwrap().is_symlink());
    assert!(shop.read("results/there.json").contains("\"replicas\""));
    // A pipe is written into, as a device is.
    let pipe = shop.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read_to_string(pipe).unwrap()
    });
    result("pipe").line();
    assert!(!fs::metadata(&pipe).unwrap().is_file(), "the pipe is replaced by a file");
    assert!(reader.join().unwrap().contains("\"replicas\""));
    // Standard output is a file here: both lines are in it.
    let mut command = shop.command(&shop.intent(5), &["-out", "out", "--result", "/dev/stdout"]);
    let both = fs::File::create(shop.path("both")).unwrap();
    assert!(command.stdout(both).status().unwrap().success());
    assert_eq!(shop.read("both").lines().count(), 2, "{}", shop.read("both"));
    // What cannot be replaced leaves no draft, and a draft that somebody has laid there leads nowhere.
    fs::create_dir(shop.path("taken")).unwrap();
    result("taken").refused(73, "the result taken cannot be written");
    shop.put("victim", "mine");
    std::os::unix::fs::symlink("victim", shop.path("result.json.porch-tmp")).unwrap();
    result("result.json").line();
    assert_eq!(shop.read("victim"), "mine");
    let left: Vec<_> =
        fs::read_dir(shop.path(".")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("porch-tmp")), "{left:?}");
}

#[test]
fn an_argument_that_is_not_utf8_is_named() {
    use std::os::unix::ffi::OsStrExt;
    let shop = Shop::new();
    let mut command = shop.command(&shop.intent(5), &["-out", "out", "--git", "repo", "--branch"]);
    let said = Run::of(&command.arg(std::ffi::OsStr::from_bytes(b"ma\xffin")).output().unwrap());
    said.refused(64, "not UTF-8: --branch 'ma\u{fffd}in'");
}
