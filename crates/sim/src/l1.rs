//! An L1 that grows wherever the story wants it to.

use crate::{
    model::Call,
    setup::{NAMESPACES, l1_header},
};
use alloy_rlp::{Decodable, RlpDecodable, RlpEncodable};
use cortado_derive::Entry;
use cortado_types::{B256, Bytes, L1Ref, keccak256};
use rand::{Rng, rngs::StdRng};
use std::collections::BTreeMap;

/// Accounts of each rollup.
pub(crate) const ACCOUNTS: usize = 4;
/// Gas of L1→L2 entries in one L2 block: two or three of those that the stories queue.
pub(crate) const IMPORT_GAS: u64 = 100;

pub(crate) struct L1Block {
    pub(crate) at: L1Ref,
    pub(crate) parent: usize,
    pub(crate) raw: Bytes,
    /// Which branch it was grown on, for its name.
    branch: usize,
    /// What it queued, by rollup.
    pub(crate) calls: [Vec<Call>; NAMESPACES.len()],
}

/// A credit on its way through a queue.
#[derive(RlpEncodable, RlpDecodable)]
struct Credit {
    id: u64,
    to: u64,
    amount: u64,
}

/// All blocks there are, shown to the chain or not; the first is the anchor.
pub(crate) struct L1 {
    pub(crate) blocks: Vec<L1Block>,
    index: BTreeMap<B256, usize>,
    branches: usize,
    calls: u64,
}

impl L1 {
    pub(crate) fn new(at: L1Ref, raw: Bytes) -> Self {
        let anchor = L1Block {
            at,
            parent: 0,
            raw,
            branch: 0,
            calls: Default::default(),
        };
        Self {
            blocks: vec![anchor],
            index: BTreeMap::from([(at.hash, 0)]),
            branches: 1,
            calls: 0,
        }
    }

    /// Grows `count` blocks on `parent`: on its branch if it is the end of one.
    pub(crate) fn grow(&mut self, rng: &mut StdRng, parent: usize, count: u64) -> Vec<usize> {
        let is_end = !self
            .blocks
            .iter()
            .skip(1)
            .any(|block| block.parent == parent);
        let branch = if is_end {
            self.blocks[parent].branch
        } else {
            self.branches += 1;
            self.branches - 1
        };
        let mut parent = parent;
        let mut grown = Vec::new();
        for _ in 0..count {
            let L1Ref { number, hash } = self.blocks[parent].at;
            let raw = l1_header(hash, number + 1, branch as u64);
            let at = L1Ref {
                number: number + 1,
                hash: keccak256(&raw),
            };
            let calls = NAMESPACES.map(|_| self.some_calls(rng));
            self.index.insert(at.hash, self.blocks.len());
            self.blocks.push(L1Block {
                at,
                parent,
                raw,
                branch,
                calls,
            });
            parent = self.blocks.len() - 1;
            grown.push(parent);
        }
        grown
    }

    fn some_calls(&mut self, rng: &mut StdRng) -> Vec<Call> {
        if rng.random_bool(0.9) {
            return Vec::new();
        }
        let first = self.calls;
        self.calls += rng.random_range(1..4u64);
        let call = |id| Call {
            id,
            to: rng.random_range(0..ACCOUNTS),
            amount: rng.random_range(1..100),
            // One above the limit goes alone.
            gas: *[20, 40, 60, 130].get(rng.random_range(0..4)).unwrap_or(&20),
        };
        (first..self.calls).map(call).collect()
    }

    pub(crate) fn at(&self, block: usize) -> L1Ref {
        self.blocks[block].at
    }

    pub(crate) fn find(&self, hash: &B256) -> Option<usize> {
        self.index.get(hash).copied()
    }

    /// The block or its ancestor with this number, which is not below the anchor's.
    pub(crate) fn ancestor(&self, block: usize, number: u64) -> usize {
        let mut at = block;
        while self.blocks[at].at.number > number {
            at = self.blocks[at].parent;
        }
        at
    }

    pub(crate) fn is_ancestor(&self, one: usize, other: usize) -> bool {
        self.ancestor(other, self.blocks[one].at.number) == one
    }

    /// The highest block that is an ancestor of both or one of them.
    pub(crate) fn parting(&self, one: usize, other: usize) -> usize {
        let mut at = one;
        while !self.is_ancestor(at, other) {
            at = self.blocks[at].parent;
        }
        at
    }

    /// Blocks after `from`, an ancestor, up to `to`.
    pub(crate) fn between(&self, from: usize, to: usize) -> Vec<usize> {
        let mut path = Vec::new();
        let mut at = to;
        while at != from {
            path.push(at);
            at = self.blocks[at].parent;
        }
        path.reverse();
        path
    }

    /// What a block queued for rollup `rollup`, as derivation is told.
    pub(crate) fn entries(&self, block: usize, rollup: usize) -> Vec<Entry> {
        let at = self.blocks[block].at;
        let entry = |(log_index, call): (u64, &Call)| Entry {
            block: at,
            log_index,
            gas: call.gas,
            payload: alloy_rlp::encode(Credit {
                id: call.id,
                to: call.to as u64,
                amount: call.amount,
            })
            .into(),
        };
        (0..)
            .zip(&self.blocks[block].calls[rollup])
            .map(entry)
            .collect()
    }

    /// A branch's letter and the height above the anchor.
    pub(crate) fn name(&self, hash: &B256) -> String {
        let Some(block) = self.find(hash) else {
            return format!("{}?", &hash.to_string()[..8]);
        };
        let L1Block { at, branch, .. } = &self.blocks[block];
        let letter = char::from(b'a' + (branch % 26) as u8);
        format!("{letter}{}", at.number - self.blocks[0].at.number)
    }
}

/// Account, amount and number of a queued call.
pub(crate) fn credit(entry: &Entry) -> Call {
    let credit = Credit::decode(&mut &entry.payload[..]).expect("queued by the story");
    Call {
        id: credit.id,
        to: credit.to as usize,
        amount: credit.amount,
        gas: entry.gas,
    }
}
