//! Limits on the resources of a process that was started, for it and what it starts.

use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
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
    /// Puts the limits on a process that has just been started, and on what it has started meanwhile; from now on both
    /// start others with these limits. One that has ended needs none. An error: a process goes on without them.
    pub fn put_on(&self, number: u32) -> io::Result<()> {
        if *self == Self::default() {
            return Ok(());
        }
        let mut found = vec![number];
        let mut all = Ok(());
        while let Some(number) = found.pop() {
            match self.put_on_one(number) {
                Ok(()) => found.extend(children(number)),
                Err(error) if Errno::from_io_error(&error) == Some(Errno::SRCH) => {}
                Err(error) => all = Err(error),
            }
        }
        all
    }

    /// Puts the limits on this process itself. Allocates nothing, so that a child may do it before it is a program.
    pub fn put_on_self(&self) -> io::Result<()> {
        self.set(None)
    }

    fn put_on_one(&self, number: u32) -> io::Result<()> {
        let pid = i32::try_from(number).ok().and_then(Pid::from_raw);
        self.set(Some(pid.ok_or_else(|| io::Error::other("not a process number"))?))
    }

    /// None of them is above ours. `None`: this process.
    fn set(&self, pid: Option<Pid>) -> io::Result<()> {
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
            prlimit(pid, resource, new)?;
        }
        Ok(())
    }
}

/// What the first thread of a process has started and not waited for. Empty where the kernel does not list it.
#[expect(clippy::disallowed_methods, reason = "the kernel bounds what /proc shows of a process")]
fn children(number: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{number}/task/{number}/children")).unwrap_or_default();
    text.split_ascii_whitespace().filter_map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};

    fn read(mut output: impl Read) -> Vec<u8> {
        let mut bytes = Vec::new();
        output.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_process_has_the_limits_it_was_given() {
        let limits = ResourceLimits {
            memory: Some(64 << 20),
            cpu: Some(7),
            processes: Some(77),
            files: Some(55),
            file_size: Some(4096),
        };
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "read go; cat /proc/self/limits"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        limits.put_on(child.id()).unwrap();
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        let shown = String::from_utf8(child.stdout.take().map(read).unwrap()).unwrap();
        child.wait().unwrap();
        let row = |name: &str| {
            let row = shown.lines().find_map(|row| row.strip_prefix(name)).unwrap();
            row.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(row("Max data size"), "67108864 67108864");
        assert_eq!(row("Max cpu time"), "7 12");
        assert_eq!(row("Max processes"), "77 77");
        assert_eq!(row("Max open files"), "55 55");
        assert_eq!(row("Max file size"), "4096 4096");
        limits.put_on(child.id()).unwrap(); // It has ended, and needs none.
    }
}
