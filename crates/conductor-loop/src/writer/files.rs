//! Files by name and content: drafts, comparison with an existing file, and removal that never takes a foreign file.

use conductor_os::dir::{Dir, Kind};
use std::io::{self, Read};

/// A file to be made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'p> {
    /// Its name.
    pub(super) name: &'p str,
    /// Its permission bits.
    pub(super) mode: u32,
    /// Its whole content.
    pub(super) content: &'p [u8],
}

/// The entry at the name of a file to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    /// A file with exactly the content to be written.
    Same,
    /// A file with a prefix of that content, as a power cut leaves it.
    Beginning,
    /// Any other entry.
    Other,
}

/// Compares the entry at this piece's name with the piece.
pub(super) fn compare(dir: &Dir, piece: &Piece<'_>) -> io::Result<Found> {
    let nothing = |error: io::Error| {
        if error.kind() == io::ErrorKind::NotFound { Ok(Found::Nothing) } else { Err(error) }
    };
    let size = match dir.stat(piece.name) {
        Ok(meta) if meta.kind == Kind::File => meta.size,
        Ok(_) => return Ok(Found::Other),
        Err(error) => return nothing(error),
    };
    let most = piece.content.len() as u64;
    if size > most {
        return Ok(Found::Other);
    }
    let mut found = Vec::new();
    match dir.open_read(piece.name).and_then(|file| file.take(most + 1).read_to_end(&mut found)) {
        Ok(_) if found == piece.content => Ok(Found::Same),
        Ok(_) if piece.content.starts_with(&found) => Ok(Found::Beginning),
        Ok(_) => Ok(Found::Other),
        // A link put there meanwhile, or a file that we may not read, is not ours.
        Err(error) if error.kind() != io::ErrorKind::NotFound => Ok(Found::Other),
        Err(error) => nothing(error),
    }
}

/// Removes the entry at this piece's name, if it is the piece or a prefix of it: it is moved into the private directory
/// first and compared there, so that no other entry is removed. Returns whether the name is free.
pub(super) fn set_aside(drafts: &Dir, dir: &Dir, piece: &Piece<'_>) -> io::Result<bool> {
    let aside = match free_draft(drafts, |aside| dir.rename_new(piece.name, drafts, aside)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true), // It has disappeared meanwhile.
        moved => moved?,
    };
    let looked = compare(drafts, &Piece { name: &aside, ..*piece })?;
    if matches!(looked, Found::Same | Found::Beginning) {
        drafts.unlink(&aside)?;
        return Ok(true);
    }
    drafts.rename_new(&aside, dir, piece.name)?;
    Ok(false)
}

/// Writes a draft and renames it over the file: readers see the old file or the new one.
pub(super) fn replace(drafts: &Dir, dir: &Dir, piece: &Piece<'_>) -> io::Result<()> {
    let draft = draft(drafts, piece)?;
    drafts.rename_over(&draft, dir, piece.name).inspect_err(|_| drop(drafts.unlink(&draft)))
}

/// Writes the piece into the private directory, under a unique name.
pub(super) fn draft(drafts: &Dir, piece: &Piece<'_>) -> io::Result<String> {
    let draft = free_draft(drafts, |draft| drafts.create(draft, piece.mode, piece.content))?;
    if piece.mode & 0o004 != 0 {
        // umask 027 would remove bits that other users need to read it.
        drafts.set_mode(&draft, piece.mode)?;
    }
    Ok(draft)
}

/// Makes an entry under a free name in the private directory. Only the writer writes there, so an entry at the first name
/// is its own leftover; one that cannot be removed (porch runs as the same user and may have put it there) is skipped.
fn free_draft(drafts: &Dir, mut make: impl FnMut(&str) -> io::Result<()>) -> io::Result<String> {
    for count in 1_u32.. {
        let name = format!("{count}.draft");
        match make(&name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if drafts.unlink(&name).is_ok() && make(&name).is_ok() {
                    return Ok(name);
                }
            }
            other => return other.map(|()| name),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into()) // The numbers are endless.
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn dirs() -> (tempfile::TempDir, Dir, Dir) {
        let temp = tempfile::tempdir().unwrap();
        let root = Dir::open(temp.path()).unwrap();
        let (drafts, dir) = (root.ensure("drafts", 0o700).unwrap(), root.ensure("dir", 0o700).unwrap());
        (temp, drafts, dir)
    }

    #[test]
    fn what_has_a_name_is_told_by_kind_and_content() {
        let (temp, _, dir) = dirs();
        let path = |name: &str| temp.path().join("dir").join(name);
        for (name, content) in
            [("same", "ours"), ("begun", "ou"), ("empty", ""), ("more", "ours."), ("else", "oars")]
        {
            std::fs::write(path(name), content).unwrap();
        }
        std::fs::create_dir(path("directory")).unwrap();
        symlink(path("same"), path("link")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path("fifo"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        let found = |name, content: &str| {
            compare(&dir, &Piece { name, mode: 0, content: content.as_bytes() }).unwrap()
        };
        for (name, wanted) in [
            ("same", Found::Same),
            ("begun", Found::Beginning),
            ("empty", Found::Beginning),
            ("more", Found::Other),
            ("else", Found::Other),
            ("directory", Found::Other),
            ("link", Found::Other),
            ("fifo", Found::Other),
            ("missing", Found::Nothing),
        ] {
            assert_eq!(found(name, "ours"), wanted, "{name}");
        }
        assert_eq!((found("fifo", ""), found("empty", "")), (Found::Other, Found::Same));
    }

    #[test]
    fn what_is_not_ours_is_put_back_where_it_was() {
        let (temp, drafts, dir) = dirs();
        let piece = Piece { name: "f", mode: 0o600, content: b"ours" };
        for (content, ours) in [("ours", true), ("ou", true), ("else", false)] {
            std::fs::write(temp.path().join("dir/f"), content).unwrap();
            assert_eq!(set_aside(&drafts, &dir, &piece).unwrap(), ours, "{content}");
            assert_eq!(dir.has("f").unwrap(), !ours, "{content}");
            assert!(drafts.names().unwrap().is_empty(), "{content}");
        }
        assert_eq!(std::fs::read(temp.path().join("dir/f")).unwrap(), b"else");
        assert!(set_aside(&drafts, &dir, &Piece { name: "missing", ..piece }).unwrap(), "nothing is there");
    }

    #[test]
    fn a_draft_finds_a_name_whatever_was_put_there() {
        let (temp, drafts, dir) = dirs();
        std::fs::create_dir_all(temp.path().join("drafts/1.draft/full")).unwrap();
        std::fs::write(temp.path().join("drafts/2.draft"), "of a daemon that died").unwrap();
        replace(&drafts, &dir, &Piece { name: "f", mode: 0o644, content: b"ours" }).unwrap();
        assert_eq!(std::fs::read(temp.path().join("dir/f")).unwrap(), b"ours");
        assert_eq!(drafts.names().unwrap(), [b"1.draft".as_slice().into()]);
    }

    #[test]
    fn what_everybody_reads_has_its_mode_whatever_the_umask() {
        let (_temp, drafts, dir) = dirs();
        // No umask of ours takes the read bits: the write bit that it does take stands for them.
        for (name, mode) in [("status", 0o646), ("private", 0o600)] {
            replace(&drafts, &dir, &Piece { name, mode, content: b"ours" }).unwrap();
            assert_eq!(dir.stat(name).unwrap().mode & 0o7777, mode, "{name}");
        }
    }
}
