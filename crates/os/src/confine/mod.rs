//! Restrictions that a process puts on itself and on what it starts. Landlock domains, seccomp filters and capabilities
//! belong to a thread, and each thread or program that it starts inherits them; nothing here can be taken back.

pub mod calls;
pub mod files;
pub mod limits;
pub mod process;
mod rules;
pub mod serving;
mod without;
pub mod writes;

pub use without::Without;
