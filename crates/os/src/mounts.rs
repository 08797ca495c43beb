//! The mounts that this thread sees, as the kernel lists them.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The device, as `MAJOR:MINOR`.
    pub device: String,
    /// The directory or file of the file system that is mounted; the kernel marks what was removed.
    pub root: PathBuf,
    /// Where it is mounted.
    pub at: PathBuf,
    /// Whether it may be written.
    pub writable: bool,
    /// The type of the file system.
    pub kind: String,
    /// What was mounted: a device, or a word.
    pub source: String,
    /// The options of the file system.
    pub options: String,
}

/// The mounts of this thread; where a mount lies over another, it comes later.
#[expect(clippy::disallowed_methods, reason = "the kernel makes the file, of the mounts of this thread")]
pub fn mounts() -> io::Result<Vec<Mount>> {
    let list = "/proc/thread-self/mountinfo";
    let text =
        std::fs::read(list).map_err(|error| io::Error::new(error.kind(), format!("{list}: {error}")))?;
    Ok(listed(&text))
}

/// Reads lines as `ID PARENT DEVICE ROOT AT OPTIONS ... - TYPE SOURCE OPTIONS`; there may be more in later kernels.
pub fn listed(list: &[u8]) -> Vec<Mount> {
    list.split(|byte| *byte == b'\n').filter_map(one).collect()
}

fn one(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let [_, _, device, root, at, options, ..] = fields[..] else { return None };
    let end = fields.iter().skip(6).position(|field| *field == b"-")?;
    let [_, kind, source, of_all, ..] = fields[6 + end..] else { return None };
    let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
    Some(Mount {
        device: text(device),
        root: path(root),
        at: path(at),
        writable: options.split(|byte| *byte == b',').any(|option| option == b"rw"),
        kind: text(kind),
        source: text(source),
        options: text(of_all),
    })
}

/// A path as the kernel lists it: blanks and backslashes as three octal digits.
fn path(listed: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(listed.len());
    let mut left = listed;
    while let Some((first, rest)) = left.split_first() {
        let digits = rest.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped =
            digits.filter(|_| *first == b'\\').and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(escaped.unwrap_or(*first));
        left = if escaped.is_some() { &rest[3..] } else { rest };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn each_line_is_a_mount_and_what_is_none_is_left_out() {
        let list = b"40 39 254:0 /srv/my\\040loop/in /in rw,nosuid shared:1 master:2 - ext4 /dev/vda rw,data=ordered\n\
            41 39 0:26 / /sys/fs/cgroup ro - cgroup2 - rw\n\
            42 39 0:27 / /short rw shared:1\nnonsense\n\n";
        let found = listed(list);
        let mount = |at: &str| found.iter().find(|mount| mount.at == Path::new(at)).unwrap();
        assert_eq!(found.len(), 2, "{found:?}");
        let first = mount("/in");
        assert_eq!((first.root.as_path(), first.device.as_str()), (Path::new("/srv/my loop/in"), "254:0"));
        assert_eq!((first.kind.as_str(), first.source.as_str()), ("ext4", "/dev/vda"));
        assert_eq!((first.options.as_str(), first.writable), ("rw,data=ordered", true));
        let second = mount("/sys/fs/cgroup");
        assert_eq!((second.kind.as_str(), second.source.as_str(), second.writable), ("cgroup2", "-", false));
        assert_eq!(path(b"a\\134b\\9\\"), Path::new("a\\b\\9\\"));
        assert!(mounts().unwrap().iter().any(|mount| mount.at == Path::new("/")));
    }
}
