//! What an order would do: nothing is written into the repository.

use super::apart;
use super::place::shared_directory;
use super::planning::{Committed, Planning};
use super::repository::check_mounted;
use super::run::Git;
use super::target::Target;
use crate::directory::Patience;
use crate::{PorchError, Repository};
use std::path::Path;

/// The plan for the tip of the branch, the remote's if it is pushed; nothing is written into the repository.
pub(crate) fn preview(
    repository: &Repository,
    patience: &Patience<'_>,
    planning: Planning<'_>,
) -> Result<Committed, PorchError> {
    let git = Git::new(&repository.git, patience);
    check_mounted(&git)?;
    let target = Target::new(&git, repository, Path::new(""))?;
    if git.configured()?.is_partial() {
        git.check_remotes()?;
    }
    let Some(remote) = &repository.push else {
        let tip = target.local_tip(&target.refs()?)?;
        return target.shown(tip, planning);
    };
    git.check_remotes()?;
    let remote = target.place_of_push(remote)?;
    let tip = target.remote_tip(&remote, &target.refs()?)?;
    let Some(wanted) = tip.remote_ref.clone() else { return target.shown(tip, planning) };
    // Missing objects are fetched beside the repository.
    let own = apart::Scratch::new()?;
    let git = git.apart(&shared_directory(&repository.git).join("objects"), own.path());
    let beside = Target::new(&git, repository, Path::new(""))?;
    beside.fetch(&remote, &wanted)?;
    beside.shown(tip, planning)
}
