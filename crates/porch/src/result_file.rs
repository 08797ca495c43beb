//! The file of `--result`: written whole or not at all where it is a regular file. A device, a pipe and our own standard output
//! are written into, since a rename would put a file in their place, and for everybody.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where the path leads.
enum Leads {
    /// To a regular file, or to none yet: under its own name, behind links.
    ToFile(PathBuf),
    /// To what `/dev/stdout` and its like lead to.
    ToStandardOutput,
    /// To a device or a pipe.
    Elsewhere,
}

/// Writes the result.
pub(super) fn write(path: &Path, lines: &str) -> io::Result<()> {
    match leads(path)? {
        Leads::ToFile(file) => replace(&file, lines),
        Leads::ToStandardOutput => {
            let mut stdout = io::stdout();
            stdout.write_all(lines.as_bytes()).and_then(|()| stdout.flush())
        }
        Leads::Elsewhere => File::options().write(true).open(path)?.write_all(lines.as_bytes()),
    }
}

fn leads(path: &Path) -> io::Result<Leads> {
    let meta = match fs::metadata(path) {
        // Also a link that leads nowhere: it is replaced.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Leads::ToFile(path.to_owned())),
        meta => meta?,
    };
    let id = |stat: rustix::fs::Stat| (stat.st_dev, stat.st_ino);
    if fs::symlink_metadata(path)?.is_symlink()
        && rustix::fs::fstat(io::stdout()).is_ok_and(|stat| id(stat) == (meta.dev(), meta.ino()))
    {
        return Ok(Leads::ToStandardOutput);
    }
    // A directory counts as a file: the rename says what is wrong.
    if meta.is_file() || meta.is_dir() {
        fs::canonicalize(path).map(Leads::ToFile)
    } else {
        Ok(Leads::Elsewhere)
    }
}

/// Under another name, then renamed.
fn replace(path: &Path, lines: &str) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".porch-tmp");
    // What a killed run left; or a link, which would lead elsewhere.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = File::create_new(&draft).and_then(|mut file| file.write_all(lines.as_bytes()));
    written.and_then(|()| fs::rename(&draft, path)).inspect_err(|_| {
        // The first error counts.
        let _ = fs::remove_file(&draft);
    })
}
