//! The flat form: `{"intent_type": "scaling", "target": ..., "namespace": ..., "replicas": 3}`.

use super::accepted::{Intent, Kind, priority_of};
use super::json::Json;
use super::policy::Policy;
use super::refusal::Refusal;
use super::shape::{Field, Form, Shape, check, missing, optional, required};
use super::target::TargetKey;
use super::text;
use crate::code::Code;

const LABEL: Shape = Shape::Form(Form::Label);
const SUBDOMAIN: Shape = Shape::Form(Form::Subdomain);
const NONEMPTY: Shape = Shape::Line { min: 1, max: 253 };

const CONSTRAINTS: &[Field] = &[
    optional("max_replicas", Shape::Int { min: 1, max: 100 }, "Never scale above this."),
    optional("min_replicas", Shape::Int { min: 0, max: 100 }, "Never scale below this."),
    optional(
        "allowed_namespaces",
        Shape::List { item: &LABEL, max: 100 },
        "Namespaces the intent may touch.",
    ),
    optional("kpt_package_name", SUBDOMAIN, "The package that owns the target."),
    optional("porch_repository", LABEL, "The repository of that package."),
    optional(
        "expected_replicas",
        Shape::Int { min: 0, max: 100 },
        "Only scale while the package has this number of replicas.",
    ),
];

const NEPHIO_CONTEXT: &[Field] = &[
    optional("package_revision", NONEMPTY, "Package revision the intent was made against."),
    optional("workload_cluster", NONEMPTY, "Cluster that runs the target."),
    optional("blueprint_name", NONEMPTY, "Blueprint the package came from."),
];

/// Every field of the flat form.
pub(super) const FIELDS: &[Field] = &[
    required(
        "intent_type",
        Shape::OneOf(&["scaling", "deployment", "service", "configuration"]),
        "What is asked for.",
    ),
    required("target", SUBDOMAIN, "Name of the workload."),
    required("namespace", LABEL, "Namespace of the workload."),
    optional(
        "replicas",
        Shape::Replicas,
        "Wanted replicas; required for scaling. 0 needs the operator's consent.",
    ),
    optional("reason", Shape::Text { min: 0, max: 512 }, "Why, for people."),
    optional("source", Shape::OneOf(&["user", "planner", "test", "automation", ""]), "Who asks."),
    optional(
        "correlation_id",
        Shape::Form(Form::CorrelationId),
        "Found again in log, status and porch's environment.",
    ),
    optional("priority", Shape::Int { min: 0, max: 10 }, "0 can wait, 5 is the default, 10 goes first."),
    optional("timeout", Shape::Form(Form::Timeout), "A shorter time limit for porch than the daemon's."),
    optional("description", Shape::Text { min: 0, max: 1024 }, "More about it, for people."),
    optional("constraints", Shape::Object(CONSTRAINTS), "Limits the producer sets itself."),
    optional("nephio_context", Shape::Object(NEPHIO_CONTEXT), "Where the intent comes from in Nephio."),
    optional("target_resources", Shape::List { item: &NONEMPTY, max: 100 }, "Objects concerned."),
    optional(
        "status",
        Shape::OneOf(&["pending", "processing", "completed", "failed"]),
        "The producer's own bookkeeping.",
    ),
    optional(
        "created_at",
        Shape::Form(Form::DateTime),
        "When the producer made it; UTC where no offset is given.",
    ),
    optional(
        "updated_at",
        Shape::Form(Form::DateTime),
        "When the producer changed it; UTC where no offset is given.",
    ),
    optional("metadata", Shape::Free, "Free object, passed to porch as it is."),
];

pub(super) fn judge(document: &Json, policy: Policy) -> Result<Intent, Refusal> {
    check(&Shape::Object(FIELDS), document, "", policy)?;
    let field = |name: &str| document.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    let optional_text = |name: &str| document.get(name).and_then(Json::as_str).map(str::to_owned);
    let kind = match field("intent_type").as_str() {
        "scaling" => Kind::Scaling,
        "deployment" => Kind::Deployment,
        "service" => Kind::Service,
        _ => Kind::Configuration,
    };
    let replicas = document.get("replicas").and_then(Json::as_u64).and_then(|n| u32::try_from(n).ok());
    if kind == Kind::Scaling && replicas.is_none() {
        return Err(missing("", "replicas"));
    }
    let namespace = field("namespace");
    let constraints = document.get("constraints");
    check_constraints(constraints, replicas, &namespace)?;
    let constraint = |name: &str| constraints?.get(name)?.as_str().map(str::to_owned);
    Ok(Intent {
        kind,
        key: TargetKey { namespace, target: field("target") },
        replicas,
        priority: priority_of(document.get("priority")),
        correlation_id: optional_text("correlation_id"),
        reason: optional_text("reason"),
        source: optional_text("source").filter(|source| !source.is_empty()),
        timeout_secs: optional_text("timeout").and_then(|t| text::timeout_secs(&t)),
        package: constraint("kpt_package_name"),
        repository: constraint("porch_repository"),
        expected_replicas: constraints
            .and_then(|constraints| constraints.get("expected_replicas")?.as_u64())
            .and_then(|number| u32::try_from(number).ok()),
    })
}

/// Checks the producer's own limits against the requested values; a schema cannot compare two fields.
fn check_constraints(
    constraints: Option<&Json>,
    replicas: Option<u32>,
    namespace: &str,
) -> Result<(), Refusal> {
    let Some(constraints) = constraints else { return Ok(()) };
    let bound = |name: &str| constraints.get(name).and_then(Json::as_u64);
    let contradiction = |pointer: &str, found: String, expected: String| {
        Err(Refusal::new(Code::Contradiction, pointer, &found, &expected))
    };
    let (low, high) = (bound("min_replicas"), bound("max_replicas"));
    if let (Some(low), Some(high)) = (low, high)
        && low > high
    {
        let found = format!("min_replicas {low} above max_replicas {high}");
        return contradiction(
            "/constraints/min_replicas",
            found,
            "min_replicas not above max_replicas".to_owned(),
        );
    }
    if let Some(replicas) = replicas.map(u64::from)
        && (low.is_some_and(|low| replicas < low) || high.is_some_and(|high| replicas > high))
    {
        let expected = format!("{} to {} as constraints say", low.unwrap_or(0), high.unwrap_or(100));
        return contradiction("/replicas", replicas.to_string(), expected);
    }
    if let Some(Json::List(allowed)) = constraints.get("allowed_namespaces")
        && !allowed.iter().any(|name| name.as_str() == Some(namespace))
    {
        let expected = "a namespace that constraints.allowed_namespaces lists".to_owned();
        return contradiction("/namespace", format!("'{namespace}'"), expected);
    }
    Ok(())
}
