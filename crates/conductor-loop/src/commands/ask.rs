//! Questions: to the daemon through its local socket if it runs, otherwise to the store alone.

use super::CommandError;
use crate::config::Config;
use crate::control::{self, AskError};
use crate::handoff::{Finder, StateFiles, layout};
use crate::keys::known_public;
use crate::queries::{OfflineView, Queries, store_refused};
use crate::store::{Store, StoreError};
use conductor_core::Code;
use conductor_core::query::{Answer, Question, RefusalKind, Refused, StatusReport};
use conductor_os::dir::Dir;
use jiff::Timestamp;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// How long failures count as those of the last hour.
const HOUR: Duration = Duration::from_hours(1);

/// The handoff directory of a configuration.
pub(super) fn open_handoff(config: &Config) -> Result<(PathBuf, Dir), CommandError> {
    let missing = |error: io::Error| {
        let message = format!("cannot open {}: {error}", config.fixed.handoff.display());
        CommandError::hindered(
            format!("{} {message}", Code::DirectorySetup),
            "Name the handoff directory: -handoff DIR, or CONDUCTOR_HANDOFF_DIR. One that a daemon works on has to be brought back.",
        )
    };
    let path = config.fixed.handoff.canonicalize().map_err(missing)?;
    let handoff = Dir::open(&path).map_err(missing)?;
    Ok((path, handoff))
}

/// The answer of the daemon; `None` if it does not run.
pub(super) fn ask_daemon(config: &Config, question: &Question) -> Result<Option<Answer>, CommandError> {
    let (path, handoff) = open_handoff(config)?;
    let failed = |error: io::Error| {
        CommandError::hindered(
            format!("cannot ask the daemon of {}: {error}", path.display()),
            "Run the command as the daemon's user or as root; `conductor-loop doctor` says more.",
        )
    };
    let private = match handoff.sub(layout::PRIVATE) {
        Ok(private) => private,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    match control::ask(&private, question) {
        Ok(Answer::Refused(refused)) => Err(refused.into()),
        Ok(answer) => Ok(Some(answer)),
        Err(AskError::NotRunning) => Ok(None),
        Err(AskError::Failed(error)) => Err(failed(error)),
    }
}

/// The answer of the daemon, or of the store if no daemon runs.
pub(super) fn ask(config: &Config, question: &Question) -> Result<Answer, CommandError> {
    match ask_daemon(config, question)? {
        Some(answer) => Ok(answer),
        None => without_daemon(config, question),
    }
}

fn without_daemon(config: &Config, question: &Question) -> Result<Answer, CommandError> {
    let (path, handoff) = open_handoff(config)?;
    let files = StateFiles::find(config, &path, &handoff, Finder::Looker).map_err(|failure| {
        let message = format!("no daemon has run on {} yet: {failure}", path.display());
        CommandError::hindered(
            message,
            "Start the daemon; `conductor-loop doctor` checks everything that it needs.",
        )
    })?;
    let store = Store::look(&files.dir, &files.sealing).map_err(|error| match error {
        StoreError::Busy => CommandError::hindered(
            format!("busy: a daemon is just starting or stopping on {}", path.display()),
            "Ask again.",
        ),
        other => other.into(),
    })?;
    files.expect_sealed(&store)?;
    let resting = OfflineView::read(&store, &handoff)?;
    let porch_path = config.fixed.porch.to_string();
    let public = known_public(&files.dir)?;
    let sources = Queries {
        store: &store,
        handoff: &handoff,
        public: &public,
        porch_path: &porch_path,
        unfinished: &resting,
        is_wanted: &|| true,
    };
    Ok(match question {
        Question::Status => Answer::Status(Box::new(status(config, &path, &sources, &resting)?)),
        Question::List(selection) => Answer::List(sources.list(selection)?),
        Question::Show { of } => Answer::Show(Box::new(sources.show(of)?)),
        Question::Explain { of } => Answer::Explain(Box::new(sources.explain(of)?)),
        Question::Purge { before, really: false } => Answer::Purged(sources.would_purge(*before)?),
        _ => {
            let text = format!("no daemon runs on {}, and only it can do that", path.display());
            return Err(Refused::new(RefusalKind::NotRunning, text, "Start the daemon.").into());
        }
    })
}

fn status(
    config: &Config,
    path: &std::path::Path,
    sources: &Queries<'_>,
    resting: &OfflineView,
) -> Result<StatusReport, CommandError> {
    let Queries { store, handoff, .. } = sources;
    let counts = store.counts().map_err(|error| store_refused(&error))?;
    let (sighted, waiting) = resting.load();
    Ok(StatusReport {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        not_ready: vec!["not-running".to_owned()],
        handoff: path.display().to_string(),
        out: config.fixed.out.display().to_string(),
        porch_path: config.fixed.porch.to_string(),
        mode: config.fixed.mode.as_str().to_owned(),
        workers: config.fixed.workers,
        sighted,
        waiting,
        processed: counts.processed,
        duplicates: counts.duplicates,
        failed: counts.failed,
        failed_last_hour: sources.failed_since(Timestamp::now() - HOUR)?,
        last_seq: store.last_seq()?,
        held: resting.held().to_vec(),
        free_bytes: handoff.free_space().ok().map(|(bytes, _)| bytes),
        ..StatusReport::default()
    })
}
