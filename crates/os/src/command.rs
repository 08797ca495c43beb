//! A program to start: its words, its whole environment, its streams, and what its process is before its first
//! instruction. Nothing of ours is inherited that is not named here, but the working directory if none is.

use crate::child::{Streams, Supervised};
use crate::confine::limits::ResourceLimits;
use crate::raw::{Begin, spawn};
use crate::second::Second;
use rustix::fs::{Access, AtFlags, CWD, Gid, Uid, accessat};
use std::collections::BTreeMap;
use std::ffi::{CString, NulError, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use crate::start::{Leads, StartError, Stdio};

/// A program to start.
#[derive(Debug)]
pub struct Command {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: BTreeMap<OsString, OsString>,
    directory: Option<PathBuf>,
    streams: [Stdio; 3],
    leads: Leads,
    group: Option<OwnedFd>,
    user: Option<(Uid, Gid)>,
    limits: ResourceLimits,
    domain: Option<Arc<OwnedFd>>,
}

impl Command {
    /// A program by its path, or by its name alone: then it is looked for in the directories of the environment's `PATH`.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            directory: None,
            streams: [Stdio::Null, Stdio::Null, Stdio::Null],
            leads: Leads::Group,
            group: None,
            user: None,
            limits: ResourceLimits::default(),
            domain: None,
        }
    }

    /// One more argument.
    pub fn arg(&mut self, argument: impl Into<OsString>) -> &mut Self {
        self.arguments.push(argument.into());
        self
    }

    /// More arguments.
    pub fn args(&mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> &mut Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// A variable of the environment, in place of an earlier one of its name.
    pub fn env(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> &mut Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// More variables.
    pub fn envs(
        &mut self,
        variables: impl IntoIterator<Item = (impl Into<OsString>, impl Into<OsString>)>,
    ) -> &mut Self {
        self.environment.extend(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// The working directory.
    pub fn current_dir(&mut self, directory: impl Into<PathBuf>) -> &mut Self {
        self.directory = Some(directory.into());
        self
    }

    /// Standard input, output and error; `/dev/null` if nothing is said.
    pub fn streams(&mut self, streams: [Stdio; 3]) -> &mut Self {
        self.streams = streams;
        self
    }

    /// What it leads; a process group if nothing is said.
    pub fn leads(&mut self, leads: Leads) -> &mut Self {
        self.leads = leads;
        self
    }

    /// The control group in which it begins, by its list of processes; where that is impossible, it is not started.
    pub fn in_group(&mut self, processes: OwnedFd) -> &mut Self {
        self.group = Some(processes);
        self
    }

    /// Makes it this user's alone: the ids are the effective ones of the thread that starts it, and the rest of the thread's
    /// ids would lead back to them.
    pub fn as_user(&mut self, uid: u32, gid: u32) -> &mut Self {
        self.user = Some((Uid::from_raw(uid), Gid::from_raw(gid)));
        self
    }

    /// Makes it the second user's alone, where it is started on one of that user's threads. It gets no terminal of ours to type on, nor
    /// the right to continue what we stopped.
    pub fn of_second(&mut self, second: &Second) -> &mut Self {
        let identity = second.identity();
        self.as_user(identity.uid, identity.gid).leads(Leads::Session)
    }

    /// The limits under which it begins.
    pub fn limits(&mut self, limits: ResourceLimits) -> &mut Self {
        self.limits = limits;
        self
    }

    /// The Landlock domain that it enters ([`crate::confine::files::Domain::build`]).
    pub fn in_domain(&mut self, domain: Arc<OwnedFd>) -> &mut Self {
        self.domain = Some(domain);
        self
    }

    /// Starts the program. An error: it was not started.
    pub fn start(self) -> Result<Supervised, StartError> {
        let unusable = |error: NulError| StartError::NotExecuted(error.into());
        let word = |word: &OsStr| CString::new(word.as_bytes()).map_err(unusable);
        let path = word(self.found().map_err(StartError::NotExecuted)?.as_os_str())?;
        let name = std::iter::once(self.program.as_os_str());
        let arguments = name.chain(self.arguments.iter().map(OsString::as_os_str)).map(word);
        let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
        let environment = self.environment.iter().map(|(name, value)| {
            let mut line = name.clone();
            line.push("=");
            line.push(value);
            word(&line)
        });
        let environment = environment.collect::<Result<Vec<_>, _>>()?;
        let directory = self.directory.as_deref().map(|directory| word(directory.as_os_str())).transpose()?;
        let (streams, theirs) = Streams::open(self.streams)
            .map_err(|error| StartError::NotSetUp { step: "opening its streams", error })?;
        let spawned = spawn(&Begin {
            program: &path,
            arguments: &arguments,
            environment: &environment,
            directory: directory.as_deref(),
            streams: theirs.each_ref().map(AsFd::as_fd),
            leads: self.leads,
            group: self.group.as_ref().map(AsFd::as_fd),
            user: self.user,
            limits: self.limits,
            domain: self.domain.as_ref().map(AsFd::as_fd),
        })?;
        Ok(Supervised::new(spawned, streams))
    }

    /// The path of the program.
    fn found(&self) -> io::Result<PathBuf> {
        if self.program.as_os_str().as_bytes().contains(&b'/') {
            return Ok(self.program.clone());
        }
        let path = self.environment.get(OsStr::new("PATH")).map_or(OsStr::new("/bin:/usr/bin"), |path| path);
        let may_execute = |path: &Path| accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).is_ok();
        let is_program = |path: &Path| path.is_file() && may_execute(path);
        let mut found = std::env::split_paths(path).map(|directory| directory.join(&self.program));
        found.find(|path| is_program(path)).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confine::Without;
    use crate::confine::files::Domain;
    use std::fs::File;
    use std::io::Read;

    /// What the program says until its end.
    fn said(mut command: Command) -> String {
        command.streams([Stdio::Null, Stdio::Piped, Stdio::Null]);
        let mut child = command.start().unwrap();
        let mut said = String::new();
        child.take_stdout().unwrap().read_to_string(&mut said).unwrap();
        child.reap().unwrap();
        said
    }

    fn cat(file: &str) -> Command {
        let mut command = Command::new("/bin/cat");
        command.arg(file);
        command
    }

    #[test]
    fn a_program_has_what_it_was_given_and_nothing_else() {
        let mut command = Command::new("env");
        command.env("PATH", "/usr/bin:/bin").envs([("A", "1"), ("B", "2")]).env("A", "3");
        assert_eq!(said(command), "A=3\nB=2\nPATH=/usr/bin:/bin\n");
        // What started the test may have left it descriptors.
        crate::raw::mark_inherited_close_on_exec().unwrap();
        let mut command = Command::new("sh");
        command.env("PATH", "/nowhere:/usr/bin:/bin").current_dir("/usr");
        command.args(["-c", "pwd; echo \"$# $1\"; ls /proc/self/fd; read line || echo nothing", "sh", "a b"]);
        // The third is the directory that ls lists.
        assert_eq!(said(command), "/usr\n1 a b\n0\n1\n2\n3\nnothing\n");
    }

    #[test]
    fn it_leads_a_process_group_or_a_session() {
        for leads in [Leads::Group, Leads::Session] {
            let mut command = cat("/proc/self/stat");
            command.leads(leads);
            let stat = said(command);
            // PID (NAME) STATE PPID GROUP SESSION TERMINAL
            let fields: Vec<&str> = stat.split(' ').collect();
            assert_eq!(fields[4], fields[0], "{stat}");
            assert_eq!(fields[5] == fields[0], leads == Leads::Session, "{stat}");
        }
    }

    #[test]
    fn it_starts_with_every_signal_at_its_default_and_none_blocked() {
        signal_of_the_test();
        let status = said(cat("/proc/self/status"));
        let line = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().to_owned()
        };
        // What this process ignores: SIGPIPE is the one that is ignored without being wanted.
        let ignored = u64::from_str_radix(&line("SigIgn:"), 16).unwrap();
        assert_eq!(ignored & 1 << (libc::SIGPIPE - 1), 0);
        assert_eq!((line("SigCgt:"), line("SigBlk:")), ("0".repeat(16), "0".repeat(16)));
    }

    /// Blocks a signal for this thread, as one that waits for it elsewhere does.
    fn signal_of_the_test() {
        let before = crate::raw::set_blocked_signals(1 << (libc::SIGUSR1 - 1)).unwrap();
        assert_eq!(before & 1 << (libc::SIGUSR1 - 1), 0);
    }

    #[test]
    fn who_cannot_be_started_is_told_from_what_could_not_be_set_up() {
        let not_executed = |command: Command| match command.start() {
            Err(StartError::NotExecuted(error)) => error.kind(),
            other => panic!("{other:?}"),
        };
        assert_eq!(not_executed(Command::new("/no/such/program")), io::ErrorKind::NotFound);
        assert_eq!(not_executed(Command::new("no-such-program")), io::ErrorKind::NotFound);
        assert_eq!(not_executed(Command::new("/etc/passwd")), io::ErrorKind::PermissionDenied);
        let mut command = cat("/dev/null");
        command.arg("a\0b");
        assert_eq!(not_executed(command), io::ErrorKind::InvalidInput);
        let not_set_up = |command: Command| match command.start() {
            Err(StartError::NotSetUp { step, .. }) => step,
            other => panic!("{other:?}"),
        };
        let mut command = cat("/dev/null");
        command.current_dir("/no/such/directory");
        assert_eq!(not_set_up(command), "entering its working directory");
        let mut command = cat("/dev/null");
        // It cannot be written to.
        command.in_group(File::open("/dev/null").unwrap().into());
        assert_eq!(not_set_up(command), "entering its control group");
        let mut command = cat("/dev/null");
        command.in_domain(Arc::new(File::open("/dev/null").unwrap().into()));
        assert_eq!(not_set_up(command), "entering its Landlock domain");
    }

    #[test]
    fn it_enters_its_domain_and_who_starts_it_does_not() {
        let temp = tempfile::tempdir().unwrap();
        let secret = temp.path().join("secret");
        std::fs::write(&secret, "told").unwrap();
        let read = ["/usr", "/bin", "/lib", "/lib64", "/etc"].map(PathBuf::from);
        let read = read.iter().filter_map(|path| path.canonicalize().ok()).collect();
        let domain = match (Domain { read, ..Domain::default() }).build(None) {
            Ok(domain) => Arc::new(domain),
            Err(Without::Missing(reason)) => return eprintln!("NOT TESTED: {reason}"),
            Err(error) => panic!("{error}"),
        };
        for inside in [true, false, true] {
            crate::confine::process::no_new_privileges().unwrap();
            let mut command = cat(secret.to_str().unwrap());
            if inside {
                command.in_domain(Arc::clone(&domain));
            }
            assert_eq!(said(command), if inside { "" } else { "told" });
        }
    }

    #[test]
    fn many_threads_start_programs_at_once_and_each_has_its_own_streams() {
        std::thread::scope(|scope| {
            for thread in 0..8 {
                scope.spawn(move || {
                    for round in 0..25 {
                        let word = format!("{thread}-{round}");
                        let mut command = Command::new("/bin/echo");
                        command.arg(word.as_str());
                        assert_eq!(said(command), format!("{word}\n"));
                    }
                });
            }
        });
    }
}
