//! Which pending lane blocks connect, what they do, and what of them stands when the chain or L1 moved.

use super::*;
use crate::engine::Applied;

impl Engine {
    /// The executed block and derivation's place below layer `index`; `None` if it does not connect.
    pub(super) fn base(&self, index: usize) -> Option<(Arc<ExecutedBlock>, Cursor)> {
        let mut parent = None;
        let mut place = None;
        for layer in self.layers.range(..index).rev() {
            let Run::Done(done) = &layer.run else {
                return None;
            };
            let Done { block, cursor, .. } = done.as_ref();
            place.get_or_insert_with(|| cursor.clone());
            if let Some(block) = block {
                parent = Some(block.clone());
                break;
            }
        }
        let parent = parent.unwrap_or_else(|| self.head());
        Some((
            parent,
            place.unwrap_or_else(|| self.timeline.cursor().clone()),
        ))
    }

    /// Hash and number of the lane block below layer `index`.
    fn below(&self, index: usize) -> (Option<B256>, Height) {
        match index
            .checked_sub(1)
            .and_then(|below| self.layers.get(below))
        {
            Some(layer) => (layer.sealed, layer.header.height),
            None => (Some(self.status.tip.hash), self.status.tip.height),
        }
    }

    /// Executes every layer that connects and is not executed.
    pub(in crate::engine) fn advance(&mut self) {
        // What they build on is final and not derived yet.
        if !self.waiting.is_empty() {
            return;
        }
        for index in 0..self.layers.len() {
            if !matches!(self.layers[index].run, Run::Waiting) {
                continue;
            }
            let (below, height) = self.below(index);
            let header = &self.layers[index].header;
            if below != Some(header.parent) || height.next() != Some(header.height) {
                return;
            }
            // Its proposer saw the pointer move there in a final block that has not come here yet.
            if !self.knows(&header.context) {
                return;
            }
            let Some((parent, cursor)) = self.base(index) else {
                return;
            };
            match self.execute_layer(index, parent, cursor) {
                Ok(true) => {}
                // What L1 queued is not known here yet.
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(%error, height = %height, "a pending lane block does not execute");
                    return;
                }
            }
        }
    }

    fn execute_layer(
        &mut self,
        index: usize,
        parent: Arc<ExecutedBlock>,
        cursor: Cursor,
    ) -> Result<bool, BuildError> {
        let layer = &mut self.layers[index];
        let body = layer.body();
        let (fork, params) = (self.timeline.fork(), &self.spec.params);
        let derived = derive_lane(&cursor, &layer.header, &body, fork, &Ethereum, params);
        let Ok((cursor, mut input)) = derived else {
            return Ok(false);
        };
        let context_on_fork = fork.contains(&layer.header.context) == Some(true);
        let (mut builder, mut skipped) = (None, Vec::new());
        let transactions = std::mem::take(&mut input.transactions);
        if !input.imports.is_empty() || !transactions.is_empty() {
            let started = execute::begin(&self.spec.chain, &parent, &input, layer.signer)?;
            let builder = builder.insert(started);
            for derived in &transactions {
                let included = &layer.transactions[derived.index];
                if let Err(rejection) = builder.push(&included.transaction) {
                    skipped.push(Skipped {
                        index: derived.index,
                        reason: rejection.to_string(),
                    });
                }
            }
        }
        layer.run = Run::Open(Box::new(Open {
            builder,
            input,
            cursor,
            skipped,
            parent,
            context_on_fork,
        }));
        if layer.sealed.is_some() {
            finish(layer)?;
        }
        Ok(true)
    }

    /// Transactions of pending lane blocks that have no effect on this fork of L1, in order, with
    /// reasons.
    pub fn pending_fallen(&self) -> Vec<(Included, String)> {
        self.layers.iter().flat_map(Layer::fallen).collect()
    }

    /// Puts a lane block on top that was made before: its transactions are executed as far as the
    /// present fork of L1 lets them.
    pub fn adopt_lane(&mut self, header: LaneHeader, signer: Address, transactions: Vec<Included>) {
        let bytes = transactions.iter().map(|tx| tx.raw.length()).sum::<usize>();
        self.layers.push_back(Layer {
            header,
            sealed: None,
            signer,
            transactions,
            bytes: BODY_FRAME_BYTES + bytes,
            run: Run::Waiting,
        });
        self.advance();
    }

    /// Takes the lane blocks that are final now from the bottom, and sees whether the others stand.
    pub(in crate::engine) fn settle_layers(&mut self, applied: &Applied) {
        // Another L1, or another L2 below: everything pending is executed again.
        let derivation = &applied.derivation;
        let mut stands = applied.left.is_none() && derivation.reorg.is_none();
        let adopted = |hash: &B256| {
            let mut lanes = derivation.lanes.iter();
            lanes.any(|lane| lane.hash == *hash && lane.adopted)
        };
        for hash in &applied.included {
            let front = self.layers.front().and_then(|layer| layer.sealed);
            if front == Some(*hash) {
                self.layers.pop_front();
                stands &= adopted(hash);
            } else {
                stands = false;
            }
        }
        if !stands {
            for layer in &mut self.layers {
                layer.run = Run::Waiting;
            }
        }
        self.advance();
    }

    /// Forgets sealed lane blocks at or below the finalised tip: they are final, or dead. For those
    /// who follow a proposer; the proposer itself still has their transactions to place.
    pub fn drop_passed(&mut self) {
        let height = self.status.tip.height;
        let passed = |layer: &Layer| layer.sealed.is_some() && layer.header.height <= height;
        while self.layers.front().is_some_and(passed) {
            self.layers.pop_front();
        }
        self.advance();
    }

    /// Whether the oldest pending lane block still follows the finalised tip.
    pub fn pending_connects(&self) -> bool {
        self.layers
            .front()
            .is_none_or(|layer| layer.header.parent == self.status.tip.hash)
    }
}
