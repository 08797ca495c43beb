//! `doctor`: checks everything that a daemon with this configuration would need, and gives a remedy for each finding. It
//! changes nothing and needs no running daemon.

use super::ask::ask_daemon;
use super::backup::outlook;
use super::error::CommandError;
use super::look::{confined, not_ready, ways_out};
use super::output::Output;
use super::stdout::print;
use crate::config::{Config, Confine};
use crate::confinement::give_up;
use crate::daemon::{FREE_BYTES_MIN, FREE_INODES_MIN, find_porch, look_at_store, try_endpoints};
use crate::handoff::{Finder, HeadFile, Slots, StateFiles, WriteAccess, check_owners, check_places, layout};
use crate::store::{self, Ledger, Store, StoreError};
use conductor_core::attestation::Attest as _;
use conductor_core::confinement::Part;
use conductor_core::query::{Answer, Question};
use conductor_core::{Code, Exit};
use conductor_os::attempt::{could_change, could_make, could_write};
use conductor_os::dir::Dir;
use conductor_os::outlet::{Outage, Outlet, Outlook};
use conductor_os::process::cannot_tell_orphans;
use conductor_os::watch::Watch;
use conductor_os::{descriptor_limit, kernel_lacks};
use conductor_porch::{Patience, left_out_of_git};
use serde_json::json;
use std::io;
use std::path::Path;
use std::time::Duration;

/// How long one look at a repository may take.
const GIT_PATIENCE: Duration = Duration::from_secs(10);

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Good,
    /// It works, but could be improved.
    Warning,
    /// The daemon would not start, or would not work.
    Bad,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }
}

struct Finding {
    verdict: Verdict,
    found: String,
    fix: String,
}

fn good(found: impl Into<String>) -> Finding {
    Finding { verdict: Verdict::Good, found: found.into(), fix: String::new() }
}

fn warning(found: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding { verdict: Verdict::Warning, found: found.into(), fix: fix.into() }
}

/// What a start would fail at, with what helps.
fn failed(error: impl Into<CommandError>) -> Finding {
    let error = error.into();
    bad(error.to_string(), error.remedy())
}

fn bad(found: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding { verdict: Verdict::Bad, found: found.into(), fix: fix.into() }
}

type Check = fn(&Config) -> Finding;

const CHECKS: [(&str, Check); 21] = [
    ("daemon", daemon),
    ("settings", settings),
    ("handoff", handoff),
    ("file system", file_system),
    ("space", space),
    ("events", events),
    ("porch", porch),
    ("packages", packages),
    ("repositories", repositories),
    ("places", places),
    ("endpoints", endpoints),
    ("staging", staging),
    ("owners", owners),
    ("keys", keys),
    ("state", state),
    ("backups", backups),
    ("descriptors", descriptors),
    ("kernel", kernel),
    ("clock", clock),
    ("user", user),
    // The last: what this process gives up for it is gone.
    ("confinement", confinement),
];

/// `doctor`: exit 0 if no finding is bad.
pub fn doctor(config: &Config, output: Output) -> Result<Exit, CommandError> {
    let mut text = Vec::new();
    let mut worst = Verdict::Good;
    for (subject, check) in CHECKS {
        let Finding { verdict, found, fix } = check(config);
        worst = worst.max(verdict);
        let body = json!({"subject": subject, "verdict": verdict.word(), "found": found, "fix": fix});
        text.extend(output.form(&body, |_| {
            let fix = if fix.is_empty() { fix } else { format!("{:<21} what to do: {fix}\n", "") };
            format!("{:<8} {subject:<12} {found}\n{fix}", verdict.word())
        }));
    }
    print(&text)?;
    Ok(if worst == Verdict::Bad { Exit::SetUp } else { Exit::Good })
}

fn open(config: &Config) -> io::Result<Dir> {
    Dir::open(&config.fixed.handoff.canonicalize()?)
}

fn settings(config: &Config) -> Finding {
    match config.warnings.as_slice() {
        [] => good("nothing is set that has no effect"),
        warnings => warning(warnings.join("; "), "Correct or remove the named setting."),
    }
}

