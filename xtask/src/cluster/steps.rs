//! The test: what an operator does with deploy/kubernetes, done on the cluster, with intents arriving meanwhile.

use super::image::TAGS;
use super::inside::Cluster;
use super::work::{SPACE, daemon};
use crate::dist::{ensure, output, root, wait_for};
use serde_json::json;
use std::process::Command;

type Step = fn(&Cluster) -> Result<String, String>;

const STEPS: [(&str, Step); 17] = [
    ("base: dry-run, applied, applied again", base),
    ("a Job hands an intent in", producer),
    ("asked through exec", asked),
    ("probes, and metrics through the Service", endpoints),
    ("rollout of another image", another_image),
    ("rollout of another configuration", another_configuration),
    ("another ConfigMap in place", in_place),
    ("container killed", killed),
    ("pod deleted", deleted),
    ("node drained and back", drained),
    ("the written package scales real pods", scaled),
    ("the written component scales real pods", component),
    ("a weakened pod is refused", super::refusals::weakened),
    ("a refused start says why", super::refusals::told),
    ("state lost and restored", super::restored::restored),
    ("overlays applied and deleted, nothing left", overlays),
    ("the blocks of docs/KUBERNETES.md", page),
];

pub(super) fn run(cluster: &Cluster) -> Result<String, String> {
    for (name, step) in STEPS {
        let result = step(cluster).map_err(|reason| format!("{name}: {reason}\n{}", situation(cluster)))?;
        say(&format!("| {name} | {result} |"));
    }
    Ok(format!("{} steps", STEPS.len()))
}

#[expect(clippy::print_stdout, reason = "the progress of a command line program")]
fn say(line: &str) {
    println!("{line}");
}

/// What to look at when a step has failed.
fn situation(cluster: &Cluster) -> String {
    let pods = cluster.k(&["get", "pods", "-A", "-o", "wide"]).unwrap_or_default();
    let events = cluster.k(&["-n", SPACE, "get", "events", "--sort-by=.lastTimestamp"]).unwrap_or_default();
    let tail: Vec<&str> = events.lines().rev().take(15).collect();
    let logs = cluster.k(&["-n", SPACE, "logs", "deploy/conductor-loop", "--tail=15"]).unwrap_or_default();
    format!("{pods}\n{}\n{logs}", tail.join("\n"))
}

const BASE: &str = "deploy/kubernetes/base";

/// The claims of the base.
fn claims() -> [String; 3] {
    ["handoff", "state", "out"].map(|name| format!("conductor-loop-{name}"))
}

fn base(cluster: &Cluster) -> Result<String, String> {
    cluster.volumes("base", &claims())?;
    // A dry run does not make the namespace that the other objects are in.
    cluster.k(&["apply", "--server-side", "-f", "deploy/kubernetes/base/namespace.yaml"])?;
    let dry = ["apply", "--server-side", "--dry-run=server", "--force-conflicts", "-k", BASE];
    let (first, second) = (cluster.k(&dry)?, cluster.k(&dry)?);
    ensure(first == second, || format!("{first}\n{second}"))?;
    let began = std::time::Instant::now();
    cluster.k(&["apply", "--server-side", "--force-conflicts", "-k", BASE])?;
    cluster.rolled_out()?;
    let took = began.elapsed().as_secs_f64();
    let generation = || {
        cluster.k(&["-n", SPACE, "get", "deploy", "conductor-loop", "-o", "jsonpath={.metadata.generation}"])
    };
    let before = generation()?;
    cluster.k(&["apply", "--server-side", "-k", BASE])?;
    ensure(generation()? == before, || "applied again it is another".to_owned())?;
    let warned = cluster.k(&["-n", SPACE, "logs", "deploy/conductor-loop"])?;
    Ok(format!("ready after {took:.1} s; {} warnings in its log", warned.matches("\"WARN\"").count()))
}

fn producer(cluster: &Cluster) -> Result<String, String> {
    let overlay = "deploy/kubernetes/overlays/example-producer";
    cluster.k(&["apply", "--server-side", "-k", overlay])?;
    cluster.k(&[
        "-n",
        SPACE,
        "wait",
        "--for=condition=complete",
        "job/example-producer",
        "--timeout=120s",
    ])?;
    let said = cluster.k(&["-n", SPACE, "logs", "job/example-producer"])?;
    ensure(said.contains("\"status\": \"success\""), || said)?;
    for (volume, path) in [
        ("handoff", "status/intent-scale-up-001.json.status"),
        ("out", "oran-sim/cnf-simulator-scaling/deployment.yaml"),
    ] {
        ensure(cluster.volume(volume, path).exists(), || format!("{path} is not on the volume"))?;
    }
    Ok("its status came, the package is on the volume".to_owned())
}

