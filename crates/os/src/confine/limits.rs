//! Limits on the resources of a process that was started, for it and what it starts.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;

/// The time between the signal that says that the CPU time is used up and the end.
const CPU_GRACE: u64 = 5;

/// Limits of one process each; `None`: as ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ResourceLimits {
    /// Bytes of its own memory (`RLIMIT_DATA`). Address space that is only reserved does not count.
    pub memory: Option<u64>,
    /// Seconds of CPU time.
    pub cpu: Option<u64>,
    /// Processes and threads of its user, whoever started them. Root has no such limit.
    pub processes: Option<u64>,
    /// Open files.
    pub files: Option<u64>,
    /// Bytes of a file that it writes.
    pub file_size: Option<u64>,
}

impl ResourceLimits {
    /// Puts the limits on this process, none above those it has. Allocates nothing, so that a child may do it before it is a program.
    pub fn put_on_self(&self) -> io::Result<()> {
        let limits = [
            (Resource::Data, self.memory, 0),
            (Resource::Cpu, self.cpu, CPU_GRACE),
            (Resource::Nproc, self.processes, 0),
            (Resource::Nofile, self.files, 0),
            (Resource::Fsize, self.file_size, 0),
        ];
        for (resource, limit, grace) in limits {
            let Some(limit) = limit else { continue };
            let ours = getrlimit(resource).maximum.unwrap_or(u64::MAX);
            let new = Rlimit {
                current: Some(limit.min(ours)),
                maximum: Some(limit.saturating_add(grace).min(ours)),
            };
            setrlimit(resource, new)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Command, Stdio};
    use std::io::Read;

    #[test]
    fn a_process_has_the_limits_it_was_given() {
        let limits = ResourceLimits {
            memory: Some(64 << 20),
            cpu: Some(7),
            processes: Some(77),
            files: Some(55),
            file_size: Some(4096),
        };
        let mut command = Command::new("/bin/cat");
        command.arg("/proc/self/limits").limits(limits);
        command.streams([Stdio::Null, Stdio::Piped, Stdio::Null]);
        let mut child = command.start().unwrap();
        let mut shown = String::new();
        child.take_stdout().unwrap().read_to_string(&mut shown).unwrap();
        let row = |name: &str| {
            let row = shown.lines().find_map(|row| row.strip_prefix(name)).unwrap();
            row.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(row("Max data size"), "67108864 67108864");
        assert_eq!(row("Max cpu time"), "7 12");
        assert_eq!(row("Max processes"), "77 77");
        assert_eq!(row("Max open files"), "55 55");
        assert_eq!(row("Max file size"), "4096 4096");
    }
}
