//! Soak: the daemon is killed at random while hundreds of targets have work and a hostile producer writes (names that our
//! archive uses, reused inodes, file times from long ago). At the end every intent has one outcome, each target's intents
//! ran in their order and never beside each other, nothing is left over, and memory is bounded.

use super::extent::Extent;
use super::tally::Tally;
use crate::progress::say;
use conductor_core::Seq;
use conductor_core::name::archive_names;
use conductor_testkit::fuzz::Random;
use conductor_testkit::promise::{self, Dropped, Ending};
use conductor_testkit::{Running, TestEnv, flat, memory_kb};
use std::collections::HashMap;
use std::fs::{self, FileTimes};
use std::io;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

const TARGETS: usize = 500;
/// Number of names that are dropped twice.
const COLLIDING: u64 = 20;
/// Number of files with old times.
const REUSED: u32 = 150;
/// Far below the memory of a daemon that kept anything per finished intent.
const RESIDENT_MAX_KB: u64 = 64 << 10;

pub(super) fn run(program: &Path, extent: &Extent) -> Tally {
    let (rounds, restarts) = if extent.long() { (40, 1_000) } else { (4, 50) };
    let (env, mut dropped) = begin(program, rounds);
    let mut killed = 0;
    let mut random = Random(42);
    let reused = std::thread::scope(|scope| {
        let adversary = scope.spawn(|| reuse_inodes(&env));
        while killed < restarts && env.names("status").len() < dropped.len() {
            let daemon = start(&env, &[]);
            // Each life has its own length: some die while they recover, some under load.
            std::thread::sleep(Duration::from_millis(random.below(if extent.long() { 400 } else { 160 })));
            daemon.kill();
            killed += 1;
        }
        adversary.join()
    });
    let Ok(Ok(reused)) = reused else {
        return Tally { impossible: Some("its producer failed"), ..Tally::default() };
    };
    dropped.extend(reused);
    let resident = finish(&env);
    say(&format!(
        "soak: {} intents of {TARGETS} targets, killed {killed} times, {resident} kB resident at the end",
        dropped.len()
    ));
    let mut tally = Tally { points: dropped.len() as u64, ..Tally::default() };
    if resident > RESIDENT_MAX_KB {
        tally.violation(format!("soak: {resident} kB resident"));
    }
    let kept = promise::check(&env, &dropped, killed, true).and_then(|()| in_order(&env));
    if let Err(reason) = kept {
        tally.violation(format!("soak: {reason}"));
    }
    tally
}

fn begin(program: &Path, rounds: usize) -> (TestEnv, Vec<Dropped>) {
    let env = TestEnv::new(&program.display().to_string());
    env.script("*: up-to=3");
    let mut dropped = collide(&env);
    for round in 0..rounds {
        for target in 0..TARGETS {
            let name = format!("intent-{round:02}-{target:03}.json");
            let replicas = u32::try_from(1 + round).unwrap_or(1);
            let content = flat(&format!("t{target}"), replicas);
            env.drop_file(&name, &content);
            dropped.push(Dropped { name, content, ending: Ending::Success });
        }
    }
    (env, dropped)
}

/// Drops names twice, and files named as their second copies would be archived.
fn collide(env: &TestEnv) -> Vec<Dropped> {
    let mut dropped = Vec::new();
    let mut drop_file = |name: String, target: &str, replicas, ending| {
        let content = flat(target, replicas);
        env.drop_file(&name, &content);
        dropped.push(Dropped { name, content, ending });
    };
    let twice = |number: u64| format!("intent-twice-{number:02}.json");
    (0..COLLIDING).for_each(|number| drop_file(twice(number), &format!("twice-{number}"), 1, Ending::Before));
    env.once(&[]).expect(0);
    // These take sequence numbers before the second copies come.
    for number in 0..COLLIDING {
        let numbered = archive_names(&twice(number), Seq(2 * COLLIDING + number + 1)).nth(1);
        drop_file(numbered.unwrap_or_default(), &format!("guess-{number}"), 1, Ending::Success);
    }
    (0..COLLIDING)
        .for_each(|number| drop_file(twice(number), &format!("twice-{number}"), 2, Ending::Success));
    dropped
}

/// Makes and removes directories under an intent's name, then files of one age and size that reuse their inode numbers.
fn reuse_inodes(env: &TestEnv) -> io::Result<Vec<Dropped>> {
    let old = FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_secs(1_000_000_000));
    let mut dropped = Vec::new();
    for number in 0..REUSED {
        let name = format!("intent-old-{number:03}.json");
        let content = flat(&format!("old-{}", number % 7), 1 + number % 9);
        let directory = env.handoff(&format!("intent-dir-{}.json", number % 3));
        fs::create_dir(&directory)?;
        fs::remove_dir(&directory)?;
        let draft = env.handoff(".old");
        fs::write(&draft, &content)?;
        fs::File::options().write(true).open(&draft)?.set_times(old)?;
        fs::rename(&draft, env.handoff(&name))?;
        dropped.push(Dropped { name, content, ending: Ending::Success });
        std::thread::sleep(Duration::from_millis(20)); // Some during each life of the daemon.
    }
    Ok(dropped)
}

fn start(env: &TestEnv, flags: &[&str]) -> Running {
    let always = ["-max-attempts", "1000", "-log-level", "warn"];
    env.start(&[&always, flags].concat())
}

/// Processes the remaining intents; returns the daemon's resident size when all are done.
fn finish(env: &TestEnv) -> u64 {
    let mut daemon = start(env, &["-once"]);
    let mut resident = 0;
    while daemon.is_running() {
        resident = memory_kb(daemon.pid(), "VmRSS:").unwrap_or(resident);
        std::thread::sleep(Duration::from_millis(50)); // The sampling interval of the daemon's memory.
    }
    daemon.wait().expect(0);
    resident
}

/// Checks that no intent started after an intent of its target that was taken later.
fn in_order(env: &TestEnv) -> Result<(), String> {
    let mut last: HashMap<String, u64> = HashMap::new();
    for call in env.calls() {
        let (target, seq) = (call.target(), call.record["seq"].as_u64().unwrap_or(0));
        let before = last.insert(target.clone(), seq).unwrap_or(0);
        if before > seq {
            return Err(format!("{target}: number {seq} started after number {before}"));
        }
    }
    Ok(())
}
