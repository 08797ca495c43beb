//! The porch executable: resolved once to an absolute path at start; only its owner and root may be able to replace it.

use conductor_core::Code;
use conductor_os::dir::Dir;
use conductor_os::second::{self, Access};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A checked executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executable {
    /// Absolute, without symbolic links.
    pub path: PathBuf,
}

/// Why an executable is not used.
#[derive(Debug, thiserror::Error)]
pub enum ExecutableError {
    /// It does not exist. The wording is the specification's.
    #[error("porch validation failed: exec: \"{0}\": executable file not found in $PATH")]
    NotInPath(String),
    /// It does not exist at that path.
    #[error("porch validation failed: \"{0}\": {1}")]
    NotFound(String, #[source] io::Error),
    /// It is not an executable file.
    #[error("porch validation failed: \"{0}\" is {1}")]
    NotExecutable(String, &'static str),
    /// Other users could replace it.
    #[error("porch validation failed: \"{executable}\" could be replaced: {place} is writable by {by}")]
    Unsafe {
        /// The executable.
        executable: String,
        /// The path that others may write.
        place: String,
        /// The users who may write it.
        by: &'static str,
    },
}

impl ExecutableError {
    /// The remedy, if it is not that of the code.
    pub fn remedy(&self) -> Option<&'static str> {
        matches!(self, Self::NotExecutable(..))
            .then_some("Name an executable program, or 'builtin'; chmod +x makes a file executable.")
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            ExecutableError::NotInPath(_) | ExecutableError::NotFound(..) => Code::PorchMissing,
            ExecutableError::NotExecutable(..) | ExecutableError::Unsafe { .. } => Code::PorchUnsafe,
        }
    }
}

/// Finds `porch` as a shell would: a name without slash along `search`, any other as a path.
pub fn resolve(
    porch: &str,
    search: Option<&OsStr>,
    allow_unsafe: bool,
) -> Result<Executable, ExecutableError> {
    let found = if porch.contains('/') { PathBuf::from(porch) } else { along(porch, search)? };
    let missing = |error: io::Error| ExecutableError::NotFound(porch.to_owned(), error);
    let path = found.canonicalize().map_err(missing)?;
    let meta = path.metadata().map_err(missing)?;
    if !meta.is_file() {
        return Err(ExecutableError::NotExecutable(porch.to_owned(), "not a regular file"));
    }
    if !may_execute(&path) {
        return Err(ExecutableError::NotExecutable(porch.to_owned(), "not executable"));
    }
    if !allow_unsafe {
        check_writers(porch, &path)?;
    }
    Ok(Executable { path })
}

fn along(name: &str, search: Option<&OsStr>) -> Result<PathBuf, ExecutableError> {
    let missing = || ExecutableError::NotInPath(name.to_owned());
    let directories = search.ok_or_else(missing)?.as_bytes().split(|b| *b == b':');
    directories
        // For a shell an empty entry means the current directory; a daemon does not take programs from there.
        .filter(|directory| directory.starts_with(b"/"))
        .map(|directory| Path::new(OsStr::from_bytes(directory)).join(name))
        .find(|path| path.is_file() && may_execute(path))
        .ok_or_else(missing)
}

/// What cannot be asked now is told by the start.
fn may_execute(path: &Path) -> bool {
    second::may(path, Access::EXEC_OK).unwrap_or(true)
}

/// Checks the file and each directory above it: not group- or world-writable, except sticky directories such as /tmp,
/// where only the owner may replace an entry.
fn check_writers(porch: &str, path: &Path) -> Result<(), ExecutableError> {
    for place in path.ancestors() {
        let missing = |error: io::Error| ExecutableError::NotFound(porch.to_owned(), error);
        let meta = place.metadata().map_err(missing)?;
        let sticky_directory = meta.is_dir() && meta.mode() & 0o1000 != 0;
        let by = match meta.mode() & 0o022 {
            _ if sticky_directory => continue,
            0 => continue,
            bits if bits & 0o002 != 0 => "everybody",
            _ => "its group",
        };
        return Err(ExecutableError::Unsafe {
            executable: porch.to_owned(),
            place: place.display().to_string(),
            by,
        });
    }
    Ok(())
}

/// Makes the output directory if it is missing; an error if it cannot be made or is not a directory.
pub fn ensure_out(path: &Path) -> io::Result<PathBuf> {
    std::fs::DirBuilder::new().recursive(true).create(path)?;
    let path = path.canonicalize()?;
    Dir::open(&path)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_others_can_replace_is_refused_unless_allowed() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("porch");
        write(&file, "#!/bin/sh\n").unwrap();
        let path = file.to_str().unwrap();
        let mode = |place: &Path, mode| set_permissions(place, Permissions::from_mode(mode)).unwrap();
        let code = |allow| resolve(path, None, allow).map_err(|error| error.code());
        mode(&file, 0o644);
        assert_eq!(code(true), Err(Code::PorchUnsafe), "not executable");
        mode(&file, 0o755);
        assert!(code(false).is_ok());
        for unsafe_mode in [0o775, 0o757] {
            mode(&file, unsafe_mode);
            assert_eq!(code(false), Err(Code::PorchUnsafe));
            assert!(code(true).is_ok(), "the named override");
            let by =
                if unsafe_mode == 0o775 { "is writable by its group" } else { "is writable by everybody" };
            let told = resolve(path, None, false).unwrap_err().to_string();
            assert!(told.ends_with(by), "{told}");
        }
        mode(&file, 0o1757);
        assert_eq!(code(false), Err(Code::PorchUnsafe), "the sticky bit of a file protects nothing");
        mode(&file, 0o755);
        mode(temp.path(), 0o777);
        assert_eq!(code(false), Err(Code::PorchUnsafe), "a parent");
        mode(temp.path(), 0o1777);
        assert!(code(false).is_ok(), "sticky as /tmp");
    }

    #[test]
    fn the_first_program_of_the_name_is_found_and_nothing_else_of_it() {
        let temp = tempfile::tempdir().unwrap();
        let below = |name: &str| temp.path().join(name);
        std::fs::create_dir_all(below("directory/porch")).unwrap();
        for (dir, mode) in [("text", 0o644), ("program", 0o755), ("later", 0o755)] {
            std::fs::create_dir(below(dir)).unwrap();
            write(below(dir).join("porch"), "#!/bin/sh\n").unwrap();
            set_permissions(below(dir).join("porch"), Permissions::from_mode(mode)).unwrap();
        }
        let search = ["directory", "text", "program", "later"].map(below);
        let search = std::env::join_paths(search).unwrap();
        let found = resolve("porch", Some(&search), true).unwrap().path;
        assert_eq!(found, below("program/porch").canonicalize().unwrap());
        // Where the user runs the daemon may be anything.
        let here = Path::new("Cargo.toml").canonicalize().unwrap();
        assert!(here.is_file() && resolve("Cargo.toml", Some(OsStr::new("::.")), true).is_err());
    }

    #[test]
    fn names_are_looked_up_and_never_interpreted() {
        let search = Some(OsStr::new("/nowhere:relative::/bin:/usr/bin"));
        assert!(resolve("true", search, true).is_ok());
        for hostile in ["porch; rm -rf /", "porch | cat", "a\0b", "", "../true", "/nowhere/porch"] {
            assert_eq!(resolve(hostile, search, true).unwrap_err().code(), Code::PorchMissing, "{hostile:?}");
        }
        let text = resolve("porch-that-is-missing", search, true).unwrap_err().to_string();
        assert_eq!(
            text,
            "porch validation failed: exec: \"porch-that-is-missing\": executable file not found in $PATH"
        );
    }
}
