//! What a service manager is told (systemd's notify protocol): ready, why not, reloading, stopping, and that the loop turns.
//! Without one nothing is sent. A message that cannot be delivered is the service manager's loss: it will see for itself.

use sd_notify::NotifyState;
use std::time::Duration;

/// How often the service manager wants to hear of the loop; half its patience, as its documentation advises.
pub(super) fn watchdog_every() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|patience| patience / 2)
}

fn tell(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}

/// The start is done.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Why no new files are taken; empty: they are.
pub(super) fn not_ready(reasons: &[String]) {
    let text =
        if reasons.is_empty() { "ready".to_owned() } else { format!("not ready: {}", reasons.join(", ")) };
    tell(&[NotifyState::Status(&text)]);
}

/// The configuration is being read again; `ready` follows.
pub(super) fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

/// The end has begun.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The loop turned.
pub(super) fn turned() {
    tell(&[NotifyState::Watchdog]);
}
