//! Hostile porches, named by their threat numbers (B01-B10, B18-B20), and the contract of a good one.

use crate::env;
use conductor_testkit::{TestEnv, flat, wait_until};
use serde_json::{Value, json};

/// Runs one intent through the script; returns the daemon's exit code, the status and the error log.
fn run(env: &TestEnv, script: &str, flags: &[&str]) -> (i32, Value, String) {
    env.script(script);
    env.drop_file("intent-x.json", flat("x", 3));
    let code = env.once(flags).code();
    let log = std::fs::read_to_string(env.handoff("failed/intent-x.json.error.log")).unwrap_or_default();
    (code, env.status("intent-x.json").expect("every intent ends with a status"), log)
}

fn is_alive(pid: &Value) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Asserts that no process of this environment is left.
fn assert_nobody_left(env: &TestEnv) {
    wait_until("no process left", || env.porches().is_empty());
}

#[test]
fn the_contract_argv_environment_descriptors_and_directory() {
    let env = env();
    env.drop_file("intent-x.json", flat("x", 3));
    let mut command = env.command(&["-once", "-mode", "structured"]);
    command.env("SECRET_TOKEN", "s").env("KUBECONFIG", "/k").env("LANG", "C").env("HOME", "/h");
    // What an operator sets for git is for a porch that pushes; what leads git elsewhere is not.
    command.env("https_proxy", "http://p:1").env("GIT_SSH_COMMAND", "ssh -i k").env("GIT_DIR", "/g");
    conductor_testkit::Running::start(command).wait().expect(0);
    let call = env.calls().remove(0).record;
    let argv: Vec<&str> =
        call["argv"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    let file = argv[2];
    assert!(file.starts_with('/') && file.ends_with("/intent-x.json"));
    assert_eq!(&argv[1..], ["-intent", file, "-out", env.path("out").to_str().unwrap(), "-structured"]);
    let status = env.status("intent-x.json").unwrap();
    let slot = env.handoff(".conductor/staging/0");
    let want = json!({"TMPDIR": slot, "PATH": std::env::var("PATH").unwrap(), "HOME": "/h", "LANG": "C", "https_proxy": "http://p:1",
        "GIT_SSH_COMMAND": "ssh -i k", "CONDUCTOR_INTENT_SEQ": "1",
        "CONDUCTOR_INTENT_ATTEMPT": "1", "CONDUCTOR_INTENT_SHA256": status["sha256"], "CONDUCTOR_CORRELATION_ID": "cl-1"});
    assert_eq!(call["env"], want, "B09: nothing but the allow-list");
    assert_eq!(call["fds"], json!([0, 1, 2]), "B08");
    assert_eq!(call["mode"], "400", "the private copy is read-only");
    assert_eq!(call["content"], flat("x", 3));
}

#[test]
fn direct_mode_passes_no_structured_and_kubeconfig_only_when_configured() {
    let env = env();
    run(&env, "*: exit=0", &["-kubeconfig", "/etc/k"]);
    let call = env.calls().remove(0).record;
    assert_eq!(call["argv"].as_array().unwrap().len(), 5);
    assert_eq!(call["env"]["KUBECONFIG"], "/etc/k");
}

#[test]
fn b01_one_that_never_ends_is_stopped_at_the_deadline() {
    let env = env();
    let (code, status, log) = run(&env, "*: sleep=600000", &["-timeout", "100ms", "-grace-period", "30s"]);
    assert_eq!(
        (code, status["error_code"].as_str(), status["signal"].as_str()),
        (8, Some("E303"), Some("SIGTERM"))
    );
    assert!(log.contains("timed out after 100ms and was stopped by SIGTERM"), "{log}");
    assert_nobody_left(&env);
}

#[test]
fn b01_an_intent_may_shorten_the_time_but_not_lengthen_it() {
    let env = env();
    env.script("*: sleep=600000");
    env.drop_file("intent-x.json", flat("x", 3).replace('}', ", \"timeout\": \"1h\"}"));
    env.once(&["-timeout", "100ms"]).expect(8);
    assert_eq!(env.status("intent-x.json").unwrap()["error_code"], "E303");
}

#[test]
fn b02_one_that_ignores_term_is_killed() {
    let env = env();
    let (code, status, log) =
        run(&env, "*: ignore-term sleep=600000", &["-timeout", "200ms", "-grace-period", "100ms"]);
    assert_eq!(
        (code, status["error_code"].as_str(), status["signal"].as_str()),
        (8, Some("E303"), Some("SIGKILL"))
    );
    assert!(log.contains("killed after it ignored SIGTERM"), "{log}");
    assert_nobody_left(&env);
}

#[test]
fn b03_escaped_daemons_are_found_killed_and_named() {
    let env = env();
    let (code, _, log) = run(&env, "*: escape=600000 exit=3", &[]);
    assert_eq!(code, 8);
    assert!(log.contains("Left over:") && log.contains("porch"), "{log}");
    assert_nobody_left(&env);
}

#[test]
fn b04_a_grandchild_that_holds_the_pipe_does_not_hang_us() {
    let env = env();
    let begin = std::time::Instant::now();
    let (code, status, _) = run(&env, "*: out=done hold-pipe=600000", &[]);
    assert_eq!((code, status["status"].as_str()), (0, Some("success")));
    assert!(begin.elapsed().as_secs() < 20);
    assert_nobody_left(&env);
}

#[test]
fn b05_endless_output_is_read_counted_and_dropped() {
    let env = env();
    let (code, _, log) = run(&env, "*: out=begin flood=50000000 err=why exit=1", &[]);
    assert_eq!(code, 8);
    assert!(log.len() <= 64 << 10, "{}", log.len());
    assert!(log.contains("--- stdout: 50000006 bytes ---\nbegin\n"), "{}", &log[..1500]);
    assert!(log.contains("bytes left out") && log.ends_with("why\n"));
}

#[test]
fn b06_success_is_exit_zero_and_nothing_else() {
    for (script, code) in
        [("*: exit=1", "E301"), ("*: exit=130", "E301"), ("*: exit=143", "E301"), ("*: exit=255", "E301")]
    {
        let env = env();
        let (exit, status, _) = run(&env, script, &[]);
        assert_eq!((exit, status["error_code"].as_str()), (8, Some(code)), "{script}");
        assert_eq!(env.names("processed").len(), 0);
    }
}

#[test]
fn b07_death_by_signal_is_a_failure_with_the_signals_name() {
    for (number, name) in [(9, "SIGKILL"), (15, "SIGTERM"), (6, "SIGABRT"), (2, "SIGINT")] {
        let env = env();
        let (code, status, _) = run(&env, &format!("*: signal={number}"), &[]);
        assert_eq!(
            (code, status["error_code"].as_str(), status["signal"].as_str()),
            (8, Some("E302"), Some(name))
        );
        assert!(status.get("exit_code").is_none());
    }
}

#[test]
fn b08_descriptors_of_our_own_parent_do_not_reach_porch() {
    let env = env();
    env.drop_file("intent-x.json", flat("x", 3));
    let leak = std::fs::File::open("/etc/passwd").unwrap();
    rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
    env.once(&[]).expect(0);
    assert_eq!(env.calls()[0].record["fds"], json!([0, 1, 2]));
}

#[test]
fn b10_the_working_directory_is_private_and_swept() {
    let env = env();
    let (code, _, _) = run(&env, "*: litter exit=0", &[]);
    assert_eq!(code, 0);
    let cwd = env.calls()[0].record["cwd"].as_str().unwrap().to_owned();
    assert!(cwd.starts_with(env.handoff(".conductor/staging").to_str().unwrap()), "{cwd}");
    env.assert_clean();
}

#[test]
fn b13_tampering_with_the_private_copy_changes_nothing() {
    for step in ["delete", "rewrite", "replace"] {
        let env = env();
        let (code, status, _) = run(&env, &format!("*: {step} exit=0"), &[]);
        assert_eq!((code, status["status"].as_str()), (0, Some("success")), "{step}");
        assert_eq!(
            env.read("processed/intent-x.json"),
            flat("x", 3),
            "{step}: the archive holds what was judged"
        );
        assert!(std::fs::symlink_metadata(env.handoff("processed/intent-x.json")).unwrap().is_file());
        env.assert_clean();
    }
}

#[test]
fn b18_output_is_escaped_and_masked_wherever_it_goes() {
    let env = env();
    env.script("*: nasty-output exit=1");
    env.drop_file("intent-x.json", flat("x", 3));
    let finished = env.once(&[]).expect(8);
    let log = env.read("failed/intent-x.json.error.log");
    let status = env.read("status/intent-x.json.status");
    for text in [&log, &status, &finished.stderr] {
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.chars().all(|c| c == '\n' || (!c.is_control() && c != '\u{202e}')), "{text}");
    }
    assert!(log.contains("\\u{1b}[2J\\u{7} password=[masked] \\xff\\xfe \\u{202e} end"), "{log}");
}

