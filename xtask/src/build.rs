//! Builds the workspace's programs for whoever measures or attacks them.

use std::io::{self, Error};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds them in a profile of cargo's, and answers where they are.
pub(crate) fn programs(profile: &str) -> io::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let words = ["build", "--quiet", "--bins", "--workspace", "--profile", profile];
    let built = Command::new(cargo).args(words).status()?;
    if !built.success() {
        return Err(Error::other("the programs do not build"));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    // The directory of cargo's dev profile has another name for old times' sake.
    Ok(target.join(if profile == "dev" { "debug" } else { profile }))
}
