//! The Kubernetes form: `apiVersion`, `kind`, `metadata`, `spec`, with five kinds.

use super::accepted::{Intent, Kind, priority_of};
use super::json::Json;
use super::policy::Policy;
use super::refusal::Refusal;
use super::shape::{Field, Form, Shape, check, missing, optional, required};
use super::target::TargetKey;
use super::text;

const SUBDOMAIN: Shape = Shape::Form(Form::Subdomain);
const NONEMPTY: Shape = Shape::Line { min: 1, max: 1024 };
const NUMBER: Shape = Shape::Number;
const QUANTITY: Shape = Shape::NumberOrText { number: &NUMBER, text: &NONEMPTY };
const PORT_NUMBER: Shape = Shape::Int { min: 1, max: 65_535 };
const PORT_NAME: Shape = Shape::Form(Form::PortName);
const REPLICAS: Shape = Shape::Replicas;
const REASON: Shape = Shape::Text { min: 0, max: 512 };
const LABEL_VALUE: Shape = Shape::Form(Form::LabelValue);
/// Kubernetes' limit on all annotations of an object together.
const ANNOTATION: Shape = Shape::Text { min: 0, max: 262_144 };

const METADATA: &[Field] = &[
    optional("name", SUBDOMAIN, "Name of the intent object."),
    optional("namespace", Shape::Form(Form::Label), "Namespace of the target; `default` when absent."),
    optional("labels", Shape::Map { key: Some(Form::LabelKey), value: &LABEL_VALUE }, "Kubernetes labels."),
    optional(
        "annotations",
        Shape::Map { key: Some(Form::LabelKey), value: &ANNOTATION },
        "Kubernetes annotations.",
    ),
    added("uid"),
    added("resourceVersion"),
    added("generation"),
    added("creationTimestamp"),
    added("deletionTimestamp"),
    added("deletionGracePeriodSeconds"),
    added("generateName"),
    added("managedFields"),
    added("ownerReferences"),
    added("finalizers"),
    added("selfLink"),
];

/// A field that the API server adds, as `kubectl get -o json` shows it.
const fn added(name: &'static str) -> Field {
    optional(name, Shape::Ignored, "Added by Kubernetes; accepted, and nothing is read from it.")
}

/// Fields that every kind's spec may have.
macro_rules! spec {
    ($($field:expr),* $(,)?) => { &[
        $($field,)*
        optional("reason", REASON, "Why, for people."),
        optional("source", Shape::OneOf(&["user", "planner", "test", "automation", ""]), "Who asks."),
        optional("correlation_id", Shape::Form(Form::CorrelationId), "Found again in log, status and porch's environment."),
        optional("priority", Shape::Int { min: 0, max: 10 }, "0 can wait, 5 is the default, 10 goes first."),
        optional("timeout", Shape::Form(Form::Timeout), "A shorter time limit for porch than the daemon's."),
    ] };
}

const RESOURCES: &[Field] = &[
    optional("cpu", QUANTITY, "Quantity."),
    optional("memory", QUANTITY, "Quantity."),
    optional("storage", QUANTITY, "Quantity."),
];
const FUNCTION: &[Field] = &[
    required("name", NONEMPTY, "Name of the function."),
    required("type", NONEMPTY, "Type of the function."),
    optional("resources", Shape::Object(RESOURCES), "What it needs."),
    optional("replicas", REPLICAS, "Wanted replicas."),
    optional("config", Shape::Free, "Free object."),
];
const LINK: &[Field] = &[
    optional("interface", NONEMPTY, "Interface name."),
    optional("endpoint", NONEMPTY, "Peer."),
    optional("protocol", NONEMPTY, "Protocol."),
    optional("config", Shape::Free, "Free object."),
];
const SLA: &[Field] = &[
    optional("availability", QUANTITY, "For example 99.99%."),
    optional("throughput", QUANTITY, "For example 10Gbps."),
    optional("latency", QUANTITY, "For example 5ms."),
    optional("jitter", QUANTITY, "For example 1ms."),
];
const FUNCTION_SHAPE: Shape = Shape::Object(FUNCTION);
const LINK_SHAPE: Shape = Shape::Object(LINK);
const PARAMETERS: &[Field] = &[
    optional("networkFunctions", Shape::List { item: &FUNCTION_SHAPE, max: 100 }, "Functions to act on."),
    optional("connectivity", Shape::Map { key: None, value: &LINK_SHAPE }, "Links by name."),
    optional("sla", Shape::Object(SLA), "Service levels."),
    optional("replicas", REPLICAS, "Wanted replicas."),
];
const NETWORK_TARGET: &[Field] =
    &[optional("type", NONEMPTY, "Type of the target."), optional("name", SUBDOMAIN, "Name of the target.")];
const NETWORK_CONSTRAINTS: &[Field] =
    &[optional("placement", Shape::Free, "Free object."), optional("security", Shape::Free, "Free object.")];
