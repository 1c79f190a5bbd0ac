//! Transactions that wait for a block. Pure.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use alloy_consensus::transaction::Recovered;
use alloy_consensus::{Signed, Transaction, TxEip4844Variant, TxEnvelope, Typed2718};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_primitives::{Address, B256, U256};
use cortado_ethrpc::SubmitError;
use cortado_evm::spec::HARDFORK;
use cortado_evm::{
    BlockBuilder, ChainSpec, ExecutedBlock, TX_GAS_LIMIT_MAX, TxRejection, WorldState,
    recover_signer,
};
use revm::context_interface::cfg::gas::calculate_initial_tx_gas;
use revm::primitives::eip3860::MAX_INITCODE_SIZE;

/// Transactions in the pool.
pub const POOL_TRANSACTIONS_MAX: usize = 16_384;

/// Bytes of all transactions in the pool: what bounds its memory.
pub const POOL_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Transactions of one sender, so that none fills the pool alone.
pub const POOL_PER_SENDER_MAX: usize = 1_024;

/// How far a nonce may be ahead of the sender's next one; what waits behind a gap is a guess.
pub const NONCE_AHEAD_MAX: u64 = 1_024;

/// A replacement pays at least this much more, in percent, on tip and fee cap: else replacing
/// would be a free way to make nodes work.
pub const REPLACEMENT_BUMP_PERCENT: u128 = 10;

/// A signed transaction as it came, with its sender; a blob transaction loses its sidecar, which
/// nobody here samples.
///
/// # Errors
/// When it does not decode, has bytes left over, or nobody can have signed it.
pub fn decode(raw: &[u8]) -> Result<Recovered<TxEnvelope>, SubmitError> {
    let mut rest = raw;
    let tx = TxEnvelope::decode_2718(&mut rest)
        .map_err(|error| SubmitError::Undecodable(error.to_string()))?;
    if !rest.is_empty() {
        return Err(SubmitError::Undecodable(format!(
            "{} bytes left over",
            rest.len()
        )));
    }
    let sender =
        recover_signer(&tx).map_err(|error| SubmitError::InvalidSender(error.to_string()))?;
    Ok(Recovered::new_unchecked(without_sidecar(tx), sender))
}

fn without_sidecar(tx: TxEnvelope) -> TxEnvelope {
    match tx {
        TxEnvelope::Eip4844(signed) => {
            let (tx, signature, hash) = signed.into_parts();
            let bare = TxEip4844Variant::TxEip4844(tx.tx().clone());
            TxEnvelope::Eip4844(Signed::new_unchecked(bare, signature, hash))
        }
        other => other,
    }
}

#[derive(Debug, Clone)]
struct Pooled {
    tx: Arc<Recovered<TxEnvelope>>,
    bytes: usize,
    /// Order of arrival: among equal tips the older goes first.
    sequence: u64,
}

/// Transactions by sender and nonce.
///
/// - `by_hash` names exactly the transactions of `by_sender`, and `bytes` is their size.
/// - No limit of this module is exceeded.
#[derive(Debug, Default)]
pub struct Pool {
    by_sender: BTreeMap<Address, BTreeMap<u64, Pooled>>,
    by_hash: BTreeMap<B256, (Address, u64)>,
    bytes: usize,
    sequence: u64,
}

impl Pool {
    /// How many transactions wait.
    pub fn len(&self) -> usize {
        self.by_hash.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.by_hash.is_empty()
    }

    /// A waiting transaction.
    pub fn get(&self, hash: &B256) -> Option<Arc<Recovered<TxEnvelope>>> {
        let (sender, nonce) = self.by_hash.get(hash)?;
        Some(self.by_sender.get(sender)?.get(nonce)?.tx.clone())
    }

    /// The nonce after `next` and all that waits from there without a gap.
    pub fn next_nonce(&self, sender: &Address, next: u64) -> u64 {
        let Some(waiting) = self.by_sender.get(sender) else {
            return next;
        };
        let run = waiting
            .range(next..)
            .zip(next..)
            .take_while(|((have, _), want)| *have == want);
        next + run.count() as u64
    }

