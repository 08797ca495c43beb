//! `top`: a live view on a terminal, redrawn each second and at each key; elsewhere printed once.

mod command;
mod keys;
mod live;
mod look;
mod picture;
mod screen;
mod state;

pub use command::top;