const PORT: &[Field] = &[
    optional("name", Shape::Form(Form::Label), "Name of the port."),
    required("port", PORT_NUMBER, "Port number."),
    optional(
        "targetPort",
        Shape::NumberOrText { number: &PORT_NUMBER, text: &PORT_NAME },
        "Port of the pods, by number or name.",
    ),
    optional("protocol", Shape::OneOf(&["TCP", "UDP", "SCTP"]), "Transport."),
];
const PORT_SHAPE: Shape = Shape::Object(PORT);

const NETWORK: &[Field] = spec![
    optional("intent", Shape::Text { min: 0, max: 4096 }, "The wish in words; nothing is read from it."),
    optional("action", Shape::OneOf(&["deploy", "scale", "update", "delete"]), "What to do."),
    optional("target", Shape::Object(NETWORK_TARGET), "What to do it to."),
    optional("parameters", Shape::Object(PARAMETERS), "How."),
    optional("constraints", Shape::Object(NETWORK_CONSTRAINTS), "Within which limits."),
    optional("replicas", REPLICAS, "Wanted replicas."),
];
const RESOURCE: &[Field] = spec![
    optional("action", NONEMPTY, "What to do."),
    optional("target", SUBDOMAIN, "What to do it to."),
    optional("resources", Shape::Free, "Free object."),
    optional("parameters", Shape::Free, "Free object."),
];
const SCALING: &[Field] = spec![
    optional("target", SUBDOMAIN, "Name of the workload; metadata.name when absent."),
    optional("replicas", REPLICAS, "Wanted replicas; required."),
];
const DEPLOYMENT: &[Field] = spec![
    optional("target", SUBDOMAIN, "Name of the workload."),
    optional("replicas", REPLICAS, "Wanted replicas."),
    optional("parameters", Shape::Free, "Free object."),
];
const SERVICE: &[Field] = spec![
    optional("target", SUBDOMAIN, "Name of the service."),
    optional("ports", Shape::List { item: &PORT_SHAPE, max: 100 }, "Its ports."),
    optional("parameters", Shape::Free, "Free object."),
];

/// The five kinds and the fields of their specs.
pub(super) const KINDS: &[(&str, Kind, &[Field])] = &[
    ("NetworkIntent", Kind::NetworkIntent, NETWORK),
    ("ResourceIntent", Kind::ResourceIntent, RESOURCE),
    ("ScalingIntent", Kind::ScalingIntent, SCALING),
    ("DeploymentIntent", Kind::DeploymentIntent, DEPLOYMENT),
    ("ServiceIntent", Kind::ServiceIntent, SERVICE),
];
/// The kind that needs a number of replicas, as `intent_type: scaling` does.
pub(super) const SCALING_KIND: &str = "ScalingIntent";
const KIND_NAMES: &[&str] =
    &["NetworkIntent", "ResourceIntent", "ScalingIntent", "DeploymentIntent", "ServiceIntent"];

/// The fields around the spec; the spec's own shape depends on the kind.
pub(super) const ENVELOPE: &[Field] = &[
    required("apiVersion", Shape::Form(Form::ApiVersion), "API group and version."),
    required("kind", Shape::OneOf(KIND_NAMES), "One of the five kinds."),
    optional("metadata", Shape::Object(METADATA), "Kubernetes metadata."),
    optional("spec", Shape::Any, "What is asked for; fields by kind."),
    added("status"),
];

pub(super) fn judge(document: &Json, policy: Policy) -> Result<Intent, Refusal> {
    check(&Shape::Object(ENVELOPE), document, "", policy)?;
    let named = document.get("kind").and_then(Json::as_str).unwrap_or_default();
    let Some((kind_name, kind, fields)) = KINDS.iter().find(|(name, _, _)| *name == named) else {
        return Err(missing("", "kind"));
    };
    let spec = document.get("spec");
    if let Some(spec) = spec.filter(|spec| **spec != Json::Null) {
        check(&Shape::Object(fields), spec, "/spec", policy)?;
    }
    let in_spec = |name: &str| spec.and_then(|spec| spec.get(name));
    let metadata = |name: &str| document.get("metadata").and_then(|m| m.get(name)).and_then(Json::as_str);
    let target = in_spec("target")
        .and_then(|target| target.as_str().or_else(|| target.get("name").and_then(Json::as_str)))
        .or_else(|| metadata("name"))
        .map_or_else(|| kind_name.to_lowercase(), str::to_owned);
    let replicas = in_spec("replicas").and_then(Json::as_u64).and_then(|n| u32::try_from(n).ok());
    if *kind == Kind::ScalingIntent && replicas.is_none() {
        return Err(missing("/spec", "replicas"));
    }
    let spec_text = |name: &str| in_spec(name).and_then(Json::as_str).map(str::to_owned);
    Ok(Intent {
        kind: *kind,
        key: TargetKey { namespace: metadata("namespace").unwrap_or("default").to_owned(), target },
        replicas,
        priority: priority_of(in_spec("priority")),
        correlation_id: spec_text("correlation_id"),
        reason: spec_text("reason"),
        source: spec_text("source").filter(|source| !source.is_empty()),
        timeout_secs: spec_text("timeout").and_then(|t| text::timeout_secs(&t)),
        package: None,
        repository: None,
        expected_replicas: None,
    })
}
