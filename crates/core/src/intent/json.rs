//! A strict reader of JSON: every choice that RFC 8259 leaves open is made here, always towards refusal. `serde_json`
//! does the lexing; this visitor adds the bounds and refuses what `serde_json` accepts (duplicate keys, arrays for
//! objects).

use super::refusal::Refusal;
use super::text;
use crate::code::Code;
use crate::limits::{DEPTH_MAX, KEY_MAX, VALUES_MAX};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// A parsed value. Numbers keep whether they were written as integers.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer token without fraction or exponent that fits into `i128`.
    Int(i128),
    /// Any other number.
    Float(f64),
    /// A string whose code points are all harmless.
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object, members in document order, keys unique.
    Map(Vec<(String, Json)>),
}

impl Json {
    /// The member `key` of an object.
    pub fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Json::Map(members) => members.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Json::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A non-negative integer.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Json::Int(n) => u64::try_from(*n).ok(),
            _ => None,
        }
    }

    /// Type and, where short, value, for refusals.
    pub(super) fn describe(&self) -> String {
        match self {
            Json::Null => "null".to_owned(),
            Json::Bool(b) => b.to_string(),
            Json::Int(n) => n.to_string(),
            Json::Float(n) => format!("the number {n:?}"),
            Json::Text(text) => format!("'{text}'"),
            Json::List(items) => format!("an array of {}", items.len()),
            Json::Map(members) => format!("an object of {}", members.len()),
        }
    }
}

/// Reads one JSON object that fills `bytes` completely.
pub(super) fn parse(bytes: &[u8]) -> Result<Json, Refusal> {
    check_encoding(bytes)?;
    // A byte order mark, as Windows editors write it. Digest, archive and porch have the bytes unchanged.
    let bytes = bytes.strip_prefix(UTF8_MARK).unwrap_or(bytes);
    check_beginning(bytes)?;
    let context = Context::default();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let seed = Value { context: &context, depth: 1 };
    let outcome = seed.deserialize(&mut reader).map_err(|error| (error, false));
    let outcome = outcome.and_then(|value| reader.end().map(|()| value).map_err(|error| (error, true)));
    match outcome {
        Ok(value) => Ok(value),
        Err((error, after_end)) => Err(match context.refusal.into_inner() {
            Some(refusal) => refusal,
            None => from_syntax(&error, after_end),
        }),
    }
}

/// U+FEFF as UTF-8.
const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";

fn whole(code: Code, found: &str, expected: &str) -> Result<(), Refusal> {
    Err(Refusal::new(code, "", found, expected))
}

/// Checks that need no JSON parser; their messages are clearer than a parser's.
fn check_encoding(bytes: &[u8]) -> Result<(), Refusal> {
    if bytes.is_empty() {
        return whole(Code::Empty, "an empty file", "a JSON object");
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return whole(Code::ByteOrderMark, "UTF-16 or UTF-32", "UTF-8");
    }
    if let Err(error) = std::str::from_utf8(bytes) {
        let at = error.valid_up_to();
        return whole(Code::NotUtf8, &format!("invalid UTF-8 at byte {at}"), "UTF-8 text");
    }
    if let Some(at) = bytes.iter().position(|b| *b == 0) {
        return whole(Code::NotUtf8, &format!("a NUL byte at byte {at}"), "UTF-8 text");
    }
    Ok(())
}

fn check_beginning(bytes: &[u8]) -> Result<(), Refusal> {
    if bytes.starts_with(UTF8_MARK) {
        return whole(Code::ByteOrderMark, "a second byte order mark", "at most one");
    }
    match bytes.iter().find(|b| !matches!(b, b' ' | b'\t' | b'\n' | b'\r')) {
        None => whole(Code::Empty, "white space only", "a JSON object"),
        Some(b'{') => Ok(()),
        Some(b'[') => whole(Code::NotAnObject, "an array", "a JSON object"),
        Some(b'"' | b'0'..=b'9' | b'-' | b't' | b'f' | b'n') => {
            whole(Code::NotAnObject, "a bare value", "a JSON object")
        }
        Some(other) => {
            let found = format!("'{}' at the beginning", char::from(*other));
            whole(Code::Syntax, &found, "a JSON object, beginning with {")
        }
    }
}

