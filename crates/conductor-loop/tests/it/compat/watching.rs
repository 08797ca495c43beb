//! Rows of the watcher: what is taken, judged, run and filed.

use super::case::{Case, agrees, differs};
use super::runs::*;
use conductor_testkit::{flat, wait_until};
use std::fs;

pub(super) const CASES: &[Case] = &[
    // internal/loop: watcher
    differs(
        "TestNewWatcher",
        "starting on a missing directory fails",
        "the directory is created, as README says of the handoff directory",
        |env| env.run(&["-handoff", "missing", "-once", "-porch", "builtin"]).code() != 0,
    ),
    agrees("TestWatcher_ProcessExistingFiles", "two intents processed, not-intent.txt untouched", |env| {
        env.drop_file("not-intent.txt", "x");
        drop_all(env, &good(2, ""));
        env.once(&[]).code() == 0 && filed(env, 2, 0) && env.handoff("not-intent.txt").exists()
    }),
    agrees(
        "TestWatcher_FileDetectionWithinRequirement",
        "a file created while running leaves the handoff directory",
        |env| {
            let daemon = env.start_ready(&["-debounce", "100ms"]);
            env.drop_file("intent-a.json", flat("a", 3));
            wait_until("taken", || !env.handoff("intent-a.json").exists());
            daemon.stop().code() == 0
        },
    ),
    agrees(
        "TestWatcher_DebouncingRapidChanges, Performance_DebouncingMechanism, DuplicateEventPrevention (create and write, window, concurrent)",
        "rapid writes within the window run at most once",
        |env| {
            let daemon = env.start_ready(&["-debounce", "300ms"]);
            (0..10).for_each(|_| fs::write(env.handoff("intent-a.json"), flat("a", 3)).unwrap());
            env.wait_status("intent-a.json");
            daemon.stop().code() == 0 && env.calls().len() == 1
        },
    ),
    agrees(
        "TestWatcher_IdempotentProcessing (porch)",
        "state says processed for name and content: porch is not run",
        |env| GOOD(env) && GOOD_AGAIN(env) && env.calls().len() == 1,
    ),
    differs(
        "TestWatcher_IdempotentProcessing (file)",
        "the repeated file stays in the handoff directory",
        "it is filed as processed with duplicate_of in its status: a file that lies there for ever says nothing",
        |env| GOOD(env) && GOOD_AGAIN(env) && env.handoff("intent-a.json").exists(),
    ),
    agrees(
        "TestWatcher_ConcurrentFileProcessing, TestOnceModeProperDrainage",
        "ten files of one content under ten names: ten runs",
        |env| {
            let files: Vec<(String, String)> =
                (0..10).map(|i| (format!("intent-{i}.json"), flat("a", 3))).collect();
            drop_all(env, &files);
            env.once(&["-workers", "4"]).code() == 0 && env.calls().len() == 10 && filed(env, 10, 0)
        },
    ),
    agrees(
        "TestWatcher_FailureScenarios, Integration_FileMovementProcessedFailed",
        "porch exit 1: failed/ with NAME.json.error.log; exit 0: processed/",
        |env| {
            once(
                env,
                "bad: exit=1\n*: exit=0",
                &[("intent-a.json", flat("bad", 3)), ("intent-b.json", flat("good", 3))],
                &[],
            ) == 8
                && env.names("failed") == ["intent-a.json", "intent-a.json.error.log"]
                && env.names("processed") == ["intent-b.json"]
        },
    ),
    differs(
        "TestWatcher_FailureScenarios (names)",
        "names with spaces are processed",
        "names outside [A-Za-z0-9._-] are refused visibly: they break scripts and logs",
        |env| once(env, "*: exit=0", &[("intent-a b.json", flat("a", 3))], &[]) == 0,
    ),
    agrees(
        "TestWatcher_GracefulShutdown, Integration_GracefulShutdownWithActiveProcessing, TestExecutor_Execute_ContextCancellation",
        "stop during runs: clean, at least one run, no success claimed",
        |env| stop_is_clean(env, 4, "*: wait=never") && env.names("processed").is_empty(),
    ),
    agrees(
        "TestWatcher_StatusFileGeneration (body), Integration_EndToEndProcessingFlow",
        "intent_file, \"status\": \"success\" with a space after the colon, timestamp",
        |env| {
            GOOD(env)
                && env.read("status/intent-a.json.status").contains("\"status\": \"success\"")
                && env.status("intent-a.json").is_some_and(|s| s["timestamp"].is_string())
        },
    ),
    differs(
        "TestWatcher_StatusFileGeneration (name), TestStatusFilenameGeneration, Integration_StatusFileGenerationWithVersioning, WindowsFilenameValidation_LongFilenames",
        "status names carry a time stamp",
        "README's name, status/NAME.status: the CI example waits for exactly that; the result is replaced atomically",
        status_has_timestamped_name,
    ),
    agrees(
        "RaceCondition_ConcurrentFileProcessing, RaceCondition_WorkerPoolHighConcurrency",
        "100 files, 8 workers: exactly 100 runs",
        |env| all_run_once(env, 100, "*: exit=0", "8"),
    ),
    agrees(
        "JSONValidation_ValidJSONProcessing, JSONValidation_RequiredFieldsValidation (valid)",
        "NetworkIntent minimal, with metadata and spec, with spec only",
        |env| {
            all_accepted(
                env,
                &[
                    &network(""),
                    &network(r#", "metadata": {"name": "x"}, "spec": {"action": "scale"}"#),
                    &network(r#", "spec": {"action": "deploy"}"#),
                ],
            )
        },
    ),
    agrees(
        "JSONValidation_InvalidJSONRejection (suites 1 and 2), JSONValidation_RequiredFieldsValidation (invalid)",
        "malformed, empty, unquoted keys, no or empty apiVersion, bad kind, bad name, spec as text, replicas 0, no namespace",
        |env| {
            all_refused(
                env,
                &[
                    "{\"a\": ",
                    "",
                    "{a: 1}",
                    r#"{"kind": "NetworkIntent"}"#,
                    r#"{"apiVersion": "", "kind": "NetworkIntent"}"#,
                    r#"{"apiVersion": "v1", "kind": 123}"#,
                    r#"{"apiVersion": "v1", "kind": "InvalidKind"}"#,
                    r#"{"apiVersion": "invalid", "kind": "NetworkIntent"}"#,
                    &network(r#", "metadata": {"name": "Invalid_Name!"}"#),
                    &network(r#", "metadata": {"name": ""}"#),
                    &network(r#", "spec": "text""#),
                    &flat("a", 0),
                    r#"{"intent_type": "scaling", "target": "t", "replicas": 1}"#,
                ],
            )
        },
    ),
    differs(
        "JSONValidation_InvalidJSONRejection (texts)",
        "every syntax error is called a JSON bomb",
        "each kind of refusal has its own code and says what was found and expected",
        |env| refused(env, "{\"a\": ") && env.read("failed/intent-x.json.error.log").contains("JSON bomb"),
    ),
    agrees(
        "JSONValidation_SizeLimitEnforcement, Security_FileSizeLimits (refused)",
        "limit + 1 is refused",
        |env| once(env, "*: exit=0", &[("intent-x.json", padded(101))], &["-max-file-size", "100"]) == 8,
    ),
    agrees("Security_FileSizeLimits (accepted)", "1 KB, 1 MB and 5 MB are accepted", |env| {
        let sized = padded;
        all_accepted(env, &[&sized(1 << 10), &sized(1 << 20), &sized(5 << 20)])
    }),
    differs(
        "Security_FileSizeLimits (default)",
        "5 MiB + 1 is refused",
        "README's default is 10 MB; --max-file-size 5MB gives the other",
        |env| refused(env, &padded((5 << 20) + 1)),
    ),
    agrees("Security_JSONBombPrevention", "1000 levels are refused", |env| {
        refused(env, &format!("{}1{}", "{\"a\":".repeat(1000), "}".repeat(1000)))
    }),
    agrees(
        "Security_SuspiciousFilenamePatterns, JSONValidation_SuspiciousFilenamePatterns",
        "names with .. ~ $ * ? [ { | < > are refused",
        |env| {
            for mark in ["..", "~", "$", "*", "?", "[", "{", "|", "<", ">"] {
                env.drop_file(&format!("intent-test{mark}.json"), flat("a", 3));
            }
            env.once(&[]).code() == 8 && filed(env, 0, 10)
        },
    ),
    agrees(
        "Performance_WorkerPoolScalability, Performance_BatchProcessingEfficiency, Performance_MemoryUsageUnderLoad, WatcherIntegration_LargeScaleProcessing",
        "250 files: all run exactly once",
        |env| all_run_once(env, 250, "*: exit=0", "4"),
    ),
    agrees(
        "WindowsFilenameValidation_SpecialFileTypes",
        "double extensions processed; intent-test, .intent-test.json, 'intent test file.json' ignored",
        |env| {
            for (i, name) in
                ["intent-test.json", "intent-test.backup.json", "intent-test.exe.json"].iter().enumerate()
            {
                env.drop_file(name, flat(&format!("t{i}"), 3));
            }
            drop_each(env, &["intent-test", ".intent-test.json", "intent test file.json"]);
            env.once(&[]).code() == 0 && filed(env, 3, 0) && env.handoff("intent test file.json").exists()
        },
    ),
    agrees(
        "WindowsFilenameValidation_StatusFileGeneration",
        "status names hold no <>:\"/\\|?*, no .., only ASCII",
        |env| {
            drop_each(env, &["intent-test-unicode.json", "intent-test~.json", "intent-a:b.json"]);
            env.once(&[]).code();
            env.names("status").iter().all(|name| {
                name.is_ascii()
                    && !name.contains("..")
                    && !name.contains(['<', '>', ':', '"', '\\', '|', '?', '*'])
            })
        },
    ),
    agrees(
        "JSONValidation_ValidNetworkIntentStructures",
        "flat deployment and service without replicas, scaling with replicas and source user",
        |env| {
            all_accepted(
                env,
                &[
                    r#"{"intent_type": "deployment", "target": "t", "namespace": "n"}"#,
                    r#"{"intent_type": "service", "target": "t", "namespace": "n"}"#,
                    &flat("a", 3).replace('}', ", \"source\": \"user\"}"),
                ],
            )
        },
    ),
    agrees(
        "JSONValidation_ComplexIntentValidation",
        "network function with resources, connectivity and sla accepted",
        |env| {
            accepted(
                env,
                &network(
                    r#", "spec": {"parameters": {"networkFunctions": [{"name": "a", "type": "b", "resources": {"cpu": "1", "memory": "1Gi", "storage": "1Gi"}}], "connectivity": {"n1": {"interface": "e0"}, "n2": {"interface": "e1"}}, "sla": {"availability": "a", "throughput": "b", "latency": "c", "jitter": "d"}}}"#,
                ),
            )
        },
    ),
    agrees(
        "JSONValidation_ComplexIntentValidation (refused)",
        "function without name, empty interface",
        |env| {
            all_refused(
                env,
                &[
                    &network(r#", "spec": {"parameters": {"networkFunctions": [{"type": "b"}]}}"#),
                    &network(r#", "spec": {"parameters": {"connectivity": {"n1": {"interface": ""}}}}"#),
                ],
            )
        },
    ),
    agrees(
        "Integration_DebouncingWithValidation, Integration_ConcurrentDirectoryAndFileProcessing",
        "truncated JSON written five times while running: exactly one file in failed/",
        |env| {
            let daemon = env.start_ready(&["-debounce", "200ms"]);
            (0..5).for_each(|_| fs::write(env.handoff("intent-a.json"), "{\"a\": ").unwrap());
            env.wait_status("intent-a.json");
            daemon.stop().code() == 0 && filed(env, 0, 1)
        },
    ),
];
