//! The read-only API and its events, and the metrics as a real Prometheus reads them.

use crate::endpoints::{get, listening, send, status};
use crate::env;
use conductor_testkit::{flat, has, wait_until};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

fn ask(address: SocketAddr, path: &str) -> (u16, Value) {
    let (code, body) = get(address, path);
    (code, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}")))
}

#[test]
fn the_api_tells_what_the_commands_tell() {
    let env = env();
    env.script("b: exit=3\n*: exit=0");
    let (daemon, address) = listening(&env, &[]);
    for (name, content) in [("a", flat("a", 3)), ("b", flat("b", 3)), ("bad", flat("c", 500))] {
        env.drop_file(&format!("intent-{name}.json"), content);
        env.wait_status(&format!("intent-{name}.json"));
    }
    wait_until("all are filed", || ask(address, "/api/v1/status").1["failed"] == 2);
    for (path, words) in [
        ("/api/v1/intents", &["list"][..]),
        ("/api/v1/intents?state=failed&limit=1", &["list", "--state", "failed", "--limit", "1"]),
        ("/api/v1/intents?code=E301&target=b", &["list", "--code", "E301", "--target", "b"]),
        ("/api/v1/intents/2", &["show", "2"]),
        ("/api/v1/intents/intent-b.json", &["show", "intent-b.json"]),
        ("/api/v1/explain?of=test%2Fb", &["explain", "test/b"]),
    ] {
        assert_eq!(ask(address, path), (200, env.operate_json(words).0), "{path}");
    }
    let (first, second) = (ask(address, "/api/v1/intents?limit=2").1, "/api/v1/intents?limit=2&before=");
    let next = ask(address, &format!("{second}{}", first["next_before"])).1;
    assert_eq!((&next["intents"][0]["seq"], &next["more"]), (&1.into(), &false.into()));
    for (path, code, word) in [
        ("/api/v1/intents/99", 404, "not-found"),
        ("/api/v1/nothing", 404, "not-found"),
        ("/api/v1/intents?color=red", 400, "bad-question"),
        ("/api/v1/explain", 400, "bad-question"),
    ] {
        let (found, body) = ask(address, path);
        assert_eq!((found, &body["error"]["word"]), (code, &word.into()), "{path}");
    }
    let (head, _) = send(address, "GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for header in
        ["content-type: application/json", "cache-control: no-store", "x-content-type-options: nosniff"]
    {
        assert!(head.to_lowercase().contains(header), "{head}");
    }
    assert!(!head.to_lowercase().contains("access-control"), "no other origin may read it: {head}");
    daemon.stop().expect(0);
}

#[test]
fn a_list_by_target_has_one_row_for_all_that_wait_of_it_with_and_without_a_daemon() {
    let env = env();
    env.script("busy: wait=go\n*: exit=3");
    let (daemon, address) = listening(&env, &["-workers", "1"]);
    env.drop_file("intent-failed.json", flat("failed", 3));
    env.wait_status("intent-failed.json");
    env.operate(&["hold", "test/held"]).expect(0);
    env.drop_file("intent-busy.json", flat("busy", 3));
    wait_until("it runs", || ask(address, "/api/v1/status").1["active"] == 1);
    for (name, target) in [("h1", "held"), ("h2", "held"), ("h3", "held"), ("b2", "busy"), ("n", "next")] {
        env.drop_file(&format!("intent-{name}.json"), flat(target, 3));
        wait_until("it is taken", || !env.handoff(&format!("intent-{name}.json")).exists());
    }
    wait_until("all wait", || ask(address, "/api/v1/status").1["waiting"] == 5);
    let rows = |listing: &Value| {
        let rows = listing["intents"].as_array().unwrap().iter();
        let cells = rows.map(|row| (row["state"].clone(), row["target"].clone(), row["others"].as_u64()));
        cells.map(|(state, target, others)| format!("{state} {target} {others:?}").replace('"', "")).collect()
    };
    let mut found: Vec<String> = rows(&ask(address, "/api/v1/intents?by=target&state=running,waiting").1);
    found.sort();
    let waiting = ["waiting test/busy Some(0)", "waiting test/held Some(2)", "waiting test/next Some(0)"];
    assert_eq!(found, [&["running test/busy None"][..], &waiting].concat());
    let status = ask(address, "/api/v1/status").1;
    assert_eq!((&status["failed"], &status["failed_last_hour"]), (&1.into(), &1.into()));
    // A taken file whose claim is not durable is no row while no daemon runs.
    wait_until("all claims are durable", || {
        let listing = ask(address, "/api/v1/intents?state=waiting").1;
        let mut words =
            listing["intents"].as_array().unwrap().iter().map(|row| row["reason"]["word"].clone());
        words.all(|word| word != "taking" && word != "claiming")
    });
    daemon.kill();
    let printed = env.operate(&["top"]).expect(0).stdout;
    let line = |target: &str| printed.lines().filter(|line| line.contains(target)).collect::<Vec<_>>();
    assert!(line("test/held").iter().any(|line| line.contains("+2 more; not-running")), "{printed}");
    // The run that was cut off waits as well.
    assert!(line("test/busy").iter().any(|line| line.contains("+1 more; not-running")), "{printed}");
    let (offline, _) = env.operate_json(&["status"]);
    assert_eq!((&offline["failed_last_hour"], &offline["running"]), (&1.into(), &false.into()));
    env.release("go");
}

/// Reads server-sent events until one satisfies the condition.
fn event(reader: &mut impl BufRead, name: &str, condition: impl Fn(&Value) -> bool) -> Value {
    let mut named = false;
    loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).unwrap() > 0, "the events ended before {name}");
        if let Some(event) = line.strip_prefix("event: ") {
            named = event.trim() == name;
        }
        if let Some(data) = line.strip_prefix("data: ").filter(|_| named) {
            let data = serde_json::from_str(data).unwrap();
            if condition(&data) {
                return data;
            }
        }
    }
}

