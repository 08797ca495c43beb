//! `state show`, `state export`, `state import`: on the store when no daemon has it open; an export beside a daemon asks it.

use super::ask::{ask_daemon, busy, open_handoff};
use super::error::CommandError;
use super::output::Output;
use super::rebuild::Keeping;
use super::stdout::print;
use crate::config::Config;
use crate::daemon::{existing_store, look_at_store};
use crate::handoff::{Finder, HeadBody, StateFiles, layout};
use crate::store::{self, Import, Ledger, Store, StoreError};
use conductor_core::query::{Answer, Question};
use conductor_core::{Code, Exit, Seq};
use conductor_evidence::entry::user;
use conductor_evidence::{EntryResult, Event, Record};
use conductor_os::dir::Dir;
use conductor_os::plain::{open_plain, read_start};
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Bytes of the head that are read.
const HEAD_MAX: u64 = 1 << 20;

fn find(config: &Config) -> Result<(StateFiles, Dir), CommandError> {
    let (path, handoff) = open_handoff(config)?;
    let files = StateFiles::find(config, &path, &handoff, Finder::Looker)?;
    Ok((files, handoff))
}

fn open(config: &Config) -> Result<Store, CommandError> {
    let (files, handoff) = find(config)?;
    look_at_store(&files, &handoff).map_err(|error| match error {
        StoreError::Busy => {
            busy(format!("a daemon is just starting or stopping with {}", files.path.display()))
        }
        other => other.into(),
    })
}

/// `state show`
pub fn state_show(config: &Config, output: Output) -> Result<Exit, CommandError> {
    let (files, handoff) = find(config)?;
    let head = handoff.open_read(layout::HEAD).and_then(|file| read_start(file, HEAD_MAX));
    let head: Option<HeadBody> = head.ok().and_then(|text| serde_json::from_slice(&text).ok());
    let opened = files.look();
    let (running, unfinished, remembered, sealed) = match &opened {
        Ok(store) => {
            let (open, outcomes) = store.sizes()?;
            (false, Some(open), Some(outcomes), store.sealed_by()?)
        }
        Err(StoreError::Busy) => (true, None, None, head.as_ref().and_then(|head| head.sealed_by.clone())),
        Err(_) => return opened.map(|_| Exit::Good).map_err(CommandError::from),
    };
    let counts = match &opened {
        Ok(store) => store.counts()?,
        Err(_) => head.as_ref().map(|head| head.counts).unwrap_or_default(),
    };
    let last_seq = match &opened {
        Ok(store) => store.last_seq()?,
        Err(_) => head.as_ref().map(|head| head.last_seq).unwrap_or_default(),
    };
    let body = json!({"store": files.path.display().to_string(), "daemon_running": running, "counts": counts,
        "last_seq": last_seq, "sealed_by": sealed, "unfinished": unfinished, "remembered": remembered,
        "ready": head.as_ref().is_some_and(|head| running && head.ready)});
    let number = |value: Option<u64>| {
        value.map_or_else(|| "known to the running daemon only".to_owned(), |n| n.to_string())
    };
    let text = format!(
        "store        {}\nsealed       {}\ndaemon       {}\nprocessed    {} (of these duplicates: {})\nfailed       {}\nunfinished   {}\nremembered   {}\nlast number  {last_seq}\n",
        files.path.display(),
        sealed.map_or("no".to_owned(), |root| format!("AES-256-GCM, root key {root}")),
        if running { "running" } else { "not running" },
        counts.processed,
        counts.duplicates,
        counts.failed,
        number(unfinished),
        number(remembered),
    );
    output.answer(&body, |_| text)
}

