//! A directory by descriptor. Every file operation of the daemon goes through such a descriptor, so that no change of the
//! path meanwhile (renames, symbolic links) can redirect it.

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RawDir, RenameFlags, ResolveFlags, Stat, StatxAttributes, StatxFlags,
    fchmod, fstat, linkat, mkdirat, open, openat, openat2, renameat, renameat_with, statat, statx, unlinkat,
};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// A directory that stays the same whatever happens to its path.
#[derive(Debug)]
pub struct Dir(OwnedFd);

/// The type of a directory entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A FIFO.
    Fifo,
    /// A socket.
    Socket,
    /// A block or character device.
    Device,
}

/// The result of lstat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// The entry's type.
    pub kind: Kind,
    /// Device and inode: the entry's identity.
    pub id: (u64, u64),
    /// Number of names.
    pub links: u64,
    /// Size in bytes.
    pub size: u64,
    /// Owner.
    pub uid: u32,
    /// Permission bits, set-id and sticky bits.
    pub mode: u32,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Change time, nanoseconds since 1970.
    pub ctime_ns: i64,
}

impl Meta {
    /// The metadata of an open descriptor.
    pub fn of(file: impl AsFd) -> io::Result<Self> {
        Ok(Self::from_stat(&fstat(file)?))
    }

    /// The metadata of a path, by lstat.
    pub fn of_path(path: &Path) -> io::Result<Self> {
        Ok(Self::from_stat(&rustix::fs::lstat(path)?))
    }

    // The widths of these fields differ between architectures.
    #[expect(
        clippy::unnecessary_cast,
        clippy::cast_sign_loss,
        reason = "field widths of stat differ by architecture"
    )]
    fn from_stat(stat: &Stat) -> Self {
        let ns = |secs: i64, nanos: i64| secs.saturating_mul(1_000_000_000).saturating_add(nanos);
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Symlink,
            FileType::Fifo => Kind::Fifo,
            FileType::Socket => Kind::Socket,
            _ => Kind::Device,
        };
        Self {
            kind,
            id: (stat.st_dev as u64, stat.st_ino as u64),
            links: stat.st_nlink as u64,
            size: stat.st_size as u64,
            uid: stat.st_uid,
            mode: stat.st_mode & 0o7777,
            mtime_ns: ns(stat.st_mtime as i64, i64::try_from(stat.st_mtime_nsec).unwrap_or(0)),
            ctime_ns: ns(stat.st_ctime as i64, i64::try_from(stat.st_ctime_nsec).unwrap_or(0)),
        }
    }
}