    /// Takes a transaction after checking it against the head. Returns the hashes of what had to
    /// go for it.
    ///
    /// # Errors
    /// Why it is not taken; the pool is as before then.
    pub fn add(
        &mut self,
        tx: Recovered<TxEnvelope>,
        spec: &ChainSpec,
        head: &ExecutedBlock,
    ) -> Result<Vec<B256>, SubmitError> {
        if self.by_hash.contains_key(tx.tx_hash()) {
            return Err(SubmitError::AlreadyKnown);
        }
        check(&tx, spec, head)?;
        let sender = tx.signer();
        let mut gone = Vec::new();
        match self
            .by_sender
            .get(&sender)
            .and_then(|waiting| waiting.get(&tx.nonce()))
        {
            Some(old) => {
                if !replaces(&tx, &old.tx) {
                    return Err(SubmitError::ReplacementUnderpriced);
                }
                gone.push(*old.tx.tx_hash());
            }
            None => {
                if self.by_sender.get(&sender).map_or(0, BTreeMap::len) >= POOL_PER_SENDER_MAX {
                    return Err(SubmitError::PoolFull);
                }
                let size = tx.encode_2718_len();
                if self.len() >= POOL_TRANSACTIONS_MAX || self.bytes + size > POOL_BYTES_MAX {
                    let victim = self.cheaper_than(&tx, head).ok_or(SubmitError::PoolFull)?;
                    let freed = self.get(&victim).map_or(0, |tx| tx.encode_2718_len());
                    if self.bytes - freed + size > POOL_BYTES_MAX {
                        return Err(SubmitError::PoolFull);
                    }
                    gone.push(victim);
                }
            }
        }
        for hash in &gone {
            self.remove(hash);
        }
        self.insert(Arc::new(tx));
        Ok(gone)
    }

    /// Takes back transactions of blocks that are no longer canonical. They were valid once, so
    /// only a place taken meanwhile or a full pool keeps one out.
    pub fn take_back(&mut self, sender: Address, tx: &TxEnvelope) {
        let taken = self
            .by_sender
            .get(&sender)
            .is_some_and(|own| own.contains_key(&tx.nonce()));
        let full = self.len() >= POOL_TRANSACTIONS_MAX
            || self.bytes + tx.encode_2718_len() > POOL_BYTES_MAX;
        if !taken && !full {
            self.insert(Arc::new(Recovered::new_unchecked(tx.clone(), sender)));
        }
    }

    /// Drops what the state has passed.
    pub fn prune(&mut self, state: &WorldState) {
        let mut stale = Vec::new();
        for (sender, waiting) in &self.by_sender {
            let nonce = state.account(sender).map_or(0, |account| account.nonce);
            stale.extend(
                waiting
                    .range(..nonce)
                    .map(|(_, pooled)| *pooled.tx.tx_hash()),
            );
        }
        for hash in stale {
            self.remove(&hash);
        }
    }

    /// Removes a transaction; whether it was there.
    pub fn remove(&mut self, hash: &B256) -> bool {
        let Some((sender, nonce)) = self.by_hash.remove(hash) else {
            return false;
        };
        if let Some(waiting) = self.by_sender.get_mut(&sender) {
            if let Some(pooled) = waiting.remove(&nonce) {
                self.bytes -= pooled.bytes;
            }
            if waiting.is_empty() {
                self.by_sender.remove(&sender);
            }
        }
        true
    }

    /// What can be executed on a state at a base fee, as a snapshot that needs no lock.
    pub fn ready(&self, state: &WorldState, base_fee: u64) -> Ready {
        let mut queues = BTreeMap::new();
        for (sender, waiting) in &self.by_sender {
            let next = state.account(sender).map_or(0, |account| account.nonce);
            let run = waiting
                .range(next..)
                .zip(next..)
                .take_while(|((have, _), want)| *have == want);
            let mut queue: Vec<Pooled> = run.map(|((_, pooled), _)| pooled.clone()).collect();
            queue.reverse();
            if !queue.is_empty() {
                queues.insert(*sender, queue);
            }
        }
        Ready { queues, base_fee }
    }

