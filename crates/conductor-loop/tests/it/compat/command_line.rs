//! Rows of cmd/conductor-loop: flags, directories, exit statuses, hostile content.

use super::case::{Case, agrees, differs};
use super::runs::*;
use conductor_testkit::{flat, wait_until};
use std::fs;

pub(super) const CASES: &[Case] = &[
    // cmd/conductor-loop
    agrees(
        "TestMain_FlagParsing",
        "defaults ./handoff, porch, direct, ./out, once false, 500ms; bad -mode and -debounce are errors",
        |env| {
            let shown = env.run(&["config", "show"]).stdout;
            let has = |key: &str, value: &str| {
                shown.lines().any(|line| line.split_whitespace().take(2).eq([key, value]))
            };
            let defaults = [
                ("handoff", "./handoff"),
                ("porch", "porch"),
                ("mode", "direct"),
                ("out", "./out"),
                ("once", "false"),
                ("debounce", "500ms"),
            ];
            defaults.iter().all(|(key, value)| has(key, value))
                && env.run(&["-mode", "x"]).code() != 0
                && env.run(&["-debounce", "x"]).code() != 0
        },
    ),
    agrees(
        "TestMain_EndToEndWorkflow (direct)",
        "one file: exit 0, filed under its name, one status with that intent_file",
        |env| {
            GOOD(env)
                && env.status("intent-a.json").is_some_and(|status| status["intent_file"] == "intent-a.json")
        },
    ),
    agrees("TestMain_EndToEndWorkflow (structured)", "three files: three moved, three statuses", |env| {
        drop_all(env, &good(3, ""));
        env.once(&["-mode", "structured"]).code() == 0 && filed(env, 3, 0)
    }),
    agrees("TestMain_SignalHandling", "SIGTERM ends the process with 0", |env| {
        env.start_ready(&[]).stop().code() == 0
    }),
    agrees("TestMain_ExitCodes", "handoff under a regular file: exit 1; good intent: exit 0", |env| {
        fs::write(env.path("file"), "").unwrap();
        env.run(&["-handoff", "file/h", "-once", "-porch", "builtin"]).code() == 1 && GOOD(env)
    }),
    agrees("TestOnceMode_ExitCodes", "good: 0; good and broken: 8 with one failure; empty: 0", |env| {
        env.once(&[]).code() == 0
            && GOOD(env)
            && once(env, "*: exit=0", &[("intent-b.json", "{".into()), ("intent-c.json", flat("c", 3))], &[])
                == 8
            && filed(env, 2, 1)
    }),
    agrees("TestGracefulShutdownExitCode", "stop during three runs: exit 0, no real failures", |env| {
        stop_is_clean(env, 3, "*: wait=never")
    }),
    agrees(
        "TestValidateHandoffDir",
        "empty path and regular file refused; missing levels, spaces, dots, relative paths taken",
        |env| {
            fs::write(env.path("file"), "").unwrap();
            let code = |dir: &str| env.run(&["-handoff", dir, "-once", "-porch", "builtin"]).code();
            code("") != 0
                && code("file") != 0
                && ["new", "a/b/c", "with space", "./dot.s"].iter().all(|dir| code(dir) == 0)
        },
    ),
    agrees(
        "TestValidateHandoffDir_EdgeCases",
        "symlink to a directory taken, to a file refused; long paths do not crash",
        |env| {
            fs::create_dir(env.path("real")).unwrap();
            fs::write(env.path("file"), "").unwrap();
            std::os::unix::fs::symlink("real", env.path("good")).unwrap();
            std::os::unix::fs::symlink("file", env.path("bad")).unwrap();
            let code = |dir: &str| env.run(&["-handoff", dir, "-once", "-porch", "builtin"]).code();
            code("good") == 0
                && code("bad") == 1
                && code(&"x/".repeat(3000)) == 1
                && code(&"x".repeat(300)) == 1
        },
    ),
    agrees(
        "TestValidateHandoffDir_Integration, TestValidateHandoffDir_PlatformSpecific",
        "a fresh nested path is made; below a file is refused; a directory without permissions is refused (not as root)",
        |env| {
            fs::write(env.path("file"), "").unwrap();
            env.run(&["-handoff", "handoff/errors", "-once", "-porch", "builtin"]).code() == 0
                && env.run(&["-handoff", "file/errors", "-once", "-porch", "builtin"]).code() == 1
        },
    ),
    agrees(
        "TestPathTraversalSecurity, testPathTraversalSecurity",
        "traversal in target or namespace: run ends, nothing outside",
        |env| {
            let evil = ["../../../etc/passwd", "..\\..\\windows", "/etc/passwd", "%2e%2e%2f"];
            let files: Vec<(String, String)> = evil
                .iter()
                .enumerate()
                .map(|(i, t)| (format!("intent-{i}.json"), flat(&t.replace('\\', "\\\\"), 3)))
                .collect();
            drop_all(env, &files);
            env.once(&["-porch", "builtin"]).code() == 8
                && filed(env, 0, 4)
                && fs::read_dir(env.path("out")).unwrap().count() == 0
        },
    ),
    agrees(
        "TestCommandInjectionSecurity, testCommandInjectionSecurity, TestExecutor_CommandInjectionPrevention, TestValidatePorchPath_Security",
        "shell text as porch path: unsuccessful, nothing executed",
        |env| {
            let marker = env.path("marker");
            let evil = [
                "porch; touch marker",
                "porch | touch marker",
                "porch && touch marker",
                "`touch marker`",
                "$(touch marker)",
                "../porch",
            ];
            evil.iter().all(|path| env.once(&["-porch", path]).code() == 1) && !marker.exists()
        },
    ),
    agrees(
        "TestCommandInjectionSecurity (content)",
        "shell text in an intent reaches porch only inside the file, if at all",
        |env| {
            drop_all(
                env,
                &[("intent-a.json".into(), flat("a", 3).replace('}', ", \"reason\": \"; touch marker\"}"))],
            );
            env.once(&[]).code() == 0
                && !env.path("marker").exists()
                && env.calls()[0].record["argv"].as_array().unwrap().len() == 5
        },
    ),
    agrees(
        "TestResourceExhaustionResilience, testResourceExhaustionSecurity",
        "10 files and 50 more arriving: no error",
        |env| {
            drop_all(env, &good(10, "a"));
            let daemon = env.start(&[]);
            drop_all(env, &good(50, "b"));
            wait_until("all", || env.names("status").len() == 60);
            daemon.stop().code() == 0 && filed(env, 60, 0)
        },
    ),
    agrees("TestFilePermissionValidation", "plain files are exactly 0644 or 0640", |env| {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &str| fs::metadata(env.handoff(path)).unwrap().permissions().mode() & 0o777;
        GOOD(env) && mode("processed/intent-a.json") == 0o640 && mode("status/intent-a.json.status") == 0o644
    }),
    differs(
        "TestFilePermissionValidation (directories)",
        "directories are 755 or 775",
        "directories are 0750: others have no business in them; README's 0755 is the widest it allows",
        |env| {
            use std::os::unix::fs::PermissionsExt;
            GOOD(env)
                && matches!(
                    fs::metadata(env.handoff("processed")).unwrap().permissions().mode() & 0o777,
                    0o755 | 0o775
                )
        },
    ),
    agrees(
        "TestInputValidation",
        "malformed JSON, missing fields, wrong type, replicas -1 and 999999999, nulls: run ends, files are filed",
        |env| {
            all_refused(
                env,
                &[
                    "{",
                    "{}",
                    "{\"intent_type\": \"x\"}",
                    &flat("a", 3).replace(": 3", ": -1"),
                    &flat("a", 999_999_999),
                    r#"{"intent_type": null, "target": null, "namespace": null}"#,
                    &flat("größe", 3),
                ],
            )
        },
    ),
    differs(
        "TestInputValidation (settings)",
        "negative debounce and workers are corrected",
        "nonsense in a setting refuses the start and names the origin, instead of running with another value than the operator wrote",
        |env| starts_with(env, &["-debounce", "-1s"]) || starts_with(env, &["-workers", "-1"]),
    ),
    agrees("TestConcurrentFileProcessing", "50 distinct files, 20 workers: each ends exactly once", |env| {
        all_run_once(env, 50, "*: exit=0", "20")
    }),
    agrees(
        "testInputValidationSecurity",
        "SQL, HTML, 10000-byte target, control characters, deep nesting: run ends",
        |env| {
            all_refused(
                env,
                &[
                    &flat("'; DROP TABLE--", 3),
                    &flat("<script>", 3),
                    &flat(&"a".repeat(10_000), 3),
                    &flat("a\\u0001", 3),
                    &format!("{}{}", "{\"a\":".repeat(101), "}".repeat(101)),
                ],
            )
        },
    ),
    agrees(
        "testFileSystemSecurity, TestFileSystemEdgeCases",
        "symlinks, dangling links, FIFO, odd and 240-byte names: run returns",
        |env| {
            std::os::unix::fs::symlink("/etc/passwd", env.handoff("intent-l.json")).unwrap();
            std::os::unix::fs::symlink("/nowhere", env.handoff("intent-d.json")).unwrap();
            rustix::fs::mkfifoat(
                rustix::fs::CWD,
                env.handoff("intent-f.json"),
                rustix::fs::Mode::from_raw_mode(0o600),
            )
            .unwrap();
            env.drop_file("intent-ü.json", flat("a", 3));
            env.drop_file(&format!("intent-{}.json", "x".repeat(228)), flat("a", 3));
            env.once(&[]).code() == 8 && filed(env, 0, 5)
        },
    ),
    differs(
        "testConcurrencySecurity",
        "five daemons on one handoff: no error",
        "one daemon per directory: the second exits 1 and names the first, because two would run intents beside each other",
        |env| {
            let _first = env.start_ready(&[]);
            env.once(&[]).code() == 0
        },
    ),
    agrees(
        "testStateManagementSecurity",
        "hostile keys in the state file: run ends, and the state holds none of them",
        |env| {
            fs::write(env.handoff(".conductor-state.json"), format!(r#"{{"version": "1.0", "states": {{"/etc/passwd": {{"sha256": "{0}", "status": "processed"}}, "$(whoami)": {{"sha256": "{0}", "status": "processed"}}, "`whoami`": null}}}}"#, "a".repeat(64))).unwrap();
            env.once(&[]).code() == 0
                && ["/etc/passwd", "whoami"]
                    .iter()
                    .all(|text| !env.run(&["state", "export", "-handoff", "handoff"]).stdout.contains(text))
        },
    ),
    differs(
        "testConfigurationSecurity, TestConfig_Validate (workers, debounce)",
        "absurd workers and debounce are corrected silently",
        "refused with the range: a value that is not used must not be accepted",
        |env| starts_with(env, &["-workers", "1000000"]) || starts_with(env, &["-debounce", "-5s"]),
    ),
];
