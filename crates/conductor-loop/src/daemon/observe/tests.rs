//! Each fact has its log line, in every group.

use super::*;
use conductor_core::outcome::{Capture, Ending};
use conductor_core::query::{Covers, Held};
use conductor_core::{Attempt, Seq, TargetKey};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::io;
use std::sync::Mutex;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn key() -> TargetKey {
    TargetKey { namespace: "n".into(), target: "t".into() }
}

fn claim() -> Claim {
    Claim { key: key(), ..conductor_testkit::claim(7) }
}

fn run(leftovers: Vec<String>) -> Run {
    let capture = Capture::default;
    Run {
        ending: Ending::Exited(0),
        duration: Duration::from_millis(1),
        stdout: capture(),
        stderr: capture(),
        leftovers,
        hint: None,
        change: String::new(),
        command: Vec::new(),
        porch_sha256: None,
        worker: 0,
        runner: "porch",
    }
}

/// The declared variants of the enums of facts: a new one without a sample is noticed.
fn declared() -> BTreeSet<String> {
    let text = include_str!("../../../../core/src/fact.rs");
    let enums = text.split("pub enum ").skip(1).filter(|part| !part.starts_with("Fact<"));
    let lines = enums.flat_map(|part| part.split("\n}").next().unwrap().lines());
    let variants = lines
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    variants.map(|line| line.trim_end_matches([' ', '{', ',']).to_owned()).collect()
}

fn samples<'s>(
    claim: &'s Claim,
    run: &'s Run,
    outcome: &'s Outcome,
    held: &'s Held,
    covers: &'s Covers,
) -> Vec<Fact<'s>> {
    let (text, code, took) = ("text", Code::OutUnusable, Duration::from_millis(1));
    let reason = NotReady::OutFull;
    let confinement = Box::leak(Box::new(Confinement::off(text)));
    let intents = [
        IntentFact::Accepted { claim },
        IntentFact::Refused { outcome },
        IntentFact::HandedOut { claim, attempt: Attempt(1) },
        IntentFact::Started { claim, attempt: Attempt(1) },
        IntentFact::RunEnded { claim, run, began: true, first_start: None },
        IntentFact::Retried { claim, run, next_attempt: Attempt(2), pause: took },
        IntentFact::Interrupted { claim },
        IntentFact::Filed { outcome, archived_as: text },
        IntentFact::WriterHolds { seq: Seq(7) },
        IntentFact::Vanished { seq: Seq(7), file: text },
        IntentFact::Ignored { file: text },
        IntentFact::Left { file: text, code, reason: text },
        IntentFact::Unread { claim, code, reason: text },
    ];
    let operators = [
        OperatorFact::Held { held },
        OperatorFact::Released { covers, uid: 7 },
        OperatorFact::Purged { uid: 7, outcomes: 1, before: Timestamp::UNIX_EPOCH },
        OperatorFact::SettingChanged { key: text, from: text, to: text },
        OperatorFact::RestartNeeded { settings: &["text"] },
        OperatorFact::ReloadRefused { code, reason: text },
        OperatorFact::AskerRefused { uid: 7 },
        OperatorFact::TokenRefused,
        OperatorFact::StopAsked { signal: text, running: 1 },
        OperatorFact::StopAtOnce { signal: text },
    ];
    let daemon = [
        DaemonFact::Began { version: text, config: text, confinement },
        DaemonFact::Stopped { well: true },
        DaemonFact::NotReady { reason, at: None },
        DaemonFact::ReadyAgain { reason },
        DaemonFact::Signing { key: text, file: text, weak: true },
        DaemonFact::Confined { confinement },
        DaemonFact::Scanned,
        DaemonFact::ScanFailed { reason: text },
        DaemonFact::EventsLost,
        DaemonFact::EventsFail { reason: text },
        DaemonFact::EventsWork,
        DaemonFact::IntakeFails { reason: text },
        DaemonFact::IntakeWorks,
        DaemonFact::FilesWait { reason: text },
        DaemonFact::FilesGoOn,
        DaemonFact::Committed { took, records: 1 },
        DaemonFact::Expired { removed: 1 },
        DaemonFact::BackedUp { file: text, bytes: 1, made_at: Timestamp::now(), uid: None },
        DaemonFact::BackupFailed { reason: text, uid: Some(7) },
        DaemonFact::BackupsNotRemoved { reason: text },
        DaemonFact::Handled { input: text, took },
        DaemonFact::Defect { what: text },
    ];
    let places = [
        PlaceFact::PartsReplaced { names: &[] },
        PlaceFact::PartsBack,
        PlaceFact::HandoffGone { reason: text },
        PlaceFact::StateGone { what: text },
        PlaceFact::GivenUp { code, message: text },
        PlaceFact::PorchUnusable { reason: text },
        PlaceFact::RunsWithheld { reason: text },
        PlaceFact::StagingMoved { reason: text },
        PlaceFact::StagingBack,
        PlaceFact::PlaceUnusable { reason, path: text },
        PlaceFact::PlaceMet { reason, words: text },
        PlaceFact::PlaceUsable { path: text },
    ];
    let groups = [intents.map(Fact::from).to_vec(), operators.map(Fact::from).to_vec()];
    [groups.concat(), daemon.map(Fact::from).to_vec(), places.map(Fact::from).to_vec()].concat()
}

/// The lines that a fact makes.
fn lines(fact: Fact<'_>) -> Vec<String> {
    let written = Lines::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let health = Health::new(Metrics::new(None).unwrap());
    tracing::subscriber::with_default(subscriber, || observe(&health, fact));
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn each_fact_has_one_line() {
    let (claim, run, covers) = (claim(), run(Vec::new()), Covers::from(key()));
    let outcome = Outcome::blank(Seq(7), "intent-a.json", Timestamp::UNIX_EPOCH);
    let held = Held { target: key().to_string(), since: Timestamp::UNIX_EPOCH, uid: 7, note: "note".into() };
    let mut seen = BTreeSet::new();
    for fact in samples(&claim, &run, &outcome, &held, &covers) {
        assert_eq!(lines(fact).len(), 1, "{fact:?}");
        let text = format!("{fact:?}");
        let inner = text.split_once('(').unwrap().1;
        seen.insert(inner.split([' ', ')']).next().unwrap().to_owned());
    }
    assert_eq!(seen, declared());
}

#[test]
fn what_outlives_its_run_and_what_keeps_the_loop_are_warnings() {
    let claim = claim();
    let (quiet, loud) = (run(Vec::new()), run(vec!["7 sleep".into()]));
    let level = |fact: Fact<'_>| lines(fact)[0].split_whitespace().nth(1).unwrap().to_owned();
    let ended = |run| IntentFact::RunEnded { claim: &claim, run, began: true, first_start: None }.into();
    let handled = |took| DaemonFact::Handled { input: "writer", took }.into();
    assert_eq!([level(ended(&quiet)), level(ended(&loud))], ["DEBUG", "WARN"]);
    assert_eq!([level(handled(LONG / 2)), level(handled(LONG))], ["TRACE", "WARN"]);
}
