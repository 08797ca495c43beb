//! The intents of a run. Those of files are read, judged and held against each other before anything is done; those that
//! standard input holds one after the other are each judged when it is their turn.

use crate::Failure;
use conductor_core::intent::{Policy, judge};
use conductor_os::is_passing;
use conductor_os::plain::read_start;
use conductor_porch::{Order, Provenance, exit};
use serde::de::IgnoredAny;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Largest intent read: the daemon's default.
const SIZE_MAX: u64 = 10_485_760;

/// What stands for standard input.
const STANDARD_INPUT: &str = "-";

/// An intent, and where it is.
pub(crate) struct Intent {
    pub shown: String,
    pub order: Order,
}

/// The intents of a run, in their order.
pub(crate) enum Intents {
    /// Judged: of files, or the only one of standard input.
    Judged(Vec<Intent>),
    /// Several on standard input, each in its place.
    Stream(Vec<u8>, Vec<Range<usize>>),
}

impl Intents {
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Judged(all) => all.len(),
            Self::Stream(_, places) => places.len(),
        }
    }

    /// Where an intent is, as shown.
    pub(crate) fn shown(&self, number: usize) -> String {
        match self {
            Self::Judged(all) => all.get(number).map(|intent| intent.shown.clone()).unwrap_or_default(),
            Self::Stream(..) => format!("standard input, intent {}", number + 1),
        }
    }

    /// The intent of this number as an order, or why it is none.
    pub(crate) fn order(&self, number: usize) -> Result<Order, Failure> {
        let refused = |message: String| Failure { status: exit::INTENT, message };
        match self {
            Self::Judged(all) => {
                all.get(number).map(|intent| intent.order.clone()).ok_or_else(|| refused(String::new()))
            }
            Self::Stream(bytes, places) => {
                let place = places.get(number).cloned().unwrap_or_default();
                let text = bytes.get(place).unwrap_or_default();
                judged(text).map_err(|failure| {
                    if number + 1 < places.len() || is_whole(text) {
                        return failure;
                    }
                    refused(format!("{}; what follows on standard input was not read", failure.message))
                })
            }
        }
    }
}

/// All intents of a run. If one of a file is refused, or two are for one target, none is carried out: in which order two of
/// one target count is for whoever hands them in to say, as the order of a stream does.
pub(crate) fn read_all(paths: &[PathBuf]) -> Result<Intents, Failure> {
    let mut all: Vec<Intent> = Vec::new();
    for path in paths {
        let shown = path.display().to_string();
        let among = |failure: Failure| failure.among(paths.len(), &shown, "nothing was done");
        let bytes = read_intent(path).map_err(among)?;
        let several = if shown == STANDARD_INPUT { split(&bytes) } else { Vec::new() };
        if several.len() > 1 {
            if paths.len() == 1 {
                return Ok(Intents::Stream(bytes, several));
            }
            let message = format!(
                "standard input holds {} intents; nothing was done: give it without other -intent flags",
                several.len()
            );
            return Err(Failure { status: exit::INTENT, message });
        }
        let order = judged(&bytes).map_err(among)?;
        if let Some(other) = all.iter().find(|other| other.order.intent.key == order.intent.key) {
            let (key, first) = (&order.intent.key, &other.shown);
            let message = format!(
                "{first} and {shown} are both for {key}; nothing was done: run porch for one after the other"
            );
            return Err(Failure { status: exit::INTENT, message });
        }
        all.push(Intent { shown, order });
    }
    Ok(Intents::Judged(all))
}

/// The places of the JSON texts that stand one after the other. The last one goes to the end where it is none.
fn split(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut texts = serde_json::Deserializer::from_slice(bytes).into_iter::<IgnoredAny>();
    let (mut places, mut start) = (Vec::new(), 0);
    while let Some(text) = texts.next() {
        let end = if text.is_ok() { texts.byte_offset() } else { bytes.len() };
        let blanks = bytes.get(start..end).unwrap_or_default();
        let blanks = blanks.len() - blanks.trim_ascii_start().len();
        places.push(start + blanks..end);
        start = end;
        if text.is_err() {
            break;
        }
    }
    places
}

/// Whether a text is JSON.
fn is_whole(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

/// The bytes of the intent; `-` is standard input.
fn read_intent(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = if path.as_os_str() == STANDARD_INPUT {
        read_start(std::io::stdin(), SIZE_MAX + 1)
    } else {
        // A shell may hand in a pipe.
        std::fs::File::open(path).and_then(|file| read_start(file, SIZE_MAX + 1))
    };
    let bytes = bytes.map_err(|error| Failure {
        status: if is_passing(&error) { exit::BUSY } else { exit::NO_INPUT },
        message: format!("the intent {} cannot be read: {error}", path.display()),
    })?;
    if bytes.len() as u64 > SIZE_MAX {
        let message = format!("the intent {} is larger than {SIZE_MAX} bytes", path.display());
        return Err(Failure { status: exit::INTENT, message });
    }
    Ok(bytes)
}

fn judged(bytes: &[u8]) -> Result<Order, Failure> {
    // The caller has already decided on scaling to zero; the daemon's policy is not repeated here.
    let intent = judge(bytes, Policy { allow_scale_to_zero: true }).map_err(|refusal| Failure {
        status: exit::INTENT,
        message: format!("{} {refusal}", refusal.code),
    })?;
    let provenance = provenance(bytes, intent.correlation_id.clone());
    Ok(Order { intent, provenance, came: None })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_one_after_the_other_are_told_apart() {
        for (text, is) in [
            ("", &[][..]),
            ("{}\n", &["{}"]),
            ("{}{}", &["{}", "{}"]),
            (" {\"a\": \"}{\"}\r\n\r\n[1]\n", &["{\"a\": \"}{\"}", "[1]"]),
            ("{} x {}", &["{}", "x {}"]),
            ("x {}", &["x {}"]),
            ("{} {", &["{}", "{"]),
        ] {
            let places = split(text.as_bytes());
            let texts: Vec<&str> = places.iter().map(|place| &text[place.clone()]).collect();
            assert_eq!(texts, is, "{text:?}");
        }
    }
}
