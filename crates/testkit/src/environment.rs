//! A fresh directory per test: handoff, out, and a fake porch with a script.

use crate::daemon::{Finished, Running};
use crate::patience::wait_until;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

/// Path of one of this crate's programs. Built once per test process, because cargo builds for tests only the programs of
/// their own package.
pub fn tool(name: &str) -> &'static Path {
    static BUILT: OnceLock<Vec<PathBuf>> = OnceLock::new();
    let programs = BUILT.get_or_init(|| {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["build", "--quiet", "--bins", "--message-format=json", "--manifest-path", manifest])
            .output()
            .expect("cargo runs");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the test programs do not build: {complaint}");
        let messages = String::from_utf8_lossy(&output.stdout).into_owned();
        let programs = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        programs.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).collect()
    });
    programs.iter().find(|path| path.ends_with(name)).expect("one of this crate's programs")
}

/// Path of the built fake porch.
pub fn fake_porch() -> &'static Path {
    tool("fake-porch")
}

/// Whether a program is on PATH; if not, prints that the test is skipped.
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    if !found {
        eprintln!("NOT TESTED: {program} is not installed");
    }
    found
}

/// A line of /proc/PID/status in kB, such as `VmRSS:`; `None` when the process is gone.
pub fn memory_kb(pid: u32, line: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = status.lines().find_map(|of| of.strip_prefix(line))?;
    value.trim().trim_end_matches(" kB").parse().ok()
}

/// A flat scaling intent.
pub fn flat(target: &str, replicas: u32) -> String {
    format!(
        r#"{{"intent_type": "scaling", "target": "{target}", "namespace": "test", "replicas": {replicas}}}"#
    )
}

/// The user that the daemon runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestUser {
    /// The user who runs the tests.
    Current,
    /// uid 65534; only where the tests run as root.
    Nobody,
}

/// One recorded start of the fake porch.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its view of the world: argv, env, fds, cwd, intent, pid, umask.
    pub record: Value,
    /// Monotonic time of its start.
    pub begin_ns: u64,
    /// Monotonic time of its end; none if it was killed.
    pub end_ns: Option<u64>,
}

impl Call {
    /// The base name of the intent file it was given.
    pub fn intent_name(&self) -> String {
        let path = self.record["argv"][2].as_str().expect("-intent FILE");
        Path::new(path).file_name().expect("a file").to_string_lossy().into_owned()
    }

    /// The target in the intent's content.
    pub fn target(&self) -> String {
        self.record["target"].as_str().unwrap_or_default().to_owned()
    }
}

/// A directory for one test.
pub struct TestEnv {
    root: TempDir,
    program: PathBuf,
    user: TestUser,
    confined: bool,
}

impl TestEnv {
    /// Makes a fresh directory; `program` is the daemon under test.
    pub fn new(program: &str) -> Self {
        let base = fake_porch().parent().expect("a directory").join("test-directories");
        fs::create_dir_all(&base).expect("target is writable");
        let root = tempfile::Builder::new().prefix("t").tempdir_in(base).expect("target is writable");
        let env = Self { root, program: PathBuf::from(program), user: TestUser::Current, confined: true };
        for dir in ["handoff", "out", "bin", "bin/calls"] {
            fs::create_dir(env.path(dir)).expect("fresh");
        }
        fs::set_permissions(env.path("handoff"), fs::Permissions::from_mode(0o755)).expect("ours");
        // A hard link, not a copy: executing a file that was just written can fail with ETXTBSY in a threaded process.
        if fs::hard_link(fake_porch(), env.path("bin/porch")).is_err() {
            fs::copy(fake_porch(), env.path("bin/porch")).expect("copied");
        }
        env.script("*: exit=0");
        // The orphans of a killed daemon become ours: the init process around the tests may treat orphans in its own way.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).expect("Linux");
        env
    }

