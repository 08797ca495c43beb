//! Why a question has no answer, in the words of an answer.

use crate::store::StoreError;
use conductor_core::query::{RefusalKind, Refused};
use conductor_core::scrub;

/// The refusal for a failing store.
pub fn store_refused(error: &StoreError) -> Refused {
    Refused::new(RefusalKind::Store, format!("{} {error}", error.code()), error.code().remedy())
}

/// The refusal of what was not looked for to its end. Its reader is the client of a daemon that ends: another has gone.
pub(super) fn given_up() -> Refused {
    let text = "the daemon stops, or waits for its directory";
    Refused::new(RefusalKind::Busy, text, "Ask again.")
}

/// The refusal where nothing is known by the word that was asked for.
pub(super) fn not_found(of: &str) -> Refused {
    let text = format!(
        "nothing is known of '{}': no such entry lies in the handoff directory, and no intent of it is remembered",
        scrub::line(of, 200)
    );
    Refused::new(RefusalKind::NotFound, text, "`conductor-loop list` shows numbers, files and targets.")
}
