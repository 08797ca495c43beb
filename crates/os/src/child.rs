//! A supervised child process: in a process group of its own, waited for together with its streams and other descriptors,
//! sent TERM and then killed with its whole group. A dropped child does not keep running.

use crate::process::{self, Pid, ProcessId, ProcessInfo};
use crate::raw::Spawned;
use crate::start::Stdio;
use crate::wake::wait_any;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, ioctl_fionbio, read};
use rustix::process::{WaitOptions, waitpid};
use std::io::{self, PipeReader, PipeWriter, pipe};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// The polling interval if the system does not let us wait for several descriptors at once.
const LOOK: Duration = Duration::from_millis(20);

/// The result of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<const N: usize> {
    /// The child has ended.
    pub ended: bool,
    /// For each of the other descriptors, whether it is readable or closed.
    pub ready: [bool; N],
}

/// Our ends of a child's streams, where they are pipes.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    stdin: Option<PipeWriter>,
    stdout: Option<PipeReader>,
    stderr: Option<PipeReader>,
}

/// A running child.
#[derive(Debug)]
pub struct Supervised {
    process: Spawned,
    streams: Streams,
    /// Its status, once it was reaped.
    status: Option<ExitStatus>,
}

impl Streams {
    /// Opens standard input, output and error; returns the child's ends too.
    pub(crate) fn open([stdin, stdout, stderr]: [Stdio; 3]) -> io::Result<(Self, [OwnedFd; 3])> {
        let mut ours = Self::default();
        let stdin = theirs(stdin, || {
            let (end, other) = pipe()?;
            ours.stdin = Some(other);
            Ok(end.into())
        })?;
        let output = |ours: &mut Option<PipeReader>| {
            let (other, end) = pipe()?;
            *ours = Some(other);
            Ok(end.into())
        };
        let stdout = theirs(stdout, || output(&mut ours.stdout))?;
        let stderr = theirs(stderr, || output(&mut ours.stderr))?;
        Ok((ours, [stdin, stdout, stderr]))
    }
}

/// The child's end of a stream.
fn theirs(stream: Stdio, piped: impl FnOnce() -> io::Result<OwnedFd>) -> io::Result<OwnedFd> {
    match stream {
        Stdio::Null => Ok(open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?),
        Stdio::Piped => piped(),
        Stdio::File(file) => Ok(file),
    }
}

impl Supervised {
    pub(crate) fn new(process: Spawned, streams: Streams) -> Self {
        Self { process, streams, status: None }
    }

    /// The child's process id, which is also that of its group.
    pub fn id(&self) -> Pid {
        self.process.pid
    }

    /// The child across reuse of its process id; `None`: it cannot be told.
    pub fn identity(&self) -> Option<ProcessId> {
        process::started_in(self.id(), &self.process.made)
    }

    /// Our end of its standard input, if it is a pipe and nobody has it yet.
    pub fn take_stdin(&mut self) -> Option<PipeWriter> {
        self.streams.stdin.take()
    }

    /// Our end of its standard output, if it is a pipe and nobody has it yet.
    pub fn take_stdout(&mut self) -> Option<PipeReader> {
        self.streams.stdout.take()
    }

    /// Our end of its standard error, if it is a pipe and has not been taken.
    pub fn take_stderr(&mut self) -> Option<PipeReader> {
        self.streams.stderr.take()
    }

