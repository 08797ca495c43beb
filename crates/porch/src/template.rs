//! The packages written where none exists. Only the number of replicas differs from one intent to the next, so that
//! scaling again is an edit of one value.

use crate::Form;
use crate::files::{Content, Files, KPTFILE, KUSTOMIZATIONS};
use conductor_core::intent::TargetKey;

/// The object's file of the direct form.
pub(crate) const OBJECT: &str = "deployment.yaml";
/// The patch of the structured form.
pub(crate) const PATCH: &str = "scaling-patch.yaml";
/// The longest name of a directory (`NAME_MAX`).
const NAME_MAX: usize = 255;

/// Keeps a pruner from deleting the live workload when the package is removed: another party owns the object that the
/// package names. kpt and Config Sync, Flux, Argo CD, in this order.
const DETACH: &str = "    client.lifecycle.config.k8s.io/deletion: detach
    kustomize.toolkit.fluxcd.io/prune: disabled
    argocd.argoproj.io/sync-options: Prune=false,ServerSideApply=true
";
const LOCAL: &str = "    config.kubernetes.io/local-config: \"true\"\n";

/// The last part of the directory of a new package; `None` if the target's name is too long for it.
pub(crate) fn package_name(target: &str, form: Form) -> Option<String> {
    let suffix = match form {
        Form::Direct => "scaling",
        Form::Structured => "scaling-patch",
    };
    Some(format!("{target}-{suffix}")).filter(|name| name.len() <= NAME_MAX)
}

/// A new package called `name`.
pub(crate) fn package(key: &TargetKey, replicas: u32, name: &str, form: Form, kustomize: bool) -> Files {
    let (file, object, about) = match form {
        Form::Direct => (OBJECT, direct_object(key, replicas), direct_readme(key, name)),
        Form::Structured => (PATCH, patch(key, replicas), structured_readme(key, name)),
    };
    let mut files = vec![(KPTFILE, kptfile(key, name)), (file, object), ("README.md", about)];
    if kustomize && form == Form::Structured {
        files.push((KUSTOMIZATIONS[0], component(key, name)));
    }
    let content = |text: String| Content { bytes: text.into_bytes(), executable: false };
    files.into_iter().map(|(name, text)| (name.to_owned(), content(text))).collect()
}

/// The kustomization of the structured form, for a package without one.
pub(crate) fn component(key: &TargetKey, name: &str) -> String {
    let (namespace, target) = (scalar(&key.namespace), scalar(&key.target));
    format!(
        "# List this directory under `components` of the kustomization that has the Deployment: the build fails if it\n\
         # does not have it.\n\
         apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nmetadata:\n  name: {name}\n  annotations:\n{LOCAL}\
         patches:\n  - path: {PATCH}\n  \
         # The patch file is local configuration; the Deployment it is merged into is not.\n  - patch: |-\n      \
         apiVersion: apps/v1\n      kind: Deployment\n      metadata:\n        name: {target}\n        \
         namespace: {namespace}\n        annotations:\n          config.kubernetes.io/local-config: null\n"
    )
}

fn kptfile(TargetKey { namespace, target }: &TargetKey, name: &str) -> String {
    format!(
        "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: {name}\n  annotations:\n{LOCAL}info:\n  \
         description: Replicas of {target} in {namespace}\n"
    )
}

fn direct_object(key: &TargetKey, replicas: u32) -> String {
    let (namespace, target) = (scalar(&key.namespace), scalar(&key.target));
    format!(
        "# A partial object: apply it server-side onto the existing Deployment.\napiVersion: apps/v1\nkind: Deployment\n\
         metadata:\n  name: {target}\n  namespace: {namespace}\n  annotations:\n{DETACH}spec:\n  replicas: {replicas}\n"
    )
}

