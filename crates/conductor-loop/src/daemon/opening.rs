//! Opens the store of a handoff directory, and checks it against the evidence beside it.

use super::evidence;
use super::failure::Failure;
use super::not_started::NotStarted;
use crate::handoff::layout::HEAD;
use crate::handoff::{Handoff, HeadFile, StateFiles, Unusable};
use crate::runner::LastRuns;
use crate::store::{self, Behind, Candidate, Extent, Ledger, Store, StoreError, Work};
use conductor_core::Code;
use conductor_os::dir::Dir;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a start waits for a command that has the store open; each has it for as long as one answer takes.
const SOMEBODY_LOOKS: Duration = Duration::from_secs(10);

/// Opens the store for the daemon, checked against all evidence of its extent. An existing store is never replaced by
/// an empty one: a new one is made only if there is no evidence of an earlier one, and numbers from the highest used
/// number on.
pub(super) fn open_store(state: &StateFiles, places: &Handoff, last: &LastRuns) -> Result<Store, Failure> {
    let exists = state.dir.has(store::FILE).map_err(|error| Unusable::setting_up(&state.path, error))?;
    if !exists && matches!(state.head, HeadFile::Unknown) {
        let message = format!(
            "{HEAD} is there but is no state file of this program or of the Go version, and there is no store; move it aside to start without it"
        );
        return Err(Failure::unfit(Code::StateImport, message));
    }
    let may_create = !exists
        && !matches!(state.head, HeadFile::Ours(_))
        && !Store::was_in(&state.dir).map_err(unopened(state))?;
    let store = if may_create {
        let shown = evidence::shown(places, state, last).map_err(unopened(state))?;
        make_store(state, &shown)
    } else {
        existing_store(state, &places.dirs.handoff, last)
    };
    let store = store.map_err(unopened(state))?;
    take_over_go_state(state, &store, &places.dirs.handoff)?;
    Ok(store)
}

/// A new store that numbers from the given extent on.
fn make_store(state: &StateFiles, shown: &Extent) -> Result<Store, StoreError> {
    let draft = state.draft()?;
    draft.commit(&Work { floor: Some(shown), ..Work::default() })?;
    draft.complete()
}

/// The existing store, if it has everything in the evidence.
pub fn existing_store(state: &StateFiles, handoff: &Dir, last: &LastRuns) -> Result<Store, StoreError> {
    let candidate = wait_for_store(state)?;
    evidence::hold(candidate.store(), &state.head, handoff, last)?;
    candidate.believe()
}

/// Opens the store for reading as a start would check it, and changes nothing.
pub fn look_at_store(state: &StateFiles, handoff: &Dir) -> Result<Store, StoreError> {
    let store = state.look()?;
    evidence::hold(&store, &state.head, handoff, &LastRuns { this_boot: false, lines: Vec::new() })?;
    Ok(store)
}

fn take_over_go_state(state: &StateFiles, store: &Store, handoff: &Dir) -> Result<(), Failure> {
    let HeadFile::Go(text) = &state.head else { return Ok(()) };
    let count = store::import(store, jiff::Timestamp::now(), &mut text.as_slice());
    let imported = count.map_err(unopened(state))?.imported;
    // Under a free name: an earlier file may be the only copy of other outcomes.
    let kept = handoff.move_aside(HEAD, &format!("{HEAD}.imported"));
    let kept = kept.map_err(|error| Unusable::setting_up(Path::new(HEAD), error))?;
    tracing::info!(imported, kept_as = kept, "took over the state file of the Go version");
    Ok(())
}

fn unopened(state: &StateFiles) -> impl Fn(StoreError) -> NotStarted {
    |cause| NotStarted::Store { path: state.path.clone(), cause }
}

/// Waits for the store: a command without a daemon has it open for a moment, which is no reason not to start.
fn wait_for_store(state: &StateFiles) -> Result<Candidate, StoreError> {
    let until = Instant::now() + SOMEBODY_LOOKS;
    loop {
        match state.examine(Behind::Refused) {
            Err(StoreError::Busy) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(5)); // The closing is not announced.
            }
            other => return other,
        }
    }
}