    fn insert(&mut self, tx: Arc<Recovered<TxEnvelope>>) {
        let bytes = tx.encode_2718_len();
        self.sequence += 1;
        self.bytes += bytes;
        self.by_hash
            .insert(*tx.tx_hash(), (tx.signer(), tx.nonce()));
        let waiting = self.by_sender.entry(tx.signer()).or_default();
        waiting.insert(
            tx.nonce(),
            Pooled {
                bytes,
                sequence: self.sequence,
                tx,
            },
        );
    }

    /// What a full pool drops for a transaction that pays more: the cheapest last transaction of
    /// a sender, preferring those that wait behind a gap. `None` if nothing is cheaper.
    fn cheaper_than(&self, tx: &Recovered<TxEnvelope>, head: &ExecutedBlock) -> Option<B256> {
        let base_fee = head.header.base_fee_per_gas.unwrap_or(0);
        let tip = |tx: &Recovered<TxEnvelope>| tx.effective_tip_per_gas(base_fee).unwrap_or(0);
        let last_of_each = self
            .by_sender
            .iter()
            .filter(|(sender, _)| **sender != tx.signer());
        let victim = last_of_each
            .filter_map(|(sender, waiting)| {
                let (nonce, pooled) = waiting.last_key_value()?;
                let next = head
                    .state
                    .account(sender)
                    .map_or(0, |account| account.nonce);
                let behind_gap = self.next_nonce(sender, next) <= *nonce;
                Some((
                    !behind_gap,
                    tip(&pooled.tx),
                    Reverse(pooled.sequence),
                    *pooled.tx.tx_hash(),
                ))
            })
            .min()?;
        let (executable, price, _, hash) = victim;
        (!executable || price < tip(tx)).then_some(hash)
    }
}

/// Executable transactions: for each sender those without a gap, the next one last.
#[derive(Debug)]
pub struct Ready {
    queues: BTreeMap<Address, Vec<Pooled>>,
    base_fee: u64,
}

impl Ready {
    /// Fills a block: the best effective tip first, each sender in nonce order. Returns the hashes
    /// of transactions that turned out invalid and have to leave the pool.
    pub fn fill(mut self, builder: &mut BlockBuilder) -> Vec<B256> {
        let mut best: BinaryHeap<_> = self
            .queues
            .iter()
            .filter_map(|(sender, queue)| self.rank(*sender, queue))
            .collect();
        let mut invalid = Vec::new();
        while let Some((_, _, sender)) = best.pop() {
            let Some(queue) = self.queues.get_mut(&sender) else {
                continue;
            };
            let Some(pooled) = queue.pop() else { continue };
            match builder.push(&pooled.tx) {
                Ok(_) => {
                    let queue = &self.queues[&sender];
                    best.extend(self.rank(sender, queue));
                }
                // No room in this block, or too cheap for it: it waits, and so does what follows.
                Err(
                    TxRejection::BlockGasExhausted { .. }
                    | TxRejection::BlockBlobsExhausted { .. }
                    | TxRejection::FeeBelowBaseFee { .. }
                    | TxRejection::BlobFeeTooLow { .. },
                ) => {}
                Err(_) => invalid.push(*pooled.tx.tx_hash()),
            }
        }
        invalid
    }

    /// How good a sender's next transaction is; `None` if it cannot pay the base fee.
    fn rank(&self, sender: Address, queue: &[Pooled]) -> Option<(u128, Reverse<u64>, Address)> {
        let next = queue.last()?;
        let tip = next.tx.effective_tip_per_gas(self.base_fee)?;
        Some((tip, Reverse(next.sequence), sender))
    }
}

fn replaces(new: &TxEnvelope, old: &TxEnvelope) -> bool {
    let bumped =
        |price: u128| price.saturating_add((price * REPLACEMENT_BUMP_PERCENT / 100).max(1));
    let tip = |tx: &TxEnvelope| {
        tx.max_priority_fee_per_gas()
            .unwrap_or(tx.max_fee_per_gas())
    };
    new.max_fee_per_gas() >= bumped(old.max_fee_per_gas()) && tip(new) >= bumped(tip(old))
}

