//! `cargo xtask cluster up|down|test`: a whole Kubernetes of one node on this machine, from Debian's packages and the Go module
//! proxy, in namespaces of its own without any way out. Its first process holds all others: they end with it.

mod boot;
mod command;
mod groups;
mod image;
mod inside;
mod instances;
mod keys;
mod lifecycle;
mod node;
mod parts;
mod place;
mod plane;
mod refusals;
mod restored;
mod steps;
mod stop;
mod work;

pub(crate) use command::run;