fn from_syntax(error: &serde_json::Error, after_end: bool) -> Refusal {
    let place = format!("line {} column {}", error.line(), error.column());
    if after_end {
        return Refusal::new(
            Code::SecondDocument,
            "",
            &format!("more text at {place}"),
            "one JSON object and nothing else",
        );
    }
    if error.is_eof() {
        return Refusal::new(
            Code::Incomplete,
            "",
            &format!("the end of the file at {place}"),
            "the rest of the object",
        );
    }
    let message = error.to_string();
    let what = message.split(" at line ").next().unwrap_or("a syntax error");
    Refusal::new(Code::Syntax, "", &format!("{what} at {place}"), "JSON as RFC 8259 defines it")
}

/// Shared by all visitors of one document: current position, counts so far, and the first refusal.
#[derive(Default)]
struct Context {
    path: RefCell<Vec<String>>,
    values: std::cell::Cell<usize>,
    refusal: RefCell<Option<Refusal>>,
}

impl Context {
    fn pointer(&self) -> String {
        self.path.borrow().iter().fold(String::new(), |mut pointer, step| {
            pointer.push('/');
            pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
            pointer
        })
    }

    /// Remembers the refusal and returns any error: serde's own error text is not used.
    fn refuse<E: serde::de::Error>(&self, code: Code, found: &str, expected: &str) -> E {
        let refusal = Refusal::new(code, &self.pointer(), found, expected);
        self.refusal.borrow_mut().get_or_insert(refusal);
        E::custom("refused")
    }

    fn count<E: serde::de::Error>(&self) -> Result<(), E> {
        self.values.set(self.values.get() + 1);
        if self.values.get() > VALUES_MAX {
            let found = format!("more than {VALUES_MAX} values");
            return Err(self.refuse(Code::TooManyValues, &found, "an intent of reasonable size"));
        }
        Ok(())
    }

    fn check_text<E: serde::de::Error>(&self, value: &str) -> Result<(), E> {
        match text::suspicious(value) {
            None => Ok(()),
            Some(c) => Err(self.refuse(
                Code::SuspiciousCharacter,
                &format!("U+{:04X}", u32::from(c)),
                "text without control characters other than tab and line breaks, bidirectional overrides and isolates, private-use characters and noncharacters",
            )),
        }
    }
}

#[derive(Clone, Copy)]
struct Value<'c> {
    context: &'c Context,
    depth: usize,
}

impl Value<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth > DEPTH_MAX {
            let found = format!("more than {DEPTH_MAX} levels");
            return Err(self.context.refuse(Code::TooDeep, &found, "flatter content"));
        }
        Ok(Self { context: self.context, depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Json;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Json, D::Error> {
        self.context.count()?;
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Int(i128::from(value)))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Int(i128::from(value)))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Float(value))
    }
    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Json, E> {
        self.context.check_text(value)?;
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        loop {
            self.context.path.borrow_mut().push(items.len().to_string());
            let item = seq.next_element_seed(inner)?;
            self.context.path.borrow_mut().pop();
            match item {
                Some(item) => items.push(item),
                None => return Ok(Json::List(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let inner = self.deeper()?;
        let mut members: Vec<(String, Json)> = Vec::new();
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            self.context.path.borrow_mut().push(key.clone());
            self.context.check_text::<A::Error>(&key)?;
            if key.chars().count() > KEY_MAX {
                return Err(self.context.refuse(
                    Code::TooLong,
                    "a long key",
                    "a key of at most 256 characters",
                ));
            }
            if !seen.insert(key.clone()) {
                return Err(self.context.refuse(
                    Code::DuplicateKey,
                    "the key a second time",
                    "each key once",
                ));
            }
            let value = map.next_value_seed(inner)?;
            self.context.path.borrow_mut().pop();
            members.push((key, value));
        }
        Ok(Json::Map(members))
    }
    fn visit_none<E: serde::de::Error>(self) -> Result<Json, E> {
        Err(E::custom("unreachable in JSON"))
    }
}
