//! Transactions that came before their turn: bounded, in memory, nothing promised.

use crate::engine::Included;
use alloy_consensus::Transaction;
use cortado_types::{Address, B256, TimestampMs};
use std::collections::BTreeMap;

/// Transactions that wait for a nonce, of all senders together.
pub const QUEUED_MAX: usize = 4_096;
/// Of one sender: as many as a wallet that fires without waiting has under way.
pub const QUEUED_PER_SENDER_MAX: usize = 64;
/// Bytes of all of them.
pub const QUEUED_BYTES_MAX: usize = 32 << 20;
/// One that waited this long is forgotten, ms.
pub const QUEUED_MS_MAX: u64 = 10 * 60 * 1000;

#[derive(Clone, Debug)]
struct Waiting {
    included: Included,
    hash: B256,
    since: TimestampMs,
}

/// By sender and nonce.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    waiting: BTreeMap<(Address, u64), Waiting>,
    bytes: usize,
}

impl Queue {
    /// Keeps a transaction until its turn; `false` if there is no room. One with the same sender and
    /// nonce is kept instead of it: the first come stays.
    pub fn insert(&mut self, included: Included, now: TimestampMs) -> bool {
        let sender = included.transaction.signer();
        let nonce = included.transaction.nonce();
        let hash = included.hash();
        if let Some(known) = self.waiting.get(&(sender, nonce)) {
            return known.hash == hash;
        }
        let size = included.raw.len();
        let of_sender = self.waiting.range((sender, 0)..=(sender, u64::MAX)).count();
        if self.waiting.len() >= QUEUED_MAX
            || of_sender >= QUEUED_PER_SENDER_MAX
            || self.bytes + size > QUEUED_BYTES_MAX
        {
            return false;
        }
        self.bytes += size;
        self.waiting.insert(
            (sender, nonce),
            Waiting {
                included,
                hash,
                since: now,
            },
        );
        true
    }

    /// Takes the transaction of `sender` with `nonce`, and forgets those below it.
    pub fn take(&mut self, sender: Address, nonce: u64) -> Option<Included> {
        let stale: Vec<_> = self
            .waiting
            .range((sender, 0)..(sender, nonce))
            .map(|(key, _)| *key)
            .collect();
        stale.into_iter().for_each(|key| drop(self.remove(key)));
        self.remove((sender, nonce))
    }

    fn remove(&mut self, key: (Address, u64)) -> Option<Included> {
        let waiting = self.waiting.remove(&key)?;
        self.bytes -= waiting.included.raw.len();
        Some(waiting.included)
    }

    /// Forgets what waited too long.
    pub fn expire(&mut self, now: TimestampMs) {
        let old: Vec<_> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| now.since(waiting.since) > QUEUED_MS_MAX)
            .map(|(key, _)| *key)
            .collect();
        old.into_iter().for_each(|key| drop(self.remove(key)));
    }
}
