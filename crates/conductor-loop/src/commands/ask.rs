//! Questions: to the daemon through its local socket if it runs, otherwise to the store alone.

use super::error::CommandError;
use crate::config::Config;
use crate::control::{self, AskError};
use crate::daemon::Failure;
use crate::handoff::{Finder, StateFiles, layout, remedy_of};
use crate::keys::known_public;
use crate::queries::{OfflineView, Queries, store_refused};
use crate::store::StoreError;
use conductor_core::Code;
use conductor_core::query::{
    Answer, Explained, LATELY, Listing, Question, RefusalKind, Refused, Selection, Shown, StatusReport,
};
use conductor_os::dir::Dir;
use jiff::Timestamp;
use std::io;
use std::path::{Path, PathBuf};

/// The handoff directory of a configuration.
pub(super) fn open_handoff(config: &Config) -> Result<(PathBuf, Dir), CommandError> {
    let missing = |error: io::Error| unopened(config, error);
    let path = config.fixed.handoff.canonicalize().map_err(missing)?;
    let handoff = Dir::open(&path).map_err(missing)?;
    Ok((path, handoff))
}

/// The handoff directory cannot be opened.
pub(super) fn unopened(config: &Config, error: io::Error) -> CommandError {
    let handoff = config.fixed.handoff.display();
    let attempt = format!("{} cannot open the handoff directory {handoff}", Code::DirectorySetup);
    let remedy = if error.kind() == io::ErrorKind::PermissionDenied {
        "Run it as the daemon's user or as root. Who is to hand in as another user needs a group: `chgrp GROUP DIR` and `chmod 3770 DIR`, best before the first start."
    } else {
        "Name the handoff directory: -handoff DIR, or CONDUCTOR_HANDOFF_DIR. One that a daemon works on has to be brought back."
    };
    CommandError::hindered_by(attempt, error, remedy)
}

/// The answer of the daemon; `None` if it does not run.
pub(super) fn ask_daemon(config: &Config, question: &Question) -> Result<Option<Answer>, CommandError> {
    let (path, handoff) = open_handoff(config)?;
    let failed = |error: io::Error| {
        let usual = "Run the command as the daemon's user or as root; `conductor-loop doctor` says more.";
        let remedy = remedy_of(&error).unwrap_or(usual);
        CommandError::hindered_by(format!("cannot ask the daemon of {}", path.display()), error, remedy)
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
        // The daemon ends, has too many askers, or has something else to do.
        Err(AskError::Failed(error)) if is_passing(&error) => {
            Err(busy(format!("the daemon of {} did not answer: {error}", path.display())))
        }
        Err(AskError::Failed(error)) => Err(failed(error)),
    }
}

pub(super) fn busy(text: String) -> CommandError {
    Refused::new(RefusalKind::Busy, text, "Ask again.").into()
}

fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, ResourceBusy, TimedOut, WouldBlock};
    matches!(error.kind(), BrokenPipe | ConnectionReset | ResourceBusy | TimedOut | WouldBlock)
}

/// The daemon's status, or what is known of it where none runs.
pub(super) fn report(config: &Config) -> Result<StatusReport, CommandError> {
    match ask(config, &Question::Status)? {
        Answer::Status(report) => Ok(*report),
        _ => Err(CommandError::other_version()),
    }
}

/// The intents of a selection.
pub(super) fn list(config: &Config, selection: Selection) -> Result<Listing, CommandError> {
    match ask(config, &Question::List(selection))? {
        Answer::List(listing) => Ok(listing),
        _ => Err(CommandError::other_version()),
    }
}

/// One intent, with everything that is known of it.
pub(super) fn shown(config: &Config, of: &str) -> Result<Box<Shown>, CommandError> {
    match ask(config, &Question::Show { of: of.to_owned() })? {
        Answer::Show(shown) => Ok(shown),
        _ => Err(CommandError::other_version()),
    }
}

