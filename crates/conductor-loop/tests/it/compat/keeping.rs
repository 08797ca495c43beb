//! Rows of settings, state, files, once mode and pkg/porch.

use super::case::{Case, agrees, differs};
use super::runs::*;
use conductor_testkit::flat;
use std::fs;

pub(super) const CASES: &[Case] = &[
    // settings, metrics, paths
    agrees(
        "TestConfig_Validate (period, retention)",
        "period 0, 100ms, 1h taken, 99ms and 61m refused; retention 1h and 720h taken, 59m and 744h refused",
        |env| {
            let code = |flag: &str, value: &str| env.run(&["config", "show", flag, value]).code();
            ["0", "100ms", "1h"].iter().all(|v| code("-period", v) == 0)
                && ["99ms", "61m"].iter().all(|v| code("-period", v) == 2)
                && ["1h", "720h"].iter().all(|v| code("-retention", v) == 0)
                && ["59m", "744h"].iter().all(|v| code("-retention", v) == 2)
        },
    ),
    agrees(
        "TestConfig_Validate (out), TestUnixFilePermissions, TestUnixPathSecurityValidation",
        "out creatable or existing taken; a file as out refused",
        |env| {
            fs::write(env.path("file"), "").unwrap();
            let code = |out: &str| env.run(&["-out", out, "-once", "-porch", "builtin"]).code();
            code("new") == 0 && code(".hidden dir") == 0 && code("file") == 1
        },
    ),
    differs(
        "TestConfig_Validate (out below a missing tree), TestConfig_SecurityValidation (out), TestConfig_EdgeCases",
        "out three levels below nothing is refused",
        "missing levels are created, as for the handoff directory",
        |env| env.run(&["-out", "a/b/c/d", "-once", "-porch", "builtin"]).code() != 0,
    ),
    differs(
        "TestNewWatcher_SecurityDefaults, TestMetricsServer_Security, TestMetricsServer_LocalhostBinding",
        "a metrics server with Basic auth on 127.0.0.1:8080",
        "endpoints are off by default, and on loopback unless the operator consents; there is no Basic auth",
        |env| env.run(&["--metrics-port", "8080"]).code() == 0,
    ),
    agrees("TestMetricsServer_DisabledPort", "by default nothing listens", |env| {
        let daemon = env.start_ready(&[]);
        let inodes = fs::read_to_string(format!("/proc/{}/net/tcp", daemon.pid())).unwrap_or_default();
        let own: Vec<String> = fs::read_dir(format!("/proc/{}/fd", daemon.pid()))
            .unwrap()
            .flatten()
            .filter_map(|fd| {
                fs::read_link(fd.path())
                    .ok()?
                    .to_str()?
                    .strip_prefix("socket:[")?
                    .strip_suffix(']')
                    .map(str::to_owned)
            })
            .collect();
        own.iter().all(|inode| !inodes.contains(inode.as_str())) && daemon.stop().code() == 0
    }),
    differs(
        "TestConfig_SecurityValidation (porch)",
        "a hostile porch path does not stop start-up",
        "a porch that was asked for and cannot be used refuses the start with README's text, instead of failing every intent",
        |env| env.once(&["-porch", "porch; rm -rf /"]).code() == 0,
    ),
    // state
    differs(
        "TestNewStateManager, TestStateManager_LoadStateWithCorruption, TestStateCorruptionRecovery",
        "a corrupt state file is backed up and an empty state used",
        "never start empty: everything would run again; the start is refused with the reason and the remedy",
        |env| {
            fs::write(env.handoff(".conductor-state.json"), "{broken").unwrap();
            env.once(&[]).code() == 0
        },
    ),
    agrees(
        "TestStateManager_IsProcessed, TestStateManager_MarkFailed",
        "processed is known, failed is not, changed content is not",
        |env| {
            GOOD(env)
                && once(env, "*: exit=1", &[("intent-a.json", flat("a", 4))], &[]) == 8
                && once(env, "*: exit=1", &[("intent-a.json", flat("a", 4))], &[]) == 8
                && env.calls().len() == 3
        },
    ),
    differs(
        "TestStateManager_MarkProcessed, TestStateManager_BasicOperations, TestStateManager_GetProcessedAndFailedFiles",
        ".conductor-state.json holds an entry per file",
        "it is a small head; entries are in the store, `state export` prints them, and no producer can plant one",
        |env| GOOD(env) && env.read(".conductor-state.json").contains("intent-a.json"),
    ),
    agrees(
        "TestStateManager_ConcurrentAccess, TestConcurrentStateManagement",
        "50 files marked at once without error",
        |env| all_run_once(env, 50, "*: exit=0", "10"),
    ),
    agrees(
        "TestStateManager_CleanupOldEntries, TestFileManager_SecurityBehavior (retention)",
        "entries older than the limit go, fresh ones stay",
        |env| {
            let line = |seq: u64, at: &str| {
                format!(
                    r#"{{"v": 1, "seq": {seq}, "name": "intent-{seq}.json", "status": "success", "message": "", "finished_at": "{at}", "mode": "direct", "porch_path": "p", "size": 1, "correlation_id": "c", "attempts": 1, "archived_as": "processed/intent-{seq}.json"}}"#
                )
            };
            let now = jiff::Timestamp::now().to_string();
            fs::write(env.path("e"), format!("{{\"format\": \"conductor-loop state\", \"version\": 1, \"exported_at\": \"{now}\", \"last_seq\": 2}}\n{}\n{}\n", line(1, "2020-01-01T00:00:00Z"), line(2, &now))).unwrap();
            env.run(&["state", "import", "e", "-handoff", "handoff"]).code();
            let daemon = env.start_ready(&[]);
            daemon.wait_log("removed old outcomes");
            daemon.stop();
            let left = env.run(&["state", "export", "-handoff", "handoff"]).stdout;
            !left.contains("intent-1.json") && left.contains("intent-2.json")
        },
    ),
    agrees("TestIsProcessedRobustToENOENT", "files that vanish at any time give no error", |env| {
        let daemon = env.start_ready(&["-debounce", "20ms"]);
        for i in 0..50 {
            env.drop_file(&format!("intent-{i}.json"), flat("a", 3));
            let _ = fs::remove_file(env.handoff(&format!("intent-{i}.json")));
        }
        env.drop_file("intent-last.json", flat("a", 3));
        env.wait_status("intent-last.json");
        daemon.stop().code() == 0
    }),
    // files and names
    agrees(
        "TestFileManager_BasicOperations, TestFailureHandling",
        "one good, one broken: 1 processed, 1 failed, error log present",
        |env| {
            once(env, "*: exit=0", &[("intent-a.json", flat("a", 3)), ("intent-b.json", "{".into())], &[])
                == 8
                && filed(env, 1, 1)
                && env.handoff("failed/intent-b.json.error.log").exists()
        },
    ),
    agrees(
        "TestFileManager_ErrorSanitization",
        "control bytes of error text do not reach the error log",
        |env| {
            once(env, "*: nasty-output exit=1", &[("intent-a.json", flat("a", 3))], &[]) == 8
                && !env.read("failed/intent-a.json.error.log").contains(['\u{1b}', '\u{7}', '\0'])
        },
    ),
    agrees(
        "TestIsIntentFile, TestIsIntentFileFunction, TestIsIntentFile_SecurityValidation",
        "intent- prefix, .json suffix, case-sensitive, hidden ignored",
        |env| {
            drop_each(
                env,
                &["Intent-a.json", "intent-a.JSON", ".intent-a.json", "intent_a.json", "a-intent-.json"],
            );
            env.drop_file("intent-ok.json", flat("a", 3));
            env.once(&[]).code() == 0 && filed(env, 1, 0)
        },
    ),
    differs(
        "TestIsIntentFile (non-ASCII)",
        "non-ASCII names are accepted",
        "refused visibly under a derived name: names end up in logs, scripts and paths",
        |env| once(env, "*: exit=0", &[("intent-é.json", flat("a", 3))], &[]) == 0,
    ),
    // once mode
    agrees(
        "TestOnceModeDoesNotExitPrematurely",
        "six files, two workers, slow porch: six runs before it returns",
        |env| all_run_once(env, 6, "*: sleep=50", "2"),
    ),
    agrees("TestOnceModeWithEmptyDirectory", "an empty directory returns without error", |env| {
        env.once(&[]).code() == 0
    }),
    agrees(
        "TestOnceModeQueueDrainageUnderLoad, TestFixedOnceMode, TestCrossPlatformTiming, TestFilePatternValidation, TestDebugTracking, TestFixedRaceConditions",
        "all files of a run are processed, none failed",
        |env| all_run_once(env, 50, "*: sleep=1", "8"),
    ),
    // pkg/porch
    agrees("TestExecutor_BuildCommand", "argv is -intent FILE -out DIR, plus -structured", |env| {
        drop_all(env, &good(1, ""));
        env.once(&["-mode", "structured"]);
        let argv = env.calls()[0].record["argv"].clone();
        argv[1] == "-intent" && argv[3] == "-out" && argv[5] == "-structured"
    }),
    agrees(
        "TestExecutor_Execute_MockCommand",
        "success, failure with stderr, time-out ('timed out'), all as results",
        |env| {
            once(
                env,
                "bad: err=because exit=1\nslow: sleep=60000\n*: exit=0",
                &[
                    ("intent-a.json", flat("a", 3)),
                    ("intent-b.json", flat("bad", 3)),
                    ("intent-c.json", flat("slow", 3)),
                ],
                &["-timeout", "300ms"],
            ) == 8
                && env
                    .status("intent-b.json")
                    .is_some_and(|s| s["message"].to_string().contains("because") && s["exit_code"] == 1)
                && env.status("intent-c.json").is_some_and(|s| s["message"].to_string().contains("timed out"))
        },
    ),
    agrees(
        "TestValidatePorchPath",
        "a good porch is taken, also one that fails at its work; a missing one is refused",
        |env| {
            once(env, "*: exit=1", &[("intent-a.json", flat("a", 3))], &[]) == 8
                && env.once(&["-porch", "/nowhere/porch"]).code() == 1
        },
    ),
    agrees("TestExecutor_ConcurrentExecutions", "ten at once, ten successes", |env| {
        all_run_once(env, 10, "*: sleep=20", "10")
    }),
    agrees(
        "TestExecutor_ResourceExhaustionPrevention",
        "a result exists after a time-out; a 1 MB intent succeeds",
        |env| accepted(env, &padded(1_000_000)),
    ),
    agrees(
        "TestExecutor_PathTraversalPrevention, TestExecutor_FilePermissionsSecurity",
        "outputs are not world-writable",
        |env| {
            use std::os::unix::fs::PermissionsExt;
            drop_all(env, &good(1, ""));
            env.once(&["-porch", "builtin"]);
            fs::metadata(env.path("out/test/t0-scaling/Kptfile"))
                .is_ok_and(|meta| meta.permissions().mode().trailing_zeros() >= 3)
        },
    ),
];
