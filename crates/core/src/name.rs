//! The rules for intent file names, and the names derived from them. An accepted name can be joined to a directory
//! without any further check: it has no slash, no `..` and no byte that needs escaping.

use crate::digest::hex;
use crate::ids::Seq;

/// The longest middle part: `intent-` + 200 + `.json` leaves room for every suffix below `NAME_MAX` (255).
pub const MIDDLE_MAX: usize = 200;
const PREFIX: &[u8] = b"intent-";
const SUFFIX: &[u8] = b".json";

/// The longest name.
const NAME_MAX: usize = PREFIX.len() + MIDDLE_MAX + SUFFIX.len();
/// Ends of names, before `.json`, of files that are not complete, or not an intent's: no pattern matches them.
const OTHERS: [&[u8]; 4] = [b".tmp", b".part", b".status", b".error.log"];
/// The beginning of the derived names of refused files.
const DERIVED: &str = "badname-";

/// The verdict on a directory entry's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameVerdict {
    /// Not an intent name: the entry is never touched.
    Ignore,
    /// A well-formed intent name.
    Intent(IntentName),
    /// Looks like an intent (`intent-*.json`) but breaks the rules: taken, refused, filed under a derived name.
    Refused,
}

/// A name of the form `intent-[A-Za-z0-9._-]{1,200}.json` without `..`; or, by a pattern of the operator, one of these
/// characters that is as long at most, ends with `.json` and does not begin with `.` or `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IntentName(String);

/// The names that are intents': `intent-*.json`, and what the operator's patterns match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    patterns: Vec<Pattern>,
}

impl Names {
    /// The names that these patterns match are intents', too.
    pub fn with(patterns: Vec<Pattern>) -> Self {
        Self { patterns }
    }

    /// Judges the raw name of a directory entry.
    pub fn judge(&self, raw: &[u8]) -> NameVerdict {
        let is_meant = raw.strip_prefix(PREFIX).is_some_and(|rest| rest.ends_with(SUFFIX));
        match IntentName::of(raw) {
            Some(name) if is_meant || self.patterns.iter().any(|pattern| pattern.takes(raw)) => {
                NameVerdict::Intent(name)
            }
            None if is_meant => NameVerdict::Refused,
            _ => NameVerdict::Ignore,
        }
    }

    /// The name, if it is that of an intent.
    pub fn intent(&self, text: &str) -> Option<IntentName> {
        match self.judge(text.as_bytes()) {
            NameVerdict::Intent(name) => Some(name),
            _ => None,
        }
    }

    /// Whether a name that is no intent's looks as if it were meant as one: `intent.json`, `intent-a.yaml`, but no hidden
    /// file.
    pub fn looks_meant(&self, raw: &[u8]) -> bool {
        let is_json = raw.len() > SUFFIX.len()
            && raw.get(raw.len() - SUFFIX.len()..).is_some_and(|end| end.eq_ignore_ascii_case(SUFFIX));
        let is_ignored = self.judge(raw) == NameVerdict::Ignore;
        is_ignored && !raw.starts_with(b".") && (is_json || raw.starts_with(PREFIX))
    }

    /// The names that are intents', for people.
    pub fn expected(&self) -> String {
        let patterns = self.patterns.iter().map(|pattern| pattern.0.as_str());
        ["intent-[A-Za-z0-9._-]{1,200}.json"].into_iter().chain(patterns).collect::<Vec<_>>().join(" or ")
    }
}

/// A pattern of names: letters, digits, `.`, `_` and `-` stand for themselves, `*` for any characters, `?` for one; it ends
/// with `.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// `None`: it is no pattern, or one that matches no name that may be taken.
    pub fn new(text: &str) -> Option<Self> {
        let legal = |byte: u8| is_legal(byte) || matches!(byte, b'*' | b'?');
        let is_pattern = text.len() <= NAME_MAX
            && text.bytes().all(legal)
            && !text.starts_with(['.', '-'])
            && !text.contains("..")
            && text.as_bytes().strip_suffix(SUFFIX).is_some_and(|stem| !stem.is_empty())
            && !is_others(text.as_bytes());
        is_pattern.then(|| Self(text.to_owned()))
    }

    /// Whether it matches a well-formed name that may be taken.
    fn takes(&self, name: &[u8]) -> bool {
        !is_others(name) && matches(self.0.as_bytes(), name)
    }
}

