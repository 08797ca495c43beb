//! A root directory of its own for this process: a small file system in memory in which only agreed places of the machine
//! stand, each under the path that it had. The mounts are seen by nobody else, and end with the last process that has
//! them. Attributes of the machine's own mounts are added to, never taken away.

mod mounted;
mod plan;

pub use mounted::{Mounted, mounted};

use crate::raw;
use plan::Plan;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2, symlinkat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags,
    UnmountFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount_change, move_mount, open_tree,
    unmount,
};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The source by which a root of ours is recognised in the list of mounts.
const SOURCE: &str = "conductor-loop";
/// Devices that hold nothing.
pub const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
const TERMINAL: &str = "/dev/tty";
/// Names that programs expect beside the devices.
const STREAMS: [(&str, &str); 4] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];
/// The memory of the root itself, which holds directories and links alone, and that of the private /tmp.
const ROOT_SIZE: &str = "4m";
const TMP_SIZE: &str = "64m";

const NOTHING_GAINED: MountAttrFlags =
    MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV);

/// How a place stands in the root. Of two that are wanted, the later one holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Grant {
    /// An empty file system of its own.
    Fresh,
    /// Read, and executed where the machine permits it.
    Read,
    /// Written as well.
    Write,
    /// A device: its file system decides whether it is read or written.
    Device,
    /// What the kernel shows of itself: whatever is wanted of it, it is only read.
    Kernel,
}

impl Grant {
    /// Whether what lies below a place of this kind needs no mount of its own to stand as `wanted`.
    fn covers(self, wanted: Self) -> bool {
        match self {
            // In what is mounted to be read or written there are no devices.
            Self::Write => wanted != Self::Device,
            Self::Read | Self::Kernel => wanted == Self::Read,
            Self::Fresh | Self::Device => false,
        }
    }

    fn attributes(self) -> MountAttrFlags {
        let read_only = MountAttrFlags::MOUNT_ATTR_RDONLY;
        match self {
            Self::Fresh | Self::Write => NOTHING_GAINED,
            Self::Device => MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC,
            Self::Kernel => NOTHING_GAINED | read_only | MountAttrFlags::MOUNT_ATTR_NOEXEC,
            Self::Read => NOTHING_GAINED | read_only,
        }
    }
}

/// Why there is no root of its own: the call and its object, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refused {
    text: String,
    /// Whether the process lacks the right to it.
    pub denied: bool,
}

impl Refused {
    fn of(call: impl std::fmt::Display) -> impl FnOnce(io::Error) -> Self {
        move |error| {
            let denied = error.kind() == io::ErrorKind::PermissionDenied;
            Self { text: format!("{call}: {error}"), denied }
        }
    }

    fn because(text: String) -> Self {
        Self { text, denied: false }
    }
}

/// The same for the calls of the library.
fn refused(call: impl std::fmt::Display) -> impl FnOnce(Errno) -> Refused {
    move |errno| Refused::of(call)(errno.into())
}

/// The places that stand in the root besides /proc, some devices and an empty /tmp; absolute. One that is absent stands there
/// neither.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// Read-only, with all that is mounted below.
    pub read: Vec<PathBuf>,
    /// Written as well.
    pub write: Vec<PathBuf>,
}

/// Begins mounts of its own for this thread. While there is one thread, they are those of the process.
fn begin() -> Result<(), Refused> {
    raw::own_mounts().map_err(Refused::of("unshare(CLONE_NEWNS)"))?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(refused("making the mounts private"))
}

/// Tries, on a thread that ends right after, whether a root of its own could be made.
pub fn could_enter() -> Result<(), Refused> {
    let tried = std::thread::Builder::new().name("own-root".to_owned()).spawn(|| {
        begin()?;
        let place = open_place(Path::new("/"))?;
        clone(&place, Path::new("/"), Grant::Read).map(drop)
    });
    let thread = tried.map_err(Refused::of("a thread that tries it"))?;
    thread.join().map_err(|_| Refused::because("the thread that tries it has panicked".to_owned()))?
}

