//! Transactions that came before their turn: bounded, nothing promised. The journal has them too.

use crate::engine::Included;
use alloy_consensus::Transaction;
use cortado_types::{Address, B256, TimestampMs};
use std::collections::BTreeMap;
use thiserror::Error;

/// Transactions that wait for a nonce, of all senders together.
pub const QUEUED_MAX: usize = 4_096;
/// Of one sender: as many as a wallet that fires without waiting has under way.
pub const QUEUED_PER_SENDER_MAX: usize = 64;
/// Bytes of all of them.
pub const QUEUED_BYTES_MAX: usize = 32 << 20;
/// One that waited this long is forgotten, ms.
pub const QUEUED_MS_MAX: u64 = 10 * 60 * 1000;
/// How much more than the one that waits a transaction with the same nonce must offer to take its turn, %:
/// what Ethereum's pools ask.
pub const REPLACEMENT_BUMP_PERCENT: u128 = 10;

/// Why a transaction cannot wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum QueueError {
    /// Another of its sender waits with this nonce, and it does not offer [`REPLACEMENT_BUMP_PERCENT`] more.
    #[error("another transaction waits with this nonce")]
    Taken,
    /// [`QUEUED_MAX`], [`QUEUED_PER_SENDER_MAX`] or [`QUEUED_BYTES_MAX`].
    #[error("no room to wait in")]
    NoRoom,
}

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
    /// Keeps a transaction until its turn. Gives the one it takes the turn from: nothing is promised of
    /// what waits, so a better offer with the same nonce replaces it.
    ///
    /// # Errors
    /// [`QueueError`]; nothing has changed then.
    pub fn insert(
        &mut self,
        included: Included,
        now: TimestampMs,
    ) -> Result<Option<Included>, QueueError> {
        let key = (included.transaction.signer(), included.transaction.nonce());
        let known = self.waiting.get(&key);
        if let Some(known) = known {
            if known.hash == included.hash() {
                return Ok(None);
            }
            if !outbids(&included, &known.included) {
                return Err(QueueError::Taken);
            }
        }
        let freed = known.map_or(0, |known| known.included.raw.len());
        let of_sender = self.waiting.range((key.0, 0)..=(key.0, u64::MAX)).count();
        let full = self.waiting.len() >= QUEUED_MAX || of_sender >= QUEUED_PER_SENDER_MAX;
        if (full && known.is_none()) || self.bytes - freed + included.raw.len() > QUEUED_BYTES_MAX {
            return Err(QueueError::NoRoom);
        }
        let replaced = self.remove(key);
        self.bytes += included.raw.len();
        let waiting = Waiting {
            hash: included.hash(),
            included,
            since: now,
        };
        self.waiting.insert(key, waiting);
        Ok(replaced)
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

    /// What waits, by sender and nonce.
    pub fn iter(&self) -> impl Iterator<Item = &Included> {
        self.waiting.values().map(|waiting| &waiting.included)
    }

    /// Takes out what waited too long.
    pub fn expire(&mut self, now: TimestampMs) -> Vec<Included> {
        let old: Vec<_> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| now.since(waiting.since) > QUEUED_MS_MAX)
            .map(|(key, _)| *key)
            .collect();
        old.into_iter().filter_map(|key| self.remove(key)).collect()
    }
}

/// Whether `one` offers enough more than `other` in both fees.
fn outbids(one: &Included, other: &Included) -> bool {
    let fees = |included: &Included| {
        let (cap, tip) = (
            included.transaction.max_fee_per_gas(),
            included.transaction.max_priority_fee_per_gas(),
        );
        [cap, tip.unwrap_or(cap)]
    };
    let enough = |(one, other): (u128, u128)| {
        // Not in percents of one wei.
        one > other
            && one.saturating_mul(100) >= other.saturating_mul(100 + REPLACEMENT_BUMP_PERCENT)
    };
    fees(one).into_iter().zip(fees(other)).all(enough)
}
