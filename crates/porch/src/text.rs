//! What a file says, before it is parsed: whether it names an object, or may decide about others without naming them.

use crate::files::is_argo_source;
use crate::kinds::Kinds;
use std::borrow::Cow;
use std::cell::OnceCell;

/// Groups of objects that may decide a number without naming the object, and what these say besides.
const DECIDERS: [(&str, &[&str]); 18] = [
    ("kustomize.toolkit.fluxcd.io/", &["patches"]),
    ("kustomize.toolkit.fluxcd.io/", &["components"]),
    ("kustomize.toolkit.fluxcd.io/", &["namePrefix"]),
    ("kustomize.toolkit.fluxcd.io/", &["targetNamespace"]),
    ("kustomize.toolkit.fluxcd.io/", &["nameSuffix"]),
    ("argoproj.io/", &["Application", "kustomize"]),
    ("argoproj.io/", &["Application", "ignoreDifferences"]),
    ("argoproj.io/", &["ApplicationSet", "templatePatch"]),
    ("fleet.cattle.io/", &["GitRepo", "targetNamespace"]),
    ("policy.karmada.io/", &["OverridePolicy"]),
    ("placement.kubernetes-fleet.io/", &["ResourceOverride"]),
    ("kyverno.io/", &["mutat"]),
    ("kyverno.io/", &["MutatingPolicy"]),
    ("kyverno.io/", &["generate", "scaleTargetRef"]),
    ("operators.coreos.com/", &["ClusterServiceVersion", "deployments"]),
    ("mutations.gatekeeper.sh/", &["location"]),
    ("kapp.k14s.io/", &["rebaseRules"]),
    ("admissionregistration.k8s.io/", &["MutatingAdmissionPolicy"]),
];
/// What the settings of Argo CD say by which differences are ignored everywhere.
const SETTINGS: [&str; 2] = ["argocd-cm", "ignoreDifferences"];
/// The fields by which autoscalers and controllers name what they scale.
const AIMS: [&str; 6] =
    ["scaleTargetRef", "targetRef", "workloadRef", "deploymentName", "replicaSetName", "--target="];
/// What an object of Argo CD says that deploys a directory to a namespace.
const DESTINED: [&str; 3] = ["argoproj.io/", "Application", "destination"];
/// The key of an object's group and version.
const VERSION: &str = "apiVersion";
/// The number of characters behind `apiVersion` in which its value stands.
const VERSION_MAX: usize = 80;

/// The text of a file. UTF-16 is known by the mark at its beginning; Windows' shells write it.
fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    let read: fn([u8; 2]) -> u16 = match bytes {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        // Checking all at once is several times as fast as looking for the place of an error.
        _ => return str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed),
    };
    let units = bytes.chunks_exact(2).filter_map(|unit| unit.try_into().ok().map(read));
    char::decode_utf16(units).map(|sign| sign.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// What a file says, for several questions: its bytes are checked and its escapes looked for once.
pub(crate) struct Text<'b> {
    written: Cow<'b, str>,
    /// With what its escapes stand for, if that is another text.
    plain: OnceCell<Option<String>>,
}

impl<'b> Text<'b> {
    pub(crate) fn of(bytes: &'b [u8]) -> Self {
        Self { written: text_of(bytes), plain: OnceCell::new() }
    }

    /// Whether a text stands in it by itself, not as a part of a longer name.
    pub(crate) fn mentions(&self, text: &str) -> bool {
        let is_part =
            |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
        self.says(|content| {
            content.match_indices(text).any(|(at, _)| {
                let around = content.as_bytes();
                let before = at.checked_sub(1).and_then(|before| around.get(before));
                !is_part(before) && !is_part(around.get(at + text.len()))
            })
        })
    }

    /// Whether a file of this name may hold an object that decides about others without naming them: a deployer with patches
    /// of what it deploys, a policy, or the settings of a deployer.
    pub(crate) fn decides_others(&self, name: &str) -> bool {
        let has_all = |content: &str, words: &[&str]| words.iter().all(|word| content.contains(word));
        let decides = |content: &str| {
            places(content, VERSION, 'V').any(|at| {
                let rest = content.get(at + VERSION.len()..).unwrap_or_default();
                let end = rest.char_indices().nth(VERSION_MAX).map_or(rest.len(), |(end, _)| end);
                let version = rest.get(..end).unwrap_or_default();
                // None of the deciders is of the core group or of those of workloads, which most files are full of.
                version.contains('.')
                    && DECIDERS
                        .iter()
                        .any(|(group, words)| version.contains(group) && has_all(content, words))
            }) || (places(content, "ConfigMap", 'C').next().is_some() && has_all(content, &SETTINGS))
        };
        is_argo_source(name) || self.says(decides)
    }

    /// Whether it may hold an object of Argo CD that gives a namespace to what states none.
    pub(crate) fn gives_namespace(&self) -> bool {
        self.says(|content| DESTINED.iter().all(|word| content.contains(word)))
    }

    /// Whether it may hold an object that names another, which it scales.
    pub(crate) fn aims(&self) -> bool {
        self.says(|content| AIMS.iter().any(|word| content.contains(word)))
    }

    /// Whether it names a kind with a number of replicas.
    pub(crate) fn names_kind(&self, kinds: Kinds<'_>) -> bool {
        self.says(|content| kinds.names().any(|kind| content.contains(kind)))
    }

