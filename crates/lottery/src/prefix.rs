//! Prefix sums of the live stakes: remove a pool, and find the pool under a ball.

#[cfg(test)]
mod tests;

/// Children of a node. A draw removes many pools and finds one, so the tree is wide: with 32, up
/// to 2^15 pools need two subtractions to remove and about fifty additions to find, about a
/// quarter of a binary (Fenwick) tree's work in a whole slot.
const WIDTH: usize = 32;

/// A tree of `u128` sums.
#[derive(Clone, Debug)]
pub(crate) struct Prefix {
    /// The values first, then the sums of [`WIDTH`] neighbours each, up to a level that fits one
    /// node.
    levels: Vec<Vec<u128>>,
}

impl Prefix {
    /// Builds the tree in linear time.
    pub(crate) fn new(values: Vec<u128>) -> Self {
        let mut levels = vec![values];
        while levels[levels.len() - 1].len() > WIDTH {
            let below = &levels[levels.len() - 1];
            levels.push(below.chunks(WIDTH).map(|node| node.iter().sum()).collect());
        }
        Self { levels }
    }

    /// Makes this tree equal to another of the same shape without allocating.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        for (level, other) in self.levels.iter_mut().zip(&other.levels) {
            level.copy_from_slice(other);
        }
    }

    /// Sets the value at a position to zero and returns what it was: one look at a position that
    /// is zero already, which is most of them in a draw.
    pub(crate) fn take(&mut self, position: usize) -> u128 {
        let (values, sums) = self
            .levels
            .split_first_mut()
            .expect("there is a first level");
        let amount = core::mem::take(&mut values[position]);
        if amount > 0 {
            let mut at = position;
            for level in sums {
                at /= WIDTH;
                level[at] -= amount;
            }
        }
        amount
    }

    /// The position whose interval contains `ball`, and the sum before it.
    ///
    /// `ball` must be below the total; positions of value zero own no ball and are never found.
    pub(crate) fn find(&self, ball: u128) -> (usize, u128) {
        let mut first = 0;
        let mut rest = ball;
        for level in self.levels.iter().rev() {
            let mut at = first;
            while rest >= level[at] {
                rest -= level[at];
                at += 1;
            }
            first = at * WIDTH;
        }
        (first / WIDTH, ball - rest)
    }
}
