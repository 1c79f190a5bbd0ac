//! Prefix sums of the live stakes: remove a pool and find the pool under a ball in `O(log m)`.

/// A Fenwick tree of `u128` sums.
#[derive(Clone, Debug)]
pub(crate) struct Fenwick {
    /// `nodes[i]` holds the sum of the values in `(i - lowbit(i), i]`, one-based; `nodes[0]` is 0.
    nodes: Vec<u128>,
    /// The greatest power of two that is at most the number of values.
    top: usize,
}

impl Fenwick {
    /// Builds the tree in linear time.
    pub(crate) fn new(values: impl ExactSizeIterator<Item = u128>) -> Self {
        let len = values.len();
        let mut nodes = vec![0; len + 1];
        for (node, value) in nodes.iter_mut().skip(1).zip(values) {
            *node = value;
        }
        for i in 1..=len {
            let parent = i + (i & i.wrapping_neg());
            if parent <= len {
                nodes[parent] += nodes[i];
            }
        }
        let top = if len == 0 { 0 } else { 1 << len.ilog2() };
        Self { nodes, top }
    }

    /// Makes this tree equal to another of the same shape without allocating.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.nodes.copy_from_slice(&other.nodes);
    }

    /// Subtracts from the value at a zero-based position.
    pub(crate) fn subtract(&mut self, position: usize, amount: u128) {
        let mut i = position + 1;
        while let Some(node) = self.nodes.get_mut(i) {
            *node -= amount;
            i += i & i.wrapping_neg();
        }
    }

    /// The zero-based position whose interval contains `ball`, and the sum before it.
    ///
    /// `ball` must be below the total; positions of value zero own no ball and are never found.
    pub(crate) fn find(&self, ball: u128) -> (usize, u128) {
        let mut position = 0;
        let mut rest = ball;
        let mut step = self.top;
        while step > 0 {
            if let Some(&node) = self.nodes.get(position + step)
                && node <= rest
            {
                position += step;
                rest -= node;
            }
            step >>= 1;
        }
        (position, ball - rest)
    }
}
