//! `backup now | list | verify`, and how a backup is opened.

use super::ask::{ask_daemon, open_handoff};
use super::error::{Cause, CommandError};
use super::output::Output;
use super::rebuild::Keeping;
use super::trail::public_of;
use crate::backup::{self, BackupError, Checked, Listed, Making, Series, Source, Written};
use crate::config::{Backups, Config};
use crate::daemon::existing_store;
use crate::handoff::{Finder, HeadFile, StateFiles, check_places};
use crate::keys::{PUBLIC_KEYS, known_public};
use crate::store::Store;
use conductor_core::query::{Answer, Question};
use conductor_core::record::rfc3339;
use conductor_core::{Code, Exit};
use conductor_crypto::VerifyingKey;
use conductor_crypto::age::Identity;
use conductor_evidence::entry::user;
use conductor_evidence::{EntryResult, Event, Record};
use conductor_os::attempt::could_write;
use conductor_os::dir::Dir;
use conductor_os::plain::{open_plain, read_plain};
use jiff::Timestamp;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The most bytes of a file with an identity.
const IDENTITY_MAX: u64 = 64 << 10;
const NAME_DIR: &str = "Name the directory of the backups: --backup-dir DIR, or CONDUCTOR_BACKUP_DIR.";

/// A backup to be read, and what opens it.
#[derive(Debug)]
pub struct BackupArgs {
    /// The file; the newest one of the directory if absent.
    pub file: Option<PathBuf>,
    /// The identity that it is encrypted to; the root keys' own if absent.
    pub identity: Option<PathBuf>,
    /// Public keys that are trusted besides those beside the state.
    pub public: Option<PathBuf>,
}

/// The failure of what was tried with a file or a directory.
pub(super) fn cannot(what: &str) -> impl FnOnce(io::Error) -> CommandError {
    move |error| BackupError::of(what)(error).into()
}

fn backups(config: &Config) -> Result<&Backups, CommandError> {
    let missing = || CommandError::hindered("no directory for backups is given", NAME_DIR);
    config.fixed.backups.as_ref().ok_or_else(missing)
}

fn open(path: &Path) -> Result<Dir, CommandError> {
    let unusable = |error: io::Error| {
        CommandError::coded_by(Code::BackupFailed, format!("cannot open {}", path.display()), error)
    };
    Dir::open(path).map_err(unusable)
}

/// `backup now`: by the daemon if it runs, else of the store alone.
pub fn backup_now(config: &Config, output: Output) -> Result<Exit, CommandError> {
    let (path, size) = match ask_daemon(config, &Question::Backup)? {
        Some(Answer::BackedUp { path, size }) => (path, size),
        Some(_) => return Err(CommandError::other_version()),
        None => without_daemon(config)?,
    };
    output.answer(&serde_json::json!({"path": path, "size": size}), |_| {
        format!("{path}, {size} bytes, restored on trial\n")
    })
}

fn without_daemon(config: &Config) -> Result<(String, u64), CommandError> {
    let backups = backups(config)?;
    must_have_run(config)?;
    check_places(config)?;
    let kept = Keeping::open(config)?;
    let store = existing_store(&kept.files, &kept.places.dirs.handoff, &kept.last)?;
    let keys = kept.files.accepted_keys()?;
    let dir = backup::open(&backups.dir, &kept.files.dir)?;
    let source = Source { private: &kept.places.dirs.private, keys: &keys, settings: &config.lines() };
    let series = Series::of(&kept.files.dir).map_err(cannot("reading or writing the id of the backups"))?;
    let made = Making::begin(&dir, &series, &|| true)
        .and_then(|making| making.copy(&store)?.finish(&source, &backups.recipients))?;
    let actor = user(rustix::process::getuid().as_raw());
    let record = Record { actor, ..Record::of(Event::BackedUp, EntryResult::Success) };
    kept.record(config, record.with("file", made.name.as_str()).with("bytes", made.size))?;
    if let Err(error) = backup::prune(&dir, backups.keep, &made) {
        let code = Code::BackupFailed;
        // If standard error cannot be written, the backup is made all the same.
        let _ = writeln!(
            io::stderr().lock(),
            "WARNING: {code} the oldest backups stay, because they cannot be removed: {error}"
        );
    }
    Ok((backups.dir.join(&made.name).display().to_string(), made.size))
}

/// Refuses a directory where nothing has run yet, before a state is made in it.
fn must_have_run(config: &Config) -> Result<(), CommandError> {
    let (path, handoff) = open_handoff(config)?;
    let state = StateFiles::find(config, &path, &handoff, Finder::Looker).ok();
    let has_run = match state {
        Some(state) => matches!(state.head, HeadFile::Ours(_)) || Store::was_in(&state.dir)?,
        None => matches!(HeadFile::read(&handoff), HeadFile::Ours(_)),
    };
    if has_run {
        return Ok(());
    }
    let message = format!("no daemon has run on {} yet, so there is nothing to back up", path.display());
    let advice =
        "Name the directory that your daemon works on (-handoff DIR), or start a daemon on this one.";
    Err(CommandError::hindered(message, advice))
}

