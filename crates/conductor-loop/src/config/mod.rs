//! Configuration: every setting declared once in `settings`, layered default < file < environment < flag, each value with
//! its origin, validated as a whole before use.

mod environment;
mod error;
mod file;
mod layers;
mod projected;
mod reader;
mod settings;
mod values;

pub use environment::Environment;
pub use error::ConfigError;
pub use layers::{Layers, Origin, Raw, layer};
pub use projected::Projected;
pub use settings::{SETTINGS, Setting, Takes};
pub use values::{
    Backups, Changes, Config, Confine, Egress, Endpoint, Fixed, Live, LogFormat, Mode, Period, Tls,
};

#[cfg(test)]
mod tests;
