//! The unit: valid, hardened, and with a matching example of credentials.

use crate::{env, is_root};
use conductor_testkit::{Running, flat, has, with_call_answered};
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
    // Writable in a read-only hierarchy: its own group, for those of runs.
    let group = "\nDelegate=yes\nProtectControlGroups=yes\nReadWritePaths=-/sys/fs/cgroup/system.slice/%n\n";
    assert!(unit.contains(group), "{unit}");
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
    for drop_in in ["repositories.conf", "backups.conf"] {
        fs::copy(format!("{PLACE}/{drop_in}"), drop_ins.join(drop_in)).unwrap();
    }
    assert_eq!(complaints(&analyze(&["verify", "--man=no"])), 0);
    fs::write(drop_ins.join("mistake.conf"), "[Service]\nLoadCredentials=x\n").unwrap();
    assert_ne!(complaints(&analyze(&["verify", "--man=no"])), 0, "a mistake in a drop-in is seen");
}

/// The number of `capset`, which the unit's filter refuses with the other privileged calls.
const CAPSET: i64 = if cfg!(target_arch = "x86_64") { 126 } else { 91 };

#[test]
fn a_daemon_without_capabilities_as_in_the_unit_is_refused_none_of_its_parts_for_them() {
    let env = env();
    let Some(lesser) = with_call_answered(env.program(), CAPSET, 1) else { return };
    let mut command = Command::new(lesser.get_program());
    if is_root() {
        if !has("setpriv") {
            return;
        }
        command = Command::new("setpriv");
        command.args(["--bounding-set=-all", "--inh-caps=-all"]).arg(lesser.get_program());
    }
    let ordinary = env.command(&["-once"]);
    command.args(lesser.get_args()).args(ordinary.get_args()).current_dir(env.path(""));
    command.envs(ordinary.get_envs().filter_map(|(name, value)| Some((name, value?))));
    env.drop_file("intent-x.json", flat("x", 3));
    let log = Running::start(command).wait().expect(0).stderr;
    assert!(!log.contains("capabilities refused"), "{log}");
    assert_eq!(env.status("intent-x.json").unwrap()["status"], "success");
}

#[test]
fn the_packaged_configuration_is_valid() {
    let env = env();
    let config = format!("{PLACE}/config.toml");
    let shown = env.run(&["config", "show", "-config", &config]).expect(0).stdout;
    assert!(shown.contains("/var/lib/conductor-loop/handoff"), "{shown}");
}

/// Runs a script as root in copies of /etc, /var/lib and /run; `None` where that is not allowed.
fn in_copies(script: &str) -> Option<String> {
    let env = env();
    let begin = "cp -a /etc etc; mount --bind etc /etc; mount -t tmpfs tmpfs /var/lib; mount -t tmpfs tmpfs /run; \
                 mkdir /etc/conductor-loop; \
                 sed -i /^conductor-loop:/d /etc/passwd /etc/group /etc/shadow /etc/gshadow; mkdir tools; \
                 for tool in sh getent groupadd useradd mkdir chown chmod od tr mv rm; do \
                 ln -s $(command -v $tool) tools/$tool; done;";
    let may = Command::new("unshare").args(["--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
    if !may.is_ok_and(|output| output.status.success()) {
        eprintln!("NOT TESTED: a package is set up by root, in mounts of its own");
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-ec", &format!("{begin}{script}")]).current_dir(env.path("."));
    let place = fs::canonicalize(PLACE).unwrap();
    command.env("PLACE", &place).env("DEBIAN", place.parent().unwrap().join("debian"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn the_package_sets_itself_up_without_systemd_and_keeps_what_the_operator_changed() {
    let script = "state=/var/lib/conductor-loop; \
        PATH=tools sh $DEBIAN/postinst configure; stat -c '%a %U' $state $state/handoff $state/out /etc/conductor-loop/token; \
        chmod 2770 $state/handoff; chgrp nogroup $state/out; cp -p /etc/conductor-loop/token token; \
        PATH=tools sh $DEBIAN/postinst configure; stat -c '%a %U %G' $state/handoff $state/out; \
        cmp token /etc/conductor-loop/token; \
        wants=/etc/systemd/system/multi-user.target.wants; mkdir -p $wants; ln -s /nowhere $wants/conductor-loop.service; \
        PATH=tools sh $DEBIAN/prerm upgrade; test -L $wants/conductor-loop.service; \
        PATH=tools sh $DEBIAN/prerm remove; test -L $wants/conductor-loop.service || echo removed";
    let Some(said) = in_copies(script) else { return };
    let made = "755 conductor-loop\n3770 conductor-loop\n750 conductor-loop\n600 conductor-loop\n";
    let kept = "2770 conductor-loop conductor-loop\n750 conductor-loop nogroup\nremoved\n";
    assert_eq!(said, format!("{made}{kept}"));
}

#[test]
fn systemd_makes_what_is_missing_and_sets_nothing_back() {
    if !has("systemd-tmpfiles") || !has("systemd-sysusers") {
        return;
    }
    let script = "state=/var/lib/conductor-loop; make() { systemd-tmpfiles --create $PLACE/conductor-loop.tmpfiles; }; \
        systemd-sysusers $PLACE/conductor-loop.sysusers >&2; make; stat -c '%a %U' $state $state/handoff $state/out; \
        chmod 2770 $state/handoff; chgrp nogroup $state/out; make; stat -c '%a %U %G' $state/handoff $state/out";
    let Some(said) = in_copies(script) else { return };
    let made = "755 conductor-loop\n3770 conductor-loop\n750 conductor-loop\n";
    assert_eq!(said, format!("{made}2770 conductor-loop conductor-loop\n750 conductor-loop nogroup\n"));
}