/// Gives the process a root with these places. Called while there is one thread; what fails midway leaves the process with
/// mounts that it must not go on with.
pub fn enter(places: &Places) -> Result<(), Refused> {
    let working = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    begin()?;
    let mut plan = Plan::default();
    plan.add_fresh("/tmp");
    for path in DEVICES.into_iter().chain([TERMINAL]) {
        plan.add(Path::new(path), Grant::Device)?;
    }
    for (at, target) in STREAMS {
        plan.add_link(at, target);
    }
    plan.add(Path::new("/proc"), Grant::Kernel)?;
    for (paths, grant) in [(&places.read, Grant::Read), (&places.write, Grant::Write)] {
        for path in paths {
            plan.add(path, grant)?;
        }
    }
    let working = plan.resolve(&working)?.unwrap_or_else(|| PathBuf::from("/"));
    let umask = rustix::process::umask(Mode::WGRP | Mode::WOTH);
    let built = build(&plan, &working);
    rustix::process::umask(umask);
    built?;
    rustix::process::chdir(&working).map_err(refused(format_args!("chdir({})", working.display())))
}

/// Takes the places before anything is mounted over the path to one of them, then makes the root and changes to it.
fn build(plan: &Plan, working: &Path) -> Result<(), Refused> {
    let mut taken = Vec::new();
    for (at, grant) in plan.mounts() {
        let mount = match grant {
            Grant::Fresh => memory("1777", TMP_SIZE)?,
            _ => clone(&open_place(at)?, at, grant)?,
        };
        taken.push((at, mount, grant));
    }
    let root = memory("755", ROOT_SIZE)?;
    let by_descriptor = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(&root, "", CWD, "/", by_descriptor).map_err(refused("mounting the root"))?;
    for (at, mount, grant) in taken {
        let target = make_target(&root, at, grant, &mount)?;
        move_mount(&mount, "", &target, "", by_descriptor | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH)
            .map_err(refused(format_args!("mounting {}", at.display())))?;
    }
    for (at, target) in plan.links() {
        make_parents(&root, at)?;
        symlinkat(target, &root, below(at)).map_err(refused(format_args!("symlink({})", at.display())))?;
    }
    for at in plan.left_again().chain([working]) {
        make_directories(&root, at)?;
    }
    change_to(&root)
}

/// Makes `root` the root of the process, and gives up what was the root before.
fn change_to(root: &OwnedFd) -> Result<(), Refused> {
    rustix::process::fchdir(root).map_err(refused("fchdir"))?;
    rustix::process::pivot_root(".", ".").map_err(refused("pivot_root"))?;
    // The old root lies on the new one, and so is what the working directory leads to.
    unmount(".", UnmountFlags::DETACH).map_err(refused("umount of the old root"))?;
    let read_only = NOTHING_GAINED | MountAttrFlags::MOUNT_ATTR_RDONLY;
    raw::add_to_mount(root, u64::from(read_only.bits()), false).map_err(Refused::of("mount_setattr(/)"))?;
    rustix::process::chdir("/").map_err(refused("chdir(/)"))
}

/// Opens a place whose path was found to have no symbolic link.
fn open_place(path: &Path) -> Result<OwnedFd, Refused> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
        .map_err(refused(format_args!("open({})", path.display())))
}

/// Copies the mount of a place, with all below it.
fn clone(place: &OwnedFd, path: &Path, grant: Grant) -> Result<OwnedFd, Refused> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_EMPTY_PATH;
    let shown = path.display();
    let mount = open_tree(place, "", flags).map_err(refused(format_args!("open_tree({shown})")))?;
    raw::add_to_mount(&mount, u64::from(grant.attributes().bits()), true)
        .map_err(Refused::of(format_args!("mount_setattr({shown})")))?;
    Ok(mount)
}