#[test]
fn events_tell_the_numbers_of_each_second_and_slow_listeners_hurt_nobody() {
    let env = env();
    let (daemon, address) = listening(&env, &[]);
    let listen = || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        BufReader::new(stream)
    };
    let mut listener = listen();
    event(&mut listener, "history", |history| history.as_array().is_some_and(|all| !all.is_empty()));
    let status_of = |listener: &mut BufReader<TcpStream>| {
        let mut line = String::new();
        listener.read_line(&mut line).unwrap();
        status(&line)
    };
    let mut deaf: Vec<_> = (0..15).map(|_| listen()).collect();
    assert!(deaf.iter_mut().all(|listener| status_of(listener) == 200));
    // One more ends the oldest, whose client reconnects.
    let mut newest = listen();
    assert_eq!(status_of(&mut newest), 200);
    let mut rest = String::new();
    listener.read_to_string(&mut rest).unwrap();
    let mut listener = newest;
    env.drop_file("intent-a.json", flat("a", 3));
    let pulse = event(&mut listener, "pulse", |pulse| pulse["processed"] == 1);
    assert!(
        pulse["timed"] == 1 && pulse["timed_ms"].as_f64().unwrap() > 0.0 && pulse["ready"] == true,
        "{pulse}"
    );
    let bound = pulse["took_ms"][0][0].as_f64().unwrap();
    let truth = pulse["timed_ms"].as_f64().unwrap();
    assert!(truth <= bound.max(0.25) * 1.01 && bound <= truth.max(0.25) * 1.13, "{pulse}");
    assert_eq!(pulse["took_ms"][0][1], 1, "{pulse}");
    daemon.stop().expect(0);
}

#[test]
fn every_name_of_the_metrics_is_in_the_documents_and_the_other_way_round() {
    let env = env();
    let (daemon, address) = listening(&env, &[]);
    let text = get(address, "/metrics").1;
    daemon.stop().expect(0);
    let mut served: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    served.retain(|name| name.starts_with("conductor_"));
    served.sort_unstable();
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/FORMATS.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| conductor_"));
    let mut documented: Vec<String> =
        rows.map(|row| format!("conductor_{}", row.split([' ', '{']).next().unwrap())).collect();
    documented.sort_unstable();
    assert_eq!(served, documented);
}

/// A real Prometheus with the committed configuration, except for the address: it scrapes in its preferred format, and
/// its rules load.
#[test]
fn prometheus_scrapes_with_the_committed_configuration() {
    if !has("prometheus") {
        return;
    }
    let env = env();
    let (daemon, address) = listening(&env, &[]);
    env.drop_file("intent-a.json", flat("a", 3));
    env.wait_status("intent-a.json");
    let monitoring = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/monitoring");
    let config = std::fs::read_to_string(format!("{monitoring}/prometheus.yaml")).unwrap();
    let config = config.replace("conductor-loop:9090", &address.to_string()).replace("15s", "1s");
    let config = config.replace("alerts.yaml", &format!("{monitoring}/alerts.yaml"));
    std::fs::write(env.path("prometheus.yaml"), config).unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut prometheus = std::process::Command::new("prometheus")
        .arg(format!("--config.file={}", env.path("prometheus.yaml").display()))
        .arg(format!("--storage.tsdb.path={}", env.path("tsdb").display()))
        .arg(format!("--web.listen-address={free}"))
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let answer = |path: &str| {
        // The server needs a moment to listen.
        let stream = TcpStream::connect(free).ok()?;
        drop(stream);
        let (head, body) = send(free, &format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n"));
        (status(&head) == 200).then(|| serde_json::from_str::<Value>(&body).ok()).flatten()
    };
    wait_until("the metric arrives", || {
        answer("/api/v1/query?query=conductor_files_processed_total")
            .is_some_and(|found| found["data"]["result"][0]["value"][1] == "1")
    });
    let rules = answer("/api/v1/rules").unwrap();
    assert!(!rules["data"]["groups"][0]["rules"].as_array().unwrap().is_empty());
    prometheus.kill().unwrap();
    prometheus.wait().unwrap();
    daemon.stop().expect(0);
}

#[test]
fn open_metrics_is_served_to_who_asks_for_it() {
    let env = env();
    let (daemon, address) = listening(&env, &[]);
    let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
    let (head, body) =
        send(address, &format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{accept}\r\n\r\n"));
    assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(
        body.ends_with("# EOF\n") && body.contains("# TYPE conductor_files_processed counter\n"),
        "{body}"
    );
    assert!(
        body.contains("\nconductor_files_processed_total 0\n")
            && body.contains("process_resident_memory_bytes")
    );
    daemon.stop().expect(0);
}
