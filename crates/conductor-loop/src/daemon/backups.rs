//! Backups while the daemon runs: at an operator's request, and by themselves at an interval.

use super::backup_sources::Rest;
use super::observe::observe;
use super::questions::{Current, Questions, busy};
use crate::backup::{self, BackupError, Listed, Making, Series, Source};
use crate::config::Config;
use conductor_core::Code;
use conductor_core::fact::DaemonFact;
use conductor_core::query::{Answer, RefusalKind, Refused};
use conductor_os::dir::Dir;
use jiff::{SignedDuration, Timestamp};
use std::io;
use std::sync::{Arc, PoisonError, TryLockError};
use std::time::Duration;

/// The pause after a backup that failed, unless the interval is shorter.
const AFTER_FAILURE: Duration = Duration::from_mins(10);
/// The least pause between two backups, whatever the names in the directory say.
const LEAST: Duration = Duration::from_mins(1);
/// The longest pause until it is looked again whether a backup is due.
const LOOK_AGAIN: Duration = Duration::from_mins(15);
/// The pause while there is no session: the daemon starts, or waits for its directory.
const NO_SESSION: Duration = Duration::from_secs(5);

impl Questions {
    /// Makes a backup, for this user or by itself.
    pub(super) fn back_up(&self, uid: Option<u32>) -> Result<Answer, Refused> {
        let current = self.current()?;
        let Some(rest) = current.back_up.as_ref().map(|back_up| Arc::clone(&back_up.rest)) else {
            let text = "the daemon has no directory for backups";
            return Err(Refused::new(RefusalKind::NotFound, text, "Start it with --backup-dir DIR."));
        };
        let _one = match self.backing_up.try_lock() {
            Ok(lock) => lock,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(busy("a backup is being made")),
        };
        match self.make(current, &rest) {
            Ok((made, pruned)) => {
                let (file, bytes) = (made.name.as_str(), made.size);
                observe(&self.health, DaemonFact::BackedUp { file, bytes, made_at: made.made_at, uid });
                if let Err(error) = pruned {
                    let reason = &error.to_string();
                    observe(&self.health, DaemonFact::BackupsNotRemoved { reason });
                }
                let path = rest.settings.dir.join(file).display().to_string();
                Ok(Answer::BackedUp { path, size: bytes })
            }
            Err(error @ BackupError::GivenUp) => Err(busy(&error.to_string())),
            Err(error) => {
                let reason = error.to_string();
                observe(&self.health, DaemonFact::BackupFailed { reason: &reason, uid });
                let text = format!("{} the backup failed: {reason}", Code::BackupFailed);
                Err(Refused::new(RefusalKind::Store, text, Code::BackupFailed.remedy()))
            }
        }
    }

    /// The backup, and whether the oldest ones could be removed. The session is held while its state is copied, and is asked for before each
    /// row of it: so a session that ends waits for one row at most, unless the disk of the backups hangs in a call.
    fn make(&self, current: Arc<Current>, rest: &Rest) -> Result<(Listed, io::Result<()>), BackupError> {
        let session = Arc::downgrade(&current);
        drop(current);
        let goes_on = || self.is_current(&session);
        let Rest { settings, private, keys, .. } = rest;
        let dir = backup::open(&settings.dir, &rest.state)?;
        let making = Making::begin(&dir, &rest.series()?, &goes_on)?;
        let current = session.upgrade().filter(|_| goes_on()).ok_or(BackupError::GivenUp)?;
        let back_up = current.back_up.as_ref().ok_or(BackupError::GivenUp)?;
        let copied = making.copy(&back_up.store)?;
        drop(current);
        let lines = self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let made = copied.finish(&Source { private, keys, settings: &lines }, &settings.recipients)?;
        let pruned = backup::prune(&dir, settings.keep, &made);
        Ok((made, pruned))
    }

    /// What is kept of the backups of this session; `None`: there is no session, or it makes none.
    fn backups(&self) -> Option<Arc<Rest>> {
        self.current().ok()?.back_up.as_ref().map(|back_up| Arc::clone(&back_up.rest))
    }
}

/// Tells the metrics of the newest backup, and makes them at the interval, from that one on, on a thread of its own that ends with the
/// process. Nothing else waits for the disk of the backups.
pub(super) fn start(config: &Config, questions: &Arc<Questions>) -> io::Result<()> {
    let Some(settings) = config.fixed.backups.clone().filter(|_| !config.fixed.once) else { return Ok(()) };
    let questions = Arc::clone(questions);
    questions.health.metrics.set_backup_interval(settings.interval.unwrap_or_default());
    let thread = std::thread::Builder::new().name("backups".to_owned());
    thread.spawn(move || look_after(&questions, settings.interval))?;
    Ok(())
}

/// Tells of the newest backup, also where its disk was mounted later or another process made it, and makes one when it is time.
fn look_after(questions: &Questions, interval: Option<Duration>) -> ! {
    loop {
        let Some(rest) = questions.backups() else {
            std::thread::sleep(NO_SESSION); // A session announces itself to nobody.
            continue;
        };
        let newest = newest(&rest);
        if let Some(newest) = newest {
            questions.health.metrics.backed_up(newest);
        }
        let due = interval.map_or(LOOK_AGAIN, |interval| due(newest, Timestamp::now(), interval));
        if !due.is_zero() {
            std::thread::sleep(due.min(LOOK_AGAIN)); // By the clock, which may be set, and a machine may sleep.
            continue;
        }
        let pause = match questions.back_up(None) {
            Err(refused) if refused.kind == RefusalKind::Store => AFTER_FAILURE,
            _ => LEAST,
        };
        std::thread::sleep(pause.min(interval.unwrap_or(pause))); // Time is what it waits for.
    }
}

/// When the newest backup of the series was made.
fn newest(rest: &Rest) -> Option<Timestamp> {
    let dir = Dir::open(&rest.settings.dir).ok()?;
    let newest = backup::newest(&dir, &Series::find(&rest.state).ok()??, Timestamp::now());
    newest.ok().flatten().map(|newest| newest.made_at)
}

/// How long until the next backup.
fn due(newest: Option<Timestamp>, now: Timestamp, interval: Duration) -> Duration {
    let Some(made) = newest else { return Duration::ZERO };
    let age = Duration::try_from(now.duration_since(made).max(SignedDuration::ZERO)).unwrap_or_default();
    interval.saturating_sub(age)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_due_an_interval_after_the_newest_one() {
        let now: Timestamp = "2026-06-01T00:00:00Z".parse().unwrap();
        let day = Duration::from_hours(24);
        let after = |hours| due(Some(now - SignedDuration::from_hours(hours)), now, day);
        assert_eq!(due(None, now, day), Duration::ZERO);
        assert_eq!((after(0), after(1), after(23)), (day, 23 * LEAST * 60, LEAST * 60));
        assert_eq!((after(24), after(1_000), after(-5)), (Duration::ZERO, Duration::ZERO, day));
    }
}
