//! The static programs.

use super::place::{place, root};
use super::process::{ensure, output};
use super::trial::Tried;
use std::io;
use std::path::Path;
use std::process::Command;

/// Builds the static programs into target/dist.
pub(crate) fn build_programs() -> io::Result<()> {
    build(&place())
}

/// Links the programs without any shared library, so that they run on any Linux of this architecture.
pub(super) fn build(place: &Path) -> io::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let version = Command::new("rustc").arg("-vV").output()?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    let target = root().join("target/static");
    let built = Command::new(cargo)
        .args(["build", "--locked", "--release", "--target", host])
        .args([
            "-p",
            "conductor-loop",
            "-p",
            "conductor-porch",
            "--config",
            "profile.release.strip='symbols'",
        ])
        .arg("--target-dir")
        .arg(&target)
        // With an explicit target these flags do not reach build scripts and macros, which must stay dynamic.
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .current_dir(root())
        .status()?;
    if !built.success() {
        return Err(io::Error::other("cargo build failed"));
    }
    std::fs::create_dir_all(place)?;
    for name in ["conductor-loop", "porch"] {
        std::fs::copy(target.join(host).join("release").join(name), place.join(name))?;
    }
    Ok(())
}

/// Tries the programs.
pub(super) fn programs(place: &Path) -> Result<Tried, String> {
    let mut sizes = Vec::new();
    for name in ["conductor-loop", "porch"] {
        let path = place.join(name);
        let bytes = std::fs::read(&path).map_err(|error| error.to_string())?;
        ensure(!needs_a_loader(&bytes), || format!("{name} needs a dynamic loader"))?;
        sizes.push(format!("{name} {:.1} MiB", mib(bytes.len())));
    }
    let said = output(Command::new(place.join("conductor-loop")).arg("--version").env_clear())?;
    ensure(said.starts_with("conductor-loop "), || said.clone())?;
    Ok(Tried::Good(sizes.join(", ")))
}

/// Whether an ELF file of this machine has a program header that names an interpreter.
fn needs_a_loader(elf: &[u8]) -> bool {
    const INTERPRETER: u32 = 3;
    let number = |at: usize, size: usize| {
        let bytes = elf.get(at..at + size).unwrap_or_default();
        bytes.iter().rev().fold(0_usize, |number, byte| number << 8 | usize::from(*byte))
    };
    let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    (0..count).any(|index| number(table + index * size, 4) == INTERPRETER as usize)
}

pub(super) fn mib(bytes: usize) -> f64 {
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / f64::from(1 << 20)
}
