//! The policies that pods and namespace of deploy/kubernetes are held to, each with a copy that breaks it: the workload's part
//! of the CIS Kubernetes Benchmark (numbers of version 1.12) and of the NSA/CISA Kubernetes Hardening Guide, and our own.

use super::kubernetes::all_rendered;
use serde_json::{Value, json};

/// One policy, and how to break it in the rendered base.
struct Policy {
    id: &'static str,
    holds: fn(&[Value]) -> bool,
    weaken: fn(&mut Vec<Value>),
}

fn of<'o>(objects: &'o [Value], kind: &str) -> Vec<&'o Value> {
    objects.iter().filter(|object| object["kind"] == *kind).collect()
}

/// The pods that the objects make.
fn pods(objects: &[Value]) -> Vec<&Value> {
    let makes =
        |object: &&Value| ["Deployment", "StatefulSet", "Job"].iter().any(|kind| object["kind"] == *kind);
    objects.iter().filter(makes).map(|object| &object["spec"]["template"]["spec"]).collect()
}

fn containers(objects: &[Value]) -> Vec<&Value> {
    let lists = ["containers", "initContainers", "ephemeralContainers"];
    let of = |pod| lists.into_iter().filter_map(move |list| Value::get(pod, list)?.as_array()).flatten();
    pods(objects).into_iter().flat_map(of).collect()
}

fn every_pod(objects: &[Value], holds: impl Fn(&Value) -> bool) -> bool {
    let pods = pods(objects);
    !pods.is_empty() && pods.into_iter().all(holds)
}

fn every_container(objects: &[Value], holds: impl Fn(&Value) -> bool) -> bool {
    let containers = containers(objects);
    !containers.is_empty() && containers.into_iter().all(holds)
}

/// Neither set nor true, for the switches whose default is safe.
fn off(value: &Value) -> bool {
    value.is_null() || *value == false
}

fn object<'o>(objects: &'o mut [Value], kind: &str) -> &'o mut Value {
    objects.iter_mut().find(|object| object["kind"] == *kind).unwrap()
}

fn pod(objects: &mut [Value]) -> &mut Value {
    &mut object(objects, "Deployment")["spec"]["template"]["spec"]
}

fn container(objects: &mut [Value]) -> &mut Value {
    &mut pod(objects)["containers"][0]
}

