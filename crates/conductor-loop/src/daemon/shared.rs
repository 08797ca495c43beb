//! What all sessions of one process share.

use super::health::Health;
use super::input::{Inbox, Inputs};
use super::questions::Questions;
use crate::telemetry::Progress;
use std::sync::Arc;

/// The resources shared by every session of one process.
pub(super) struct Shared<'s> {
    pub(super) inputs: Inputs,
    pub(super) inbox: &'s Inbox,
    pub(super) progress: &'s Progress,
    pub(super) health: &'s Arc<Health>,
    pub(super) questions: &'s Arc<Questions>,
}
