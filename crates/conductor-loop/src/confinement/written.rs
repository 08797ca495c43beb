//! Where the daemon writes, whatever becomes of it: its directories, the output, backups, and what runs may write. All of its
//! threads are born in that Landlock domain, and the domain of a run lies in it.

use crate::config::Config;
use conductor_os::cgroup;
use conductor_os::confine::Without;
use conductor_os::confine::writes::{allow_only_in, is_mount_point};
use conductor_os::root::DEVICES;
use conductor_os::second;
use std::path::{Path, PathBuf};

/// Lets this thread and that of porch's user, and so all that they start, write there alone.
pub(super) fn confine(config: &Config) -> Result<(), Without> {
    let places = places(config).map_err(Without::Missing)?;
    allow_only_in(&places)?;
    match second::get() {
        None => Ok(()),
        // Its thread is older than this.
        Some(_) => second::reaching(move || allow_only_in(&places))
            .unwrap_or_else(|error| Err(Without::Refused(error.to_string()))),
    }
}

/// The places, or why they cannot be told from the rest of the machine.
fn places(config: &Config) -> Result<Vec<PathBuf>, String> {
    let fixed = &config.fixed;
    let backups = fixed.backups.as_ref().map(|backups| backups.dir.as_path());
    let own = [Some(fixed.handoff.as_path()), Some(&fixed.out), fixed.state_dir.as_deref(), backups];
    let mut places: Vec<PathBuf> = own.into_iter().flatten().map(around).collect::<Result<_, _>>()?;
    // One right below / that is replaced later is closed to porch; the daemon misses nothing.
    for path in &fixed.porch_write {
        places.extend(match around(path) {
            Ok(place) => Some(place),
            Err(_) => real(path)?,
        });
    }
    places.extend(DEVICES.iter().map(PathBuf::from));
    // The groups of runs are made and removed below the daemon's own.
    places.extend(cgroup::get().and_then(Result::ok).map(|groups| groups.path().to_owned()));
    Ok(places)
}

/// The place that a directory and whatever takes its place lie in: what is above it. A rule holds for the directory that is
/// there now, and a replaced or mounted one is another. Right below / that would be the whole machine; there a mount point
/// stands for itself, which no rename can replace.
fn around(path: &Path) -> Result<PathBuf, String> {
    let cannot = |why: &str| format!("{}: {why}", path.display());
    let real = real(path)?.ok_or_else(|| cannot("it is not known where it leads"))?;
    let above = real.ancestors().skip(1).find(|above| above.exists()).unwrap_or(Path::new("/"));
    if above != Path::new("/") {
        return Ok(above.to_owned());
    }
    let reason = "it lies right below / and is no mount point, so what replaces it cannot be told from the rest of the machine";
    if is_mount_point(&real) { Ok(real) } else { Err(cannot(reason)) }
}

/// The path without symbolic links, as far as it exists. An error: for want of memory it is not known.
fn real(path: &Path) -> Result<Option<PathBuf>, String> {
    let absolute = std::path::absolute(path);
    absolute
        .and_then(|path| super::policy::real(&path))
        .map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::config_with;
    use std::fs;

    #[test]
    fn the_daemon_writes_in_its_places_and_what_replaces_them_and_nowhere_else() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        for dir in ["h/handoff", "o", "s/state", "b", "w/extra", "linked/out", "other"] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        std::os::unix::fs::symlink(root.join("linked/out"), root.join("o/out")).unwrap();
        fs::write(root.join("other/file"), "x").unwrap();
        let at = |name: &str| root.join(name);
        let config = config_with(&[
            ("handoff", &at("h/handoff")),
            ("out", &at("o/out")),
            ("state-dir", &at("s/state")),
            ("backup-dir", &at("b/not/mounted/yet")),
            ("porch-write", &at("w/extra")),
        ]);
        let inside = root.clone();
        let inside = std::thread::spawn(move || {
            confine(&config)?;
            let at = |name: &str| inside.join(name);
            let replaced = |name: &str| {
                fs::rename(at(name), at(&format!("{name}-before")))
                    .and_then(|()| fs::create_dir(at(name)))
                    .and_then(|()| fs::write(at(name).join("file"), "x"))
                    .is_ok()
            };
            let permitted = ["h/handoff", "s/state", "w/extra", "linked/out"].map(replaced);
            let backup = fs::create_dir_all(at("b/not/mounted/yet")).is_ok();
            let places = ["other", "", "o"];
            let elsewhere = places.map(|place| fs::write(at(place).join("new"), "x").is_ok());
            let device = fs::write("/dev/null", "x").is_ok();
            let read = fs::read(at("other/file")).is_ok();
            Ok::<_, Without>((permitted, backup, device, read, elsewhere))
        });
        match inside.join().unwrap() {
            Err(Without::Missing(reason)) => eprintln!("NOT TESTED: {reason}"),
            told => assert_eq!(told.unwrap(), ([true; 4], true, true, true, [false; 3])),
        }
    }

    #[test]
    fn a_directory_right_below_the_root_is_a_place_only_if_it_is_a_mount_point() {
        assert_eq!(around(Path::new("/proc")), Ok(PathBuf::from("/proc")));
        let refused = around(Path::new("/no-such-directory")).unwrap_err();
        assert!(refused.starts_with("/no-such-directory: it lies right below /"), "{refused}");
        assert_eq!(around(Path::new("/proc/sys")), Ok(PathBuf::from("/proc")));
    }
}
