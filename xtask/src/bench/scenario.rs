//! The timed scenarios of the performance study S1 to S11; S6, S7 and S9 (order, kills, full disk) are covered by `cargo
//! xtask proof`.

use super::contender::{Contender, end, ours};
use super::field::{Field, TARGETS, name};
use super::study::Bench;
use crate::progress::say;
use conductor_testkit::memory_kb;
use std::fs;
use std::io::{self, Error};
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

/// The longest time for a burst; files missing after it count as lost.
const BURST_PATIENCE: Duration = Duration::from_secs(90);

/// The result of a burst.
pub(super) struct Burst {
    pub(super) took: Duration,
    pub(super) lost: usize,
    /// Largest resident size, in kB; of our daemon only.
    pub(super) resident: u64,
}

impl Bench {
    fn field(&self, place: &Path) -> io::Result<Field> {
        Field::new(place, &self.porches)
    }

    /// Processes a backlog of waiting files (S8 with the `burn` porch).
    pub(super) fn backlog(
        &self,
        place: &Path,
        who: Contender,
        porch: &str,
        files: usize,
    ) -> io::Result<Duration> {
        let field = self.field(place)?;
        field.fill(files, TARGETS)?;
        let took = who.drain(&field, &self.builds, porch, files)?;
        if who.is_ours() {
            let archived = fs::read_dir(field.path("handoff/processed"))?.count();
            if archived != files {
                return Err(Error::other(format!("{archived} of {files} were processed")));
            }
        }
        Ok(took)
    }

    /// S10: every file repeats the last success of its target.
    pub(super) fn duplicates(&self, place: &Path, files: usize) -> io::Result<Duration> {
        let field = self.field(place)?;
        field.fill(files, files)?;
        Contender::External.drain(&field, &self.builds, "noop", files)?;
        field.fill(files, files)?;
        Contender::External.drain(&field, &self.builds, "noop", files)
    }

    /// S2 and S3: drops all files at once into a watched directory.
    pub(super) fn burst(&self, place: &Path, who: Contender, files: usize) -> io::Result<Burst> {
        let field = self.field(place)?;
        field.draft(files)?;
        let contender = who.watch(&field, &self.builds, "noop")?;
        warm_up(who, &field);
        let finished = who.finished(&field);
        let before = count(&finished);
        let begin = Instant::now();
        (0..files).try_for_each(|number| field.drop_drafted(number))?;
        let mut done = 0;
        while done < files && begin.elapsed() < BURST_PATIENCE {
            std::thread::sleep(Duration::from_millis(5)); // The resolution of the measurement.
            done = count(&finished) - before;
        }
        let took = begin.elapsed();
        let resident = memory_kb(contender.id(), "VmHWM:").unwrap_or(0);
        end(contender)?;
        Ok(Burst { took, lost: files - done.min(files), resident })
    }

    /// S1: from just before the rename into the handoff directory to the first instruction of porch, one file at a time.
    pub(super) fn latency(&self, place: &Path, who: Contender, files: usize) -> io::Result<Vec<Duration>> {
        let field = self.field(place)?;
        field.draft(files)?;
        let contender = who.watch(&field, &self.builds, "stamp")?;
        warm_up(who, &field);
        let stamps = field.path("out/stamps");
        let mut dropped = Vec::new();
        for number in 0..files {
            dropped.push(monotonic());
            field.drop_drafted(number)?;
            let line = format!("{} ", name(number));
            wait_for(|| fs::read_to_string(&stamps).is_ok_and(|text| text.contains(&line)));
            // Idle between two files: the latency is that of the first file after a pause.
            std::thread::sleep(Duration::from_millis(5));
        }
        end(contender)?;
        let text = fs::read_to_string(&stamps)?;
        let stamped = |number: usize| {
            let line =
                text.lines().find_map(|line| line.strip_prefix(&name(number))?.trim().parse::<u64>().ok());
            line.ok_or_else(|| Error::other(format!("no stamp of {number}")))
        };
        let times = dropped.iter().enumerate();
        times.map(|(number, at)| Ok(Duration::from_nanos(stamped(number)?.saturating_sub(*at)))).collect()
    }