/// `state export [FILE]`
#[expect(
    clippy::disallowed_methods,
    reason = "the operator names the file of the export, which is removed where it is incomplete"
)]
pub fn state_export(config: &Config, file: Option<&Path>) -> Result<Exit, CommandError> {
    match file {
        None => {
            let mut out = BufWriter::new(std::io::stdout().lock());
            export(config, &mut out)?;
            out.flush().map_err(CommandError::Output)?;
        }
        Some(path) => {
            use std::os::unix::fs::OpenOptionsExt;
            // It holds what the state holds, and nothing seals it.
            let mut options = std::fs::OpenOptions::new();
            let created = options.write(true).create_new(true).mode(0o600).open(path).map_err(|error| {
                CommandError::hindered_by(
                    format!("cannot create {}", path.display()),
                    error,
                    "Name a file that does not exist yet.",
                )
            })?;
            let exported = export_to(config, created).map_err(|failed| {
                // What cannot be removed either stays; the reason that is told is the first one.
                let _ = std::fs::remove_file(path);
                match failed {
                    CommandError::Output(error) => CommandError::hindered_by(
                        format!("cannot write {}", path.display()),
                        error,
                        "Name a file on a file system with room for it.",
                    ),
                    other => other,
                }
            });
            print(format!("{} outcomes exported to {}\n", exported?, path.display()).as_bytes())?;
        }
    }
    Ok(Exit::Good)
}

/// Writes an export to a new file, durably. Returns the number of outcomes.
fn export_to(config: &Config, created: File) -> Result<u64, CommandError> {
    let mut out = BufWriter::new(created);
    let count = export(config, &mut out)?;
    out.flush().and_then(|()| out.get_ref().sync_all()).map_err(CommandError::Output)?;
    Ok(count)
}

/// Writes an export: of the running daemon's state, or of the store where none runs. Returns the number of outcomes.
fn export(config: &Config, out: &mut impl Write) -> Result<u64, CommandError> {
    let now = jiff::Timestamp::now();
    let part = |from| match ask_daemon(config, &Question::Export { from })? {
        Some(Answer::Exported(part)) => Ok(Some(part)),
        Some(_) => Err(CommandError::other_version()),
        None => Ok(None),
    };
    let Some(mut next) = part(Seq::ZERO)? else {
        return store::export(&open(config)?, now, out).map_err(|failed| match failed {
            StoreError::Export(error) => CommandError::Output(error),
            other => other.into(),
        });
    };
    // What gets a number later is not of this export.
    let (last_seq, mut count) = (next.last_seq, 0);
    store::export_header(now, last_seq, out).map_err(CommandError::Output)?;
    loop {
        for outcome in next.outcomes.iter().filter(|outcome| outcome.seq <= last_seq) {
            store::export_outcome(outcome, out).map_err(CommandError::Output)?;
            count += 1;
        }
        let Some(from) = next.next.filter(|from| *from <= last_seq) else { return Ok(count) };
        next = part(from)?.ok_or_else(|| {
            let text = "the daemon ended during the export, which is incomplete";
            CommandError::hindered(text, "Export again.")
        })?;
    }
}

/// `state import FILE`: into the existing store, or into a new one if there is none.
pub fn state_import(config: &Config, path: &Path) -> Result<Exit, CommandError> {
    let mut source = open_plain(path).map_err(|error| {
        CommandError::coded_by(Code::StateImport, format!("cannot read {}", path.display()), error)
    })?;
    // Before any file is made or changed.
    let import = Import::read(jiff::Timestamp::now(), &mut source)?;
    let kept = Keeping::open(config)?;
    let shown = kept.shown()?;
    let count = if kept.files.dir.has(store::FILE).map_err(StoreError::Open)? {
        import.into_store(&existing_store(&kept.files, &kept.places.dirs.handoff, &kept.last)?, &shown)?
    } else {
        let draft = kept.files.draft()?;
        let count = import.into_store(&draft, &shown)?;
        draft.complete()?;
        count
    };
    kept.files.accepted_keys()?;
    let actor = user(rustix::process::getuid().as_raw());
    let record = Record { actor, ..Record::of(Event::Imported, EntryResult::Success) };
    kept.record(config, record.with("imported", count.imported))?;
    print(format!("{count}\n").as_bytes())
}