    /// Whether it passes a test as it is written, or with what its escapes stand for.
    pub(crate) fn says(&self, passes: impl Fn(&str) -> bool) -> bool {
        passes(&self.written)
            || self.plain.get_or_init(|| unescaped(&self.written)).as_ref().is_some_and(|plain| passes(plain))
    }
}

/// Where a word stands in a text, looked for by one sign of it that manifests have few of: that is several times as fast as looking for
/// the word.
fn places<'c>(content: &'c str, word: &'static str, sign: char) -> impl Iterator<Item = usize> + use<'c> {
    let before = word.find(sign).unwrap_or_default();
    content.match_indices(sign).filter_map(move |(at, _)| {
        let begin = at.checked_sub(before)?;
        content.get(begin..)?.starts_with(word).then_some(begin)
    })
}

/// Whether a text stands in a file by itself, not as a part of a longer name.
pub(crate) fn mentions(bytes: &[u8], text: &str) -> bool {
    Text::of(bytes).mentions(text)
}

/// Whether a text passes a test as it is written, or with what its escapes stand for.
pub(crate) fn says(text: &str, passes: impl Fn(&str) -> bool) -> bool {
    passes(text) || unescaped(text).is_some_and(|plain| passes(&plain))
}

/// The text with what the escapes of JSON and YAML stand for in their place, as far as names have such characters; `None`
/// without any. Where it is no quoted text, they stand for themselves; then it is only read in vain.
fn unescaped(text: &str) -> Option<String> {
    let stands_for_another = |(at, _): (usize, &str)| {
        matches!(
            text.as_bytes().get(at + 1),
            Some(b'u' | b'x' | b'U' | b'/' | b'n' | b'r' | b't' | b'\n' | b'\r')
        )
    };
    if !text.match_indices('\\').any(stands_for_another) {
        return None;
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        let kind = after.chars().next();
        let (stands_for, left) = match kind {
            Some('u') => number(after, 4),
            Some('x') => number(after, 2),
            Some('U') => number(after, 8),
            Some('/') => after.get(1..).map(|left| (Some('/'), left)),
            // They end a name.
            Some('n' | 'r' | 't') => after.get(1..).map(|left| (Some(' '), left)),
            // An escaped line break, with the blanks that the next line begins with.
            Some('\n' | '\r') => Some((None, after.trim_start())),
            _ => None,
        }
        .map_or((None, None), |(sign, left)| (sign, Some(left)));
        plain.push_str(before);
        if let Some(left) = left {
            plain.extend(stands_for);
            rest = left;
        } else {
            // Any other escape, with what it escapes.
            let (kept, left) = after.split_at(kind.map_or(0, char::len_utf8));
            plain.push('\\');
            plain.push_str(kept);
            rest = left;
        }
    }
    plain.push_str(rest);
    (plain != text).then_some(plain)
}

/// The character of an escape with this many digits, and what follows it.
fn number(escape: &str, digits: usize) -> Option<(Option<char>, &str)> {
    let number = u32::from_str_radix(escape.get(1..=digits)?, 16).ok()?;
    Some((Some(char::from_u32(number)?), escape.get(digits + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_escapes_is_that_name() {
        for (text, is) in [
            (r#""w\u0065b""#, true),
            (r#""\x77eb""#, true),
            (r#""we\U00000062""#, true),
            ("\"we\\\n    b\"", true),
            (r#""apps\/web""#, true),
            (r#""api\nweb""#, true),
            (r#""w\\u0065b""#, false),
            (r#""w\u00e9b""#, false),
            (r#""w\u00""#, false),
            (r"web\", true),
        ] {
            assert_eq!(mentions(text.as_bytes(), "web"), is, "{text}");
        }
        assert_eq!(unescaped(r#"{"a": "\"b\""}"#), None, "what stands for itself");
    }

    #[test]
    fn a_word_is_found_by_one_of_its_signs_wherever_it_stands() {
        let text = "VapiVersion: Vers apiVersion apiversion éapiVersion V";
        let all: Vec<usize> = text.match_indices(VERSION).map(|(at, _)| at).collect();
        assert_eq!(places(text, VERSION, 'V').collect::<Vec<_>>(), all);
        assert_eq!(all.len(), 3);
    }

    #[test]
    fn a_mention_is_the_whole_name() {
        for (content, is) in [
            ("name: web\n", true),
            ("name: \"web\"", true),
            ("path: ../web/", true),
            ("web", true),
            ("web.yaml", true),
            ("name: webhook", false),
            ("name: my-web", false),
            ("name: web-2 # not web2", false),
            ("name: web-2 # web", true),
        ] {
            assert_eq!(mentions(content.as_bytes(), "web"), is, "{content}");
        }
        assert!(mentions(b"\xff name: web", "web"), "a file that is not UTF-8 is refused by name later");
        let wide = |mark: u16, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
            std::iter::once(mark).chain("name: web\n".encode_utf16()).flat_map(bytes).collect()
        };
        assert!(mentions(&wide(0xfeff, u16::to_le_bytes), "web"), "UTF-16 of Windows");
        assert!(
            mentions(&wide(0xfeff, u16::to_be_bytes), "web")
                && !mentions(&wide(0xfeff, u16::to_be_bytes), "api")
        );
    }
}
