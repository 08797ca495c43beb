//! Reads objects by name through one git that stays for the run.

use super::cat_file::{CatFile, Unanswered};
use super::memory_file::memory_file;
use super::run::Git;
use crate::{Outlook, PorchError};
use conductor_os::command::Stdio;
use std::io;

pub(super) use super::cat_file::{Found, Object};

const STEP: [&str; 2] = ["cat-file", "--batch"];

impl Git<'_> {
    /// Reads one object of at most `limit` bytes. The name may not hold a line break.
    pub(super) fn object(&self, name: &str, limit: usize) -> Result<Found, PorchError> {
        let mut kept = self.reader.borrow_mut();
        let mut reader = match kept.take() {
            Some(reader) => reader,
            None => self.start_reader()?,
        };
        let found = reader.ask(self.patience, name, limit).map_err(|why| self.unanswered(why))?;
        // One whose answer was not read to its end is of no more use.
        if !matches!(found, Found::TooLarge) {
            *kept = Some(reader);
        }
        Ok(found)
    }

    fn start_reader(&self) -> Result<CatFile, PorchError> {
        let own = |error: io::Error| self.failed(&STEP, error.to_string(), Outlook::Passing);
        let said = memory_file(&[]).map_err(own)?;
        let mut command = self.command(&STEP)?;
        command.streams([Stdio::Piped, Stdio::Piped, said.try_clone().map_err(own)?.into()]);
        let mut child = self.start(command, &STEP)?;
        if let (Some(requests), Some(answers)) = (child.take_stdin(), child.take_stdout()) {
            return Ok(CatFile { child, requests, answers, said, buffer: Vec::new() });
        }
        Err(self.failed(&STEP, "it has no pipes", Outlook::Passing))
    }

    fn unanswered(&self, why: Unanswered) -> PorchError {
        match why {
            Unanswered::Failed(outlook, reason) => self.failed(&STEP, reason, outlook),
            Unanswered::Ended(status, said) => self.ended(&STEP, status, &said),
            Unanswered::Unwanted(error) => error,
        }
    }
}

/// The empty tree.
pub(super) fn empty_tree(git: &Git<'_>) -> Result<String, PorchError> {
    Ok(git.run(&["hash-object", "-t", "tree", "-w", "--stdin"], &[])?.line())
}
