//! What this rollup executes: lines of text that set and delete keys.

use cortado_derive::{L2Input, References};
use cortado_types::{B256, Bytes, TimestampMs, keccak256, trie};
use std::collections::BTreeMap;

/// A transaction is `[@REFERENCE] set KEY VALUE` or `[@REFERENCE] delete KEY`, where the reference is
/// an L1 block hash (R11).
fn words(transaction: &Bytes) -> Vec<&str> {
    std::str::from_utf8(transaction).map_or(Vec::new(), |text| text.split_whitespace().collect())
}

/// How derivation finds the reference in this rollup's transactions.
pub struct TextReferences;

impl References for TextReferences {
    fn references(&self, transaction: &Bytes) -> Vec<B256> {
        let marked = words(transaction)
            .into_iter()
            .filter_map(|word| word.strip_prefix('@'));
        marked.filter_map(|hash| hash.parse().ok()).collect()
    }
}

/// One block of this rollup. Its hash commits to all blocks before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// Blocks before it.
    pub number: u64,
    /// Names it.
    pub hash: B256,
    /// Of the lane block it comes from.
    pub timestamp: TimestampMs,
    /// Trie over keys and values, proved as any other trie of the protocol.
    pub root: B256,
}

/// The state: a deterministic function of the inputs, so every follower has the same.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    entries: BTreeMap<String, String>,
    head: Block,
}

impl Ledger {
    /// Keys and values.
    pub fn entries(&self) -> &BTreeMap<String, String> {
        &self.entries
    }

    /// Executes what derivation made of one lane block. Returns the new block, if it yields one, and
    /// how many transactions were not valid and skipped without trace (R12).
    pub fn execute(&mut self, input: &L2Input) -> Option<(Block, usize)> {
        if !input.yields_block() {
            return None;
        }
        let mut skipped = 0;
        for transaction in &input.transactions {
            let mut words = words(&transaction.raw);
            words.retain(|word| !word.starts_with('@'));
            match words.as_slice() {
                ["set", key, value] => {
                    self.entries.insert((*key).to_owned(), (*value).to_owned());
                }
                ["delete", key] if self.entries.remove(*key).is_some() => {}
                _ => skipped += 1,
            }
        }
        let hashed = self
            .entries
            .iter()
            .map(|(key, value)| (keccak256(key), value.clone().into()));
        let root = trie::keyed_root(&hashed.collect());
        let (number, timestamp) = (self.head.number + 1, input.lane.timestamp);
        let parts = [
            self.head.hash.as_slice(),
            &number.to_be_bytes(),
            &timestamp.get().to_be_bytes(),
            input.context.hash.as_slice(),
            root.as_slice(),
        ];
        self.head = Block {
            number,
            hash: keccak256(parts.concat()),
            timestamp,
            root,
        };
        Some((self.head.clone(), skipped))
    }
}
