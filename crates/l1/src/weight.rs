//! How heavy a fork is (R9).

use crate::header::TrackedHeader;

/// What each header adds to every fork it is on. Of two forks the one with the greater sum above the
/// block where they part is heavier.
pub trait Weight {
    /// Weight of one header.
    fn of(&self, header: &TrackedHeader) -> u64;
}

/// The first rule: every block weighs one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockCount;

impl Weight for BlockCount {
    fn of(&self, _header: &TrackedHeader) -> u64 {
        1
    }
}
