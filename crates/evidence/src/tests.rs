//! What is evidence, what is none, and who made a fork.

mod model;
mod rules;
mod votes;
mod world;
