//! Where files lie that are read again while the daemon runs: who renews one replaces it by another of its name, or leads a
//! symbolic link on the way to it elsewhere.

use conductor_os::is_passing;
use conductor_os::links::{Link, NotFollowed, Way, follow};
use std::io;
use std::path::{Path, PathBuf, absolute};

/// The directory of a file. In the root of the machine, by whatever path, it is the file alone.
fn around(file: &Path) -> &Path {
    let is_root = |dir: &Path| {
        // A way that cannot be followed does not lead there.
        dir == Path::new("/") || follow(dir).is_ok_and(|way| way.real.as_deref() == Some(Path::new("/")))
    };
    file.parent().filter(|parent| !is_root(parent)).unwrap_or(file)
}

/// Whether a link is one that a renewal leads elsewhere: that of the file, or of a directory beside it (`current`, `..data`). One
/// that leads out of its directory, such as /var/run, is the machine's.
fn is_led(link: &Link) -> bool {
    let parent = link.at.parent().filter(|parent| *parent != Path::new("/"));
    link.is_last
        || parent.is_some_and(|parent| {
            let target = parent.join(&link.target);
            target.starts_with(parent) && !link.target.starts_with("..")
        })
}

/// The directories in which a file is renewed, whatever links lead to it now.
pub(super) fn places_of(file: &Path) -> Vec<PathBuf> {
    let file = absolute(file).unwrap_or_else(|_| file.to_owned());
    // A way that cannot be followed is told by who reads the file.
    let way = follow(&file).unwrap_or_default();
    along(&file, &way)
}

fn along(file: &Path, way: &Way) -> Vec<PathBuf> {
    let mut places = vec![around(file).to_owned()];
    places.extend(way.links.iter().filter(|link| is_led(link)).map(|link| around(&link.at).to_owned()));
    places.extend(way.real.as_deref().map(|real| around(real).to_owned()));
    places
}

/// The same where a link that a renewal leads elsewhere is on the way to a file; else nothing. An error: for want of memory it is
/// not known.
pub(super) fn places_behind_a_link(file: &Path) -> io::Result<Vec<PathBuf>> {
    let file = absolute(file).unwrap_or_else(|_| file.to_owned());
    match follow(&file) {
        Ok(way) if way.links.iter().any(is_led) => Ok(along(&file, &way)),
        Err(NotFollowed { error, .. }) if is_passing(&error) => Err(error),
        _ => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_file_is_renewed_where_its_links_are_led_elsewhere_and_where_they_lead() {
        let temp = tempfile::tempdir().unwrap();
        let top = temp.path().canonicalize().unwrap();
        let at = |name: &str| top.join(name);
        for dir in ["live", "archive/x", "volume/..1", "keys/v1", "plain", "out/run"] {
            fs::create_dir_all(at(dir)).unwrap();
        }
        for file in ["archive/x/key1", "volume/..1/key", "keys/v1/key", "plain/key", "out/run/key"] {
            fs::write(at(file), "x").unwrap();
        }
        symlink("../archive/x/key1", at("live/key")).unwrap();
        symlink("..1", at("volume/..data")).unwrap();
        symlink("..data/key", at("volume/key")).unwrap();
        symlink("v1", at("keys/current")).unwrap();
        fs::create_dir(at("var")).unwrap();
        symlink("../out/run", at("var/run")).unwrap();
        let of = |file: &str| {
            let mut places = places_of(&at(file));
            places.sort();
            places.dedup();
            let places = places.iter().map(|place| place.strip_prefix(&top).unwrap().display().to_string());
            (places.collect::<Vec<_>>(), !places_behind_a_link(&at(file)).unwrap().is_empty())
        };
        let paths = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
        assert_eq!(of("live/key"), (paths(&["archive/x", "live"]), true));
        assert_eq!(of("volume/key"), (paths(&["volume", "volume/..1"]), true));
        assert_eq!(of("keys/current/key"), (paths(&["keys", "keys/current", "keys/v1"]), true));
        assert_eq!(of("plain/key"), (paths(&["plain"]), false));
        assert_eq!(of("var/run/key"), (paths(&["out/run", "var/run"]), false), "the machine's link");
        assert_eq!(of("plain/none"), (paths(&["plain"]), false));
        for in_the_root in ["/no-such-file", "/usr/../no-such-file", "/usr/bin/../../no-such-file"] {
            assert_eq!(places_of(Path::new(in_the_root)), [Path::new(in_the_root)]);
        }
    }
}
