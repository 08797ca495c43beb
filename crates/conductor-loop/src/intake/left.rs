//! Entries that stay in the handoff directory: each is told of once, until it changes.

use super::book::News;
use super::report::Report;
use super::session::Intake;
use conductor_core::Code;
use conductor_core::name::escaped;
use conductor_os::dir::Meta;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

impl Intake {
    /// Tells of an entry that cannot be taken, if that is news.
    pub(super) fn leave(&mut self, name: &[u8], meta: Option<&Meta>, code: Code, reason: &str) {
        let seen_as = meta.map_or((0, 0, 0), |meta| (meta.id.0, meta.id.1, meta.ctime_ns));
        let mtime_ns = meta.map_or(0, |meta| meta.mtime_ns);
        let shown = match self.settings.book.leave(name, seen_as, mtime_ns, (code, reason)) {
            News::Known => return,
            News::New => escaped(name),
            News::TooMany if self.too_many_told => return,
            News::TooMany => {
                self.too_many_told = true;
                "more entries than can be named".to_owned()
            }
        };
        self.reports.push(Report::Left { name: shown, code, reason: reason.to_owned() });
    }

    /// Tells once of an entry that looks as if it were meant as an intent.
    pub(super) fn ignore(&mut self, name: &[u8]) {
        if !self.settings.names.looks_meant(name) {
            return;
        }
        // An entry that is gone, or that nobody may look at, is nothing to tell of.
        let meta = self.settings.handoff.stat(OsStr::from_bytes(name));
        if meta.is_ok_and(|meta| self.settings.book.ignore(name, meta.mtime_ns)) {
            self.reports.push(Report::Ignored { name: escaped(name) });
        }
    }
}