    /// S4: a million files wait when the daemon starts: time to the first instruction of the first porch, and its memory.
    pub(super) fn million_waiting(&self, place: &Path, files: usize) -> io::Result<(Duration, u64)> {
        let field = self.field(place)?;
        say(&format!("making {files} files"));
        field.fill(files, TARGETS)?;
        let begin = monotonic();
        let daemon = ours(&field, &self.builds.now, &field.porch("stamp")).spawn()?;
        let stamps = field.path("out/stamps");
        wait_for(|| fs::read_to_string(&stamps).is_ok_and(|text| text.contains('\n')));
        // Long enough for every debounce window to fill.
        std::thread::sleep(Duration::from_secs(5));
        let resident = memory_kb(daemon.id(), "VmHWM:").unwrap_or(0);
        kill(daemon)?;
        let text = fs::read_to_string(&stamps)?;
        let first = text.lines().filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).min();
        Ok((Duration::from_nanos(first.unwrap_or(begin).saturating_sub(begin)), resident))
    }

    /// S5: a million outcomes are remembered: time to ready, memory, and the rate of new intents beside that of an empty store.
    pub(super) fn million_remembered(
        &self,
        place: &Path,
        known: usize,
        files: usize,
    ) -> io::Result<Remembered> {
        let fresh = self.backlog(place, Contender::External, "noop", files)?;
        let field = self.field(place)?;
        say(&format!("importing {known} outcomes"));
        let export = field.path("export");
        write_export(&export, known)?;
        let mut import = std::process::Command::new(&self.builds.now);
        import.args(["state", "import"]).arg(&export).arg("-handoff").arg(field.path("handoff"));
        let imported = import.stdout(std::process::Stdio::null()).status()?;
        if !imported.success() {
            return Err(Error::other(format!("state import: {imported}")));
        }
        let begin = Instant::now();
        let daemon = ours(&field, &self.builds.now, &field.porch("noop")).spawn()?;
        wait_for(|| {
            let head = fs::read_to_string(field.path("handoff/.conductor-state.json"));
            head.is_ok_and(|text| text.contains("\"ready\": true"))
        });
        let ready = begin.elapsed();
        let resident = memory_kb(daemon.id(), "VmRSS:").unwrap_or(0);
        end(daemon)?;
        field.fill(files, TARGETS)?;
        let loaded = Contender::External.drain(&field, &self.builds, "noop", files)?;
        Ok(Remembered { ready, resident, cost: loaded.as_secs_f64() / fresh.as_secs_f64() })
    }

    /// CPU time and memory of an idle daemon.
    pub(super) fn idle(&self, place: &Path, seconds: u32) -> io::Result<(f64, u64)> {
        let field = self.field(place)?;
        let daemon = ours(&field, &self.builds.now, &field.porch("noop")).spawn()?;
        wait_for(|| field.path("handoff/.conductor-state.json").exists());
        std::thread::sleep(Duration::from_secs(1)); // Work of the start does not count as idle.
        let before = ticks(&daemon);
        std::thread::sleep(Duration::from_secs(u64::from(seconds))); // The measured interval.
        let used = ticks(&daemon).saturating_sub(before);
        let resident = memory_kb(daemon.id(), "VmRSS:").unwrap_or(0);
        end(daemon)?;
        // A tick is 10 ms (sysconf _SC_CLK_TCK is 100 on Linux).
        Ok((f64::from(u32::try_from(used).unwrap_or(u32::MAX)) / f64::from(seconds), resident))
    }
}

/// The cost of a start with many remembered outcomes.
pub(super) struct Remembered {
    pub(super) ready: Duration,
    pub(super) resident: u64,
    /// Time for new intents, divided by the time with an empty store.
    pub(super) cost: f64,
}

fn write_export(path: &Path, known: usize) -> io::Result<()> {
    use std::io::Write;
    let mut out = io::BufWriter::new(fs::File::create(path)?);
    writeln!(
        out,
        r#"{{"format": "conductor-loop state", "version": 1, "exported_at": "2026-11-24T00:00:00Z", "last_seq": {known}}}"#
    )?;
    for seq in 1..=known {
        writeln!(
            out,
            r#"{{"v": 1, "seq": {seq}, "name": "intent-{seq:07}.json", "status": "success", "message": "Processed by worker 0 in 2ms", "finished_at": "2026-11-23T20:15:00Z", "mode": "direct", "porch_path": "porch", "sha256": "{seq:064x}", "size": 80, "correlation_id": "cl-{seq}", "attempts": 1, "exit_code": 0, "duration_ms": 2, "archived_as": "processed/intent-{seq:07}.json", "key": {{"namespace": "n", "target": "t{}"}}}}"#,
            seq % 500
        )?;
    }
    out.flush()
}

/// Drops warm-up files until one is processed: a shell loop has no sign of being ready.
fn warm_up(who: Contender, field: &Field) {
    if who.is_ours() {
        return wait_for(|| field.path("handoff/.conductor-state.json").exists());
    }
    wait_for(|| {
        let draft = field.path("w");
        let _ = fs::write(&draft, "").and_then(|()| fs::rename(&draft, field.path("handoff/warm")));
        std::thread::sleep(Duration::from_millis(20)); // The loop needs time to begin; nothing announces it.
        field.path("done/warm").exists()
    });
}

fn count(dir: &Path) -> usize {
    fs::read_dir(dir).map_or(0, Iterator::count)
}

fn kill(mut daemon: Child) -> io::Result<()> {
    daemon.kill()?;
    daemon.wait().map(drop)
}

/// CPU time of a process, user and system, in ticks.
fn ticks(process: &Child) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// The clock that `porch` stamps with.
fn monotonic() -> u64 {
    let now = conductor_os::monotonic();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

fn wait_for(condition: impl Fn() -> bool) {
    while !condition() {
        // Short against what is measured, and outside of it.
        std::thread::sleep(Duration::from_micros(500));
    }
}
