//! Overlays of ytt: which of them may decide the number of an object. They are programs in comments, of which only the plain
//! form is read: a subset of fields that is written out.

use crate::kinds::{Governed, Kinds};
use crate::yaml::{self, Node, Value};

/// What says which objects an overlay is for.
const MATCH: &str = "#@overlay/match ";
/// What begins the plain form.
const SUBSET: &str = "by=overlay.subset(";
/// The beginnings of what an overlay does to a whole object.
const WHOLE: [&str; 2] = ["#@overlay/remove", "#@overlay/replace"];

/// One document with what is written before it.
#[derive(Default)]
struct Overlay<'t> {
    /// What it is for, and the line of that.
    matching: Option<(&'t str, usize)>,
    /// Whether it does something to the whole object.
    is_whole: bool,
    body: Vec<&'t str>,
}

/// The line of the first overlay in a file that may decide the number of the object.
pub(crate) fn overlay(text: &str, workload: Governed<'_>) -> Option<usize> {
    if !text.contains(MATCH.trim_end()) {
        return None;
    }
    let mut overlays = vec![Overlay::default()];
    // What the lines before the next document say of it.
    let mut next = Overlay::default();
    for (number, line) in text.lines().enumerate() {
        let is_mark = line == "---" || line.starts_with("--- ");
        if is_mark {
            overlays.push(std::mem::take(&mut next));
        } else if let Some(matching) = line.strip_prefix(MATCH) {
            next.matching = Some((matching, number + 1));
        } else if WHOLE.iter().any(|word| line.starts_with(word)) {
            next.is_whole = true;
        } else if !line.trim().is_empty() && !line.starts_with('#') {
            // These were of a field.
            next = Overlay::default();
        }
        if let (Some(last), false) = (overlays.last_mut(), is_mark) {
            last.body.push(line);
        }
    }
    let overlaid = overlays.iter().filter(|one| one.matching.is_some());
    let deciding = overlaid.clone().filter(|one| one.decides(workload.kinds));
    let first = deciding.filter_map(|one| one.matching).find(|(matching, _)| may_be_for(matching, workload));
    match first {
        Some((_, line)) => Some(line),
        // Overlays in a function, which may be used on anything.
        None if overlaid.count() == 0 && workload.kinds.speaks_of_number(text) => {
            text.lines().position(|line| line.trim_start().starts_with(MATCH.trim_end())).map(|line| line + 1)
        }
        None => None,
    }
}

impl Overlay<'_> {
    fn decides(&self, kinds: Kinds<'_>) -> bool {
        self.is_whole || self.body.iter().any(|line| kinds.speaks_of_number(line))
    }
}

/// Whether what an overlay is for may be the object.
fn may_be_for(matching: &str, workload: Governed<'_>) -> bool {
    // Any other expression may choose anything.
    let Some(rest) = matching.trim_start().strip_prefix(SUBSET) else { return true };
    let Some((subset, after)) = rest.rsplit_once(')') else { return true };
    if subset.contains(')') || !(after.trim().is_empty() || after.trim_start().starts_with(',')) {
        return true;
    }
    let Ok(stream) = yaml::parse(subset.as_bytes()) else { return true };
    let [fields] = stream.documents.as_slice() else { return true };
    let may_be = |path: &[&str], is: &str| match fields.at(path).map(|node: &Node| &node.value) {
        // What is not quoted is a variable.
        Some(Value::Scalar { text, plain: false }) => text == is,
        _ => true,
    };
    may_be(&["kind"], workload.kind)
        && may_be(&["metadata", "name"], workload.name)
        && may_be(&["metadata", "namespace"], workload.namespace)
}
