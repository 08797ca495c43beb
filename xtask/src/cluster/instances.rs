//! Several daemons, each with its own volumes: rolled one by one and killed while each has intents to do.

use super::inside::Cluster;
use super::work::{SPACE, done_once, hand_in};
use crate::dist::wait_for;
use std::path::PathBuf;

/// The intents that each of the three instances is given.
const EACH: usize = 100;

/// What the overlay's claims are called.
pub(super) fn claims() -> Vec<String> {
    let of = |number| ["handoff", "state", "out"].map(|name| format!("{name}-conductor-loop-{number}"));
    (0..3).flat_map(of).collect()
}

/// Gives each instance its intents while all are restarted one after the other and one is killed: each is done once.
pub(super) fn restarted(cluster: &Cluster) -> Result<String, String> {
    let workload = "statefulset/conductor-loop";
    let rolled = || cluster.k(&["-n", SPACE, "rollout", "status", workload, "--timeout=180s"]);
    let handoffs: Vec<PathBuf> = (0..3)
        .map(|number| cluster.claimed("instances", &format!("handoff-conductor-loop-{number}")))
        .collect();
    let names: Vec<String> = (0..EACH).map(|number| format!("shared-{number}")).collect();
    let mut some = names.chunks(EACH / 3);
    let more = |names: Option<&[String]>| {
        for name in names.unwrap_or_default() {
            handoffs.iter().try_for_each(|handoff| hand_in(handoff, name, &format!("t{}", name.len())))?;
        }
        Ok::<(), String>(())
    };
    more(some.next())?;
    cluster.k(&["-n", SPACE, "rollout", "restart", workload])?;
    more(some.next())?;
    rolled()?;
    let of = |field: &str| cluster.k(&["-n", SPACE, "get", "pod", "conductor-loop-1", "-o", field]);
    let id = of("jsonpath={.metadata.uid}")?;
    some.by_ref().try_for_each(|names| more(Some(names)))?;
    cluster.k(&["-n", SPACE, "delete", "pod", "conductor-loop-1", "--grace-period=0", "--force"])?;
    wait_for("another pod", || of("jsonpath={.metadata.uid}").is_ok_and(|other| other != id))?;
    rolled()?;
    handoffs.iter().try_for_each(|handoff| done_once(handoff, &names).map(|_| ()))?;
    Ok(format!("{} intents of three instances", 3 * EACH))
}
