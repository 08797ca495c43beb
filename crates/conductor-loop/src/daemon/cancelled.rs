//! Cancels an intent that waits: it takes the way of any other failure, and the operator is answered when its files are made.

use super::ask::{Cancel, Cancelling, Durable};
use super::effects::described;
use super::in_flight::InFlight;
use super::session::Session;
use crate::runner::Bytes;
use conductor_core::Seq;
use conductor_core::query::{RefusalKind, Refused};
use conductor_core::scheduler::{Event, Place, Waits};
use crossbeam_channel::bounded;

impl Session<'_> {
    pub(super) fn cancel(&mut self, cancel: Cancel) -> Result<Durable, Refused> {
        let Cancel { claim, started, uid } = cancel;
        let seq = claim.seq;
        let Some(waits) = self.scheduler.waits(seq) else { return Err(self.not_waiting(seq)) };
        let (intent, admission) = described(claim, Place::Output, started);
        if waits == Waits::Parked {
            let entered = self.in_flight.enter(seq, InFlight::Waiting { intent, bytes: Bytes::Stored });
            self.check(entered);
        }
        let (filed, later) = bounded(1);
        self.cancelling.insert(seq, Cancelling { uid, filed });
        self.event(Event::Cancel(admission));
        Ok(Durable(later))
    }

    fn not_waiting(&self, seq: Seq) -> Refused {
        match self.in_flight.get(seq) {
            Some(InFlight::Running { .. }) => Refused::new(
                RefusalKind::NotPermitted,
                format!("intent {seq} runs, and a run is not taken back"),
                "Nothing; `conductor-loop hold TARGET` keeps the next ones of its target from starting.",
            ),
            Some(InFlight::Ended { .. } | InFlight::Recording { .. } | InFlight::Republishing) => {
                Refused::new(
                    RefusalKind::NotPermitted,
                    format!("intent {seq} has its outcome already"),
                    "`conductor-loop show NUMBER` tells it.",
                )
            }
            _ => Refused::new(
                RefusalKind::Busy,
                format!("intent {seq} is just being claimed, read back or started"),
                "Ask again.",
            ),
        }
    }

    /// The files of an outcome are made: an operator may wait for that.
    pub(super) fn tell_cancelled(&mut self, seq: Seq) {
        if let Some(cancelling) = self.cancelling.remove(&seq) {
            // The client may have gone.
            let _ = cancelling.filed.try_send(());
        }
    }
}
