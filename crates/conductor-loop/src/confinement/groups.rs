//! A control group for each run, where the process was given one for itself: what a run starts ends with it, and together it
//! takes no more than the limits say.

use crate::config::Config;
use conductor_core::Runs;
use conductor_core::confinement::{Part, PartStanding, Standing};
use conductor_os::cgroup::{self, Limits, NoGroup, own};

/// Why the embedded engine has no groups.
const ONLY_PROGRAMS: &str = "the embedded engine is a part of the daemon, and starts no porch";

/// Begins the groups, whatever else is confined: like other limits, they hold in every mode.
pub(super) fn begin(config: &Config, has_program: impl FnOnce() -> bool) {
    if own().is_ok() && !has_program() {
        cgroup::begin_without(NoGroup::NotGiven(ONLY_PROGRAMS.to_owned()));
        return;
    }
    let resources = config.fixed.resources;
    let limits = Limits { memory: resources.memory, processes: resources.processes };
    cgroup::begin(limits);
}

/// Whether runs have groups, or could have them if a daemon were started here.
pub(super) fn standing(config: &Config) -> PartStanding {
    let found = match cgroup::get() {
        Some(begun) => begun.map(drop).map_err(Clone::clone),
        None if config.fixed.porch == Runs::Embedded => Err(NoGroup::NotGiven(ONLY_PROGRAMS.to_owned())),
        None => own().map(drop),
    };
    let (standing, reason) = match found {
        Ok(()) => (Standing::Active, String::new()),
        Err(error @ NoGroup::NotGiven(_)) => (Standing::Off, error.to_string()),
        Err(error @ NoGroup::Missing(_)) => (Standing::Missing, error.to_string()),
        Err(error @ NoGroup::Refused(_)) => (Standing::Refused, error.to_string()),
    };
    PartStanding { part: Part::Cgroup, standing, reason }
}

/// Says in the log what holds for the groups, and what a daemon before this one left in them.
pub(super) fn say() {
    let Some(Ok(groups)) = cgroup::get() else { return };
    let holds = |limit: Option<u64>| limit.map_or_else(|| "off".to_owned(), |limit| limit.to_string());
    let (memory, processes) = (holds(groups.limits.memory), holds(groups.limits.processes));
    tracing::info!(memory, processes, "each run has a control group");
    if !groups.ended.is_empty() {
        let left = groups.ended.iter().take(20).map(|process| format!("{} {}", process.id.pid, process.name));
        let left = left.collect::<Vec<_>>().join(", ");
        tracing::warn!(
            left_over = left,
            "processes of a daemon that was killed were ended by their control group"
        );
    }
    for (group, reason) in &groups.unlisted {
        tracing::warn!(group, reason, "what a daemon before left in a control group cannot be listed");
    }
    for (group, reason) in groups.kept() {
        tracing::warn!(
            group,
            reason,
            "a control group that a daemon before left cannot be removed, and is left aside"
        );
    }
}
