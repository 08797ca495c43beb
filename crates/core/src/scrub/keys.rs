//! Names that announce a secret. A name is split into its words (`dbPassword`, `DB_PASSWORD`, `db-password` and
//! `db.password` have the same two), and a word or a pair of words decides.

/// The meaning of a name for the value after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// The value is a secret.
    Secret,
    /// The secret extends to the end of the line: a header, a passphrase.
    Line,
    /// A key that may also be the path of a file.
    Material,
    /// Several secrets, or their number.
    Plural,
    /// `pass`: a password, or a count of passed tests.
    Pass,
    /// `pwd`: a password, or the working directory.
    Directory,
    /// A secret if it looks like one: `session`, `auth`.
    Weak,
    /// The value may name the content of the next `value`.
    Naming,
    /// The value of a previously named key.
    Value,
    /// The name announces no secret.
    None,
}

/// Words that announce a secret by themselves.
const SECRET: &[&str] = &[
    "password",
    "passwd",
    "passcode",
    "passwort",
    "kennwort",
    "passe",
    "secret",
    "token",
    "credential",
    "cred",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "masterkey",
    "accountkey",
    "authkey",
    "sshkey",
    "apisecret",
    "clientsecret",
    "storepass",
    "keypass",
    "sshpass",
    "dbpass",
    "userpass",
    "pw",
    "otp",
    "totp",
    "psk",
    "jwt",
    "sessionid",
    "contraseña",
    "contrasena",
    "senha",
    "parola",
    "wachtwoord",
    "пароль",
    "hasło",
    "haslo",
    "heslo",
    "lösenord",
    "salasana",
    "şifre",
    "jelszó",
    "密码",
    "密碼",
    "口令",
    "パスワード",
    "비밀번호",
];
/// Endings of words that are written together: `mysqlpassword`, `authtoken`.
const SUFFIXES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passwort",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "credential",
    "authorization",
    "sessionid",
    "sessid",
    "pwd",
    "пароль",
    "密码",
    "密碼",
    "口令",
    "パスワード",
    "비밀번호",
];
/// Words that make a following `key` a secret.
const KEY_OWNERS: &[&str] = &[
    "api",
    "access",
    "private",
    "secret",
    "signing",
    "encryption",
    "decryption",
    "ssh",
    "master",
    "shared",
    "account",
    "auth",
    "service",
    "license",
    "storage",
    "consumer",
    "app",
    "session",
    "webhook",
    "hmac",
    "aes",
    "rsa",
    "deploy",
    "vault",
    "root",
    "unseal",
    "subscription",
];
/// Words after a secret's name that turn it into metadata: `secretName`, `token_type`, `passwordPolicy`.
const ABOUT: &[&str] = &[
    "name",
    "names",
    "file",
    "files",
    "path",
    "paths",
    "dir",
    "directory",
    "policy",
    "policies",
    "ref",
    "refs",
    "reference",
    "type",
    "types",
    "kind",
    "url",
    "uri",
    "endpoint",
    "length",
    "len",
    "count",
    "counts",
    "size",
    "limit",
    "limits",
    "min",
    "max",
    "expiry",
    "expires",
    "expire",
    "expired",
    "expiration",
    "ttl",
    "age",
    "lifetime",
    "duration",
    "rotation",
    "version",
    "store",
    "stores",
    "manager",
    "provider",
    "class",
    "field",
    "fields",
    "prompt",
    "hint",
    "hashing",
    "algorithm",
    "alg",
    "method",
    "required",
    "enabled",
    "disabled",
    "mode",
    "format",
    "issuer",
    "audience",
    "scope",
    "scopes",
    "usage",
    "used",
    "status",
    "state",
    "created",
    "updated",
    "changed",
    "at",
    "in",
    "reset",
    "strength",
    "rules",
    "rule",
    "authentication",
    "auth",
    "stdin",
    "env",
    "mount",
    "mounts",
    "volume",
    "namespace",
    "template",
    "bucket",
    "budget",
    "domain",
    "samesite",
    "secure",
    "valid",
    "validation",
    "validator",
    "verification",
    "errors",
    "error",
    "retries",
    "attempts",
    "id",
    "ids",
    "per",
    "rate",
    "key",
    "keys",
    "refresh",
    "review",
    "reviews",
    "request",
    "requests",
    "controller",
    "admission",
    "projection",
    "chars",
    "index",
    "label",
];
/// Words before `secrets` or `token` that make it harmless: `imagePullSecrets`, `nextPageToken`.
const HARMLESS_OWNERS: &[&str] = &["pull", "page", "cancellation", "non", "unexpected", "lexer"];
/// Words before `pass` that make it a round of work.
const ROUNDS: &[&str] = &[
    "first", "second", "third", "last", "next", "single", "one", "two", "multi", "by", "low", "high", "band",
    "render", "shadow", "final", "test", "tests", "opt", "each", "every",
];

