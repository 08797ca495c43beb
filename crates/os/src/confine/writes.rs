//! The Landlock domain of threads that change files in known places only. It limits the changes of files and nothing else:
//! what is read, signalled and connected to stays as it was.

use super::files::{NEWEST, cannot, known_to, with_rules};
use super::without::Without;
use landlock::{AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr};
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
use std::path::{Path, PathBuf};

/// From now on this thread, and whatever it starts, writes, makes, removes and renames files only in and below these
/// places, whatever is mounted there later.
pub fn allow_only_in(places: &[PathBuf]) -> Result<(), Without> {
    // In a domain of an older kernel nothing can be renamed from one directory to another.
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::Refer)
        .map_err(|_| Without::Missing("Landlock ABI 2, Linux 5.19".to_owned()))?;
    let changes = AccessFs::from_write(NEWEST) & !AccessFs::IoctlDev;
    let ruleset = ruleset.set_compatibility(CompatLevel::BestEffort).handle_access(changes);
    let created = ruleset.and_then(Ruleset::create).map_err(|error| cannot(&error))?;
    let status = with_rules(created, places, changes)?.restrict_self().map_err(|error| cannot(&error))?;
    known_to(&status.landlock).map(drop)
}

/// Whether a file system is mounted at this path. Linux before 5.8 does not say so.
pub fn is_mount_point(path: &Path) -> bool {
    let found = statx(CWD, path, AtFlags::empty(), StatxFlags::empty());
    found.is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn whoever_writes_in_known_places_only_reads_everywhere_and_renames_between_them() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        for dir in ["one", "two", "other"] {
            fs::create_dir(at(dir)).unwrap();
            fs::write(at(dir).join("file"), "x").unwrap();
        }
        let places = [at("one"), at("two"), at("nowhere"), "/dev/null".into()];
        let root = temp.path().to_owned();
        let inside = std::thread::spawn(move || {
            let at = |name: &str| root.join(name);
            allow_only_in(&places)?;
            fs::create_dir(at("nowhere")).unwrap_err();
            let permitted = [
                fs::read(at("other/file")).map(drop),
                fs::write("/dev/null", "x"),
                fs::write(at("one/new"), "x"),
                fs::rename(at("one/new"), at("two/new")),
                fs::remove_file(at("two/file")),
                fs::create_dir(at("two/dir")),
            ];
            let refused = [
                fs::write(at("other/file"), "y"),
                fs::write(at("other/new"), "y"),
                fs::remove_file(at("other/file")),
                fs::rename(at("two/new"), at("other/new")),
                fs::rename(at("other/file"), at("two/stolen")),
                fs::create_dir(at("other/dir")),
                std::os::unix::fs::symlink("x", at("other/link")),
                std::os::unix::net::UnixListener::bind(at("other/socket")).map(drop),
                fs::hard_link(at("two/new"), at("other/hard")),
            ];
            Ok((permitted.map(|done| done.is_ok()), refused.map(|done| done.is_err())))
        });
        match inside.join().unwrap() {
            Err(Without::Missing(reason)) => eprintln!("NOT TESTED: {reason}"),
            told => assert_eq!(told.unwrap(), ([true; 6], [true; 9])),
        }
        assert!(fs::write(at("other/file"), "z").is_ok(), "the other threads are outside");
    }

    #[test]
    fn a_mount_point_is_one_and_an_ordinary_directory_is_none() {
        let temp = tempfile::tempdir().unwrap();
        assert!(is_mount_point(Path::new("/proc")) && !is_mount_point(temp.path()));
    }
}
