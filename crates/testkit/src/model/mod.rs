//! A bounded model checker for the daemon's protocol: every crash point, every disk a power cut can leave there, a second
//! crash at every point of the recovery, and a producer that interferes at every point. Each of the protocol's durability
//! steps can be left out, and then the checker must find a broken promise.

mod disk;
mod protocol;

use conductor_core::Code;
use conductor_core::stage::Final;
use disk::{Data, Place};
use protocol::{ATTEMPTS_MAX, Crash, Daemon, Machine, NUMBERED, Store};
use std::collections::{BTreeMap, HashSet};

/// A step of the protocol that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Omit {
    /// No step: the protocol as it is.
    Nothing,
    /// The claim's transaction is not durable.
    ClaimSync,
    /// The producer's file is removed before the claim.
    ClaimBeforeRemoval,
    /// The record of a start is not durable.
    StartSync,
    /// Recovery discards the run table before the starts it proves are durable.
    CountingStarts,
    /// The outcome's transaction is not durable.
    OutcomeSync,
    /// Files are published before the outcome is recorded.
    OutcomeBeforeFiles,
    /// An outcome is recorded before its package is durable.
    PackageSync,
    /// A package is replaced by one whose bytes are not durable.
    PackageDraftSync,
    /// DONE is recorded before the files are durable.
    FileSync,
    /// A status is written in place, without a draft.
    StatusDraft,
    /// A numbered name in the archive is used without checking its owner.
    NameOwner,
}

impl Omit {
    /// Every omission; the checker must find a violation for each.
    pub const ALL: [Self; 11] = [
        Self::ClaimSync,
        Self::ClaimBeforeRemoval,
        Self::StartSync,
        Self::CountingStarts,
        Self::OutcomeSync,
        Self::OutcomeBeforeFiles,
        Self::PackageSync,
        Self::PackageDraftSync,
        Self::FileSync,
        Self::StatusDraft,
        Self::NameOwner,
    ];
}

/// The behaviour of porch in a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Porch {
    /// It writes a package and succeeds.
    Succeeds,
    /// It fails.
    Fails,
    /// It asks once for a retry, then succeeds.
    AsksOnce,
}

/// One history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// The step that the protocol leaves out.
    pub omit: Omit,
    /// The behaviour of porch.
    pub porch: Porch,
    /// A second intent of the same target under another name waits behind the first.
    pub two: bool,
    /// Another file has the name under which a later intent of the first's name will be archived.
    pub numbered: bool,
    /// Whether DONE follows each intent or comes at the end.
    pub sync_each: bool,
}

/// Histories that together show every kind of step.
pub const VARIANTS: [Variant; 7] = {
    let plain = Variant {
        omit: Omit::Nothing,
        porch: Porch::Succeeds,
        two: false,
        numbered: false,
        sync_each: false,
    };
    [
        plain,
        Variant { porch: Porch::Fails, ..plain },
        Variant { porch: Porch::AsksOnce, ..plain },
        Variant { two: true, sync_each: true, ..plain },
        Variant { two: true, ..plain },
        Variant { porch: Porch::Fails, two: true, ..plain },
        Variant { numbered: true, ..plain },
    ]
};

/// The result of an exploration.
#[derive(Debug, Default)]
pub struct Explored {
    /// Distinct states at which the last recovery began, each run to its end and judged.
    pub end_states: u64,
    /// Points at which the first life was killed.
    pub crash_points: u64,
    /// Kinds of violations, with the number of states that show each.
    pub violations: BTreeMap<&'static str, u64>,
}

/// Explores a history; stops after `most` end states.
pub fn explore(variant: Variant, most: u64) -> Explored {
    let mut explorer = Explorer { variant, most, seen: HashSet::new(), found: Explored::default() };
    let steps = explorer.life(&mut start(variant), u32::MAX, None).expect("no crash");
    for interfere_at in std::iter::once(None).chain((1..=steps).map(Some)) {
        for crash_at in 0.. {
            let mut machine = start(variant);
            let crashed = explorer.life(&mut machine, crash_at, interfere_at);
            explorer.found.crash_points += u64::from(crashed.is_err());
            for image in images(&machine, crashed.as_ref().err()) {
                explorer.crash_again(&image);
            }
            if crashed.is_ok() || explorer.is_full() {
                break;
            }
        }
    }
    explorer.found
}

fn start(variant: Variant) -> Machine {
    let mut machine = Machine { same_boot: true, ..Machine::default() };
    machine.drop_file(0, 1);
    if variant.two {
        machine.drop_file(1, 2);
    }
    if variant.numbered {
        machine.drop_file(NUMBERED, 7);
    }
    machine
}

/// Every state the next life can find: the machine at the kill of the process, and every disk a power cut can leave.
fn images(machine: &Machine, crash: Option<&Crash>) -> Vec<Machine> {
    let mut killed = machine.clone();
    killed.world.crashes_in_run += u32::from(crash.is_some_and(|crash| crash.in_run));
    let mut stores = vec![killed.store.durable.clone()];
    if killed.store.now != killed.store.durable {
        stores.push(killed.store.now.clone());
    }
    let mut all = Vec::new();
    for image in killed.disk.after_power_cut() {
        for store in &stores {
            let mut after = killed.clone();
            after.disk = image.clone().into_disk(&killed.disk);
            (after.store.now, after.store.durable) = (store.clone(), store.clone());
            (after.ledger, after.same_boot) = (None, false);
            all.push(after);
        }
    }
    all.push(killed);
    all
}

struct Explorer {
    variant: Variant,
    most: u64,
    seen: HashSet<Machine>,
    found: Explored,
}

impl Explorer {
    fn is_full(&self) -> bool {
        self.found.end_states >= self.most
    }

    fn life(&self, machine: &mut Machine, steps: u32, interfere_at: Option<u32>) -> Result<u32, Crash> {
        let mut daemon = Daemon::new(machine, self.variant, steps);
        daemon.interfere_at = interfere_at;
        daemon.run()
    }

    /// Runs the recovery from this state, crashes it at each of its steps, and runs each resulting state to the end.
    fn crash_again(&mut self, image: &Machine) {
        if self.is_full() || !self.seen.insert(image.clone()) {
            return;
        }
        for crash_at in 0.. {
            let mut machine = image.clone();
            let crashed = self.life(&mut machine, crash_at, None);
            for image in images(&machine, crashed.as_ref().err()) {
                if crashed.is_ok() || self.seen.insert(image.clone()) {
                    self.end(image);
                }
            }
            if crashed.is_ok() || self.is_full() {
                return;
            }
        }
    }

    fn end(&mut self, mut machine: Machine) {
        let ended = self.life(&mut machine, u32::MAX, None);
        ended.expect("nothing crashes it");
        self.found.end_states += 1;
        for violation in judge(&machine) {
            *self.found.violations.entry(violation).or_default() += 1;
        }
    }
}

/// The parts of the promise that do not hold.
fn judge(machine: &Machine) -> Vec<&'static str> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocol_keeps_its_promise() {
        for variant in VARIANTS {
            let found = explore(variant, 3_000);
            assert!(found.violations.is_empty(), "{variant:?}: {found:?}");
        }
    }

    #[test]
    fn without_any_of_its_durability_steps_it_breaks() {
        for omit in Omit::ALL {
            let broken = VARIANTS.iter().find_map(|variant| {
                let found = explore(Variant { omit, ..*variant }, 20_000);
                (!found.violations.is_empty()).then_some(found)
            });
            assert!(broken.is_some(), "without {omit:?} nothing breaks");
        }
    }
}
