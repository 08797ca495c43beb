//! What the manifests of deploy/kubernetes are held to, without a cluster: fields that Kubernetes knows, and the policies
//! of `policies`. Rendering needs kubectl or kustomize: a test that renders fails where neither is.

use super::repository::root;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, PersistentVolumeClaim, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde_json::Value;
use std::path::Path;

/// Every directory that is applied.
const APPLIED: [&str; 8] = [
    "deploy/kubernetes/base",
    "deploy/kubernetes/overlays/monitoring",
    "deploy/kubernetes/overlays/backups",
    "deploy/kubernetes/overlays/restore",
    "deploy/kubernetes/overlays/git",
    "deploy/kubernetes/overlays/instances",
    "deploy/kubernetes/overlays/example-producer",
    "deployments/k8s/conductor-loop",
];

pub(super) fn parsed(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

/// The objects of a directory as they would be applied.
fn rendered(directory: &str) -> Vec<Value> {
    let text = conductor_testkit::render(&root().join(directory));
    parsed(&text.unwrap_or_else(|complaint| panic!("{directory}: {complaint}")))
}

/// Every directory with its objects.
pub(super) fn all_rendered() -> [(&'static str, Vec<Value>); APPLIED.len()] {
    APPLIED.map(|directory| (directory, rendered(directory)))
}

/// Reads an object as its kind, and returns the paths of fields that the kind does not have. None: a kind of others.
fn unknown_fields(object: &Value) -> Option<Vec<String>> {
    fn read<T: serde::de::DeserializeOwned>(object: &Value) -> Vec<String> {
        let mut unknown = Vec::new();
        let read: Result<T, _> =
            serde_ignored::deserialize(object, |path| unknown.push(path.to_string().replace(".?", "")));
        if let Err(error) = read {
            unknown.push(error.to_string());
        }
        unknown
    }
    let kind = (object["apiVersion"].as_str()?, object["kind"].as_str()?);
    Some(match kind {
        ("v1", "Namespace") => read::<Namespace>(object),
        ("v1", "ServiceAccount") => read::<ServiceAccount>(object),
        ("v1", "ConfigMap") => read::<ConfigMap>(object),
        ("v1", "Service") => read::<Service>(object),
        ("v1", "PersistentVolumeClaim") => read::<PersistentVolumeClaim>(object),
        ("apps/v1", "Deployment") => read::<Deployment>(object),
        ("apps/v1", "StatefulSet") => read::<StatefulSet>(object),
        ("batch/v1", "Job") => read::<Job>(object),
        ("policy/v1", "PodDisruptionBudget") => read::<PodDisruptionBudget>(object),
        ("networking.k8s.io/v1", "NetworkPolicy") => read::<NetworkPolicy>(object),
        ("monitoring.coreos.com/v1" | "kustomize.config.k8s.io/v1beta1", _) => return None,
        other => panic!("no type for {other:?}"),
    })
}

/// Every YAML file of the manifests with an object in it; patches of single operations have none.
fn files() -> Vec<(String, Value)> {
    fn walk(directory: &Path, found: &mut Vec<(String, Value)>) {
        for entry in std::fs::read_dir(directory).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                let objects = parsed(&std::fs::read_to_string(&path).unwrap());
                let objects = objects.into_iter().filter(Value::is_object);
                found.extend(objects.map(|object| (path.display().to_string(), object)));
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join("deploy/kubernetes"), &mut found);
    found
}

#[test]
fn every_field_of_the_manifests_is_one_that_kubernetes_has() {
    let mut checked = 0;
    let rendered = all_rendered();
    let rendered = rendered.iter().flat_map(|(directory, objects)| {
        objects.iter().map(|object| ((*directory).to_owned(), object.clone()))
    });
    for (place, object) in files().into_iter().chain(rendered) {
        let Some(unknown) = unknown_fields(&object) else { continue };
        assert!(
            unknown.is_empty(),
            "{place}: {} {}: {unknown:?}",
            object["kind"],
            object["metadata"]["name"]
        );
        checked += 1;
    }
    assert!(checked > 15, "{checked}");
}

#[test]
fn a_misspelt_field_and_a_wrong_type_are_found() {
    let mut object =
        parsed("{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 1, selector: {}, template: {}}}");
    assert_eq!(unknown_fields(&object[0]), Some(vec![]));
    object[0]["spec"]["template"]["spec"]["hostNetwrok"] = true.into();
    assert_eq!(unknown_fields(&object[0]).unwrap(), ["spec.template.spec.hostNetwrok"]);
    object[0]["spec"]["replicas"] = "one".into();
    assert!(unknown_fields(&object[0]).unwrap().iter().any(|said| said.contains("invalid type")));
}

#[test]
fn the_path_of_the_specification_leads_to_the_base() {
    let all = all_rendered();
    let of = |name: &str| all.iter().find(|(directory, _)| *directory == name).map(|(_, objects)| objects);
    assert!(of("deploy/kubernetes/base").is_some_and(|objects| !objects.is_empty()));
    assert_eq!(of("deployments/k8s/conductor-loop"), of("deploy/kubernetes/base"));
}

#[test]
fn the_configurations_in_the_manifests_are_accepted_and_end_within_the_pod_s_grace_time() {
    use conductor_loop::config::{Config, Environment, layer};
    let pod = std::fs::read_to_string(root().join("deploy/kubernetes/base/deployment.yaml")).unwrap();
    let grace =
        parsed(&pod)[0]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap();
    for place in ["base", "overlays/git"] {
        let path = root().join("deploy/kubernetes").join(place).join("config.toml");
        let flags = [("config", path.display().to_string())].into();
        let config = Config::new(layer(&flags, &Environment::default()).unwrap()).unwrap();
        // Until the loop has turned and the last commit is made, some more seconds.
        assert!(config.live.run.grace.as_secs() + 10 <= grace, "{place}");
    }
}

#[test]
fn the_example_and_the_alerts_are_those_of_the_repository() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let name = "intent-scale-up-001.json";
    let job = format!("deploy/kubernetes/overlays/example-producer/{name}");
    assert_eq!(read(&job), read(&format!("examples/handoff/{name}")));
    let rules = parsed(&read("deploy/kubernetes/overlays/monitoring/rules.yaml"));
    assert_eq!(rules[0]["spec"], parsed(&read("deploy/monitoring/alerts.yaml"))[0]);
}
