//! Configuration: every setting declared once in `settings`, layered default < file < environment < flag, each value with
//! its origin, validated as a whole before use.

mod choices;
mod environment;
mod error;
mod file;
mod layers;
mod origin;
mod projected;
mod reader;
mod settings;
mod values;

pub use choices::{Backups, Confine, Egress, Endpoint, LogFormat, Mode, Period, Tls};
pub use environment::Environment;
pub use error::ConfigError;
pub use layers::{Layers, layer};
pub use origin::{Origin, Raw};
pub use projected::Projected;
pub use settings::{SETTINGS, Setting, Takes};
pub use values::{Changes, Config, Fixed, Live};

#[cfg(test)]
pub(crate) mod tests;