fn handoff(config: &Config) -> Finding {
    let path = config.fixed.handoff.display();
    let dir = match open(config) {
        Ok(dir) => dir,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return to_be_made(
                &config.fixed.handoff,
                "Make it for the daemon's user, or name another (--handoff).",
            );
        }
        Err(error) => {
            return bad(format!("{path}: {error}"), "Name a directory this user can use (--handoff).");
        }
    };
    if let Some(refused) = not_writable(config) {
        return refused;
    }
    let mode = dir.meta().map_or(0, |meta| meta.mode);
    let chmod = "chmod 3770 and a group for the producers: then each can rename only files of its own.";
    match WriteAccess::of(mode) {
        WriteAccess::Nobody => good(format!("{path} can be used (mode {mode:04o})")),
        WriteAccess::Everybody if !config.fixed.allow_unsafe_handoff => {
            bad(format!("{path} is writable by everybody and not sticky (mode {mode:04o})"), chmod)
        }
        WriteAccess::Everybody | WriteAccess::Group => {
            warning(format!("other users may rename entries of {path} (mode {mode:04o})"), chmod)
        }
    }
}

/// The prediction for a directory that does not exist yet.
fn to_be_made(path: &Path, fix: &str) -> Finding {
    let shown = path.display();
    match could_make(path) {
        Ok(()) => good(format!("{shown} does not exist; the daemon makes it")),
        Err(error) => bad(format!("{shown} does not exist and cannot be made by {}: {error}", me()), fix),
    }
}

/// The first of the handoff directory and its parts that the daemon could not use.
fn not_writable(config: &Config) -> Option<Finding> {
    let inside = [layout::TAKEN, layout::DRAFTS].map(layout::private);
    let parts = [""].into_iter().chain(layout::PARTS).chain(inside.iter().map(String::as_str));
    let parts = parts.map(|part| config.fixed.handoff.join(part));
    let there = parts.filter(|part| std::fs::symlink_metadata(part).is_ok());
    let lock = config.fixed.handoff.join(layout::private(layout::LOCK));
    let tried = there.map(|part| (could_write(&part), part));
    let mut refused = tried.chain(std::iter::once_with(|| (could_change(&lock), lock.clone())));
    refused.find_map(|(tried, part)| {
        let error = tried.err()?;
        let found = format!("{} cannot be written by {}: {error}", part.display(), me());
        Some(bad(found, "Give the daemon's user the directory, and room; then run doctor as that user."))
    })
}

/// The user whose permissions are checked.
fn me() -> String {
    format!("uid {}", rustix::process::geteuid().as_raw())
}

fn file_system(config: &Config) -> Finding {
    let Ok(dir) = open(config) else { return good("not there yet") };
    let device = |dir: &Dir| dir.meta().map(|meta| meta.id.0).ok();
    for part in layout::PARTS {
        if let Ok(sub) = dir.sub(part)
            && device(&sub) != device(&dir)
        {
            return bad(
                format!("{part} is on another file system than the handoff directory"),
                "Mount neither; files are renamed between them.",
            );
        }
    }
    if dir.is_network_file_system() {
        return warning(
            "a network or user-space file system: events are not trusted, the directory is listed every 2 s",
            "A local file system is faster to notice files.",
        );
    }
    good("local, and one for all parts")
}

fn space(config: &Config) -> Finding {
    match open(config).and_then(|dir| dir.free_space()) {
        Ok((bytes, inodes)) if bytes < FREE_BYTES_MIN || inodes < FREE_INODES_MIN => {
            bad(format!("{} MiB and {inodes} inodes are free: nothing is taken", bytes >> 20), "Make room.")
        }
        Ok((bytes, _)) => good(format!("{} MiB free", bytes >> 20)),
        Err(_) => good("not there yet"),
    }
}

#[expect(clippy::disallowed_methods, reason = "the kernel bounds what is read here")]
fn events(config: &Config) -> Finding {
    let Ok(dir) = open(config) else { return good("not there yet") };
    let limit = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).unwrap_or_default();
        text.trim().to_owned()
    };
    match Watch::on(&dir) {
        Ok(_) => good(format!("inotify works; {} events fit its queue", limit("max_queued_events"))),
        Err(error) => warning(
            format!("no inotify: {error} (max_user_instances {})", limit("max_user_instances")),
            "sysctl fs.inotify.max_user_instances=1024; until then the directory is listed every --period.",
        ),
    }
}

