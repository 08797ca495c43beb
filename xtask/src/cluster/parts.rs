//! The programs of a cluster: Debian's packages, unpacked and not installed, and Kubernetes, built as the dependency of an
//! empty Go module. Both are kept, and nothing outside their directory changes but the caches of apt and Go.

use super::groups;
use super::stop::Stop;
use crate::dist::output;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The release, and the one of its modules.
const RELEASE: &str = "v1.37.2";
const MODULES: &str = "v0.37.2";
const PROGRAMS: [&str; 6] =
    ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"];
const PACKAGES: [&str; 8] = [
    "age",
    "etcd-server",
    "containerd",
    "runc",
    "containernetworking-plugins",
    "nftables",
    "libnftables1",
    "libnftnl11",
];

/// Where the programs are.
pub(super) struct Parts {
    /// Debian's packages, unpacked.
    pub(super) debian: PathBuf,
    /// The programs of Kubernetes.
    pub(super) kubernetes: PathBuf,
}

impl Parts {
    pub(super) fn at(place: &Path) -> Self {
        Self { debian: place.join("debian"), kubernetes: place.join(format!("kubernetes-{RELEASE}")) }
    }

    /// PATH, with the cluster's own programs first.
    pub(super) fn path(&self) -> OsString {
        let mut path = OsString::new();
        for directory in ["usr/bin", "usr/sbin"] {
            path.push(self.debian.join(directory));
            path.push(":");
        }
        path.push(std::env::var_os("PATH").unwrap_or_default());
        path
    }

    pub(super) fn libraries(&self) -> PathBuf {
        self.debian.join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH))
    }
}

/// Fetches and builds what is missing.
pub(super) fn ready(place: &Path) -> Result<(), Stop> {
    let missing = |what: &str| Err(Stop::NotTested(what.to_owned()));
    if output(Command::new("id").arg("-u"))?.trim() != "0" {
        return missing("namespaces, mounts and containers need root");
    }
    for program in ["unshare", "ip", "mount", "apt-get", "dpkg", "tar", "cc", "curl", "go"] {
        if !conductor_testkit::has(program) {
            return missing(&format!("{program} is not installed"));
        }
    }
    if !groups::made().is_empty() {
        return missing("there are control groups of a kubelet or of containerd on this machine already");
    }
    if let Err(reason) = output(Command::new("unshare").args(["--net", "--mount", "--pid", "--fork", "true"]))
    {
        return missing(&format!("namespaces are not permitted here: {reason}"));
    }
    let parts = Parts::at(place);
    debian(&parts.debian).map_err(Stop::NotTested)?;
    kubernetes(place, &parts.kubernetes).map_err(Stop::NotTested)
}

/// Downloads Debian's packages and unpacks them.
fn debian(to: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", to.display());
    let all = PACKAGES.join(" ");
    if std::fs::read_to_string(to.join("complete")).is_ok_and(|there| there == all) {
        return Ok(());
    }
    std::fs::create_dir_all(to).map_err(failed)?;
    let downloads = tempfile::tempdir().map_err(failed)?;
    let download = || {
        output(Command::new("apt-get").args(["-q", "download"]).args(PACKAGES).current_dir(downloads.path()))
    };
    // A machine without lists of packages, such as a fresh container, gets them first.
    download()
        .or_else(|_| output(Command::new("apt-get").args(["-q", "update"])).and_then(|_| download()))?;
    for entry in std::fs::read_dir(downloads.path()).map_err(failed)?.flatten() {
        output(Command::new("dpkg").arg("-x").arg(entry.path()).arg(to))?;
    }
    std::fs::write(to.join("complete"), all).map_err(failed)
}

/// Builds the programs of Kubernetes that are missing, one after the other, for a machine with little memory.
fn kubernetes(place: &Path, to: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", to.display());
    let missing: Vec<_> = PROGRAMS.iter().filter(|name| !to.join(name).exists()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let source = place.join("module");
    std::fs::create_dir_all(&source).map_err(failed)?;
    std::fs::create_dir_all(to).map_err(failed)?;
    let upstream = format!("k8s.io/kubernetes@{RELEASE}");
    let told = output(go(&source).args(["mod", "download", "-json", &upstream]))?;
    let told: serde_json::Value = serde_json::from_str(&told).map_err(|error| error.to_string())?;
    let upstream = std::fs::read_to_string(told["GoMod"].as_str().unwrap_or_default()).map_err(failed)?;
    std::fs::write(source.join("go.mod"), module(&upstream)).map_err(failed)?;
    let version = "k8s.io/component-base/version";
    let minor = RELEASE.split('.').nth(1).unwrap_or_default();
    let flags = format!(
        "-s -w -X {version}.gitVersion={RELEASE} -X {version}.gitMajor=1 -X {version}.gitMinor={minor} -X \
         {version}.gitTreeState=clean -X {version}.gitCommit={:040} -X {version}.buildDate=1970-01-01T00:00:00Z",
        0
    );
    for name in missing {
        let package = format!("k8s.io/kubernetes/cmd/{name}");
        let mut build = go(&source);
        build.args(["build", "-mod=mod", "-trimpath", "-ldflags", &flags, "-o"]).arg(to).arg(package);
        output(&mut build)?;
    }
    Ok(())
}

fn go(directory: &Path) -> Command {
    let mut command = Command::new("nice");
    command.args(["-n", "15", "go"]).current_dir(directory);
    // With the caller's flags: GOFLAGS=-p=1 leaves room for others on the machine.
    let flags = format!("-buildvcs=false {}", std::env::var("GOFLAGS").unwrap_or_default());
    command.envs([("GOFLAGS", flags.as_str()), ("CGO_ENABLED", "0"), ("GOTOOLCHAIN", "local")]);
    command
}

/// A module that requires what the release itself is built with: its own requirements, and its staging modules as they are
/// published instead of the directories that it replaces them by.
fn module(upstream: &str) -> String {
    let mut text = format!("module cluster\n\nrequire k8s.io/kubernetes {RELEASE}\n");
    let mut inside = false;
    for line in upstream.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        // Writing to a String cannot fail.
        let _ = match words.as_slice() {
            ["go" | "godebug", ..] | ["require", "("] => {
                inside = line.starts_with("require");
                writeln!(text, "{line}")
            }
            [")"] if inside => {
                inside = false;
                writeln!(text, ")")
            }
            [name, "v0.0.0", ..] if inside && name.starts_with("k8s.io/") => {
                writeln!(text, "\t{name} {MODULES}")
            }
            [name, version, ..] if inside => writeln!(text, "\t{name} {version}"),
            [name, "=>", path] if path.starts_with("./staging/") => {
                writeln!(text, "replace {name} => {name} {MODULES}")
            }
            _ => Ok(()),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_takes_published_modules_for_staged_ones() {
        let upstream = "module k8s.io/kubernetes\n\ngo 1.26.0\n\ngodebug default=go1.26\n\nrequire (\n\ta.b/c v1.2.3\n\tk8s.io/api v0.0.0\n\
                        )\n\nreplace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n)\n";
        let want = "module cluster\n\nrequire k8s.io/kubernetes v1.37.2\ngo 1.26.0\ngodebug default=go1.26\nrequire (\n\ta.b/c v1.2.3\n\
                    \tk8s.io/api v0.37.2\n)\nreplace k8s.io/api => k8s.io/api v0.37.2\n";
        assert_eq!(module(upstream), want);
    }
}