/// Why an intent waits or failed.
pub(super) fn explained(config: &Config, of: &str) -> Result<Box<Explained>, CommandError> {
    match ask(config, &Question::Explain { of: of.to_owned() })? {
        Answer::Explain(explained) => Ok(explained),
        _ => Err(CommandError::other_version()),
    }
}

/// Why each of these waits or failed. Without a daemon the store is opened once for all of them.
pub(super) fn all_explained(config: &Config, all: &[&str]) -> Result<Vec<Explained>, CommandError> {
    let mut told = Vec::with_capacity(all.len());
    for of in all {
        match ask_daemon(config, &Question::Explain { of: (*of).to_owned() })? {
            Some(Answer::Explain(explained)) => told.push(*explained),
            Some(_) => return Err(CommandError::other_version()),
            None => break,
        }
    }
    let rest = all.get(told.len()..).unwrap_or_default();
    if !rest.is_empty() {
        told.extend(offline(config, |resting| {
            rest.iter().map(|of| Ok(resting.sources.explain(of)?)).collect::<Result<Vec<_>, CommandError>>()
        })?);
    }
    Ok(told)
}

/// The answer of the daemon, or of the store if no daemon runs.
pub(super) fn ask(config: &Config, question: &Question) -> Result<Answer, CommandError> {
    match ask_daemon(config, question)? {
        Some(answer) => Ok(answer),
        None => without_daemon(config, question),
    }
}

/// What answers where no daemon runs.
struct Resting<'r> {
    path: &'r Path,
    sources: Queries<'r>,
    view: &'r OfflineView,
}

/// Opens what answers where no daemon runs.
fn offline<T>(
    config: &Config,
    work: impl FnOnce(&Resting<'_>) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    let (path, handoff) = open_handoff(config)?;
    let files = StateFiles::find(config, &path, &handoff, Finder::Looker).map_err(|unusable| {
        CommandError::hindered_by(
            format!("no daemon has run on {} yet", path.display()),
            Failure::from(unusable),
            "Start the daemon; `conductor-loop doctor` checks everything that it needs.",
        )
    })?;
    let store = files.look().map_err(|error| match error {
        StoreError::Busy => busy(format!("a daemon is just starting or stopping on {}", path.display())),
        other => other.into(),
    })?;
    let resting = OfflineView::read(&store, &handoff, &config.fixed.names)?;
    let porch_path = config.fixed.porch.to_string();
    let public = known_public(&files.dir);
    let sources = Queries {
        store: &store,
        handoff: &handoff,
        public: &public,
        names: &config.fixed.names,
        porch_path: &porch_path,
        unfinished: &resting,
        is_wanted: &|| true,
    };
    work(&Resting { path: &path, sources, view: &resting })
}

fn without_daemon(config: &Config, question: &Question) -> Result<Answer, CommandError> {
    offline(config, |resting| {
        let sources = &resting.sources;
        Ok(match question {
            Question::Status => Answer::Status(Box::new(status(config, resting)?)),
            Question::List(selection) => Answer::List(sources.list(selection)?),
            Question::Show { of } => Answer::Show(Box::new(sources.show(of)?)),
            Question::Explain { of } => Answer::Explain(Box::new(sources.explain(of)?)),
            Question::Purge { before, really: false } => Answer::Purged(sources.would_purge(*before)?),
            _ => {
                let text = format!("no daemon runs on {}, and only it can do that", resting.path.display());
                return Err(Refused::new(RefusalKind::NotRunning, text, "Start the daemon.").into());
            }
        })
    })
}

fn status(config: &Config, resting: &Resting<'_>) -> Result<StatusReport, CommandError> {
    let Resting { path, sources, view } = resting;
    let Queries { store, handoff, .. } = sources;
    let counts = store.counts().map_err(|error| store_refused(&error))?;
    let (sighted, waiting) = view.load();
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
        failed_last_hour: sources.failed_since(Timestamp::now() - LATELY)?,
        last_seq: store.last_seq()?,
        held: view.held().to_vec(),
        free_bytes: handoff.free_space().ok().map(|(bytes, _)| bytes),
        ..StatusReport::default()
    })
}
