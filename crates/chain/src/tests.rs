//! Blocks that apply and blocks that do not, in a small world of four seats and four namespaces.

mod blocks;
mod forks;
mod groups;
mod lanes;
mod model;
mod pointer;
mod schedules;
mod slots;
mod snapshots;
mod terms;
mod world;
