//! `cargo xtask bench [--quick] [--rounds N]`: the first four goals of docs/BENCHMARKS.md, ours beside what a user would use
//! instead, interleaved in one run, as ratios of medians. On a journaled ext4 loop image (as root) and on tmpfs.

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Error};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How much is measured.
struct Size {
    files: usize,
    slow_files: usize,
    single_files: usize,
    rounds: usize,
}

struct Bench {
    program: PathBuf,
    porches: PathBuf,
    size: Size,
}

/// Measures and prints a table.
pub(crate) fn run(words: &[String]) -> io::Result<String> {
    let quick = words.iter().any(|word| word == "--quick");
    let rounds = words.iter().position(|w| w == "--rounds").and_then(|at| words.get(at + 1)?.parse().ok());
    let size = Size {
        files: if quick { 2_000 } else { 10_000 },
        slow_files: if quick { 100 } else { 400 },
        single_files: if quick { 50 } else { 300 },
        rounds: rounds.unwrap_or(if quick { 2 } else { 5 }),
    };
    let target = build()?;
    let bench = Bench { program: target.join("conductor-loop"), porches: target.join("bench-porch"), size };
    let mut report = String::from(
        "| file system | work | ours (median) | beside | ratio | goal |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for mount in [Mount::ext4()?, Mount::tmpfs()?].into_iter().flatten() {
        bench.on(&mount, &mut report)?;
    }
    Ok(report)
}

fn build() -> io::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo).args(["build", "--release", "--bins", "--workspace"]).status()?;
    if !built.success() {
        return Err(Error::other("the release build failed"));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    Ok(std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root.join("target"), PathBuf::from)
        .join("release"))
}

/// A mounted file system of its own, unmounted when dropped.
struct Mount {
    label: &'static str,
    place: tempfile::TempDir,
    image: Option<tempfile::NamedTempFile>,
}

impl Mount {
    fn ext4() -> io::Result<Option<Self>> {
        let image = tempfile::NamedTempFile::new()?;
        image.as_file().set_len(3 << 30)?;
        let formatted = Command::new("mkfs.ext4").args(["-q", "-F"]).arg(image.path()).status();
        if !formatted.is_ok_and(|status| status.success()) {
            say("not run: journaled ext4 (mkfs.ext4 is missing)");
            return Ok(None);
        }
        let place = tempfile::tempdir()?;
        let mounted =
            Command::new("mount").args(["-o", "loop"]).arg(image.path()).arg(place.path()).status()?;
        if !mounted.success() {
            say("not run: journaled ext4 (mounting a loop image needs root)");
            return Ok(None);
        }
        Ok(Some(Self { label: "ext4 with journal (loop)", place, image: Some(image) }))
    }

    fn tmpfs() -> io::Result<Option<Self>> {
        let place = tempfile::tempdir()?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=3g", "tmpfs"])
            .arg(place.path())
            .status()?;
        if !mounted.success() {
            say("not run: tmpfs (mounting needs root)");
            return Ok(None);
        }
        Ok(Some(Self { label: "tmpfs", place, image: None }))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.place.path()).status();
        drop(self.image.take());
    }
}

/// Where one measurement works; removed before the next.
struct Field {
    root: PathBuf,
}

impl Field {
    fn new(root: &Path, porches: &Path, files: usize) -> io::Result<Self> {
        let root = root.join("field");
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        for dir in ["handoff", "out", "bin", "done"] {
            fs::create_dir_all(root.join(dir))?;
        }
        for name in ["noop", "burn", "stamp"] {
            fs::copy(porches, root.join("bin").join(name))?;
        }
        for number in 0..files {
            let text = format!(
                r#"{{"intent_type": "scaling", "target": "cnf-{}", "namespace": "oran-sim", "replicas": {}}}"#,
                number % 500,
                1 + number % 9
            );
            fs::write(root.join(format!("handoff/intent-{number:06}.json")), text)?;
        }
        // The producers' own writes are not part of the measurement.
        Command::new("sync").arg("-f").arg(&root).status()?;
        Ok(Self { root })
    }

    fn porch(&self, name: &str) -> PathBuf {
        self.root.join("bin").join(name)
    }