/// An empty file system in memory, which is mounted nowhere yet.
fn memory(permissions: &str, size: &str) -> Result<OwnedFd, Refused> {
    let make = || {
        let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        for (key, value) in [("source", SOURCE), ("mode", permissions), ("size", size)] {
            fsconfig_set_string(context.as_fd(), key, value)?;
        }
        fsconfig_create(context.as_fd())?;
        fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, NOTHING_GAINED)
    };
    make().map_err(refused("a tmpfs for the root"))
}

/// A path from the root, as one below it.
fn below(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

/// Makes a directory below the root, with those above it. A link among them, which was none when the paths were found, would
/// lead out of the root.
fn make_directories(root: &OwnedFd, path: &Path) -> Result<(), Refused> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut above: Option<OwnedFd> = None;
    for name in below(path) {
        let at = above.as_ref().unwrap_or(root);
        let made = match mkdirat(at, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => openat(at, name, flags, Mode::empty()),
            Err(errno) => Err(errno),
        };
        let call = || format!("mkdir({}), {}", path.display(), name.display());
        above = Some(made.map_err(|errno| refused(call())(errno))?);
    }
    Ok(())
}

fn make_parents(root: &OwnedFd, path: &Path) -> Result<(), Refused> {
    path.parent().map_or(Ok(()), |parent| make_directories(root, parent))
}

