//! The audit trail of a test environment, read and judged as an auditor would.

use crate::TestEnv;
use conductor_core::Seq;
use conductor_crypto::VerifyingKey;
use conductor_evidence::entry::{Entry, Parsed, parse};
use conductor_evidence::segment::{Lines, list};
use conductor_evidence::tree::Point;
use conductor_evidence::verify::{Against, Report, verify};
use conductor_os::dir::Dir;
use std::collections::BTreeMap;

/// The directory of the trail, from the handoff directory.
pub const PLACE: &str = ".conductor/audit";
/// The file of the public keys, from the handoff directory.
const PUBLIC: &str = ".conductor/state/public-keys.pem";

/// What a verification says.
pub fn judged(env: &TestEnv) -> Report {
    let dir = Dir::open(&env.handoff(PLACE)).unwrap();
    verify(&dir, Against { identities: public(env), known: vec![head(env)] }).unwrap()
}

/// The public keys beside the state.
pub(crate) fn public(env: &TestEnv) -> Vec<VerifyingKey> {
    let text = std::fs::read_to_string(env.handoff(PUBLIC)).unwrap();
    let blocks = text.match_indices("-----BEGIN ");
    blocks.map(|(at, _)| VerifyingKey::from_pem(&text[at..]).unwrap()).collect()
}

/// How far the trail had come, as the public head says.
fn head(env: &TestEnv) -> Point {
    let head = std::fs::read(env.handoff(".conductor-state.json")).unwrap();
    let head: serde_json::Value = serde_json::from_slice(&head).unwrap();
    let text = |name: &str| head["audit"][name].clone();
    Point { size: text("size").as_u64().unwrap(), root: serde_json::from_value(text("root")).unwrap() }
}

/// Every entry, without checkpoints.
pub fn entries(env: &TestEnv) -> Vec<Entry> {
    let dir = Dir::open(&env.handoff(PLACE)).unwrap();
    let mut entries = Vec::new();
    for first in list(&dir).unwrap() {
        for line in Lines::open(&dir, first).unwrap() {
            if let Some(Parsed::Entry(entry)) = parse(&line.unwrap().bytes) {
                entries.push(*entry);
            }
        }
    }
    entries
}

/// Checks that the trail verifies, and that each of these intents has exactly one entry of its outcome, and no other intent has one.
pub fn check(env: &TestEnv, intents: &[u64]) -> Result<(), String> {
    let report = judged(env);
    if !report.findings.is_empty() || report.torn.is_some() {
        return Err(format!("the audit trail: {report:?}"));
    }
    let mut filed: BTreeMap<Seq, usize> = BTreeMap::new();
    for entry in entries(env).iter().filter(|entry| entry.event == "intent_filed") {
        *filed.entry(entry.intent.unwrap_or_default()).or_default() += 1;
    }
    let wanted: BTreeMap<Seq, usize> = intents.iter().map(|number| (Seq(*number), 1)).collect();
    if filed == wanted { Ok(()) } else { Err(format!("entries of outcomes {filed:?}, not {wanted:?}")) }
}