    /// The same environment for daemons of another user, in a directory that this user can reach.
    pub fn as_user(self, user: TestUser) -> Self {
        if user == TestUser::Current {
            return self;
        }
        let root = tempfile::Builder::new().prefix("conductor").tempdir().expect("a temporary directory");
        // By a helper process: a program that this process has just written may still be open in another thread's child.
        let copy = |from: &Path, to: &str| {
            let copied = Command::new("cp").arg("-r").arg(from).arg(root.path().join(to)).status();
            assert!(copied.expect("cp runs").success(), "copying {}", from.display());
        };
        copy(&self.path("handoff"), "handoff");
        copy(&self.path("out"), "out");
        copy(&self.path("bin"), "bin");
        copy(&self.program, "conductor-loop");
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("ours");
        for dir in ["", "handoff", "out", "bin", "bin/calls"] {
            std::os::unix::fs::chown(root.path().join(dir), Some(65534), Some(65534))
                .expect("tests run as root");
        }
        Self { program: root.path().join("conductor-loop"), root, user, confined: self.confined }
    }

    /// The same environment for daemons that confine nothing, for porches that do what a confined one cannot.
    pub fn unconfined(mut self) -> Self {
        self.confined = false;
        self
    }

    /// Whether daemons of this environment run as another user.
    pub fn is_other_user(&self) -> bool {
        self.user != TestUser::Current
    }

    /// The daemon under test.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// A path below the environment.
    pub fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    /// A path below the handoff directory.
    pub fn handoff(&self, below: &str) -> PathBuf {
        self.path("handoff").join(below)
    }

    /// Sets the fake porch's script: lines of `TARGET: step step`; `*` matches all.
    pub fn script(&self, text: &str) {
        let draft = self.path("bin/script.draft");
        fs::write(&draft, text)
            .and_then(|()| fs::rename(&draft, self.path("bin/porch.script")))
            .expect("written");
    }

    /// Releases fake porches that wait for this name.
    pub fn release(&self, name: &str) {
        fs::write(self.path("bin/calls").join(name), "").expect("written");
    }

    /// Writes a file into the handoff directory, by temporary file and rename.
    pub fn drop_file(&self, name: &str, content: impl AsRef<[u8]>) {
        self.try_drop_file(name, content).expect("dropped");
    }

    /// Like `drop_file`, but returns the error. Works within the handoff directory, which may be a file system of its own.
    pub fn try_drop_file(&self, name: &str, content: impl AsRef<[u8]>) -> std::io::Result<()> {
        let draft = self.handoff(".draft");
        let dropped = fs::write(&draft, content).and_then(|()| fs::rename(&draft, self.handoff(name)));
        dropped.inspect_err(|_| drop(fs::remove_file(&draft)))
    }

    /// The command of a daemon with this environment's directories and the given flags.
    pub fn command(&self, flags: &[&str]) -> Command {
        let mut command = self.bare_command();
        command.args(["-handoff", self.path("handoff").to_str().expect("text")]);
        command.args(["-out", self.path("out").to_str().expect("text"), "-allow-unsafe-porch"]);
        if !flags.iter().any(|flag| flag.trim_start_matches('-').split('=').next() == Some("porch")) {
            command.args(["-porch", self.path("bin/porch").to_str().expect("text")]);
        }
        if !flags.iter().any(|flag| flag.contains("debounce")) {
            command.args(["-debounce", "0"]);
        }
        command.args(flags);
        command
    }

    /// The program alone, in this directory, with only PATH from our environment.
    pub fn bare_command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .current_dir(self.root.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            // The fake porch records its starts beside itself.
            .env("CONDUCTOR_PORCH_WRITE", self.root.path());
        if !self.confined {
            command.env("CONDUCTOR_CONFINE", "off");
        }
        if self.user == TestUser::Nobody {
            use std::os::unix::process::CommandExt;
            command.uid(65534).gid(65534);
        }
        command
    }

    /// Runs the daemon with `-once` to its end.
    pub fn once(&self, flags: &[&str]) -> Finished {
        let flags: Vec<&str> = ["-once"].into_iter().chain(flags.iter().copied()).collect();
        self.start(&flags).wait()
    }

    /// Starts the daemon.
    pub fn start(&self, flags: &[&str]) -> Running {
        Running::start(self.command(flags))
    }

    /// Starts the daemon and waits until it is ready.
    pub fn start_ready(&self, flags: &[&str]) -> Running {
        let running = self.start(flags);
        running.wait_log("ready");
        running
    }

