//! The environment that git gets: the operator's settings for git, ssh and TLS, and no variable that leads to another
//! repository or another identity.

use std::ffi::OsString;
use std::sync::OnceLock;

/// Variables that pass, by name.
const NAMES: [&str; 29] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "XDG_CONFIG_HOME",
    "SSH_AUTH_SOCK",
    // Proxies, as curl reads them. HTTP_PROXY in capitals is excluded: it could come from a request's header.
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    // Certificates and tickets.
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "CURL_HOME",
    "KRB5_CONFIG",
    "KRB5CCNAME",
    "KRB5_CLIENT_KTNAME",
    // Git's own variables.
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_ASKPASS",
    "GIT_PROXY_COMMAND",
    "GIT_ALLOW_PROTOCOL",
    "GIT_EXEC_PATH",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
];
/// Variables passed on, by prefix. The last three are configuration in the environment.
const FAMILIES: [&str; 6] =
    ["GIT_SSL_", "GIT_PROXY_SSL_", "GIT_HTTP_", "GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"];
/// Variables of git that we set ourselves, or that have no effect on our commands.
const WITHOUT_EFFECT: [&str; 9] = [
    "GIT_TERMINAL_PROMPT",
    "GIT_OPTIONAL_LOCKS",
    "GIT_CEILING_DIRECTORIES",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_EDITOR",
    "GIT_SEQUENCE_EDITOR",
    "GIT_PAGER",
    "GIT_MERGE_AUTOEDIT",
    "GIT_PS1_",
];

fn passes(name: &str) -> bool {
    NAMES.contains(&name) || FAMILIES.iter().any(|family| name.starts_with(family))
}

/// The part of this process's environment that git gets, and that a caller of `porch` passes on. Nothing changes our
/// environment, and looking through all of it costs more than most steps of a program's start.
pub fn git_environment() -> impl Iterator<Item = (&'static OsString, &'static OsString)> {
    static FOUND: OnceLock<Vec<(OsString, OsString)>> = OnceLock::new();
    let find = || std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(passes)).collect();
    FOUND.get_or_init(find).iter().map(|(name, value)| (name, value))
}

/// Variables for git that are set but not passed on: they lead to another repository, index or identity, or write traces.
pub fn left_out_of_git() -> Vec<String> {
    let without_effect = |name: &str| WITHOUT_EFFECT.iter().any(|one| name.starts_with(one));
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut names: Vec<String> = names
        .filter(|name| name.starts_with("GIT_") && !passes(name) && !without_effect(name))
        .map(|name| conductor_core::scrub::line(&name, 64))
        .collect();
    names.sort();
    names
}
