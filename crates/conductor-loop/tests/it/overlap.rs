//! Directories that must not be the same, under any name.

use crate::env;
use conductor_testkit::flat;
use std::fs;

#[test]
fn packages_never_land_among_the_handoffs_own_files() {
    let env = env();
    env.drop_file("intent-a.json", flat("a", 3));
    fs::create_dir(env.handoff("status")).unwrap();
    std::os::unix::fs::symlink("handoff/status", env.path("link")).unwrap();
    let refused = |flags: &[&str], what: &str| {
        let mut command = env.bare_command();
        command.args(["-once", "-porch", "builtin", "-debounce", "0"]).args(flags);
        let finished = conductor_testkit::Running::start(command).wait().expect(1);
        assert!(
            finished.stderr.contains("E509") && finished.stderr.contains(what),
            "{flags:?}: {}",
            finished.stderr
        );
        assert_eq!(env.names(""), ["intent-a.json", "status"], "{flags:?}: nothing was made");
    };
    for out in [
        "handoff",
        "./handoff/",
        "handoff/processed",
        "handoff/failed/deeper",
        "handoff/.conductor",
        "handoff/status/../processed",
        "nowhere/../handoff/processed",
        "link",
        "link/deeper",
        ".",
        "/",
    ] {
        refused(&["-out", out], "--out");
    }
    for state in ["handoff", "handoff/processed", "handoff/.conductor/taken", "out"] {
        refused(&["-state-dir", state], "--state-dir");
    }
    for repository in ["handoff", "handoff/repository", "handoff/status/r"] {
        let table = format!("[[route]]\nrepository = \"r\"\n[repository.r]\ngit = \"{repository}\"\n");
        fs::write(env.path("c.toml"), table).unwrap();
        refused(&["-config", "c.toml"], "repository 'r'");
    }
    // Permitted: beside each other, or in a directory of their own inside the handoff directory.
    for flags in
        [&["-out", "out"][..], &["-out", "handoff/packages"], &["-state-dir", "handoff/.conductor/state"]]
    {
        let mut command = env.bare_command();
        command.args(["-once", "-porch", "builtin", "-debounce", "0"]).args(flags);
        conductor_testkit::Running::start(command).wait().expect(0);
    }
}
