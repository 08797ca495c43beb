//! Bytes to [`Intent`] or [`Refusal`]. Both forms of an intent (flat and Kubernetes style) are declared as
//! tables in `flat` and `kube`; `shape` checks a document against a table and turns the same table into the
//! JSON Schema, so that code and schema cannot drift apart.

mod accepted;
mod flat;
mod json;
mod judgement;
mod kube;
mod policy;
mod refusal;
mod schema;
mod shape;
mod target;
#[cfg(test)]
mod tests;
pub mod text;

pub use accepted::{Intent, Kind};
pub use json::Json;
pub use judgement::{correlation_id, judge};
pub use policy::Policy;
pub use refusal::Refusal;
pub use schema::schema;
pub use target::{NotATarget, TargetKey};
