//! Renders the declarations of `flat` and `kube` as JSON Schema (draft 2020-12). Printed by `conductor-loop schema`; the
//! committed copy is generated, and a test fails when it is stale.

use super::shape::{Field, Form, Shape};
use super::{flat, kube, text};
use serde_json::{Map, Value, json};

/// The shipped schema.
pub fn schema() -> Value {
    let kinds: Vec<Value> = kube::KINDS
        .iter()
        .map(|(name, _, fields)| {
            json!({
                "if": {"properties": {"kind": {"const": name}}},
                "then": {"properties": {"spec": or_null(&object(fields))}}
            })
        })
        .chain([json!({
            "if": {"properties": {"kind": {"const": kube::SCALING_KIND}}},
            "then": {"required": ["spec"], "properties": {"spec": needs_replicas()}}
        })])
        .collect();
    let mut flat = object(flat::FIELDS);
    if let Some(members) = flat.as_object_mut() {
        members.insert("if".to_owned(), json!({"properties": {"intent_type": {"const": "scaling"}}}));
        members.insert("then".to_owned(), needs_replicas());
    }
    let mut document = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "conductor-loop intent",
        "$comment": "Generated. Beyond this schema the daemon refuses, because they are properties of the bytes or compare two values: duplicate keys (in free objects also by case), integers written with fraction or exponent, UTF-16, a second byte order mark, a second document, over 100 levels, over 20,000 values, and constraints that contradict replicas or namespace. Times without an offset are read as UTC. `status` and what else Kubernetes adds to an object is accepted and nothing is read from it.",
        "type": "object",
        "if": {"anyOf": [{"required": ["apiVersion"]}, {"required": ["kind"]}]},
        "then": {"$ref": "#/$defs/kubernetes"},
        "else": {"$ref": "#/$defs/flat"},
        "$defs": {
            "flat": flat,
            "kubernetes": object(kube::ENVELOPE),
            "text": {"type": "string", "pattern": text::pattern()},
            "line": {"type": "string", "pattern": text::line_pattern()},
            "free": {
                "if": {"type": "string"},
                "then": {"$ref": "#/$defs/text"},
                "items": {"$ref": "#/$defs/free"},
                "additionalProperties": {"$ref": "#/$defs/free"},
                "propertyNames": {"$ref": "#/$defs/text", "maxLength": 256}
            }
        }
    });
    if let Some(kubernetes) = document.pointer_mut("/$defs/kubernetes").and_then(Value::as_object_mut) {
        kubernetes.insert("allOf".to_owned(), Value::Array(kinds));
    }
    document
}

fn object(fields: &[Field]) -> Value {
    let mut properties = Map::new();
    for field in fields {
        let mut member = if field.required { render(&field.shape) } else { or_null(&render(&field.shape)) };
        if let Some(members) = member.as_object_mut() {
            members.insert("description".to_owned(), json!(field.about));
        }
        properties.insert(field.name.to_owned(), member);
    }
    let required: Vec<&str> = fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// The schema of an optional value: `null` counts as absent.
fn or_null(schema: &Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}

/// Requires a number of replicas for scaling, in both forms; `null` does not count.
fn needs_replicas() -> Value {
    json!({"type": "object", "required": ["replicas"], "properties": {"replicas": {"type": "integer"}}})
}

fn render(shape: &Shape) -> Value {
    match shape {
        Shape::Line { min, max } => {
            json!({"$ref": "#/$defs/line", "type": "string", "minLength": min, "maxLength": max})
        }
        Shape::Number => json!({"type": "number"}),
        Shape::NumberOrText { number, text } => json!({"anyOf": [render(number), render(text)]}),
        Shape::Text { min, max } => {
            json!({"$ref": "#/$defs/text", "type": "string", "minLength": min, "maxLength": max})
        }
        Shape::Form(form) => {
            json!({"type": "string", "pattern": pattern(*form), "maxLength": max_length(*form)})
        }
        Shape::OneOf(words) => json!({"enum": words}),
        Shape::Int { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
        // 0 needs the operator's permission; the schema states the default policy.
        Shape::Replicas => json!({"type": "integer", "minimum": 1, "maximum": 100}),
        Shape::Any | Shape::Ignored => json!({"$ref": "#/$defs/free"}),
        Shape::Free => json!({"type": "object", "$ref": "#/$defs/free"}),
        Shape::Object(fields) => object(fields),
        Shape::Map { key, value } => {
            let names = match key {
                Some(form) => json!({"pattern": pattern(*form), "maxLength": max_length(*form)}),
                None => json!({"$ref": "#/$defs/text", "maxLength": 256}),
            };
            json!({"type": "object", "propertyNames": names, "additionalProperties": or_null(&render(value))})
        }
        Shape::List { item, max } => json!({"type": "array", "items": render(item), "maxItems": max}),
    }
}

const LABEL: &str = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
const QUALIFIED: &str = "[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?";

/// The valid days: months of 31 days, of 30, February, and its 29th in leap years.
const DATE: &str = "[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29";

fn pattern(form: Form) -> String {
    let subdomain = format!("{LABEL}(\\.{LABEL})*");
    match form {
        Form::Label => format!("^{LABEL}$"),
        Form::Subdomain => format!("^{subdomain}$"),
        Form::CorrelationId => "^[A-Za-z0-9._:/-]{1,64}$".to_owned(),
        Form::LabelKey => format!("^((?=[^/]{{1,253}}/){subdomain}/)?{QUALIFIED}$"),
        Form::LabelValue => format!("^({QUALIFIED})?$"),
        Form::PortName => "^(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*$".to_owned(),
        Form::ApiVersion => {
            format!("^((?=[^/]{{1,253}}/){subdomain}/)?v[1-9][0-9]{{0,3}}((alpha|beta)[1-9][0-9]{{0,3}})?$")
        }
        Form::Timeout => "^([1-9][0-9]{0,3}s|[1-9][0-9]?m|1h)$".to_owned(),
        Form::DateTime => format!(
            "^({DATE})T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{{1,9}})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?$"
        ),
    }
}

fn max_length(form: Form) -> usize {
    match form {
        Form::Label | Form::LabelValue => 63,
        Form::Subdomain => 253,
        Form::CorrelationId => 64,
        Form::PortName => 15,
        Form::LabelKey => 317,
        Form::ApiVersion => 270,
        Form::Timeout => 5,
        Form::DateTime => 40,
    }
}
