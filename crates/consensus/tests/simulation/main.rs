//! Stories of a simulated world: the production code on a network, a clock and disks that obey.

mod common;
mod evidence;
mod faults;
mod forks;
mod lanes;
mod power;
mod progress;
mod terms;
