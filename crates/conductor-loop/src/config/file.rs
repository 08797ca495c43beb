//! The TOML file: the same keys as the flags, `-` and `_` alike. Unknown keys are errors with a suggestion.

use super::error::ConfigError;
use super::origin::Origin;
use super::settings::SETTINGS;
use conductor_os::plain::read_plain;
use conductor_porch::Routes;
use std::path::Path;

/// The largest file read: a configuration file is small.
const SIZE_MAX: u64 = 1 << 20;

/// The known name nearest to the written one, as the end of an error message.
pub(super) fn suggest<'k>(written: &str, known: impl Iterator<Item = &'k str>) -> String {
    let near = known.map(|key| (strsim::jaro_winkler(written, key), key)).filter(|(score, _)| *score > 0.7);
    match near.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((_, key)) => format!("; did you mean '{key}'?"),
        None => "; `conductor-loop config show` lists all keys".to_owned(),
    }
}

/// The content of a file.
pub(super) struct Content {
    pub values: Vec<(&'static str, String)>,
    pub routes: Routes,
}

/// The tables of the package engine; everything else is a setting.
const TABLES: [&str; 3] = ["route", "repository", "workload"];

pub(super) fn read(path: &str) -> Result<Content, ConfigError> {
    let unreadable = |reason: String| ConfigError::Unreadable { path: path.to_owned(), reason };
    let bytes = read_plain(Path::new(path), SIZE_MAX).map_err(|error| unreadable(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|error| unreadable(error.utf8_error().to_string()))?;
    let mut settings: toml::Table =
        text.parse().map_err(|error: toml::de::Error| unreadable(error.to_string().trim().to_owned()))?;
    let tables = TABLES.iter().filter_map(|name| settings.remove_entry(*name)).collect();
    let routes = Routes::from_toml(tables).map_err(unreadable)?;
    let entries = settings.iter().map(|(key, value)| entry(path, key, value, line_of(&text, key)));
    let values = entries.collect::<Result<_, _>>()?;
    Ok(Content { values, routes })
}

/// The line, from 1, in which a plain key outside of tables is set.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let sets = |line: &str| {
        let rest = line.trim_start().strip_prefix(key);
        rest.is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    text.lines().position(sets).map(|index| index + 1)
}

fn entry(
    path: &str,
    key: &str,
    value: &toml::Value,
    line: Option<usize>,
) -> Result<(&'static str, String), ConfigError> {
    let plain = key.replace('_', "-");
    if plain == "config" {
        let suggestion =
            "; it says where this file is: give it on the command line (--config), or as CONDUCTOR_CONFIG"
                .to_owned();
        return Err(ConfigError::UnknownKey { path: path.to_owned(), key: key.to_owned(), suggestion });
    }
    let known = || SETTINGS.iter().filter(|setting| setting.key != "config");
    let Some(setting) = known().find(|setting| setting.key == plain) else {
        let suggestion = suggest(&plain, known().map(|setting| setting.key));
        return Err(ConfigError::UnknownKey { path: path.to_owned(), key: key.to_owned(), suggestion });
    };
    let text = match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string(),
        toml::Value::Boolean(switch) => switch.to_string(),
        // Where several may stand behind commas, they may stand in an array.
        toml::Value::Array(several) if setting.is_list() && several.iter().all(toml::Value::is_str) => {
            several.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>().join(",")
        }
        other => {
            let kind = match other.type_str() {
                "array" => "an array".to_owned(),
                kind => format!("a {kind}"),
            };
            let reason = format!("{kind} cannot be the value; write text, a number, true or false");
            let origin = Origin::File(line.map_or_else(|| path.to_owned(), |line| format!("{path}:{line}")));
            return Err(ConfigError::BadValue { key: setting.key, origin, reason });
        }
    };
    Ok((setting.key, text))
}