/// Everything that can be known of a transaction without executing it.
fn check(
    tx: &Recovered<TxEnvelope>,
    spec: &ChainSpec,
    head: &ExecutedBlock,
) -> Result<(), SubmitError> {
    match tx.chain_id() {
        Some(have) if have != spec.chain_id => {
            return Err(SubmitError::WrongChainId {
                have,
                want: spec.chain_id,
            });
        }
        Some(_) => {}
        None => {
            return Err(SubmitError::Other(
                "only replay-protected (EIP-155) transactions allowed over RPC".to_owned(),
            ));
        }
    }
    if tx.is_eip4844() && !spec.blobs {
        return Err(SubmitError::TypeNotSupported(tx.ty()));
    }
    let limit = head.header.gas_limit.min(TX_GAS_LIMIT_MAX);
    if tx.gas_limit() > limit {
        return Err(SubmitError::ExceedsGasLimit {
            have: tx.gas_limit(),
            limit,
        });
    }
    if tx.is_create() && tx.input().len() > MAX_INITCODE_SIZE {
        let (size, limit) = (tx.input().len(), MAX_INITCODE_SIZE);
        return Err(SubmitError::InitcodeTooLarge { size, limit });
    }
    let (tip, cap) = (
        tx.max_priority_fee_per_gas().unwrap_or(0),
        tx.max_fee_per_gas(),
    );
    if tip > cap {
        return Err(SubmitError::TipAboveFeeCap { tip, cap });
    }
    if cap == 0 {
        return Err(SubmitError::Underpriced { have: 0, want: 1 });
    }
    let want = intrinsic_gas(tx);
    if tx.gas_limit() < want {
        return Err(SubmitError::IntrinsicGasTooLow {
            have: tx.gas_limit(),
            want,
        });
    }
    let account = head.state.account(&tx.signer());
    let (nonce, balance) = account.map_or((0, U256::ZERO), |own| (own.nonce, own.balance));
    if tx.nonce() < nonce {
        return Err(SubmitError::NonceTooLow {
            expected: nonce,
            nonce: tx.nonce(),
        });
    }
    if tx.nonce() - nonce > NONCE_AHEAD_MAX {
        return Err(SubmitError::NonceTooHigh {
            expected: nonce,
            nonce: tx.nonce(),
        });
    }
    let code = head.state.code_at(&tx.signer());
    if !code.is_empty() && !code.starts_with(&[0xef, 0x01, 0x00]) {
        return Err(SubmitError::SenderNotEoa);
    }
    let want = cost(tx);
    if want > balance {
        return Err(SubmitError::InsufficientFunds {
            have: balance,
            want,
        });
    }
    Ok(())
}

/// The most a transaction can take from its sender, in wei.
fn cost(tx: &TxEnvelope) -> U256 {
    let gas = U256::from(tx.gas_limit()).saturating_mul(U256::from(tx.max_fee_per_gas()));
    let blob_fee = U256::from(tx.max_fee_per_blob_gas().unwrap_or(0));
    let blobs = U256::from(tx.blob_gas_used().unwrap_or(0)).saturating_mul(blob_fee);
    gas.saturating_add(blobs).saturating_add(tx.value())
}

/// Gas before the first opcode, or the calldata floor (EIP-7623) if that is more.
fn intrinsic_gas(tx: &TxEnvelope) -> u64 {
    let list = tx.access_list();
    let gas = calculate_initial_tx_gas(
        HARDFORK,
        tx.input(),
        tx.is_create(),
        list.map_or(0, |list| list.len() as u64),
        list.map_or(0, |list| {
            list.iter().map(|item| item.storage_keys.len() as u64).sum()
        }),
        tx.authorization_list().map_or(0, |list| list.len() as u64),
        None,
    );
    gas.initial_regular_gas
        .saturating_add(gas.initial_state_gas)
        .max(gas.floor_gas)
}

#[cfg(test)]
mod tests;