fn porch(config: &Config) -> Finding {
    match find_porch(config) {
        Ok(Some(path)) => good(format!("{} is run", path.display())),
        Ok(None) if config.fixed.porch_given => good("the embedded engine"),
        Ok(None) => warning("no porch on PATH: the embedded engine is used", "Say so with --porch builtin."),
        Err(failure) => failed(failure),
    }
}

fn packages(config: &Config) -> Finding {
    let out = config.fixed.out.display();
    let own = "Give the daemon's user the directory, and room, or name another (--out).";
    match config.fixed.out.canonicalize() {
        Ok(path) if !path.is_dir() => bad(format!("{out} is not a directory"), "Name another (--out)."),
        Ok(path) => {
            match (Outlet::expected(&path).with_floor(config.fixed.min_free).look(), could_write(&path)) {
                (Outlook { outage: Some(Outage::Full), free }, _) => {
                    bad(format!("{out} {}", too_full(config, free)), "Make room; intents wait until then.")
                }
                (Outlook { outage: Some(_), .. }, _) => {
                    bad(format!("{out} is mounted read-only"), "Mount it for writing.")
                }
                (_, Err(error)) => bad(format!("{out} cannot be written by {}: {error}", me()), own),
                (Outlook { outage: None, free }, Ok(())) => {
                    let free = free.unwrap_or(0) >> 20;
                    good(format!("{out} can be written; {free} MiB free{}", where_out(config, &path)))
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => to_be_made(&config.fixed.out, own),
        Err(error) => bad(format!("{out}: {error}"), "Name a directory this user can use (--out)."),
    }
}

/// What a directory lacks that counts as full.
fn too_full(config: &Config, free: Option<u64>) -> String {
    let kib = free.unwrap_or(0) >> 10;
    match config.fixed.min_free.filter(|least| free.unwrap_or(0) < *least) {
        Some(least) => {
            format!("has {kib} KiB free, and --min-free asks for {} KiB", least.div_ceil(1 << 10))
        }
        None => format!("is full, or has no inodes left: {kib} KiB free"),
    }
}

/// The repositories that routes lead to, as the engine would use them; no remote is asked.
fn repositories(config: &Config) -> Finding {
    let routes = &config.fixed.routes;
    if !routes.uses_git() {
        return good("no route leads to one");
    }
    if !on_path("git") {
        return bad("routes lead to repositories, and git is not on PATH", "Install git.");
    }
    let patience = Patience::new(GIT_PATIENCE, GIT_PATIENCE);
    let remarks = routes.inspect(&patience);
    let told = |bad: bool| -> Vec<String> {
        let chosen = remarks.iter().filter(|(_, remark)| remark.bad == bad);
        chosen.map(|(name, remark)| format!("{name}: {}", remark.found)).collect()
    };
    let wrong = told(true);
    if !wrong.is_empty() {
        let mut fixes: Vec<&str> =
            remarks.iter().map(|(_, remark)| remark.fix).filter(|fix| !fix.is_empty()).collect();
        fixes.dedup();
        return bad(wrong.join("; "), fixes.join(" "));
    }
    match left_out_of_git() {
        names if names.is_empty() => good(told(false).join("; ")),
        names => warning(
            format!("{}; set, and not handed on to git: {}", told(false).join("; "), names.join(", ")),
            "Unset them, or say the same in git's configuration.",
        ),
    }
}

/// Whether the output has a file system of its own, whose space is another one.
fn where_out(config: &Config, out: &Path) -> &'static str {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| std::fs::metadata(path).map(|meta| meta.dev()).ok();
    match (device(&config.fixed.handoff), device(out)) {
        (Some(one), Some(other)) if one != other => " on another file system than the handoff directory",
        _ => "",
    }
}

/// Checks directories that must not be the same.
fn places(config: &Config) -> Finding {
    match check_places(config) {
        Ok(()) => good("handoff, out, repositories and state are apart"),
        Err(unusable) => failed(unusable),
    }
}

/// Checks the directory of backups. One that cannot be used hinders no start.
fn backups(config: &Config) -> Finding {
    match outlook(config) {
        Ok(found) => good(found),
        Err(found) => warning(
            found,
            "Mount its disk, make it for the daemon's user, or name another (--backup-dir DIR).",
        ),
    }
}

fn endpoints(config: &Config) -> Finding {
    if config.fixed.endpoints.is_empty() {
        return good("no port is opened");
    }
    match try_endpoints(config) {
        Ok(warnings) if warnings.is_empty() => good("addresses are free; token and certificates can be used"),
        Ok(warnings) => warning(warnings.join("; "), "Do as it says."),
        Err(failure) if failure.code() == Code::CannotListen && runs(config) => {
            good("a daemon runs here and has them")
        }
        Err(failure) => failed(failure),
    }
}

/// The status of the daemon that works here, by its own answer.
fn daemon(config: &Config) -> Finding {
    if !config.fixed.handoff.join(layout::PRIVATE).is_dir() {
        return good("none runs here");
    }
    let report = match ask_daemon(config, &Question::Status) {
        Ok(None) => return good("none runs here"),
        Ok(Some(Answer::Status(report))) => report,
        Ok(Some(_)) => {
            return warning("its answer does not match the question", "Use one version of the program.");
        }
        Err(error) => return warning(error.to_string(), error.remedy().to_owned()),
    };
    let pid = report.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    if !report.ready {
        let advice: Vec<&str> = ways_out(&report).collect();
        return bad(format!("{}{pid}", not_ready(&report)), advice.join(" "));
    }
    match report.no_events {
        None => good(format!("running, ready{pid}")),
        Some(reason) => warning(
            format!(
                "running, ready{pid}; the directory is listed every --period, because events do not work: {reason}"
            ),
            "Raise fs.inotify.max_user_instances and max_user_watches; events are used again by themselves.",
        ),
    }
}

/// Whether a daemon answers on this handoff directory.
fn runs(config: &Config) -> bool {
    matches!(ask_daemon(config, &Question::Status), Ok(Some(_)))
}

/// Leftovers of runs that could not be removed; each start tries again.
fn staging(config: &Config) -> Finding {
    let Ok(staging) = open(config).and_then(|dir| dir.sub(layout::PRIVATE)?.sub(layout::STAGING)) else {
        return good("not there yet");
    };
    let place = layout::private(layout::STAGING);
    match Slots::broken(&staging) {
        Ok(names) if names.is_empty() => good("nothing is left there"),
        Ok(names) => warning(
            format!("{place} holds leftovers that could not be removed: {}", names.join(", ")),
            "Look for immutable files (lsattr -R) and mounts in it; the next start removes it.",
        ),
        Err(error) => bad(format!("{place}: {error}"), "Give the daemon's user the directory."),
    }
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// The keys of the state, as a start would find them.
fn keys(config: &Config) -> Finding {
    let Ok(path) = config.fixed.handoff.canonicalize() else { return good("not there yet") };
    let Ok(dir) = open(config) else { return good("not there yet") };
    let Ok(files) = StateFiles::find(config, &path, &dir, Finder::Looker) else {
        return good("not there yet");
    };
    match files.keys_of_a_start(config, &path) {
        Err(unusable) => failed(unusable),
        Ok(None) => {
            good("made at the first start, beside the state; --state-key-file gives it another place")
        }
        Ok(Some(keys)) if keys.origin().is_weak() => warning(
            format!(
                "{} lies beside the state: who reads both can read and sign everything",
                keys.origin().path().display()
            ),
            "Move it where only the daemon reads it, and name it: --state-key-file FILE.",
        ),
        Ok(Some(keys)) => good(format!("{} signs, from {}", keys.key(), keys.origin().path().display())),
    }
}

fn state(config: &Config) -> Finding {
    if let Some(refused) = state_refused(config) {
        return refused;
    }
    let Ok(path) = config.fixed.handoff.canonicalize() else { return good("not there yet") };
    let Ok(dir) = open(config) else { return good("not there yet") };
    let Ok(files) = StateFiles::find(config, &path, &dir, Finder::Looker) else {
        return good("not there yet");
    };
    let looked = look_at_store(&files, &dir).and_then(|store| Ok((store.sizes()?, store.sealed_by()?)));
    match looked {
        Ok(((open, outcomes), sealed)) => {
            let sealed = sealed.map_or("plain".to_owned(), |root| format!("sealed by the root key {root}"));
            good(format!("{open} unfinished, {outcomes} remembered, {sealed}; no daemon runs"))
        }
        Err(StoreError::Busy) => good("a daemon runs here"),
        Err(StoreError::Missing)
            if !matches!(files.head, HeadFile::Ours(_)) && !Store::was_in(&files.dir).unwrap_or(true) =>
        {
            good("none yet")
        }
        Err(error) => failed(error),
    }
}

/// Whether existing parts belong to this user.
fn owners(config: &Config) -> Finding {
    match check_owners(config) {
        Ok(()) => good("existing parts belong to this user"),
        Err(unusable) => failed(unusable),
    }
}

/// Whether the store's directory could not be made or written.
fn state_refused(config: &Config) -> Option<Finding> {
    let own = config.fixed.handoff.join(layout::private(layout::STATE));
    let dir = config.fixed.state_dir.as_deref().unwrap_or(&own);
    if !dir.exists() && config.fixed.state_dir.is_none() {
        // It is made in the handoff directory, which has a check of its own.
        return None;
    }
    let tried = could_make(dir).and_then(|()| could_change(&dir.join(store::FILE)));
    let error = tried.err()?;
    let found = format!("{} cannot be written by {}: {error}", dir.display(), me());
    Some(bad(found, "Give the daemon's user the directory, and room (--state-dir)."))
}

fn descriptors(config: &Config) -> Finding {
    // 48 are enough for two workers (`cargo xtask proof limits`); each has two pipes, its private copy, a slot, a process.
    let needed = 28 + 10 * config.fixed.workers as u64;
    match descriptor_limit() {
        Some(limit) if limit < needed => bad(
            format!("{limit} allowed, {needed} needed"),
            format!("ulimit -n {needed}, or fewer --workers."),
        ),
        Some(limit) => good(format!("{limit} allowed, {needed} needed")),
        None => good("without limit"),
    }
}

fn kernel(_: &Config) -> Finding {
    let lacks = kernel_lacks();
    if !lacks.is_empty() {
        return bad(
            format!("without {}", lacks.join(", ")),
            "Linux 5.6 or newer, and a sandbox that permits these calls.",
        );
    }
    match cannot_tell_orphans() {
        Some(error) => warning(
            format!("processes that leave the process group of a porch are not found: {error}"),
            "A kernel with CONFIG_PROC_CHILDREN, and /proc mounted.",
        ),
        None => good("openat2, renameat2 and pidfd_open are there"),
    }
}

/// Detects a clock that was set back, which gives files times in the future and delays retention.
fn clock(config: &Config) -> Finding {
    let now = conductor_os::wall_ns();
    let ahead = |path: &Path| -> Option<i64> {
        let changed = std::fs::metadata(path).ok()?.modified().ok()?;
        let changed = changed.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(i64::try_from(changed.as_nanos()).ok()? - now)
    };
    let status = config.fixed.handoff.join(layout::STATUS);
    let most = [ahead(&config.fixed.handoff), ahead(&status)].into_iter().flatten().max().unwrap_or(0);
    if most > 60_000_000_000 {
        return warning(
            format!("the handoff directory was changed {} s in the future", most / 1_000_000_000),
            "Set the clock, and keep it by NTP.",
        );
    }
    good("agrees with the files")
}

fn user(_: &Config) -> Finding {
    if rustix::process::geteuid().is_root() {
        return warning("root", "Run the daemon as a user of its own that owns the handoff directory.");
    }
    good(format!("uid {}", rustix::process::geteuid().as_raw()))
}

/// Gives up what the daemon would, and tells what holds.
fn confinement(config: &Config) -> Finding {
    let found = give_up(config, config.fixed.routes.uses_git());
    let shown = confined(&found);
    match (found.lacking().next(), config.fixed.confine) {
        (None, Confine::Off) => warning("nothing is confined (--confine off)", "Use --confine auto."),
        (None, _) => good(shown),
        (Some(_), Confine::Require) => bad(shown, Code::Unconfined.remedy()),
        (Some(_), _) if config.fixed.chroot && !found.holds(Part::Chroot) => {
            bad(format!("{} {shown}", Code::NoRoot), Code::NoRoot.remedy())
        }
        (Some(_), _) => warning(
            shown,
            "A kernel and a container that permit the named parts; docs/SECURITY.md says what each holds off.",
        ),
    }
}
