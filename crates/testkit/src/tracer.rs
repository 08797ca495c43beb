//! Kills a program at a chosen system call, under ptrace(2): the way to see that no instruction is the wrong one to die at.
//! Between two system calls nothing outside the process changes, so killing before each of them covers every instant.

use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// How a traced run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was killed where it was to be killed.
    Killed,
    /// It ended by itself before, with this exit status.
    Exited(i32),
}

/// Runs a program and kills it with SIGKILL before it makes its system call number `at`, counted from the program's start.
/// Only the main thread is followed; children run free and are not killed. `None`: tracing is not permitted here.
pub fn kill_at(command: &Command, at: usize) -> Option<Ended> {
    // A stopped shell becomes the program, so that no code has to run between fork and exec.
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", "kill -STOP $$; exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        shell.current_dir(directory);
    }
    shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    #[expect(clippy::zombie_processes, reason = "waitpid is what tells of each stop, and of the end")]
    let child = shell.spawn().expect("a shell");
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
    wait_stopped(pid);
    let options = ptrace::Options::PTRACE_O_TRACESYSGOOD | ptrace::Options::PTRACE_O_TRACEEXEC;
    match ptrace::seize(pid, options) {
        Ok(()) => {}
        Err(Errno::EPERM | Errno::ENOSYS) => {
            let _ = nix::sys::signal::kill(pid, Signal::SIGKILL);
            let _ = waitpid(pid, None);
            return None;
        }
        Err(errno) => panic!("ptrace of {pid}: {errno}"),
    }
    nix::sys::signal::kill(pid, Signal::SIGCONT).expect("the shell goes on");
    Some(follow(pid, at))
}

fn wait_stopped(pid: Pid) {
    let flags = nix::sys::wait::WaitPidFlag::WUNTRACED;
    match waitpid(pid, Some(flags)) {
        Ok(WaitStatus::Stopped(..)) => {}
        other => panic!("the shell was to stop: {other:?}"),
    }
}

fn follow(pid: Pid, at: usize) -> Ended {
    let (mut running, mut entering, mut calls) = (false, true, 0);
    let mut pass = None;
    loop {
        match waitpid(pid, None).expect("the traced program") {
            WaitStatus::Exited(_, status) => return Ended::Exited(status),
            WaitStatus::Signaled(..) => return Ended::Killed,
            WaitStatus::PtraceEvent(_, _, event) if event == nix::libc::PTRACE_EVENT_EXEC => {
                // The stop after this one is execve's own return.
                (running, entering) = (true, false);
            }
            WaitStatus::PtraceSyscall(_) if running => {
                if entering {
                    calls += 1;
                    if calls == at {
                        nix::sys::signal::kill(pid, Signal::SIGKILL).expect("kill");
                        let _ = waitpid(pid, None);
                        return Ended::Killed;
                    }
                }
                entering = !entering;
            }
            WaitStatus::Stopped(_, signal) if !matches!(signal, Signal::SIGSTOP | Signal::SIGTRAP) => {
                pass = Some(signal);
            }
            _ => {}
        }
        match ptrace::syscall(pid, pass.take()) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => panic!("ptrace of {pid}: {errno}"),
        }
    }
}
