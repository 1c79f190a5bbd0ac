//! Polled filters: bounded in number, in entries and in the time they stay unpolled. Pure; the
//! time comes as an argument.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_primitives::{B256, U256};
use alloy_rpc_types_eth::{Filter, Log};
use cortado_evm::BlockRecord;

use crate::convert;
use crate::error::RpcError;
use crate::limits::{FILTER_ENTRIES_MAX, FILTER_IDLE_MS_MAX};

/// What a filter gathers.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Hashes of new blocks.
    Blocks,
    /// Hashes of pooled transactions.
    Transactions,
    /// Logs, removed ones included.
    Logs(Box<Filter>),
}

/// What a poll returns.
#[derive(Debug, Clone, PartialEq)]
pub enum Changes {
    /// Hashes of blocks or transactions.
    Hashes(Vec<B256>),
    /// Logs.
    Logs(Vec<Log>),
}

impl Changes {
    fn len(&self) -> usize {
        match self {
            Self::Hashes(hashes) => hashes.len(),
            Self::Logs(logs) => logs.len(),
        }
    }
}

#[derive(Debug)]
struct Entry {
    kind: Kind,
    gathered: Changes,
    polled_ms: u64,
}

/// All the filters of one server.
///
/// - There are never more than `max` filters, and none gathers more than [`FILTER_ENTRIES_MAX`].
/// - A filter unpolled for [`FILTER_IDLE_MS_MAX`] is gone.
#[derive(Debug)]
pub struct Filters {
    max: usize,
    entries: BTreeMap<U256, Entry>,
}

impl Filters {
    /// No filters, and room for `max`.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            entries: BTreeMap::new(),
        }
    }

    /// Adds a filter under an id that the caller drew at random.
    ///
    /// # Errors
    /// When there is no room.
    pub fn add(&mut self, id: U256, kind: Kind, now_ms: u64) -> Result<(), RpcError> {
        self.expire(now_ms);
        if self.entries.len() >= self.max {
            return Err(RpcError::LimitExceeded {
                what: "number of filters",
                value: self.entries.len() as u64 + 1,
                limit: self.max as u64,
            });
        }
        let gathered = Self::nothing(&kind);
        self.entries.insert(
            id,
            Entry {
                kind,
                gathered,
                polled_ms: now_ms,
            },
        );
        Ok(())
    }

    /// Removes a filter; whether there was one.
    pub fn remove(&mut self, id: U256) -> bool {
        self.entries.remove(&id).is_some()
    }

    /// What a filter gathered since the last poll.
    ///
    /// # Errors
    /// When there is no such filter (any more).
    pub fn poll(&mut self, id: U256, now_ms: u64) -> Result<Changes, RpcError> {
        self.expire(now_ms);
        let entry = self.entries.get_mut(&id).ok_or_else(not_found)?;
        entry.polled_ms = now_ms;
        let nothing = Self::nothing(&entry.kind);
        Ok(std::mem::replace(&mut entry.gathered, nothing))
    }

    /// The log filter behind an id.
    ///
    /// # Errors
    /// When there is no such filter, or it is not about logs.
    pub fn log_filter(&mut self, id: U256, now_ms: u64) -> Result<Filter, RpcError> {
        self.expire(now_ms);
        match self.entries.get_mut(&id) {
            Some(Entry {
                kind: Kind::Logs(filter),
                polled_ms,
                ..
            }) => {
                *polled_ms = now_ms;
                Ok((**filter).clone())
            }
            _ => Err(not_found()),
        }
    }

    /// `latest` moved.
    pub fn moved(&mut self, removed: &[Arc<BlockRecord>], added: &[Arc<BlockRecord>]) {
        self.gather(|kind, gathered| match (kind, gathered) {
            (Kind::Blocks, Changes::Hashes(hashes)) => {
                hashes.extend(added.iter().map(|block| block.hash()));
            }
            (Kind::Logs(filter), Changes::Logs(logs)) => {
                logs.extend(convert::moved_logs(removed, added, filter));
            }
            _ => {}
        });
    }

    /// A transaction was pooled.
    pub fn pooled(&mut self, hash: B256) {
        self.gather(|kind, gathered| {
            if let (Kind::Transactions, Changes::Hashes(hashes)) = (kind, gathered) {
                hashes.push(hash);
            }
        });
    }

    /// Events were lost: every filter would be incomplete, so none survives.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// How many filters there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no filter.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn gather(&mut self, add: impl Fn(&Kind, &mut Changes)) {
        self.entries.retain(|_, entry| {
            add(&entry.kind, &mut entry.gathered);
            entry.gathered.len() <= FILTER_ENTRIES_MAX
        });
    }

    fn expire(&mut self, now_ms: u64) {
        self.entries
            .retain(|_, entry| now_ms.saturating_sub(entry.polled_ms) <= FILTER_IDLE_MS_MAX);
    }

    fn nothing(kind: &Kind) -> Changes {
        match kind {
            Kind::Blocks | Kind::Transactions => Changes::Hashes(Vec::new()),
            Kind::Logs(_) => Changes::Logs(Vec::new()),
        }
    }
}

fn not_found() -> RpcError {
    RpcError::Refused("filter not found".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> U256 {
        U256::from(n)
    }

    #[test]
    fn a_filter_returns_each_hash_once() {
        let mut filters = Filters::new(2);
        filters.add(id(1), Kind::Transactions, 0).expect("room");
        filters.pooled(B256::repeat_byte(1));
        let first = filters.poll(id(1), 1).expect("known");
        assert_eq!(first, Changes::Hashes(vec![B256::repeat_byte(1)]));
        assert_eq!(
            filters.poll(id(1), 2).expect("known"),
            Changes::Hashes(vec![])
        );
    }

    #[test]
    fn filters_beyond_the_limit_are_refused_until_one_goes() {
        let mut filters = Filters::new(1);
        filters.add(id(1), Kind::Blocks, 0).expect("room");
        let error = filters
            .add(id(2), Kind::Blocks, 0)
            .expect_err("full")
            .to_string();
        assert_eq!(error, "number of filters 2 exceeds the limit of 1");
        assert!(filters.remove(id(1)));
        filters.add(id(2), Kind::Blocks, 0).expect("room again");
    }

    #[test]
    fn a_filter_nobody_polls_makes_room() {
        let mut filters = Filters::new(1);
        filters.add(id(1), Kind::Blocks, 0).expect("room");
        filters
            .add(id(2), Kind::Blocks, FILTER_IDLE_MS_MAX + 1)
            .expect("the first expired");
        assert!(filters.poll(id(1), FILTER_IDLE_MS_MAX + 1).is_err());
    }

    #[test]
    fn a_filter_that_overflows_is_gone_rather_than_partial() {
        let mut filters = Filters::new(1);
        filters.add(id(1), Kind::Transactions, 0).expect("room");
        for _ in 0..FILTER_ENTRIES_MAX {
            filters.pooled(B256::ZERO);
        }
        assert_eq!(filters.len(), 1);
        filters.pooled(B256::ZERO);
        assert!(filters.poll(id(1), 1).is_err());
    }
}
