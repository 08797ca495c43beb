//! The real daemon with real files and real processes. One binary, one module per subject; each test has a directory of
//! its own and waits on conditions.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking and says what it could not test"
)]

mod anew;
mod api;
mod as_filed;
mod asking;
mod audit;
mod backing_up;
mod backlog;
mod backups;
mod bytes;
mod calls;
mod cancel;
mod cgroup;
mod chroot;
mod cli;
mod compat;
mod confinement;
mod damage;
mod doctor;
mod endpoints;
mod fs_group;
mod habits;
mod hand_overs;
mod held;
mod hostile;
mod http_calls;
mod intake;
mod leavings;
mod lifecycle;
mod log;
mod memory;
mod monitoring;
mod operate;
mod order;
mod orphans;
mod overlap;
mod owners;
mod ownership;
mod packages;
mod page;
mod plain_files;
mod porch_user;
mod porches;
mod reach;
mod readme;
mod recovery;
mod reload;
mod renewed;
mod repositories;
mod restored;
mod sealed;
mod secrets;
mod secure;
mod signals;
mod signed;
mod staging;
mod state;
mod stories;
mod surroundings;
mod systemd;
mod texts;
mod told;
mod top;
mod users;
mod variables;
mod ways_back;
mod withdrawn;

use conductor_testkit::TestEnv;

/// A fresh environment for the program under test.
fn env() -> TestEnv {
    TestEnv::new(env!("CARGO_BIN_EXE_conductor-loop"))
}

/// Whether the tests run as root; if not, prints that the test is skipped.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

/// The key ring of a state.
fn ring(env: &TestEnv) -> std::sync::Arc<conductor_crypto::KeyRing> {
    let key = std::fs::read(env.handoff(".conductor/state/root.key")).unwrap();
    std::sync::Arc::new(conductor_crypto::KeyRing::parse(&key).unwrap())
}

/// Writes the store again in plain, so that a test can find and change what it holds.
fn make_plain(env: &TestEnv) {
    let state = conductor_os::dir::Dir::open(&env.handoff(".conductor/state")).unwrap();
    let sealing = conductor_loop::store::Sealing::Off(ring(env));
    drop(conductor_loop::store::Store::open(std::sync::Arc::new(state), &sealing, false).unwrap());
}