const DIR_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Dir {
    /// A directory that was opened in another way.
    pub fn over(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }

    /// Opens a directory by path; symbolic links on the way are the operator's and are followed.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(open(path, DIR_FLAGS, Mode::empty())?))
    }

    /// Opens the sub-directory `name`, creating it when missing. A symbolic link of that name is refused; a directory of
    /// ours whose permissions a run removed gets them back.
    pub fn ensure(&self, name: &str, mode: u32) -> io::Result<Self> {
        match mkdirat(&self.0, name, Mode::from_raw_mode(mode)) {
            Ok(()) | Err(Errno::EXIST) => self.sub_of_ours(name),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Opens the existing sub-directory `name`, never through a symbolic link.
    pub fn sub(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        Ok(Self(openat(&self.0, name.as_ref(), DIR_FLAGS | OFlags::NOFOLLOW, Mode::empty())?))
    }

    /// The metadata of this directory itself.
    pub fn meta(&self) -> io::Result<Meta> {
        Meta::of(&self.0)
    }

    /// The metadata of an entry, by lstat.
    pub fn stat(&self, name: impl AsRef<OsStr>) -> io::Result<Meta> {
        Ok(Meta::from_stat(&statat(&self.0, name.as_ref(), AtFlags::SYMLINK_NOFOLLOW)?))
    }

    /// Whether a file attribute keeps every user from renaming this entry. If the file system reports no attributes, none does.
    pub fn is_fixed(&self, name: impl AsRef<OsStr>) -> bool {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let told = statx(self, name.as_ref(), flags, StatxFlags::TYPE);
        let fixed = StatxAttributes::IMMUTABLE | StatxAttributes::APPEND;
        told.is_ok_and(|told| told.stx_attributes.intersects(fixed))
    }

    /// Whether an entry of this name exists.
    pub fn has(&self, name: &str) -> io::Result<bool> {
        match self.stat(name) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Opens an entry for reading: no symbolic links, no blocking on a FIFO, nothing beyond this directory.
    pub fn open_read(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let opened = match openat2(&self.0, name.as_ref(), flags, Mode::empty(), resolve) {
            // Kernels before 5.6, and containers with an older seccomp profile, do not permit the call.
            Err(Errno::NOSYS | Errno::PERM) => openat(&self.0, name.as_ref(), flags, Mode::empty()),
            other => other,
        };
        Ok(File::from(opened?))
    }

    /// Waits until no other holder of this lock is left, and holds it until the file is closed. Who does not ask is not kept.
    pub fn lock(&self) -> io::Result<File> {
        let own = File::from(openat(
            &self.0,
            ".",
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?);
        rustix::fs::flock(&own, rustix::fs::FlockOperation::LockExclusive)?;
        Ok(own)
    }

    /// Reads a regular file of this directory, at most its first `most` bytes. Any other entry is an error, and is not opened.
    pub fn read_plain(&self, name: impl AsRef<OsStr>, most: u64) -> io::Result<Vec<u8>> {
        if self.stat(name.as_ref())?.kind != Kind::File {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file"));
        }
        crate::plain::read_start(self.open_read(name)?, most)
    }

    /// Writes a whole file durably over the one of this name: a crash leaves that one or this one.
    pub fn replace(&self, name: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        let draft = format!(".{name}.draft");
        match self.unlink(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.create(&draft, mode, content)?;
        self.open_read(&draft)?.sync_all()?;
        self.rename_over(&draft, self, name)?;
        self.sync()
    }

    /// Creates a file that must not exist, and writes `content`; on failure the file is removed.
    pub fn create(&self, name: impl AsRef<OsStr>, mode: u32, content: &[u8]) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.0, name.as_ref(), flags, Mode::from_raw_mode(mode))?;
        let written = File::from(file).write_all(content);
        if written.is_err() {
            // The reported error is that of the write.
            let _ = self.unlink(name);
        }
        written
    }

    /// Opens (and creates) a file for reading and writing at offsets.
    pub fn open_rw(&self, name: &str, mode: u32) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(openat(&self.0, name, flags, Mode::from_raw_mode(mode))?))
    }

    /// Moves an entry; an existing target is an error and never overwritten.
    pub fn rename_new(&self, from: impl AsRef<OsStr>, to_dir: &Dir, to: impl AsRef<OsStr>) -> io::Result<()> {
        let (from, to) = (from.as_ref(), to.as_ref());
        match renameat_with(&self.0, from, &to_dir.0, to, RenameFlags::NOREPLACE) {
            // File systems without the flag: link fails on an existing target too.
            Err(Errno::INVAL | Errno::NOSYS) => {
                linkat(&self.0, from, &to_dir.0, to, AtFlags::empty())?;
                Ok(unlinkat(&self.0, from, AtFlags::empty())?)
            }
            other => Ok(other?),
        }
    }

    /// Moves an entry to the first free name of `aside`, `aside.2`, `aside.3`, ..., and returns that name.
    pub fn move_aside(&self, name: &str, aside: &str) -> io::Result<String> {
        at_first_free(aside, |to| self.rename_new(name, self, to))
    }

    /// Gives a file a second name: the first free one of `aside`, `aside.2`, `aside.3`, ..., which it returns.
    pub fn link_aside(&self, name: &str, aside: &str) -> io::Result<String> {
        at_first_free(aside, |to| Ok(linkat(&self.0, name, &self.0, to, AtFlags::empty())?))
    }

    /// Moves an entry over any entry of that name.
    pub fn rename_over(&self, from: &str, to_dir: &Dir, to: &str) -> io::Result<()> {
        Ok(renameat(&self.0, from, &to_dir.0, to)?)
    }

    /// Removes an entry that is not a directory.
    pub fn unlink(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(unlinkat(&self.0, name.as_ref(), AtFlags::empty())?)
    }

    /// Removes an empty directory.
    pub fn remove_dir(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(unlinkat(&self.0, name.as_ref(), AtFlags::REMOVEDIR)?)
    }

    /// Sets the permission bits of an entry that has been checked to be a regular file of ours.
    pub fn set_mode(&self, name: &str, mode: u32) -> io::Result<()> {
        let file = self.open_read(name)?;
        Ok(fchmod(&file, Mode::from_raw_mode(mode))?)
    }

    /// Removes all permission bits except `most` from an entry (a regular file or directory, never through a link), or
    /// from this directory itself as `.`.
    pub fn narrow(&self, name: impl AsRef<OsStr>, most: u32) -> io::Result<()> {
        let file = self.open_read(name)?;
        let mode = Meta::of(&file)?.mode;
        Ok(fchmod(&file, Mode::from_raw_mode(mode & (0o7000 | most)))?)
    }

    /// All names. For small directories; large ones are read with a [`Lister`].
    pub fn names(&self) -> io::Result<Vec<Box<[u8]>>> {
        let mut names = Vec::new();
        self.lister()?.slice(usize::MAX, |name| names.push(name.into()))?;
        Ok(names)
    }

    /// Starts a listing of the entries in slices, from the first one.
    pub fn lister(&self) -> io::Result<Lister> {
        // A descriptor of its own, because the position belongs to the open file description.
        Ok(Lister(openat(&self.0, ".", DIR_FLAGS, Mode::empty())?))
    }

    /// Makes everything written on this file system before the call durable.
    pub fn sync_file_system(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.0)?)
    }

    /// Makes the directory's entries durable.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.0)?)
    }

    /// Free bytes and free inodes for us.
    pub fn free_space(&self) -> io::Result<(u64, u64)> {
        let stat = rustix::fs::fstatvfs(&self.0)?;
        // Some file systems have no fixed number of inodes and report zero.
        let inodes = if stat.f_files == 0 { u64::MAX } else { stat.f_favail };
        Ok((stat.f_bavail.saturating_mul(stat.f_frsize), inodes))
    }

    /// Whether events are unreliable here: network and user-space file systems, by their magic numbers (statfs(2)).
    pub fn is_network_file_system(&self) -> bool {
        const MAGICS: [u64; 9] = [
            0x6969,      // NFS
            0xFF53_4D42, // CIFS
            0xFE53_4D42, // SMB2
            0x517B,      // SMB
            0x6573_5546, // FUSE (also virtiofs)
            0x0102_1997, // 9p
            0x00C3_6400, // Ceph
            0x5346_414F, // AFS
            0x0BD0_0BD0, // Lustre
        ];
        rustix::fs::fstatfs(&self.0).is_ok_and(|stat| {
            let magic = u64::try_from(stat.f_type).unwrap_or(0) & 0xFFFF_FFFF;
            MAGICS.contains(&magic)
        })
    }
}