    fn ours(&self, program: &Path, porch: &Path) -> Command {
        let mut command = Command::new(program);
        command.args(["-debounce", "0", "-log-level", "warn", "-allow-unsafe-porch", "-porch"]).arg(porch);
        command.arg("-handoff").arg(self.root.join("handoff")).arg("-out").arg(self.root.join("out"));
        command.stderr(Stdio::null());
        command
    }

    fn xargs(&self, porch: &Path) -> Command {
        let mut command = Command::new("sh");
        command.arg("-c").arg(
            "find \"$1\" -name 'intent-*.json' -print0 | xargs -0 -P2 -I{} \"$2\" -intent {} -out \"$3\"",
        );
        command.arg("sh").arg(self.root.join("handoff")).arg(porch).arg(self.root.join("out"));
        command
    }
}

impl Bench {
    fn on(&self, mount: &Mount, report: &mut String) -> io::Result<()> {
        let place = mount.place.path();
        let mut noop = (Vec::new(), Vec::new());
        let mut burn = (Vec::new(), Vec::new());
        let mut builtin = Vec::new();
        let mut single = (Vec::new(), Vec::new());
        for round in 1..=self.size.rounds {
            say(&format!("{}: round {round} of {}", mount.label, self.size.rounds));
            noop.0.push(self.ours(place, self.size.files, "noop")?);
            noop.1.push(self.xargs(place, self.size.files, "noop")?);
            builtin.push(self.ours(place, self.size.files, "builtin")?);
            burn.0.push(self.ours(place, self.size.slow_files, "burn")?);
            burn.1.push(self.xargs(place, self.size.slow_files, "burn")?);
            single.0.extend(self.latency_ours(place)?);
            if let Some(times) = self.latency_shell(place)? {
                single.1.extend(times);
            }
        }
        let rate = |files: usize, times: &[Duration]| {
            f64::from(u32::try_from(files).unwrap_or(u32::MAX)) / median(times).as_secs_f64()
        };
        let row =
            |report: &mut String, work: &str, ours: String, beside: String, ratio: String, goal: &str| {
                // Writing to a String cannot fail.
                let _ =
                    writeln!(report, "| {} | {work} | {ours} | {beside} | {ratio} | {goal} |", mount.label);
            };
        for (work, files, (ours, theirs), goal) in [
            (format!("{} files, smallest porch", self.size.files), self.size.files, noop, "0.8"),
            (format!("{} files, 20 ms porch", self.size.slow_files), self.size.slow_files, burn, "0.98"),
        ] {
            let (a, b) = (rate(files, &ours), rate(files, &theirs));
            row(
                report,
                &work,
                format!("{a:.0}/s"),
                format!("xargs -P2: {b:.0}/s"),
                format!("{:.2}", a / b),
                goal,
            );
        }
        let work = format!("{} files, embedded engine", self.size.files);
        row(
            report,
            &work,
            format!("{:.0}/s", rate(self.size.files, &builtin)),
            "-".into(),
            "-".into(),
            "3000/s",
        );
        let text = |times: &[Duration]| {
            format!("p50 {:.2} ms, p99 {:.2} ms", millis(median(times)), millis(percentile(times, 99)))
        };
        let (beside, ratio) = if single.1.is_empty() {
            ("inotifywait: not installed".to_owned(), "-".to_owned())
        } else {
            let ratio = median(&single.0).as_secs_f64() / median(&single.1).as_secs_f64();
            (format!("inotifywait loop: {}", text(&single.1)), format!("{ratio:.2}"))
        };
        row(report, "rename to first instruction, idle", text(&single.0), beside, ratio, "p50 1.0, p99 5 ms");
        Ok(())
    }

    fn ours(&self, place: &Path, files: usize, porch: &str) -> io::Result<Duration> {
        let field = Field::new(place, &self.porches, files)?;
        let engine = if porch == "builtin" { PathBuf::from(porch) } else { field.porch(porch) };
        let took = timed(field.ours(&self.program, &engine).arg("-once"))?;
        let archived = fs::read_dir(field.root.join("handoff/processed"))?.count();
        if archived != files {
            return Err(Error::other(format!("{archived} of {files} were processed")));
        }
        Ok(took)
    }

