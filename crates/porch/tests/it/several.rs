//! Several intents in one run: judged together, carried out one after the other.

use crate::shop::{Run, Shop};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A run of the program on `out` with these intents.
fn run(shop: &Shop, intents: &[&Path], flags: &[&str]) -> Run {
    let mut command: Command = shop.command(intents[0], flags);
    for intent in &intents[1..] {
        command.arg("-intent").arg(intent);
    }
    Run::of(&command.output().unwrap())
}

/// A shop in which one file has both `web` and `api`.
fn two_in_one_file() -> (Shop, PathBuf, PathBuf) {
    let shop = Shop::empty();
    let object = |name: &str| {
        format!("apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\nspec:\n  replicas: 2\n")
    };
    shop.put("out/shop/all.yaml", format!("{}---\n{}", object("web"), object("api")));
    let (web, api) = (shop.intent_for("web", 5, ""), shop.intent_for("api", 7, ""));
    (shop, web, api)
}

fn numbers(shop: &Shop) -> Vec<String> {
    let text = shop.read("out/shop/all.yaml");
    let lines = text.lines().filter_map(|line| line.strip_prefix("  replicas: "));
    lines.map(str::to_owned).collect()
}

#[test]
fn two_intents_for_one_file_are_both_done_and_each_has_its_line() {
    let (shop, web, api) = two_in_one_file();
    let run = run(&shop, &[&web, &api], &["-out", "out", "--result", "lines.json"]).expect(0);
    assert_eq!(numbers(&shop), ["5", "7"]);
    let lines: Vec<serde_json::Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<_> = lines.iter().map(|line| line["object"]["name"].clone()).collect();
    assert_eq!(names, ["web", "api"], "in the order of the command line");
    assert_eq!(shop.read("lines.json"), run.stdout);
}

#[test]
fn one_refused_among_three_stops_none_of_the_others() {
    let (shop, web, api) = two_in_one_file();
    shop.put("out/shop/odd/x.yaml", "a: [\n# odd\n");
    let odd = shop.intent_for("odd", 3, "");
    let run = run(&shop, &[&web, &odd, &api], &["-out", "out"]).expect(73);
    assert_eq!(numbers(&shop), ["5", "7"]);
    assert_eq!(run.stdout.lines().count(), 2);
    let reason = format!("porch: {}: E310 ", odd.display());
    assert!(run.stderr.starts_with(&reason), "{}", run.stderr);
}

#[test]
fn the_worst_failure_decides_the_exit_status() {
    let (shop, web, api) = two_in_one_file();
    let named = shop.put(
        "intent-named.json",
        r#"{"intent_type":"scaling","target":"other","namespace":"shop","replicas":3,"constraints":{"porch_repository":"x"}}"#,
    );
    shop.put("out/shop/odd/x.yaml", "a: [\n# odd\n");
    let odd = shop.intent_for("odd", 3, "");
    run(&shop, &[&named, &web, &odd, &api], &["-out", "out"]).expect(73);
    run(&shop, &[&named, &web, &api], &["-out", "out"]).expect(77);
    // A result that cannot be written (73) does not hide that an answer could not be written (74).
    let mut command = shop.command(&web, &["-out", "out", "--result", "nowhere/lines.json"]);
    command.arg("-intent").arg(&api).stdout(std::fs::File::create("/dev/full").unwrap());
    Run::of(&command.output().unwrap()).refused(74, "the result nowhere/lines.json cannot be written");
}

#[test]
fn nothing_is_done_when_one_intent_is_refused_or_two_are_for_one_target() {
    let (shop, web, api) = two_in_one_file();
    let again = shop.intent_for("web", 9, "");
    let broken = shop.put("intent-broken.json", "{");
    let before = shop.tree("out");
    let twice = run(&shop, &[&web, &api, &again], &["-out", "out"]).expect(65);
    let both = format!("{} and {} are both for shop/web; nothing was done", web.display(), again.display());
    assert!(twice.stderr.contains(&both), "{}", twice.stderr);
    run(&shop, &[&web, &broken], &["-out", "out"]).refused(65, "intent-broken.json: E204");
    run(&shop, &[&web, Path::new("nowhere.json")], &["-out", "out"]).refused(66, "(nothing was done)");
    assert_eq!(shop.tree("out"), before);
}

