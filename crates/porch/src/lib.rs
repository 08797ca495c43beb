//! The package engine: one judged intent becomes one change of one package for kpt, kustomize, Flux, Argo CD and Config
//! Sync, in a directory or in a Git repository. Deterministic: the same intent over the same package gives the same
//! bytes, equal content is not rewritten, no times, no random names. It never follows a symbolic link below the output
//! directory and never invents an image.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod choose;
mod directory;
mod engine;
mod error;
mod files;
mod fleet;
mod git;
mod glob;
mod kinds;
mod krmignore;
mod kustomize;
mod objects;
mod order;
mod outcome;
mod patch;
mod pipeline;
mod plan;
mod rendered;
mod routes;
mod rules;
mod survey;
mod template;
mod text;
mod tree;
mod world;
mod yaml;
mod ytt;

pub use directory::Patience;
pub use engine::{Engine, Settings};
pub use error::{Outlook, PorchError, exit};
pub use git::{Remark, git_environment, left_out_of_git};
pub use order::{Form, Order, Provenance};
pub use outcome::{Applied, ObjectName, Outcome, Replicas};
pub use routes::{Repository, Routes};
