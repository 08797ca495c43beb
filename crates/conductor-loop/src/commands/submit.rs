//! `submit FILE...`: a correct producer: judged, temporary file, fsync, rename, directory fsync. With --wait it is a complete
//! CI step: hand in, wait, print the status, exit 0 or 8.

use super::ask::unopened;
use super::error::CommandError;
use super::not_handed_in::NotHandedIn;
use super::stdout::print;
use crate::config::Config;
use crate::handoff::layout;
use conductor_core::intent::{Policy, judge};
use conductor_core::limits::STATUS_MAX;
use conductor_core::name::{IntentName, Names, status_name};
use conductor_core::{Code, Digest, Exit, Seq};
use conductor_crypto::sha256;
use conductor_os::dir::Dir;
use conductor_os::plain::{is_not_plain, read_plain, read_whole};
use conductor_os::wake::wait_readable;
use conductor_os::watch::Watch;
use serde::Deserialize;
use std::collections::HashSet;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// The polling interval for the status without events (network file systems).
const POLL: Duration = Duration::from_millis(200);

#[derive(Deserialize)]
struct StatusSeen {
    seq: Seq,
    status: String,
    #[serde(default)]
    sha256: Option<Digest>,
}

pub(super) struct Submitted {
    pub(super) name: IntentName,
    pub(super) sha256: Digest,
    /// The number of the previous status.
    pub(super) before: Option<Seq>,
}

/// The arguments of `submit`.
#[derive(Debug, Clone)]
pub struct SubmitArgs {
    /// The files; `-` is standard input.
    pub files: Vec<String>,
    /// The name of the one file in the handoff directory.
    pub named: Option<String>,
    /// Hands in what every daemon would refuse as well.
    pub unchecked: bool,
    /// How long to wait for the outcomes; `None`: not at all.
    pub wait: Option<Duration>,
}

/// An intent to hand in.
struct Draft {
    /// What the user called it.
    said: String,
    name: IntentName,
    bytes: Vec<u8>,
}

/// Hands the files in, after each was judged.
pub fn submit(config: &Config, args: &SubmitArgs) -> Result<Exit, CommandError> {
    let handoff = Dir::open(&config.fixed.handoff).map_err(|error| unopened(config, error))?;
    if args.named.is_some() && args.files.len() > 1 {
        let message = format!("--as names one file, and {} are given", args.files.len());
        return Err(CommandError::coded(Code::BadValue, message));
    }
    // What is wrong with a file is said before any is handed in.
    let drafts = args.files.iter().map(|file| draft(config, file, args)).collect::<Result<Vec<_>, _>>()?;
    let mut names = HashSet::new();
    if let Some(twice) = drafts.iter().find(|draft| !names.insert(draft.name.as_str())) {
        let message = format!("two of the files are named {}", twice.name.as_str());
        return Err(CommandError::coded(Code::BadValue, message));
    }
    let mut submitted = Vec::new();
    for Draft { said, name, bytes } in drafts {
        let before = status_seq(&handoff, &name);
        if let Err(error) = place(&handoff, &name, &bytes) {
            // Those before it are handed in.
            print(told(&submitted).as_bytes())?;
            return Err(NotHandedIn::of(&said, name.as_str(), error).into());
        }
        submitted.push(Submitted { sha256: sha256(&bytes), name, before });
    }
    match args.wait {
        None => print(told(&submitted).as_bytes()),
        Some(patience) => wait_for(config, &handoff, submitted, patience),
    }
}

fn told(submitted: &[Submitted]) -> String {
    submitted.iter().flat_map(|one| ["submitted ", one.name.as_str(), "\n"]).collect()
}

fn draft(config: &Config, file: &str, args: &SubmitArgs) -> Result<Draft, CommandError> {
    let limit = config.live.max_file_size;
    let is_stdin = file == "-";
    let said = if is_stdin { "standard input".to_owned() } else { file.to_owned() };
    let read =
        if is_stdin { read_whole(io::stdin().lock(), limit) } else { read_plain(Path::new(file), limit) };
    let bytes =
        read.map_err(|error| CommandError::coded_by(unread(&error), format!("cannot read {said}"), error))?;
    let base = Path::new(file).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let wanted = match &args.named {
        Some(named) => named.clone(),
        // The same bytes get the same name: handed in twice, they are one intent.
        None if is_stdin => format!("intent-{}.json", sha256(&bytes).short()),
        None => base.to_owned(),
    };
    let names = &config.fixed.names;
    let name = names.intent(&wanted).ok_or_else(|| unnamed(names, &wanted, args.named.is_none()))?;
    if !args.unchecked {
        // The daemon's settings are not known here, so a scale to zero is left to it. --max-file-size is this command's own
        // limit, because the file has to be in memory.
        judge(&bytes, Policy { allow_scale_to_zero: true })
            .map_err(|refusal| CommandError::Judged { file: said.clone(), refusal })?;
    }
    Ok(Draft { said, name, bytes })
}