fn patch(key: &TargetKey, replicas: u32) -> String {
    let (namespace, target) = (scalar(&key.namespace), scalar(&key.target));
    format!(
        "# A strategic-merge patch, not applied by itself (local-config). For kustomize, use the Component that --kustomize\n\
         # writes: under `patches` alone this file would make the Deployment local-config too, and kustomize would leave it out.\n\
         apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {target}\n  namespace: {namespace}\n  \
         annotations:\n{LOCAL}spec:\n  replicas: {replicas}\n"
    )
}

/// A name as a YAML scalar, in quotes where it would be read as a number, a date, a truth value or nothing.
fn scalar(name: &str) -> String {
    let is_word = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"].contains(&name);
    let is_number = name.starts_with(|sign: char| sign.is_ascii_digit())
        && name.bytes().all(|sign| sign.is_ascii_hexdigit() || matches!(sign, b'x' | b'o' | b'.' | b'-'));
    if is_word || is_number { format!("\"{name}\"") } else { name.to_owned() }
}

fn direct_readme(TargetKey { namespace, target }: &TargetKey, name: &str) -> String {
    format!(
        "# {name}\n\n\
         How many replicas the Deployment `{target}` in the namespace `{namespace}` is to have.\n\n\
         `{OBJECT}` is a part of that Deployment, not the whole: it has no selector, no template and no image, because the\n\
         intent that asked for it names none. Apply it server-side onto the Deployment that exists:\n\n\
         ```sh\nkubectl apply --server-side --field-manager=conductor-loop -f {OBJECT}\n```\n\n\
         Where the Deployment does not exist, this fails, as it should. The annotations keep kpt, Config Sync, Flux and\n\
         Argo CD from deleting the live Deployment when this package is removed. Once the package that owns the\n\
         Deployment is at hand, remove this one and put that in its place: it is then edited instead.\n"
    )
}

fn structured_readme(TargetKey { namespace, target }: &TargetKey, name: &str) -> String {
    format!(
        "# {name}\n\n\
         How many replicas the Deployment `{target}` in the namespace `{namespace}` is to have, as a strategic-merge patch.\n\n\
         `{PATCH}` is marked `config.kubernetes.io/local-config`, so kpt, Config Sync and kustomize do not apply it as an\n\
         object of its own. To use it with kustomize, have the package written with `--kustomize` and list this directory\n\
         under `components`. Listed under `patches` alone it would carry the mark over to the Deployment, and kustomize\n\
         would leave the Deployment out.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_the_replicas_depends_on_the_intent() {
        let key = TargetKey { namespace: "ns".into(), target: "web".into() };
        for form in [Form::Direct, Form::Structured] {
            let (three, nine) = (package(&key, 3, "p", form, true), package(&key, 9, "p", form, true));
            let differing: Vec<_> =
                three.iter().filter(|(name, content)| nine.get(*name) != Some(content)).collect();
            assert_eq!(differing.len(), 1, "{form:?}");
            let text = String::from_utf8(differing[0].1.bytes.clone()).unwrap();
            assert!(text.ends_with("  replicas: 3\n"));
        }
    }

    #[test]
    fn a_name_stays_a_text_whatever_it_looks_like() {
        for name in ["on", "y", "null", "true", "123", "1e3", "0x1", "0o7", "1.5", "2026-11-26"] {
            let key = TargetKey { namespace: name.into(), target: name.into() };
            for form in [Form::Direct, Form::Structured] {
                let files = package(&key, 3, "p", form, true);
                let text: String =
                    files.values().map(|file| String::from_utf8(file.bytes.clone()).unwrap()).collect();
                assert!(text.contains(&format!("name: \"{name}\"\n")), "{text}");
                assert!(text.contains(&format!("namespace: \"{name}\"\n")), "{text}");
            }
        }
        for name in ["web", "5g-core", "one", "nulls", "1st"] {
            assert_eq!(scalar(name), name);
        }
    }

    #[test]
    fn a_name_that_fits_no_directory_is_none() {
        assert_eq!(package_name(&"a".repeat(253), Form::Direct), None);
        assert_eq!(package_name("web", Form::Structured).as_deref(), Some("web-scaling-patch"));
    }
}
