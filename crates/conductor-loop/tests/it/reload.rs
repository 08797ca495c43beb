//! Every setting that may change while the daemon runs is changed and observed to take effect.

use crate::env;
use conductor_loop::config::SETTINGS;
use conductor_testkit::{Running, TestEnv, flat, wait_until};
use rustix::process::Signal;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

struct Reloading {
    env: TestEnv,
    daemon: Running,
    key: &'static str,
}

impl Reloading {
    fn start(key: &'static str, value: &str) -> Self {
        let env = env();
        let file = env.path("config.toml");
        fs::write(&file, format!("{key} = \"{value}\"\n")).unwrap();
        let mut command = env.bare_command();
        for (flag, value) in [("-handoff", env.path("handoff")), ("-out", env.path("out")), ("-config", file)]
        {
            command.arg(flag).arg(value);
        }
        command.arg("-porch").arg(env.path("bin/porch")).arg("-allow-unsafe-porch");
        if key != "debounce" {
            command.args(["-debounce", "0"]);
        }
        let daemon = Running::start(command);
        daemon.wait_log("ready");
        Self { env, daemon, key }
    }

    fn change(&self, value: &str) {
        fs::write(self.env.path("config.toml"), format!("{} = \"{value}\"\n", self.key)).unwrap();
        self.daemon.signal(Signal::HUP);
        self.daemon.wait_log("setting changed");
    }

    fn drop(&self, name: &str) {
        self.env.drop_file(name, flat(&name[7..8], 3));
    }
}

fn debounce() {
    let it = Reloading::start("debounce", "1h");
    it.drop("intent-a.json");
    wait_until("it is seen", || {
        it.env.operate_json(&["explain", "intent-a.json"]).0["reason"]["word"] == "settling"
    });
    it.change("0");
    assert_eq!(it.env.wait_status("intent-a.json")["status"], "success");
    it.daemon.stop().expect(0);
}

fn period() {
    let it = Reloading::start("period", "1h");
    // A hard link is made without a watched event.
    fs::write(it.env.handoff("quiet.tmp"), flat("a", 3)).unwrap();
    fs::hard_link(it.env.handoff("quiet.tmp"), it.env.handoff("intent-a.json")).unwrap();
    fs::remove_file(it.env.handoff("quiet.tmp")).unwrap();
    it.change("100ms");
    it.env.wait_status("intent-a.json");
    it.daemon.stop().expect(0);
}

fn timeout() {
    let it = Reloading::start("timeout", "1h");
    it.env.script("*: sleep=600000");
    it.change("150ms");
    it.drop("intent-a.json");
    assert_eq!(it.env.wait_status("intent-a.json")["error_code"], "E303");
    it.daemon.stop().expect(0);
}

fn grace() {
    let it = Reloading::start("grace-period", "1h");
    it.env.script("*: wait=never");
    it.drop("intent-a.json");
    wait_until("porch runs", || it.env.calls().len() == 1);
    it.change("50ms");
    // It ends within the time limit of the test, not of an hour.
    it.daemon.stop().expect(0);
}

fn max_attempts() {
    let it = Reloading::start("max-attempts", "1000");
    it.env.script("*: exit=75");
    it.change("2");
    it.drop("intent-a.json");
    assert_eq!(it.env.wait_status("intent-a.json")["attempts"], 2);
    it.daemon.stop().expect(0);
}

fn rate() {
    let it = Reloading::start("rate", "0.001");
    for name in ["intent-a.json", "intent-b.json", "intent-c.json"] {
        it.drop(name);
    }
    wait_until("the rate holds them back", || {
        let rows = it.env.operate_json(&["list"]).0;
        rows["intents"].as_array().is_some_and(|rows| rows.iter().any(|row| row["reason"]["word"] == "rate"))
    });
    it.change("off");
    for name in ["intent-a.json", "intent-b.json", "intent-c.json"] {
        it.env.wait_status(name);
    }
    it.daemon.stop().expect(0);
}

