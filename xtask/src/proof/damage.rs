//! Damage to the store: one bit flipped at random places, a page zeroed, the end cut off, an older copy put in its place;
//! after a clean end and after a kill. Either the next start refuses with the code of a damaged store and leaves the
//! store as it is, or no recorded outcome is lost and no intent runs a second time.

use super::extent::Extent;
use super::parallel::in_parallel;
use super::tally::{Job, Tally};
use crate::progress::say;
use conductor_testkit::fuzz::Random;
use conductor_testkit::promise::{self, Dropped, Ending};
use conductor_testkit::{TestEnv, flat};
use std::path::Path;
use std::process::Command;

/// Number of intents whose outcomes the store remembers.
const INTENTS: u32 = 40;
const SHORT: u64 = 60;
const LONG: u64 = 3_000;
const STORE: &str = ".conductor/state/ledger.redb";
/// A copy of the store as it was after half of the intents.
const OLDER: &str = "older.redb";
const PAGE: usize = 4_096;

/// The way the daemon that wrote the store ended.
#[derive(Debug, Clone, Copy)]
enum End {
    Clean,
    Killed,
}

pub(super) fn run(program: &Path, extent: &Extent) -> Tally {
    let mut all = Tally::default();
    for end in [End::Clean, End::Killed] {
        let written = Written::by_a_daemon(program, end);
        let flips = if extent.long() { LONG } else { SHORT };
        let tally = in_parallel(0..flips, |number| {
            Job::of(written.damaged(program, number), || format!("damage: {end:?}, number {number}"))
        });
        say(&format!("damage: store after the daemon's end, {end:?}: {} tried", tally.points));
        all.add(tally);
    }
    all
}

/// A handoff directory whose intents are finished.
struct Written {
    env: TestEnv,
    dropped: Vec<Dropped>,
}

impl Written {
    fn by_a_daemon(program: &Path, end: End) -> Self {
        let env = TestEnv::new(&program.display().to_string());
        let mut dropped = Vec::new();
        for number in 0..INTENTS {
            if number == INTENTS / 2 {
                drop(env.once(&[]).expect(0));
                let copied = std::fs::copy(env.handoff(STORE), env.path(OLDER));
                assert!(copied.is_ok(), "the store cannot be copied: {copied:?}");
            }
            let name = format!("intent-{number:02}.json");
            let content = flat(&format!("t{}", number % 8), 1 + number % 9);
            env.drop_file(&name, &content);
            dropped.push(Dropped { name, content, ending: Ending::Success });
        }
        match end {
            End::Clean => drop(env.once(&[]).expect(0)),
            End::Killed => {
                let daemon = env.start_ready(&[]);
                for one in &dropped {
                    env.wait_status(&one.name);
                }
                daemon.kill();
            }
        }
        Self { env, dropped }
    }

    /// Copies everything, damages the store, and starts a daemon on the copy.
    fn damaged(&self, program: &Path, number: u64) -> Result<(), String> {
        let env = TestEnv::new(&program.display().to_string());
        for part in ["handoff", "bin/calls"] {
            let (from, to) = (self.env.path(part), env.path(part));
            let copied = Command::new("cp").args(["-a", "-T"]).arg(from).arg(to).status();
            if !copied.is_ok_and(|status| status.success()) {
                return Err(format!("{part} cannot be copied"));
            }
        }
        let store = env.handoff(STORE);
        let whole = std::fs::read(&store).map_err(|error| format!("{}: {error}", store.display()))?;
        let older = std::fs::read(self.env.path(OLDER)).map_err(|error| error.to_string())?;
        let (bytes, place) = damage(number, whole, older);
        std::fs::write(&store, &bytes).map_err(|error| error.to_string())?;
        let calls = env.calls().len();
        let finished = env.once(&[]);
        match finished.status.code() {
            Some(1) if finished.stderr.contains("E404") => {
                let left = std::fs::read(&store).map_err(|error| error.to_string())?;
                if left == bytes { Ok(()) } else { Err(format!("{place}: refused, and changed")) }
            }
            Some(0) if env.calls().len() == calls => {
                promise::check(&env, &self.dropped, 0, true).map_err(|reason| format!("{place}: {reason}"))
            }
            Some(0) => Err(format!("{place}: {} ran a second time", env.calls().len() - calls)),
            _ => Err(format!("{place}: {}: {}", finished.status, finished.stderr)),
        }
    }
}

/// The damaged store for this number, and the name of the damage: of ten, seven are flips and one is each other kind.
fn damage(number: u64, mut bytes: Vec<u8>, older: Vec<u8>) -> (Vec<u8>, String) {
    let mut random = Random(number);
    let length = bytes.len();
    let at = usize::try_from(random.below(length as u64)).unwrap_or(0);
    let place = match number % 10 {
        0 => return (older, "an older copy".to_owned()),
        1 => {
            let page = at / PAGE * PAGE;
            bytes.iter_mut().skip(page).take(PAGE).for_each(|byte| *byte = 0);
            format!("page at {page} of {length} zeroed")
        }
        2 => {
            bytes.truncate(at);
            format!("cut off at {at} of {length}")
        }
        _ => {
            bytes[at] ^= 1 << random.below(8);
            format!("bit of byte {at} of {length} flipped")
        }
    };
    (bytes, place)
}
