//! The black-box cases of the Go version's test suite, run against this program. Each row states the expectation of the
//! Go tests, and whether this program agrees or differs on purpose. Both are checked: a row marked "differs" fails when
//! the expectation holds after all, so that no mark outlives its reason. docs/COMPATIBILITY.md shows the same table.

mod case;
mod command_line;
mod keeping;
mod runs;
mod table;
mod watching;