fn max_file_size() {
    let it = Reloading::start("max-file-size", "10B");
    it.change("1MB");
    it.drop("intent-a.json");
    assert_eq!(it.env.wait_status("intent-a.json")["status"], "success");
    it.daemon.stop().expect(0);
}

/// An outcome made by a test is never old enough; the loop reads the value from the configuration at each sweep.
fn retention() {
    let it = Reloading::start("retention", "720h");
    it.change("1h");
    it.daemon.stop().expect(0);
}

fn log_level() {
    let it = Reloading::start("log-level", "info");
    it.change("debug");
    it.drop("intent-a.json");
    it.daemon.wait_log("starting porch");
    it.daemon.stop().expect(0);
}

#[test]
fn each_setting_that_may_change_is_applied_at_a_reload() {
    let cases: [(&str, fn()); 9] = [
        ("debounce", debounce),
        ("period", period),
        ("timeout", timeout),
        ("grace-period", grace),
        ("max-attempts", max_attempts),
        ("rate", rate),
        ("max-file-size", max_file_size),
        ("retention", retention),
        ("log-level", log_level),
    ];
    let live = SETTINGS.iter().filter(|setting| setting.live).map(|setting| setting.key);
    assert_eq!(live.collect::<Vec<_>>(), cases.map(|(key, _)| key), "each has its case");
    std::thread::scope(|scope| {
        for (_, case) in cases {
            scope.spawn(case);
        }
    });
}

/// Ten debounce times, at least five seconds: with the new debounce a writer is waited for longer than with the old one.
#[test]
fn how_long_a_writer_is_waited_for_follows_a_reload() {
    let it = Reloading::start("debounce", "10ms");
    it.change("2s");
    let mut writer = File::create(it.env.handoff("intent-a.json")).unwrap();
    writer.write_all(b"{").unwrap();
    writer.sync_all().unwrap();
    // Renamed in, so that an event reports it while it is open.
    fs::rename(it.env.handoff("intent-a.json"), it.env.handoff("x")).unwrap();
    fs::rename(it.env.handoff("x"), it.env.handoff("intent-a.json")).unwrap();
    it.daemon.wait_log("a writer still holds it");
    let taken = Instant::now();
    wait_until("the old time is over", || taken.elapsed() > Duration::from_secs(6));
    assert!(it.env.status("intent-a.json").is_none(), "judged too early");
    writer.write_all(&flat("a", 3).as_bytes()[1..]).unwrap();
    drop(writer);
    assert_eq!(it.env.wait_status("intent-a.json")["status"], "success");
    it.daemon.stop().expect(0);
}

