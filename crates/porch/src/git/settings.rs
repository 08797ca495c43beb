//! The configuration, read once by one process, with the origin of each value: the operator (the system's and the user's
//! files, the environment), or the repository itself, whose values may neither run a program nor lead elsewhere.

use std::collections::BTreeSet;
use std::path::Path;

/// Additional options for ssh: it fails instead of asking.
const NEVER_ASK: &str = " -o BatchMode=yes";
/// Transports that run nothing but git's own programs and ssh.
const PROTOCOLS: &str = "file:git:http:https:ssh";

/// The origin of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// The system, the user, the environment.
    Operator,
    /// The repository or one of its work trees.
    Repository,
}

/// One value. The name is in git's form: section and key in lower case.
#[derive(Debug)]
struct Entry {
    scope: Scope,
    name: String,
    value: String,
}

/// The whole configuration for one repository, in git's order: later values win.
#[derive(Debug, Default)]
pub(super) struct Configured {
    entries: Vec<Entry>,
}

/// Section and key of a name; the part between them is arbitrary.
fn ends(name: &str) -> (&str, &str) {
    let section = name.split('.').next().unwrap_or_default();
    (section, name.rsplit('.').next().unwrap_or_default())
}

impl Configured {
    /// Reads `config --list -z --show-scope`: SCOPE NUL NAME LF VALUE NUL.
    pub(super) fn parse(listing: &[u8]) -> Self {
        let text = String::from_utf8_lossy(listing);
        let mut fields = text.split('\0');
        let mut entries = Vec::new();
        while let (Some(scope), Some(field)) = (fields.next(), fields.next()) {
            // A key without a value is true.
            let (name, value) = field.split_once('\n').unwrap_or((field, "true"));
            let scope =
                if matches!(scope, "local" | "worktree") { Scope::Repository } else { Scope::Operator };
            entries.push(Entry { scope, name: name.to_owned(), value: value.to_owned() });
        }
        Self { entries }
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.name == name)
    }

    fn last(&self, name: &str) -> Option<&str> {
        self.values(name).last().map(|entry| entry.value.as_str())
    }

    /// `core.worktree`.
    pub(super) fn work_tree(&self) -> Option<&str> {
        self.last("core.worktree")
    }

    /// Sections of filter programs, including the operator's: the repository decides which of them a commit uses.
    pub(super) fn filters(&self) -> BTreeSet<&str> {
        let filters = self.entries.iter().filter(|entry| entry.name.starts_with("filter."));
        filters.filter_map(|entry| entry.name.rsplit_once('.').map(|(section, _)| section)).collect()
    }

    /// The program that makes signatures, by the operator's configuration.
    pub(super) fn signing_program(&self) -> &str {
        let own = self.values("gpg.ssh.program").filter(|entry| entry.scope == Scope::Operator);
        own.last().map_or("ssh-keygen", |entry| entry.value.as_str())
    }

    /// How many digits the name of an object has.
    pub(super) fn digits(&self) -> usize {
        if self.last("extensions.objectformat") == Some("sha256") { 64 } else { 40 }
    }

    /// Whether the repository says of itself that it has no work tree of its own.
    pub(super) fn is_bare(&self) -> bool {
        self.last("core.bare") == Some("true")
    }

    /// Whether refs are files: then HEAD can be read without asking git.
    pub(super) fn has_ref_files(&self) -> bool {
        self.last("extensions.refstorage").is_none_or(|format| format == "files")
    }

    /// Whether reading may fetch: then it is as good as a step that talks to a remote.
    pub(super) fn is_partial(&self) -> bool {
        self.entries.iter().any(|entry| {
            entry.name == "extensions.partialclone"
                || (entry.name.starts_with("remote.") && entry.name.ends_with(".promisor"))
        })
    }

    /// The first program of the repository's own configuration that contact with a remote would run: name and value.
    pub(super) fn would_run(&self) -> Option<(&str, &str)> {
        let own = self.entries.iter().filter(|entry| entry.scope == Scope::Repository);
        own.map(|entry| (entry.name.as_str(), entry.value.as_str())).find(|(name, value)| {
            let between = name.match_indices('.').count() > 1;
            match ends(name) {
                ("core", "sshcommand") => !is_plain_ssh(value),
                ("core", "gitproxy") | ("ssh", "variant") => true,
                ("credential", "helper") => !is_plain_helper(value),
                ("remote", "uploadpack" | "receivepack" | "vcs") | ("protocol", "allow") => between,
                _ => false,
            }
        })
    }

    /// What the repository's own configuration says of remotes, which is believed: the operator named one of them.
    pub(super) fn believed(&self) -> Vec<String> {
        let own = self.entries.iter().filter(|entry| entry.scope == Scope::Repository);
        let leads = |entry: &&Entry| match ends(&entry.name) {
            ("core", "sshcommand")
            | ("credential", "helper")
            | ("url", "insteadof" | "pushinsteadof")
            | ("http" | "remote", "proxy") => true,
            ("http", key) => key.starts_with("ssl"),
            _ => false,
        };
        own.filter(leads).map(|entry| entry.name.clone()).collect()
    }

    /// Whether others than the owner may write: then git makes directories with set-group-id.
    pub(super) fn is_shared(&self) -> bool {
        let value = self.last("core.sharedrepository").unwrap_or("0");
        !matches!(value, "0" | "false" | "umask")
    }

    /// The address of each place that a push to `remote` goes to, as configured; none when it is no name of a remote.
    pub(super) fn push_places(&self, remote: &str) -> Vec<&str> {
        let values = |key: &str| -> Vec<&str> {
            let name = format!("remote.{remote}.{key}");
            self.entries.iter().filter(|entry| entry.name == name).map(|entry| entry.value.as_str()).collect()
        };
        let push = values("pushurl");
        if push.is_empty() { values("url") } else { push }
    }

    /// Whether pushes may go to another address than fetches come from.
    pub(super) fn pushes_elsewhere(&self, remote: &str) -> bool {
        let own = format!("remote.{remote}.pushurl");
        self.entries.iter().any(|entry| entry.name == own || entry.name.ends_with(".pushinsteadof"))
    }

    /// Whether a push to the remote mirrors the whole repository, which one branch is not.
    pub(super) fn is_mirror(&self, remote: &str) -> bool {
        self.last(&format!("remote.{remote}.mirror")).is_some_and(|value| value != "false")
    }

    /// Variables for a step that may contact a remote: only the operator's programs, and no prompt.
    pub(super) fn for_remotes(&self) -> Vec<(&'static str, String)> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let mut set = Vec::new();
        let own_program = variable("GIT_SSH").is_some();
        let command = variable("GIT_SSH_COMMAND")
            .or_else(|| self.last("core.sshcommand").map(ToOwned::to_owned))
            .or_else(|| (!own_program).then(|| "ssh".to_owned()));
        let variant = variable("GIT_SSH_VARIANT").or_else(|| self.last("ssh.variant").map(ToOwned::to_owned));
        let is_open_ssh = variant.is_none_or(|variant| matches!(variant.as_str(), "ssh" | "auto"));
        if let Some(command) = command {
            // A program other than ssh may not know the option; it has no terminal to ask on either.
            let asks = is_open_ssh && program(&command) == Some("ssh");
            set.push(("GIT_SSH_COMMAND", format!("{command}{}", if asks { NEVER_ASK } else { "" })));
        }
        if variable("GIT_ALLOW_PROTOCOL").is_none() {
            let more = self.entries.iter().filter_map(|entry| {
                let name = entry.name.strip_prefix("protocol.")?.strip_suffix(".allow")?;
                (entry.scope == Scope::Operator && entry.value != "never").then_some(name)
            });
            let all = more.fold(PROTOCOLS.to_owned(), |all, one| format!("{all}:{one}"));
            set.push(("GIT_ALLOW_PROTOCOL", all));
        }
        set
    }
}

