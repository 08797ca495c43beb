//! The exploration of a history: every crash point, every disk that can be left there, and a second crash at each point of the
//! recovery.

use super::judgement::judge;
use super::protocol::{Crash, Daemon, Machine, NUMBERED};
use super::variant::Variant;
use std::collections::{BTreeMap, HashSet};

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

#[cfg(test)]
mod tests {
    use super::super::variant::{Omit, VARIANTS};
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
