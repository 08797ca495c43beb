//! Real limits instead of injected ones: a small file system that fills up, one that becomes read-only, few descriptors.

use super::extent::Extent;
use super::tally::Tally;
use crate::progress::say;
use conductor_testkit::promise::{self, Dropped, Ending};
use conductor_testkit::{TestEnv, flat, wait_until};
use std::path::Path;
use std::process::Command;

/// `false`: this machine does not permit the case, and a message has said so.
type Case = fn(&Path) -> Result<bool, String>;

const CASES: [(&str, Case); 4] = [
    ("a tmpfs of 24 MiB that fills up", full_tmpfs),
    ("an ext4 of 48 MiB that fills up", full_ext4),
    ("a file system that becomes read-only", read_only),
    ("48 descriptors", few_descriptors),
];

pub(super) fn run(program: &Path, _: &Extent) -> Tally {
    if !rustix::process::geteuid().is_root() {
        return Tally { impossible: Some("mounting needs root"), ..Tally::default() };
    }
    let mut tally = Tally::default();
    for (name, case) in CASES {
        let result = case(program);
        match result {
            Ok(tried) => tally.points += u64::from(tried),
            Err(reason) => tally.violation(format!("limits: {name}: {reason}")),
        }
    }
    tally
}

/// An environment whose handoff directory is a file system of its own.
struct Mounted {
    env: TestEnv,
}

impl Mounted {
    fn new(program: &Path, arguments: impl FnOnce(&TestEnv) -> Vec<String>) -> Option<Self> {
        let env = TestEnv::new(&program.display().to_string());
        let mut words = arguments(&env);
        words.push(env.path("handoff").display().to_string());
        let mounted = succeed("mount", &words);
        if let Err(reason) = &mounted {
            say(&format!("NOT RUN: {reason}"));
        }
        mounted.is_ok().then_some(Self { env })
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.env.path("handoff")).status();
    }
}

fn succeed(program: &str, words: &[String]) -> Result<(), String> {
    let output = Command::new(program).args(words).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn full_tmpfs(program: &Path) -> Result<bool, String> {
    let mounted = Mounted::new(program, |_| words("-t tmpfs -o size=24m,mode=755 tmpfs"));
    mounted.map_or(Ok(false), |mounted| fill_and_free(&mounted))
}

/// Formats an image beside the handoff directory; returns the arguments that mount it.
fn ext4(env: &TestEnv, options: &str) -> Vec<String> {
    let image = env.path("image");
    let made = std::fs::File::create(&image).and_then(|file| file.set_len(48 << 20));
    let formatted = Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image).status();
    assert!(made.is_ok() && formatted.is_ok_and(|status| status.success()), "an ext4 image");
    vec!["-o".to_owned(), options.to_owned(), image.display().to_string()]
}

fn full_ext4(program: &Path) -> Result<bool, String> {
    Mounted::new(program, |env| ext4(env, "loop")).map_or(Ok(false), |mounted| fill_and_free(&mounted))
}

/// Fills the disk to the last byte while intents come and go; frees it; the daemon resumes alone.
fn fill_and_free(mounted: &Mounted) -> Result<bool, String> {
    let env = &mounted.env;
    env.script("*: up-to=5");
    let daemon = env.start_ready(&["-max-attempts", "100"]);
    let mut dropped = Vec::new();
    let mut drop_some = |count: usize| {
        for _ in 0..count {
            let number = dropped.len();
            let (name, content) = (format!("intent-{number:03}.json"), flat(&format!("t{}", number % 5), 2));
            // On a full disk a producer cannot write a whole file.
            if env.try_drop_file(&name, &content).is_ok() {
                dropped.push(Dropped { name, content, ending: Ending::Success });
            }
        }
    };
    drop_some(20);
    wait_until("some progress", || env.names("status").len() > 3);
    fill(env);
    drop_some(20);
    wait_until("the disk is noticed to be full", || daemon.logged("disk full"));
    std::fs::remove_file(env.handoff("filler")).map_err(|error| format!("the filler: {error}"))?;
    drop_some(5);
    wait_until("the daemon resumes alone", || env.names("status").len() == dropped.len());
    daemon.stop().expect(0);
    promise::check(env, &dropped, 0, true).map(|()| true)
}

fn fill(env: &TestEnv) {
    use std::io::Write;
    let Ok(mut filler) = std::fs::File::create(env.handoff("filler")) else { return };
    for size in [1 << 16, 1 << 10, 1] {
        while filler.write_all(&vec![0; size]).is_ok() {}
    }
}

/// A disk error makes the file system read-only under the daemon: it ends with a named cause; after a check of the file
/// system a restart has everything.
fn read_only(program: &Path) -> Result<bool, String> {
    let Some(mounted) = Mounted::new(program, |env| ext4(env, "loop,errors=remount-ro")) else {
        return Ok(false);
    };
    let env = &mounted.env;
    env.script("*: wait=go");
    let dropped: Vec<Dropped> = (0..10)
        .map(|number| {
            let (name, content) = (format!("intent-{number}.json"), flat(&format!("t{number}"), 2));
            env.drop_file(&name, &content);
            Dropped { name, content, ending: Ending::Success }
        })
        .collect();
    // Careful producers sync: files they have not synced may be lost.
    succeed("sync", &["-f".to_owned(), env.path("handoff").display().to_string()])?;
    let daemon = env.start_ready(&["-max-attempts", "100"]);
    wait_until("porches run", || env.calls().len() == 2);
    let place = env.path("handoff").display().to_string();
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let device = mounts.lines().find(|line| line.contains(&place)).and_then(|line| line.split(' ').next());
    let device = device.and_then(|device| device.rsplit('/').next()).ok_or("the loop device is not known")?;
    let trigger = format!("/sys/fs/ext4/{device}/trigger_fs_error");
    if let Err(error) = std::fs::write(&trigger, "1") {
        say(&format!("NOT RUN: {trigger}: {error}"));
        return Ok(false);
    }
    env.release("go");
    let ended = daemon.wait();
    if ended.code() != 3 || !ended.stderr.contains("E4") {
        return Err(format!("ended with {}: {}", ended.status, ended.stderr));
    }
    succeed("umount", std::slice::from_ref(&place))?;
    let image = env.path("image").display().to_string();
    // Status 1: e2fsck found errors and corrected them.
    let _ = Command::new("e2fsck").args(["-f", "-y", &image]).output();
    succeed("mount", &["-o".into(), "loop".into(), image, place])?;
    env.once(&["-max-attempts", "100"]).expect(0);
    promise::check(env, &dropped, 1, true).map(|()| true)
}

fn few_descriptors(program: &Path) -> Result<bool, String> {
    let env = TestEnv::new(&program.display().to_string());
    let dropped: Vec<Dropped> = (0..200)
        .map(|number| {
            let (name, content) =
                (format!("intent-{number:03}.json"), flat(&format!("t{}", number % 20), 2 + number / 20));
            env.drop_file(&name, &content);
            Dropped { name, content, ending: Ending::Success }
        })
        .collect();
    // By flag: prlimit is started without the variables of the command.
    let root = env.path("").display().to_string();
    let inner = env.command(&["-once", "-workers", "2", "-porch-write", &root]);
    let mut limited = vec!["--nofile=48:48".to_owned(), inner.get_program().display().to_string()];
    limited.extend(inner.get_args().map(|word| word.display().to_string()));
    succeed("prlimit", &limited)?;
    // A private copy that could not be removed for want of a descriptor is removed by the next start.
    env.once(&[]).expect(0);
    promise::check(&env, &dropped, 0, true).map(|()| true)
}
