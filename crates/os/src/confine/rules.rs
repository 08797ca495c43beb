//! Filters of system calls, put together from rules.

use super::without::Without;
use libc::c_long;
use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use std::collections::BTreeMap;

/// The rules of each call, of which one must hold; none: the call is meant whatever its arguments are.
pub(super) type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

fn broken(error: &dyn std::fmt::Display) -> Without {
    Without::Missing(format!("seccomp: {error}"))
}

/// A condition on the lower half of an argument: every argument that is tested here is an `int`.
pub(super) fn condition(argument: u8, op: SeccompCmpOp, value: u64) -> Result<SeccompCondition, Without> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, op, value).map_err(|error| broken(&error))
}

/// The rule that holds when all conditions do.
pub(super) fn all(conditions: Vec<SeccompCondition>) -> Result<SeccompRule, Without> {
    SeccompRule::new(conditions).map_err(|error| broken(&error))
}

/// The rule that holds when the argument is this number.
pub(super) fn is(argument: u8, value: u64) -> Result<SeccompRule, Without> {
    all(vec![condition(argument, SeccompCmpOp::Eq, value)?])
}

/// A filter that does one thing with the calls of these rules, and another with all others. A call through the interface
/// of another architecture ends the process.
pub(super) fn program(
    rules: Rules,
    meant: SeccompAction,
    others: SeccompAction,
) -> Result<BpfProgram, Without> {
    let arch = std::env::consts::ARCH.try_into().map_err(|error| broken(&error))?;
    let filter = SeccompFilter::new(rules, others, meant, arch);
    filter.and_then(TryInto::try_into).map_err(|error| broken(&error))
}

/// What became of a filter that was put on.
pub(super) fn applied(result: Result<(), Error>) -> Result<(), Without> {
    result.map_err(|error| match &error {
        Error::Prctl(system) | Error::Seccomp(system) => Without::of("seccomp", system),
        other => Without::Refused(format!("seccomp: {other}")),
    })
}
