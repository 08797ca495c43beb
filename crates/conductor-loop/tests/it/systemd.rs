//! The unit: valid, hardened, and with a matching example of credentials.

use crate::env;
use conductor_testkit::has;
use std::fs;
use std::process::Command;

const PLACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/systemd");

#[test]
fn the_unit_is_valid_and_hardened() {
    if !has("systemd-analyze") {
        return;
    }
    let env = env();
    let unit = fs::read_to_string(format!("{PLACE}/conductor-loop.service")).unwrap();
    // The existing program, so that its absence is no finding.
    let unit = unit.replace("/usr/bin/conductor-loop", &env.program().display().to_string());
    let credentials = fs::read_to_string(format!("{PLACE}/credentials.conf")).unwrap();
    let (path, drop_ins) = (env.path("conductor-loop.service"), env.path("conductor-loop.service.d"));
    fs::write(&path, &unit).unwrap();
    let analyze = |words: &[&str]| {
        let output = Command::new("systemd-analyze").args(words).arg(&path).output().unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {said}");
        said
    };
    let complaints = |said: &str| said.lines().filter(|line| line.contains("conductor-loop")).count();
    assert_eq!(complaints(&analyze(&["verify", "--man=no"])), 0);
    // In tenths of its points; below 2.0 it says OK.
    analyze(&["security", "--offline=true", "--no-pager", "--threshold=15"]);
    fs::create_dir(&drop_ins).unwrap();
    fs::write(drop_ins.join("credentials.conf"), credentials).unwrap();
    assert_eq!(complaints(&analyze(&["verify", "--man=no"])), 0);
    fs::write(drop_ins.join("mistake.conf"), "[Service]\nLoadCredentials=x\n").unwrap();
    assert_ne!(complaints(&analyze(&["verify", "--man=no"])), 0, "a mistake in a drop-in is seen");
}

#[test]
fn the_packaged_configuration_is_valid() {
    let env = env();
    let config = format!("{PLACE}/config.toml");
    let shown = env.run(&["config", "show", "-config", &config]).expect(0).stdout;
    assert!(shown.contains("/var/lib/conductor-loop/handoff"), "{shown}");
}
