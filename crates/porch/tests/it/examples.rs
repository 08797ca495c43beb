//! The packages under examples/written are the program's output, byte for byte, and common tools accept them.
//! `UPDATE_EXAMPLES=1 cargo test -p conductor-porch` writes them anew.

use crate::has;
use crate::shop::{Shop, WEB, tree};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");

/// Form, whether the owning package exists before, flags.
const FORMS: [(&str, bool, &[&str]); 5] = [
    ("edited", true, &[]),
    ("from-base", false, &["--base", WEB]),
    ("partial", false, &[]),
    ("structured", false, &["-structured"]),
    ("component", false, &["-structured", "--kustomize"]),
];

fn written(form: &str) -> PathBuf {
    Path::new(EXAMPLES).join("written").join(form)
}

#[test]
fn the_examples_are_what_is_written() {
    let intent = Path::new(EXAMPLES).join("intent-scale-web.json");
    for (form, owned, flags) in FORMS {
        let shop = if owned { Shop::new() } else { Shop::empty() };
        shop.porch(&intent, flags).line();
        let content =
            |root: &Path| tree(root).into_iter().map(|(path, (_, text))| (path, text)).collect::<Vec<_>>();
        let made = content(&shop.path("out"));
        if std::env::var_os("UPDATE_EXAMPLES").is_some() {
            let _ = fs::remove_dir_all(written(form));
            for (path, text) in &made {
                let path = written(form).join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
        }
        assert!(
            made == content(&written(form)),
            "examples/written/{form} is not what is written; run with UPDATE_EXAMPLES=1"
        );
    }
}

/// What a directory renders to: the objects by kind, or the renderer's error.
fn render(dir: &Path) -> Result<Vec<Value>, String> {
    let text = conductor_testkit::render(dir)?;
    let documents = text.split("\n---\n").map(|document| {
        // The relevant lines of each object; the renderer has checked the YAML.
        let value = |key: &str| document.lines().find_map(|line| line.strip_prefix(key)).map(str::to_owned);
        serde_json::json!({"kind": value("kind: "), "name": value("  name: "), "replicas": value("  replicas: ")})
    });
    Ok(documents.collect())
}

fn replicas(objects: &[Value]) -> Vec<&str> {
    let deployments = objects.iter().filter(|object| object["kind"] == "Deployment");
    deployments.filter_map(|object| object["replicas"].as_str()).collect()
}

#[test]
fn kustomize_renders_each_form_with_the_new_number() {
    assert_eq!(replicas(&render(Path::new(WEB)).unwrap()), ["2"]);
    for form in ["edited", "from-base"] {
        let objects = render(&written(form).join("shop/web")).unwrap();
        assert_eq!((objects.len(), replicas(&objects)), (2, vec!["5"]), "{form}");
    }
    // The partial object is the whole package.
    let temp = tempfile::tempdir().unwrap();
    let copy = |from: &Path, to: &str| {
        fs::create_dir_all(temp.path().join(to)).unwrap();
        for (path, (_, content)) in tree(from) {
            fs::write(temp.path().join(to).join(path), content).unwrap();
        }
    };
    copy(&written("partial").join("shop/web-scaling"), "partial");
    fs::write(temp.path().join("partial/kustomization.yaml"), "resources: [deployment.yaml]\n").unwrap();
    assert_eq!(replicas(&render(&temp.path().join("partial")).unwrap()), ["5"]);
    // The component changes the owning package, and nothing else.
    copy(&written("component").join("shop/web-scaling-patch"), "component");
    copy(Path::new(WEB), "web");
    fs::write(temp.path().join("kustomization.yaml"), "resources: [web]\ncomponents: [component]\n").unwrap();
    let objects = render(temp.path()).unwrap();
    assert_eq!((objects.len(), replicas(&objects)), (2, vec!["5"]));
    // Without its object the build fails.
    fs::write(temp.path().join("kustomization.yaml"), "components: [component]\n").unwrap();
    let complaint = render(temp.path()).unwrap_err();
    assert!(complaint.contains("no matches for Id Deployment"), "{complaint}");
}

#[test]
fn kpt_takes_each_form() {
    if !has("kpt") {
        return;
    }
    for (form, _, _) in FORMS {
        let temp = tempfile::tempdir().unwrap();
        let place = fs::read_dir(written(form).join("shop")).unwrap().next().unwrap().unwrap().path();
        for (path, (_, content)) in tree(&place) {
            fs::write(temp.path().join(path), content).unwrap();
        }
        let before = tree(temp.path());
        let kpt = |words: &[&str]| {
            let output = Command::new("kpt").args(words).arg(temp.path()).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{form}: kpt {words:?}: {said}");
        };
        kpt(&["fn", "render"]);
        kpt(&["pkg", "tree"]);
        if matches!(form, "partial" | "structured" | "component") {
            // All of this is ours, in kpt's layout.
            let ours = |path: &str| Path::new(path).extension().is_some_and(|end| end == "yaml");
            let (mut before, mut after) = (before, tree(temp.path()));
            before.retain(|path, _| ours(path));
            after.retain(|path, _| ours(path));
            assert!(before == after, "{form}: kpt lays the package out anew");
        }
    }
}
