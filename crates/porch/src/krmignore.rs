//! `.krmignore`, in which the owner of a kpt package names files that are not part of it: patterns as in `.gitignore`,
//! for its own directory and those below.

use crate::files::{Files, KRMIGNORE, base_name};

/// The lists among the files of a directory.
pub(crate) struct Ignored(Vec<(String, Vec<Pattern>)>);

impl Ignored {
    pub(crate) fn of(files: &Files) -> Self {
        let lists = files.iter().filter(|(path, _)| base_name(path) == KRMIGNORE).map(|(path, content)| {
            let dir = path.strip_suffix(KRMIGNORE).unwrap_or_default().to_owned();
            (dir, patterns(&String::from_utf8_lossy(&content.bytes)))
        });
        Self(lists.collect())
    }

    /// Whether a file is a list, or is ignored by one.
    pub(crate) fn covers(&self, path: &str) -> bool {
        !self.0.is_empty() && (base_name(path) == KRMIGNORE || is_ignored(path, &self.0))
    }
}

struct Pattern {
    negated: bool,
    only_directories: bool,
    /// Whether the pattern is matched against the whole path below the list, not against each name.
    anchored: bool,
    text: String,
}

fn patterns(text: &str) -> Vec<Pattern> {
    let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (negated, line) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest));
            let (only_directories, line) = line.strip_suffix('/').map_or((false, line), |rest| (true, rest));
            let anchored = line.contains('/');
            let text = line.strip_prefix('/').unwrap_or(line).to_owned();
            Pattern { negated, only_directories, anchored, text }
        })
        .collect()
}

/// Whether the file, or a directory above it, is ignored. A file in an ignored directory cannot be included again.
fn is_ignored(path: &str, lists: &[(String, Vec<Pattern>)]) -> bool {
    let ends = path.match_indices('/').map(|(at, _)| (at, true)).chain([(path.len(), false)]);
    ends.into_iter().any(|(end, is_dir)| {
        let part = path.get(..end).unwrap_or_default();
        let mut ignored = false;
        for (dir, patterns) in lists {
            let Some(below) = part.strip_prefix(dir.as_str()) else { continue };
            for pattern in patterns {
                let subject = if pattern.anchored { below } else { base_name(below) };
                if (is_dir || !pattern.only_directories)
                    && matches(pattern.text.as_bytes(), subject.as_bytes())
                {
                    ignored = !pattern.negated;
                }
            }
        }
        ignored
    })
}

/// `*` and `?` match anything but a slash, `**/` any directories, `**` at the end everything. The time is at most that of
/// both lengths multiplied.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    // The ends of the parts of the text that the pattern so far matches.
    let mut ends = vec![false; text.len() + 1];
    if let Some(first) = ends.first_mut() {
        *first = true;
    }
    let mut rest = pattern;
    while let Some((sign, after)) = rest.split_first() {
        let any = ends.iter().any(|end| *end);
        if !any || rest == b"**" {
            return any;
        }
        match rest {
            [b'*', b'*', b'/', after @ ..] => {
                spread(&mut ends, text, |byte| byte == b'/', |_| true);
                rest = after;
            }
            [b'*', ..] => {
                spread(&mut ends, text, |_| true, |byte| byte != b'/');
                rest = after;
            }
            _ => {
                let fits = |byte: u8| if *sign == b'?' { byte != b'/' } else { byte == *sign };
                let next = ends.iter().zip(text).map(|(end, byte)| *end && fits(*byte));
                ends = std::iter::once(false).chain(next).collect();
                rest = after;
            }
        }
    }
    ends.last() == Some(&true)
}

/// Adds the ends that some more bytes lead to: bytes that `passes` takes, the last of them one that `stops` takes.
fn spread(ends: &mut [bool], text: &[u8], stops: impl Fn(u8) -> bool, passes: impl Fn(u8) -> bool) {
    let mut reached = ends.first() == Some(&true);
    for (byte, end) in text.iter().zip(ends.iter_mut().skip(1)) {
        reached = reached && passes(*byte);
        let was = *end;
        *end |= reached && stops(*byte);
        reached |= was;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_owner_ignores_is_no_part_of_the_package() {
        let lists = |text: &str| vec![(String::new(), patterns(text))];
        for (text, path, ignored) in [
            ("test/", "test/a.yaml", true),
            ("test/", "x/test/a.yaml", true),
            ("test/", "test", false),
            ("/test", "x/test/a.yaml", false),
            ("*.tpl.yaml\n!keep.tpl.yaml", "x/a.tpl.yaml", true),
            ("*.tpl.yaml\n!keep.tpl.yaml", "x/keep.tpl.yaml", false),
            ("a/*/c.yaml", "a/b/c.yaml", true),
            ("a/*/c.yaml", "a/b/b/c.yaml", false),
            ("a/**/c.yaml", "a/b/b/c.yaml", true),
            ("a/**", "a/b/c.yaml", true),
            ("# web\n\nw?b.yaml ", "web.yaml", true),
            ("/**/c.yaml", "c.yaml", true),
            ("/**/c.yaml", "ac.yaml", false),
            ("/a/**/*c.yaml", "a/b/xc.yaml", true),
            ("w?b.yaml", "w/b.yaml", false),
            ("**", "x", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abde", false),
        ] {
            assert_eq!(is_ignored(path, &lists(text)), ignored, "{text:?} {path}");
        }
        // With backtracking this takes longer than anybody waits.
        assert!(!is_ignored(&"a".repeat(5_000), &lists(&format!("{}b", "*a".repeat(50)))));
        assert!(!is_ignored(&"a/".repeat(100), &lists(&format!("/{}b", "**/a/".repeat(20)))));
        let below = vec![("sub/".to_owned(), patterns("/x.yaml"))];
        assert!(is_ignored("sub/x.yaml", &below) && !is_ignored("x.yaml", &below));
    }
}
