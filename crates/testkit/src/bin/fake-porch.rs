//! A porch that follows the script beside it: good, slow, hung, noisy or hostile. It records each start (with its view of
//! the environment) and each end in `calls/` beside it.
//!
//! Script lines: `TARGET: step step ...`; the first line whose target is the intent's or `*` counts. Steps:
//! `exit=N`, `sleep=MS`, `up-to=MS` (a random time), `signal=N`, `out=TEXT`, `err=TEXT`, `flood=BYTES`, `ignore-term`, `wait=NAME` (until a file of
//! that name is in calls/), `hold-pipe=MS` (a grandchild keeps stdout open), `escape=MS` (a grandchild in a session of its
//! own), `stop` (SIGSTOP), `delete`, `rewrite`, `replace`, `litter`, `busy-until=N` (exit 75 before start number N), `nasty-output`.

use rustix::process::{Signal, getpid, kill_process, setsid};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

fn now_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

fn main() {
    let argv: Vec<String> = std::env::args().collect();
    match argv.get(1).map(String::as_str) {
        Some("grandchild-sleep") => return nap(argv.get(2)),
        Some("grandchild-escape") => {
            let _ = setsid();
            return nap(argv.get(2));
        }
        _ => {}
    }
    let own = std::env::current_exe().expect("an executable has a path");
    let home = own.parent().expect("in a directory").to_owned();
    // The reader of stderr may be gone.
    let complaint = home.join("calls/panic");
    std::panic::set_hook(Box::new(move |panic| drop(std::fs::write(&complaint, panic.to_string()))));
    let intent_path = argv.get(2).map(PathBuf::from).unwrap_or_default();
    let content = std::fs::read_to_string(&intent_path).unwrap_or_default();
    let parsed: serde_json::Value = serde_json::from_str(&content).unwrap_or_default();
    let target = parsed["target"].as_str().unwrap_or("").to_owned();
    let environment: BTreeMap<String, String> = std::env::vars().collect();
    let number = |name: &str| environment.get(name).and_then(|v| v.parse::<u64>().ok()).unwrap_or(0);
    let (seq, attempt) = (number("CONDUCTOR_INTENT_SEQ"), number("CONDUCTOR_INTENT_ATTEMPT"));
    let begin_ns = now_ns();
    let id = format!("{seq}.{attempt}.{begin_ns}");
    let record = json!({"argv": argv, "env": environment, "fds": open_descriptors(), "cwd": std::env::current_dir().ok(),
        "content": content, "target": target, "seq": seq, "attempt": attempt, "pid": std::process::id(), "begin_ns": begin_ns,
        "mode": mode_of(&intent_path)});
    write_whole(&home, &format!("{id}.begin"), record.to_string());
    let script = std::fs::read_to_string(home.join("porch.script")).unwrap_or_default();
    let steps = script.lines().find_map(|line| {
        let (pattern, steps) = line.split_once(':')?;
        (pattern == "*" || pattern == target).then(|| steps.to_owned())
    });
    let mut status = 0;
    for step in steps.unwrap_or_default().split_whitespace() {
        let (word, value) = step.split_once('=').unwrap_or((step, ""));
        perform(word, value, (&home, &intent_path), attempt, &mut status);
    }
    write_whole(&home, &format!("{id}.end"), now_ns().to_string());
    std::process::exit(status);
}

fn perform(word: &str, value: &str, (home, intent): (&Path, &Path), attempt: u64, status: &mut i32) {
    let number = value.parse::<u64>().unwrap_or(0);
    match word {
        "exit" => *status = value.parse().unwrap_or(0),
        "sleep" => std::thread::sleep(Duration::from_millis(number)), // The step is a delay.
        // Random each time; no test depends on the value.
        "up-to" => {
            let time = Duration::from_micros(now_ns() % (1_000 * number.max(1)));
            std::thread::sleep(time); // The step is a delay.
        }
        "signal" => {
            let signal = Signal::from_named_raw(value.parse().unwrap_or(9)).expect("a signal");
            let _ = kill_process(getpid(), signal);
        }
        "stop" => drop(kill_process(getpid(), Signal::STOP)),
        "out" => drop(writeln!(std::io::stdout(), "{value}")),
        "err" => drop(writeln!(std::io::stderr(), "{value}")),
        "flood" => flood(number),
        "nasty-output" => {
            drop(std::io::stderr().write_all(b"\x1b[2J\x07 password=hunter2 \xff\xfe \xe2\x80\xae end\n"));
        }
        "ignore-term" => {
            let flag = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
            drop(signal_hook::flag::register(signal_hook::consts::SIGTERM, flag));
        }
        "wait" => {
            while !home.join("calls").join(value).exists() {
                std::thread::sleep(Duration::from_millis(3)); // The condition belongs to another process.
            }
        }
        "hold-pipe" => grandchild("grandchild-sleep", value),
        "escape" => grandchild("grandchild-escape", value),
        "delete" => drop(std::fs::remove_file(intent)),
        "rewrite" => {
            use std::os::unix::fs::PermissionsExt;
            let _ = std::fs::set_permissions(intent, std::fs::Permissions::from_mode(0o600));
            let _ = std::fs::write(intent, "tampered");
        }
        "replace" => {
            let _ = std::fs::remove_file(intent);
            let _ = std::os::unix::fs::symlink("/etc/passwd", intent);
        }
        "litter" => {
            let _ = std::fs::create_dir_all("deep/er");
            let _ = std::fs::write("deep/er/file", "x");
            let _ = std::fs::write("core", "x");
        }
        "busy-until" => *status = if attempt < number { 75 } else { 0 },
        other => panic!("unknown step {other}"),
    }
}

fn nap(milliseconds: Option<&String>) {
    let number = milliseconds.and_then(|text| text.parse().ok()).unwrap_or(0);
    std::thread::sleep(Duration::from_millis(number)); // The test needs a grandchild that stays.
}

#[expect(clippy::zombie_processes, reason = "a grandchild that outlives its parent is what is tested")]
fn grandchild(kind: &str, value: &str) {
    let own = std::env::current_exe().expect("an executable has a path");
    let child =
        Command::new(own).args([kind, value]).stdin(Stdio::null()).spawn().expect("a grandchild starts");
    if kind == "grandchild-escape" {
        // Waits for the child's session: otherwise the test itself would have a race.
        while session(child.id()) != Some(child.id()) {
            std::thread::yield_now();
        }
    }
}

/// The session of a process: 0 when its leader is outside our process namespace, which getsid(2) of rustix does not expect.
fn session(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name in parentheses: state, parent, group, session (proc(5)).
    stat.rsplit_once(") ")?.1.split(' ').nth(3)?.parse().ok()
}

fn flood(bytes: u64) {
    let block = vec![b'x'; 1 << 16];
    let mut left = bytes;
    while left > 0 {
        let part = usize::try_from(left.min(block.len() as u64)).unwrap_or(0);
        if std::io::stdout().write_all(&block[..part]).is_err() {
            return;
        }
        left -= part as u64;
    }
}

fn open_descriptors() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let all: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    // The descriptor that listed the directory is closed by now.
    all.into_iter().filter(|fd| Path::new(&format!("/proc/self/fd/{fd}")).exists()).collect()
}

fn mode_of(path: &Path) -> String {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).map(|meta| format!("{:o}", meta.mode() & 0o7777)).unwrap_or_default()
}

fn write_whole(home: &Path, name: &str, content: String) {
    let draft = home.join(format!("{name}.draft"));
    std::fs::write(&draft, content)
        .and_then(|()| std::fs::rename(&draft, home.join("calls").join(name)))
        .expect("recorded");
}