#[test]
fn b19_one_that_stops_itself_is_killed_at_the_deadline() {
    let env = env();
    let (code, status, _) = run(&env, "*: stop", &["-timeout", "200ms", "-grace-period", "100ms"]);
    assert_eq!(
        (code, status["error_code"].as_str(), status["signal"].as_str()),
        (8, Some("E303"), Some("SIGKILL"))
    );
    assert_nobody_left(&env);
}

#[test]
fn b20_a_killed_daemons_porch_is_ended_before_the_intent_runs_again() {
    let env = env();
    env.script("*: ignore-term escape=600000 hold-pipe=600000 wait=go");
    env.drop_file("intent-x.json", flat("x", 3));
    let daemon = env.start(&[]);
    wait_until("porch and its grandchildren", || env.calls().len() == 1 && daemon.pid() > 0);
    let first = env.calls()[0].record["pid"].clone();
    let killed = daemon.kill();
    assert!(
        is_alive(&first),
        "the orphan {first} runs on; ended by itself: {:?}; the daemon's log:\n{}",
        env.calls()[0].end_ns,
        killed.stderr
    );
    env.script("*: exit=0");
    env.once(&[]).expect(0);
    assert!(!is_alive(&first), "it was ended before the second start");
    assert_nobody_left(&env);
    let status = env.status("intent-x.json").unwrap();
    assert_eq!((status["status"].as_str(), status["attempts"].as_u64()), (Some("success"), Some(2)));
}