/// A backup as `backup list` shows it.
#[derive(serde::Serialize)]
struct Shown<'l> {
    #[serde(flatten)]
    listed: &'l Listed,
    /// Whether it is of the state that is here; `null`: that is unknown.
    own: Option<bool>,
}

/// `backup list`
pub fn backup_list(config: &Config, output: Output) -> Result<Exit, CommandError> {
    let own = looked_at(config).and_then(|state| Series::find(&state.dir).ok());
    let listed = backup::list(&open(&backups(config)?.dir)?).map_err(cannot("listing the backups"))?;
    let is_own = |one: &Listed| own.as_ref().map(|own| Some(&one.series) == own.as_ref());
    let shown: Vec<Shown<'_>> = listed.iter().map(|listed| Shown { listed, own: is_own(listed) }).collect();
    let mut text = String::new();
    for Shown { listed, own } in &shown {
        let of = if *own == Some(false) { "  of another state" } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}  {:>12}{of}", listed.name, listed.size);
    }
    output.answer(&shown, |_| text)
}

/// What `doctor` says of the directory of backups; the error is what keeps them from being made.
pub(super) fn outlook(config: &Config) -> Result<String, String> {
    let Some(Backups { dir: path, .. }) = &config.fixed.backups else {
        return Ok("none are made: no --backup-dir".to_owned());
    };
    let shown = path.display();
    let wrong = |error: io::Error| format!("{shown}: {error}");
    let series = looked_at(config).and_then(|state| Series::find(&state.dir).ok().flatten());
    let dir = match (Dir::open(path), &series) {
        (Err(error), None) if error.kind() == io::ErrorKind::NotFound => {
            let absolute = std::path::absolute(path).map_err(wrong)?;
            could_write(absolute.parent().unwrap_or(&absolute)).map_err(wrong)?;
            return Ok(format!("{shown} is made for the first backup"));
        }
        (opened, _) => opened.map_err(wrong)?,
    };
    could_write(path).map_err(wrong)?;
    let newest = series.map(|series| backup::newest(&dir, &series, Timestamp::now())).transpose();
    Ok(match newest.map_err(wrong)?.flatten() {
        Some(newest) => {
            format!("{shown} can be written; the newest of this state is of {}", rfc3339(newest.made_at))
        }
        None => format!("{shown} can be written; there is none of this state yet"),
    })
}

/// The state that is here, if it can be looked at.
fn looked_at(config: &Config) -> Option<StateFiles> {
    let (path, handoff) = open_handoff(config).ok()?;
    StateFiles::find(config, &path, &handoff, Finder::Looker).ok()
}

/// A backup restored into a directory of its own, which is removed with it.
pub(super) struct Opened {
    pub(super) shown: String,
    pub(super) checked: Checked,
    /// Whether a key that is known here has signed it.
    known: bool,
}

/// The backup that is to be opened.
struct Chosen {
    path: PathBuf,
    /// The time in its name, by which it was chosen.
    made_at: Option<Timestamp>,
}

/// The file that is asked for, or the newest one: of this state, or where that has none, of the only other one.
fn chosen(config: &Config, args: &BackupArgs, state: Option<&StateFiles>) -> Result<Chosen, CommandError> {
    if let Some(file) = &args.file {
        return Ok(Chosen { path: file.clone(), made_at: None });
    }
    let backups = backups(config)?;
    let mut listed = backup::list(&open(&backups.dir)?).map_err(cannot("listing the backups"))?;
    if let Some(own) = state.and_then(|state| Series::find(&state.dir).ok().flatten())
        && listed.iter().any(|one| one.series == own)
    {
        listed.retain(|one| one.series == own);
    }
    let place = backups.dir.display();
    backup::by_age(&mut listed, Timestamp::now());
    let newest = listed.pop();
    let newest = newest.ok_or_else(|| CommandError::hindered(format!("{place} has no backup"), NAME_DIR))?;
    if listed.iter().any(|one| one.series != newest.series) {
        let what = format!("{place} has backups of several states, and none of the one that is here");
        return Err(CommandError::hindered(what, "Name the file; `conductor-loop backup list` shows them."));
    }
    Ok(Chosen { path: backups.dir.join(newest.name), made_at: Some(newest.made_at) })
}

