//! The intake: inotify as a hint, a scan as the truth, take by rename, then look and judge. A part of the loop, so that
//! an event leads to a claim without waking another thread; it works in short steps, between which the loop handles its
//! inputs. It decides nothing about order or time, carries out the scheduler's requests and reports its observations.

mod book;
mod judged;
mod left;
mod look;
mod report;
mod session;
mod settings;
mod sight;
mod sighting;
mod step;
mod still_open;
mod take;
#[cfg(test)]
mod tests;

pub use book::{Book, Left, WithWriter};
pub use judged::{Judged, Verdict};
pub use report::Report;
pub use session::Intake;
pub use settings::{Judging, Settings};