fn asked(cluster: &Cluster) -> Result<String, String> {
    let name = "intent-scale-up-001.json";
    for (words, wanted) in [
        (&["status"][..], "running, ready"),
        (&["list"], name),
        (&["explain", name], "is done"),
        (&["health"], "ready"),
        (&["config", "show"], "file /etc/conductor-loop/config.toml"),
    ] {
        let said = cluster.inside_pod(words)?;
        ensure(said.contains(wanted), || format!("{words:?}: {said}"))?;
    }
    Ok("status, list, explain, health, config show".to_owned())
}

fn endpoints(cluster: &Cluster) -> Result<String, String> {
    let service =
        cluster.k(&["-n", SPACE, "get", "service", "conductor-loop", "-o", "jsonpath={.spec.clusterIP}"])?;
    let (address, name) = (cluster.of_pod(".status.podIP")?, cluster.of_pod(".metadata.name")?);
    let curl = |url: String| output(Command::new("curl").args(["-sSfm", "20", "--noproxy", "*", &url]));
    for path in ["livez", "readyz", "healthz"] {
        curl(format!("http://{address}:8080/{path}"))?;
    }
    let metrics = curl(format!("http://{service}:9090/metrics"))?;
    let wanted = format!("conductor_files_processed_total{{instance=\"{name}\"}} 1");
    ensure(metrics.contains(&wanted), || metrics)?;
    let log = cluster.k(&["-n", SPACE, "logs", "deploy/conductor-loop", "--tail=1"])?;
    ensure(log.contains(&format!("\"instance\":\"{name}\"")), || log.clone())?;
    Ok("three probes; metrics and log lines name the pod".to_owned())
}

fn another_image(cluster: &Cluster) -> Result<String, String> {
    cluster.meanwhile("image", || {
        let image = format!("conductor-loop=conductor-loop:{}", TAGS[1]);
        cluster.k(&["-n", SPACE, "set", "image", "deploy/conductor-loop", &image])?;
        cluster.rolled_out()
    })
}

fn another_configuration(cluster: &Cluster) -> Result<String, String> {
    let copy = cluster.run.join("changed");
    output(Command::new("cp").arg("-r").arg(root().join(BASE)).arg(&copy))?;
    let file = copy.join("config.toml");
    let text = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
    std::fs::write(&file, format!("{text}max-attempts = 7\n")).map_err(|error| error.to_string())?;
    let took = cluster.meanwhile("config", || {
        cluster.k(&["apply", "--server-side", "--force-conflicts", "-k", &copy.display().to_string()])?;
        cluster.rolled_out()
    })?;
    let shown = cluster.inside_pod(&["config", "show"])?;
    let line = shown.lines().find(|line| line.starts_with("max-attempts")).unwrap_or_default();
    ensure(line.contains(" 7 "), || shown.clone())?;
    Ok(took)
}

fn in_place(cluster: &Cluster) -> Result<String, String> {
    let name = cluster.of_pod(".spec.volumes[?(@.name==\"config\")].configMap.name")?;
    let text =
        cluster.k(&["-n", SPACE, "get", "configmap", &name, "-o", "jsonpath={.data.config\\.toml}"])?;
    let patch = json!({"data": {"config.toml": format!("{text}\ndebounce = \"50ms\"\n")}}).to_string();
    let restarts = cluster.of_pod(".status.containerStatuses[0].restartCount")?;
    let took = cluster.meanwhile("in-place", || {
        cluster.k(&["-n", SPACE, "patch", "configmap", &name, "--patch", &patch])?;
        // The kubelet exchanges the volume at its next look, which may take a minute and more.
        for _ in 0..3 {
            let logs = || cluster.k(&["-n", SPACE, "logs", "deploy/conductor-loop"]).unwrap_or_default();
            let seen = wait_for("the setting", || logs().contains("\"setting\":\"debounce\""));
            if seen.is_ok() {
                return Ok(());
            }
        }
        Err("the exchange of the ConfigMap was not noticed".to_owned())
    })?;
    ensure(cluster.of_pod(".status.containerStatuses[0].restartCount")? == restarts, || {
        "it restarted".to_owned()
    })?;
    Ok(format!("noticed without a restart; {took}"))
}

