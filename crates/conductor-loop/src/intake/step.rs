//! One step of an intake: a little of everything that it has to do, so that the loop's inputs wait for no more than that.

use super::session::Intake;

impl Intake {
    /// Works for one step: some files are taken and judged, and some names of events and of a listing looked at; fewer if
    /// others wait, for each is a call or more of a file system that may be slow.
    pub fn work(&mut self, others_wait: &dyn Fn() -> bool) {
        self.look_at_still_open();
        self.look_at_hinted(others_wait);
        self.work_off(others_wait);
        self.go_on_listing(others_wait);
    }
}