#[test]
fn a_dry_run_of_several_shows_each_diff_and_writes_nothing() {
    let (shop, web, api) = two_in_one_file();
    let before = shop.tree("out");
    let run = run(&shop, &[&web, &api], &["-out", "out", "--dry-run"]).expect(0);
    let added: Vec<&str> = run.stdout.lines().filter(|line| line.starts_with("+  ")).collect();
    assert_eq!(added, ["+  replicas: 5", "+  replicas: 7"]);
    assert_eq!(shop.tree("out"), before);
}

#[test]
fn several_intents_of_a_repository_are_a_commit_each() {
    let (shop, web, api) = two_in_one_file();
    let git = |words: &[&str]| {
        let mut command = Command::new("git");
        command.current_dir(shop.path("out")).env("HOME", shop.path(".")).args(words);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "."]);
    git(&["-c", "user.name=Ana", "-c", "user.email=ana@example.org", "commit", "-q", "-m", "Begin"]);
    run(&shop, &[&web, &api], &["--git", "out"]).expect(0);
    assert_eq!(
        git(&["log", "--format=%s"]),
        "Scale shop/api from 2 to 7\nScale shop/web from 2 to 5\nBegin\n"
    );
    assert_eq!(numbers(&shop), ["5", "7"]);
}

/// A run of the program with this text on standard input.
fn stream(shop: &Shop, text: &str, flags: &[&str]) -> Run {
    let mut command = shop.command(Path::new("-"), flags);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    Run::of(&child.wait_with_output().unwrap())
}

#[test]
fn intents_on_standard_input_are_carried_out_one_after_the_other_and_each_is_told() {
    let (shop, web, api) = two_in_one_file();
    let (web, api) = (std::fs::read_to_string(web).unwrap(), std::fs::read_to_string(api).unwrap());
    let again = web.replace("\"replicas\":5", "\"replicas\":6");
    let odd = web.replace("scaling", "juggling");
    let done =
        stream(&shop, &format!("{web}\n{odd}{api}\r\n{again}"), &["-out", "out", "--result", "lines.json"]);
    let done = done.expect(65);
    assert_eq!(numbers(&shop), ["6", "7"], "two for one target in the order of the stream");
    assert_eq!(done.stdout.lines().count(), 3);
    assert_eq!(shop.read("lines.json"), done.stdout);
    assert!(done.stderr.starts_with("porch: standard input, intent 2: E"), "{}", done.stderr);
}

#[test]
fn a_stream_ends_where_it_is_no_json() {
    let (shop, web, api) = two_in_one_file();
    let (web, api) = (std::fs::read_to_string(web).unwrap(), std::fs::read_to_string(api).unwrap());
    let run = stream(&shop, &format!("{web} --- {api}"), &["-out", "out"]).expect(65);
    assert_eq!(numbers(&shop), ["5", "2"]);
    assert!(run.stderr.contains("standard input, intent 2: E"), "{}", run.stderr);
    assert!(run.stderr.contains("; what follows on standard input was not read"), "{}", run.stderr);
}

#[test]
fn a_stream_beside_other_intents_is_refused() {
    let (shop, web, api) = two_in_one_file();
    let text = std::fs::read_to_string(api).unwrap();
    let flags = ["-intent", web.to_str().unwrap(), "-out", "out"];
    let run = stream(&shop, &format!("{text}{text}"), &flags).expect(65);
    assert!(run.stderr.contains("standard input holds 2 intents; nothing was done"), "{}", run.stderr);
    assert_eq!(numbers(&shop), ["2", "2"]);
}
