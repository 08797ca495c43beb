//! A directory with the package of a small shop in it, and the program run on it.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The package that owns the Deployment `web` in `shop`, with 2 replicas.
pub(crate) const WEB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/packages/web");

/// A temporary directory with `out` in it.
pub(crate) struct Shop {
    temp: tempfile::TempDir,
}

/// A finished run.
pub(crate) struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Shop {
    /// A shop without any package.
    pub(crate) fn empty() -> Self {
        let shop = Self { temp: tempfile::tempdir().unwrap() };
        fs::create_dir(shop.path("out")).unwrap();
        shop
    }

    /// A shop with its package at `out/shop/web`.
    pub(crate) fn new() -> Self {
        let shop = Self::empty();
        for (name, (_, content)) in tree(Path::new(WEB)) {
            shop.put(&format!("out/shop/web/{name}"), content);
        }
        shop
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.temp.path().join(below)
    }

    pub(crate) fn put(&self, below: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Makes a program. A helper copies it: a file that this process writes may still be open in another thread's child.
    pub(crate) fn script(&self, below: &str, text: &str) -> PathBuf {
        let draft = self.put(&format!("{below}.draft"), text);
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).unwrap();
        let copied = Command::new("cp").arg(&draft).arg(self.path(below)).status().unwrap();
        assert!(copied.success());
        fs::remove_file(draft).unwrap();
        self.path(below)
    }

    pub(crate) fn read(&self, below: &str) -> String {
        fs::read_to_string(self.path(below)).unwrap_or_else(|error| panic!("{below}: {error}"))
    }

    /// An intent for the Deployment `web`.
    pub(crate) fn intent(&self, replicas: u32) -> PathBuf {
        self.intent_for("web", replicas, "")
    }

    pub(crate) fn intent_for(&self, target: &str, replicas: u32, more: &str) -> PathBuf {
        let text = format!(
            r#"{{"intent_type":"scaling","target":"{target}","namespace":"shop","replicas":{replicas}{more}}}"#
        );
        self.put(&format!("intent-{target}-{replicas}.json"), text)
    }

    /// The program, in this directory, with an intent and flags.
    pub(crate) fn command(&self, intent: &Path, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_porch"));
        command.current_dir(self.temp.path()).arg("-intent").arg(intent).args(flags);
        // The user's own git configuration must not affect the tests.
        command.env("HOME", self.temp.path()).env_remove("XDG_CONFIG_HOME");
        command
    }

    /// Runs the program on `out`.
    pub(crate) fn porch(&self, intent: &Path, flags: &[&str]) -> Run {
        let flags = [&["-out", "out"], flags].concat();
        Run::of(&self.command(intent, &flags).output().unwrap())
    }

    /// Scales `web` in `out`.
    pub(crate) fn scale(&self, replicas: u32, flags: &[&str]) -> Run {
        self.porch(&self.intent(replicas), flags)
    }

    /// Everything below a directory: mode and content by path.
    pub(crate) fn tree(&self, below: &str) -> BTreeMap<String, (u32, Vec<u8>)> {
        tree(&self.path(below))
    }
}

impl Run {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "standard error: {}", self.stderr);
        self
    }

    /// Asserts that the run failed with this status, for this reason.
    #[track_caller]
    pub(crate) fn refused(self, code: i32, reason: &str) {
        let run = self.expect(code);
        assert!(run.stderr.contains(reason), "'{reason}' is not in: {}", run.stderr);
    }

    /// The result line.
    #[track_caller]
    pub(crate) fn line(self) -> Value {
        let run = self.expect(0);
        assert_eq!(run.stdout.lines().count(), 1, "one line: {}", run.stdout);
        serde_json::from_str(&run.stdout).unwrap()
    }
}

/// Everything below a directory: mode and content by path. The content of a link is its target.
pub(crate) fn tree(root: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())) {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let content = if meta.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else if meta.is_dir() {
                open.push(path);
                continue;
            } else if meta.is_file() {
                fs::read(&path).unwrap()
            } else {
                Vec::new()
            };
            found.insert(name, (meta.permissions().mode(), content));
        }
    }
    found
}
