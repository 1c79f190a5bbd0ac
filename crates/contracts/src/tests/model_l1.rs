//! An L1 in memory that is as nasty as allowed: it forgets, reorgs, loses answers and raises fees.

use crate::rpc::{Head, L1, Receipt, Request, RpcError};
use alloy_consensus::{Transaction, TxEnvelope};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use futures::future::BoxFuture;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// What may go wrong, in chances of a hundred at each occasion.
#[derive(Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) lose_answer: u64,
    pub(crate) forget: u64,
    pub(crate) reorg: u64,
    /// Reorged transactions are thrown away instead of going back to the pool.
    pub(crate) discard: u64,
    pub(crate) spike: u64,
}

pub(crate) struct State {
    random: u64,
    pub(crate) faults: Faults,
    pub(crate) base_fee: u64,
    pub(crate) reorg_depth_max: u64,
    blocks: Vec<Vec<TxEnvelope>>,
    forks: u64,
    pub(crate) pool: BTreeMap<u64, TxEnvelope>,
    /// All that was ever handed over.
    pub(crate) sent: usize,
}

impl State {
    fn roll(&mut self, percent: u64) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % 100 < percent
    }

    fn nonce(&self) -> u64 {
        self.blocks.iter().map(|block| block.len() as u64).sum()
    }

    /// How often a call with this input is in the chain.
    pub(crate) fn executed(&self, input: &[u8]) -> usize {
        let all = self.blocks.iter().flatten();
        all.filter(|tx| (**tx).input()[..] == *input).count()
    }

    fn head(&self) -> Head {
        let number = self.blocks.len() as u64;
        Head {
            number,
            hash: keccak256((number << 32 | self.forks).to_be_bytes()),
            timestamp: number * 12,
            base_fee: self.base_fee,
        }
    }

    /// One block, after what may go wrong.
    pub(crate) fn step(&mut self) {
        if self.roll(self.faults.spike) {
            self.base_fee = (self.base_fee * 3).min(100_000_000_000);
        } else {
            self.base_fee = (self.base_fee * 7 / 8).max(1_000_000_000);
        }
        if self.roll(self.faults.reorg) {
            let depth = 1 + self.random % self.reorg_depth_max.max(1);
            self.reorg(depth);
        }
        if self.roll(self.faults.forget) {
            self.pool.clear();
        }
        let next = self.nonce();
        let fits = |tx: &TxEnvelope| tx.max_fee_per_gas() >= u128::from(self.base_fee);
        let block = match self.pool.get(&next).is_some_and(fits) {
            true => self.pool.remove(&next).into_iter().collect(),
            false => Vec::new(),
        };
        self.blocks.push(block);
    }

    pub(crate) fn reorg(&mut self, depth: u64) {
        self.forks += 1;
        for _ in 0..depth {
            let gone = self.blocks.pop().unwrap_or_default();
            for tx in gone {
                if !self.roll(self.faults.discard) {
                    self.pool.insert(tx.nonce(), tx);
                }
            }
        }
    }

    fn take(&mut self, raw: &[u8]) -> Result<B256, RpcError> {
        let refused = |message: &str| {
            Err(RpcError::Refused {
                method: "eth_sendRawTransaction",
                code: -32_000,
                message: message.to_owned(),
            })
        };
        let tx = TxEnvelope::decode_2718(&mut &raw[..]).expect("a transaction");
        self.sent += 1;
        if tx.nonce() < self.nonce() {
            return refused("nonce too low");
        }
        if let Some(known) = self.pool.get(&tx.nonce()) {
            if known.tx_hash() == tx.tx_hash() {
                return refused("already known");
            }
            let enough = |new: u128, old: u128| new * 10 >= old * 11;
            let tips = |tx: &TxEnvelope| tx.max_priority_fee_per_gas().unwrap_or(0);
            if !enough(tx.max_fee_per_gas(), known.max_fee_per_gas())
                || !enough(tips(&tx), tips(known))
            {
                return refused("replacement transaction underpriced");
            }
        }
        let hash = *tx.tx_hash();
        self.pool.insert(tx.nonce(), tx);
        Ok(hash)
    }
}

/// The chain, for one account.
#[derive(Clone)]
pub(crate) struct ModelL1(pub(crate) Arc<Mutex<State>>);

impl ModelL1 {
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        Self(Arc::new(Mutex::new(State {
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            faults,
            base_fee: 1_000_000_000,
            reorg_depth_max: 1,
            blocks: Vec::new(),
            forks: 0,
            pool: BTreeMap::new(),
            sent: 0,
        })))
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    fn answer<T: Send + 'static>(
        &self,
        look: impl FnOnce(&mut State) -> Result<T, RpcError> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, RpcError>> {
        Box::pin(async move {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            self.with(|state| {
                let answer = look(state);
                let percent = state.faults.lose_answer;
                if state.roll(percent) {
                    return Err(RpcError::Transport {
                        host: "model".to_owned(),
                        reason: "the answer was lost".to_owned(),
                    });
                }
                answer
            })
        })
    }
}

impl L1 for ModelL1 {
    fn chain_id(&self) -> BoxFuture<'_, Result<u64, RpcError>> {
        Box::pin(async { Ok(1_337) })
    }
    fn head(&self) -> BoxFuture<'_, Result<Head, RpcError>> {
        self.answer(|state| Ok(state.head()))
    }
    fn nonce(&self, _: Address) -> BoxFuture<'_, Result<u64, RpcError>> {
        self.answer(|state| Ok(state.nonce()))
    }
    fn balance(&self, _: Address) -> BoxFuture<'_, Result<U256, RpcError>> {
        Box::pin(async { Ok(U256::MAX) })
    }
    fn code(&self, _: Address) -> BoxFuture<'_, Result<Bytes, RpcError>> {
        Box::pin(async { Ok(Bytes::new()) })
    }
    fn call(&self, _: Request) -> BoxFuture<'_, Result<Bytes, RpcError>> {
        Box::pin(async { Ok(Bytes::new()) })
    }
    fn estimate_gas(&self, _: Request) -> BoxFuture<'_, Result<u64, RpcError>> {
        self.answer(|_| Ok(100_000))
    }
    fn tip(&self) -> BoxFuture<'_, Result<u128, RpcError>> {
        self.answer(|_| Ok(1_000_000_000))
    }
    fn send(&self, raw: Bytes) -> BoxFuture<'_, Result<B256, RpcError>> {
        self.answer(move |state| state.take(&raw))
    }
    fn receipt(&self, hash: B256) -> BoxFuture<'_, Result<Option<Receipt>, RpcError>> {
        self.answer(move |state| {
            let found = state
                .blocks
                .iter()
                .position(|block| block.iter().any(|tx| *tx.tx_hash() == hash));
            Ok(found.map(|place| Receipt {
                block_number: place as u64 + 1,
                block_hash: B256::ZERO,
                gas_used: 50_000,
                effective_gas_price: 1,
                status: 1,
            }))
        })
    }

    fn logs(
        &self,
        _: Address,
        _: B256,
        _: (u64, u64),
    ) -> BoxFuture<'_, Result<Vec<crate::rpc::Log>, RpcError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}
