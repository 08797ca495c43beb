//! A second user of the process: threads whose effective ids are those of another user, while the real and the saved ids
//! are ours. User ids belong to a thread, and a thread inherits them from the one that starts it; so one thread takes the
//! ids while the process still has the right to, and starts all the others. After that nobody needs a capability: such a
//! thread uses files as the second user, may signal what either user started, and a program that it starts can become
//! the second user alone ([`crate::command::Command::of_second`]). The second user's programs may not signal or trace it: for that the kernel
//! compares real and saved ids.

use crate::confine::process::remove_from_bounding_set;
use crate::is_passing;
use crate::user::{Identity, lock_secure_bits};
use rustix::fs::{AtFlags, CWD, Gid, Uid, access, accessat};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};
use std::io;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

pub use rustix::fs::Access;

/// The capabilities that [`begin`] needs.
pub const NEEDED: CapabilitySet =
    CapabilitySet::SETUID.union(CapabilitySet::SETGID).union(CapabilitySet::SETPCAP);

type Work = Box<dyn FnOnce() + Send>;

/// What the second user's own thread is asked for.
enum Order {
    /// A thread to start.
    Thread { name: String, work: Work, answer: Sender<io::Result<JoinHandle<()>>> },
    /// Something short that must not fail for want of a thread.
    Now(Work),
}

/// The second user.
pub struct Second {
    identity: Identity,
    orders: Sender<Order>,
}

impl std::fmt::Debug for Second {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Second").field("identity", &self.identity).finish_non_exhaustive()
    }
}

static SECOND: OnceLock<Second> = OnceLock::new();

/// The second user of this process, if it has one.
pub fn get() -> Option<&'static Second> {
    SECOND.get()
}

/// Begins the second user, once. Needs [`NEEDED`], of which the caller keeps what it has.
pub fn begin(identity: &Identity) -> io::Result<()> {
    let (orders, ordered) = channel();
    let (say, said) = channel();
    let theirs = identity.clone();
    Builder::new().name("second-user".to_owned()).spawn(move || {
        let taken = take_ids(&theirs);
        let serves = taken.is_ok();
        // Who began it waits for this.
        let _ = say.send(taken);
        if serves {
            serve(&ordered);
        }
    })?;
    said.recv().map_err(|_| ended())??;
    let second = Second { identity: identity.clone(), orders };
    SECOND.set(second).map_err(|_| io::Error::other("the process has a second user already"))
}

fn ended() -> io::Error {
    io::Error::other("the thread of the second user has ended")
}

fn serve(ordered: &Receiver<Order>) {
    for order in ordered {
        match order {
            // Who ordered it waits for this.
            Order::Thread { name, work, answer } => drop(answer.send(Builder::new().name(name).spawn(work))),
            Order::Now(work) => work(),
        }
    }
}

/// Gives this thread the effective ids and the groups of the user; nothing it starts gets a capability.
fn take_ids(identity: &Identity) -> io::Result<()> {
    let groups: Vec<Gid> = identity.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    set_thread_groups(&groups)?;
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    set_thread_res_gid(Some(group), Some(Gid::from_raw(identity.gid)), Some(group))?;
    set_no_new_privs(true)?;
    if capabilities(None)?.effective.contains(CapabilitySet::SETPCAP) {
        remove_from_bounding_set(CapabilitySet::all())?;
        lock_secure_bits()?;
    }
    set_thread_res_uid(Some(user), Some(Uid::from_raw(identity.uid)), Some(user))?;
    // Another effective user may have made the memory, which is that of the process and of a child until its exec, open to porch's user.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let none = CapabilitySet::empty();
    Ok(set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?)
}

impl Second {
    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Starts a thread with the second user's ids.
    pub fn thread(&self, name: String, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
        let (answer, answered) = channel();
        let order = Order::Thread { name, work: Box::new(work), answer };
        self.orders.send(order).map_err(|_| ended())?;
        answered.recv().map_err(|_| ended())?
    }

    /// Does the work with the second user's ids, and waits for it.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        let (answer, answered) = channel();
        // Who asked waits for this.
        let thread = self.thread("as-second".to_owned(), move || drop(answer.send(work())))?;
        let result = answered.recv().map_err(|_| ended());
        // A thread that panicked has ended the process.
        let _ = thread.join();
        result
    }

    /// Does something short at once on the second user's own thread: signals must go out where no thread can be started any more, as under
    /// a program that has started all that the machine allows.
    fn now<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        let (answer, answered) = channel();
        // Who asked waits for this.
        let order = Order::Now(Box::new(move || drop(answer.send(work()))));
        self.orders.send(order).map_err(|_| ended())?;
        answered.recv().map_err(|_| ended())
    }
}

/// Starts a thread: with the ids of the second user, if there is one.
pub fn thread(name: String, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    match get() {
        Some(second) => second.thread(name, work),
        None => Builder::new().name(name).spawn(work),
    }
}

/// Does something short that a program of ours may be the object of: with the ids that reach it whichever of the two users it has.
pub fn reaching<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    match get() {
        Some(second) => second.now(work),
        None => Ok(work()),
    }
}

/// Whether programs that we start may use a path so: as the second user, if there is one. Without a thread or memory for the
/// question it is not known.
pub fn may(path: &Path, how: Access) -> io::Result<bool> {
    let answer = match get() {
        None => access(path, how),
        Some(second) => {
            let path = path.to_owned();
            second.run(move || accessat(CWD, &path, how, AtFlags::EACCESS))?
        }
    };
    match answer.map_err(io::Error::from) {
        Err(error) if is_passing(&error) => Err(error),
        answer => Ok(answer.is_ok()),
    }
}
