//! House rules that run as tests: the arrows between modules, what manifests name, how code is written, what documents claim.

mod arrows;
mod circles;
mod code;
mod documents;
mod faces;
mod kubernetes;
mod manifests;
mod policies;
mod repository;
