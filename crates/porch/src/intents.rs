//! The intents of a run: read, judged and held against each other before anything is done.

use crate::Failure;
use conductor_core::intent::{Policy, judge};
use conductor_os::plain::read_start;
use conductor_porch::{Order, Provenance, exit};
use std::path::{Path, PathBuf};

/// Largest intent read: the daemon's default.
const SIZE_MAX: u64 = 10_485_760;

/// An intent, and the file that it is in.
pub(crate) struct Intent {
    pub shown: String,
    pub order: Order,
}

/// All intents of a run. If one is refused, or two are for one target, none is carried out: in which order two of one
/// target count is for whoever hands them in to say.
pub(crate) fn read_all(paths: &[PathBuf]) -> Result<Vec<Intent>, Failure> {
    let mut all: Vec<Intent> = Vec::new();
    for path in paths {
        let shown = path.display().to_string();
        let order = order(path).map_err(|failure| failure.among(paths.len(), &shown, "nothing was done"))?;
        if let Some(other) = all.iter().find(|other| other.order.intent.key == order.intent.key) {
            let (key, first) = (&order.intent.key, &other.shown);
            let message = format!(
                "{first} and {shown} are both for {key}; nothing was done: run porch for one after the other"
            );
            return Err(Failure { status: exit::INTENT, message });
        }
        all.push(Intent { shown, order });
    }
    Ok(all)
}

/// The bytes of the intent; `-` is standard input.
fn read_intent(path: &Path) -> std::io::Result<Vec<u8>> {
    if path.as_os_str() == "-" {
        return read_start(std::io::stdin(), SIZE_MAX + 1);
    }
    // A shell may hand in a pipe.
    read_start(std::fs::File::open(path)?, SIZE_MAX + 1)
}

fn order(path: &Path) -> Result<Order, Failure> {
    let refused = |message: String| Failure { status: exit::INTENT, message };
    let bytes = read_intent(path).map_err(|error| Failure {
        status: exit::NO_INPUT,
        message: format!("the intent {} cannot be read: {error}", path.display()),
    })?;
    if bytes.len() as u64 > SIZE_MAX {
        return Err(refused(format!("the intent {} is larger than {SIZE_MAX} bytes", path.display())));
    }
    // The caller has already decided on scaling to zero; the daemon's policy is not repeated here.
    let intent = judge(&bytes, Policy { allow_scale_to_zero: true })
        .map_err(|refusal| refused(format!("{} {refusal}", refusal.code)))?;
    let provenance = provenance(&bytes, intent.correlation_id.clone());
    Ok(Order { intent, provenance })
}

/// Sequence number and correlation id from the daemon's environment, if it describes this very intent.
fn provenance(bytes: &[u8], own_correlation_id: Option<String>) -> Provenance {
    let sha256 = conductor_crypto::sha256(bytes).to_string();
    let variable = |name: &str| std::env::var(name).ok();
    if variable("CONDUCTOR_INTENT_SHA256").as_deref() != Some(&sha256) {
        return Provenance { sha256, correlation_id: own_correlation_id, seq: None };
    }
    Provenance {
        sha256,
        correlation_id: variable("CONDUCTOR_CORRELATION_ID").or(own_correlation_id),
        seq: variable("CONDUCTOR_INTENT_SEQ").and_then(|seq| seq.parse().ok()),
    }
}
