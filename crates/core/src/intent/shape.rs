//! The little language in which both intent forms are declared, and the check of a document against it.
//! `schema` renders the same declarations as JSON Schema.

use super::json::Json;
use super::policy::Policy;
use super::refusal::Refusal;
use super::text;
use crate::code::Code;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// The required form of a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// Text of `min..=max` characters; line breaks are allowed.
    Text { min: usize, max: usize },
    /// A name or a quantity of `min..=max` characters: one line, no invisible characters.
    Line { min: usize, max: usize },
    /// Any JSON number.
    Number,
    /// A number of the first shape or text of the second.
    NumberOrText { number: &'static Shape, text: &'static Shape },
    /// Text of a named form.
    Form(Form),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// An integer token within the range.
    Int { min: i64, max: i64 },
    /// A number of replicas: 1 to 100, and 0 where the operator allows it.
    Replicas,
    /// Any JSON value; object keys must differ by more than case.
    Any,
    /// An object of any content.
    Free,
    /// A field that Kubernetes adds to an object: any JSON value, never read.
    Ignored,
    /// An object with exactly these fields.
    Object(&'static [Field]),
    /// An object with keys of a form and values of a shape.
    Map { key: Option<Form>, value: &'static Shape },
    /// An array of at most `max` items.
    List { item: &'static Shape, max: usize },
}

/// A member of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) required: bool,
    pub(super) about: &'static str,
}

/// A field that may be absent; `null` counts as absent.
pub(super) const fn optional(name: &'static str, shape: Shape, about: &'static str) -> Field {
    Field { name, shape, required: false, about }
}

/// A field that must be present.
pub(super) const fn required(name: &'static str, shape: Shape, about: &'static str) -> Field {
    Field { name, shape, required: true, about }
}

/// Named forms of text: a check in code and a pattern for the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Label,
    Subdomain,
    CorrelationId,
    LabelKey,
    LabelValue,
    PortName,
    ApiVersion,
    Timeout,
    DateTime,
}

impl Form {
    pub(super) fn accepts(self, value: &str) -> bool {
        match self {
            Form::Label => text::is_label(value),
            Form::Subdomain => text::is_subdomain(value),
            Form::CorrelationId => text::is_correlation_id(value),
            Form::LabelKey => text::is_label_key(value),
            Form::LabelValue => text::is_label_value(value),
            Form::PortName => text::is_port_name(value),
            Form::ApiVersion => text::is_api_version(value),
            Form::Timeout => text::timeout_secs(value).is_some(),
            Form::DateTime => text::is_date_time(value),
        }
    }

    pub(super) fn expected(self) -> &'static str {
        match self {
            Form::Label => "an RFC 1123 label: 1 to 63 of a-z, 0-9 and -, alphanumeric at both ends",
            Form::Subdomain => {
                "an RFC 1123 name: labels of a-z, 0-9 and - joined by dots, at most 253 characters"
            }
            Form::CorrelationId => "1 to 64 of letters, digits, dot, underscore, colon, slash and hyphen",
            Form::LabelKey => "a Kubernetes label key: [prefix/]name",
            Form::LabelValue => "a Kubernetes label value: at most 63 of letters, digits, -, _ and .",
            Form::PortName => "a port's name: at most 15 of a-z, 0-9 and -, with a letter",
            Form::ApiVersion => "an API version such as v1 or example.com/v1beta1",
            Form::Timeout => "a time such as 30s, 5m or 1h (1s to 9999s, 1m to 99m)",
            Form::DateTime => {
                "an RFC 3339 time of a day that exists, such as 2024-08-15T10:30:00Z (UTC where no offset is given)"
            }
        }
    }
}

/// The most replicas that an intent may ask for (the specification's bound); no setting raises it.
const REPLICAS_MAX: i64 = 100;

/// Checks `value` against `shape`; `pointer` is the value's position.
pub(super) fn check(shape: &Shape, value: &Json, pointer: &str, policy: Policy) -> Result<(), Refusal> {
    match shape {
        Shape::Replicas => replicas(value, pointer, policy),
        Shape::Text { min, max } => length(value, *min..=*max, pointer),
        Shape::Line { min, max } => {
            length(value, *min..=*max, pointer)?;
            match value.as_str().and_then(text::not_in_a_line) {
                None => Ok(()),
                Some(c) => {
                    let found = format!("U+{:04X}", u32::from(c));
                    let expected = "one line without invisible characters";
                    Err(Refusal::new(Code::SuspiciousCharacter, pointer, &found, expected))
                }
            }
        }
        Shape::Number => match value {
            Json::Int(_) | Json::Float(_) => Ok(()),
            other => Err(Refusal::new(Code::WrongType, pointer, &other.describe(), "a number")),
        },
        Shape::NumberOrText { number, text } => {
            let is_number = matches!(value, Json::Int(_) | Json::Float(_));
            check(if is_number { number } else { text }, value, pointer, policy)
        }
        Shape::Form(form) => {
            if form.accepts(string(value, pointer, form.expected())?) {
                Ok(())
            } else {
                Err(Refusal::new(Code::BadIdentifier, pointer, &value.describe(), form.expected()))
            }
        }
        Shape::OneOf(words) => {
            let expected = format!("one of {}", quoted(words));
            if words.contains(&string(value, pointer, &expected)?) {
                Ok(())
            } else {
                Err(Refusal::new(Code::NotAllowed, pointer, &value.describe(), &expected))
            }
        }
        Shape::Int { min, max } => integer(value, *min, *max, pointer),
        Shape::Ignored => Ok(()),
        Shape::Any => check_free(value, pointer),
        Shape::Free => {
            members(value, pointer)?;
            check_free(value, pointer)
        }
        Shape::Object(fields) => object(fields, value, pointer, policy),
        Shape::Map { key, value: inner } => {
            for (name, member) in members(value, pointer)? {
                let at = join(pointer, name);
                if let Some(form) = key.filter(|form| !form.accepts(name)) {
                    return Err(Refusal::new(
                        Code::BadIdentifier,
                        &at,
                        &format!("the key '{name}'"),
                        form.expected(),
                    ));
                }
                if *member != Json::Null {
                    check(inner, member, &at, policy)?;
                }
            }
            Ok(())
        }
        Shape::List { item, max } => list(&ListOf { item, max: *max }, value, pointer, policy),
    }
}

