//! Files that are not regular, or far too large: refused at once by every command that is given them.

use crate::env;
use conductor_testkit::{TestEnv, flat};
use rustix::fs::{CWD, FileType, mknodat};
use std::fs;
use std::time::{Duration, Instant};

fn fifo(env: &TestEnv, name: &str) -> String {
    mknodat(CWD, env.path(name), FileType::Fifo, 0o600.into(), 0).unwrap();
    env.path(name).display().to_string()
}

#[test]
fn commands_refuse_what_is_no_plain_file_at_once() {
    let env = env();
    let waiting = fifo(&env, "intent-fifo.json");
    fs::create_dir(env.path("intent-dir.json")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", env.path("intent-zero.json")).unwrap();
    for file in [waiting.as_str(), "intent-dir.json", "intent-zero.json"] {
        for (words, code) in [(&["check"][..], 8), (&["plan", "-out", "out"], 8)] {
            let told = env.run(&[words, &[file]].concat()).expect(code).stdout;
            assert!(told.contains("E102") && told.contains("not a plain file"), "{words:?} {file}: {told}");
        }
        let told = env.operate(&["submit", file]).expect(1).stderr;
        assert!(told.contains("E102") && told.contains("not a plain file"), "{file}: {told}");
        let told = env.operate(&["state", "import", file]).expect(1).stderr;
        assert!(told.contains("not a plain file"), "{file}: {told}");
    }
    for file in [waiting.as_str(), "/dev/zero", "/"] {
        let told = env.run(&["config", "show", "-config", file]).expect(2).stderr;
        assert!(told.contains("E503") && told.contains("not a plain file"), "{file}: {told}");
        for flags in [&["-token-file", file][..], &["-tls-cert", file, "-tls-key", file]] {
            let told = env.once(&[&["-listen", "127.0.0.1:0"], flags].concat()).expect(1).stderr;
            assert!(told.contains("E507") && told.contains("not a plain file"), "{flags:?}: {told}");
        }
    }
    assert!(env.names("").iter().all(|name| !name.starts_with("intent-")), "nothing was handed in");
}

#[test]
fn a_retry_reads_no_more_than_was_recorded() {
    let env = env();
    env.script("*: exit=3");
    env.drop_file("intent-a.json", flat("a", 3));
    env.drop_file("intent-huge.json", "x");
    fs::OpenOptions::new()
        .write(true)
        .open(env.handoff("intent-huge.json"))
        .unwrap()
        .set_len(3 << 30)
        .unwrap();
    env.once(&[]).expect(8);
    let archived = fs::OpenOptions::new().write(true).open(env.handoff("failed/intent-a.json")).unwrap();
    archived.set_len(3 << 30).unwrap();
    let began = Instant::now();
    for (file, why) in [("intent-a.json", "size differs"), ("intent-huge.json", "never read")] {
        let mut command = std::process::Command::new("prlimit");
        command.arg("--as=400000000").arg(env.program()).args(["retry", file, "-handoff"]);
        command.arg(env.path("handoff")).current_dir(env.path(""));
        let told = conductor_testkit::Running::start(command).wait().expect(1);
        assert!(told.stdout.contains(why), "{file}: {}{}", told.stdout, told.stderr);
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn a_directory_with_an_intents_name_is_explained_as_what_it_is() {
    let env = env();
    fs::create_dir(env.handoff("intent-dir.json")).unwrap();
    env.once(&[]).expect(0);
    let explained = || env.operate(&["explain", "intent-dir.json"]).expect(0).stdout;
    let listed = env.operate(&["list"]).expect(0).stdout;
    assert!(listed.contains("E107") && !listed.contains("to be taken"), "{listed}");
    assert!(explained().contains("E107") && explained().contains("Remove or rename"), "{}", explained());
    let daemon = env.start_ready(&[]);
    daemon.wait_log("E107");
    assert!(explained().contains("E107") && explained().contains("Remove or rename"), "{}", explained());
    daemon.stop().expect(0);
}
