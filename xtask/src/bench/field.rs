//! The working directories of one measurement, the measured porches, and the files to drop.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The number of targets where files share targets.
pub(super) const TARGETS: usize = 500;

/// A fresh set of directories; those of the previous measurement are removed.
pub(super) struct Field {
    root: PathBuf,
}

impl Field {
    pub(super) fn new(root: &Path, porches: &Path) -> io::Result<Self> {
        let root = root.join("field");
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        for dir in ["handoff", "out", "bin", "done"] {
            fs::create_dir_all(root.join(dir))?;
        }
        for name in ["noop", "burn", "stamp"] {
            fs::copy(porches, root.join("bin").join(name))?;
        }
        Ok(Self { root })
    }

    pub(super) fn path(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    pub(super) fn porch(&self, name: &str) -> PathBuf {
        self.path("bin").join(name)
    }

    /// Writes waiting files for this many targets. The producers' own writes are not part of the measurement.
    pub(super) fn fill(&self, files: usize, targets: usize) -> io::Result<()> {
        for number in 0..files {
            fs::write(self.path(&format!("handoff/{}", name(number))), intent(number, number % targets))?;
        }
        Command::new("sync").arg("-f").arg(&self.root).status().map(drop)
    }

    /// Writes files beside the handoff directory, ready to be renamed into it.
    pub(super) fn draft(&self, files: usize) -> io::Result<()> {
        fs::create_dir_all(self.path("drafts"))?;
        (0..files)
            .try_for_each(|n| fs::write(self.path(&format!("drafts/{}", name(n))), intent(n, n % TARGETS)))
    }

    /// Drops a drafted file.
    pub(super) fn drop_drafted(&self, number: usize) -> io::Result<()> {
        fs::rename(
            self.path(&format!("drafts/{}", name(number))),
            self.path(&format!("handoff/{}", name(number))),
        )
    }
}

pub(super) fn name(number: usize) -> String {
    format!("intent-{number:07}.json")
}

fn intent(number: usize, target: usize) -> String {
    let replicas = 1 + number % 9;
    format!(
        r#"{{"intent_type": "scaling", "target": "cnf-{target}", "namespace": "oran-sim", "replicas": {replicas}}}"#
    )
}
