//! A test in a process of its own, in which it may use up what a process has.

use rustix::process::{Resource, Rlimit, setrlimit};
use std::fs::File;
use std::process::Command;

/// Set for the process of one test.
const ALONE: &str = "CONDUCTOR_TEST_ALONE";

/// Whether this is the process of this test alone, by its whole name. Where it is not, that process was started and has
/// passed.
#[track_caller]
pub fn is_alone(test: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let mut again = Command::new(std::env::current_exe().expect("the test's program"));
    let ended = again.args(["--exact", test]).env(ALONE, "1").output().expect("it starts");
    let told = String::from_utf8_lossy(&ended.stdout);
    assert!(
        ended.status.success() && told.contains("1 passed"),
        "{told}{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    false
}

/// Uses up every descriptor of the process; each that is dropped is free again.
pub fn all_descriptors() -> Vec<File> {
    let few = Rlimit { current: Some(64), maximum: Some(64) };
    setrlimit(Resource::Nofile, few).expect("fewer descriptors");
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}
