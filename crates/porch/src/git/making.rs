//! Makes the commit of a plan: its files, the trees above them, and a message that refers to the intent. No ref is moved here.

use super::target::Target;
use super::tree::{CommitTree, DIRECTORY, Entry};
use crate::files::join;
use crate::plan::{Change, Plan};
use crate::{Order, PorchError};
use conductor_core::limits::REASON_MAX;
use conductor_core::scrub;
use conductor_crypto::git_name;
use std::collections::BTreeMap;

impl Target<'_> {
    /// The commit of a plan that was made from `base`, which is what `tip` has.
    pub(super) fn make_commit(
        &self,
        tip: Option<&str>,
        base: &CommitTree<'_>,
        plan: &Plan,
        order: &Order,
    ) -> Result<String, PorchError> {
        let tree = self.write_tree(base, plan)?;
        let (name, address) =
            self.repository.author_parts().unwrap_or(("conductor-loop", "conductor-loop@localhost"));
        let author = [
            ("GIT_AUTHOR_NAME", name),
            ("GIT_AUTHOR_EMAIL", address),
            ("GIT_COMMITTER_NAME", name),
            ("GIT_COMMITTER_EMAIL", address),
        ];
        // Named from where we are; git is in the repository, and would look for it there.
        let key = self.repository.signing_key.as_ref().map(|key| {
            let key = std::path::absolute(key).unwrap_or_else(|_| key.clone());
            format!("user.signingKey={}", key.display())
        });
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

    /// Writes the files of a plan and the directories above them; everything else of the commit stays as it is.
    fn write_tree(&self, base: &CommitTree<'_>, plan: &Plan) -> Result<String, PorchError> {
        let digits = match base.root() {
            Some(root) => root.len(),
            None => self.git.configured()?.digits(),
        };
        let mut changed: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
        for Change { path, after, .. } in &plan.changes {
            let object = self.write_blob(&after.bytes, digits)?;
            let mode = if after.executable { "100755" } else { "100644" };
            let full = join(&join(&self.repository.directory, &plan.dir), path);
            put(&mut changed, &full, mode, object);
        }
        let (mut listings, mut names) = (Vec::new(), Vec::new());
        let depth = |dir: &String| dir.split('/').filter(|step| !step.is_empty()).count();
        // What is below first, because what is above names it.
        while let Some(dir) = changed.keys().max_by_key(|dir| depth(dir)).cloned() {
            let mut entries = base.entries(&dir)?.map(|entries| entries.to_vec()).unwrap_or_default();
            for new in changed.remove(&dir).unwrap_or_default() {
                entries.retain(|entry| entry.name != new.name);
                entries.push(new);
            }
            let listing = Listing::of(entries);
            let object = git_name("tree", &listing.bytes, digits);
            listings.extend_from_slice(&listing.text);
            names.push(object.clone());
            if !dir.is_empty() {
                put(&mut changed, &dir, DIRECTORY, object);
            }
        }
        let answer = self.git.run(&["mktree", "-z", "--batch", "--missing"], &listings)?;
        let made = String::from_utf8_lossy(&answer.stdout).into_owned();
        match names.last() {
            Some(root) if made.lines().eq(names.iter().map(String::as_str)) => Ok(root.clone()),
            _ => Err(PorchError::Check("git made other directories than the plan says".to_owned())),
        }
    }

    fn write_blob(&self, bytes: &[u8], digits: usize) -> Result<String, PorchError> {
        let object = git_name("blob", bytes, digits);
        // Another attempt of this run may have written it.
        if self.written.borrow().contains(&object) {
            return Ok(object);
        }
        let made = self.git.run(&["hash-object", "-w", "--stdin"], bytes)?.line();
        if made != object {
            return Err(PorchError::Check("git wrote another file than the plan says".to_owned()));
        }
        self.written.borrow_mut().insert(made);
        Ok(object)
    }
}

fn put(changed: &mut BTreeMap<String, Vec<Entry>>, path: &str, mode: &str, object: String) {
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    let entry = Entry { mode: mode.to_owned(), name: name.as_bytes().to_vec(), object };
    changed.entry(above.to_owned()).or_default().push(entry);
}

/// A directory as git stores it, and as it is told to mktree.
struct Listing {
    bytes: Vec<u8>,
    text: Vec<u8>,
}

impl Listing {
    fn of(mut entries: Vec<Entry>) -> Self {
        // git sorts directories as if their names ended with a slash.
        entries.sort_by_cached_key(|entry| {
            let mut key = entry.name.clone();
            key.extend(entry.is_dir().then_some(b'/'));
            key
        });
        let (mut bytes, mut text) = (Vec::new(), Vec::new());
        for Entry { mode, name, object } in &entries {
            let kind = match mode.as_str() {
                "160000" => "commit",
                DIRECTORY => "tree",
                _ => "blob",
            };
            bytes.extend_from_slice(format!("{mode} ").as_bytes());
            bytes.extend_from_slice(name);
            bytes.push(0);
            bytes.extend(digits_to_bytes(object));
            text.extend_from_slice(format!("{mode} {kind} {object}\t").as_bytes());
            text.extend_from_slice(name);
            text.push(0);
        }
        // An empty line ends a directory.
        text.push(0);
        Self { bytes, text }
    }
}

fn digits_to_bytes(digits: &str) -> impl Iterator<Item = u8> {
    let value =
        |digit: u8| u8::try_from(char::from(digit).to_digit(16).unwrap_or_default()).unwrap_or_default();
    digits.as_bytes().chunks(2).map(move |pair| pair.iter().fold(0, |byte, digit| byte << 4 | value(*digit)))
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
