//! What a run may use: its own slot, the output, the system's directories, and what the operator lists; never the daemon's
//! own directories and secrets.

use super::given::{kept, ports};
use crate::config::{Config, Egress};
use conductor_core::confinement::{Confinement, Part};
use conductor_os::confine::files::Domain;
use conductor_os::confine::{Without, calls, process};
use conductor_os::dir::Dir;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Directories of the system, which programs are made of: read and executed. /proc shows of other processes what
/// everybody may see: their memory, environment and descriptors stay closed to another domain.
pub(super) const SYSTEM: [&str; 17] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc",
    "/opt",
    "/nix",
    "/gnu",
    "/snap",
    "/proc",
    "/sys",
    // Names of hosts, and the certificates to which some distributions link.
    "/run/systemd/resolve",
    "/var/lib/ca-certificates",
    // The identity of a pod.
    "/var/run/secrets/kubernetes.io/serviceaccount",
];
/// Devices that hold nothing.
pub(super) const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Why a run cannot be confined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the run cannot be confined: {0}")]
pub struct Refusal(String);

impl Refusal {
    /// For this reason.
    pub fn of(reason: impl std::fmt::Display) -> Self {
        Self(reason.to_string())
    }
}

/// The rules for all runs of a session.
#[derive(Debug)]
pub struct Policy {
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
    /// Where packages are written.
    out: PathBuf,
    withheld: Vec<PathBuf>,
    egress: Egress,
    confinement: Confinement,
}

/// What a domain was built from: when that is another, a new one is needed.
#[derive(Debug)]
pub struct Built {
    watched: Vec<(PathBuf, Option<Stamp>)>,
    slot: Option<(u64, u64)>,
    program: Option<PathBuf>,
}

/// The identity of a directory; with the time of its last change if the names in it matter.
type Stamp = (u64, u64, i64, i64);

fn identity(path: &Path) -> Option<Stamp> {
    fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino(), 0, 0))
}

fn content(path: &Path) -> Option<Stamp> {
    fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino(), meta.mtime(), meta.mtime_nsec()))
}

/// The path without symbolic links, as far as it exists: what is withheld may be made later.
pub(super) fn real(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok().or_else(|| Some(real(path.parent()?)?.join(path.file_name()?)))
}

/// A path as it was recorded: with the time if the record has one.
fn now(path: &Path, recorded: Option<Stamp>) -> Option<Stamp> {
    match recorded {
        Some((_, _, 0, 0)) | None => identity(path),
        Some(_) => content(path),
    }
}

impl Policy {
    /// The rules, as configured, with what is withheld besides the configured places.
    pub fn new(config: &Config, confinement: &Confinement, out: &Path, withheld: &[&Path]) -> Self {
        let fixed = &config.fixed;
        let from_path = std::env::var_os("PATH").unwrap_or_default();
        let programs = std::env::split_paths(&from_path).filter(|path| path.is_absolute());
        let resolver = fs::canonicalize("/etc/resolv.conf").ok();
        let resolver = resolver.as_deref().and_then(Path::parent).map(Path::to_owned);
        let read = SYSTEM.iter().map(PathBuf::from).chain(programs).chain(resolver);
        let read = read.chain(fixed.porch_read.iter().cloned()).chain(fixed.routes.bases());
        let read = read.chain(fixed.kubeconfig.iter().map(PathBuf::from)).collect();
        let withheld = fixed.withheld().chain(withheld.iter().copied());
        let withheld = withheld.filter_map(|path| real(&std::path::absolute(path).ok()?)).collect();
        let policy = Self {
            read,
            write: DEVICES.iter().map(PathBuf::from).chain(fixed.porch_write.iter().cloned()).collect(),
            out: out.to_owned(),
            withheld,
            egress: fixed.egress.clone(),
            confinement: confinement.clone(),
        };
        for path in fixed.porch_read.iter().chain(&fixed.porch_write) {
            if let Some(reason) = policy.opens_nothing(path) {
                tracing::warn!(path = %path.display(), reason, "porch gets nothing there");
            }
        }
        policy
    }

    fn opens_nothing(&self, path: &Path) -> Option<String> {
        match path.canonicalize() {
            Err(error) => Some(error.to_string()),
            Ok(real) if self.withholds(&real) => Some("it is the daemon's own".to_owned()),
            Ok(_) => None,
        }
    }

    fn withholds(&self, real: &Path) -> bool {
        self.withheld.iter().any(|own| real.starts_with(own))
    }

    /// Builds the domain of a run in this slot, with this program.
    pub fn domain(&self, slot: Option<&Dir>, program: Option<&Path>) -> Result<(Domain, Built), Refusal> {
        let cannot = |error: io::Error| Refusal(error.to_string());
        let directory = slot.map(|slot| slot.as_fd().try_clone_to_owned()).transpose().map_err(cannot)?;
        let mut domain = Domain { directory, ports: ports(&self.egress), ..Domain::default() };
        let mut built = Built {
            watched: Vec::new(),
            slot: slot.map(Dir::meta).transpose().map_err(cannot)?.map(|meta| meta.id),
            program: program.map(Path::to_owned),
        };
        let parent = program.and_then(Path::parent);
        for path in self.read.iter().map(PathBuf::as_path).chain(parent) {
            self.open(path, &mut domain.read, &mut built.watched);
        }
        for path in &self.write {
            self.open(path, &mut domain.write, &mut built.watched);
        }
        for path in &self.write[DEVICES.len()..] {
            built.watched.push((path.clone(), identity(path)));
        }
        // The output may lie in the handoff directory, beside its parts.
        built.watched.push((self.out.clone(), identity(&self.out)));
        domain.write.extend(self.out.canonicalize());
        Ok((domain, built))
    }

    /// Opens a place with everything below it; where something withheld lies below, each of the other entries in its
    /// stead. What is absent opens nothing.
    fn open(&self, path: &Path, places: &mut Vec<PathBuf>, watched: &mut Vec<(PathBuf, Option<Stamp>)>) {
        let Ok(real) = path.canonicalize() else { return };
        if self.withholds(&real) || places.iter().any(|place| real.starts_with(place)) {
            return;
        }
        if !self.withheld.iter().any(|own| own.starts_with(&real)) {
            places.push(real);
            return;
        }
        watched.push((real.clone(), content(&real)));
        for entry in fs::read_dir(&real).into_iter().flatten().flatten() {
            // A link leads to a place that is open or not by itself.
            if entry.file_type().is_ok_and(|kind| !kind.is_symlink()) {
                self.open(&entry.path(), places, watched);
            }
        }
    }

    /// Whether a domain still fits.
    pub fn fits(&self, built: &Built, slot: Option<&Dir>, program: Option<&Path>) -> bool {
        let slot = slot.map(Dir::meta).transpose();
        built.program.as_deref() == program
            && slot.is_ok_and(|slot| slot.map(|meta| meta.id) == built.slot)
            && built.watched.iter().all(|(path, recorded)| now(path, *recorded) == *recorded)
    }

    /// Puts this thread, and what it starts, into the domain. What held at the start must hold now.
    pub fn enter(&self, domain: &Domain) -> Result<(), Refusal> {
        let held = |part, result: Result<(), Without>| match result {
            Err(without) if self.confinement.holds(part) => Err(Refusal(without.to_string())),
            _ => Ok(()),
        };
        held(Part::Capabilities, process::give_up_capabilities(kept()))?;
        held(Part::Files, domain.enter().map(drop))?;
        held(Part::Signals, calls::refuse_to_this_thread(self.egress != Egress::None))
    }
}