    /// Waits until the child has ended, one of the others is readable or closed, or `until` has passed. If the system
    /// refuses to wait, each call is a short sleep after which all the others count as ready, so that neither a time
    /// limit nor a full pipe is missed.
    pub fn wait<const N: usize>(
        &mut self,
        others: [Option<BorrowedFd<'_>>; N],
        until: Option<Instant>,
    ) -> Found<N> {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let mut watched = vec![self.process.descriptor.as_fd()];
        watched.extend(others.iter().flatten());
        if let Ok(ready) = wait_any(&watched, left) {
            let mut ready = ready.into_iter();
            let ended = ready.next().unwrap_or(false);
            return Found {
                ended,
                ready: others.map(|other| other.is_some() && ready.next().unwrap_or(false)),
            };
        }
        std::thread::sleep(left.unwrap_or(LOOK).min(LOOK)); // Waiting failed, so nothing can wake us.
        // An error: there is nothing to wait for.
        let ended = self.reaped(WaitOptions::NOHANG).map_or(true, |status| status.is_some());
        Found { ended, ready: others.map(|other| other.is_some()) }
    }

    /// Sends TERM to the child and its group.
    pub fn terminate(&self) {
        process::terminate_group(self.id());
    }

    /// Kills the child and its group.
    pub fn kill(&self) {
        process::kill_group(self.id());
    }

    /// Waits for the child's end, without a time limit, and returns its status.
    pub fn reap(&mut self) -> io::Result<ExitStatus> {
        drop(self.streams.stdin.take());
        loop {
            match self.reaped(WaitOptions::empty()) {
                Ok(Some(status)) => return Ok(status),
                Ok(None) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn reaped(&mut self, options: WaitOptions) -> Result<Option<ExitStatus>, Errno> {
        if self.status.is_none() {
            let pid = self.id().raw();
            let found = waitpid(pid, options)?;
            self.status = found.map(|(_, status)| ExitStatus::from_raw(status.as_raw()));
        }
        Ok(self.status)
    }

    /// Sends TERM to the child; kills the rest of its group when it has ended or the grace time is over.
    pub fn end(mut self, grace: Duration) -> io::Result<ExitStatus> {
        self.terminate();
        let until = Instant::now() + grace;
        while Instant::now() < until && !self.wait([], Some(until)).ended {}
        self.kill();
        self.reap()
    }

    /// After the child has ended: kills the rest of its group, and returns those processes, or why they cannot be listed.
    pub fn end_rest(&self) -> io::Result<Vec<ProcessInfo>> {
        if !process::group_exists(self.id()) {
            return Ok(Vec::new());
        }
        let rest = process::group_members(self.id());
        self.kill();
        rest
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        if self.status.is_none() {
            self.kill();
            // The child must be reaped; its status is not needed.
            let _ = self.reap();
        }
    }
}

/// The reading end of a pipe, read without waiting.
#[derive(Debug)]
pub struct Pipe(Option<OwnedFd>);

/// The number of reads at once, so that no stream delays the others.
const READS: usize = 64;

impl Pipe {
    /// Takes over the reading end; `None`: the stream is empty.
    pub fn new(end: Option<OwnedFd>) -> io::Result<Self> {
        if let Some(end) = &end {
            ioctl_fionbio(end, true)?;
        }
        Ok(Self(end))
    }

    /// The descriptor to wait for; `None` after the end of the stream.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(AsFd::as_fd)
    }

    /// Passes on the available bytes, at most a mebibyte.
    pub fn drain(&mut self, mut each: impl FnMut(&[u8])) {
        let mut buffer = [0; 16 << 10];
        for _ in 0..READS {
            let Some(end) = &self.0 else { return };
            match read(end, &mut buffer) {
                Ok(0) => self.0 = None,
                Ok(length) => each(buffer.get(..length).unwrap_or_default()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.0 = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;

    fn shell(script: &str) -> Supervised {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).env("PATH", "/usr/bin:/bin");
        command.streams([Stdio::Null, Stdio::Piped, Stdio::Null]);
        command.start().unwrap()
    }

    fn pipe(child: &mut Supervised) -> Pipe {
        Pipe::new(child.take_stdout().map(OwnedFd::from)).unwrap()
    }

    /// Reads until the script has written something.
    fn said(child: &mut Supervised, pipe: &mut Pipe) -> Vec<u8> {
        let mut said = Vec::new();
        while said.is_empty() && pipe.descriptor().is_some() {
            child.wait([pipe.descriptor()], None);
            pipe.drain(|bytes| said.extend_from_slice(bytes));
        }
        said
    }

    #[test]
    fn output_of_any_length_is_read_and_the_end_is_noticed() {
        let mut child = shell("head -c 300000 /dev/zero; exit 3");
        let mut pipe = pipe(&mut child);
        let mut total = 0;
        while !child.wait([pipe.descriptor()], None).ended {
            pipe.drain(|bytes| total += bytes.len());
        }
        pipe.drain(|bytes| total += bytes.len());
        assert_eq!((total, child.reap().unwrap().code()), (300_000, Some(3)));
    }

    #[test]
    fn a_wait_ends_with_its_time() {
        let mut child = shell("sleep 60");
        let begun = Instant::now();
        let found = child.wait([None], Some(begun + Duration::from_millis(30)));
        assert_eq!(found, Found { ended: false, ready: [false] });
        assert!(begun.elapsed() >= Duration::from_millis(30));
    }

    #[test]
    fn what_does_not_end_when_asked_is_killed_with_its_group() {
        let mut child = shell("trap '' TERM; sleep 60 & echo $!; wait; sleep 60");
        let mut pipe = pipe(&mut child);
        let text = String::from_utf8(said(&mut child, &mut pipe)).unwrap();
        let grandchild: Pid = text.trim().parse().unwrap();
        let (begun, grace) = (Instant::now(), Duration::from_millis(100));
        let status = child.end(grace).unwrap();
        assert!(begun.elapsed() >= grace);
        assert_eq!(status.signal(), Some(9));
        let until = Instant::now() + Duration::from_secs(10);
        while process::info(grandchild).unwrap().is_some_and(|info| !info.zombie) {
            assert!(Instant::now() < until, "{grandchild} runs on");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn what_ends_when_asked_is_given_the_time() {
        let mut child = shell("trap 'exit 5' TERM; echo; while :; do sleep 0.01; done");
        let mut pipe = pipe(&mut child);
        said(&mut child, &mut pipe);
        assert_eq!(child.end(Duration::from_mins(1)).unwrap().code(), Some(5));
    }

    #[test]
    fn its_identity_is_what_proc_says_of_it() {
        let shown = |pid| process::info(pid).unwrap().map(|info| info.id);
        for _ in 0..50 {
            let child = shell("sleep 60");
            assert_eq!(child.identity(), shown(child.id()));
            assert!(child.identity().is_some());
        }
        let own = process::started_in(Pid::own(), &(0..=u64::MAX));
        assert_eq!(own, shown(Pid::own()), "a tick passed meanwhile");
    }

    #[test]
    fn one_that_is_dropped_does_not_run_on_and_the_rest_of_a_group_is_named() {
        let child = shell("sleep 60");
        let id = child.id();
        drop(child);
        assert!(process::info(id).unwrap().is_none(), "killed and reaped");
        let mut child = shell("sleep 60 & exit 0");
        while !child.wait([], None).ended {}
        child.reap().unwrap();
        let rest = child.end_rest().unwrap();
        assert_eq!(rest.iter().map(|process| process.group).collect::<Vec<_>>(), [child.id()]);
        let until = Instant::now() + Duration::from_secs(10);
        while process::group_members(child.id()).unwrap().iter().any(|member| !member.zombie) {
            assert!(Instant::now() < until, "the rest runs on");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
