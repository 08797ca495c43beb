//! The container image: built from scratch with the static programs, run without any privilege it does not need.

use super::place::root;
use super::process::{ensure, output, wait_for};
use super::programs::mib;
use super::trial::{Tried, example, succeeded};
use conductor_testkit::has;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

const NAME: &str = "conductor-loop:latest";
/// The largest accepted size of the image.
const SIZE_MAX: usize = 15 << 20;
/// The image's user.
const NOBODY: u32 = 65_534;

fn docker(words: &[&str]) -> Result<String, String> {
    // Docker's classic builder is part of the engine; the newer one is a plugin that may be missing.
    output(Command::new("docker").args(words).env("DOCKER_BUILDKIT", "0").current_dir(root()))
}

/// The reason the image cannot be tried on this machine, if any.
fn impossible() -> Option<&'static str> {
    let runs =
        has("docker") && Command::new("docker").arg("info").output().is_ok_and(|out| out.status.success());
    (!runs).then_some("a running docker engine is needed")
}

/// A handoff and an output directory that belong to the image's user.
fn directories() -> Result<tempfile::TempDir, String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let made = (|| {
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755))?;
        for name in ["handoff", "output"] {
            let path = directory.path().join(name);
            std::fs::create_dir(&path)?;
            chown(&path, Some(NOBODY), Some(NOBODY))?;
        }
        std::io::Result::Ok(())
    })();
    made.map_err(|error| error.to_string()).map(|()| directory)
}

fn build() -> Result<(), String> {
    docker(&[
        "build",
        "--quiet",
        "--file",
        "deploy/docker/Dockerfile",
        "--target",
        "prebuilt",
        "--tag",
        NAME,
        ".",
    ])
    .map(drop)
}

pub(super) fn run(_: &Path) -> Result<Tried, String> {
    if let Some(why) = impossible() {
        return Ok(Tried::NotTested(why));
    }
    build()?;
    let size = docker(&["image", "inspect", "--format", "{{.Size}}", NAME])?;
    let size: usize = size.trim().parse().map_err(|error| format!("{size}: {error}"))?;
    ensure(size < SIZE_MAX, || format!("the image has {size} bytes"))?;
    let directories = directories()?;
    let mount = |name: &str, to: &str| format!("{}:{to}", directories.path().join(name).display());
    let words = [
        &[
            "run",
            "--detach",
            "--read-only",
            "--cap-drop",
            "ALL",
            "--network",
            "none",
            "--security-opt",
            "no-new-privileges",
        ][..],
        &["--volume", &mount("handoff", "/handoff"), "--volume", &mount("output", "/out"), NAME],
    ];
    let container = docker(&words.concat())?.trim().to_owned();
    let worked = used(&container, &directories.path().join("handoff"));
    let logs = Command::new("docker").args(["logs", &container]).output();
    let logs = logs.map(|out| String::from_utf8_lossy(&out.stderr).into_owned()).unwrap_or_default();
    docker(&["rm", "--force", &container])?;
    worked.map_err(|reason| format!("{reason}\n{logs}"))?;
    Ok(Tried::Good(format!(
        "{:.1} MiB, read-only, without capability or network, healthy, one intent done",
        mib(size)
    )))
}

fn used(container: &str, handoff: &Path) -> Result<(), String> {
    let state = |what: &str| docker(&["inspect", "--format", what, container]).unwrap_or_default();
    wait_for("a healthy container", || state("{{.State.Health.Status}}").trim() == "healthy")?;
    let (file, name) = example();
    std::fs::copy(file, handoff.join(name)).map_err(|error| error.to_string())?;
    wait_for("the status", || succeeded(handoff, name))?;
    let listed = docker(&["exec", container, "/usr/local/bin/conductor-loop", "list"])?;
    ensure(listed.contains(name), || listed)?;
    let shell = docker(&["exec", container, "/bin/sh", "-c", "true"]);
    ensure(shell.is_err(), || "there is a shell in the image".to_owned())?;
    docker(&["stop", container])?;
    let code = state("{{.State.ExitCode}}");
    ensure(code.trim() == "0", || format!("it ended with {code}"))
}

pub(super) fn compose(_: &Path) -> Result<Tried, String> {
    if let Some(why) = impossible() {
        return Ok(Tried::NotTested(why));
    }
    if !has("docker-compose") {
        return Ok(Tried::NotTested("docker-compose is not installed"));
    }
    build()?;
    let directories = directories()?;
    let file = root().join("deploy/docker/compose.yaml");
    let compose = |words: &[&str]| {
        output(
            Command::new("docker-compose")
                .args(["--project-name", "conductor-loop-test", "--project-directory"])
                .arg(directories.path())
                .arg("--file")
                .arg(&file)
                .args(words),
        )
    };
    compose(&["up", "--detach"])?;
    let handoff = directories.path().join("handoff");
    let (example, name) = example();
    let worked = wait_for("the daemon", || handoff.join(".conductor/control").exists())
        .and_then(|()| std::fs::copy(example, handoff.join(name)).map_err(|error| error.to_string()))
        .and_then(|_| wait_for("the status", || succeeded(&handoff, name)));
    let logs = compose(&["logs", "--no-color"]).unwrap_or_default();
    compose(&["down"])?;
    worked.map_err(|reason| format!("{reason}\n{logs}"))?;
    let written = directories.path().join("output/oran-sim");
    ensure(written.exists(), || format!("{} is missing", written.display()))?;
    Ok(Tried::Good("up, one intent done in structured mode, down".to_owned()))
}