/// Whether the word before a `pass` makes it a round of work.
pub(super) fn is_round(before: &str) -> bool {
    ROUNDS.contains(&before)
}

/// Classifies a name.
pub(super) fn classify(name: &str) -> Key {
    // The usual word of a manifest or a sentence, without an allocation.
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return of_words(name, &[name]);
    }
    let words = words(name);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    of_words(name, &words)
}

/// Classifies a name that has these words.
fn of_words(name: &str, words: &[&str]) -> Key {
    match words {
        [] => return Key::None,
        ["name" | "key" | "field" | "variable" | "header" | "var" | "env" | "property" | "option" | "id"] => {
            return Key::Naming;
        }
        ["value" | "val" | "content" | "default"] => return Key::Value,
        ["session" | "sid" | "auth" | "bearer" | "sig" | "signature"] => return Key::Weak,
        ["pass"] => return Key::Pass,
        [.., "authorization" | "passphrase"] | ["cookie" | "cookies"] | ["set", "cookie"] => {
            return Key::Line;
        }
        [.., "session", "id"]
        | [.., "amz" | "goog" | "access", "signature"]
        | [.., "connection", "string"] => return Key::Secret,
        [.., owner, "pass"] if !ROUNDS.contains(owner) => return Key::Secret,
        [.., "auth"] if name.starts_with(['_', '.']) => return Key::Secret,
        _ => {}
    }
    let found = (0..words.len()).rev().find_map(|at| {
        let before = at.checked_sub(1).and_then(|before| words.get(before));
        of_word(words.get(at)?, before.copied()).map(|key| (at, key))
    });
    match found {
        Some((at, key)) if !words.iter().skip(at + 1).any(|word| ABOUT.contains(word)) => key,
        _ => Key::None,
    }
}

fn of_word(word: &str, before: Option<&str>) -> Option<Key> {
    if word == "key" || word == "keys" {
        return before.filter(|owner| KEY_OWNERS.contains(owner)).map(|_| Key::Material);
    }
    if word == "cookie" || word == "creds" {
        return Some(Key::Secret);
    }
    let singular = word.strip_suffix('s').filter(|singular| is_secret(singular));
    if before.is_some_and(|before| HARMLESS_OWNERS.contains(&before)) {
        return None;
    }
    match singular {
        Some(_) if !is_secret(word) => Some(Key::Plural),
        _ if word.ends_with("pwd") => Some(Key::Directory),
        _ => is_secret(word).then_some(Key::Secret),
    }
}

fn is_secret(word: &str) -> bool {
    let [.., last, end] = word.as_bytes() else { return false };
    let ends_as_one = ENDINGS
        .get(usize::from(*last))
        .is_some_and(|ends| ends[usize::from(end / 64)] >> (end % 64) & 1 == 1);
    ends_as_one && (SECRET.contains(&word) || SUFFIXES.iter().any(|suffix| word.ends_with(suffix)))
}

