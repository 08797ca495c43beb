//! What the cluster refuses: pods that are not hardened; and what a pod tells whose start the daemon refuses.

use super::inside::Cluster;
use super::work::SPACE;
use crate::dist::{ensure, wait_for};
use serde_json::{Value, json};

/// How to weaken the daemon's pod: where, and to what.
fn weaknesses() -> [(&'static str, Value); 9] {
    [
        ("/containers/0/securityContext/allowPrivilegeEscalation", json!(true)),
        ("/containers/0/securityContext/capabilities", json!({"add": ["SYS_ADMIN"], "drop": ["ALL"]})),
        ("/containers/0/securityContext/capabilities", json!({})),
        ("/containers/0/securityContext/runAsUser", json!(0)),
        ("/containers/0/securityContext/runAsNonRoot", json!(false)),
        ("/containers/0/securityContext/seccompProfile", json!({"type": "Unconfined"})),
        ("/hostNetwork", json!(true)),
        ("/hostPID", json!(true)),
        ("/volumes/0", json!({"name": "handoff", "hostPath": {"path": "/"}})),
    ]
}

/// A weakened copy of the pod of the Deployment is refused, and the pod itself is not.
pub(super) fn weakened(cluster: &Cluster) -> Result<String, String> {
    let deployment = cluster.k(&["-n", SPACE, "get", "deploy", "conductor-loop", "-o", "json"])?;
    let deployment: Value = serde_json::from_str(&deployment).map_err(|error| error.to_string())?;
    let template = &deployment["spec"]["template"]["spec"];
    let create = |spec: &Value| {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "copy", "namespace": SPACE}, "spec": spec,
        });
        cluster.k_with(&["create", "--dry-run=server"], &pod.to_string())
    };
    create(template)?;
    for (place, value) in weaknesses() {
        let mut weak = template.clone();
        let (parent, name) = place.rsplit_once('/').unwrap_or_default();
        match weak.pointer_mut(parent) {
            Some(Value::Array(list)) => list[0] = value,
            Some(object) => object[name] = value,
            None => return Err(format!("{place} is not there")),
        }
        let refused = create(&weak).err().unwrap_or_default();
        ensure(refused.contains("violates PodSecurity \"restricted"), || format!("{place}: {refused}"))?;
    }
    Ok(format!("{} copies, each by the API server", weaknesses().len()))
}

/// The reason of a refused start is the container's termination message.
pub(super) fn told(cluster: &Cluster) -> Result<String, String> {
    let set = |word: &str| cluster.k(&["-n", SPACE, "set", "env", "deploy/conductor-loop", word]);
    set("CONDUCTOR_MODE=nonsense")?;
    let message = || {
        let of =
            |state: &str| cluster.of_pod(&format!(".status.containerStatuses[0].{state}.terminated.message"));
        [of("state"), of("lastState")].map(Result::unwrap_or_default).concat()
    };
    wait_for("the message", || message().contains("nonsense"))?;
    let message = message();
    ensure(message.contains("E5") && message.contains("CONDUCTOR_MODE"), || message.clone())?;
    set("CONDUCTOR_MODE-")?;
    cluster.rolled_out()?;
    Ok(message.lines().next().unwrap_or_default().to_owned())
}
