//! The rules for intent file names, and the names derived from them. An accepted name can be joined to a directory
//! without any further check: it has no slash, no `..` and no byte that needs escaping.

use crate::digest::hex;

/// The longest middle part: `intent-` + 200 + `.json` leaves room for every suffix below `NAME_MAX` (255).
pub const MIDDLE_MAX: usize = 200;
const PREFIX: &[u8] = b"intent-";
const SUFFIX: &[u8] = b".json";

/// The verdict on a directory entry's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameVerdict {
    /// Not an intent name: the entry is never touched.
    Ignore,
    /// A well-formed intent name.
    Intent(IntentName),
    /// Looks like an intent (`intent-*.json`) but breaks the rules: taken, refused, filed under a derived name.
    Refused(RefusedName),
}

/// A name of the form `intent-[A-Za-z0-9._-]{1,200}.json` without `..`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IntentName(String);

/// A name that must not be used in a path; the raw bytes are kept for the log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RefusedName(Vec<u8>);

/// Judges the raw name of a directory entry.
pub fn judge(raw: &[u8]) -> NameVerdict {
    let Some(middle) = raw.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX)) else {
        return NameVerdict::Ignore;
    };
    let legal = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let well_formed = (1..=MIDDLE_MAX).contains(&middle.len())
        && middle.iter().all(legal)
        && !raw.windows(2).any(|pair| pair == b"..");
    match std::str::from_utf8(raw) {
        Ok(text) if well_formed => NameVerdict::Intent(IntentName(text.to_owned())),
        _ => NameVerdict::Refused(RefusedName(raw.to_vec())),
    }
}

/// Whether a name that is no intent's looks as if it were meant as one: `intent.json`, `intent-a.yaml`, but no hidden file.
pub fn looks_meant(raw: &[u8]) -> bool {
    let is_json = raw.len() > SUFFIX.len()
        && raw.get(raw.len() - SUFFIX.len()..).is_some_and(|end| end.eq_ignore_ascii_case(SUFFIX));
    judge(raw) == NameVerdict::Ignore && !raw.starts_with(b".") && (is_json || raw.starts_with(PREFIX))
}

impl IntentName {
    /// Accepts a well-formed intent name.
    pub fn new(text: &str) -> Option<Self> {
        match judge(text.as_bytes()) {
            NameVerdict::Intent(name) => Some(name),
            _ => None,
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RefusedName {
    /// The raw bytes of the name in the directory.
    pub fn raw(&self) -> &[u8] {
        &self.0
    }

    /// A safe name to file it under. It does not begin with `intent-`, so it never collides with a real intent; the
    /// caller supplies a digest of the raw name.
    pub fn derived(&self, digest_of_raw: &crate::Digest) -> String {
        format!("badname-{}.json", digest_of_raw.short())
    }
}

/// The name of a taken file in the private directory until its outcome is filed. The raw name survives byte for byte,
/// even when it is invalid or 255 bytes long, because recovery needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenName {
    /// Sequence number.
    pub seq: u64,
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
        match judge(&self.raw) {
            NameVerdict::Intent(name) => TakenAt::Entry(format!("{}.{}", self.seq, name.as_str())),
            _ => TakenAt::Nested(self.seq.to_string()),
        }
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
pub fn archive_names(name: &str, seq: u64) -> impl Iterator<Item = String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &[u8], want: &str) {
        let got = match judge(raw) {
            NameVerdict::Ignore => "ignore",
            NameVerdict::Intent(_) => "intent",
            NameVerdict::Refused(_) => "refused",
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

    #[test]
    fn derived_names_fit_a_directory_entry() {
        let longest = format!("intent-{}.json", "a".repeat(MIDDLE_MAX));
        for archived in archive_names(&longest, u64::MAX).take(1_000) {
            assert!(error_log_name(&archived).len() <= 255);
        }
        assert_eq!(status_name("intent-a.json"), "intent-a.json.status");
        assert_eq!(error_log_name("intent-a.7.json"), "intent-a.7.json.error.log");
        let NameVerdict::Refused(refused) = judge(b"intent-a b.json") else { panic!("a blank is refused") };
        assert_eq!(refused.raw(), b"intent-a b.json");
        let digest = crate::Digest([0xab; 32]);
        assert_eq!(refused.derived(&digest), "badname-abababababababab.json");
        assert_eq!(format!("{digest:?}"), format!("Digest({})", "ab".repeat(32)));
    }

    #[test]
    fn there_is_always_one_more_name_for_the_archive() {
        let names = |name: &str| archive_names(name, 7).take(4).collect::<Vec<_>>();
        let wanted = ["intent-a.json", "intent-a.7.json", "intent-a.7.2.json", "intent-a.7.3.json"];
        assert_eq!(names("intent-a.json"), wanted);
        assert_eq!(names("odd"), ["odd", "odd.7", "odd.7.2", "odd.7.3"]);
    }

    #[test]
    fn taken_names_read_back() {
        let taken = TakenName { seq: 12, raw: b"intent-a.b.json".as_slice().into() };
        assert_eq!(taken.place(), TakenAt::Entry("12.intent-a.b.json".into()));
        assert_eq!(TakenName::parse("12.intent-a.b.json"), Some(taken));
        assert_eq!(
            TakenName { seq: 3, raw: b"intent- .json".as_slice().into() }.place(),
            TakenAt::Nested("3".into())
        );
        assert_eq!(TakenName::parse("nonsense"), None);
    }

    #[test]
    fn escaping_is_lossless_and_printable() {
        assert_eq!(escaped(b"a\n\x1b\\\xff"), "a\\x0a\\x1b\\x5c\\xff");
    }
}
