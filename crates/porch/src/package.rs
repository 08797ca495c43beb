//! What is in a package. Pure: a request in, names and bytes out.

use crate::{PorchError, Request};
use conductor_core::intent::{Kind, TargetKey};

/// The two forms of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A partial object for server-side apply.
    Direct,
    /// A strategic-merge patch that is not applied by itself.
    Structured,
}

/// One file of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name inside the package.
    pub name: &'static str,
    /// Its content.
    pub content: String,
}

/// Keeps a pruner from deleting the live workload when the package goes away: the package names an object that
/// somebody else owns. kpt and Config Sync, Flux, Argo CD, in this order.
const DETACH: &str = "    client.lifecycle.config.k8s.io/deletion: detach
    kustomize.toolkit.fluxcd.io/prune: disabled
    argocd.argoproj.io/sync-options: Prune=false,ServerSideApply=true
";
const LOCAL: &str = "    config.kubernetes.io/local-config: \"true\"\n";

/// The directory below the output directory, step by step, and the files in it.
pub fn render(request: &Request<'_>) -> Result<([String; 2], Vec<File>), PorchError> {
    let scales = matches!(request.kind, Kind::Scaling | Kind::ScalingIntent);
    let Some(replicas) = request.replicas.filter(|_| scales) else {
        return Err(PorchError::Unsupported { kind: request.kind, key: request.key.clone() });
    };
    let TargetKey { namespace, target } = request.key;
    let (suffix, patch, annotations, note) = match request.form {
        Form::Direct => (
            "scaling",
            "deployment.yaml",
            DETACH,
            "A partial object: apply it server-side onto the existing Deployment.",
        ),
        Form::Structured => (
            "scaling-patch",
            "scaling-patch.yaml",
            LOCAL,
            "A strategic-merge patch for the Deployment of this name; not applied by itself.",
        ),
    };
    let package = package_name(target, suffix);
    let kptfile = format!(
        "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: {package}\n  annotations:\n{LOCAL}info:\n  \
         description: Scales {target} in {namespace} to {replicas}\n"
    );
    let object = format!(
        "# {note}\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {target}\n  namespace: {namespace}\n  \
         annotations:\n{annotations}spec:\n  replicas: {replicas}\n"
    );
    let files = vec![File { name: "Kptfile", content: kptfile }, File { name: patch, content: object }];
    Ok(([namespace.clone(), package], files))
}

/// `TARGET-SUFFIX`, within the 255 bytes of a directory entry: RFC 1123 allows a target of 253.
fn package_name(target: &str, suffix: &str) -> String {
    // 253 + 1 + 13 exceeds NAME_MAX by 12; names that long are cut where they still end in a letter or digit.
    let room = 255 - suffix.len() - 1;
    let cut = target.get(..room.min(target.len())).unwrap_or(target).trim_end_matches(['-', '.']);
    format!("{cut}-{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(form: Form, kind: Kind, replicas: Option<u32>) -> Result<([String; 2], Vec<File>), PorchError> {
        let key = TargetKey { namespace: "oran-sim".into(), target: "cnf-simulator".into() };
        render(&Request { kind, key: &key, replicas, form })
    }

    #[test]
    fn structured_package() {
        let (dir, files) = files(Form::Structured, Kind::Scaling, Some(3)).unwrap();
        assert_eq!(dir, ["oran-sim", "cnf-simulator-scaling-patch"]);
        assert!(files[0].content.contains("kind: Kptfile\nmetadata:\n  name: cnf-simulator-scaling-patch\n"));
        assert!(files[1].content.ends_with("spec:\n  replicas: 3\n"));
    }

    #[test]
    fn what_has_no_form_is_refused() {
        for (kind, replicas) in
            [(Kind::Service, None), (Kind::Deployment, Some(1)), (Kind::ScalingIntent, None)]
        {
            assert!(matches!(files(Form::Direct, kind, replicas), Err(PorchError::Unsupported { .. })));
        }
    }

    #[test]
    fn long_targets_fit_a_directory_entry() {
        assert!(package_name(&"a".repeat(253), "scaling-patch").len() <= 255);
    }
}