/// The name of the program in a shell command of plain words.
fn program(command: &str) -> Option<&str> {
    let first = command.split_ascii_whitespace().next()?;
    Path::new(first.trim_matches(['"', '\''])).file_name()?.to_str()
}

/// Whether a command is ssh with only a key, a user, a port and options that run nothing.
fn is_plain_ssh(command: &str) -> bool {
    let harmless = |option: &str| {
        let key = option.split(['=', ' ']).next().unwrap_or_default().to_ascii_lowercase();
        matches!(
            key.as_str(),
            "identitiesonly"
                | "identityfile"
                | "stricthostkeychecking"
                | "userknownhostsfile"
                | "globalknownhostsfile"
                | "hostkeyalias"
                | "batchmode"
                | "port"
                | "user"
                | "connecttimeout"
                | "serveraliveinterval"
                | "serveralivecountmax"
                | "loglevel"
                | "preferredauthentications"
                | "passwordauthentication"
                | "addressfamily"
        )
    };
    let plain = |sign: char| sign.is_ascii_alphanumeric() || "/._-=,:@+~ ".contains(sign);
    let mut words = command.split_ascii_whitespace();
    let is_ssh = matches!(words.next(), Some("ssh" | "/usr/bin/ssh" | "/bin/ssh"));
    let mut good = is_ssh && command.chars().all(plain);
    while let Some(word) = words.next() {
        good &= match word {
            "-4" | "-6" | "-T" | "-a" | "-x" | "-q" | "-v" | "-C" => true,
            "-i" | "-p" | "-l" => words.next().is_some(),
            "-F" => matches!(words.next(), Some("/dev/null" | "none")),
            "-o" => words.next().is_some_and(harmless),
            _ => match word.split_at_checked(2) {
                Some(("-o", option)) => harmless(option),
                Some(("-i" | "-p" | "-l", value)) => !value.is_empty(),
                _ => false,
            },
        };
    }
    good
}

