//! What an operator may relax of the rules for intents.

/// The rules that an operator may relax; the shipped schema describes the default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Policy {
    /// Whether `replicas: 0` is accepted.
    pub allow_scale_to_zero: bool,
}
