//! The first process of a cluster: it brings all others up, in namespaces of its own.

use super::inside::Cluster;
use super::parts::Parts;
use super::place::{place, run_place};
use super::{keys, node, plane, steps};

/// Brings the cluster up and uses it as `what` says.
pub(super) fn inside(what: &str) -> Result<String, String> {
    let cluster = Cluster { parts: Parts::at(&place()), run: run_place() };
    node::namespace(&cluster)?;
    keys::write(&cluster)?;
    plane::start(&cluster)?;
    node::start(&cluster)?;
    std::fs::write(cluster.run.join("ready"), "").map_err(|error| error.to_string())?;
    if what == "test" {
        return steps::run(&cluster);
    }
    loop {
        std::thread::park();
    }
}
