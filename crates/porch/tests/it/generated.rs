//! Thousands of manifests in the style of real ones, edited by the library; an independent parser (libyaml, by way of
//! `PyYAML`) judges that exactly one path has changed, and whether the engine takes for YAML what it takes.

use conductor_core::intent::{Policy, judge};
use conductor_porch::{Engine, Order, Patience, Provenance, Settings};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judge/manifests.py");
const SEED: &str = "20261125";

/// The system's own first: other versions of Python may be before it in the path, without the parser.
pub(crate) fn python() -> Option<&'static str> {
    let has_parser = |python: &&&str| {
        Command::new(python).args(["-c", "import yaml"]).output().is_ok_and(|output| output.status.success())
    };
    let found = ["/usr/bin/python3", "python3"].iter().find(has_parser).copied();
    if found.is_none() {
        eprintln!("NOT TESTED: python3 with PyYAML is missing (python3-yaml)");
    }
    found
}

pub(crate) fn script(python: &str, words: &[&str]) -> Output {
    Command::new(python).arg(SCRIPT).args(words).output().unwrap()
}

/// Makes manifests, has each edited, and has what came out judged.
fn round(python: &str, (make, count): (&str, &str), judged_by: &str) {
    let temp = tempfile::tempdir().unwrap();
    let top = temp.path().to_str().unwrap();
    let output = script(python, &[make, top, count, SEED]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::write(temp.path().join("answers.tsv"), answers(temp.path())).unwrap();
    let judged = script(python, &[judged_by, top]);
    let said = String::from_utf8_lossy(&judged.stdout).into_owned();
    assert!(judged.status.success(), "{said}{}", String::from_utf8_lossy(&judged.stderr));
    assert!(said.contains(count), "{said}");
}

fn answers(top: &Path) -> String {
    let engine = Engine::new(Settings { durable: false, ..Settings::new(top.join("out")) });
    let mut answers = String::new();
    for line in fs::read_to_string(top.join("orders.tsv")).unwrap().lines() {
        let [namespace, target, replicas] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let text = format!(
            r#"{{"intent_type":"scaling","target":"{target}","namespace":"{namespace}","replicas":{replicas}}}"#
        );
        let order = Order {
            intent: judge(text.as_bytes(), Policy::default()).unwrap(),
            provenance: Provenance::default(),
            came: None,
        };
        let patience = Patience::new(Duration::from_secs(5), Duration::from_mins(1));
        let answer = match engine.apply(&order, &patience) {
            Ok(_) => "done".to_owned(),
            Err(error) => error.to_string().replace(['\t', '\n'], " "),
        };
        writeln!(answers, "{namespace}\t{target}\t{answer}").unwrap();
    }
    answers
}

#[test]
fn ten_thousand_manifests_change_in_one_path_as_another_parser_sees_it() {
    if let Some(python) = python() {
        round(python, ("make", "10000"), "judge");
    }
}

#[test]
fn what_is_yaml_is_what_another_parser_takes_in_both_directions() {
    if let Some(python) = python() {
        round(python, ("break", "3000"), "compare");
    }
}

const REAL_FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judge/real_files.py");

/// What docs/BENCHMARKS.md measures over the files of public repositories.
#[test]
fn real_files_of_a_directory_are_edited_and_judged() {
    let Some(python) = python() else { return };
    let temp = tempfile::tempdir().unwrap();
    let workload = |name: &str, rest: &str| {
        format!(
            "# kept\nkind: Deployment\napiVersion: apps/v1\nmetadata: {{name: {name}}}\n{rest}spec: {{template: {{}}}}\n"
        )
    };
    let scaler = "---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: c}\n\
                  spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: c}}\n";
    let files = [
        ("a.yaml", workload("a", "")),
        ("deep/b.yml", workload("b", "") + "---\n" + &workload("a", "")),
        ("c.yaml", workload("c", "") + scaler),
        ("twice.yaml", workload("a", "")),
        ("chart.yaml", workload("{{ .Name }}", "{{- if .More }}\n")),
        ("other.yaml", "kind: Service\n".to_owned()),
    ];
    for (name, text) in files {
        let path = temp.path().join("real").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let mut measure = Command::new(python);
    measure.arg(REAL_FILES).arg(env!("CARGO_BIN_EXE_porch")).arg(temp.path().join("real"));
    let output = measure.output().unwrap();
    let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let counted = "4 workloads: 3 exact (75.0 %), 1 refused, 0 wrong; 1 files are no YAML for this parser";
    assert!(output.status.success() && said.contains(counted), "{said}{failed}");
    assert!(said.contains("HorizontalPodAutoscaler"), "{said}");
}
