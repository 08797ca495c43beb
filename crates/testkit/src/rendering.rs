//! The program that renders a directory of manifests as `kubectl apply -k` applies it: kubectl or kustomize. It is a premise of
//! the tests that need it: a test of rendered manifests that renders none would hold nothing up.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// The programs that render, each with its word for it.
const RENDERERS: [[&str; 2]; 2] = [["kubectl", "kustomize"], ["kustomize", "build"]];

/// The first renderer in the directories of a search path.
fn renderer_in(path: &OsStr) -> Result<[&'static str; 2], String> {
    let is_in = |program: &str| std::env::split_paths(path).any(|dir| dir.join(program).is_file());
    RENDERERS.into_iter().find(|[program, _]| is_in(program)).ok_or_else(|| {
        "this test renders manifests, and neither kubectl nor kustomize is on PATH: install one of them; .ci/run \
         installs kustomize"
            .to_owned()
    })
}

/// The text of a directory's objects, or what the renderer complains of. Panics where no renderer is installed.
pub fn render(directory: &Path) -> Result<String, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let [program, word] = renderer_in(&path).unwrap_or_else(|missing| panic!("{missing}"));
    let output = Command::new(program).arg(word).arg(directory).output().expect("it was found");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// What the renderer says that it is, or its complaint. Panics where none is installed.
pub fn renderer_version() -> Result<String, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let [program, _] = renderer_in(&path).unwrap_or_else(|missing| panic!("{missing}"));
    // kustomize has no such flag, and kubectl would ask a cluster without it.
    let flags: &[&str] = if program == "kubectl" { &["--client"] } else { &[] };
    let output = Command::new(program).arg("version").args(flags).output().expect("it was found");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if output.status.success() {
        Ok(program.to_owned() + &text(output.stdout))
    } else {
        Err(text(output.stderr))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_renderer_a_test_of_rendered_manifests_fails_and_says_what_to_install() {
        let empty = tempfile::tempdir().unwrap();
        let missing = renderer_in(empty.path().as_os_str()).unwrap_err();
        assert!(missing.contains("neither kubectl nor kustomize is on PATH: install one"), "{missing}");
        for [program, word] in RENDERERS.iter().rev() {
            std::fs::write(empty.path().join(program), "").unwrap();
            assert_eq!(renderer_in(empty.path().as_os_str()), Ok([*program, *word]));
        }
    }
}