fn string<'v>(value: &'v Json, pointer: &str, expected: &str) -> Result<&'v str, Refusal> {
    value.as_str().ok_or_else(|| Refusal::new(Code::WrongType, pointer, &value.describe(), expected))
}

fn length(value: &Json, allowed: RangeInclusive<usize>, pointer: &str) -> Result<(), Refusal> {
    let length = string(value, pointer, "a string")?.chars().count();
    if allowed.contains(&length) {
        return Ok(());
    }
    let expected = format!("{} to {} characters", allowed.start(), allowed.end());
    Err(Refusal::new(Code::TooLong, pointer, &format!("{length} characters"), &expected))
}

fn members<'v>(value: &'v Json, pointer: &str) -> Result<&'v [(String, Json)], Refusal> {
    match value {
        Json::Map(members) => Ok(members),
        other => Err(Refusal::new(Code::WrongType, pointer, &other.describe(), "an object")),
    }
}

fn replicas(value: &Json, pointer: &str, policy: Policy) -> Result<(), Refusal> {
    let refused = integer(value, i64::from(!policy.allow_scale_to_zero), REPLICAS_MAX, pointer);
    refused.map_err(|mut refusal| {
        if let Json::Int(number) = value {
            let why = if *number == 0 { "; 0 needs --allow-scale-to-zero" } else { ", for every daemon" };
            refusal.expected.push_str(why);
        }
        refusal
    })
}

fn integer(value: &Json, min: i64, max: i64, pointer: &str) -> Result<(), Refusal> {
    let expected = format!("an integer from {min} to {max}");
    match value {
        Json::Int(n) if (i128::from(min)..=i128::from(max)).contains(n) => Ok(()),
        Json::Int(n) => Err(Refusal::new(Code::OutOfRange, pointer, &n.to_string(), &expected)),
        other => Err(Refusal::new(Code::WrongType, pointer, &other.describe(), &expected)),
    }
}

/// The permitted items of a list.
struct ListOf<'s> {
    item: &'s Shape,
    max: usize,
}

fn list(of: &ListOf<'_>, value: &Json, pointer: &str, policy: Policy) -> Result<(), Refusal> {
    let ListOf { item, max } = *of;
    let Json::List(items) = value else {
        return Err(Refusal::new(Code::WrongType, pointer, &value.describe(), "an array"));
    };
    if items.len() > max {
        let expected = format!("at most {max} items");
        return Err(Refusal::new(Code::TooLong, pointer, &format!("{} items", items.len()), &expected));
    }
    items
        .iter()
        .enumerate()
        .try_for_each(|(i, member)| check(item, member, &join(pointer, &i.to_string()), policy))
}

fn object(fields: &[Field], value: &Json, pointer: &str, policy: Policy) -> Result<(), Refusal> {
    let present = members(value, pointer)?;
    for (name, member) in present {
        let at = join(pointer, name);
        if let Some(field) = fields.iter().find(|field| field.name == name) {
            // Python and Go producers write unknown values as null.
            if field.required || *member != Json::Null {
                check(&field.shape, member, &at, policy)?;
            }
        } else {
            let known: Vec<&str> = fields.iter().map(|field| field.name).collect();
            let expected = format!("one of the known fields: {}", known.join(", "));
            return Err(Refusal::new(
                Code::UnknownField,
                &at,
                &format!("the unknown field '{name}'"),
                &expected,
            ));
        }
    }
    for field in fields.iter().filter(|field| field.required) {
        if !present.iter().any(|(name, _)| name == field.name) {
            return Err(missing(pointer, field.name));
        }
    }
    Ok(())
}

/// The refusal for an absent field.
pub(super) fn missing(pointer: &str, name: &str) -> Refusal {
    let expected = format!("the field '{name}'");
    Refusal::new(Code::MissingField, &join(pointer, name), "nothing", &expected)
}

/// Free content is passed on to porch, whose parser may fold case (Go's does): keys that differ only by case would have
/// one meaning here and another there (threat A15).
fn check_free(value: &Json, pointer: &str) -> Result<(), Refusal> {
    match value {
        Json::Map(members) => {
            let mut folded = BTreeSet::new();
            for (name, member) in members {
                let at = join(pointer, name);
                if !folded.insert(name.to_lowercase()) {
                    let found = format!("the key '{name}' beside one that differs only by case");
                    return Err(Refusal::new(
                        Code::DuplicateKey,
                        &at,
                        &found,
                        "keys that differ by more than case",
                    ));
                }
                check_free(member, &at)?;
            }
            Ok(())
        }
        Json::List(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(i, item)| check_free(item, &join(pointer, &i.to_string()))),
        _ => Ok(()),
    }
}

/// Appends one step to a JSON pointer.
pub(super) fn join(pointer: &str, step: &str) -> String {
    format!("{pointer}/{}", step.replace('~', "~0").replace('/', "~1"))
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ")
}
