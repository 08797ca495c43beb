//! `backup now | list | verify | restore`.

use super::ask::{ask_daemon, open_handoff};
use super::rebuild::{Keeping, give_up_passed};
use super::{CommandError, print, print_json};
use crate::backup::{self, BackupError, Checked, Source};
use crate::config::{Backups, Config};
use crate::daemon::{append_alone, existing_store, statuses};
use crate::handoff::{Finder, StateFiles, layout};
use crate::keys::{PUBLIC_KEYS, known_public};
use crate::store;
use crate::writer::admin_entry;
use conductor_core::query::{Answer, Question};
use conductor_core::record::Outcome;
use conductor_core::{Code, Exit};
use conductor_crypto::VerifyingKey;
use conductor_crypto::age::Identity;
use conductor_evidence::segment;
use conductor_os::dir::Dir;
use conductor_os::plain::{open_plain, read_plain};
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
}

fn failed(error: &BackupError) -> CommandError {
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
struct Opened {
    shown: String,
    checked: Checked,
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

fn opened(
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
            let text = read_plain(identity, IDENTITY_MAX)
                .map_err(|error| wrong(format!("{}: {error}", identity.display())))?;
            let parsed = std::str::from_utf8(&text).ok().and_then(Identity::parse);
            vec![parsed.ok_or_else(|| wrong(format!("{} has no identity of age", identity.display())))?]
        }
        None => match state.map(|state| &state.keys) {
            Some(Ok(keys)) => backup::own_identities(keys.ring()),
            Some(Err(error)) => return Err(wrong(format!("no key opens it: {error}"))),
            None => return Err(wrong("no key opens it: there is no state here".to_owned())),
        },
    };
    let trusted: Vec<VerifyingKey> =
        state.and_then(|state| known_public(&state.dir).ok()).unwrap_or_default();
    let checked =
        backup::check(file, &identities, into, &trusted).map_err(|error| wrong(error.to_string()))?;
    Ok(Opened { shown, checked })
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
    let Opened { shown, checked } = opened(config, args, state.as_ref(), &scratch.dir())?;
    let manifest = &checked.manifest;
    if as_json {
        let told = serde_json::json!({"path": shown, "made_at": manifest.made_at, "last_seq": manifest.last_seq,
            "processed": manifest.processed, "failed": manifest.failed, "audit_entries": checked.entries});
        return print_json(&told);
    }
    print(told(&shown, &checked).as_bytes())
}

fn told(shown: &str, checked: &Checked) -> String {
    let manifest = &checked.manifest;
    format!(
        "backup       {shown}\nmade at      {}\nprocessed    {}\nfailed       {}\nlast number  {}\naudit        {} entries\n",
        manifest.made_at, manifest.processed, manifest.failed, manifest.last_seq, checked.entries
    )
}

/// `backup restore`: puts a backup in the place of the state, which is kept beside it; the daemon must not run.
pub fn backup_restore(config: &Config, args: &BackupArgs) -> Result<Exit, CommandError> {
    let kept = Keeping::open(config)?;
    let scratch = backup::Scratch::new(&kept.files.dir, backup::DRAFT)?;
    let Opened { shown, checked } = opened(config, args, Some(&kept.files), &scratch.dir())?;
    let told_of = statuses(&kept.places.dirs.status)?;
    let extent = kept.shown()?;
    let StateFiles { dir, sealing, .. } = &kept.files;
    let draft = backup::restored(&checked, Arc::clone(dir), sealing).map_err(|error| failed(&error))?;
    let mut text = told(&shown, &checked);
    if dir.has(store::FILE)? {
        let aside = format!("{}.replaced-{}", store::FILE, jiff::Timestamp::now().as_second());
        let _ = writeln!(text, "set aside    {}", dir.move_aside(store::FILE, &aside)?);
    }
    let restored = draft.complete()?;
    if !dir.has(PUBLIC_KEYS)? {
        let public = scratch.dir().read_plain(PUBLIC_KEYS, crate::keys::PUBLIC_MAX)?;
        dir.replace(PUBLIC_KEYS, 0o644, &public)?;
    }
    let keys = kept.files.accepted_keys()?;
    let trail = restore_trail(&scratch.dir(), &kept.places.dirs.private)?;
    let newer: Vec<&Outcome> =
        told_of.iter().filter(|outcome| outcome.seq > checked.manifest.last_seq).collect();
    let _ = writeln!(text, "newer        {}", newer_text(&newer, checked.manifest.last_seq, extent.last_seq));
    store::add(&restored, told_of.clone(), &extent)?;
    give_up_passed(&restored, &told_of)?;
    let _ = writeln!(text, "audit trail  {trail}");
    let entry = admin_entry(rustix::process::getuid().as_raw(), "restore");
    let entry =
        entry.with("made_at", checked.manifest.made_at.as_str()).with("last_seq", checked.manifest.last_seq);
    if config.fixed.audit {
        append_alone(&kept.places, &keys, entry)?;
    }
    print(text.as_bytes())
}

/// What happened after the backup was made, as far as it is known.
fn newer_text(newer: &[&Outcome], backed_up: u64, used: u64) -> String {
    if used <= backed_up {
        return "nothing is known".to_owned();
    }
    let found = format!("{} outcomes, taken over from their statuses", newer.len());
    let lost = (used - backed_up).saturating_sub(newer.len() as u64);
    if lost == 0 {
        return found;
    }
    format!("{found}; of {lost} more numbers up to {used} nothing is left, and none is used again")
}

/// Puts the trail of a backup where there is none; one that is there knows more.
fn restore_trail(from: &Dir, private: &Dir) -> Result<&'static str, CommandError> {
    let there = private.ensure(layout::AUDIT, 0o700)?;
    if !segment::list(&there)?.is_empty() {
        return Ok("the one that is here goes on");
    }
    let Ok(restored) = from.sub(layout::AUDIT) else { return Ok("none") };
    for first in segment::list(&restored)? {
        let name = segment::name(first);
        let mut out = there.open_rw(&name, 0o600)?;
        io::copy(&mut restored.open_read(&name)?, &mut out)?;
        out.sync_all()?;
    }
    there.sync()?;
    Ok("restored")
}
