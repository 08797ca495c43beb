//! `.conductor-state.json`: the small public head of the state: path of the store, whether it is sealed, totals, and
//! whether the daemon is ready. It is a view: the daemon reads back only that a store exists and how far
//! it had come.

use super::files::{Piece, replace};
use crate::handoff::layout::HEAD as FILE;
use crate::handoff::{AuditHead, HEAD_FORMAT as FORMAT, HeadBody};
use crate::store::{Counts, Ledger};
use conductor_core::Seq;
use conductor_core::ready::{NotReady, Reasons};
use conductor_core::record::{one_line, rfc3339};
use conductor_evidence::tree::Point;
use conductor_os::dir::Dir;
use std::time::{Duration, Instant};

/// The shortest interval between changes of the head by outcomes.
const EVERY: Duration = Duration::from_secs(1);

/// Writes the head.
#[derive(Debug)]
pub struct Head {
    store_path: String,
    /// The name of the root key that seals the store; `None`: it is plain.
    sealed_by: Option<String>,
    reasons: Reasons,
    audit: Option<Point>,
    written: Option<(Counts, Seq, Reasons, Option<Point>)>,
    checked_at: Instant,
    /// Whether a failure to write it has been reported.
    complained: bool,
}

impl Head {
    /// A head for the store at this path. `audit`: how far the audit trail had come; a daemon that keeps none does not forget it.
    pub fn new(store_path: String, sealed_by: Option<String>, audit: Option<Point>) -> Self {
        let reasons = Reasons::from(NotReady::Starting);
        Self {
            store_path,
            sealed_by,
            reasons,
            audit,
            written: None,
            checked_at: Instant::now(),
            complained: false,
        }
    }

    pub(super) fn set_not_ready(&mut self, reasons: Reasons) {
        if reasons != self.reasons {
            self.reasons = reasons;
            self.checked_at = Instant::now().checked_sub(EVERY).unwrap_or(self.checked_at);
        }
    }

    /// Sets how far the audit trail has come.
    pub(super) fn set_audit(&mut self, audit: Point) {
        self.audit = Some(audit);
    }

    /// The time until the next refresh.
    pub(super) fn patience(&self) -> Duration {
        match &self.written {
            Some((_, _, reasons, audit)) if *reasons == self.reasons && *audit == self.audit => {
                Duration::from_hours(1)
            }
            _ => EVERY.saturating_sub(self.checked_at.elapsed()),
        }
    }

    /// Writes the head when something has changed and its interval has passed. A failure does not stop the daemon: the
    /// store is the truth.
    pub(super) fn refresh(&mut self, handoff: &Dir, drafts: &Dir, store: &dyn Ledger, now: bool) {
        if !now && self.checked_at.elapsed() < EVERY {
            return;
        }
        self.checked_at = Instant::now();
        let (Ok(counts), Ok(last_seq)) = (store.counts(), store.last_seq()) else { return };
        let current = (counts, last_seq, self.reasons.clone(), self.audit);
        if self.written.as_ref() == Some(&current) {
            return;
        }
        let body = HeadBody {
            format: FORMAT.to_owned(),
            version: crate::store::VERSION,
            store: self.store_path.clone(),
            sealed: self.sealed_by.is_some(),
            sealed_by: self.sealed_by.clone(),
            ready: self.reasons.is_ready(),
            not_ready: self.reasons.words(),
            counts,
            last_seq,
            audit: self.audit.map(|head| AuditHead { size: head.size, root: head.root }),
            updated_at: rfc3339(jiff::Timestamp::now()),
        };
        let mut bytes = one_line(&body);
        bytes.push(b'\n');
        match replace(drafts, handoff, &Piece { name: FILE, mode: 0o640, content: &bytes }) {
            Ok(()) => (self.written, self.complained) = (Some(current), false),
            Err(error) if !self.complained => {
                self.complained = true;
                tracing::warn!(%error, "{FILE} cannot be written; the store is the truth and goes on");
            }
            Err(_) => {} // Reported once.
        }
    }
}