/// Whether a helper is one of git's own that read a file of the user's or ask a running process; an empty value clears
/// the others.
fn is_plain_helper(helper: &str) -> bool {
    matches!(helper.split_ascii_whitespace().next(), None | Some("store" | "cache"))
        && helper.chars().all(|sign| sign.is_ascii_alphanumeric() || "/._-= ".contains(sign))
        && !helper.contains("--socket")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ssh_with_keys_and_harmless_options_is_plain() {
        for plain in [
            "ssh",
            "ssh -i /etc/keys/deploy -o IdentitiesOnly=yes -F /dev/null",
            "/usr/bin/ssh -p 2222 -oStrictHostKeyChecking=yes -o UserKnownHostsFile=/etc/keys/known",
            "ssh -i/etc/keys/deploy -p2222 -lgit",
        ] {
            assert!(is_plain_ssh(plain), "{plain}");
        }
        for other in [
            "touch PWN; ssh",
            "./ssh",
            "ssh -o ProxyCommand=touch",
            "ssh -oproxycommand=x",
            "ssh -F config",
            "ssh -i $(x)",
            "ssh -o PermitLocalCommand=yes",
            "ssh -S /tmp/x",
            "ssh host",
            "env ssh",
            "",
        ] {
            assert!(!is_plain_ssh(other), "{other}");
        }
        for plain in ["", "store", "store --file=/etc/keys/tokens", "cache --timeout=300"] {
            assert!(is_plain_helper(plain), "{plain}");
        }
        for other in
            ["!touch PWN", "/tmp/helper", "x", "store; x", "cache --socket /tmp/x", "store $(x)", "cache | x"]
        {
            assert!(!is_plain_helper(other), "{other}");
        }
    }

    #[test]
    fn only_refs_in_files_are_read_without_git() {
        let said = |listing: &str| Configured::parse(listing.as_bytes()).has_ref_files();
        assert!(said("") && said("local\0extensions.refstorage\nfiles\0"));
        assert!(!said("local\0extensions.refstorage\nreftable\0"));
    }

    #[test]
    fn a_repository_is_shared_where_its_configuration_says_with_whom() {
        let said = |value: &str| {
            Configured::parse(format!("local\0core.sharedrepository\n{value}\0").as_bytes()).is_shared()
        };
        assert!(["group", "true", "all", "0660"].into_iter().all(said));
        assert!(!["0", "false", "umask"].into_iter().any(said) && !Configured::default().is_shared());
    }

    #[test]
    fn who_set_a_value_is_known() {
        let listing = "global\0core.sshcommand\nmy-ssh\0local\0remote.o.uploadpack\nx\0local\0bare\0";
        let configured = Configured::parse(listing.as_bytes());
        assert_eq!(configured.would_run(), Some(("remote.o.uploadpack", "x")));
        assert_eq!(configured.last("core.sshcommand"), Some("my-ssh"));
        assert_eq!(configured.last("bare"), Some("true"));
    }
}
