//! `keys show | rotate | export-public`: the root keys of a state, and the public keys that verify what they signed.

use super::ask::open_handoff;
use super::error::CommandError;
use super::output::Output;
use super::stdout::print;
use crate::config::Config;
use crate::handoff::{Finder, StateFiles};
use crate::keys::{KeyError, known_public, show_public};
use conductor_core::Exit;
use conductor_core::attestation::Attest;
use conductor_crypto::RootKey;
use serde_json::json;
use std::sync::Arc;

fn find(config: &Config) -> Result<StateFiles, CommandError> {
    let (path, handoff) = open_handoff(config)?;
    Ok(StateFiles::find(config, &path, &handoff, Finder::Looker)?)
}

fn refused(error: &Arc<KeyError>) -> CommandError {
    CommandError::Keys(Arc::clone(error))
}

/// `keys show`
pub fn keys_show(config: &Config, output: Output) -> Result<Exit, CommandError> {
    let files = find(config)?;
    let keys = files.keys.as_ref().map_err(refused)?;
    let roots: Vec<String> = keys.ring().keys().map(RootKey::id).collect();
    let signing: Vec<String> = keys.public().iter().map(|key| key.id().to_string()).collect();
    let file = keys.origin().path().display().to_string();
    let body = json!({"file": file, "weak": keys.origin().is_weak(), "signs": keys.key(), "root_keys": roots,
        "signing_keys": signing});
    let weak = if keys.origin().is_weak() { " (weak: it lies beside the state)" } else { "" };
    let text = format!(
        "file          {file}{weak}\nsigns         {}\nroot keys     {}\nsigning keys  {}\n",
        keys.key(),
        roots.join(" "),
        signing.join(" ")
    );
    output.answer(&body, |_| text)
}

/// `keys rotate`
pub fn keys_rotate(config: &Config) -> Result<Exit, CommandError> {
    let (path, handoff) = open_handoff(config)?;
    let keys = StateFiles::find(config, &path, &handoff, Finder::Looker)?.rotate_keys(config, &path)?;
    let text = format!(
        "{} signs from the daemon's next start on; the keys before it stay in {} to verify what they signed\n",
        keys.key(),
        keys.origin().path().display()
    );
    print(text.as_bytes())
}

/// `keys export-public`
pub fn keys_export_public(config: &Config) -> Result<Exit, CommandError> {
    let files = find(config)?;
    let known = known_public(&files.dir)
        .map_err(|error| CommandError::Keys(Arc::new(KeyError::of(&files.path, error))))?;
    if known.is_empty() {
        return Err(CommandError::hindered(
            "this state has no keys yet",
            "Start the daemon once: it makes one, or takes the one of --state-key-file.",
        ));
    }
    print(show_public(&known).as_bytes())
}