    /// Runs a subcommand to its end.
    pub fn run(&self, words: &[&str]) -> Finished {
        let mut command = self.bare_command();
        command.args(words);
        Running::start(command).wait()
    }

    /// Runs a subcommand on this environment's handoff directory to its end.
    pub fn operate(&self, words: &[&str]) -> Finished {
        let handoff = self.path("handoff");
        self.run(&[words, &["-handoff", handoff.to_str().expect("text")]].concat())
    }

    /// Runs `operate` with --json; returns the answer and the exit code.
    #[track_caller]
    pub fn operate_json(&self, words: &[&str]) -> (Value, i32) {
        let finished = self.operate(&[words, &["--json"]].concat());
        let code = finished.code();
        let text = &finished.stdout;
        (
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}{}", finished.stderr)),
            code,
        )
    }

    /// The status of an intent, if there is one.
    pub fn status(&self, name: &str) -> Option<Value> {
        let text = fs::read_to_string(self.handoff("status").join(format!("{name}.status"))).ok()?;
        Some(serde_json::from_str(&text).expect("a status is whole whenever it is read"))
    }

    /// Waits for a status.
    #[track_caller]
    pub fn wait_status(&self, name: &str) -> Value {
        wait_until(&format!("status of {name}"), || self.status(name).is_some());
        self.status(name).expect("just seen")
    }

    /// Names in a directory below the handoff directory, sorted; empty if it does not exist.
    pub fn names(&self, below: &str) -> Vec<String> {
        let entries = fs::read_dir(self.handoff(below)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// The text of a file below the handoff directory.
    #[track_caller]
    pub fn read(&self, below: &str) -> String {
        fs::read_to_string(self.handoff(below)).unwrap_or_else(|error| panic!("{below}: {error}"))
    }

    /// Every start of the fake porch, ordered by time.
    pub fn calls(&self) -> Vec<Call> {
        let mut ends = BTreeMap::new();
        let mut calls = Vec::new();
        for entry in fs::read_dir(self.path("bin/calls")).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(text) = fs::read_to_string(entry.path()) else { continue };
            assert!(name != "panic", "the fake porch broke: {text}");
            if let Some(id) = name.strip_suffix(".end") {
                ends.insert(id.to_owned(), text.trim().parse::<u64>().expect("a time"));
            } else if let Some(id) = name.strip_suffix(".begin") {
                calls.push((id.to_owned(), serde_json::from_str::<Value>(&text).expect("a record")));
            }
        }
        let mut calls: Vec<Call> = calls
            .into_iter()
            .map(|(id, record)| Call {
                begin_ns: record["begin_ns"].as_u64().expect("a time"),
                end_ns: ends.get(&id).copied(),
                record,
            })
            .collect();
        calls.sort_by_key(|call| call.begin_ns);
        calls
    }

    /// Living fake porches of this environment and their descendants.
    pub fn porches(&self) -> Vec<rustix::process::Pid> {
        let own = self.path("bin/porch").canonicalize().expect("it exists");
        let entries = fs::read_dir("/proc").expect("Linux").flatten();
        // A zombie has no executable.
        let running =
            entries.filter(|entry| fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe == own));
        let numbers = running.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        numbers.filter_map(rustix::process::Pid::from_raw).collect()
    }

    /// Asserts that no file is left between intake and archive.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert_eq!(self.left_over(), Vec::<String>::new(), "left between intake and archive");
    }

    /// The files left between intake and archive.
    pub fn left_over(&self) -> Vec<String> {
        let slots =
            self.names(".conductor/staging").into_iter().map(|slot| format!(".conductor/staging/{slot}"));
        let places = [".conductor/taken", ".conductor/drafts"].map(str::to_owned).into_iter().chain(slots);
        places
            .flat_map(|place| self.names(&place).into_iter().map(move |name| format!("{place}/{name}")))
            .collect()
    }
}

impl Drop for TestEnv {
    /// A test that kills daemons may leave porches running.
    fn drop(&mut self) {
        for porch in self.porches() {
            let _ = rustix::process::kill_process(porch, rustix::process::Signal::KILL);
        }
    }
}