/// Whether a name is kept for the daemon's own files, or for those of which a writer makes an intent later.
fn is_others(name: &[u8]) -> bool {
    let stem = name.strip_suffix(SUFFIX).unwrap_or(name);
    name.starts_with(DERIVED.as_bytes()) || OTHERS.iter().any(|end| stem.ends_with(end))
}

/// Whether a pattern of `*` and `?` matches a whole name. Where it does not, only the last `*` takes one character more,
/// so that the time is bounded by the product of the lengths.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut seen, mut star) = (0, 0, None);
    while let Some(byte) = name.get(seen) {
        match (pattern.get(at), star) {
            (Some(b'*'), _) => {
                star = Some((at + 1, seen));
                at += 1;
            }
            (Some(wanted), _) if wanted == byte || *wanted == b'?' => (at, seen) = (at + 1, seen + 1),
            (_, Some((after, from))) => {
                star = Some((after, from + 1));
                (at, seen) = (after, from + 1);
            }
            (_, None) => return false,
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

fn is_legal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

impl IntentName {
    /// Accepts a well-formed intent name, also one that only a pattern makes an intent's.
    pub fn new(text: &str) -> Option<Self> {
        Self::of(text.as_bytes())
    }

    /// Accepts the raw name of a taken file if it is well-formed.
    pub fn of(raw: &[u8]) -> Option<Self> {
        let stem = raw.strip_suffix(SUFFIX)?;
        let well_formed = !stem.is_empty()
            && stem != PREFIX
            && raw.len() <= NAME_MAX
            && raw.iter().copied().all(is_legal)
            && !raw.windows(2).any(|pair| pair == b"..")
            && !raw.starts_with(b".")
            && !raw.starts_with(b"-");
        std::str::from_utf8(raw).ok().filter(|_| well_formed).map(|text| Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A safe name to file an intent under whose own name breaks the rules. It never collides with that of a real intent; the
/// caller supplies a digest of the raw name.
pub fn derived_name(digest_of_raw: &crate::Digest) -> String {
    format!("{DERIVED}{}.json", digest_of_raw.short())
}

/// The name of a taken file in the private directory until its outcome is filed. The raw name survives byte for byte,
/// even when it is invalid or 255 bytes long, because recovery needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenName {
    /// Sequence number.
    pub seq: Seq,
    /// The file's name in the handoff directory.
    pub raw: Box<[u8]>,
}

/// The place of a taken file below taken/.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakenAt {
    /// `SEQ.NAME`, for well-formed names.
    Entry(String),
    /// A directory `SEQ` that holds the file under its raw name.
    Nested(String),
}

impl TakenName {
    /// The file's place below taken/.
    pub fn place(&self) -> TakenAt {
        IntentName::of(&self.raw).map_or_else(
            || TakenAt::Nested(self.seq.to_string()),
            |name| TakenAt::Entry(format!("{}.{}", self.seq, name.as_str())),
        )
    }

    /// Parses the name of an entry of taken/ that is not a directory.
    pub fn parse(entry: &str) -> Option<Self> {
        let (seq, raw) = entry.split_once('.')?;
        Some(Self { seq: seq.parse().ok()?, raw: raw.as_bytes().into() })
    }
}

/// `status/NAME.status`, the name of an intent's status file.
pub fn status_name(name: &str) -> String {
    format!("{name}.status")
}

/// `failed/NAME.error.log`, the name of a failed file's error log.
pub fn error_log_name(archived: &str) -> String {
    format!("{archived}.error.log")
}

/// The possible names of an archived file, in order of preference: its own, then with its sequence number before the
/// extension, then with a counter after that number. The sequence is endless: any of them may be taken, because each is
/// also a legal name of an intent.
pub fn archive_names(name: &str, seq: Seq) -> impl Iterator<Item = String> {
    let (stem, end) = name.strip_suffix(".json").map_or((name, ""), |stem| (stem, ".json"));
    let counted = (2_u64..).map(move |count| format!("{stem}.{seq}.{count}{end}"));
    [name.to_owned(), format!("{stem}.{seq}{end}")].into_iter().chain(counted)
}

/// A name with every byte outside printable ASCII as `\xNN`, for logs.
pub fn escaped(raw: &[u8]) -> String {
    let mut text = String::with_capacity(raw.len());
    for &b in raw {
        if (b.is_ascii_graphic() || b == b' ') && b != b'\\' {
            text.push(char::from(b));
        } else {
            text.push_str("\\x");
            text.push_str(&hex(&[b]));
        }
    }
    text
}

/// The bytes of a name that is written as by [`escaped`], or the bytes of any other text as they are.
pub fn unescaped(text: &str) -> Vec<u8> {
    let (mut raw, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once("\\x") {
        let digits = after.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        raw.extend_from_slice(before.as_bytes());
        raw.extend(byte.map_or_else(|| b"\\x".to_vec(), |byte| vec![byte]));
        rest = if byte.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    raw.extend_from_slice(rest.as_bytes());
    // A name that only looks like it stays as it is.
    if escaped(&raw) == text { raw } else { text.as_bytes().to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_escaped_is_read_back() {
        for raw in [&b"intent-\xc3\xbc.json"[..], b"a\\b", b"a\n\x00\xff", b"plain name.json", b""] {
            assert_eq!(unescaped(&escaped(raw)), raw);
        }
        for other in ["intent-\u{fc}.json", "a\\b", "a\\x4", "\\xGG", "a\\x41", "\\x\u{fc}"] {
            assert_eq!(unescaped(other), other.as_bytes(), "{other}");
        }
    }

    #[track_caller]
    fn check(raw: &[u8], want: &str) {
        let got = match Names::default().judge(raw) {
            NameVerdict::Ignore => "ignore",
            NameVerdict::Intent(_) => "intent",
            NameVerdict::Refused => "refused",
        };
        assert_eq!(got, want, "{}", escaped(raw));
    }

    #[test]
    fn rule() {
        for good in ["intent-a.json", "intent-scale-up-001.json", "intent-A.b_c.json", "intent-x.exe.json"] {
            check(good.as_bytes(), "intent");
        }
        for ignored in
            ["intent-x.json.tmp", ".intent-x.json", "Intent-x.json", "intent_x.json", "x.json", "intent-x"]
        {
            check(ignored.as_bytes(), "ignore");
        }
        for bad in [
            "intent-.json",
            "intent-a b.json",
            "intent-a..b.json",
            "intent-a\n.json",
            "intent-ü.json",
            "intent-;rm.json",
        ] {
            check(bad.as_bytes(), "refused");
        }
        check(b"intent-\xff.json", "refused");
        check(format!("intent-{}.json", "a".repeat(200)).as_bytes(), "intent");
        check(format!("intent-{}.json", "a".repeat(201)).as_bytes(), "refused");
    }

    fn names(patterns: &[&str]) -> Names {
        Names::with(patterns.iter().map(|text| Pattern::new(text).expect(text)).collect())
    }

    #[test]
    fn a_pattern_widens_what_is_taken_and_never_to_names_that_are_not_intents() {
        let any = names(&["*.json"]);
        for taken in ["x.json", "intent-a.json", "Scale_1.b.json", "17.json", "tmp.json", "a.json.json"] {
            assert_eq!(any.intent(taken).unwrap().as_str(), taken);
            assert!(!any.looks_meant(taken.as_bytes()), "{taken}");
        }
        let longest = format!("{}.json", "a".repeat(207));
        assert!(any.intent(&longest).is_some() && any.intent(&format!("a{longest}")).is_none());
        for ignored in [
            ".x.json",
            ".json",
            "..json",
            "-x.json",
            "x.json.tmp",
            "x.json~",
            "x.json.part",
            "x.tmp.json",
            "x.part.json",
            "intent-a.json.status",
            "a.status.json",
            "x.error.log.json",
            "badname-abababababababab.json",
            "x.JSON",
            "a b.json",
            "a..b.json",
            "~x.json",
            "ü.json",
            "processed",
            "status",
        ] {
            assert_eq!(any.judge(ignored.as_bytes()), NameVerdict::Ignore, "{ignored}");
        }
        assert_eq!(any.judge(b"intent-a b.json"), NameVerdict::Refused, "as without patterns");
        assert_eq!(any.expected(), "intent-[A-Za-z0-9._-]{1,200}.json or *.json");
    }

    #[test]
    fn a_pattern_matches_whole_names() {
        for (pattern, yes, no) in [
            ("scale-*.json", &["scale-a.json", "scale-.json"][..], &["a-scale-a.json", "scale.json"][..]),
            ("v?.json", &["v1.json"], &["v.json", "v12.json"]),
            ("*-a-*.json", &["x-a-y.json", "-a-x-a-.json", "a-a-a.json"], &["x-a.json", "b-b-b.json"]),
            ("**.json", &["x.json"], &["x.jso"]),
            ("x.json", &["x.json"], &["x.json.json", "xx.json"]),
        ] {
            let takes = |name: &&&str| Pattern::new(pattern).unwrap().takes(name.as_bytes());
            assert_eq!(yes.iter().find(|name| !takes(name)), None, "{pattern}");
            assert_eq!(no.iter().find(|name| takes(name)), None, "{pattern}");
        }
        let slow = format!("{}b.json", "*a".repeat(100));
        assert!(!Pattern::new(&slow).unwrap().takes(format!("{}.json", "a".repeat(200)).as_bytes()));
        for wrong in [
            "",
            "*",
            ".json",
            ".*.json",
            "*.yaml",
            "a/*.json",
            "[ab].json",
            "{a,b}.json",
            "a b.json",
            "-*.json",
            "a..b.json",
            "*.tmp.json",
            "badname-*.json",
        ] {
            assert_eq!(Pattern::new(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn derived_names_fit_a_directory_entry() {
        let longest = format!("intent-{}.json", "a".repeat(MIDDLE_MAX));
        for archived in archive_names(&longest, Seq::MAX).take(1_000) {
            assert!(error_log_name(&archived).len() <= 255);
        }
        assert_eq!(status_name("intent-a.json"), "intent-a.json.status");
        assert_eq!(error_log_name("intent-a.7.json"), "intent-a.7.json.error.log");
        let digest = crate::Digest([0xab; 32]);
        assert_eq!(derived_name(&digest), "badname-abababababababab.json");
        assert_eq!(format!("{digest:?}"), format!("Digest({})", "ab".repeat(32)));
    }

    #[test]
    fn there_is_always_one_more_name_for_the_archive() {
        let names = |name: &str| archive_names(name, Seq(7)).take(4).collect::<Vec<_>>();
        let wanted = ["intent-a.json", "intent-a.7.json", "intent-a.7.2.json", "intent-a.7.3.json"];
        assert_eq!(names("intent-a.json"), wanted);
        assert_eq!(names("odd"), ["odd", "odd.7", "odd.7.2", "odd.7.3"]);
    }

    #[test]
    fn taken_names_read_back() {
        let taken = TakenName { seq: Seq(12), raw: b"intent-a.b.json".as_slice().into() };
        assert_eq!(taken.place(), TakenAt::Entry("12.intent-a.b.json".into()));
        assert_eq!(TakenName::parse("12.intent-a.b.json"), Some(taken));
        assert_eq!(
            TakenName { seq: Seq(3), raw: b"intent- .json".as_slice().into() }.place(),
            TakenAt::Nested("3".into())
        );
        assert_eq!(TakenName::parse("nonsense"), None);
    }

    #[test]
    fn escaping_is_lossless_and_printable() {
        assert_eq!(escaped(b"a\n\x1b\\\xff"), "a\\x0a\\x1b\\x5c\\xff");
    }
}
