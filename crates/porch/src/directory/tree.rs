//! A directory as a tree: what a plan is made from.

use super::listing::{is_directory, listing};
use super::opening::{BELOW, FILE};
use super::reading::{Read, read_file, regular_file};
use super::root::Directory;
use super::walk::files_of;
use crate::PorchError;
use crate::files::{Content, Files, NO_FILE, Which, base_name, parent};
use crate::survey::{Search, Survey};
use crate::tree::Tree;
use crate::yaml::{BYTES_MAX, too_large};
use rustix::fs::{FileType, Mode, openat2};
use rustix::io::Errno;

impl Tree for Directory {
    fn read(&self, dir: &str, which: Which) -> Result<Option<Files>, PorchError> {
        let Some(start) = self.enter(dir)? else { return Ok(None) };
        files_of(self, dir, which, start)
    }

    fn file(&self, path: &str) -> Result<Option<Content>, PorchError> {
        let found = match openat2(&self.root, path, FILE, Mode::empty(), BELOW) {
            Ok(file) => regular_file(&file, BYTES_MAX as u64),
            Err(Errno::NOENT) => return Ok(None),
            // What is in the way is found step by step; old kernels and some sandboxes lack the call.
            Err(_) => {
                let Some(holder) = self.enter(parent(path))? else { return Ok(None) };
                read_file(&holder, base_name(path), BYTES_MAX as u64)
            }
        };
        let unfit = |reason: String| Err(PorchError::unfit(self.name(path), reason));
        match found.map_err(|error| (Errno::from_io_error(&error), error)) {
            Ok(Read::File(content, _)) => Ok(Some(content)),
            Ok(Read::TooLarge) => unfit(too_large()),
            Ok(Read::Other) if is_directory(&self.root, path) => Ok(None),
            Ok(Read::Other) | Err((Some(Errno::LOOP), _)) => unfit(NO_FILE.to_owned()),
            Err((Some(Errno::NOENT), _)) => Ok(None),
            Err((_, error)) => Err(PorchError::io(self.full(path), error)),
        }
    }

    fn names(&self, dir: &str) -> Result<Vec<String>, PorchError> {
        let Some(holder) = self.enter(dir)? else { return Ok(Vec::new()) };
        let listed = listing(holder).map_err(|errno| PorchError::io(self.full(dir), errno))?.1;
        let shown = listed.into_iter().filter(|(name, _)| !name.starts_with('.'));
        Ok(shown.map(|(name, kind)| if kind == FileType::Directory { name + "/" } else { name }).collect())
    }

    fn survey(&self, dir: &str, search: Search<'_>) -> Result<Survey, PorchError> {
        self.look(dir, search)
    }

    fn name(&self, path: &str) -> String {
        self.full(path).display().to_string()
    }
}