/// A backup that is encrypted to others than the keys that were tried without being named.
#[derive(Debug, thiserror::Error)]
#[error("{0} (the root keys of this state were tried; --identity FILE names the key of a recipient)")]
struct NotByOurKeys(#[source] BackupError);

pub(super) fn opened(
    config: &Config,
    args: &BackupArgs,
    state: Option<&StateFiles>,
    into: &Arc<Dir>,
    written: Written,
) -> Result<Opened, CommandError> {
    let Chosen { path, made_at } = chosen(config, args, state)?;
    let shown = path.display().to_string();
    let wrong = |what: String| CommandError::coded(Code::BackupFailed, format!("{shown}: {what}"));
    let tried = |what: String, cause: Cause| {
        CommandError::coded_by(Code::BackupFailed, format!("{shown}: {what}"), cause)
    };
    let unread = |cause: Cause| CommandError::coded_by(Code::BackupFailed, shown.as_str(), cause);
    let file: File = open_plain(&path).map_err(|error| unread(error.into()))?;
    let identities = match &args.identity {
        Some(identity) => {
            let text = read_plain(identity, IDENTITY_MAX).map(Zeroizing::new);
            let text = text.map_err(|error| tried(identity.display().to_string(), error.into()))?;
            let parsed = std::str::from_utf8(&text).ok().and_then(Identity::parse);
            vec![parsed.ok_or_else(|| wrong(format!("{} has no identity of age", identity.display())))?]
        }
        None => match state.map(|state| &state.keys) {
            Some(Ok(keys)) => backup::own_identities(keys.ring()),
            Some(Err(error)) => {
                return Err(tried("no key opens it".to_owned(), Arc::clone(error).into()));
            }
            None => return Err(wrong("no key opens it: there is no state here".to_owned())),
        },
    };
    let mut trusted = match &args.public {
        Some(file) => {
            public_of(file).map_err(|error| tried(format!("reading {}", file.display()), error.into()))?
        }
        None => Vec::new(),
    };
    if let Some(state) = state {
        trusted.extend(known_keys(state)?);
    }
    let checked = backup::check(file, &identities, into, &trusted, written).map_err(|error| match error {
        BackupError::Closed(_) if args.identity.is_none() => unread(NotByOurKeys(error).into()),
        error => unread(error.into()),
    })?;
    let told = &checked.manifest.made_at;
    if made_at.is_some_and(|made_at| rfc3339(made_at) != *told) {
        return Err(wrong(format!(
            "it was made at {told}: somebody has renamed it; name the file to take it"
        )));
    }
    Ok(Opened { shown, checked, known: !trusted.is_empty() })
}

/// The keys that are known to be of this state: those that have signed for it, and those that the operator gave it.
pub(super) fn known_keys(state: &StateFiles) -> Result<Vec<VerifyingKey>, CommandError> {
    let mut known = known_public(&state.dir).map_err(|error| {
        let what = format!("the {PUBLIC_KEYS} beside {} cannot be read", state.path.display());
        CommandError::hindered_by(what, error, "Move it away, and name the keys to trust: --public FILE.")
    })?;
    if let Ok(keys) = &state.keys
        && !keys.origin().is_weak()
    {
        known.extend(keys.public());
    }
    Ok(known)
}

/// Where the sealed state of a backup is opened: beside the own state, or where others write for a while, so that the backup may lie where
/// nobody but its daemon writes.
fn verifying_place(state: Option<&StateFiles>) -> Result<Arc<Dir>, CommandError> {
    let own = rustix::process::geteuid().as_raw();
    match state {
        Some(state) if state.dir.meta().is_ok_and(|meta| meta.uid == own) => Ok(Arc::clone(&state.dir)),
        _ => Ok(Arc::new(open(&std::env::temp_dir())?)),
    }
}

/// `backup verify`: exit 0, or 1 if it could not be restored.
pub fn backup_verify(config: &Config, args: &BackupArgs, output: Output) -> Result<Exit, CommandError> {
    let state = looked_at(config);
    let place = verifying_place(state.as_ref())?;
    backup::clear_stale(&place).map_err(cannot("removing what was left of others"))?;
    let name = format!("{}-verify-{}", backup::DRAFT, std::process::id());
    let scratch = backup::Scratch::new(&place, &name).map_err(cannot("making a directory to work in"))?;
    let opened = opened(config, args, state.as_ref(), &scratch.dir(), Written::State)?;
    let Opened { shown, checked, known } = &opened;
    let manifest = &checked.manifest;
    let body = serde_json::json!({"path": shown, "made_at": manifest.made_at, "last_seq": manifest.last_seq,
        "processed": manifest.processed, "failed": manifest.failed, "audit_entries": checked.entries, "signed_by": checked.signed_by, "known": known});
    output.answer(&body, |_| told(&opened))
}

pub(super) fn told(Opened { shown, checked, known }: &Opened) -> String {
    let manifest = &checked.manifest;
    let unknown = if *known { "" } else { " (no key is known here: --public FILE names the keys to trust)" };
    format!(
        "backup       {shown}\nsigned by    {}{unknown}\nmade at      {}\nprocessed    {}\nfailed       {}\nlast number  {}\naudit        {} entries\n",
        checked.signed_by,
        conductor_core::scrub::line(&manifest.made_at, 100),
        manifest.processed,
        manifest.failed,
        manifest.last_seq,
        checked.entries
    )
}
