//! What the filters of a policy choose and what they leave out, as far as manifests tell it.

use super::is_plural;
use crate::glob;
use crate::yaml::Node;

/// An object that a rule may be for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'s> {
    pub group: &'s str,
    pub version: &'s str,
    pub kind: &'s str,
    /// Its names so far, the final one last.
    pub names: &'s [String],
    pub namespace: &'s str,
}

/// What a policy is for: what is chosen and not left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    pub chosen: Filters,
    pub left_out: Filters,
}

impl Choice {
    /// Whether it may be for an object. What cannot be judged chooses it, and does not leave it out.
    pub(super) fn may_choose(&self, subject: Subject<'_>) -> bool {
        self.chosen.judge(subject) != Some(false) && self.left_out.judge(subject) != Some(true)
    }

    /// What may leave an object out and cannot be judged: the field that it goes by, and its line.
    pub(super) fn unjudged(&self, subject: Subject<'_>) -> Option<(&str, usize)> {
        match self.left_out.judge(subject) {
            Some(_) => None,
            None => self.left_out.unjudged(subject),
        }
    }
}

/// Several filters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Filters {
    /// One must hold.
    Any(Vec<Filter>),
    /// All must hold.
    All(Vec<Filter>),
}

impl Filters {
    fn judge(&self, subject: Subject<'_>) -> Option<bool> {
        match self {
            Self::Any(filters) => any_of(filters, |filter| filter.judge(subject)),
            Self::All(filters) => all_of(filters.iter().map(|filter| filter.judge(subject))),
        }
    }

    fn unjudged(&self, subject: Subject<'_>) -> Option<(&str, usize)> {
        let (Self::Any(filters) | Self::All(filters)) = self;
        let first = filters.iter().find(|filter| filter.judge(subject).is_none())?;
        Some(first.unread.as_ref().map_or(("a pattern", first.line), |(field, line)| (field.as_str(), *line)))
    }
}

/// One filter. All that it says must be so; a list that is empty says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter {
    pub line: usize,
    /// Whether it has no condition at all.
    pub is_empty: bool,
    pub sorts: Vec<Sort>,
    pub names: Vec<String>,
    pub spaces: Vec<String>,
    /// A condition that no manifest tells, a user or a label of a namespace: its field, and the line.
    pub unread: Option<(String, usize)>,
}

impl Filter {
    /// Whether it holds; `None` if that cannot be judged.
    fn judge(&self, subject: Subject<'_>) -> Option<bool> {
        if self.is_empty {
            return Some(false);
        }
        let name = subject.names.last().map_or("", String::as_str);
        let said = |patterns: &[String], text: &str| {
            if patterns.is_empty() { Some(true) } else { any_of(patterns, |pattern| is_like(pattern, text)) }
        };
        all_of([
            if self.sorts.is_empty() { Some(true) } else { any_of(&self.sorts, |sort| sort.judge(subject)) },
            said(&self.names, name),
            said(&self.spaces, subject.namespace),
            if self.unread.is_none() { Some(true) } else { None },
        ])
    }

    /// Notes a condition that cannot be judged, if there is none yet.
    pub(super) fn leave_unread(&mut self, key: &str, node: &Node) {
        self.unread.get_or_insert_with(|| (key.to_owned(), node.line));
    }
}

/// Sorts of objects by group, version and kind or resource. An empty list stands for any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sort {
    pub groups: Vec<String>,
    pub versions: Vec<String>,
    pub kinds: Vec<String>,
    /// Whether it is for a part of an object, as `scale` is of a Deployment.
    pub is_of_part: bool,
}

impl Sort {
    fn judge(&self, subject: Subject<'_>) -> Option<bool> {
        let said = |patterns: &[String], text: &str| {
            if patterns.is_empty() { Some(true) } else { any_of(patterns, |pattern| is_like(pattern, text)) }
        };
        let kind = |pattern: &String| {
            // The second is how the API server says all resources and their parts.
            if is_plural(pattern, subject.kind) || pattern == "*/*" {
                Some(true)
            } else {
                is_like(pattern, subject.kind)
            }
        };
        all_of([
            if self.kinds.is_empty() { Some(true) } else { any_of(&self.kinds, kind) },
            said(&self.groups, subject.group),
            said(&self.versions, subject.version),
            if self.is_of_part { None } else { Some(true) },
        ])
    }
}

/// Whether a text is like a pattern, in which an asterisk is any text. Kyverno takes a question mark and a dot for any
/// character.
fn is_like(pattern: &str, text: &str) -> Option<bool> {
    if glob::matches(pattern, text) {
        return Some(true);
    }
    let is_wild = pattern.contains('?') || (pattern.contains('.') && pattern.contains('*'));
    let is_as_long = pattern.contains('.') && pattern.len() == text.len();
    (!is_wild && !is_as_long).then_some(false)
}

/// Whether one of several holds; none if there are none.
fn any_of<T>(all: &[T], judge: impl Fn(&T) -> Option<bool>) -> Option<bool> {
    all.iter().map(judge).fold(Some(false), glob::either)
}

/// Whether all of several hold; none if there are none.
fn all_of(all: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    let fails = all.into_iter().map(|one| one.map(|is| !is)).reduce(glob::either);
    fails.unwrap_or(Some(true)).map(|fails| !fails)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_judged_only_where_all_tools_agree_on_it() {
        for (pattern, text, is) in [
            ("web", "web", Some(true)),
            ("w*", "web", Some(true)),
            ("*", "web", Some(true)),
            ("api", "web", Some(false)),
            ("api-*", "web", Some(false)),
            ("w?b", "web", None),
            ("w.b", "web", None),
            ("apps.kruise.io", "apps", Some(false)),
            ("apps.kruise.io", "apps.kruise.io", Some(true)),
            ("*.io", "apps", None),
        ] {
            assert_eq!(is_like(pattern, text), is, "{pattern} {text}");
        }
    }

    #[test]
    fn what_cannot_be_judged_decides_only_where_nothing_else_does() {
        assert_eq!(all_of([Some(true), None]), None);
        assert_eq!(all_of([Some(false), None]), Some(false));
        assert_eq!(all_of([Some(true), Some(true)]), Some(true));
        assert_eq!(any_of(&[None, Some(true)], |is| *is), Some(true));
        assert_eq!(any_of(&[None, Some(false)], |is| *is), None);
        assert_eq!(any_of(&[], |is: &Option<bool>| *is), Some(false));
    }
}
