//! Looks at a repository before any intent does, and says what would fail there, and whom its steps believe. Nothing is
//! written into it, and no remote is asked.

#![expect(
    clippy::disallowed_methods,
    reason = "a repository is the operator's, and git names its files by path"
)]

use super::place;
use super::repository::check_mounted;
use super::run::Git;
use super::target::Target;
use super::tip;
use crate::{Outlook, Patience, PorchError, Repository, Routes};
use conductor_core::scrub;
use rustix::fs::{Access, Mode, access, chmod};
use std::path::Path;

/// How long the text of one remark is.
const TEXT_MAX: usize = 300;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Whether intents would fail because of it.
    pub bad: bool,
    /// What there is.
    pub found: String,
    /// What to do about it; empty where nothing is to be done.
    pub fix: &'static str,
}

fn bad(found: impl Into<String>, fix: &'static str) -> Remark {
    Remark { bad: true, found: scrub::line(&found.into(), TEXT_MAX), fix }
}

fn good(found: impl Into<String>) -> Remark {
    Remark { bad: false, found: scrub::line(&found.into(), TEXT_MAX), fix: "" }
}

impl Routes {
    /// What can be said of each repository that a route leads to, with its name, before any intent goes there.
    pub fn inspect(&self, patience: &Patience<'_>) -> Vec<(&str, Remark)> {
        let remarks = |repository| inspect(repository, patience);
        let each = |(name, repository)| remarks(repository).into_iter().map(move |remark| (name, remark));
        self.used_repositories().flat_map(each).collect()
    }
}

/// Everything that can be said of a repository by looking at it.
fn inspect(repository: &Repository, patience: &Patience<'_>) -> Vec<Remark> {
    let git = Git::new(&repository.git, patience);
    match look(&git, repository) {
        Ok(remarks) => remarks,
        Err(error) => vec![bad(
            error.to_string(),
            "Do what git says as the user that the daemon runs as, or name another repository (`git` of the table).",
        )],
    }
}

fn look(git: &Git<'_>, repository: &Repository) -> Result<Vec<Remark>, PorchError> {
    check_mounted(git)?;
    let common = git.run(&["rev-parse", "--path-format=absolute", "--git-common-dir"], &[])?.line();
    let mut remarks = Vec::new();
    remarks.extend(not_writable(git, Path::new(&common)));
    remarks.extend(not_shareable(git, Path::new(&common))?);
    remarks.extend(key_missing(repository));
    match branch(git, repository) {
        Ok(found) => remarks.push(good(found)),
        Err(error) => remarks.push(bad(
            error.to_string(),
            "Make the branch, name another (`branch`), or say where it begins (`from`).",
        )),
    }
    if let Some(remote) = &repository.push {
        remarks.push(leads_to(git, remote)?);
    }
    Ok(remarks)
}

fn not_writable(git: &Git<'_>, common: &Path) -> Option<Remark> {
    let top = place::is_work_tree(git.repository).then_some(git.repository);
    let places = [common, &common.join("objects"), &common.join("refs")].map(Path::to_owned);
    let mut places = places.into_iter().chain(top.map(Path::to_owned));
    places.find_map(|path| {
        let error = access(&path, Access::WRITE_OK | Access::EXEC_OK).err()?;
        Some(bad(
            format!("{} cannot be written by this user: {}", path.display(), std::io::Error::from(error)),
            "Give the daemon's user the repository; under systemd name it in ReadWritePaths= of a drop-in, in a container mount it.",
        ))
    })
}

/// In a repository that a group shares git makes directories with set-group-id, which a sandbox may forbid.
fn not_shareable(git: &Git<'_>, common: &Path) -> Result<Option<Remark>, PorchError> {
    if !git.configured()?.is_shared() {
        return Ok(None);
    }
    let probe = common.join(format!("conductor-loop-probe-{}", std::process::id()));
    let tried = std::fs::create_dir(&probe).and_then(|()| {
        let set = chmod(&probe, Mode::from_raw_mode(0o2770));
        std::fs::remove_dir(&probe).and(set.map_err(std::io::Error::from))
    });
    Ok(tried.err().map(|error| {
        bad(
            format!(
                "the repository is shared by a group, and set-group-id cannot be set in {}: {error}",
                common.display()
            ),
            "Remove RestrictSUIDSGID= from the unit, or unset core.sharedRepository.",
        )
    }))
}

fn key_missing(repository: &Repository) -> Option<Remark> {
    let key = repository.signing_key.as_ref()?;
    let error = std::fs::File::open(key).err()?;
    Some(bad(
        format!("the signing key {} cannot be read: {error}", key.display()),
        "Name a key that the daemon's user can read (`signing-key`).",
    ))
}

fn branch(git: &Git<'_>, repository: &Repository) -> Result<String, PorchError> {
    let target = Target::new(git, repository, Path::new(""))?;
    let refs = target.refs()?;
    // Whether the remote has it is only known to the remote.
    if repository.push.is_some() || refs.tip.is_some() {
        return Ok(format!("{} of {}", target.branch, git.repository.display()));
    }
    let beginning = target.local_tip(&refs)?;
    let first = || format!("the first commit of {} begins {}", git.repository.display(), target.branch);
    Ok(beginning.note.unwrap_or_else(first))
}

/// Where pushes go and what of the repository's own configuration is believed on the way.
fn leads_to(git: &Git<'_>, remote: &str) -> Result<Remark, PorchError> {
    if let Err(error) = git.check_remotes() {
        return Ok(bad(error.to_string(), "Move it to the configuration of the daemon's user, or unset it."));
    }
    let configured = git.configured()?;
    let address = match configured.push_places(remote).as_slice() {
        [] if tip::is_address(remote) => remote.to_owned(),
        [] => {
            return Ok(bad(
                format!("the repository has no remote {remote}"),
                "Add it (`git remote add`), or name another (`push`).",
            ));
        }
        [_] => git.run(&["remote", "get-url", "--push", "--", remote], &[])?.line(),
        _ => {
            return Ok(bad(
                format!("the remote {remote} has more than one address to push to"),
                "Name one (`push`).",
            ));
        }
    };
    let believed = configured.believed();
    let by = if believed.is_empty() {
        String::new()
    } else {
        format!("; by the repository's own configuration: {}", believed.join(", "))
    };
    Ok(good(format!("pushes go to {}{by}", tip::without_password(&address))))
}

impl Git<'_> {
    /// Before contact with a remote: refuses a program of the repository's own configuration, naming it, before anything
    /// begins.
    pub(super) fn check_remotes(&self) -> Result<(), PorchError> {
        let configured = self.configured()?;
        let Some((name, value)) = configured.would_run() else { return Ok(()) };
        let value = scrub::line(value, 80);
        let reason = format!(
            "the repository's own configuration sets {name} to '{value}'; a repository's word runs no program here: set it \
             for the user (`git config --global`) or in the environment, and unset it in the repository"
        );
        Err(self.failed(&["config"], reason, Outlook::Lasting))
    }
}
