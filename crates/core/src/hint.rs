//! What may stand behind a failed run besides porch itself: the confinement, and limits on resources. Taken from the words
//! of porch and from the signal that ended it, which are evidence and no proof: a hint says "may". What the kernel counted is
//! certain.

use crate::outcome::{Capture, Ending, Verdict};

/// The signal that a filter of system calls sends where it does not answer with an error.
const SIGSYS: i32 = 31;

/// What a run was subject to, and could have met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// The limit on memory.
    Memory,
    /// The limit on processes and threads.
    Processes,
    /// The limit on open files.
    Files,
    /// The limit on the size of a file.
    FileSize,
    /// The confinement.
    Fence,
    /// The memory of the machine, or of what the daemon itself lies in; never told by words, only by the kernel.
    MemoryElsewhere,
}

impl Bound {
    /// The names of the errors that it answers with.
    fn errors(self) -> &'static [&'static str] {
        match self {
            Self::Memory => &["ENOMEM", "MemoryError", "bad_alloc"],
            Self::Processes => &["EAGAIN"],
            Self::Files => &["EMFILE"],
            Self::FileSize => &["EFBIG"],
            Self::Fence => &["EACCES", "EPERM"],
            Self::MemoryElsewhere => &[],
        }
    }

    /// How these errors are told, in lower case.
    fn phrases(self) -> &'static [&'static str] {
        match self {
            Self::Memory => {
                &["cannot allocate memory", "out of memory", "memory exhausted", "memory allocation of"]
            }
            Self::Processes => &["resource temporarily unavailable", "cannot fork"],
            Self::Files => &["too many open files"],
            Self::FileSize => &["file too large"],
            Self::Fence => &["permission denied", "operation not permitted"],
            Self::MemoryElsewhere => &[],
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::Memory => "it may have reached the limit on memory (--limit-memory)",
            Self::Processes => "it may have reached the limit on processes and threads (--limit-processes)",
            Self::Files => "it may have reached the limit on open files (--limit-files)",
            Self::FileSize => "it may have reached the limit on the size of a file (--limit-file-size)",
            Self::Fence => {
                "the run was confined, and may have met that: --porch-read and --porch-write open files to it, --egress \
                 says where it connects, --confine off shows whether that is the reason"
            }
            Self::MemoryElsewhere => {
                "the kernel killed processes of it because the machine, or the service of the daemon, had no memory left: not for \
                 --limit-memory"
            }
        }
    }

    /// What is certain where the kernel says that all processes of the run together reached it.
    fn reached(self) -> &'static str {
        match self {
            Self::Memory => "together its processes reached the limit on memory (--limit-memory)",
            Self::Processes => "together it reached the limit on processes and threads (--limit-processes)",
            other => other.hint(),
        }
    }

    fn is_told_by(self, text: &str, in_lower_case: &str) -> bool {
        let is_word = |name: &&str| {
            text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == *name)
        };
        self.errors().iter().any(is_word)
            || self.phrases().iter().any(|phrase| in_lower_case.contains(phrase))
    }
}

/// The hint about a run that failed, which certainly reached some of the bounds; `None` if nothing points to one of them.
pub fn hint(ending: &Ending, streams: [&Capture; 2], bounds: &[Bound], reached: &[Bound]) -> Option<String> {
    if !matches!(ending.verdict(), Verdict::Failure(_) | Verdict::Retry(_)) {
        return None;
    }
    let mut text = ending.describe("porch");
    for part in streams.into_iter().flat_map(|stream| [&stream.head, &stream.tail]) {
        text.push('\n');
        text.push_str(&String::from_utf8_lossy(part));
    }
    let in_lower_case = text.to_ascii_lowercase();
    let met = |bound: &Bound| {
        let ended = *bound == Bound::Fence && *ending == Ending::Signalled(SIGSYS);
        !reached.contains(bound) && (ended || bound.is_told_by(&text, &in_lower_case))
    };
    let certain = reached.iter().copied().map(Bound::reached);
    let hints: Vec<&str> = certain.chain(bounds.iter().copied().filter(met).map(Bound::hint)).collect();
    (!hints.is_empty()).then(|| hints.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Bound; 5] = [Bound::Memory, Bound::Processes, Bound::Files, Bound::FileSize, Bound::Fence];

    fn of(ending: &Ending, stderr: &str) -> String {
        let stderr = Capture { head: stderr.as_bytes().to_vec(), ..Capture::default() };
        hint(ending, [&Capture::default(), &stderr], &ALL, &[]).unwrap_or_default()
    }

    #[test]
    fn the_words_of_porch_lead_to_what_it_met() {
        let cases = [
            ("sh: 1: cannot create /x: Permission denied", "--porch-write"),
            ("PermissionError: [Errno 1] Operation not permitted", "--confine off"),
            ("open: EACCES", "--porch-read"),
            ("fork: Resource temporarily unavailable", "--limit-processes"),
            ("std::bad_alloc", "--limit-memory"),
            ("MemoryError", "--limit-memory"),
            ("Too many open files (os error 24)", "--limit-files"),
            ("OSError: [Errno 27] File too large", "--limit-file-size"),
        ];
        for (stderr, names) in cases {
            let said = of(&Ending::Exited(1), stderr);
            assert!(said.contains(names) && !said.contains(';'), "{stderr}: {said}");
        }
        assert!(of(&Ending::Signalled(SIGSYS), "").contains("--confine off"));
        let both = of(&Ending::Exited(1), "ENOMEM, EPERM");
        assert!(both.contains("--limit-memory") && both.contains("; the run was confined"), "{both}");
    }

    #[test]
    fn what_the_kernel_counted_is_certain_and_said_once() {
        let words =
            Capture { head: b"Cannot allocate memory, Permission denied".to_vec(), ..Capture::default() };
        let said = |ending| hint(&ending, [&words, &words], &ALL, &[Bound::Memory, Bound::Processes]);
        let text = said(Ending::Signalled(9)).unwrap();
        assert!(text.starts_with("together its processes reached the limit on memory"), "{text}");
        assert!(text.contains("--limit-processes") && text.contains("--confine off"), "{text}");
        assert_eq!(
            (text.matches("--limit-memory").count(), text.contains("may have reached")),
            (1, false),
            "{text}"
        );
        assert_eq!(said(Ending::Exited(0)), None, "it succeeded all the same");
        let elsewhere =
            hint(&Ending::Signalled(9), [&words, &words], &[], &[Bound::MemoryElsewhere]).unwrap();
        assert!(
            elsewhere.contains("not for --limit-memory") && !elsewhere.contains("reached"),
            "{elsewhere}"
        );
    }

    #[test]
    fn what_points_to_nothing_has_no_hint() {
        assert_eq!(of(&Ending::Exited(1), "no such package; EPERMANENT"), "");
        assert_eq!(of(&Ending::Exited(0), "Permission denied"), "");
        assert_eq!(of(&Ending::Interrupted, "Permission denied"), "");
        let words = Capture { head: b"Permission denied".to_vec(), ..Capture::default() };
        let unconfined = hint(&Ending::Exited(1), [&words, &words], &[Bound::Memory], &[]);
        assert_eq!(unconfined, None, "only what the run was subject to");
    }
}
