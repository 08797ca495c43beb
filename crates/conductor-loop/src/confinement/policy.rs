//! What a run may use: its own slot, the output, the system's directories, and what the operator lists; never the daemon's
//! own directories and secrets.

use super::renewed::places_behind_a_link;
use crate::config::{Config, Egress};
use conductor_core::confinement::{Confinement, Part};
use conductor_os::confine::files::Domain;
use conductor_os::confine::{Without, calls, process};
use conductor_os::dir::Dir;
use conductor_os::is_passing;
use conductor_os::root::DEVICES;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Directories of the system, which programs are made of: read and executed. /proc shows of other processes what
/// everybody may see: their memory, environment and descriptors stay closed to another domain.
const SYSTEM: [&str; 17] = [
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

/// The capabilities that a run keeps: as root those over files, because packages may belong to other users.
pub(super) fn kept() -> rustix::thread::CapabilitySet {
    if rustix::process::geteuid().is_root() {
        process::OVER_FILES
    } else {
        rustix::thread::CapabilitySet::empty()
    }
}

/// The TCP ports that a run may connect to; `None`: all.
pub(super) fn ports(egress: &Egress) -> Option<Vec<u16>> {
    match egress {
        Egress::Any => None,
        Egress::None => Some(Vec::new()),
        Egress::Ports(ports) => Some(ports.clone()),
    }
}

/// What programs of the system need to be read: its directories, those of PATH, and the one of the file by which names of hosts
/// are looked up.
pub(super) fn of_the_system() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let programs: Vec<_> = std::env::split_paths(&path).filter(|path| path.is_absolute()).collect();
    let resolver = fs::canonicalize("/etc/resolv.conf").ok();
    let resolver = resolver.as_deref().and_then(Path::parent).map(Path::to_owned);
    SYSTEM.iter().map(PathBuf::from).chain(programs).chain(resolver)
}

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
    /// The system's directories.
    system: Vec<PathBuf>,
    /// What the operator lists to be read; it may be replaced while we run.
    listed: Vec<PathBuf>,
    write: Vec<PathBuf>,
    /// Where packages are written.
    out: PathBuf,
    /// The daemon's own directories and secrets; absolute.
    own: Vec<PathBuf>,
    /// The secrets among them.
    secrets: Vec<PathBuf>,
    egress: Egress,
    confinement: Confinement,
}

/// What the runs of a program are permitted, each in its slot besides. Finding it asks for every part of every path, so it is
/// kept as long as what it came from is the same.
#[derive(Debug)]
pub struct Permitted {
    /// The domain without a slot.
    pub domain: Domain,
    watched: Vec<(PathBuf, Option<Stamp>)>,
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

/// The path without symbolic links of what is there. An error: for want of memory it is not known.
fn present(path: &Path) -> io::Result<Option<PathBuf>> {
    match path.canonicalize() {
        Err(error) if is_passing(&error) => Err(error),
        real => Ok(real.ok()),
    }
}

/// The path without symbolic links, as far as it exists: what is withheld may be made later. An error: for want of memory it is
/// not known where it leads.
pub(super) fn real(path: &Path) -> io::Result<Option<PathBuf>> {
    match (present(path)?, path.parent(), path.file_name()) {
        (None, Some(parent), Some(name)) => Ok(real(parent)?.map(|parent| parent.join(name))),
        (real, ..) => Ok(real),
    }
}

/// A path as it was recorded: with the time if the record has one.
fn now(path: &Path, recorded: Option<Stamp>) -> Option<Stamp> {
    match recorded {
        Some((_, _, 0, 0)) | None => identity(path),
        Some(_) => content(path),
    }
}

fn withholds(withheld: &[PathBuf], real: &Path) -> bool {
    withheld.iter().any(|own| real.starts_with(own))
}

fn opens_nothing(path: &Path, withheld: &[PathBuf]) -> Option<String> {
    match path.canonicalize() {
        Err(error) => Some(error.to_string()),
        Ok(real) if withholds(withheld, &real) => Some("it is the daemon's own".to_owned()),
        Ok(_) => None,
    }
}

/// Opens a place with everything below it; where something withheld lies below, each of the other entries in its
/// stead. What is absent opens nothing. An error: for want of memory or a descriptor less would be opened than is meant.
fn open(
    path: &Path,
    withheld: &[PathBuf],
    places: &mut Vec<PathBuf>,
    watched: &mut Vec<(PathBuf, Option<Stamp>)>,
) -> io::Result<()> {
    let Some(real) = present(path)? else { return Ok(()) };
    if withholds(withheld, &real) || places.iter().any(|place| real.starts_with(place)) {
        return Ok(());
    }
    if !withheld.iter().any(|own| own.starts_with(&real)) {
        places.push(real);
        return Ok(());
    }
    watched.push((real.clone(), content(&real)));
    let entries = match fs::read_dir(&real).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
        Err(error) if is_passing(&error) => return Err(error),
        // What cannot be listed opens nothing.
        entries => entries.unwrap_or_default(),
    };
    for entry in entries {
        match entry.file_type() {
            Err(error) if is_passing(&error) => return Err(error),
            // A link leads to a place that is open or not by itself.
            Ok(kind) if !kind.is_symlink() => open(&entry.path(), withheld, places, watched)?,
            _ => {}
        }
    }
    Ok(())
}

