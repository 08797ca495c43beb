//! The Debian package: built by cargo-deb from crates/conductor-loop/Cargo.toml, installed, used as its user, and removed.

use super::place::root;
use super::process::{ensure, output, wait_for};
use super::programs::mib;
use super::trial::{Tried, example, succeeded};
use conductor_testkit::has;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The highest accepted exposure score of systemd-analyze for the unit, in tenths of its points: below 2.0 it says OK.
const EXPOSURE_MAX: &str = "15";
const STATE: &str = "/var/lib/conductor-loop";

fn package(place: &Path) -> PathBuf {
    place.join("conductor-loop.deb")
}

/// Builds the package where cargo-deb is installed. Returns false where it is not.
pub(super) fn build(place: &Path) -> Result<bool, String> {
    if !has("cargo-deb") {
        // One of an earlier build has other programs in it.
        return match std::fs::remove_file(package(place)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.to_string()),
            _ => Ok(false),
        };
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    output(
        Command::new(cargo)
            .args(["deb", "--quiet", "-p", "conductor-loop", "--no-build", "--no-strip", "--output"])
            .arg(package(place))
            .current_dir(root()),
    )?;
    Ok(true)
}

/// Installs and uses the package. Where systemd does not run, its part is done by hand: the unit's checks, its user, its
/// directories.
pub(super) fn install(place: &Path) -> Result<Tried, String> {
    if !has("cargo-deb") || !has("dpkg") || !has("systemd-sysusers") || !has("setpriv") {
        return Ok(Tried::NotTested("cargo-deb, dpkg, systemd and util-linux are needed"));
    }
    if output(Command::new("id").arg("-u"))?.trim() != "0" {
        return Ok(Tried::NotTested("a package is installed by root"));
    }
    if Path::new(STATE).exists() {
        return Ok(Tried::NotTested("conductor-loop is installed on this machine already"));
    }
    output(Command::new("dpkg").arg("--install").arg(package(place)))?;
    let used = used();
    let removed = output(Command::new("dpkg").args(["--purge", "conductor-loop"]));
    let kept = Path::new(STATE).join("handoff/processed").join(example().1).exists();
    // Removes only directories made by this test.
    std::fs::remove_dir_all(STATE).map_err(|error| format!("{STATE}: {error}"))?;
    let exposure = used?;
    removed?;
    ensure(kept, || "removing the package removed intents".to_owned())?;
    ensure(!Path::new("/usr/bin/conductor-loop").exists(), || "the program stayed behind".to_owned())?;
    let size = std::fs::metadata(package(place)).map_err(|error| error.to_string())?.len();
    let size = mib(usize::try_from(size).unwrap_or(0));
    Ok(Tried::Good(format!("{size:.1} MiB, installed, used and removed; {exposure}")))
}

fn used() -> Result<String, String> {
    for path in [
        "/usr/bin/conductor-loop",
        "/usr/bin/porch",
        "/usr/share/man/man1/conductor-loop.1.gz",
        "/usr/share/bash-completion/completions/conductor-loop",
        "/usr/lib/sysusers.d/conductor-loop.conf",
        "/etc/conductor-loop/config.toml",
    ] {
        ensure(Path::new(path).is_file(), || format!("{path} is missing"))?;
    }
    let unit = "/usr/lib/systemd/system/conductor-loop.service";
    output(Command::new("systemd-analyze").args(["verify", "--man=no", unit]))?;
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    let said = output(Command::new("systemd-analyze").args([
        "security",
        "--offline=true",
        "--no-pager",
        &threshold,
        unit,
    ]))?;
    let exposure = said.lines().find_map(|line| line.split("exposure level for ").nth(1)).unwrap_or_default();
    // As the unit starts it: its user, its configuration.
    let as_user = |words: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=conductor-loop", "--regid=conductor-loop", "--init-groups", "--no-new-privs"]);
        command.args(words).current_dir(STATE);
        command
    };
    let config = ["-config", "/etc/conductor-loop/config.toml"];
    let mut daemon = as_user(&[&["/usr/bin/conductor-loop"][..], &config].concat());
    let mut daemon = daemon.spawn().map_err(|error| error.to_string())?;
    let handoff = Path::new(STATE).join("handoff");
    let (file, name) = example();
    let worked = wait_for("the daemon", || {
        as_user(&[&["/usr/bin/conductor-loop", "health"][..], &config].concat())
            .output()
            .is_ok_and(|out| out.status.success())
    })
    .and_then(|()| std::fs::copy(&file, handoff.join(name)).map_err(|error| error.to_string()))
    .and_then(|_| wait_for("the status", || succeeded(&handoff, name)))
    .and_then(|()| output(&mut as_user(&[&["/usr/bin/conductor-loop", "status"][..], &config].concat())));
    let pid = daemon.id().to_string();
    output(Command::new("kill").arg(pid))?;
    let ended = daemon.wait().map_err(|error| error.to_string())?;
    let status = worked?;
    ensure(status.contains("processed    1"), || status)?;
    ensure(ended.success(), || format!("the daemon ended with {ended}"))?;
    Ok(exposure.trim().to_owned())
}
