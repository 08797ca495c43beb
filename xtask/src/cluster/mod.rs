//! `cargo xtask cluster up|down|test`: a whole Kubernetes of one node on this machine, from Debian's packages and the Go module
//! proxy, in namespaces of its own without any way out. Its first process holds all others: they end with it.

mod image;
mod instances;
mod keys;
mod node;
mod parts;
mod plane;
mod refusals;
mod restored;
mod steps;
mod work;

use crate::dist::{self, output, root};
use parts::Parts;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const HELP: &str = "\
cargo xtask cluster up | down | test [--prebuilt] [--require]

  up         brings the cluster up, with the image of this working copy, and says how to use it
  down       ends it; nothing stays but the programs that were fetched and built
  test       applies deploy/kubernetes to a cluster of its own and uses it: hand-in, rollouts, kills, drains, refusals
  --prebuilt takes target/dist/conductor-loop as it is, instead of building it
  --require  fails where the cluster cannot be brought up, instead of saying NOT TESTED

As root, with apt-get, Go 1.26, a C compiler. Programs are kept in target/cluster, or in conductor-loop below XDG_CACHE_HOME.";

/// Why there is no result.
pub(super) enum Stop {
    /// Something that the cluster needs is not here.
    NotTested(String),
    /// A defect.
    Failed(String),
}

impl From<String> for Stop {
    fn from(reason: String) -> Self {
        Self::Failed(reason)
    }
}

/// The report, and whether all went well.
pub(crate) fn run(words: &[String]) -> (String, bool) {
    let word = |index: usize| words.get(index).map(String::as_str);
    let given = |flag: &str| words.iter().any(|word| word == flag);
    let required = given("--require");
    let flags: &[&str] =
        if matches!(word(1), Some("up" | "test")) { &["--prebuilt", "--require"] } else { &[] };
    let is_known = |given: &&String| word(1) == Some("inside") || flags.contains(&given.as_str());
    if let Some(unknown) = words.iter().skip(2).find(|given| !is_known(given)) {
        return (format!("'{unknown}' means nothing here\n{HELP}"), false);
    }
    let done = match (word(1), word(2)) {
        (Some("up"), _) => up(given("--prebuilt")),
        (Some("down"), None) => down().map_err(Stop::Failed),
        (Some("test"), _) => test(given("--prebuilt")),
        // What `up` and `test` start in the namespaces.
        (Some("inside"), Some(what)) => inside(what).map_err(Stop::Failed),
        (None | Some("--help" | "-h"), _) => Ok(HELP.to_owned()),
        (Some(unknown), _) => Err(Stop::Failed(format!("'{unknown}' means nothing here\n{HELP}"))),
    };
    match done {
        Ok(report) => (report, true),
        Err(Stop::NotTested(why)) => (format!("NOT TESTED: {why}"), !required),
        Err(Stop::Failed(reason)) => (reason, false),
    }
}

/// Where the programs are kept and one cluster has its files.
fn place() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty());
    cache.map_or_else(|| root().join("target/cluster"), |path| PathBuf::from(path).join("conductor-loop"))
}

fn run_place() -> PathBuf {
    place().join("run")
}

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

fn test(prebuilt: bool) -> Result<String, Stop> {
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

fn up(prebuilt: bool) -> Result<String, Stop> {
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

fn down() -> Result<String, String> {
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
        node::control_groups().iter().all(|path| node::remove(path))
    })?;
    match std::fs::remove_dir_all(run_place()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", run_place().display()))
        }
        _ => Ok(()),
    }
}

fn inside(what: &str) -> Result<String, String> {
    let cluster = Cluster { parts: Parts::at(&place()), run: run_place() };
    node::namespace(&cluster)?;
    keys::write(&cluster)?;
    plane::start(&cluster)?;
    node::start(&cluster)?;
    std::fs::write(cluster.run.join("ready"), "").map_err(|error| error.to_string())?;
    if what == "test" {
        return steps::run(&cluster);
    }
    loop {
        std::thread::park();
    }
}

/// A cluster, seen from inside its namespaces.
pub(super) struct Cluster {
    parts: Parts,
    run: PathBuf,
}

impl Cluster {
    /// Starts a program of the cluster, with its log; it ends with the namespace.
    fn daemon(&self, name: &str, program: &Path, arguments: &[String]) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("{name}: {error}");
        let log = std::fs::File::create(self.run.join(format!("log/{name}.log"))).map_err(failed)?;
        let errors = log.try_clone().map_err(failed)?;
        let mut command = Command::new(program);
        command.args(arguments).env("PATH", self.parts.path()).env("LD_LIBRARY_PATH", self.parts.libraries());
        command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn().map_err(failed)?;
        Ok(())
    }

    /// kubectl as the administrator.
    fn kubectl(&self) -> Command {
        let mut command = Command::new(self.parts.kubernetes.join("kubectl"));
        command.arg("--kubeconfig").arg(self.run.join("admin.conf")).current_dir(root());
        command
    }

    fn k(&self, words: &[&str]) -> Result<String, String> {
        output(self.kubectl().args(words))
    }

    /// kubectl with an object on standard input.
    fn k_with(&self, words: &[&str], input: &str) -> Result<String, String> {
        let file = self.run.join("input.yaml");
        std::fs::write(&file, input).map_err(|error| error.to_string())?;
        output(self.kubectl().args(words).arg("-f").arg(file))
    }

    /// The path of a file of this cluster as text.
    fn file(&self, name: &str) -> String {
        self.run.join(name).display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_mean_nothing_to_the_cluster_are_refused_and_start_nothing() {
        for (words, unknown) in [
            (&["cluster", "tset"][..], "'tset'"),
            (&["cluster", "test", "--prebuild"], "'--prebuild'"),
            (&["cluster", "up", "--prebuilt", "now"], "'now'"),
            (&["cluster", "down", "--require"], "'--require'"),
        ] {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            let (said, good) = run(&words);
            assert!(
                !good && said.starts_with(&format!("{unknown} means nothing here\n")),
                "{words:?}: {said}"
            );
        }
        for words in [&["cluster"][..], &["cluster", "--help"]] {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(run(&words), (HELP.to_owned(), true));
        }
    }
}