/// Does something at the first free name of `wanted`, `wanted.2`, `wanted.3`, ..., and returns that name.
fn at_first_free(wanted: &str, mut work: impl FnMut(&str) -> io::Result<()>) -> io::Result<String> {
    for count in 1_u32.. {
        let to = if count == 1 { wanted.to_owned() } else { format!("{wanted}.{count}") };
        match work(&to) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            done => return done.map(|()| to),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into()) // The numbers are endless.
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A position in the listing of a directory.
#[derive(Debug)]
pub struct Lister(OwnedFd);

impl Lister {
    /// Passes names to `each` until about `most` were read; returns true at the end of the directory.
    pub fn slice(&mut self, most: usize, mut each: impl FnMut(&[u8])) -> io::Result<bool> {
        let mut read = 0;
        while read < most {
            let before = read;
            // A fresh buffer reader per round: the kernel keeps the position, so a slice may end between buffers.
            let mut buffer = [MaybeUninit::uninit(); 16 << 10];
            let mut raw = RawDir::new(&self.0, &mut buffer);
            while let Some(entry) = raw.next() {
                let entry = entry?;
                let name = entry.file_name().to_bytes();
                read += 1;
                if name != b"." && name != b".." {
                    each(name);
                }
                if raw.is_buffer_empty() {
                    break;
                }
            }
            if read == before {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_deliver_every_name_once() {
        let temp = tempfile::tempdir().unwrap();
        for i in 0..3000 {
            std::fs::write(temp.path().join(format!("file-with-a-longer-name-{i:05}")), "").unwrap();
        }
        let mut lister = Dir::open(temp.path()).unwrap().lister().unwrap();
        let (mut names, mut slices) = (Vec::new(), 0);
        loop {
            slices += 1;
            if lister.slice(500, |name| names.push(name.to_vec())).unwrap() {
                break;
            }
        }
        assert!(slices > 1);
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 3000);
    }

    #[test]
    fn a_replaced_file_is_whole_and_only_plain_ones_are_read() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        // A draft that a crash left.
        dir.create(".f.draft", 0o600, b"half").unwrap();
        for content in ["one", "another"] {
            dir.replace("f", 0o640, content.as_bytes()).unwrap();
            assert_eq!(dir.read_plain("f", 100).unwrap(), content.as_bytes());
        }
        assert_eq!((dir.stat("f").unwrap().mode & 0o777, dir.names().unwrap().len()), (0o640, 1));
        assert_eq!(dir.read_plain("f", 3).unwrap(), b"ano");
        dir.ensure("d", 0o700).unwrap();
        std::os::unix::fs::symlink("f", temp.path().join("l")).unwrap();
        for name in ["d", "l"] {
            assert_eq!(dir.read_plain(name, 3).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{name}");
        }
        assert_eq!(dir.read_plain("none", 3).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn nothing_is_overwritten_or_followed() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        dir.create("a", 0o600, b"a").unwrap();
        dir.create("b", 0o600, b"b").unwrap();
        assert_eq!(dir.rename_new("a", &dir, "b").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(
            (dir.move_aside("a", "c").unwrap(), dir.move_aside("b", "c").unwrap()),
            ("c".into(), "c.2".into())
        );
        assert!(dir.move_aside("a", "c").is_err(), "it is gone");
        std::os::unix::fs::symlink("/etc", temp.path().join("link")).unwrap();
        assert!(
            dir.sub("link").is_err() && dir.open_read("link").is_err() && dir.ensure("link", 0o700).is_err()
        );
    }
}
