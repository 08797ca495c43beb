//! `backup restore`: puts a backup in the place of the state, with everything that is known besides. The state that is here is kept beside
//! it, and nothing of it is touched before the new one is whole.

use super::backup::{BackupArgs, Opened, cannot, known_keys, opened, told};
use super::error::CommandError;
use super::rebuild::{Keeping, UP_TO, replace};
use super::stdout::print;
use crate::backup::{self, Checked, Written};
use crate::config::Config;
use crate::handoff::{Finder, layout};
use crate::store::{self, Ledger as _, Salvaged, Store, StoreError, TakenOver};
use crate::writer::admin_entry;
use conductor_core::{Exit, Seq};
use conductor_evidence::segment;
use conductor_os::dir::Dir;
use std::fmt::Write as _;
use std::io;

/// The trail while it is copied; renamed when it is whole.
const TRAIL_DRAFT: &str = "audit.restored";

/// `backup restore`; the daemon must not run.
pub fn backup_restore(config: &Config, args: &BackupArgs) -> Result<Exit, CommandError> {
    // Who has the identity of a recipient may have lost the keys of this state.
    let who = if args.identity.is_some() { Finder::Replacer } else { Finder::Keeper };
    let kept = Keeping::open_as(config, who)?;
    let scratch = backup::Scratch::new(&kept.files.dir, backup::DRAFT);
    let scratch = scratch.map_err(cannot("making a directory to work in"))?;
    let opened = opened(config, args, Some(&kept.files), &scratch.dir(), Written::All)?;
    let mut text = told(&opened);
    restore(config, &kept, &scratch.dir(), &opened, &mut text)?;
    print(text.as_bytes())
}

fn restore(
    config: &Config,
    kept: &Keeping,
    from: &Dir,
    Opened { checked, .. }: &Opened,
    text: &mut String,
) -> Result<(), CommandError> {
    let (salvaged, unread) = what_is_here(kept)?;
    let mut evidence = store::Evidence { salvaged, ..kept.evidence()? };
    let backed_up = checked.manifest.last_seq;
    let (used, known) = (evidence.extent.last_seq, evidence.intents_from(backed_up.next())?);
    let draft = backup::restored(checked, &kept.files)?;
    let goes_on = goes_on(kept, checked, &draft)?;
    evidence.goes_on = goes_on;
    let taken = kept.take_over(evidence, &draft, Some(from))?;
    if !goes_on || taken.conflicting > 0 {
        // Backups that were made after this one have what it lacks.
        draft.begin_lineage()?;
    }
    let newer = Newer { known, taken: store::intents_from(&draft, backed_up.next())? };
    kept.files.keys_of_another(&checked.public)?;
    draft.announce()?;
    let trail =
        restore_trail(from, &kept.places.dirs.private).map_err(cannot("restoring the audit trail"))?;
    // Writing to a String cannot fail.
    let _ = writeln!(text, "newer        {}", newer.text(backed_up, used));
    tell_taken(&taken, text);
    let _ = writeln!(text, "held         {}\naudit trail  {trail}", held_text(&draft)?);
    let entry = admin_entry(rustix::process::getuid().as_raw(), "restore");
    let entry = entry.with("made_at", checked.manifest.made_at.as_str()).with("last_seq", backed_up.get());
    let entry = entry.with("ended", taken.ended);
    kept.record(config, entry.with(UP_TO, used.max(backed_up).get()))?;
    if let (_, Some(aside)) = replace(draft, "replaced")? {
        let _ = writeln!(text, "set aside    {aside}{unread}");
    }
    Ok(())
}

/// What can be read of the store that is here, and what is to be said of one that cannot be read.
fn what_is_here(kept: &Keeping) -> Result<(Salvaged, String), CommandError> {
    if !kept.files.dir.has(store::FILE).map_err(cannot("looking for the state that is here"))? {
        return Ok((Salvaged::default(), String::new()));
    }
    match kept.files.salvage() {
        Ok(salvaged) => Ok((salvaged, String::new())),
        // Its key is lost, or belongs to another state.
        Err(sealed @ StoreError::Sealed { .. }) => {
            Ok((Salvaged::default(), format!(", unread, with all that it alone knows: {sealed}")))
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether the store that is here is whole, and goes on from the one that the backup is of.
fn goes_on(kept: &Keeping, checked: &Checked, backed_up: &Store) -> Result<bool, CommandError> {
    let known = known_keys(&kept.files)?;
    if !checked.public.iter().any(|key| known.contains(key)) {
        return Ok(false);
    }
    // One that is damaged, or behind what is known of it, has lost records.
    let Ok(here) = kept.files.look() else { return Ok(false) };
    Ok(here.goes_on_from(backed_up)?)
}

/// The intents that happened after the backup was made.
struct Newer {
    /// Those that something is known of.
    known: u64,
    /// Those that the new store has.
    taken: u64,
}

impl Newer {
    /// What is to be said of them.
    fn text(&self, backed_up: Seq, used: Seq) -> String {
        if used <= backed_up {
            return "nothing is known".to_owned();
        }
        let found =
            format!("{} intents, taken over from the state that was here and from the statuses", self.taken);
        match (used.get() - backed_up.get()).saturating_sub(self.known) {
            0 => found,
            lost => {
                format!(
                    "{found}; of {lost} more numbers up to {used} nothing is left, and none is used again"
                )
            }
        }
    }
}

/// The targets that are held from now on.
fn held_text(store: &Store) -> Result<String, StoreError> {
    let mut held: Vec<String> = store.held()?.into_iter().map(|held| held.target).collect();
    held.sort_unstable();
    Ok(if held.is_empty() { "nothing".to_owned() } else { held.join(", ") })
}

/// What else is to be said of what was taken over.
fn tell_taken(taken: &TakenOver, text: &mut String) {
    let left_out = "of the state that was here, whose numbers or names are others' in the backup";
    let told = [
        ("given up", taken.given_up, "unfinished in the backup, and a later one of their name is known"),
        ("ended", taken.ended, "unfinished in the backup, and done since: their outcomes are gone"),
        ("left out", taken.conflicting, left_out),
    ];
    for (word, count, what) in told.into_iter().filter(|(_, count, _)| *count > 0) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{word:<12} {count} {what}");
    }
}

/// Puts the trail of a backup where there is none; one that is there knows more. It is whole before it gets its name.
fn restore_trail(from: &Dir, private: &Dir) -> io::Result<&'static str> {
    match private.sub(layout::AUDIT) {
        Ok(there) if !segment::list(&there)?.is_empty() => return Ok("the one that is here goes on"),
        Ok(_) => private.remove_dir(layout::AUDIT).map_err(|error| {
            let what = format!(
                "{} has no segment of a trail and is not empty, move it away: {error}",
                layout::AUDIT
            );
            io::Error::new(error.kind(), what)
        })?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let restored = match from.sub(layout::AUDIT) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok("none"),
        restored => restored?,
    };
    let draft = private.ensure(TRAIL_DRAFT, 0o700)?;
    draft.clear(None)?;
    for first in segment::list(&restored)? {
        let name = segment::name(first);
        let mut out = draft.open_rw(&name, 0o600)?;
        io::copy(&mut restored.open_read(&name)?, &mut out)?;
        out.sync_all()?;
    }
    draft.sync()?;
    private.rename_new(TRAIL_DRAFT, private, layout::AUDIT)?;
    private.sync()?;
    Ok("restored")
}
