//! The transformers of a kustomization: kustomize's own, written as objects, and plugins, of which only the text is known.

use super::{Builder, DEPTH_MAX, REFERENCE, STEP, local, references};
use crate::PorchError;
use crate::kinds::Kinds;
use crate::patch::selects;
use crate::rendered::{Number, Rendered};
use crate::rules::{Rule, decides_number, each_of};
use crate::yaml::{self, Node};

/// The text of one transformer or of several, and where it is.
struct Source {
    text: String,
    place: String,
    /// The texts of the files that they name: patches and replacements. `None` if one is not here.
    named: Option<Vec<String>>,
}

/// The fields by which transformers name files.
const NAMES: [&str; 2] = ["path", "paths"];
/// The fields of a kustomization that only lists transformers.
const LISTING: [&str; 5] = ["apiVersion", "kind", "metadata", "resources", "bases"];

/// The fields by which an object is that object, as pointers, and what holds them.
const IDENTITY: [&str; 6] = ["", "apiVersion", "kind", "metadata", "metadata/name", "metadata/namespace"];

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
        for entry in document.items_at(&["transformers"]) {
            let Some(text) = entry.text() else { continue };
            let source = if text.contains('\n') {
                let place = format!("{}:{}", self.world.name(file), entry.line);
                Some((text.to_owned(), place, file.to_owned()))
            } else {
                self.transformer(file, text)?
            };
            let Some((text, place, of)) = source else {
                self.absent("a transformer", file, entry, objects.iter_mut())?;
                continue;
            };
            let named = self.named_by(&[file, &of], &text)?;
            let source = Source { text, place, named };
            self.spend(file, source.text.len() + objects.len() * (STEP + source.text.len() / STEP))?;
            transform(&source, objects, self.kinds);
        }
        Ok(())
    }

    /// A transformer that is named, in a file or a directory: text, place, and the file beside which it names others.
    fn transformer(
        &mut self,
        file: &str,
        reference: &str,
    ) -> Result<Option<(String, String, String)>, PorchError> {
        let Some(path) = local(file, reference) else { return Ok(None) };
        self.note_named(file, &path)?;
        let mut whole = Vec::new();
        if !self.listed(&path, &mut whole, 0)? {
            return Ok(None);
        }
        let mut text = String::new();
        for one in &whole {
            let Some(one) = self.named("", one)? else { return Ok(None) };
            if let Some(content) = self.world.named(&one)? {
                self.spend(file, content.bytes.len())?;
                text.push_str(&String::from_utf8_lossy(&content.bytes));
                text.push_str("\n---\n");
            }
        }
        let of = whole.into_iter().next().unwrap_or_else(|| path.clone());
        Ok(Some((text, self.world.name(&path), of)))
    }

    /// The files of a transformer, or of all that the kustomization of a directory lists. False if one is not here, or if the
    /// kustomization changes them.
    fn listed(&mut self, path: &str, whole: &mut Vec<String>, depth: usize) -> Result<bool, PorchError> {
        let Some(kustomization) = self.world.named_kustomization(path)? else {
            whole.push(path.to_owned());
            return Ok(true);
        };
        if depth > DEPTH_MAX {
            return Err(PorchError::unfit(self.world.name(&kustomization), "leads to itself, or too deep"));
        }
        self.note_named("", &kustomization)?;
        let stream = self.world.stream(&kustomization)?;
        let Some(document) = stream.documents.first() else { return Ok(true) };
        let only_lists = |(key, _): &(Node, Node)| key.text().is_some_and(|key| LISTING.contains(&key));
        if !document.entries().iter().all(only_lists) {
            return Ok(false);
        }
        for reference in references(document, &["resources", "bases"]) {
            self.spend(&kustomization, REFERENCE)?;
            let place = reference.text().and_then(|text| local(&kustomization, text));
            let Some(place) = place else { return Ok(false) };
            if !self.listed(&place, whole, depth + 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The texts of the files that transformers name, beside their own file or the kustomization; `None` if one is not here.
    fn named_by(&mut self, beside: &[&str], text: &str) -> Result<Option<Vec<String>>, PorchError> {
        let mut found = Vec::new();
        let stream = yaml::parse_expanded(text.as_bytes()).unwrap_or_default();
        for reference in stream.documents.iter().flat_map(paths_of) {
            let mut here = false;
            for file in beside {
                let Some(path) = self.named(file, reference)? else { continue };
                let Some(content) = self.world.named(&path)? else { continue };
                self.spend(file, content.bytes.len())?;
                found.push(String::from_utf8_lossy(&content.bytes).into_owned());
                here = true;
            }
            if !here {
                return Ok(None);
            }
        }
        Ok(Some(found))
    }
}

/// The paths that a transformer names. What has signs that paths lack is a patch itself.
fn paths_of(document: &Node) -> Vec<&str> {
    let parts = document.items_at(&["replacements"]);
    let holders = std::iter::once(document).chain(parts);
    let said = holders.flat_map(|holder| NAMES.iter().filter_map(|key| holder.get(key)));
    let each =
        said.flat_map(|said| said.text().into_iter().chain(said.items().iter().filter_map(Node::text)));
    each.filter(|text| !is_inline(text)).collect()
}

fn is_inline(text: &str) -> bool {
    text.contains(['\n', '{', '[', ':'])
}

fn transform(source: &Source, objects: &mut [Rendered], kinds: Kinds<'_>) {
    let Source { text, place, .. } = source;
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
        "PatchTransformer" | "PatchJson6902Transformer" | "PatchStrategicMergeTransformer" => {
            of_patches(document, source, kinds)
        }
        "ReplacementTransformer" => of_replacements(document, source, kinds),
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

/// What the patches of a transformer do. One that is not here or no YAML may do anything.
fn of_patches(document: &Node, source: &Source, kinds: Kinds<'_>) -> Does {
    let Some(named) = &source.named else { return Does::Counts };
    let said = ["patch", "jsonOp", "patches", "paths"].into_iter().filter_map(|key| document.get(key));
    let inline =
        said.flat_map(|said| said.text().into_iter().chain(said.items().iter().filter_map(Node::text)));
    let mut loses = ["allowNameChange", "allowKindChange"]
        .iter()
        .any(|key| document.text_at(&["options", key]) == Some("true"));
    for text in inline.filter(|text| is_inline(text)).chain(named.iter().map(String::as_str)) {
        let Ok(stream) = yaml::parse_expanded(text.as_bytes()) else { return Does::Counts };
        for (_, patch) in stream.documents.iter().flat_map(each_of) {
            if decides_number(patch, kinds) {
                return Does::Counts;
            }
            loses |= remakes(patch);
        }
    }
    if loses { Does::Loses } else { Does::Nothing }
}

/// Whether a patch may make another object of one.
fn remakes(patch: &Node) -> bool {
    let of_operation = |one: &Node| {
        let from = one.text_at(&["from"]).filter(|_| one.text_at(&["op"]) == Some("move"));
        let mut paths =
            one.text_at(&["path"]).filter(|_| one.text_at(&["op"]) != Some("test")).into_iter().chain(from);
        paths.any(|path| IDENTITY.contains(&path.trim_start_matches('/')))
    };
    patch.items().iter().any(of_operation)
}

/// What replacements do, in the transformer itself or in files.
fn of_replacements(document: &Node, source: &Source, kinds: Kinds<'_>) -> Does {
    let Some(named) = &source.named else { return Does::Counts };
    let mut all = document.items_at(&["replacements"]).to_vec();
    for text in named {
        let Ok(stream) = yaml::parse_expanded(text.as_bytes()) else { return Does::Counts };
        for part in stream.documents {
            if part.items().is_empty() { all.push(part) } else { all.extend_from_slice(part.items()) }
        }
    }
    let targets = all.iter().filter_map(|part| part.get("targets")).flat_map(Node::items);
    let fields =
        targets.filter_map(|target| target.get("fieldPaths")).flat_map(Node::items).filter_map(Node::text);
    let pointers: Vec<String> = fields.map(|field| field.replace('.', "/")).collect();
    if pointers.iter().any(|path| kinds.leads_to_number(&format!("/{path}"))) {
        Does::Counts
    } else if pointers.iter().any(|path| IDENTITY.contains(&path.as_str())) {
        Does::Loses
    } else {
        Does::Nothing
    }
}
