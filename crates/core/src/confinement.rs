//! What is confined, part by part, as log, commands and metrics report it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One part of the confinement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// No program gains rights by being started.
    NoNewPrivileges,
    /// No other process of the same user reads the daemon's memory, environment or descriptors, unless it has a capability for that.
    DaemonMemory,
    /// Neither daemon nor porch leaves a core dump.
    CoreDumps,
    /// System calls that nothing here needs are refused to daemon and porch.
    SystemCalls,
    /// The thread that speaks HTTP makes the few system calls that it needs; any other ends the daemon.
    HttpCalls,
    /// The daemon changes files only where its own directories, the output and what the operator lists lie, and below its control group.
    DaemonFiles,
    /// porch has no capability but, as root, those over files.
    Capabilities,
    /// A run uses only its own files, the output, the system's directories and what the operator lists.
    Files,
    /// A run signals neither the daemon nor other processes outside it.
    Signals,
    /// A run connects to no abstract socket from outside it.
    AbstractSockets,
    /// A run is not answered on the daemon's local socket.
    ControlSocket,
    /// A run connects by TCP only to the ports that the operator allows, or makes no network socket at all.
    Egress,
    /// porch has a user of its own, other than the daemon's.
    PorchUser,
    /// Daemon and runs have a root directory with the places of the machine that they need.
    Chroot,
    /// Each run has a control group, with which all that it started ends.
    Cgroup,
}

impl Part {
    /// Every part, in the order of reports.
    pub const ALL: [Self; 15] = [
        Self::NoNewPrivileges,
        Self::DaemonMemory,
        Self::CoreDumps,
        Self::SystemCalls,
        Self::HttpCalls,
        Self::DaemonFiles,
        Self::Capabilities,
        Self::Files,
        Self::Signals,
        Self::AbstractSockets,
        Self::ControlSocket,
        Self::Egress,
        Self::PorchUser,
        Self::Chroot,
        Self::Cgroup,
    ];

    /// The part's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoNewPrivileges => "no-new-privileges",
            Self::DaemonMemory => "daemon-memory",
            Self::CoreDumps => "core-dumps",
            Self::SystemCalls => "system-calls",
            Self::HttpCalls => "http-calls",
            Self::DaemonFiles => "daemon-files",
            Self::Capabilities => "capabilities",
            Self::Files => "files",
            Self::Signals => "signals",
            Self::AbstractSockets => "abstract-sockets",
            Self::ControlSocket => "control-socket",
            Self::Egress => "egress",
            Self::PorchUser => "porch-user",
            Self::Chroot => "chroot",
            Self::Cgroup => "cgroup",
        }
    }
}

/// Whether a part holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It holds.
    Active,
    /// The kernel, or this version of the program, does not have it.
    Missing,
    /// The kernel has it and did not permit it, as in some containers.
    Refused,
    /// The operator does not want it.
    Off,
}

impl Standing {
    /// Every standing.
    pub const ALL: [Self; 4] = [Self::Active, Self::Missing, Self::Refused, Self::Off];

    /// The standing's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Missing => "missing",
            Self::Refused => "refused",
            Self::Off => "off",
        }
    }
}

/// The standing of one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartStanding {
    /// The part.
    pub part: Part,
    /// Whether it holds.
    pub standing: Standing,
    /// Why it does not hold; empty if it does.
    pub reason: String,
}

/// The standing of every part.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Confinement(pub Vec<PartStanding>);

impl Confinement {
    /// Every part is off, for this reason.
    pub fn off(reason: &str) -> Self {
        let off = |part| PartStanding { part, standing: Standing::Off, reason: reason.to_owned() };
        Self(Part::ALL.map(off).into())
    }

    /// Whether a part holds.
    pub fn holds(&self, part: Part) -> bool {
        self.0.iter().any(|one| one.part == part && one.standing == Standing::Active)
    }

    /// The parts that were wanted and do not hold.
    pub fn lacking(&self) -> impl Iterator<Item = &PartStanding> {
        self.0.iter().filter(|one| matches!(one.standing, Standing::Missing | Standing::Refused))
    }

    /// The names of the parts with this standing, separated by spaces.
    pub fn names(&self, standing: Standing) -> String {
        let with = self.0.iter().filter(|one| one.standing == standing);
        with.map(|one| one.part.as_str()).collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Display for PartStanding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, standing, reason } = self;
        write!(f, "{} {}", part.as_str(), standing.as_str())?;
        if reason.is_empty() { Ok(()) } else { write!(f, " ({reason})") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_on_the_wire_are_the_names_of_reports() {
        for part in Part::ALL {
            assert_eq!(serde_json::to_string(&part).unwrap(), format!("\"{}\"", part.as_str()));
        }
        for standing in Standing::ALL {
            assert_eq!(serde_json::to_string(&standing).unwrap(), format!("\"{}\"", standing.as_str()));
        }
    }

    #[test]
    fn what_the_operator_does_not_want_is_not_lacking() {
        let mut all = Confinement::off("so it is");
        assert_eq!(all.lacking().count(), 0);
        all.0[7] = PartStanding { part: Part::Files, standing: Standing::Missing, reason: "old".to_owned() };
        all.0[3].standing = Standing::Active;
        assert_eq!(all.lacking().map(ToString::to_string).collect::<Vec<_>>(), ["files missing (old)"]);
        assert_eq!(all.names(Standing::Active), "system-calls");
        assert!(all.holds(Part::SystemCalls) && !all.holds(Part::Files));
    }
}
