//! The life of a cluster as the machine sees it: prepared, launched, used, ended, and nothing of it left.

use super::parts::{self, Parts};
use super::place::{place, run_place};
use super::stop::Stop;
use super::{groups, image};
use crate::dist::{self, output};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The first process of a cluster that runs, as this process sees it.
fn running() -> Option<u32> {
    let pid = std::fs::read_to_string(run_place().join("pid")).ok()?.trim().parse().ok()?;
    // The number may be another process's by now.
    let name = std::fs::read_to_string(Path::new("/proc").join(format!("{pid}")).join("comm")).ok()?;
    (name.trim() == "unshare").then_some(pid)
}

/// Everything that is needed, and the files of a new cluster.
fn prepared(prebuilt: bool) -> Result<(), Stop> {
    if running().is_some() {
        return Err(Stop::Failed("a cluster runs already: cargo xtask cluster down".to_owned()));
    }
    // What is left of one that was killed.
    if run_place().exists() {
        clear()?;
    }
    parts::ready(&place())?;
    if !prebuilt {
        let failed = |error| Stop::Failed(format!("building the static programs: {error}"));
        dist::build_programs().map_err(failed)?;
    }
    std::fs::create_dir_all(run_place().join("log")).map_err(|error| error.to_string())?;
    image::write_all(&run_place())?;
    Ok(())
}

/// Starts this program again, as the first process of namespaces of its own.
fn launch(what: &str, output: Stdio, errors: Stdio) -> Result<Child, String> {
    let failed = |error: std::io::Error| error.to_string();
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.arg(std::env::current_exe().map_err(failed)?).args(["cluster", "inside", what]);
    // Not in the terminal's process group: a cluster outlives the command that brought it up.
    let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0).spawn();
    let child = child.map_err(failed)?;
    std::fs::write(run_place().join("pid"), child.id().to_string()).map_err(failed)?;
    Ok(child)
}

pub(super) fn test(prebuilt: bool) -> Result<String, Stop> {
    prepared(prebuilt)?;
    let mut child = launch("test", Stdio::inherit(), Stdio::inherit())?;
    let status = child.wait().map_err(|error| error.to_string())?;
    let kept = place().join("log-of-the-last-failure");
    let was_up = run_place().join("ready").exists();
    if !status.success() {
        if kept.exists() {
            std::fs::remove_dir_all(&kept).map_err(|error| error.to_string())?;
        }
        std::fs::rename(run_place().join("log"), &kept).map_err(|error| error.to_string())?;
    }
    clear()?;
    if status.success() {
        return Ok("the manifests of deploy/kubernetes work on a cluster".to_owned());
    }
    let logs = format!("its logs are in {}", kept.display());
    // A machine on which no cluster comes up says nothing about the manifests.
    Err(if was_up {
        Stop::Failed(format!("the cluster's test failed; {logs}"))
    } else {
        Stop::NotTested(format!("the cluster did not come up; {logs}"))
    })
}

pub(super) fn up(prebuilt: bool) -> Result<String, Stop> {
    prepared(prebuilt)?;
    let log =
        std::fs::File::create(run_place().join("log/cluster.log")).map_err(|error| error.to_string())?;
    let mut child = launch("up", Stdio::null(), log.into())?;
    let ready = run_place().join("ready");
    while !ready.exists() {
        if let Ok(Some(status)) = child.try_wait() {
            return Err(Stop::Failed(format!(
                "it ended with {status}; logs in {}",
                run_place().join("log").display()
            )));
        }
        std::thread::sleep(Duration::from_millis(200)); // Another process cannot wake us.
    }
    let kubectl = Parts::at(&place()).kubernetes.join("kubectl");
    Ok(format!(
        "up. nsenter --net --mount --pid --target $(pgrep -P {}) {} --kubeconfig {} get pods -A",
        child.id(),
        kubectl.display(),
        run_place().join("admin.conf").display()
    ))
}

pub(super) fn down() -> Result<String, String> {
    if let Some(pid) = running() {
        // unshare ignores TERM while its child runs.
        output(Command::new("kill").args(["-KILL", &pid.to_string()]))?;
        // `unshare --kill-child` ends the first process of the namespace, and the kernel all others with it.
        dist::wait_for("the end of the cluster", || running().is_none())?;
    }
    clear()?;
    Ok("down".to_owned())
}

/// Removes what a cluster leaves outside its namespaces: its files and its empty control groups.
fn clear() -> Result<(), String> {
    dist::wait_for("its control groups to be empty", || {
        groups::made().iter().all(|path| groups::remove(path))
    })?;
    match std::fs::remove_dir_all(run_place()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", run_place().display()))
        }
        _ => Ok(()),
    }
}
