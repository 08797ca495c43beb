//! Makes the commit of a plan: its files, the trees above them, and a message that refers to the intent. No ref is moved here.

use super::Target;
use crate::files::join;
use crate::plan::{Change, Plan};
use crate::{Order, PorchError};
use conductor_core::limits::REASON_MAX;
use conductor_core::scrub;

impl Target<'_> {
    pub(super) fn make_commit(
        &self,
        tip: Option<&str>,
        plan: &Plan,
        order: &Order,
    ) -> Result<String, PorchError> {
        let index = self.git_dir.join("conductor-loop.index");
        // The leftovers of a killed run; we hold the lock of the repository.
        let clean = || {
            // The next run clears a private index that stays behind.
            let _ = std::fs::remove_file(&index);
            let _ = std::fs::remove_file(index.with_extension("index.lock"));
        };
        clean();
        let tree = self.write_tree(tip, plan, &index.display().to_string());
        clean();
        let tree = tree?;
        let (name, address) =
            self.repository.author_parts().unwrap_or(("conductor-loop", "conductor-loop@localhost"));
        let author = [
            ("GIT_AUTHOR_NAME", name),
            ("GIT_AUTHOR_EMAIL", address),
            ("GIT_COMMITTER_NAME", name),
            ("GIT_COMMITTER_EMAIL", address),
        ];
        let key =
            self.repository.signing_key.as_ref().map(|key| format!("user.signingKey={}", key.display()));
        // The repository's own configuration must not run a program here either.
        let program = format!("gpg.ssh.program={}", self.git.configured()?.signing_program());
        let mut arguments = Vec::new();
        if let Some(key) = &key {
            arguments.extend(["-c", "gpg.format=ssh", "-c", &program, "-c", key.as_str()]);
        }
        arguments.extend(["commit-tree", tree.as_str(), "-F", "-"]);
        if key.is_some() {
            arguments.push("-S");
        }
        if let Some(tip) = tip {
            arguments.extend(["-p", tip]);
        }
        Ok(self.git.run_with(&arguments, &author, message(plan, order).as_bytes())?.line())
    }

    fn write_tree(&self, tip: Option<&str>, plan: &Plan, index: &str) -> Result<String, PorchError> {
        let with_index = [("GIT_INDEX_FILE", index)];
        let step = |arguments: &[&str], input: &[u8]| self.git.run_with(arguments, &with_index, input);
        step(&["read-tree", tip.unwrap_or("--empty")], &[])?;
        let mut lines = Vec::new();
        for Change { path, after, .. } in &plan.changes {
            let object = self.git.run(&["hash-object", "-w", "--stdin"], &after.bytes)?.line();
            let mode = if after.executable { "100755" } else { "100644" };
            let full = join(&join(&self.repository.directory, &plan.dir), path);
            lines.extend_from_slice(format!("{mode} {object}\t{full}\0").as_bytes());
        }
        step(&["update-index", "-z", "--index-info"], &lines)?;
        Ok(step(&["write-tree"], &[])?.line())
    }
}

/// Subject, description of the change, and trailers that refer to the intent.
fn message(plan: &Plan, order: &Order) -> String {
    let (key, intent) = (&order.intent.key, &order.intent);
    let from = plan.from.map_or_else(String::new, |from| format!("from {from} "));
    let mut text = format!(
        "Scale {key} {from}to {}\n\n{}: spec.replicas of the {}.\n\n",
        plan.to,
        join(&plan.dir, &plan.file),
        plan.kind
    );
    let seq = order.provenance.seq.map(|seq| seq.to_string());
    let trailers = [
        ("Intent-SHA256", Some(&order.provenance.sha256)),
        ("Intent-Correlation-ID", order.provenance.correlation_id.as_ref()),
        ("Intent-Seq", seq.as_ref()),
        ("Intent-Source", intent.source.as_ref()),
        ("Intent-Reason", intent.reason.as_ref()),
    ];
    for (name, value) in trailers {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            text.push_str(name);
            text.push_str(": ");
            text.push_str(&scrub::shown(value, REASON_MAX));
            text.push('\n');
        }
    }
    text
}
