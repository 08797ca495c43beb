//! The promise, asked of a machine on which everything has ended.

use super::disk::{Data, Place};
use super::protocol::{ATTEMPTS_MAX, Machine, Store};
use conductor_core::Code;
use conductor_core::stage::Final;
use std::collections::HashSet;

/// The parts of the promise that do not hold.
pub(super) fn judge(machine: &Machine) -> Vec<&'static str> {
    let Machine { disk, store, world, .. } = machine;
    let mut broken = HashSet::new();
    for (content, name) in &world.dropped {
        let archived: Vec<Place> = disk
            .places()
            .filter(|place| matches!(place, Place::Processed(..) | Place::Failed(..)))
            .filter(|place| disk.read(*place) == Some(Data::Intent(*content)))
            .collect();
        let outcomes: Vec<_> = store.now.iter().filter(|(_, entry)| entry.bytes == Some(*content)).collect();
        match archived.len() {
            0 => drop(broken.insert("bytes lost")),
            1 => {}
            _ => drop(broken.insert("archived twice")),
        }
        let [(seq, entry)] = outcomes.as_slice() else {
            broken.insert("not one outcome");
            continue;
        };
        let Some(settled) = &entry.outcome else {
            broken.insert("no outcome");
            continue;
        };
        let runs = world.runs.iter().map(|run| u32::from(run == content)).sum::<u32>();
        let succeeded = world.succeeded.contains(content);
        let newest = store.now.iter().rfind(|(_, entry)| entry.name == *name);
        if newest.is_some_and(|(newest, _)| newest == *seq)
            && disk.read(Place::Status(*name)) != Some(Data::Status(**seq))
        {
            broken.insert("the status is not that of the last outcome");
        }
        if settled.end == Final::Success && !succeeded {
            broken.insert("success that never was");
        }
        if runs > ATTEMPTS_MAX || runs > settled.attempts {
            broken.insert("more starts than are said");
        }
        if settled.attempts > runs + world.crashes_in_run {
            broken.insert("starts that never were");
        }
        let asked_again = u32::from(world.retried);
        if settled.end == Final::Failed(Code::Interrupted)
            && world.crashes_in_run + asked_again < ATTEMPTS_MAX
        {
            broken.insert("given up too early");
        }
    }
    broken.extend(whole(machine));
    broken.into_iter().collect()
}

/// Checks order, packages, and that nothing is left over or half written.
fn whole(machine: &Machine) -> Vec<&'static str> {
    let Machine { disk, store, world, .. } = machine;
    let mut broken = Vec::new();
    for place in disk.places() {
        let left = matches!(place, Place::Handoff(_) | Place::Taken(..) | Place::Staged | Place::Draft);
        if left {
            broken.push("left over");
        }
        let half = matches!(disk.read(place), Some(Data::Torn | Data::Empty));
        if half && !matches!(place, Place::PackageDraft | Place::Package) {
            broken.push("half a file");
        }
    }
    if world.torn_status_seen {
        broken.push("a reader saw half a status");
    }
    if world.package_lost {
        broken.push("half a package in the place of a whole one");
    }
    let package = disk.read(Place::Package);
    let packages = possible_packages(store);
    if !packages.is_empty() && !packages.iter().any(|content| package == Some(Data::Intent(*content))) {
        broken.push("the package is not that of the last success");
    }
    // Of one target, the second intent never starts before the first has its outcome.
    let order: Vec<u8> = world.runs.iter().copied().filter(|content| *content < 7).collect();
    if order.windows(2).any(|pair| pair[0] > pair[1]) {
        broken.push("out of order");
    }
    broken
}

/// The packages that may exist: that of the last success, or of a later intent whose porch may have written it before its
/// last interruption; none if nothing succeeded.
fn possible_packages(store: &Store) -> Vec<u8> {
    let mut possible = Vec::new();
    for entry in store.now.values() {
        match (entry.outcome.as_ref().map(|outcome| outcome.end), entry.bytes) {
            (Some(Final::Success), Some(content)) => possible = vec![content],
            (Some(Final::Failed(Code::Interrupted)), Some(content)) if !possible.is_empty() => {
                possible.push(content);
            }
            _ => {}
        }
    }
    possible
}