    fn xargs(&self, place: &Path, files: usize, porch: &str) -> io::Result<Duration> {
        let field = Field::new(place, &self.porches, files)?;
        timed(&mut field.xargs(&field.porch(porch)))
    }

    /// From just before the rename into the handoff directory to the first instruction of porch.
    fn latency_ours(&self, place: &Path) -> io::Result<Vec<Duration>> {
        let field = Field::new(place, &self.porches, 0)?;
        let daemon = field.ours(&self.program, &field.porch("stamp")).spawn()?;
        wait_for(|| field.root.join("handoff/.conductor-state.json").exists());
        self.drop_single_files(&field, daemon)
    }

    /// The same for a shell loop around inotifywait that keeps no record; none where it is not installed.
    fn latency_shell(&self, place: &Path) -> io::Result<Option<Vec<Duration>>> {
        let field = Field::new(place, &self.porches, 0)?;
        let script = "inotifywait -q -m -e moved_to --format %f \"$1\" | while read -r f; do \"$2\" -intent \"$1/$f\" -out \"$3\"; mv \"$1/$f\" \"$4\"; done";
        let mut command = Command::new("sh");
        command.arg("-c").arg(script).arg("sh").arg(field.root.join("handoff")).arg(field.porch("stamp"));
        command.arg(field.root.join("out")).arg(field.root.join("done"));
        command.stderr(Stdio::null());
        let probe =
            Command::new("inotifywait").arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if probe.is_err() {
            return Ok(None);
        }
        let shell = command.process_group(0).spawn()?;
        // It has no sign of being ready; the first files are sent until one is seen.
        wait_for(|| {
            let _ = fs::write(field.root.join("w"), "")
                .and_then(|()| fs::rename(field.root.join("w"), field.root.join("handoff/warm")));
            field.root.join("done/warm").exists()
        });
        self.drop_single_files(&field, shell).map(Some)
    }

    fn drop_single_files(&self, field: &Field, mut contender: Child) -> io::Result<Vec<Duration>> {
        let stamps = field.root.join("out/stamps");
        let mut dropped = Vec::new();
        for number in 0..self.size.single_files {
            let name = format!("intent-{number}.json");
            let text = format!(
                r#"{{"intent_type": "scaling", "target": "t{number}", "namespace": "n", "replicas": 3}}"#
            );
            fs::write(field.root.join("draft"), text)?;
            dropped.push((name.clone(), monotonic()));
            fs::rename(field.root.join("draft"), field.root.join("handoff").join(&name))?;
            let line = format!("{name} ");
            wait_for(|| fs::read_to_string(&stamps).is_ok_and(|text| text.contains(&line)));
            // Idle between two files: what is measured is the first one after a pause.
            std::thread::sleep(Duration::from_millis(5));
        }
        if let Some(pid) = Pid::from_raw(i32::try_from(contender.id()).unwrap_or(0)) {
            // The shell loop is a group of its own, the daemon a single process of ours.
            let _ = kill_process_group(pid, Signal::TERM);
            let _ = kill_process(pid, Signal::TERM);
        }
        contender.wait()?;
        let text = fs::read_to_string(&stamps)?;
        let stamped = |name: &str| {
            let line =
                text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse::<u64>().ok());
            line.ok_or_else(|| Error::other(format!("no stamp of {name}")))
        };
        dropped
            .iter()
            .map(|(name, at)| Ok(Duration::from_nanos(stamped(name)?.saturating_sub(*at))))
            .collect()
    }
}

/// The clock that porch stamps with.
fn monotonic() -> u64 {
    let now = conductor_loop::sys::monotonic();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

fn wait_for(condition: impl Fn() -> bool) {
    while !condition() {
        // Short against what is measured, and outside of it.
        std::thread::sleep(Duration::from_micros(500));
    }
}

fn timed(command: &mut Command) -> io::Result<Duration> {
    let begin = Instant::now();
    let status = command.status()?;
    let took = begin.elapsed();
    if status.success() { Ok(took) } else { Err(Error::other(format!("{command:?} ended with {status}"))) }
}

fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted
        .get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

fn median(times: &[Duration]) -> Duration {
    percentile(times, 50)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

#[expect(clippy::print_stderr, reason = "a long measurement says where it is")]
fn say(text: &str) {
    eprintln!("{text}");
}