fn killed(cluster: &Cluster) -> Result<String, String> {
    let count = || cluster.of_pod(".status.containerStatuses[0].restartCount").unwrap_or_default();
    let before = count();
    cluster.meanwhile("killed", || {
        let pid = daemon().ok_or("the daemon is not to be seen")?;
        output(Command::new("kill").args(["-KILL", &pid.to_string()]))?;
        wait_for("the restart", || count() != before)?;
        cluster.rolled_out()
    })
}

fn deleted(cluster: &Cluster) -> Result<String, String> {
    cluster.meanwhile("deleted", || {
        cluster.k(&["-n", SPACE, "delete", "pod", "-l", "app.kubernetes.io/component=daemon"])?;
        cluster.rolled_out()
    })
}

fn drained(cluster: &Cluster) -> Result<String, String> {
    cluster.meanwhile("drained", || {
        // The finished Job of the producer is no reason to stop.
        cluster.k(&[
            "drain",
            super::node::NAME,
            "--ignore-daemonsets",
            "--delete-emptydir-data",
            "--timeout=120s",
        ])?;
        ensure(daemon().is_none(), || "the daemon is still there".to_owned())?;
        cluster.k(&["uncordon", super::node::NAME])?;
        cluster.rolled_out()
    })
}

/// A Deployment of real pods.
fn workload(namespace: &str) -> String {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "cnf-simulator", "namespace": namespace},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "cnf-simulator"}}, "template": {
            "metadata": {"labels": {"app": "cnf-simulator"}},
            "spec": {"containers": [{"name": "pause", "image": "localhost/pause:1", "imagePullPolicy": "Never"}]},
        }},
    })
    .to_string()
}

/// Makes a namespace for a workload, lets it be applied and scaled, and waits for the pods of both numbers.
fn in_namespace(
    cluster: &Cluster,
    namespace: &str,
    apply: impl FnOnce() -> Result<(), String>,
    scale: impl FnOnce() -> Result<(), String>,
) -> Result<String, String> {
    cluster.k(&["create", "namespace", namespace])?;
    let wait = |number: &str| {
        let wanted = format!("--for=jsonpath={{.status.readyReplicas}}={number}");
        cluster.k(&["-n", namespace, "wait", "deploy/cnf-simulator", &wanted, "--timeout=120s"])
    };
    apply()?;
    wait("1")?;
    scale()?;
    wait("3")?;
    cluster.k(&["delete", "namespace", namespace, "--timeout=120s"])?;
    Ok("from 1 to 3".to_owned())
}

fn scaled(cluster: &Cluster) -> Result<String, String> {
    let apply = || cluster.k_with(&["apply", "--server-side"], &workload("oran-sim")).map(drop);
    let package =
        cluster.volume("out", "oran-sim/cnf-simulator-scaling/deployment.yaml").display().to_string();
    // A manager of its own, for a manager gives up what it does not name any more; the number had another one so far.
    let own = ["apply", "--server-side", "--force-conflicts", "--field-manager=conductor-loop", "-f"];
    in_namespace(cluster, "oran-sim", apply, || cluster.k(&[&own[..], &[&package]].concat()).map(drop))
}

/// A kustomization that owns a workload, and lists the component that the engine wrote.
fn component(cluster: &Cluster) -> Result<String, String> {
    let failed = |error: std::io::Error| error.to_string();
    let place = cluster.run.join("component");
    std::fs::create_dir_all(&place).map_err(failed)?;
    let intent = root().join("examples/handoff/intent-scale-up-001.json");
    output(
        Command::new(root().join("target/dist/porch"))
            .arg("-intent")
            .arg(intent)
            .arg("-out")
            .arg(&place)
            .args(["-structured", "--kustomize"]),
    )?;
    std::fs::write(place.join("deployment.json"), workload("oran-sim")).map_err(failed)?;
    let path = place.display().to_string();
    let build = |components: &str| {
        let text = format!("resources: [deployment.json]\n{components}");
        std::fs::write(place.join("kustomization.yaml"), text).map_err(failed)?;
        cluster.k(&["apply", "--server-side", "-k", &path]).map(drop)
    };
    let listed = || build("components: [oran-sim/cnf-simulator-scaling-patch]\n");
    in_namespace(cluster, "oran-sim", || build(""), listed)
}

/// Stands in for the Prometheus operator's own definitions, which are not part of Kubernetes.
fn definition(kind: &str, plural: &str) -> String {
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.monitoring.coreos.com")},
        "spec": {
            "group": "monitoring.coreos.com", "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase()},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}],
        },
    })
    .to_string()
}

