//! What stands in a root of ours, by the kernel's list of mounts.

use super::SOURCE;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// A place of the machine in a root of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// Its path in the root.
    pub at: PathBuf,
    /// Its present path in its file system, which the machine may have changed; the kernel marks what was removed.
    pub source: PathBuf,
    /// Whether it may be written.
    pub writable: bool,
}

/// The places in this process's root; `None`: it has none of its own.
#[expect(clippy::disallowed_methods, reason = "the kernel makes the file, of the mounts of this process")]
pub fn mounted() -> Option<Vec<Mounted>> {
    listed(&std::fs::read("/proc/thread-self/mountinfo").ok()?)
}

/// Reads lines as `ID PARENT DEVICE SOURCE AT OPTIONS ... - TYPE NAME OPTIONS`.
fn listed(list: &[u8]) -> Option<Vec<Mounted>> {
    let mut is_ours = false;
    let mut places = Vec::new();
    for line in list.split(|byte| *byte == b'\n') {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let [_, _, _, source, at, options, ..] = fields[..] else { continue };
        let ours = fields.windows(3).any(|last| last == [b"-", &b"tmpfs"[..], SOURCE.as_bytes()]);
        let at = path(at);
        is_ours |= ours && at == Path::new("/");
        if !ours {
            let writable = options.split(|byte| *byte == b',').any(|option| option == b"rw");
            places.push(Mounted { at, source: path(source), writable });
        }
    }
    is_ours.then_some(places)
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

    #[test]
    fn a_root_of_ours_is_known_by_its_source_and_its_places_are_listed() {
        let places = b"40 39 254:0 /srv/my\\040loop/in /srv/my\\040loop/in rw,nosuid - ext4 /dev/vda rw\n\
            41 39 254:0 /usr /usr ro,nosuid shared:1 master:2 - ext4 /dev/vda rw\n\
            42 39 254:0 /old//deleted /srv/out rw - ext4 /dev/vda rw\n\
            43 39 0:30 / /tmp rw - tmpfs conductor-loop rw\n";
        let root = b"39 20 0:29 / / ro,nosuid - tmpfs conductor-loop rw,size=4096k\n";
        let place =
            |at: &str, source: &str, writable| Mounted { at: at.into(), source: source.into(), writable };
        assert_eq!(
            listed(&[&root[..], places].concat()).unwrap(),
            [
                place("/srv/my loop/in", "/srv/my loop/in", true),
                place("/usr", "/usr", false),
                place("/srv/out", "/old//deleted", true),
            ]
        );
        assert_eq!(listed(places), None);
        assert_eq!(listed(b""), None);
        assert_eq!(path(b"a\\134b\\9\\"), Path::new("a\\b\\9\\"));
        assert_eq!(mounted(), None, "of this test");
    }
}
