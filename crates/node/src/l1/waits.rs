//! What does not go on, and why, in words.

use cortado_types::{B256, L1Ref};
use std::time::Duration;
use tokio::time::Instant;

/// What the seats were told and the chain has not taken, since when.
#[derive(Clone, Copy, Debug)]
struct Since {
    block: L1Ref,
    at: Instant,
}

impl Since {
    /// The clock starts anew with another block.
    fn update(since: &mut Option<Self>, block: Option<L1Ref>) {
        if since.map(|since| since.block) != block {
            let at = Instant::now();
            *since = block.map(|block| Self { block, at });
        }
    }
}

/// What a watcher waits for.
#[derive(Debug)]
pub(super) struct Waits {
    patience: Duration,
    /// Told up to the first of them, of the second.
    pub(super) catching_up: Option<(u64, u64)>,
    pub(super) held_back: Option<String>,
    /// Times of the first untaken header and of its parent, seconds, if it is not the later of them.
    pub(super) not_later: Option<(u64, u64)>,
    untaken: Option<Since>,
    finality: Option<Since>,
}

impl Waits {
    /// With L1 slots of `slot_ms`: what was told a slot ago is worth a word.
    pub(super) fn new(slot_ms: u64) -> Self {
        Self {
            patience: Duration::from_millis(slot_ms),
            catching_up: None,
            held_back: None,
            not_later: None,
            untaken: None,
            finality: None,
        }
    }

    /// There is nothing to wait for.
    pub(super) fn clear(&mut self) {
        *self = Self {
            patience: self.patience,
            catching_up: None,
            held_back: None,
            not_later: None,
            untaken: None,
            finality: None,
        };
    }

    /// The first header that was told and that the chain has not taken.
    pub(super) fn untaken(&mut self, block: Option<L1Ref>) {
        Since::update(&mut self.untaken, block);
    }

    /// The finalised block that was told and is above `L1fin`.
    pub(super) fn finality(&mut self, block: Option<L1Ref>) {
        Since::update(&mut self.finality, block);
    }

    /// A finalised block is not told, for `other`.
    pub(super) fn hold_back(&mut self, number: u64, endpoint: &str, hash: B256, other: &str) {
        self.held_back = Some(format!(
            "finality of block {number} held back: {endpoint} says {hash}, {other}"
        ));
    }

    /// All of it, as of now.
    pub(super) fn words(&self) -> Vec<String> {
        let long = |since: &&Since| since.at.elapsed() > self.patience;
        let untaken = self
            .untaken
            .as_ref()
            .filter(long)
            .map(|Since { block, .. }| {
                let L1Ref { number, hash } = block;
                match self.not_later {
                    Some((time, parent)) => format!(
                        "header {number} ({hash}) has time {time} s and its parent {parent} s: the chain takes only what is later than its parent"
                    ),
                    None => format!(
                        "header {number} ({hash}) is told and not yet certified by a quorum"
                    ),
                }
            });
        let finality = self
            .finality
            .as_ref()
            .filter(long)
            .map(|Since { block, .. }| {
                let L1Ref { number, hash } = block;
                format!(
                    "finality of block {number} ({hash}) is told and not yet certified by a quorum"
                )
            });
        let catching_up = self
            .catching_up
            .map(|(told, of)| format!("L1 node catches up: told to {told} of {of}"));
        let held_back = self.held_back.clone();
        catching_up
            .into_iter()
            .chain(untaken)
            .chain(held_back)
            .chain(finality)
            .collect()
    }
}