const CIS: [Policy; 21] = [
    Policy {
        id: "CIS 5.1.1 to 5.1.4, 5.1.7 to 5.1.13: no right is given to anybody",
        holds: |all| {
            !all.iter().any(|object| object["kind"].as_str().is_some_and(|kind| kind.contains("Role")))
        },
        weaken: |all| all.push(json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding"})),
    },
    Policy {
        id: "CIS 5.1.5: an account of its own",
        holds: |all| {
            every_pod(all, |pod| pod["serviceAccountName"].as_str().is_some_and(|name| name != "default"))
        },
        weaken: |all| pod(all)["serviceAccountName"] = Value::Null,
    },
    Policy {
        id: "CIS 5.1.6: no token in a pod",
        holds: |all| every_pod(all, |pod| pod["automountServiceAccountToken"] == false),
        weaken: |all| pod(all)["automountServiceAccountToken"] = Value::Null,
    },
    Policy {
        id: "CIS 5.1.6: no token with the account",
        holds: |all| {
            of(all, "ServiceAccount").iter().all(|account| account["automountServiceAccountToken"] == false)
        },
        weaken: |all| object(all, "ServiceAccount")["automountServiceAccountToken"] = Value::Null,
    },
    Policy {
        id: "CIS 5.2.1: the namespace enforces the restricted level",
        holds: |all| {
            of(all, "Namespace").iter().all(|space| {
                space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
            }) && !of(all, "Namespace").is_empty()
        },
        weaken: |all| {
            object(all, "Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] =
                json!("baseline");
        },
    },
    Policy {
        id: "CIS 5.2.2: not privileged",
        holds: |all| every_container(all, |one| off(&one["securityContext"]["privileged"])),
        weaken: |all| container(all)["securityContext"]["privileged"] = json!(true),
    },
    Policy {
        id: "CIS 5.2.3: processes of its own",
        holds: |all| every_pod(all, |pod| off(&pod["hostPID"])),
        weaken: |all| pod(all)["hostPID"] = json!(true),
    },
    Policy {
        id: "CIS 5.2.4: IPC of its own",
        holds: |all| every_pod(all, |pod| off(&pod["hostIPC"])),
        weaken: |all| pod(all)["hostIPC"] = json!(true),
    },
    Policy {
        id: "CIS 5.2.5: a network of its own",
        holds: |all| every_pod(all, |pod| off(&pod["hostNetwork"])),
        weaken: |all| pod(all)["hostNetwork"] = json!(true),
    },
    Policy {
        id: "CIS 5.2.6: no escalation",
        holds: |all| every_container(all, |one| one["securityContext"]["allowPrivilegeEscalation"] == false),
        weaken: |all| container(all)["securityContext"]["allowPrivilegeEscalation"] = Value::Null,
    },
    Policy {
        id: "CIS 5.2.7: not root",
        holds: |all| {
            every_container(all, |one| {
                let context = &one["securityContext"];
                context["runAsNonRoot"] == true
                    && context["runAsUser"].as_u64().is_some_and(|uid| uid > 10_000)
            })
        },
        weaken: |all| container(all)["securityContext"]["runAsUser"] = json!(0),
    },
    Policy {
        id: "CIS 5.2.8, 5.2.9: every capability dropped, NET_RAW with them",
        holds: |all| {
            every_container(all, |one| one["securityContext"]["capabilities"] == json!({"drop": ["ALL"]}))
        },
        weaken: |all| container(all)["securityContext"]["capabilities"]["drop"] = json!(["NET_RAW"]),
    },
    Policy {
        id: "CIS 5.2.9: none added",
        holds: |all| every_container(all, |one| one["securityContext"]["capabilities"]["add"].is_null()),
        weaken: |all| container(all)["securityContext"]["capabilities"]["add"] = json!(["SYS_ADMIN"]),
    },
    Policy {
        id: "CIS 5.2.10: no process of a Windows host",
        holds: |all| {
            every_pod(all, |pod| off(&pod["securityContext"]["windowsOptions"]["hostProcess"]))
                && every_container(all, |one| off(&one["securityContext"]["windowsOptions"]["hostProcess"]))
        },
        weaken: |all| pod(all)["securityContext"]["windowsOptions"] = json!({"hostProcess": true}),
    },
    Policy {
        id: "CIS 5.2.11: no directory of the node",
        holds: |all| every_pod(all, |pod| !pod["volumes"].to_string().contains("hostPath")),
        weaken: |all| pod(all)["volumes"] = json!([{"name": "root", "hostPath": {"path": "/"}}]),
    },
    Policy {
        id: "CIS 5.2.12: no port of the node",
        holds: |all| every_container(all, |one| !one["ports"].to_string().contains("hostPort")),
        weaken: |all| container(all)["ports"][0]["hostPort"] = json!(8080),
    },
    Policy {
        id: "CIS 5.3.2: the namespace has policies for traffic",
        holds: |all| !of(all, "NetworkPolicy").is_empty(),
        weaken: |all| all.retain(|object| object["kind"] != "NetworkPolicy"),
    },
    Policy {
        id: "CIS 5.4.1: secrets are files",
        holds: |all| {
            every_container(all, |one| {
                one["envFrom"].is_null() && !one["env"].to_string().contains("secretKeyRef")
            })
        },
        weaken: |all| container(all)["envFrom"] = json!([{"secretRef": {"name": "x"}}]),
    },
    Policy {
        id: "CIS 5.6.1, 5.6.4: everything is in a namespace of its own",
        holds: |all| {
            let own = |object: &Value| object["metadata"]["namespace"] == "conductor-loop";
            all.iter().all(|object| object["kind"] == "Namespace" || own(object))
        },
        weaken: |all| object(all, "Service")["metadata"]["namespace"] = json!("default"),
    },
    Policy {
        id: "CIS 5.6.2: the runtime's seccomp profile",
        holds: |all| {
            every_pod(all, |pod| pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault")
        },
        weaken: |all| pod(all)["securityContext"]["seccompProfile"]["type"] = json!("Unconfined"),
    },
    Policy {
        id: "CIS 5.6.3, the specification: the container's security context to the letter",
        holds: |all| {
            let wanted = json!({
                "runAsNonRoot": true, "runAsUser": 65534, "runAsGroup": 65534, "readOnlyRootFilesystem": true,
                "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            });
            every_container(all, |one| one["securityContext"] == wanted)
        },
        weaken: |all| container(all)["securityContext"]["runAsGroup"] = json!(0),
    },
];

/// The ports that may be open to every address: a policy knows no host names, and remotes of Git are anywhere.
const ANYWHERE: [u64; 2] = [22, 443];

/// Whether a rule of a `NetworkPolicy` names single ports, and peers by labels alone. What goes out may have no peers, to
/// few ports.
fn is_narrow(rule: &Value, side: &str) -> bool {
    let list = |key: &str| rule[key].as_array().map(Vec::as_slice).unwrap_or_default();
    let (ports, peers) = (list("ports"), list(side));
    let is_single = |port: &Value| !port["port"].is_null() && port["endPort"].is_null();
    let is_anywhere = |port: &Value| {
        port["protocol"] == "TCP" && port["port"].as_u64().is_some_and(|number| ANYWHERE.contains(&number))
    };
    !ports.is_empty()
        && ports.iter().all(is_single)
        && peers.iter().all(is_labelled)
        && (!peers.is_empty() || (side == "to" && ports.iter().all(is_anywhere)))
}

/// Whether a peer is chosen by labels: an empty selector chooses all, and an `ipBlock` none of ours.
fn is_labelled(peer: &Value) -> bool {
    let chooses = |selector: &str| {
        let labels = &peer[selector]["matchLabels"];
        let expressions = &peer[selector]["matchExpressions"];
        labels.as_object().is_some_and(|labels| !labels.is_empty())
            || expressions.as_array().is_some_and(|expressions| !expressions.is_empty())
    };
    peer["ipBlock"].is_null() && ["podSelector", "namespaceSelector"].into_iter().any(chooses)
}

fn rules<'o>(all: &'o [Value], side: &'o str) -> impl Iterator<Item = &'o Value> {
    of(all, "NetworkPolicy").into_iter().filter_map(move |policy| policy["spec"][side].as_array()).flatten()
}

const NSA: [Policy; 6] = [
    Policy {
        id: "NSA, immutable container file systems",
        holds: |all| every_container(all, |one| one["securityContext"]["readOnlyRootFilesystem"] == true),
        weaken: |all| container(all)["securityContext"]["readOnlyRootFilesystem"] = json!(false),
    },
    Policy {
        id: "NSA, resource policies: memory and CPU are asked for and limited",
        holds: |all| {
            every_container(all, |one| {
                let set = |what: &str, name: &str| one["resources"][what][name].is_string();
                ["cpu", "memory"].iter().all(|name| set("requests", name) && set("limits", name))
                    && one["resources"]["requests"]["memory"] == one["resources"]["limits"]["memory"]
            })
        },
        weaken: |all| container(all)["resources"]["limits"] = json!({"cpu": "1"}),
    },
    Policy {
        id: "NSA, network policies: everything is denied by default",
        holds: |all| {
            of(all, "NetworkPolicy").iter().any(|policy| {
                policy["spec"] == json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})
            })
        },
        weaken: |all| {
            for policy in all.iter_mut().filter(|object| object["kind"] == "NetworkPolicy") {
                policy["spec"]["policyTypes"] = json!(["Ingress"]);
            }
        },
    },
    Policy {
        id: "NSA, network policies: what is opened is narrow",
        holds: |all| {
            rules(all, "ingress").all(|rule| is_narrow(rule, "from"))
                && rules(all, "egress").all(|rule| is_narrow(rule, "to"))
        },
        weaken: |all| object(all, "NetworkPolicy")["spec"]["ingress"] = json!([{}]),
    },
    Policy {
        id: "NSA, container images: a tag of this version, never latest",
        holds: |all| {
            let version = concat!("conductor-loop:", env!("CARGO_PKG_VERSION"));
            every_container(all, |one| one["image"] == version || one["image"] == format!("{version}-git"))
        },
        weaken: |all| container(all)["image"] = json!("conductor-loop:latest"),
    },
    Policy {
        id: "NSA, service account tokens: not in the environment either",
        holds: |all| every_container(all, |one| !one["env"].to_string().to_lowercase().contains("token")),
        weaken: |all| container(all)["env"][0]["name"] = json!("API_TOKEN"),
    },
];

const OURS: [Policy; 6] = [
    Policy {
        id: "one daemon for one set of volumes: never two pods at once",
        holds: |all| {
            of(all, "Deployment").iter().all(|one| {
                one["spec"]["replicas"].as_u64().is_some_and(|pods| pods <= 1)
                    && one["spec"]["strategy"] == json!({"type": "Recreate"})
            })
        },
        weaken: |all| object(all, "Deployment")["spec"]["strategy"] = json!({"type": "RollingUpdate"}),
    },
    Policy {
        id: "a drain is never blocked",
        holds: |all| of(all, "PodDisruptionBudget").iter().all(|one| one["spec"]["maxUnavailable"] == 1),
        weaken: |all| object(all, "PodDisruptionBudget")["spec"] = json!({"minAvailable": 1}),
    },
    Policy {
        id: "another configuration is another name of the ConfigMap",
        holds: |all| {
            let hashed =
                |one: &&&Value| one["metadata"]["name"].as_str().is_some_and(|name| name.len() == 25);
            of(all, "ConfigMap").iter().filter(hashed).any(|one| one["data"]["config.toml"].is_string())
        },
        weaken: |all| object(all, "ConfigMap")["metadata"]["name"] = json!("conductor-loop"),
    },
    Policy {
        id: "the directories are in the environment, for `kubectl exec`",
        holds: |all| {
            every_container(all, |one| {
                let env = one["env"].as_array().unwrap();
                env.iter().any(|one| one["name"] == "CONDUCTOR_HANDOFF_DIR" && one["value"] == "/handoff")
            })
        },
        weaken: |all| container(all)["env"] = json!([]),
    },
    Policy {
        id: "the probes are at the daemon's own endpoints",
        holds: |all| {
            let daemons = containers(all).into_iter().filter(|one| one["name"] == "conductor-loop");
            daemons.into_iter().all(|one| {
                let path = |probe: &str| one[probe]["httpGet"]["path"].as_str().map(str::to_owned);
                ["startupProbe", "livenessProbe", "readinessProbe"].map(path)
                    == ["/livez", "/livez", "/readyz"].map(|path| Some(path.to_owned()))
                    && one["ports"][0]["containerPort"] == 8080
                    && one["ports"][1]["containerPort"] == 9090
            })
        },
        weaken: |all| container(all)["livenessProbe"]["httpGet"]["path"] = json!("/readyz"),
    },
    Policy {
        id: "every object has the field's labels",
        holds: |all| {
            all.iter().all(|one| {
                let label = |name: &str| &one["metadata"]["labels"][format!("app.kubernetes.io/{name}")];
                label("name").is_string() && (label("part-of") == "conductor-loop")
            })
        },
        weaken: |all| object(all, "Service")["metadata"]["labels"] = json!({}),
    },
];

#[test]
fn every_manifest_keeps_every_policy_and_a_weakened_copy_breaks_it() {
    for (directory, objects) in all_rendered() {
        for Policy { id, holds, weaken } in CIS.iter().chain(&NSA).chain(&OURS) {
            assert!(holds(&objects), "{directory}: {id}");
            if directory.ends_with("/base") {
                let mut weak = objects.clone();
                weaken(&mut weak);
                assert!(!holds(&weak), "{id}: a weakened copy passes");
            }
        }
    }
}

#[test]
fn a_rule_of_a_network_policy_is_narrow_only_with_single_ports_and_chosen_peers() {
    let peer = |peer: Value| json!([peer]);
    let (dns, https) = (json!([{"port": 53, "protocol": "UDP"}]), json!([{"port": 443, "protocol": "TCP"}]));
    let named = peer(json!({"namespaceSelector": {"matchLabels": {"a": "b"}}}));
    for (side, peers, ports, narrow) in [
        ("from", named.clone(), &dns, true),
        ("to", named.clone(), &dns, true),
        ("to", json!([]), &https, true),
        ("to", json!([]), &dns, false),
        ("from", json!([]), &https, false),
        ("from", named.clone(), &json!([]), false),
        ("from", named.clone(), &json!([{"protocol": "TCP"}]), false),
        ("to", named.clone(), &json!([{"port": 1, "endPort": 65535, "protocol": "TCP"}]), false),
        ("to", json!([]), &json!([{"port": 443, "endPort": 65535, "protocol": "TCP"}]), false),
        ("from", peer(json!({"namespaceSelector": {}})), &dns, false),
        ("from", peer(json!({"podSelector": {}, "namespaceSelector": {"matchLabels": {}}})), &dns, false),
        (
            "from",
            peer(json!({"podSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}})),
            &dns,
            true,
        ),
        ("to", peer(json!({"ipBlock": {"cidr": "0.0.0.0/0"}})), &https, false),
        ("to", peer(json!({"ipBlock": {"cidr": "::/0"}})), &https, false),
        ("to", peer(json!({"ipBlock": {"cidr": "0.0.0.0/1"}})), &https, false),
    ] {
        let rule = json!({side: peers, "ports": ports});
        assert_eq!(is_narrow(&rule, side), narrow, "{rule}");
    }
}
