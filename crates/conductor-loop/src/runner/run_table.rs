//! The run table: a header line with the boot, then one line of fixed length per slot, overwritten in place and never
//! synced. It needs to survive only a kill of the daemon: recovery kills the recorded porch, and knows which starts
//! happened.

use crate::handoff::layout::RUNNING as FILE;
use conductor_core::{Attempt, Seq, Slot};
use conductor_os::dir::Dir;
use conductor_os::plain::read_start;
use conductor_os::process::{Pid, ProcessId};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The file's name in the private directory.
const LINE: usize = 128;

/// The file of running porches.
#[derive(Debug)]
pub struct RunTable {
    file: File,
    /// The identifier of this boot ([`conductor_os::boot_id`]).
    boot: String,
    /// Whether it was found with the header of this boot.
    this_boot: bool,
}

/// The run table of the last daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRuns {
    /// Whether that daemon ran in this boot of the machine: then the lines are complete.
    pub this_boot: bool,
    /// A line for each slot that was used.
    pub lines: Vec<RunLine>,
}

/// One line of the run table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLine {
    /// Sequence number.
    pub seq: Seq,
    /// The number of the start.
    pub attempt: Attempt,
    /// The process, once it was started.
    pub process: Option<ProcessId>,
}

impl RunTable {
    /// Reads the run table of the last daemon; [`RunTable::reset`] begins a new one.
    pub fn open(private: &Dir, boot: String) -> io::Result<(Self, LastRuns)> {
        let file = private.open_rw(FILE, 0o600)?;
        // Content that is not text is no line of ours; content that cannot be read may be.
        let text = String::from_utf8_lossy(&read_start(&file, 1 << 20)?).into_owned();
        let mut lines = text.lines();
        let this_boot = lines.next().is_some_and(|header| header.trim() == boot);
        let lines = lines.filter_map(parse).filter(|_| this_boot).collect();
        Ok((Self { file, boot, this_boot }, LastRuns { this_boot, lines }))
    }

    /// Clears the lines of the last daemon, after recovery has used them. A header of this boot is never absent, not even
    /// between two calls: without it a start that was only recorded would count as one that happened.
    pub fn reset(&self) -> io::Result<()> {
        if self.this_boot {
            return self.file.set_len(LINE as u64);
        }
        self.file.set_len(0)?;
        self.write(0, &self.boot);
        Ok(())
    }

    /// Records that a start is about to happen in this slot.
    pub fn begin(&self, slot: Slot, seq: Seq, attempt: Attempt) {
        self.write(Self::line_of(slot), &format!("{seq} {attempt} 0 0"));
    }

    /// Records the process of the start.
    pub fn started(&self, slot: Slot, seq: Seq, attempt: Attempt, process: ProcessId) {
        self.write(Self::line_of(slot), &format!("{seq} {attempt} {} {}", process.pid, process.start));
    }

    /// Records that the start did not happen after all.
    pub fn withdraw(&self, slot: Slot) {
        self.write(Self::line_of(slot), "");
    }

    /// The number of a slot's line, after the header.
    fn line_of(slot: Slot) -> u64 {
        u64::from(slot.get()) + 1
    }

    fn write(&self, line: u64, text: &str) {
        let content = format!("{text:<width$}\n", width = LINE - 1);
        // If a line cannot be written, recovery only counts a start that may have happened.
        let _ = self.file.write_all_at(content.as_bytes(), line * LINE as u64);
    }
}

fn parse(line: &str) -> Option<RunLine> {
    // Slots that were never used are holes in the file.
    let fields: Vec<&str> = line.trim_matches(['\0', ' ']).split(' ').collect();
    let &[seq, attempt, pid, start] = fields.as_slice() else { return None };
    let pid: Pid = pid.parse().ok()?;
    let process = (pid != Pid(0)).then_some(ProcessId { pid, start: start.parse().ok()? });
    Some(RunLine { seq: seq.parse().ok()?, attempt: attempt.parse().ok()?, process })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: &str = "6b3c1a52-0b7e-4f39-9c43-6f6a2b1f0d11";

    fn opened(dir: &Dir) -> (RunTable, LastRuns) {
        RunTable::open(dir, BOOT.to_owned()).unwrap()
    }

    #[test]
    fn lines_survive_the_daemon() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        let (run_table, before) = opened(&dir);
        assert!(!before.this_boot && before.lines.is_empty());
        run_table.reset().unwrap();
        run_table.begin(Slot(3), Seq(9), Attempt(1));
        run_table.started(Slot(0), Seq(7), Attempt(2), ProcessId { pid: Pid(12), start: 34 });
        drop(run_table);
        let (_, LastRuns { this_boot, lines }) = opened(&dir);
        assert!(this_boot);
        let process = Some(ProcessId { pid: Pid(12), start: 34 });
        assert!(lines.contains(&RunLine { seq: Seq(7), attempt: Attempt(2), process }));
        assert!(lines.contains(&RunLine { seq: Seq(9), attempt: Attempt(1), process: None }));
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn lines_of_another_boot_are_none() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        let header = format!("{:<127}\n", "another boot");
        std::fs::write(temp.path().join(FILE), format!("{header}{:<127}\n", "7 2 12 34")).unwrap();
        let (run_table, last) = opened(&dir);
        assert_eq!(last, LastRuns { this_boot: false, lines: Vec::new() });
        run_table.begin(Slot(0), Seq(8), Attempt(1));
        run_table.reset().unwrap();
        let (_, last) = opened(&dir);
        assert_eq!(last, LastRuns { this_boot: true, lines: Vec::new() });
    }

    #[test]
    fn clearing_lines_never_takes_the_header_of_this_boot_away() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        // Filled otherwise than this program fills it, so that a header written anew would be seen.
        let header = format!("{}\n{}\n", BOOT, "-".repeat(LINE - BOOT.len() - 2));
        std::fs::write(temp.path().join(FILE), format!("{header}{:<127}\n", "7 2 12 34")).unwrap();
        let (run_table, last) = opened(&dir);
        assert_eq!((last.this_boot, last.lines.len()), (true, 1));
        run_table.reset().unwrap();
        assert_eq!(std::fs::read_to_string(temp.path().join(FILE)).unwrap(), header);
        let (_, last) = opened(&dir);
        assert_eq!((last.this_boot, last.lines.len()), (true, 0));
    }
}
