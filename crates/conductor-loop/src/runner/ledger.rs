//! Which run occupies which slot: one line of fixed length a slot, overwritten in place and never synced. It survives a
//! kill of the daemon, which is all it is for: recovery kills the porch it names, and knows which starts happened.

use crate::sys::boot_id;
use crate::sys::dir::Dir;
use crate::sys::process::ProcessId;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

const FILE: &str = "running";
const LINE: usize = 128;

/// The file of running porches.
#[derive(Debug)]
pub struct RunLedger {
    file: File,
    boot: String,
}

/// One line of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLine {
    /// Sequence number.
    pub seq: u64,
    /// Which start.
    pub attempt: u32,
    /// The process, once it was started.
    pub process: Option<ProcessId>,
    /// Whether it belongs to this boot of the machine.
    pub this_boot: bool,
}

impl RunLedger {
    /// Reads what the last daemon left, then begins anew.
    pub fn open(private: &Dir) -> io::Result<(Self, Vec<RunLine>)> {
        let boot = boot_id();
        let mut file = private.open_rw(FILE, 0o600)?;
        let mut text = String::new();
        // What is no text is no line of ours.
        let _ = (&mut file).take(1 << 20).read_to_string(&mut text);
        let lines = text.lines().filter_map(|line| parse(line, &boot)).collect();
        Ok((Self { file, boot }, lines))
    }

    /// Forgets the lines of the last daemon, after recovery has used them.
    pub fn reset(&self) -> io::Result<()> {
        self.file.set_len(0)
    }

    /// A start is about to happen in this slot.
    pub fn begin(&self, slot: u16, seq: u64, attempt: u32) {
        self.write(slot, &format!("{seq} {attempt} 0 0 {}", self.boot));
    }

    /// It happened: this is the process.
    pub fn started(&self, slot: u16, seq: u64, attempt: u32, process: ProcessId) {
        self.write(slot, &format!("{seq} {attempt} {} {} {}", process.pid, process.start, self.boot));
    }

    fn write(&self, slot: u16, text: &str) {
        let line = format!("{text:<width$}\n", width = LINE - 1);
        // A line that cannot be written only makes recovery count a start that may have happened.
        let _ = self.file.write_all_at(line.as_bytes(), u64::from(slot) * LINE as u64);
    }
}

fn parse(line: &str, boot: &str) -> Option<RunLine> {
    let fields: Vec<&str> = line.trim_matches(['\0', ' ']).split(' ').collect();
    let &[seq, attempt, pid, start, line_boot] = fields.as_slice() else { return None };
    let pid: u32 = pid.parse().ok()?;
    let process = (pid != 0).then_some(ProcessId { pid, start: start.parse().ok()? });
    let this_boot = line_boot == boot && !boot.is_empty();
    Some(RunLine { seq: seq.parse().ok()?, attempt: attempt.parse().ok()?, process, this_boot })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_survive_the_daemon() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        let (ledger, before) = RunLedger::open(&dir).unwrap();
        assert!(before.is_empty());
        ledger.begin(3, 9, 1);
        ledger.started(0, 7, 2, ProcessId { pid: 12, start: 34 });
        drop(ledger);
        let (_, lines) = RunLedger::open(&dir).unwrap();
        let process = Some(ProcessId { pid: 12, start: 34 });
        assert!(lines.contains(&RunLine { seq: 7, attempt: 2, process, this_boot: true }));
        assert!(lines.contains(&RunLine { seq: 9, attempt: 1, process: None, this_boot: true }));
        assert_eq!(lines.len(), 2);
    }
}
