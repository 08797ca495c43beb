//! Builds the workspace's programs for the measurements and the attacks.

use std::io::{self, Error};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the programs in a cargo profile and returns their directory.
pub(crate) fn programs(profile: &str) -> io::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let words = ["build", "--quiet", "--bins", "--workspace", "--profile", profile];
    let built = Command::new(cargo).args(words).status()?;
    if !built.success() {
        return Err(Error::other("the programs do not build"));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    // cargo names the directory of its dev profile `debug`.
    Ok(target.join(if profile == "dev" { "debug" } else { profile }))
}
