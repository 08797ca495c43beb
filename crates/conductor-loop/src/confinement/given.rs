//! Gives up the rights of the process, tries on a thread what runs will be confined to, and reports each part.

use super::policy::{kept, ports};
use super::{groups, porch_user, root, written};
use crate::config::{Config, Confine, Egress};
use conductor_core::Confinement;
use conductor_core::confinement::{Part, PartStanding, Standing};
use conductor_os::confine::files::{Domain, Enforced};
use conductor_os::confine::{Without, calls, process, serving};
use conductor_os::second;
use std::sync::mpsc::channel;

/// Why a run is not confined by a part although nothing stands against it.
const REPOSITORIES: &str =
    "routes lead into repositories, and git works with the operator's home, keys and remotes";

fn standing(part: Part, result: Result<(), Without>) -> PartStanding {
    let (standing, reason) = match result {
        Ok(()) => (Standing::Active, String::new()),
        Err(without @ Without::Missing(_)) => (Standing::Missing, without.to_string()),
        Err(without @ Without::Refused(_)) => (Standing::Refused, without.to_string()),
    };
    PartStanding { part, standing, reason }
}

/// Gives up what the process does not need. Called once, before any thread but the log's: the threads inherit it. With
/// `repositories` the embedded engine's runs go on outside a domain of files.
pub fn give_up(config: &Config, repositories: bool) -> Confinement {
    // Before mounts are refused.
    let own = [porch_user::standing(config), root::standing(config), groups::standing(config)];
    if config.fixed.confine == Confine::Off {
        let mut off = Confinement::off("--confine off");
        // They need nothing of what is off.
        off.0.retain(|off| own.iter().all(|own| own.part != off.part));
        off.0.extend(own);
        return off;
    }
    let mut parts = vec![
        standing(Part::NoNewPrivileges, process::no_new_privileges()),
        standing(Part::DaemonMemory, process::not_dumpable()),
        standing(Part::CoreDumps, process::no_core()),
    ];
    let system_calls = calls::refuse_to_process();
    parts.push(standing(Part::SystemCalls, system_calls.clone()));
    parts.push(http_calls(config, system_calls));
    let runs = of_runs(config, repositories);
    parts.push(if repositories {
        of_repositories(Part::DaemonFiles)
    } else {
        standing(Part::DaemonFiles, written::confine(config))
    });
    parts.extend(runs);
    parts.extend(own);
    Confinement(parts)
}

/// Whether the thread that speaks HTTP will have a filter of its own: where the kernel took that of the process.
fn http_calls(config: &Config, of_process: Result<(), Without>) -> PartStanding {
    if config.fixed.endpoints.is_empty() {
        let reason = "no address is given".to_owned();
        return PartStanding { part: Part::HttpCalls, standing: Standing::Off, reason };
    }
    standing(Part::HttpCalls, of_process.and_then(|()| serving::is_possible()))
}

/// A part that does not hold where git works.
fn of_repositories(part: Part) -> PartStanding {
    PartStanding { part, standing: Standing::Missing, reason: REPOSITORIES.to_owned() }
}

/// The parts that hold for runs, as a thread meets them that ends right after.
fn of_runs(config: &Config, repositories: bool) -> Vec<PartStanding> {
    if repositories {
        return OF_RUNS.map(of_repositories).into();
    }
    let egress = config.fixed.egress.clone();
    let (answer, answered) = channel();
    let tried = second::thread("confined".to_owned(), move || {
        let ports = ports(&egress);
        let domain = Domain { ports: Some(ports.unwrap_or_default()), ..Domain::default() };
        let capabilities = process::give_up_capabilities(kept());
        let enforced = domain.enter();
        let signals = calls::refuse_to_this_thread(egress != Egress::None);
        // Who asked waits for this.
        let _ = answer.send((capabilities, enforced, signals));
    });
    let joined = tried
        .map_err(|error| error.to_string())
        .and_then(|thread| thread.join().map_err(|_| "the thread that tries it has panicked".to_owned()))
        .and_then(|()| answered.recv().map_err(|error| error.to_string()));
    match joined {
        Ok((capabilities, enforced, signals)) => parts_of_runs(config, capabilities, &enforced, &signals),
        Err(error) => {
            let refused = |part| standing(part, Err(Without::Refused(error.clone())));
            OF_RUNS.map(refused).into()
        }
    }
}

/// The parts that hold for runs.
const OF_RUNS: [Part; 6] = [
    Part::Capabilities,
    Part::Files,
    Part::Signals,
    Part::AbstractSockets,
    Part::ControlSocket,
    Part::Egress,
];

fn parts_of_runs(
    config: &Config,
    capabilities: Result<(), Without>,
    enforced: &Result<Enforced, Without>,
    signals: &Result<(), Without>,
) -> Vec<PartStanding> {
    let by_kernel = |has: fn(&Enforced) -> bool, since: &str| match enforced {
        Ok(enforced) if has(enforced) => Ok(()),
        Ok(_) => Err(Without::Missing(format!("Landlock {since}"))),
        Err(without) => Err(without.clone()),
    };
    let egress = match config.fixed.egress {
        Egress::Any => {
            PartStanding { part: Part::Egress, standing: Standing::Off, reason: "--egress any".to_owned() }
        }
        // No network socket can be made.
        Egress::None => standing(Part::Egress, signals.clone()),
        Egress::Ports(_) => standing(Part::Egress, by_kernel(|has| has.ports, "ABI 4, Linux 6.7")),
    };
    vec![
        standing(Part::Capabilities, capabilities),
        standing(Part::Files, by_kernel(|has| has.files, "ABI 1")),
        standing(
            Part::Signals,
            by_kernel(|has| has.signals, "ABI 6, Linux 6.12").and_then(|()| signals.clone()),
        ),
        standing(Part::AbstractSockets, by_kernel(|has| has.abstract_sockets, "ABI 6, Linux 6.12")),
        standing(Part::ControlSocket, Ok(())),
        egress,
    ]
}
