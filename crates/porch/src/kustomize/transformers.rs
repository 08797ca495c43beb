//! The transformers of a kustomization: kustomize's own, written as objects, and plugins, of which only the text is known.

use super::{Builder, STEP, local};
use crate::PorchError;
use crate::files::parent;
use crate::kinds::Kinds;
use crate::patch::selects;
use crate::rendered::{Number, Rendered};
use crate::rules::Rule;
use crate::yaml::{self, Node};

/// The text of one transformer or of several, and where it is.
struct Source {
    text: String,
    place: String,
}

/// What one transformer does to one object.
enum Does {
    Nothing,
    /// It puts it into a namespace.
    Moves(String),
    /// It may set the number.
    Counts,
    /// It may make another object of it.
    Loses,
}

impl Builder<'_> {
    /// Plugins of kustomize in files of their own, or written inline.
    pub(super) fn transformers(
        &mut self,
        file: &str,
        document: &Node,
        objects: &mut [Rendered],
    ) -> Result<(), PorchError> {
        for entry in document.get("transformers").map(Node::items).unwrap_or_default() {
            let Some(text) = entry.text() else { continue };
            let source = if text.contains('\n') {
                let place = format!("{}:{}", self.world.name(file), entry.line);
                Source { text: text.to_owned(), place }
            } else if let Some(found) = self.transformer(file, text)? {
                found
            } else {
                self.absent("a transformer", file, entry, objects.iter_mut())?;
                continue;
            };
            self.spend(file, source.text.len() + objects.len() * (STEP + source.text.len() / STEP))?;
            transform(&source, objects, self.kinds);
        }
        Ok(())
    }

    /// A transformer that is named, in a file or a directory.
    fn transformer(&mut self, file: &str, reference: &str) -> Result<Option<Source>, PorchError> {
        let Some(path) = local(file, reference) else { return Ok(None) };
        self.note_named(file, &path)?;
        let whole = match self.world.named_kustomization(&path)? {
            Some(_) => self.world.paths().into_iter().filter(|other| parent(other) == path).collect(),
            None => vec![path.clone()],
        };
        let mut text = String::new();
        for one in whole {
            let Some(one) = self.named("", &one)? else { return Ok(None) };
            if let Some(content) = self.world.named(&one)? {
                self.spend(file, content.bytes.len())?;
                text.push_str(&String::from_utf8_lossy(&content.bytes));
                text.push_str("\n---\n");
            }
        }
        Ok(Some(Source { text, place: self.world.name(&path) }))
    }
}

fn transform(source: &Source, objects: &mut [Rendered], kinds: Kinds<'_>) {
    let Source { text, place } = source;
    let (relabels, aims) = (text.contains("abel"), text.contains("argetRef") || text.contains("workloadRef"));
    // Without documents that can be read, the text is taken for one of a kind that is not known.
    let stream = yaml::parse_expanded(text.as_bytes()).ok().filter(|stream| !stream.documents.is_empty());
    let documents = stream.as_ref().map(|stream| stream.documents.as_slice()).unwrap_or_default();
    for object in objects {
        object.relabelled |= relabels;
        if aims && !object.rules().is_empty() {
            let mut rules = object.rules().to_vec();
            rules.iter_mut().filter(|rule| rule.field.is_some()).for_each(Rule::aim_anywhere);
            object.aim(rules, true);
        }
        if stream.is_none() {
            apply(by_text(text, kinds), place, object);
        }
        // What follows the last mark is empty. Each sees what those before it have done.
        for document in documents.iter().filter(|document| !document.entries().is_empty()) {
            apply(does(document, source, object, kinds), place, object);
        }
    }
}

fn apply(does: Does, place: &str, object: &mut Rendered) {
    match does {
        Does::Nothing => {}
        Does::Counts => {
            object.number = Number::Elsewhere(format!("{place} (a transformer) may set its replicas"));
        }
        Does::Moves(namespace) => {
            object.moved = Some(format!("{place} (a transformer) puts it into the namespace {namespace}"));
            object.namespaces.push(namespace);
        }
        Does::Loses => {
            object.lost = Some(format!("{place} (a transformer) may give it another name or namespace"));
        }
    }
}

fn does(document: &Node, source: &Source, object: &Rendered, kinds: Kinds<'_>) -> Does {
    let kind = document.text_at(&["kind"]).unwrap_or_default();
    let concerns = document.get("target").map(|target| selects(target, object) != Some(false));
    match kind {
        "ReplicaCountTransformer" => match document.text_at(&["replica", "name"]) {
            Some(name) if !object.is_called(name) => Does::Nothing,
            _ => Does::Counts,
        },
        "PatchTransformer" | "PatchJson6902Transformer" if concerns == Some(false) => Does::Nothing,
        "PrefixTransformer" | "SuffixTransformer" | "PrefixSuffixTransformer" => Does::Loses,
        "NamespaceTransformer" => {
            let path: &[&str] = &["metadata", "namespace"];
            let new = document.text_at(path).or_else(|| document.text_at(&["namespace"]));
            let kept = document.text_at(&["unsetOnly"]) == Some("true") && object.namespace().is_some();
            match new.filter(|_| !kept && new != object.namespace()) {
                Some(new) => Does::Moves(new.to_owned()),
                None => Does::Nothing,
            }
        }
        // What these do is no matter here, whatever their values are called.
        "ImageTagTransformer" | "AnnotationsTransformer" | "LabelTransformer" | "HashTransformer" => {
            Does::Nothing
        }
        // Kustomizations beside the transformers of a directory only list them.
        "Kustomization" => Does::Nothing,
        _ => by_text(&source.text, kinds),
    }
}

/// What a transformer of a kind that is not known may do.
fn by_text(text: &str, kinds: Kinds<'_>) -> Does {
    let counts = text.contains("replica") || text.contains("Replica") || kinds.speaks_of_number(text);
    if counts { Does::Counts } else { Does::Nothing }
}
