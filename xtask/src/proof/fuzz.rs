//! Feeds every parser inputs near its corpus: no panic, no hang, and each accepted input has the properties that
//! acceptance implies.

use super::extent::Extent;
use super::tally::Tally;
use crate::progress::say;
use conductor_core::Seq;
use conductor_core::intent::{self, Policy};
use conductor_core::name::{NameVerdict, Names, Pattern, TakenAt};
use conductor_core::{Digest, intent::text, name, scrub, units};
use conductor_loop::{config, store};
use conductor_os::dir::Dir;
use conductor_porch::{Engine, Order, Patience, Provenance, Routes, Settings};
use conductor_testkit::fuzz::Inputs;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SHORT: usize = 100_000;
const LONG: usize = 5_000_000;
/// The longest time for one input.
const PATIENCE: Duration = Duration::from_secs(1);
/// Memory for one input at a time, in addition to the same multiple of its own size.
const BYTES: u64 = 16 << 20;
const BYTES_PER_BYTE: u64 = 64;

/// Runs a parser on one input; an error names the property that does not hold.
type Target = Box<dyn FnMut(&[u8]) -> Result<(), String>>;

/// Name, corpus, divisor of the number of runs (files are slower than memory), and constructor in a scratch directory.
type Row = (&'static str, &'static str, usize, fn(&Path) -> Target);

const TARGETS: [Row; 8] = [
    ("intent", "crates/core/tests/corpus/intents", 1, |_| Box::new(intent)),
    ("name rule", "crates/testkit/corpus/name", 1, |_| Box::new(file_name)),
    ("durations and sizes", "crates/testkit/corpus/duration", 1, |_| Box::new(unit)),
    ("scrubber", "crates/testkit/corpus/text", 1, |_| Box::new(scrubber)),
    ("routes", "crates/testkit/corpus/config", 1, |_| Box::new(routes)),
    ("configuration", "crates/testkit/corpus/config", 4, configuration),
    ("state import", "crates/testkit/corpus/state", 20, state_import),
    ("YAML edit", "crates/testkit/corpus/yaml", 4, yaml_edit),
];

pub(super) fn run(_: &Path, extent: &Extent) -> Tally {
    let mut all = Tally::default();
    // A failure is reported with its input; the panic message itself would only be noise.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    for (name, corpus, slower, make) in TARGETS {
        let runs = if extent.long() { LONG } else { SHORT } / slower;
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
        let Ok(scratch) = tempfile::tempdir() else { continue };
        let mut target = make(scratch.path());
        for input in Inputs::of(&root.join(corpus), 42).take(runs) {
            let begun = Instant::now();
            let mut result = Ok(Ok(()));
            let held = allocation_counter::measure(|| {
                result = catch_unwind(AssertUnwindSafe(|| target(&input)));
            });
            let budget = BYTES + BYTES_PER_BYTE * input.len() as u64;
            let found = match result {
                Ok(Ok(())) if held.bytes_max > budget => format!("held {} bytes in memory", held.bytes_max),
                Ok(Ok(())) if begun.elapsed() < PATIENCE => continue,
                Ok(Ok(())) => format!("took {:?}", begun.elapsed()),
                Ok(Err(reason)) => reason,
                Err(panic) => format!("panic: {:?}", panic.downcast_ref::<String>()),
            };
            all.violation(format!("fuzz: {name}: {found}: {:?}", String::from_utf8_lossy(&input)));
        }
        say(&format!("fuzz: {name}: {runs} inputs"));
        all.points += runs as u64;
    }
    std::panic::set_hook(hook);
    all
}

fn ensure(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

fn intent(input: &[u8]) -> Result<(), String> {
    let _ = intent::correlation_id(input);
    match intent::judge(input, Policy::default()) {
        Ok(intent) => {
            // One byte order mark is not part of the text.
            let text = input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input);
            let whole = serde_json::from_slice::<serde_json::Value>(text);
            ensure(whole.is_ok_and(|value| value.is_object()), "accepted what is no JSON object")?;
            ensure(text::is_label(&intent.key.namespace), "a namespace that is no label")?;
            ensure(intent.replicas.is_none_or(|n| (1..=100).contains(&n)), "replicas out of range")?;
            ensure(intent.priority <= 10, "priority out of range")
        }
        Err(refusal) => {
            let said = refusal.to_string();
            ensure(said.chars().all(text::is_shown), "a refusal with control characters")?;
            ensure(said.chars().count() < 2_500, "a refusal without end")
        }
    }
}

