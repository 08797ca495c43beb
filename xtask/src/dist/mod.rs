//! `cargo xtask dist [--test]`: the release artifacts: static programs, a Debian package, a container image; with
//! `--test` each is installed or run and tested for its purpose.

mod deb;
mod image;

use crate::proof::say;
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const HELP: &str = "\
cargo xtask dist [--test]

Builds the static programs into target/dist, and the Debian package where cargo-deb is installed.

  --test   installs the package (as root, with systemd's tools), builds and runs the image (with docker, and with
           docker-compose where it is installed), and says what could not be tried";

/// The directory of the results.
fn place() -> PathBuf {
    root().join("target/dist")
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// The result of one step: a line for the table, or the reason it could not be tried.
enum Tried {
    Good(String),
    NotTested(&'static str),
}

type Step = fn(&Path) -> Result<Tried, String>;

const STEPS: [(&str, Step); 4] = [
    ("static programs", programs),
    ("Debian package", deb::install),
    ("container image", image::run),
    ("compose file", image::compose),
];

/// Builds the artifacts, and with `--test` tries them. Returns a table and whether all steps passed.
pub(crate) fn run(words: &[String]) -> Result<(String, bool), String> {
    let test = match words.get(1).map(String::as_str) {
        None => false,
        Some("--test") => true,
        Some(_) => return Ok((HELP.to_owned(), true)),
    };
    let place = place();
    say("dist: building the static programs, which takes minutes");
    build(&place).map_err(|error| format!("building the static programs: {error}"))?;
    say("dist: building the Debian package");
    let packaged = deb::build(&place)?;
    if !test {
        return Ok((built(&place, packaged), true));
    }
    let (mut table, mut good) = ("| what | result |\n| --- | --- |\n".to_owned(), true);
    for (name, step) in STEPS {
        say(&format!("dist: trying: {name}"));
        let result = match step(&place) {
            Ok(Tried::Good(result)) => result,
            Ok(Tried::NotTested(why)) => format!("NOT TESTED: {why}"),
            Err(reason) => {
                good = false;
                format!("FAILED: {reason}")
            }
        };
        // Writing to a String cannot fail.
        let _ = writeln!(table, "| {name} | {result} |");
    }
    Ok((table, good))
}

/// What is there now, and what is not.
fn built(place: &Path, packaged: bool) -> String {
    let place = place.display();
    if packaged {
        format!("built into {place}: conductor-loop, porch, conductor-loop.deb")
    } else {
        format!(
            "built into {place}: conductor-loop, porch; NO PACKAGE, because cargo-deb is not installed (`cargo install cargo-deb`)"
        )
    }
}

/// Builds the static programs into target/dist.
pub(crate) fn build_programs() -> io::Result<()> {
    build(&place())
}

/// Links the programs without any shared library, so that they run on any Linux of this architecture.
fn build(place: &Path) -> io::Result<()> {
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

fn programs(place: &Path) -> Result<Tried, String> {
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

fn mib(bytes: usize) -> f64 {
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / f64::from(1 << 20)
}

pub(crate) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// Standard output of a command that must succeed.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let Output { status, stdout, stderr } =
        command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = String::from_utf8_lossy(&stdout).into_owned();
    let complaint = String::from_utf8_lossy(&stderr).into_owned();
    ensure(status.success(), || format!("{command:?} ended with {status}: {text}{complaint}"))?;
    Ok(text)
}

/// Waits for a condition of another process, which cannot wake us; fails after a time limit.
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) -> Result<(), String> {
    let until = std::time::Instant::now() + std::time::Duration::from_mins(3);
    while !condition() {
        ensure(std::time::Instant::now() < until, || format!("waited in vain for {what}"))?;
        std::thread::sleep(std::time::Duration::from_millis(50)); // Another process cannot wake us.
    }
    Ok(())
}

/// The specification's example intent, and the file name it is dropped under.
fn example() -> (PathBuf, &'static str) {
    (root().join("examples/handoff/intent-scale-up-001.json"), "intent-scale-up-001.json")
}

/// Whether a status says success.
fn succeeded(handoff: &Path, name: &str) -> bool {
    let text = std::fs::read_to_string(handoff.join("status").join(format!("{name}.status")));
    text.is_ok_and(|text| text.contains("\"status\": \"success\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_named_and_what_is_not_too() {
        let place = Path::new("target/dist");
        assert!(built(place, true).ends_with("porch, conductor-loop.deb"));
        let without = built(place, false);
        assert!(without.contains("NO PACKAGE") && without.contains("cargo install cargo-deb"), "{without}");
    }
}
