//! A cluster as it is seen from inside its namespaces: its files, its programs, and kubectl.

use super::parts::Parts;
use crate::dist::{output, root};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A cluster, seen from inside its namespaces.
pub(super) struct Cluster {
    pub(super) parts: Parts,
    pub(super) run: PathBuf,
}

impl Cluster {
    /// Starts a program of the cluster, with its log; it ends with the namespace.
    pub(super) fn daemon(&self, name: &str, program: &Path, arguments: &[String]) -> Result<(), String> {
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

    /// The answer of kubectl.
    pub(super) fn k(&self, words: &[&str]) -> Result<String, String> {
        output(self.kubectl().args(words))
    }

    /// kubectl with an object on standard input.
    pub(super) fn k_with(&self, words: &[&str], input: &str) -> Result<String, String> {
        let file = self.run.join("input.yaml");
        std::fs::write(&file, input).map_err(|error| error.to_string())?;
        output(self.kubectl().args(words).arg("-f").arg(file))
    }

    /// The path of a file of this cluster as text.
    pub(super) fn file(&self, name: &str) -> String {
        self.run.join(name).display().to_string()
    }
}
