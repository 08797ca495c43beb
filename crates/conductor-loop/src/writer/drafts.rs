//! The directory of the writer's drafts, which porch may remove: it is made again.

use super::message::Ack;
use super::writer_loop::WriterLoop;
use crate::handoff::layout::{DRAFTS, private};
use conductor_core::Code;
use conductor_os::dir::{Dir, Kind};
use conductor_os::remade::Leaving;
use std::io;
use std::sync::Arc;

/// The directory at the path, if it is not the open one or its permissions were removed.
fn made_again(private: &Dir, drafts: &Dir) -> io::Result<Option<Dir>> {
    let open = drafts.meta()?;
    let in_place = private.stat(DRAFTS).is_ok_and(|found| found.id == open.id);
    if in_place && open.mode & 0o700 == 0o700 {
        return Ok(None);
    }
    private.make_own()?;
    private.make_way_for(DRAFTS, Kind::Directory, Leaving::Removed)?;
    let made = private.ensure(DRAFTS, 0o700)?;
    // It may have any origin, with the mode that porch gave it.
    made.make_own()?;
    made.narrow(".", 0o700)?;
    Ok(Some(made))
}

impl<R: Fn(Vec<Ack>)> WriterLoop<R> {
    /// Recreates the directory of drafts if a run removed it. Returns true if so: the failed operation may be retried once.
    pub(super) fn renew_drafts(&mut self) -> bool {
        match made_again(&self.places.private, &self.places.drafts) {
            Ok(None) => false,
            Ok(Some(made)) => {
                self.places.drafts = Arc::new(made);
                if !std::mem::replace(&mut self.drafts_told, true) {
                    tracing::warn!(
                        "{} was removed, replaced or closed; it was made again (logged once)",
                        private(DRAFTS)
                    );
                }
                true
            }
            Err(error) => {
                if !std::mem::replace(&mut self.drafts_told, true) {
                    let code = Code::StoreFailed.id();
                    tracing::error!(code, %error, "making {} again (logged once)", private(DRAFTS));
                }
                false
            }
        }
    }
}
