//! `keys show | rotate | export-public`: the root keys of a state, and the public keys that verify what they signed.

use super::ask::open_handoff;
use super::{CommandError, print, print_json};
use crate::config::Config;
use crate::daemon::key_places;
use crate::handoff::{Finder, StateFiles};
use crate::keys::{KeyError, Keys, Places, known_public, show_public};
use conductor_core::Exit;
use conductor_core::attestation::Attest;
use conductor_crypto::RootKey;
use serde_json::json;
use std::path::PathBuf;

/// Finds the keys of the configured state, and passes their places on.
fn with_places<T>(
    config: &Config,
    who: Finder,
    work: impl FnOnce(&Places<'_>) -> Result<T, KeyError>,
) -> Result<T, CommandError> {
    let (path, handoff) = open_handoff(config)?;
    let files = StateFiles::find(config, &path, &handoff, who)?;
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let places = key_places(config, &path, &files, credentials.as_deref());
    work(&places).map_err(|error| CommandError::coded(error.code(), error))
}

/// `keys show`
pub fn keys_show(config: &Config, as_json: bool) -> Result<Exit, CommandError> {
    let keys = with_places(config, Finder::Looker, Keys::look)?;
    let roots: Vec<String> = keys.ring().keys().map(RootKey::id).collect();
    let signing: Vec<String> = keys.public().iter().map(|key| key.id().to_string()).collect();
    let file = keys.origin().path().display().to_string();
    if as_json {
        return print_json(&json!({"file": file, "weak": keys.origin().is_weak(), "signs": keys.key(),
            "root_keys": roots, "signing_keys": signing}));
    }
    let weak = if keys.origin().is_weak() { " (weak: it lies beside the state)" } else { "" };
    let text = format!(
        "file          {file}{weak}\nsigns         {}\nroot keys     {}\nsigning keys  {}\n",
        keys.key(),
        roots.join(" "),
        signing.join(" ")
    );
    print(text.as_bytes())
}

/// `keys rotate`
pub fn keys_rotate(config: &Config) -> Result<Exit, CommandError> {
    let keys = with_places(config, Finder::Keeper, Keys::rotate)?;
    let text = format!(
        "{} signs from the daemon's next start on; the keys before it stay in {} to verify what they signed\n",
        keys.key(),
        keys.origin().path().display()
    );
    print(text.as_bytes())
}

/// `keys export-public`
pub fn keys_export_public(config: &Config) -> Result<Exit, CommandError> {
    let known = with_places(config, Finder::Looker, |places| {
        known_public(places.state).map_err(|error| KeyError::of(places.state_path, error))
    })?;
    if known.is_empty() {
        return Err(CommandError::hindered(
            "this state has no keys yet",
            "Start the daemon once: it makes one, or takes the one of --state-key-file.",
        ));
    }
    print(show_public(&known).as_bytes())
}
