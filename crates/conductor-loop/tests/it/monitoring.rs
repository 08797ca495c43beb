//! Alert rules and dashboard: their names are our metrics, their cases hold, and each alert names an existing command.

use crate::endpoints::{get, listening};
use crate::env;
use conductor_testkit::has;
use std::collections::BTreeSet;
use std::process::Command;

const PLACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/monitoring");

fn read(name: &str) -> String {
    std::fs::read_to_string(format!("{PLACE}/{name}")).unwrap()
}

/// Words with the prefix of our metrics.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("conductor_") || word.starts_with("process_")).collect()
}

#[test]
fn alerts_and_dashboard_name_only_metrics_that_are_served() {
    let env = env();
    let (daemon, address) = listening(&env, &[]);
    let text = get(address, "/metrics").1;
    daemon.stop().expect(0);
    let served = names(&text);
    let mut used = BTreeSet::new();
    let files = ["alerts.yaml", "alerts.test.yaml", "dashboard.json", "prometheus.yaml"].map(read);
    for name in files.iter().flat_map(|file| names(file)) {
        assert!(served.contains(name), "{name} is not served");
        used.insert(name.trim_end_matches("_bucket").trim_end_matches("_sum").trim_end_matches("_count"));
    }
    // The dashboard shows every metric of the daemon except its version.
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    for family in families.filter(|name| name.starts_with("conductor_")) {
        assert!(used.contains(family), "{family} is on no panel and in no alert");
    }
    let dashboard: serde_json::Value = serde_json::from_str(&files[2]).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() > 10);
}

#[test]
fn each_alert_fires_when_it_should_and_names_a_command() {
    let alerts = read("alerts.yaml");
    let commands = conductor_loop::cli::command();
    for description in alerts.lines().filter_map(|line| line.trim().strip_prefix("description: ")) {
        for command in description.split("`conductor-loop ").skip(1) {
            let word = command.split([' ', '`']).next().unwrap();
            assert!(commands.find_subcommand(word).is_some(), "there is no `conductor-loop {word}`");
        }
    }
    let cases = read("alerts.test.yaml");
    for name in alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        let fires = format!("alertname: {name}\n        exp_alerts:\n          - exp_labels");
        assert!(cases.contains(&fires), "{name} has no case in which it fires");
    }
    if !has("promtool") {
        return;
    }
    for words in [
        &["check", "rules", "alerts.yaml"][..],
        &["test", "rules", "alerts.test.yaml"],
        &["check", "config", "prometheus.yaml"],
    ] {
        let output = Command::new("promtool").args(words).current_dir(PLACE).output().unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {said}");
    }
}
