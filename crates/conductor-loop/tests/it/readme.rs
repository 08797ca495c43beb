//! README and OPERATIONS.md are run: every `console` block, in order, in one shell in an empty directory; the shown
//! output must be the real one. Only times, durations, worker and user numbers and the directory may differ.
//! `UPDATE_README=1 cargo test readme` writes the real output into the pages.

use crate::{env, is_root};
use conductor_testkit::page::{self, Shown, shown};
use conductor_testkit::{TestEnv, TestUser, has};
use std::process::Command;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
const OPERATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/OPERATIONS.md");
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");

/// Replaces text that differs from run to run by the text on the page.
fn steady(text: &str, directory: &str) -> String {
    let mut out = String::new();
    for line in text.replace(directory, "/home/you/tour").lines() {
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        for at in 0..words.len() {
            let before = at.checked_sub(1).map(|b| words[b].clone()).unwrap_or_default();
            let word = words[at].clone();
            let state = words[..at].iter().rfind(|word| !word.is_empty());
            let is_age = word.strip_suffix(['s', 'm']).is_some_and(|age| age.parse::<u32>().is_ok());
            if is_age
                && state.is_some_and(|word| ["done", "failed", "running", "waiting"].contains(&word.as_str()))
            {
                // As wide as it was: the columns behind it stay where they are.
                words[at] = format!("{:<1$}", "1s", word.len());
                continue;
            }
            let bare = word.trim_matches(['"', ',', '}', ']', '[', '{']);
            let steady = match before.as_str() {
                "worker" | "uid" => "0",
                "in" if bare.ends_with('s') && bare.starts_with(|c: char| c.is_ascii_digit()) => "2ms",
                "\"duration_ms\":" => "2",
                "\"payload\":" | "\"sig\":" => "...",
                "[{\"keyid\":" => "1dc15d85e53a8fa0",
                "key" if bare.len() == 16 && u64::from_str_radix(bare, 16).is_ok() => "1dc15d85e53a8fa0",
                _ if bare.starts_with("key=") => "key=\"1dc15d85e53a8fa0",
                _ if bare.len() == 24 && bare.ends_with('Z') && bare.as_bytes()[10] == b'T' => {
                    "2026-11-23T20:15:00.000Z"
                }
                _ if bare.len() == 20 && bare.ends_with('Z') && bare.as_bytes()[10] == b'T' => {
                    "2026-11-23T20:15:00Z"
                }
                _ if bare.starts_with("duration_ms=") => "duration_ms=2",
                _ if word.starts_with('(') && words.get(at + 1).is_some_and(|next| next == "ms)") => {
                    "(2".clone_into(&mut words[at]);
                    continue;
                }
                _ => continue,
            };
            words[at] = word.replace(bare, steady);
        }
        // Running as root adds one warning.
        let line = words.join(" ");
        if !line.contains("running as root") {
            out.push_str(&line);
            out.push('\n');
        }
    }
    out
}

fn run_page(env: &TestEnv, commands: &[Shown]) -> Vec<String> {
    let path = format!("{}:/usr/bin:/bin", env.program().parent().unwrap().display());
    let tour = env.path("tour");
    std::fs::create_dir(&tour).unwrap();
    let examples = env.path("examples");
    assert!(Command::new("cp").arg("-r").arg(EXAMPLES).arg(&examples).status().unwrap().success());
    let outputs = page::run(commands, &tour, |shell| {
        shell.env("PATH", path).env("EXAMPLES", &examples);
        if env.is_other_user() {
            use std::os::unix::process::CommandExt;
            std::os::unix::fs::chown(&tour, Some(65534), Some(65534)).unwrap();
            shell.uid(65534).gid(65534);
        }
    });
    outputs.iter().map(|output| steady(output, tour.to_str().unwrap())).collect()
}

/// Runs a page and compares its output, or renews the page.
fn hold(page: &str, env: &TestEnv) {
    let text = std::fs::read_to_string(page).unwrap();
    let commands = shown(&text);
    assert!(commands.len() >= 8, "the page has commands");
    let outputs = run_page(env, &commands);
    if std::env::var_os("UPDATE_README").is_some() {
        return std::fs::write(page, page::renewed(&text, &commands, &outputs)).unwrap();
    }
    for (shown, output) in commands.iter().zip(&outputs) {
        assert_eq!(output, &shown.output, "{page}: $ {}", shown.command);
    }
}

#[test]
fn the_readme_shows_what_really_happens() {
    hold(README, &env());
}

#[test]
fn the_operations_page_shows_what_really_happens() {
    if has("curl") {
        hold(OPERATIONS, &env());
    }
}

#[test]
fn the_pages_work_for_an_ordinary_user_too() {
    if !is_root() || std::env::var_os("UPDATE_README").is_some() {
        return eprintln!("note: not root, or renewing the pages: the other tests do that");
    }
    for page in [README, OPERATIONS].into_iter().filter(|page| *page == README || has("curl")) {
        hold(page, &env().as_user(TestUser::Nobody));
    }
}