#[test]
fn one_that_cannot_start_fails_with_its_own_code() {
    let env = env();
    let script = env.path("bin/broken");
    std::fs::write(&script, "#!/nonexistent/interpreter\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    env.drop_file("intent-x.json", flat("x", 3));
    env.once(&["-porch", script.to_str().unwrap()]).expect(8);
    let status = env.status("intent-x.json").unwrap();
    assert_eq!((status["error_code"].as_str(), status["attempts"].as_u64()), (Some("E304"), Some(0)));
}

#[test]
fn the_embedded_engine_writes_a_package_and_refuses_what_it_cannot() {
    let env = env();
    env.drop_file("intent-a.json", flat("cnf-simulator", 3));
    env.drop_file("intent-b.json", r#"{"intent_type": "service", "target": "s", "namespace": "test"}"#);
    env.once(&["-porch", "builtin", "-mode", "structured"]).expect(8);
    let patch =
        std::fs::read_to_string(env.path("out/test/cnf-simulator-scaling-patch/scaling-patch.yaml")).unwrap();
    assert!(patch.ends_with("spec:\n  replicas: 3\n"), "{patch}");
    let (good, bad) = (env.status("intent-a.json").unwrap(), env.status("intent-b.json").unwrap());
    assert_eq!((good["porch_path"].as_str(), good["status"].as_str()), (Some("builtin"), Some("success")));
    assert_eq!((bad["error_code"].as_str(), bad["status"].as_str()), (Some("E307"), Some("failed")));
    env.assert_clean();
}