/// Makes what a mount is put on, of the same kind, unless a mount before it shows it already; and opens it.
fn make_target(root: &OwnedFd, at: &Path, grant: Grant, mount: &OwnedFd) -> Result<OwnedFd, Refused> {
    let call = || format!("a place for {}", at.display());
    let stat = rustix::fs::fstat(mount).map_err(refused(call()))?;
    if grant == Grant::Fresh || rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir() {
        make_directories(root, at)?;
    } else {
        make_parents(root, at)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        match openat(root, below(at), flags, Mode::from_raw_mode(0o444)) {
            Ok(_) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(refused(call())(errno)),
        }
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat2(root, below(at), flags, Mode::empty(), ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH)
        .map_err(refused(call()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{StatVfsMountFlags, statvfs};
    use rustix::mount::{MountFlags, mount};
    use std::fs;
    use std::io::Read;

    /// What a thread finds in a root of its own; `None`: it may not have one.
    fn inside<T: Send + 'static>(places: Places, look: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        if let Err(refused) = could_enter() {
            eprintln!("NOT TESTED: {refused}");
            return None;
        }
        let thread = std::thread::spawn(move || {
            enter(&places).unwrap();
            look()
        });
        Some(thread.join().unwrap())
    }

    fn names(path: &str) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<String> = fs::read_dir(path).unwrap().map(name).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn only_the_places_stand_in_the_root_each_as_it_was_granted() {
        let temp = tempfile::tempdir_in("/var/tmp").unwrap();
        let at = temp.path().canonicalize().unwrap();
        for dir in ["in", "read", "other"] {
            fs::create_dir(at.join(dir)).unwrap();
            fs::write(at.join(dir).join("file"), dir).unwrap();
        }
        std::os::unix::fs::symlink(at.join("read"), at.join("link")).unwrap();
        let places = Places {
            read: vec![at.join("link"), at.join("absent"), at.join("in"), "/proc".into()],
            write: vec![at.join("in")],
        };
        let here = at.clone();
        let Some(found) = inside(places, move || {
            let written = fs::write(here.join("in/new"), "x").is_ok();
            let kept = [here.join("read/new"), here.join("new"), "/new".into(), "/proc/self/comm".into()]
                .map(|path| fs::write(path, "x").map_err(|error| error.kind()));
            let device = fs::write("/dev/null", "x").is_ok() && fs::read("/dev/urandom.d").is_err();
            fs::write("/tmp/own", "x").unwrap();
            let procfs = statvfs("/proc").unwrap().f_flag;
            let read = fs::read(here.join("link/file")).unwrap();
            (written, kept, device, read, mounted().unwrap().unwrap(), procfs)
        }) else {
            return;
        };
        let (written, kept, device, read, mounted, procfs) = found;
        assert!(written && device && at.join("in/new").exists());
        assert!(kept.iter().all(|kept| *kept == Err(io::ErrorKind::ReadOnlyFilesystem)), "{kept:?}");
        assert_eq!(read, b"read");
        assert!(!Path::new("/tmp/own").exists(), "the private one");
        assert!(procfs.contains(StatVfsMountFlags::NOEXEC | StatVfsMountFlags::RDONLY), "{procfs:?}");
        let of =
            |dir: &str| mounted.iter().find(|place| place.at == at.join(dir)).map(|place| place.writable);
        assert_eq!((of("in"), of("read"), of("other")), (Some(true), Some(false), None));
        assert_eq!(super::mounted().unwrap(), None, "another thread has the root of the machine");
    }

    #[test]
    fn a_device_stays_one_however_it_is_listed_and_whatever_is_above_it() {
        for places in [
            Places { write: vec!["/dev".into(), "/dev/null".into()], ..Places::default() },
            Places { write: vec!["/dev/null".into(), "/dev/urandom".into()], ..Places::default() },
            Places {
                read: vec!["/dev".into(), "/dev/null".into(), "/dev/urandom".into()],
                ..Places::default()
            },
        ] {
            let told = format!("{places:?}");
            let used = inside(places, || {
                let random = fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut [0; 8]));
                (fs::write("/dev/null", "x").map_err(|error| error.kind()), random.is_ok())
            });
            assert!(used.is_none_or(|used| used == (Ok(()), true)), "{told}: {used:?}");
        }
    }

    #[test]
    fn nothing_else_of_the_machine_is_seen_and_the_way_back_is_gone() {
        let Some((top, devices, above)) = inside(Places::default(), || {
            let above = names("/../../proc/thread-self/root/");
            (names("/"), names("/dev"), above)
        }) else {
            return;
        };
        let here = std::env::current_dir().unwrap();
        let first = here.iter().nth(1).unwrap().to_str().unwrap();
        assert!(top.iter().all(|name| ["dev", "proc", "tmp", first].contains(&name.as_str())), "{top:?}");
        assert_eq!(top, above);
        assert_eq!(devices[..2], ["fd".to_owned(), "full".to_owned()]);
    }

    #[test]
    fn what_the_machine_forbids_in_a_mount_stays_forbidden() {
        let temp = tempfile::tempdir_in("/var/tmp").unwrap();
        let at = temp.path().canonicalize().unwrap();
        fs::create_dir_all(at.join("in/ro")).unwrap();
        if could_enter().is_err() {
            eprintln!("NOT TESTED: no right to mount");
            return;
        }
        let flags = std::thread::spawn(move || {
            begin().unwrap();
            let strict = MountFlags::RDONLY | MountFlags::NOEXEC | MountFlags::NOATIME;
            mount("none", at.join("in/ro"), "tmpfs", strict, None).unwrap();
            enter(&Places { write: vec![at.join("in")], ..Places::default() }).unwrap();
            [at.join("in/ro"), at.join("in")].map(|path| statvfs(path).unwrap().f_flag)
        });
        let [strict, writable] = flags.join().unwrap();
        let all = StatVfsMountFlags::RDONLY
            | StatVfsMountFlags::NOEXEC
            | StatVfsMountFlags::NOATIME
            | StatVfsMountFlags::NOSUID
            | StatVfsMountFlags::NODEV;
        assert!(strict.contains(all), "{strict:?}");
        assert!(!writable.contains(StatVfsMountFlags::RDONLY), "{writable:?}");
        assert!(writable.contains(StatVfsMountFlags::NOSUID | StatVfsMountFlags::NODEV), "{writable:?}");
    }
}
