//! A program on a terminal of its own, and what it draws there, as a screen shows it.

use crate::screen::Screen;
use crate::wait_until;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};

/// A program on a terminal. Killed when dropped.
pub struct Terminal {
    child: Child,
    master: File,
    /// Kept open, so that the terminal outlives the program and can be looked at.
    slave: OwnedFd,
    screen: Arc<Mutex<Screen>>,
}

fn winsize((rows, columns): (u16, u16)) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

impl Terminal {
    /// Starts the command in a session of its own, whose terminal has this many rows and columns. Needs `setsid`.
    pub fn start(command: &Command, size: (u16, u16)) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).expect("a terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("ours");
        let slave = ioctl_tiocgptpeer(&master, flags).expect("its other side");
        tcsetwinsize(&master, winsize(size)).expect("it takes a size");
        let end = || slave.as_fd().try_clone_to_owned().expect("a descriptor");
        let mut session = Command::new("setsid");
        session.arg("--ctty").arg(command.get_program()).args(command.get_args()).env_clear();
        session
            .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .env("TERM", "xterm");
        session.current_dir(command.get_current_dir().expect("a directory"));
        let child = session.stdin(end()).stdout(end()).stderr(end()).spawn().expect("setsid runs");
        let (master, screen) = (File::from(master), Arc::new(Mutex::new(Screen::new(size))));
        let (mut drawn, seen) = (master.try_clone().expect("a descriptor"), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = drawn.read(&mut bytes) {
                seen.lock().expect("not poisoned").take(&bytes[..length]);
            }
        });
        Self { child, master, slave, screen }
    }

    /// The screen as it is now.
    pub fn screen(&self) -> Screen {
        self.screen.lock().expect("not poisoned").clone()
    }

    /// Types these characters.
    pub fn press(&self, keys: &str) {
        (&self.master).write_all(keys.as_bytes()).expect("typed");
    }

    /// Gives the terminal another size, as a user does with a window.
    pub fn resize(&self, size: (u16, u16)) {
        self.screen.lock().expect("not poisoned").resize(size);
        tcsetwinsize(&self.master, winsize(size)).expect("it takes a size");
    }

    /// The mode of the terminal, as text to be compared.
    pub fn mode(&self) -> String {
        let Termios { input_modes, output_modes, local_modes, .. } =
            tcgetattr(&self.slave).expect("a terminal");
        format!("{input_modes:?} {output_modes:?} {local_modes:?}")
    }

    /// Sends the program a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a pid")).expect("not zero");
        kill_process(pid, signal).expect("it runs");
    }

    /// Waits for the program's end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let child = std::cell::RefCell::new(&mut self.child);
        wait_until("the program's end", || child.borrow_mut().try_wait().expect("our child").is_some());
        self.child.wait().expect("our child")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