fn unnamed(names: &Names, name: &str, may_be_given: bool) -> CommandError {
    let message = format!("'{name}' is not named {}", names.expected());
    let stem = name.strip_suffix(".json").unwrap_or(name);
    let other = names.intent(&format!("intent-{stem}.json")).filter(|_| may_be_given);
    let other =
        other.map(|other| format!("; --as {} gives it that name", other.as_str())).unwrap_or_default();
    CommandError::coded(Code::BadFileName, format!("{message}{other}"))
}

/// The daemon's code for a file that could not be read.
pub(super) fn unread(error: &io::Error) -> Code {
    match error.kind() {
        io::ErrorKind::FileTooLarge => Code::TooLarge,
        _ if is_not_plain(error) => Code::NotRegular,
        _ => Code::Unreadable,
    }
}

pub(super) fn place(handoff: &Dir, name: &IntentName, bytes: &[u8]) -> io::Result<()> {
    // A leading dot: not an intent's name, so the daemon ignores it.
    let draft = format!(".submit-{}-{}", std::process::id(), sha256(name.as_str().as_bytes()).short());
    handoff.create(&draft, 0o640, bytes)?;
    let placed = handoff
        .open_read(&draft)
        .and_then(|file| file.sync_all())
        .and_then(|()| handoff.rename_new(&draft, handoff, name.as_str()))
        .and_then(|()| handoff.sync());
    if placed.is_err() {
        // The reported failure is the one before; no process takes a draft.
        let _ = handoff.unlink(&draft);
    }
    placed
}

/// The number of the existing status.
pub(super) fn status_seq(handoff: &Dir, name: &IntentName) -> Option<Seq> {
    status(handoff, name).map(|(_, seen)| seen.seq)
}

fn status(handoff: &Dir, name: &IntentName) -> Option<(Vec<u8>, StatusSeen)> {
    let file = handoff.sub(layout::STATUS).and_then(|dir| dir.open_read(status_name(name.as_str()))).ok()?;
    let body = read_whole(file, STATUS_MAX).ok()?;
    let seen = serde_json::from_slice(&body).ok()?;
    Some((body, seen))
}

pub(super) fn wait_for(
    config: &Config,
    handoff: &Dir,
    mut waiting: Vec<Submitted>,
    patience: Duration,
) -> Result<Exit, CommandError> {
    let until = Instant::now() + patience;
    let mut worst = Exit::Good;
    loop {
        // Armed before the look, so that no change between look and wait is missed.
        let watch = handoff.sub(layout::STATUS).ok().and_then(|dir| Watch::on(dir).ok());
        let mut still = Vec::new();
        for one in waiting {
            match status(handoff, &one.name).filter(|(_, seen)| is_answer(seen, &one)) {
                Some((body, seen)) => {
                    worst = worst.max(if seen.status == "success" { Exit::Good } else { Exit::Failed });
                    print(&body)?;
                }
                None => still.push(one),
            }
        }
        waiting = still;
        let left = until.saturating_duration_since(Instant::now());
        let Some(first) = waiting.first() else { return Ok(worst) };
        if left.is_zero() {
            let message = format!("no status of {} within the time given", first.name.as_str());
            let remedy = "The intent is handed in all the same. Is the daemon running on this directory?";
            return Err(CommandError::hindered(
                format!("{message} ({})", config.fixed.handoff.display()),
                remedy,
            ));
        }
        let timeout = if watch.is_some() { left } else { left.min(POLL) };
        wait_readable([watch.as_ref().map(AsFd::as_fd)], Some(timeout))
            .map_err(CommandError::system("waiting for the status"))?;
    }
}

/// Whether this is the status of this submission: newer than the previous one, and of these bytes.
fn is_answer(seen: &StatusSeen, submitted: &Submitted) -> bool {
    submitted.before.is_none_or(|before| seen.seq > before)
        && seen.sha256.is_none_or(|sha256| sha256 == submitted.sha256)
}