fn overlays(cluster: &Cluster) -> Result<String, String> {
    for (kind, plural) in [("ServiceMonitor", "servicemonitors"), ("PrometheusRule", "prometheusrules")] {
        cluster.k_with(&["apply", "--server-side"], &definition(kind, plural))?;
        let name = format!("crd/{plural}.monitoring.coreos.com");
        cluster.k(&["wait", "--for=condition=Established", &name, "--timeout=60s"])?;
    }
    delete(cluster, BASE)?;
    let instances = super::instances::claims();
    let mut told = String::new();
    let secret = [
        "create",
        "secret",
        "generic",
        "conductor-loop-git",
        "--from-literal=deploy_key=x",
        "--from-literal=known_hosts=x",
    ];
    for (name, workload) in [("monitoring", "deploy"), ("git", "deploy"), ("instances", "statefulset")] {
        let overlay = format!("deploy/kubernetes/overlays/{name}");
        cluster.volumes(name, if name == "instances" { &instances[..] } else { &[][..] })?;
        if name != "instances" {
            cluster.volumes(name, &claims())?;
        }
        cluster.k(&["apply", "--server-side", "-f", "deploy/kubernetes/base/namespace.yaml"])?;
        cluster.k(&[&["-n", SPACE][..], &secret].concat())?;
        cluster.k(&["apply", "--server-side", "--force-conflicts", "-k", &overlay])?;
        let workload = format!("{workload}/conductor-loop");
        // A repository that is not there yet keeps the daemon from being ready; that it runs with its files is seen.
        if name == "git" {
            wait_for("the container", || {
                cluster.of_pod(".status.containerStatuses[0].started").is_ok_and(|is| is == "true")
            })?;
        } else {
            cluster.k(&["-n", SPACE, "rollout", "status", &workload, "--timeout=180s"])?;
        }
        if name == "instances" {
            told = super::instances::restarted(cluster)?;
        }
        delete(cluster, &overlay)?;
    }
    Ok(format!(
        "monitoring with definitions that stand in for the operator's, git without a remote, instances restarted one by one \
         and one killed: {told}, each done once"
    ))
}

/// The shell blocks of a page of documentation.
fn blocks(text: &str) -> Vec<&str> {
    text.split("\n```sh\n").skip(1).filter_map(|rest| rest.split("\n```\n").next()).collect()
}

/// Runs what the page says, in its order, with the cluster's kubectl.
fn page(cluster: &Cluster) -> Result<String, String> {
    let failed = |error: std::io::Error| error.to_string();
    cluster.volumes("page", &claims())?;
    cluster.volumes("page", &["conductor-loop-backups".to_owned()])?;
    // What the page has its reader do by hand: a recipient of backups, named in the overlay.
    let place = cluster.run.join("page");
    super::restored::with_recipient(cluster, &place)?;
    let programs = cluster.run.join("programs");
    std::fs::create_dir_all(&programs).map_err(failed)?;
    let kubectl = cluster.parts.kubernetes.join("kubectl");
    let script =
        format!("#!/bin/sh\nexec {} --kubeconfig {} \"$@\"\n", kubectl.display(), cluster.file("admin.conf"));
    std::fs::write(programs.join("kubectl"), script).map_err(failed)?;
    output(Command::new("chmod").arg("755").arg(programs.join("kubectl")))?;
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let text = std::fs::read_to_string(root().join("docs/KUBERNETES.md")).map_err(failed)?;
    let blocks = blocks(&text);
    for block in &blocks {
        output(Command::new("sh").args(["-euc", block]).env("PATH", &path).current_dir(&place))?;
    }
    ensure(daemon().is_none(), || "a daemon is left".to_owned())?;
    Ok(format!("{} blocks", blocks.len()))
}

fn delete(cluster: &Cluster, directory: &str) -> Result<(), String> {
    cluster.k(&["delete", "-k", directory, "--ignore-not-found", "--timeout=180s"])?;
    wait_for("the namespace to be gone", || cluster.k(&["get", "namespace", SPACE]).is_err())?;
    ensure(daemon().is_none(), || "a daemon is left".to_owned())?;
    // The volumes are kept for their data by policy; the next set has its own.
    cluster.k(&["delete", "pv", "--all", "--timeout=60s"]).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_on_kubernetes_has_blocks_that_a_shell_reads() {
        let text = std::fs::read_to_string(root().join("docs/KUBERNETES.md")).unwrap();
        let blocks = blocks(&text);
        assert!(blocks.len() >= 7, "{blocks:?}");
        for block in blocks {
            output(Command::new("sh").args(["-n", "-c", block])).unwrap();
        }
    }
}