/// The last two bytes of all secret words and endings, as bits: few other words end so, and each word of a text is asked for.
static ENDINGS: [[u64; 4]; 256] = {
    let mut bits = [[0; 4]; 256];
    let (lists, mut list) = ([SECRET, SUFFIXES], 0);
    while list < lists.len() {
        let mut at = 0;
        while at < lists[list].len() {
            let word = lists[list][at].as_bytes();
            let (last, end) = (word[word.len() - 2] as usize, word[word.len() - 1]);
            bits[last][end as usize / 64] |= 1 << (end % 64);
            at += 1;
        }
        list += 1;
    }
    bits
};

/// The words of a name in lower case; digits are separators.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = '_';
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        let is_new = c.is_uppercase()
            && (!before.is_uppercase() || rest.peek().is_some_and(|next| next.is_lowercase()));
        if !c.is_alphabetic() || is_new {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_alphabetic(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Values that describe a secret but are none.
const ANSWERS: &[&str] = &[
    "true",
    "false",
    "on",
    "off",
    "yes",
    "no",
    "none",
    "null",
    "nil",
    "undefined",
    "enabled",
    "disabled",
    "required",
    "optional",
    "missing",
    "empty",
    "unset",
    "set",
    "given",
    "invalid",
    "valid",
    "unknown",
    "expired",
    "revoked",
    "rejected",
    "refused",
    "denied",
    "accepted",
    "changed",
    "created",
    "deleted",
    "updated",
    "unchanged",
    "configured",
    "found",
    "failed",
    "failure",
    "ok",
    "error",
    "wrong",
    "incorrect",
    "n/a",
    "-",
    "redacted",
    "[redacted]",
    "<redacted>",
    "<none>",
    "<unset>",
    "masked",
    "[masked]",
    "granted",
    "unauthorized",
    "forbidden",
    "ready",
];
/// Words that begin a sentence after a colon.
const PROSE: &[&str] = &[
    "not", "is", "was", "has", "had", "must", "cannot", "should", "too", "for", "in", "of", "to", "are",
    "does", "will", "may", "with", "it", "this", "no", "you", "we", "if", "unable", "could", "would",
    "please", "see", "use", "failed", "invalid", "missing", "expected", "got",
];

/// Whether a value, whole and without quotes, is certainly no secret for its key.
pub(super) fn is_plain(key: Key, value: &str) -> bool {
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let lower = value.trim_end_matches(['.', '!']).to_ascii_lowercase();
    if lower.is_empty() || ANSWERS.contains(&lower.as_str()) || is_blotted(value) {
        return true;
    }
    match key {
        Key::Plural | Key::Pass => digits,
        Key::Weak => !looks_random(value),
        Key::Directory => value.starts_with(['/', '~']),
        Key::Material => is_path(value),
        _ => false,
    }
}

/// Whether an unquoted value followed by more words begins a sentence.
pub(super) fn begins_a_sentence(word: &str) -> bool {
    PROSE.contains(&word.to_ascii_lowercase().as_str())
}

/// Whether a value is only stars or dots in place of a secret.
fn is_blotted(value: &str) -> bool {
    value.len() >= 3 && value.bytes().all(|b| matches!(b, b'*' | b'.' | b'x'))
}

fn is_path(value: &str) -> bool {
    let beginning = ["/", "./", "~/", "../"].iter().any(|beginning| value.starts_with(beginning));
    beginning && value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"/._-~".contains(&b))
}

fn looks_random(value: &str) -> bool {
    let has = |wanted: fn(&u8) -> bool| value.bytes().any(|b| wanted(&b));
    let inner_upper = value.bytes().skip(1).any(|b| b.is_ascii_uppercase());
    let mixed = has(u8::is_ascii_lowercase) && (has(u8::is_ascii_digit) || inner_upper);
    value.len() >= 20 || (value.len() >= 6 && (mixed || value.ends_with('=')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_that_announces_a_secret_does() {
        for word in SECRET {
            assert_eq!(classify(word), Key::Secret, "{word}");
        }
        for suffix in SUFFIXES {
            assert_ne!(classify(&format!("my{suffix}")), Key::None, "{suffix}");
        }
        assert!(!is_secret("") && !is_secret("d") && !is_secret("word"), "ends like password");
    }
}
