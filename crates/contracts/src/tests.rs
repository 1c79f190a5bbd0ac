//! The contracts' real code, executed.
#![allow(clippy::unwrap_used)]

mod evidence;
mod genesis;
mod model;
mod model_l1;
mod sender;
mod slashing;
pub(crate) mod support;
mod vectors;