impl Policy {
    /// The rules, as configured, with what is withheld besides the configured places.
    pub fn new(config: &Config, confinement: &Confinement, out: &Path, withheld: &[&Path]) -> Self {
        let fixed = &config.fixed;
        let listed = fixed.porch_read.iter().cloned().chain(fixed.routes.bases());
        let listed = listed.chain(fixed.kubeconfig.iter().map(PathBuf::from)).collect();
        let absolute = |path: &Path| std::path::absolute(path).ok();
        let policy = Self {
            system: of_the_system().collect(),
            listed,
            write: DEVICES.iter().map(PathBuf::from).chain(fixed.porch_write.iter().cloned()).collect(),
            out: out.to_owned(),
            own: fixed.withheld().chain(withheld.iter().copied()).filter_map(absolute).collect(),
            secrets: fixed.secrets().filter_map(absolute).collect(),
            egress: fixed.egress.clone(),
            confinement: confinement.clone(),
        };
        // A run asks again.
        let withheld = policy.withheld(None).unwrap_or_default();
        for path in fixed.porch_read.iter().chain(&fixed.porch_write) {
            if let Some(reason) = opens_nothing(path, &withheld) {
                tracing::warn!(path = %path.display(), reason, "porch gets nothing there");
            }
        }
        policy
    }

    /// What is closed to a run with this program, as links lead now. A secret behind a link is renewed beside where it is: those
    /// directories are closed as a whole, unless a run has something else to use there.
    fn withheld(&self, program: Option<&Path>) -> io::Result<Vec<PathBuf>> {
        let mut own = Vec::new();
        for path in &self.own {
            own.extend(real(path)?);
        }
        let mut used = Vec::new();
        let named = self.system.iter().chain(&self.listed).chain(&self.write).map(PathBuf::as_path);
        for path in named.chain([self.out.as_path()]).chain(program.and_then(Path::parent)) {
            used.extend([Some(path.to_owned()), real(path)?].into_iter().flatten());
        }
        for secret in &self.secrets {
            for place in places_behind_a_link(secret)? {
                own.extend(real(&place)?.filter(|beside| !used.iter().any(|used| used.starts_with(beside))));
            }
        }
        Ok(own)
    }

    /// What runs of this program are permitted now; without one, those of the embedded engine.
    pub fn permitted(&self, program: Option<&Path>) -> Result<Permitted, Refusal> {
        let cannot = |error: io::Error| Refusal(error.to_string());
        let mut domain = Domain { ports: ports(&self.egress), ..Domain::default() };
        let withheld = self.withheld(program).map_err(cannot)?;
        let listed = self.listed.iter().map(PathBuf::as_path).chain(program.and_then(Path::parent));
        // What was replaced, or made since, is another; a secret is so when its link leads elsewhere. The output may lie in
        // the handoff directory, beside its parts. Noted before anything is opened, so that what is replaced meanwhile is noticed.
        let others = listed.clone().chain(self.write[DEVICES.len()..].iter().map(PathBuf::as_path));
        let others = others.chain(self.secrets.iter().map(PathBuf::as_path)).chain([self.out.as_path()]);
        let mut watched: Vec<_> = others.map(|path| (path.to_owned(), identity(path))).collect();
        for path in self.system.iter().map(PathBuf::as_path).chain(listed) {
            open(path, &withheld, &mut domain.read, &mut watched).map_err(cannot)?;
        }
        for path in &self.write {
            open(path, &withheld, &mut domain.write, &mut watched).map_err(cannot)?;
        }
        domain.write.extend(present(&self.out).map_err(cannot)?);
        Ok(Permitted { domain, watched, program: program.map(Path::to_owned) })
    }

    /// Whether what was found for a program's runs still fits: it is what would be found now.
    pub fn fits(&self, permitted: &Permitted, program: Option<&Path>) -> bool {
        permitted.program.as_deref() == program
            && permitted.watched.iter().all(|(path, recorded)| now(path, *recorded) == *recorded)
    }

    /// Puts this thread, and what it starts, into the domain. What held at the start must hold now.
    pub fn enter(&self, domain: &Domain) -> Result<(), Refusal> {
        self.enter_without_domain()?;
        self.held(Part::Files, domain.enter()).map(drop)
    }

    /// Takes from this thread what no program that it starts may have. The domain of such a program is its own alone.
    pub fn enter_without_domain(&self) -> Result<(), Refusal> {
        self.held(Part::Capabilities, process::give_up_capabilities(kept()))?;
        self.held(Part::Signals, calls::refuse_to_this_thread(self.egress != Egress::None)).map(drop)
    }

    /// Builds the domain in which a program is started in this slot; `None`: runs had none at the start either.
    pub fn build(&self, permitted: &Permitted, slot: &Dir) -> Result<Option<OwnedFd>, Refusal> {
        self.held(Part::Files, permitted.domain.build(Some(slot.as_fd())))
    }

    fn held<T>(&self, part: Part, result: Result<T, Without>) -> Result<Option<T>, Refusal> {
        match result {
            Err(without) if self.confinement.holds(part) => Err(Refusal(without.to_string())),
            other => Ok(other.ok()),
        }
    }
}
