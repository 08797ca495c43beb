//! Server-sent events: the figures of each second, for open pages. A new page first gets those of the last minutes.

use super::View;
use super::response::{Content, with_headers};
use conductor_core::query::Pulse;
use hyper::body::Bytes;
use hyper::{Response, StatusCode};
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{Sender, channel};

pub(super) const PATH: &str = "/api/v1/events";
const EVERY: Duration = Duration::from_secs(1);
/// Seconds of history.
const HISTORY: usize = 300;
/// Event streams open at once. One more ends the oldest, so that a client that holds many open keeps no other out; a page
/// reconnects.
const LISTENERS_MAX: usize = 16;
/// Events on their way to one page; a page that reads more slowly is disconnected and reconnects.
const BEHIND_MAX: usize = 8;

/// The listeners, and the recent figures.
#[derive(Default)]
pub(super) struct Feed(Mutex<State>);

#[derive(Default)]
struct State {
    history: VecDeque<Pulse>,
    listeners: Vec<Sender<Bytes>>,
}

fn event(name: &str, data: &impl Serialize) -> Bytes {
    let data = serde_json::to_string(data).unwrap_or_default();
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

impl Feed {
    fn say(&self, pulse: Pulse) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.history.len() >= HISTORY {
            state.history.pop_front();
        }
        if !state.listeners.is_empty() {
            let bytes = event("pulse", &pulse);
            state.listeners.retain(|listener| listener.try_send(bytes.clone()).is_ok());
        }
        state.history.push_back(pulse);
    }
}

/// Sends the figures of each second, for ever.
pub(super) async fn sample(feed: Arc<Feed>, view: Arc<dyn View>) {
    let mut seconds = tokio::time::interval(EVERY);
    seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        seconds.tick().await;
        feed.say(view.pulse());
    }
}

/// The response for a new listener.
pub(super) fn answer(feed: &Feed) -> Response<Content> {
    let (sender, receiver) = channel(BEHIND_MAX);
    let mut state = feed.0.lock().unwrap_or_else(PoisonError::into_inner);
    state.listeners.retain(|listener| !listener.is_closed());
    if state.listeners.len() >= LISTENERS_MAX {
        state.listeners.remove(0);
    }
    // A new channel has room.
    let _ = sender.try_send(event("history", &state.history));
    state.listeners.push(sender);
    with_headers(Content::Events(receiver), StatusCode::OK, "text/event-stream")
}
