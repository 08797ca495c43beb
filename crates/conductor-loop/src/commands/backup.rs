//! `backup now | list | verify`, and how a backup is opened.

use super::ask::{ask_daemon, open_handoff};
use super::rebuild::Keeping;
use super::verify::public_of;
use super::{CommandError, print, print_json};
use crate::backup::{self, BackupError, Checked, Source};
use crate::config::{Backups, Config};
use crate::daemon::existing_store;
use crate::handoff::{Finder, StateFiles};
use crate::keys::known_public;
use conductor_core::query::{Answer, Question};
use conductor_core::{Code, Exit};
use conductor_crypto::age::Identity;
use conductor_os::dir::Dir;
use conductor_os::plain::{open_plain, read_plain};
use std::fmt::Write as _;
use std::fs::File;
use std::io;
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

pub(super) fn failed(error: &BackupError) -> CommandError {
    CommandError::coded(Code::BackupFailed, error)
}

fn backups(config: &Config) -> Result<&Backups, CommandError> {
    let missing = || CommandError::hindered("no directory for backups is given", NAME_DIR);
    config.fixed.backups.as_ref().ok_or_else(missing)
}

fn open(path: &Path) -> Result<Dir, CommandError> {
    let unusable = |error: io::Error| {
        CommandError::coded(Code::BackupFailed, format!("cannot open {}: {error}", path.display()))
    };
    Dir::open(path).map_err(unusable)
}

/// `backup now`: by the daemon if it runs, else of the store alone.
pub fn backup_now(config: &Config, as_json: bool) -> Result<Exit, CommandError> {
    let (path, size) = match ask_daemon(config, &Question::Backup)? {
        Some(Answer::BackedUp { path, size }) => (path, size),
        Some(_) => return Err(CommandError::other_version()),
        None => without_daemon(config)?,
    };
    if as_json {
        return print_json(&serde_json::json!({"path": path, "size": size}));
    }
    print(format!("{path}, {size} bytes, restored on trial\n").as_bytes())
}

fn without_daemon(config: &Config) -> Result<(String, u64), CommandError> {
    let backups = backups(config)?;
    let kept = Keeping::open(config)?;
    let store = existing_store(&kept.files, &kept.places.dirs.handoff, &kept.last)?;
    let keys = kept.files.accepted_keys()?;
    let dir = backup::open(&backups.dir).map_err(|error| failed(&error))?;
    let settings = config.lines();
    let source =
        Source { store: &store, private: &kept.places.dirs.private, keys: &keys, settings: &settings };
    let made = backup::make(&source, &dir, &backups.recipients, &|| true).map_err(|error| failed(&error))?;
    backup::prune(&dir, backups.keep)?;
    Ok((backups.dir.join(&made.name).display().to_string(), made.size))
}

/// `backup list`
pub fn backup_list(config: &Config, as_json: bool) -> Result<Exit, CommandError> {
    let listed = backup::list(&open(&backups(config)?.dir)?)?;
    if as_json {
        return print_json(&listed);
    }
    let mut text = String::new();
    for one in &listed {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}  {:>12}", one.name, one.size);
    }
    print(text.as_bytes())
}

/// A backup restored into a directory of its own, which is removed with it.
pub(super) struct Opened {
    pub(super) shown: String,
    pub(super) checked: Checked,
    /// Whether a key that is known here has signed it.
    known: bool,
}

/// The file that is asked for, or the newest one.
fn chosen(config: &Config, args: &BackupArgs) -> Result<PathBuf, CommandError> {
    if let Some(file) = &args.file {
        return Ok(file.clone());
    }
    let backups = backups(config)?;
    let newest = backup::list(&open(&backups.dir)?)?.pop();
    let none = || CommandError::hindered(format!("{} has no backup", backups.dir.display()), NAME_DIR);
    newest.map(|newest| backups.dir.join(newest.name)).ok_or_else(none)
}

pub(super) fn opened(
    config: &Config,
    args: &BackupArgs,
    state: Option<&StateFiles>,
    into: &Arc<Dir>,
) -> Result<Opened, CommandError> {
    let path = chosen(config, args)?;
    let shown = path.display().to_string();
    let wrong = |what: String| CommandError::coded(Code::BackupFailed, format!("{shown}: {what}"));
    let file: File = open_plain(&path).map_err(|error| wrong(error.to_string()))?;
    let identities = match &args.identity {
        Some(identity) => {
            let text = read_plain(identity, IDENTITY_MAX).map(Zeroizing::new);
            let text = text.map_err(|error| wrong(format!("{}: {error}", identity.display())))?;
            let parsed = std::str::from_utf8(&text).ok().and_then(Identity::parse);
            vec![parsed.ok_or_else(|| wrong(format!("{} has no identity of age", identity.display())))?]
        }
        None => match state.map(|state| &state.keys) {
            Some(Ok(keys)) => backup::own_identities(keys.ring()),
            Some(Err(error)) => return Err(wrong(format!("no key opens it: {error}"))),
            None => return Err(wrong("no key opens it: there is no state here".to_owned())),
        },
    };
    let mut trusted = match &args.public {
        Some(file) => {
            public_of(file).map_err(|error| wrong(format!("reading {}: {error}", file.display())))?
        }
        None => Vec::new(),
    };
    if let Some(state) = state {
        trusted.extend(known_public(&state.dir)?);
    }
    let checked =
        backup::check(file, &identities, into, &trusted).map_err(|error| wrong(error.to_string()))?;
    Ok(Opened { shown, checked, known: !trusted.is_empty() })
}

/// `backup verify`: exit 0, or 1 if it could not be restored.
pub fn backup_verify(config: &Config, args: &BackupArgs, as_json: bool) -> Result<Exit, CommandError> {
    let state = open_handoff(config)
        .ok()
        .and_then(|(path, handoff)| StateFiles::find(config, &path, &handoff, Finder::Looker).ok());
    let path = chosen(config, args)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let parent = open(parent)?;
    // A daemon may make a backup in the same directory meanwhile, and others may verify.
    let own = format!("{}-verify-{}", backup::DRAFT, std::process::id());
    let scratch = backup::Scratch::new(&parent, &own)?;
    let opened = opened(config, args, state.as_ref(), &scratch.dir())?;
    let Opened { shown, checked, known } = &opened;
    let manifest = &checked.manifest;
    if as_json {
        let told = serde_json::json!({"path": shown, "made_at": manifest.made_at, "last_seq": manifest.last_seq,
            "processed": manifest.processed, "failed": manifest.failed, "audit_entries": checked.entries, "signed_by": checked.signed_by, "known": known});
        return print_json(&told);
    }
    print(told(&opened).as_bytes())
}

pub(super) fn told(Opened { shown, checked, known }: &Opened) -> String {
    let manifest = &checked.manifest;
    let unknown = if *known { "" } else { " (no key is known here: --public FILE names the keys to trust)" };
    format!(
        "backup       {shown}\nsigned by    {}{unknown}\nmade at      {}\nprocessed    {}\nfailed       {}\nlast number  {}\naudit        {} entries\n",
        checked.signed_by.join(", "),
        manifest.made_at,
        manifest.processed,
        manifest.failed,
        manifest.last_seq,
        checked.entries
    )
}
