//! Packages in a Git repository: one commit for each intent that changes something, on a branch of a work tree or a bare
//! repository, pushed if a remote is configured. A concurrent push of another process is fetched, and the edit repeated
//! on top of it. A run that is killed leaves the branch at its old or its new commit.

mod apart;
mod branch;
mod cat_file;
mod commit;
mod environment;
mod explain;
mod inspect;
mod journal;
mod making;
mod memory_file;
mod objects;
mod place;
mod planning;
mod preview;
mod remote;
mod repository;
mod run;
mod settings;
mod target;
mod tip;
mod tree;
mod worktree;

pub(crate) use commit::commit;
pub use environment::{git_environment, left_out_of_git};
pub use inspect::Remark;
pub(crate) use place::shared_directory;
pub(crate) use preview::preview;
pub(crate) use repository::git_directory;
