//! What the process has been given since it began, as the log tells of it.

use super::{groups, root};
use crate::config::Config;

/// Says in the log what the process has been given since it began: its root directory, and control groups.
pub fn say_begun(config: &Config) {
    root::say(config);
    groups::say();
}
