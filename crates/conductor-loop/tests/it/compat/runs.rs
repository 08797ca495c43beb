//! Small runs of the real program, used by the rows.

use conductor_testkit::{TestEnv, flat, wait_until};

/// Runs `-once` over these files with this script; returns the exit status.
pub(super) fn once(env: &TestEnv, script: &str, files: &[(&str, String)], flags: &[&str]) -> i32 {
    env.script(script);
    for (name, content) in files {
        env.drop_file(name, content);
    }
    env.once(flags).code()
}

pub(super) fn good(count: usize, prefix: &str) -> Vec<(String, String)> {
    (0..count).map(|i| (format!("intent-{prefix}{i}.json"), flat(&format!("t{i}"), 3))).collect()
}

pub(super) fn drop_all(env: &TestEnv, files: &[(String, String)]) {
    for (name, content) in files {
        env.drop_file(name, content);
    }
}

/// Whether processed/ and failed/ hold exactly this many files (error logs not counted), with as many statuses.
pub(super) fn filed(env: &TestEnv, processed: usize, failed: usize) -> bool {
    let failures = env.names("failed").iter().filter(|name| !name.ends_with(".error.log")).count();
    (env.names("processed").len(), failures, env.names("status").len())
        == (processed, failed, processed + failed)
}

pub(super) fn accepted(env: &TestEnv, content: &str) -> bool {
    once(env, "*: exit=0", &[("intent-x.json", content.to_owned())], &[]) == 0 && filed(env, 1, 0)
}

pub(super) fn refused(env: &TestEnv, content: &str) -> bool {
    once(env, "*: exit=0", &[("intent-x.json", content.to_owned())], &[]) == 8
        && env.names("failed").contains(&"intent-x.json".to_owned())
}

pub(super) fn all_refused(env: &TestEnv, contents: &[&str]) -> bool {
    for (i, content) in contents.iter().enumerate() {
        env.drop_file(&format!("intent-{i}.json"), content);
    }
    env.once(&[]).code() == 8 && filed(env, 0, contents.len())
}

pub(super) fn all_accepted(env: &TestEnv, contents: &[&str]) -> bool {
    for (i, content) in contents.iter().enumerate() {
        env.drop_file(&format!("intent-{i}.json"), content);
    }
    env.once(&[]).code() == 0 && filed(env, contents.len(), 0)
}

pub(super) fn network(rest: &str) -> String {
    format!(r#"{{"apiVersion": "nephoran.com/v1", "kind": "NetworkIntent"{rest}}}"#)
}

/// Whether the daemon starts with settings that the Go version accepts or corrects.
pub(super) fn starts_with(env: &TestEnv, flags: &[&str]) -> bool {
    env.once(flags).code() == 0
}

/// Many files, many workers: each runs exactly once.
pub(super) fn all_run_once(env: &TestEnv, count: usize, script: &str, workers: &str) -> bool {
    env.script(script);
    drop_all(env, &good(count, ""));
    env.once(&["-workers", workers]).code() == 0 && env.calls().len() == count && filed(env, count, 0)
}

pub(super) fn status_has_timestamped_name(env: &TestEnv) -> bool {
    once(env, "*: exit=0", &[("intent-a.json", flat("a", 3))], &[]);
    env.names("status").iter().any(|name| name.starts_with("intent-a.json-"))
}

pub(super) fn stop_is_clean(env: &TestEnv, files: usize, script: &str) -> bool {
    env.script(script);
    drop_all(env, &good(files, ""));
    let daemon = env.start(&["-grace-period", "100ms"]);
    wait_until("a run", || !env.calls().is_empty());
    daemon.stop().code() == 0 && env.names("failed").is_empty()
}

pub(super) const GOOD: fn(&TestEnv) -> bool = |env| {
    once(env, "*: exit=0", &[("intent-a.json", flat("a", 3))], &[]) == 0
        && filed(env, 1, 0)
        && !env.handoff("intent-a.json").exists()
};

/// The same file again.
pub(super) const GOOD_AGAIN: fn(&TestEnv) -> bool =
    |env| once(env, "*: exit=0", &[("intent-a.json", flat("a", 3))], &[]) == 0;

/// A good intent, padded with blanks to this many bytes.
pub(super) fn padded(bytes: usize) -> String {
    let text = flat("a", 3);
    let blanks = " ".repeat(bytes - text.len());
    text + &blanks
}

/// Drops one good intent under each of these names.
pub(super) fn drop_each(env: &TestEnv, names: &[&str]) {
    for name in names {
        env.drop_file(name, flat("a", 3));
    }
}
