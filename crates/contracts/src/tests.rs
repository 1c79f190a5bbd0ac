//! The contracts' real code, executed.
#![allow(clippy::unwrap_used)]

mod evidence;
mod genesis;
mod model;

pub(crate) mod support;
mod vectors;