fn file_name(input: &[u8]) -> Result<(), String> {
    let safe = |name: &str| {
        name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) && name.len() <= 255
    };
    let any = Names::with(Pattern::new("*.json").into_iter().collect());
    let own = match any.judge(input) {
        NameVerdict::Ignore => return Ok(()),
        NameVerdict::Intent(name) => name.as_str().to_owned(),
        NameVerdict::Refused => name::derived_name(&Digest([7; 32])),
    };
    ensure(!own.contains("..") && safe(&own), "an unsafe name")?;
    let archived = name::archive_names(&own, Seq::MAX).take(20);
    for derived in archived.map(|name| name::error_log_name(&name)).chain([name::status_name(&own)]) {
        ensure(safe(&derived), "an unsafe derived name")?;
    }
    let taken = name::TakenName { seq: Seq(7), raw: input.into() };
    match taken.place() {
        TakenAt::Entry(entry) => {
            ensure(name::TakenName::parse(&entry) == Some(taken), "a taken name that is not read back")
        }
        TakenAt::Nested(_) => Ok(()),
    }
}

fn unit(input: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(input);
    if let Ok(duration) = units::parse_duration(&text) {
        let shown = units::format_duration(duration);
        ensure(units::parse_duration(&shown) == Ok(duration), "a duration that is not read back")?;
    }
    let _ = units::parse_size(&text);
    Ok(())
}

fn scrubber(input: &[u8]) -> Result<(), String> {
    let block = scrub::block(input);
    ensure(block.chars().all(|c| c == '\n' || text::is_shown(c)), "control characters are left")?;
    let line = scrub::line(&String::from_utf8_lossy(input), 100);
    ensure(!line.contains('\n') && line.chars().all(text::is_shown), "more than a line")
}

fn routes(input: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(input);
    let Ok(table) = text.parse::<toml::Table>() else { return Ok(()) };
    match Routes::from_toml(table) {
        Ok(_) => Ok(()),
        Err(reason) => ensure(reason.len() < 20_000, "an error without end"),
    }
}

fn configuration(scratch: &Path) -> Target {
    let path: PathBuf = scratch.join("conductor.toml");
    Box::new(move |input| {
        std::fs::write(&path, input).map_err(|error| error.to_string())?;
        let flags = BTreeMap::from([("config", path.display().to_string())]);
        if let Err(error) =
            config::layer(&flags, &config::Environment::default()).and_then(config::Config::new)
        {
            ensure(error.to_string().len() < 20_000, "an error without end")?;
        }
        Ok(())
    })
}

/// A fresh store for each input would be slow, so imported outcomes stay; importing the same bytes again must do nothing.
fn state_import(scratch: &Path) -> Target {
    let dir = Dir::open(scratch).map(Arc::new);
    let store = dir.map_err(|error| error.to_string()).and_then(|dir| {
        store::Store::open(dir, &store::Sealing::Keyless(String::new()), true)
            .map_err(|error| error.to_string())
    });
    Box::new(move |input| {
        let store = store.as_ref().map_err(Clone::clone)?;
        let now = jiff::Timestamp::UNIX_EPOCH;
        if store::import(store, now, &mut &*input).is_ok() {
            let again = store::import(store, now, &mut &*input).map_err(|error| error.to_string())?;
            ensure(again.imported == 0, "imported twice")?;
        }
        Ok(())
    })
}

/// The engine checks its own result; here it must never panic, and editing an edited package must change nothing.
fn yaml_edit(scratch: &Path) -> Target {
    let package = scratch.join("shop/web");
    let _ = std::fs::create_dir_all(&package);
    let engine = Engine::new(Settings { durable: false, ..Settings::new(scratch) });
    Box::new(move |input| {
        let file = package.join("web.yaml");
        std::fs::write(&file, input).map_err(|error| error.to_string())?;
        let _ = std::fs::remove_dir_all(package.with_file_name("web-scaling"));
        let intent = br#"{"intent_type":"scaling","target":"web","namespace":"shop","replicas":5}"#;
        let intent = intent::judge(intent, Policy::default()).map_err(|refusal| refusal.to_string())?;
        let order = Order { intent, provenance: Provenance::default(), came: None };
        let patience = Patience::new(Duration::from_secs(1), Duration::from_mins(1));
        match engine.apply(&order, &patience) {
            Ok(_) => {
                let again = engine.apply(&order, &patience).map_err(|error| error.to_string())?;
                ensure(!again.outcome.changed, "an edit that is not the last")
            }
            Err(error) => {
                let after = std::fs::read(&file).map_err(|error| error.to_string())?;
                ensure(after == input, "refused, and changed")?;
                ensure(!error.to_string().contains("E313"), &format!("a defect of our own: {error}"))
            }
        }
    })
}
