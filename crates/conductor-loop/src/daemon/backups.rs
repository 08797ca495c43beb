//! Backups while the daemon runs: at an operator's request, and by themselves at an interval.

use super::observe::observe;
use super::questions::{Current, Questions, busy};
use crate::backup::{self, BackupError, Listed, Source};
use crate::config::{Backups, Config};
use crate::keys::Keys;
use crate::store::Store;
use conductor_core::Code;
use conductor_core::fact::DaemonFact;
use conductor_core::query::{Answer, RefusalKind, Refused};
use conductor_os::dir::Dir;
use jiff::{SignedDuration, Timestamp};
use std::io;
use std::sync::{Arc, TryLockError};
use std::time::Duration;

/// The pause after a backup that failed, unless the interval is shorter.
const AFTER_FAILURE: Duration = Duration::from_mins(10);
/// The pause while there is no session: the daemon starts, or waits for its directory.
const NO_SESSION: Duration = Duration::from_secs(5);

/// What a session's backups are made of.
pub(super) struct BackUp {
    pub(super) settings: Backups,
    pub(super) store: Arc<Store>,
    pub(super) private: Arc<Dir>,
    pub(super) keys: Arc<Keys>,
    /// The settings in force, as lines.
    pub(super) lines: String,
}

impl BackUp {
    /// `None`: the operator names no directory for backups.
    pub(super) fn of(
        config: &Config,
        store: Arc<Store>,
        private: &Arc<Dir>,
        keys: &Arc<Keys>,
    ) -> Option<Self> {
        let settings = config.fixed.backups.clone()?;
        let (private, keys, lines) = (Arc::clone(private), Arc::clone(keys), config.lines());
        Some(Self { settings, store, private, keys, lines })
    }

    fn make(&self, goes_on: &dyn Fn() -> bool) -> Result<Listed, BackupError> {
        let Self { settings, store, private, keys, lines } = self;
        let dir = backup::open(&settings.dir)?;
        let source = Source { store, private, keys, settings: lines };
        let made = backup::make(&source, &dir, &settings.recipients, goes_on)?;
        let pruned = backup::prune(&dir, settings.keep);
        pruned
            .map_err(|source| BackupError::Io { what: "removing the oldest backups".to_owned(), source })?;
        Ok(made)
    }
}

impl Questions {
    /// Makes a backup, for this user or by itself.
    pub(super) fn back_up(
        &self,
        current: &Current,
        uid: Option<u32>,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Answer, Refused> {
        let Some(back_up) = &current.back_up else {
            let text = "the daemon has no directory for backups";
            return Err(Refused::new(RefusalKind::NotFound, text, "Start it with --backup-dir DIR."));
        };
        let _one = match self.backing_up.try_lock() {
            Ok(lock) => lock,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(busy("a backup is being made")),
        };
        let goes_on = || is_wanted() && self.current().is_ok();
        match back_up.make(&goes_on) {
            Ok(Listed { name, size }) => {
                observe(&self.health, DaemonFact::BackedUp { file: &name, bytes: size, uid });
                let path = back_up.settings.dir.join(name).display().to_string();
                Ok(Answer::BackedUp { path, size })
            }
            Err(error) => {
                let reason = error.to_string();
                observe(&self.health, DaemonFact::BackupFailed { reason: &reason, uid });
                let text = format!("{} the backup failed: {reason}", Code::BackupFailed);
                Err(Refused::new(RefusalKind::Store, text, Code::BackupFailed.remedy()))
            }
        }
    }
}

/// Makes backups at the interval, from the newest one on, on a thread of its own that ends with the process.
pub(super) fn start(config: &Config, questions: &Arc<Questions>) -> io::Result<()> {
    let Some(settings) = config.fixed.backups.clone() else { return Ok(()) };
    let Some(interval) = settings.interval.filter(|_| !config.fixed.once) else { return Ok(()) };
    let questions = Arc::clone(questions);
    let thread = std::thread::Builder::new().name("backups".to_owned());
    thread.spawn(move || {
        loop {
            std::thread::sleep(due(&settings, interval)); // Time is what it waits for.
            let Ok(current) = questions.current() else {
                std::thread::sleep(NO_SESSION); // A session announces itself to nobody.
                continue;
            };
            let made = questions.back_up(&current, None, &|| true);
            drop(current);
            if made.is_err() {
                std::thread::sleep(AFTER_FAILURE.min(interval)); // What failed is tried again later.
            }
        }
    })?;
    Ok(())
}

/// How long until the next backup.
fn due(settings: &Backups, interval: Duration) -> Duration {
    let newest =
        Dir::open(&settings.dir).and_then(|dir| backup::list(&dir)).ok().and_then(|mut all| all.pop());
    let Some(made) = newest.and_then(|newest| backup::made_at(&newest.name)) else { return Duration::ZERO };
    let age = Timestamp::now().duration_since(made);
    // A backup from the future, after the clock was set back, is no reason to wait for longer than the interval.
    let age = Duration::try_from(age.max(SignedDuration::ZERO)).unwrap_or_default();
    interval.saturating_sub(age)
}