/// All of them at once: the daemon names each, applies none, and names them again at the next reload.
#[test]
fn each_setting_that_is_fixed_is_named_at_a_reload() {
    let env = env();
    let file = env.path("config.toml");
    let given = format!(
        "handoff = '{}'\nout = '{}'\nporch = 'builtin'\ndebounce = '0'\n",
        env.path("handoff").display(),
        env.path("out").display()
    );
    fs::write(&file, given).unwrap();
    let mut command = env.bare_command();
    command.env_remove("CONDUCTOR_PORCH_WRITE").arg("-config").arg(&file);
    let daemon = Running::start(command);
    daemon.wait_log("ready");
    let others = "handoff = 'elsewhere'\nporch = 'porch'\nmode = 'structured'\nout = 'elsewhere'\nonce = true\npattern = ['*.json']\ndebounce = '0'\n\
                  workers = 7\nstate_dir = 'elsewhere'\nstate_key_file = 'root.key'\nlisten = '127.0.0.1:7'\nhealth_addr = '127.0.0.1:7'\n\
                  metrics_addr = '127.0.0.1:7'\ninsecure_listen = true\ntls_cert = 'elsewhere'\ntls_key = 'elsewhere'\n\
                  tls_client_ca = 'elsewhere'\ntoken_file = 'elsewhere'\nopen_page = true\nkubernetes = true\n\
                  instance = 'elsewhere'\nkubeconfig = 'elsewhere'\nallow_scale_to_zero = true\nallow_unsafe_handoff = true\n\
                  allow_unsafe_porch = true\nlog_format = 'json'\nconfine = 'off'\nsecurity_enabled = false\nporch_read = ['/elsewhere']\n\
                  porch_write = ['/elsewhere']\negress = '443'\nlimit_memory = '1GB'\nlimit_cpu = '1m'\nlimit_processes = 7\n\
                  limit_files = 77\nlimit_file_size = 'off'\nmin_free = '1GB'\nuser = 'elsewhere'\nporch_user = 'elsewhere'\nchroot_enabled = true\n\
                  encryption_enabled = false\naudit_enabled = false\nbackup_dir = 'elsewhere'\nbackup_interval = '1h'\n\
                  backup_keep = 8\nbackup_recipient = ['age1w3tyke4gev25vaxxsvcgqu4484rf6ejpmavs57p6yz6lhy2sfs5swrvwyn']\n";
    fs::write(&file, others).unwrap();
    let said = "changed, but takes effect at the next start only";
    let fixed = SETTINGS.iter().filter(|setting| !setting.live && setting.key != "config");
    let fixed: Vec<_> = fixed.map(|setting| setting.key).collect();
    for times in 1..=2 {
        daemon.signal(Signal::HUP);
        wait_until("it is said", || daemon.logged_values(said, "settings").len() == times);
    }
    for settings in daemon.logged_values(said, "settings") {
        assert_eq!(settings.split(' ').collect::<Vec<_>>(), fixed);
    }
    assert!(!daemon.logged("setting changed"));
    env.drop_file("intent-a.json", flat("a", 3));
    assert_eq!(env.wait_status("intent-a.json")["mode"], "direct", "the old settings go on");
    daemon.stop().expect(0);
}

#[test]
fn a_reload_while_the_directory_is_away_holds_when_it_is_back() {
    let it = Reloading::start("debounce", "1h");
    let away = it.env.path("away");
    fs::rename(it.env.path("handoff"), &away).unwrap();
    let descriptors = format!("/proc/{}/fd", it.daemon.pid());
    wait_until("it has let go of the directory and waits for it", || {
        let open = fs::read_dir(&descriptors).unwrap();
        !open.filter_map(|one| fs::read_link(one.ok()?.path()).ok()).any(|path| path.starts_with(&away))
    });
    fs::write(it.env.path("config.toml"), "debounce = \"0\"\n").unwrap();
    it.daemon.signal(Signal::HUP);
    fs::rename(&away, it.env.path("handoff")).unwrap();
    it.drop("intent-a.json");
    assert_eq!(it.env.wait_status("intent-a.json")["status"], "success");
    it.daemon.stop().expect(0);
}

#[test]
fn another_config_map_in_the_volume_is_read_as_at_a_signal() {
    let env = env();
    let volume = env.path("etc");
    fs::create_dir(&volume).unwrap();
    // What the kubelet does: a directory for each content, exchanged by one rename of one link.
    let exchange = |name: &str, content: &str| {
        fs::create_dir(volume.join(name)).unwrap();
        fs::write(volume.join(name).join("config.toml"), content).unwrap();
        symlink(name, volume.join("..data_tmp")).unwrap();
        fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    };
    exchange("..first", "debounce = \"1h\"\n");
    symlink("..data/config.toml", volume.join("config.toml")).unwrap();
    let file = volume.join("config.toml");
    let mut command = env.bare_command();
    for (flag, value) in [("-handoff", env.path("handoff")), ("-out", env.path("out")), ("-config", file)] {
        command.arg(flag).arg(value);
    }
    command.arg("-porch").arg(env.path("bin/porch")).arg("-allow-unsafe-porch");
    let daemon = Running::start(command);
    daemon.wait_log("ready");
    exchange("..second", "debounce = \"forever\"\n");
    daemon.wait_log("forever");
    env.drop_file("intent-a.json", flat("a", 3));
    wait_until("it is seen", || {
        env.operate_json(&["explain", "intent-a.json"]).0["reason"]["word"] == "settling"
    });
    exchange("..third", "debounce = \"0\"\n");
    assert_eq!(env.wait_status("intent-a.json")["status"], "success");
    daemon.stop().expect(0);
}
