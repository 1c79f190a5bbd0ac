//! Sends transactions until they are in the chain, once, however often it is restarted.
//!
//! One transaction at a time, on purpose: an account's nonce is then a lock that the chain itself
//! keeps. Whatever happens (a node that forgets, a fee that is too low, a crash between writing and
//! sending, a reorg) the answer is another version at the same nonce, and of those the chain takes at
//! most one. Before each version the intent is asked whether it is still wanted.
//!
//! ```text
//!  wanted? ─no─▶ NotWanted
//!     │ yes                        no receipt for bump_after, or the node says underpriced
//!     ▼                            ┌──────────────────────────────┐
//!  estimate, price, sign ──▶ journal ──▶ node ──▶ wait for receipt┘
//!                                                    │
//!                          receipt gone (reorg) ◀────┴──▶ confirmations deep ──▶ Included
//! ```

mod journal;

use crate::rpc::{Head, L1, Receipt, Request, RpcError};
use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use cortado_types::ecdsa::SigningKey;
use futures::future::BoxFuture;
use journal::{Attempt, Journal, Pending};
pub use journal::{JournalError, Spent};
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use thiserror::Error;
use tokio::time::Instant;
use tracing::{debug, info, warn};

/// Most gas of a transaction (EIP-7825).
const GAS_MAX: u64 = 1 << 24;
/// Part of the estimate that is added to it: what the transaction does may depend on the block.
const GAS_MARGIN_PERCENT: u64 = 25;
/// Nodes accept a replacement at 10 % more; some round up.
const BUMP_PERCENT: u128 = 13;
/// Versions of one transaction that are remembered. With each bump above 12 % this many are a factor
/// of more than 1,000, and the fee cap comes first.
const ATTEMPTS_MAX: usize = 64;

/// How often a nonce must be found used without a receipt before it is given up: servers behind one
/// address may differ by a block.
const FOREIGN_LOOKS: u32 = 3;

/// Gas of a plain transfer.
const TRANSFER_GAS: u64 = 21_000;

/// Asks the chain whether an intent is still wanted.
pub type Wanted = Box<dyn Fn() -> BoxFuture<'static, Result<bool, RpcError>> + Send + Sync>;

/// A transaction that somebody wants in the chain.
pub struct Intent {
    /// What it is, for people and logs.
    pub label: String,
    /// Receiver; none to create a contract.
    pub to: Option<Address>,
    /// Wei sent along.
    pub value: U256,
    /// Call data, or creation code.
    pub input: Bytes,
    /// The nonce it must have, if it must have one.
    pub nonce: Option<u64>,
    /// Whether its effect is still missing; asked before each version is handed over.
    pub wanted: Wanted,
}

impl Intent {
    /// A call of a contract.
    pub fn call(label: impl Into<String>, to: Address, input: Bytes, wanted: Wanted) -> Self {
        Self {
            label: label.into(),
            to: Some(to),
            value: U256::ZERO,
            input,
            nonce: None,
            wanted,
        }
    }

    fn digest(&self) -> B256 {
        let to = self.to.map_or_else(Vec::new, |to| to.to_vec());
        let parts = [&to[..], &self.value.to_be_bytes::<32>(), &self.input].concat();
        keccak256(parts)
    }

    fn request(&self, from: Address) -> Request {
        Request {
            from,
            to: self.to,
            value: self.value,
            input: self.input.clone(),
        }
    }
}

/// What became of an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its transaction is in the chain, as deep as was asked for.
    Included {
        /// Which version.
        hash: B256,
        /// Where and how.
        receipt: Receipt,
    },
    /// The chain has its effect already, or does not want it any more.
    NotWanted,
}

/// Why an intent did not get into the chain. The journal remembers what may still get in.
#[derive(Debug, Error)]
pub enum SenderError {
    /// The node does not answer well.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The journal cannot be kept, so nothing is sent.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// It would revert, though it is wanted.
    #[error("{label} would revert: {reason}")]
    WouldRevert {
        /// Which intent.
        label: String,
        /// The contract's error.
        reason: String,
    },
    /// It is in the chain and reverted.
    #[error("{label} reverted in block {block} ({hash})")]
    Reverted {
        /// Which intent.
        label: String,
        /// The transaction.
        hash: B256,
        /// Its block.
        block: u64,
    },
    /// More gas than a transaction may use.
    #[error("{label} needs {gas} gas, a transaction may use {GAS_MAX}")]
    TooMuchGas {
        /// Which intent.
        label: String,
        /// Gas estimated.
        gas: u64,
    },
    /// The account cannot pay.
    #[error("account {account} has {balance} wei, {label} may cost {cost}: send it more")]
    Funds {
        /// The account.
        account: Address,
        /// What it has.
        balance: U256,
        /// Which intent.
        label: String,
        /// What it may cost at most.
        cost: U256,
    },
    /// The nonce that it must have is gone.
    #[error("{label} must have nonce {want} of {account}, which is at {next}")]
    NonceTaken {
        /// Which intent.
        label: String,
        /// The account.
        account: Address,
        /// The nonce it must have.
        want: u64,
        /// The account's next one.
        next: u64,
    },
}

/// How patient a sender is, and what it may pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderSettings {
    /// Blocks on top of a transaction's before it counts as included.
    pub confirmations: u64,
    /// After this long without inclusion the fee rises.
    pub bump_after: Duration,
    /// How often the chain is looked at.
    pub poll: Duration,
    /// Most wei per gas; above it, it waits.
    pub fee_max: u128,
}

impl Default for SenderSettings {
    /// Two blocks deep, three blocks' patience, at most 500 gwei.
    fn default() -> Self {
        Self {
            confirmations: 2,
            bump_after: Duration::from_secs(40),
            poll: Duration::from_secs(2),
            fee_max: 500_000_000_000,
        }
    }
}

/// Sends for one account on one chain.
pub struct Sender {
    l1: Arc<dyn L1>,
    key: SigningKey,
    chain_id: u64,
    settings: SenderSettings,
    /// Held while a transaction is under way: there is one at a time.
    turn: tokio::sync::Mutex<()>,
    journal: Mutex<Journal>,
}

/// What a look at the chain showed of the transaction under way.
enum Seen {
    Nothing,
    Mined(Attempt, Receipt),
    /// Its nonce is used, by nothing that we know.
    Foreign,
}

impl Sender {
    /// A sender with its journal at `path`. Asks the node for the chain's id.
    ///
    /// # Errors
    /// If the node does not answer, or the journal is in use, of another account or damaged.
    pub fn open(
        l1: Arc<dyn L1>,
        key: SigningKey,
        path: &Path,
        settings: SenderSettings,
    ) -> BoxFuture<'static, Result<Self, SenderError>> {
        let path = path.to_owned();
        Box::pin(async move {
            let chain_id = l1.chain_id().await?;
            let journal = Journal::open(&path, chain_id, key.address())?;
            Ok(Self {
                l1,
                key,
                chain_id,
                settings,
                turn: tokio::sync::Mutex::default(),
                journal: Mutex::new(journal),
            })
        })
    }

    /// The account that pays.
    pub fn account(&self) -> Address {
        self.key.address()
    }

    /// The chain's id.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The node it sends through.
    pub fn l1(&self) -> &Arc<dyn L1> {
        &self.l1
    }

    /// What was paid so far, over all restarts.
    pub fn spent(&self) -> Spent {
        self.lock().content.spent
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends an intent and waits until it is in the chain, or not wanted. Dropping the future stops
    /// the waiting and loses nothing: submitting the same intent again goes on where it stood, another
    /// one takes over its nonce.
    ///
    /// # Errors
    /// [`SenderError`]. One that [`RpcError::is_transient`] may pass; nothing is lost by trying again.
    pub fn submit(&self, intent: Intent) -> BoxFuture<'_, Result<Outcome, SenderError>> {
        Box::pin(async move {
            let _turn = self.turn.lock().await;
            self.run(&intent).await
        })
    }

    async fn run(&self, intent: &Intent) -> Result<Outcome, SenderError> {
        let digest = intent.digest();
        let mut waited = Instant::now();
        let mut bump = false;
        let mut strange = 0;
        loop {
            match self.look().await? {
                Seen::Mined(attempt, receipt) => {
                    if self.settled(&receipt).await? {
                        self.close(&receipt)?;
                        if attempt.digest == digest {
                            return outcome(intent, attempt.hash, receipt);
                        }
                        // An intent that was given up got in after all; its nonce is free again.
                    } else {
                        tokio::time::sleep(self.settings.poll).await;
                    }
                    continue;
                }
                Seen::Foreign if strange < FOREIGN_LOOKS => {
                    strange += 1;
                    tokio::time::sleep(self.settings.poll).await;
                    continue;
                }
                Seen::Foreign => {
                    warn!(label = %intent.label, "the nonce was used by another transaction");
                    self.forget()?;
                    strange = 0;
                    continue;
                }
                Seen::Nothing => strange = 0,
            }
            if !(intent.wanted)().await? {
                // It may be this very transaction that got in meanwhile.
                match self.look().await? {
                    Seen::Mined(attempt, _) if attempt.digest == digest => continue,
                    _ => return Ok(Outcome::NotWanted),
                }
            }
            let known = self.pending();
            if let Some(known) = &known {
                self.fill_gap(known).await?;
            }
            let last = known
                .as_ref()
                .and_then(|known| known.newest_for(digest).cloned());
            if last.is_none() || bump {
                let made = self.version(intent, known).await?;
                waited = Instant::now();
                bump = match made {
                    Some(attempt) => self.hand_over(intent, attempt).await?,
                    None => false,
                };
            } else if let Some(attempt) = last {
                // A node forgets: after a restart, a reorg, a full pool.
                bump = self.hand_over(intent, attempt).await?;
            }
            if !bump {
                tokio::time::sleep(self.settings.poll).await;
                bump = waited.elapsed() >= self.settings.bump_after;
            }
        }
    }

    fn pending(&self) -> Option<Pending> {
        self.lock().content.pending.clone()
    }

    /// What the chain has of the transaction under way.
    async fn look(&self) -> Result<Seen, SenderError> {
        let Some(pending) = self.pending() else {
            return Ok(Seen::Nothing);
        };
        let next = self.l1.nonce(self.account()).await?;
        if next <= pending.nonce {
            return Ok(Seen::Nothing);
        }
        // The newest is the likeliest.
        for attempt in pending.attempts.iter().rev() {
            if let Some(receipt) = self.l1.receipt(attempt.hash).await? {
                return Ok(Seen::Mined(attempt.clone(), receipt));
            }
        }
        // A reorg between the two questions looks like this too; then the nonce is free again.
        let again = self.l1.nonce(self.account()).await?;
        Ok(if again > pending.nonce {
            Seen::Foreign
        } else {
            Seen::Nothing
        })
    }

    async fn settled(&self, receipt: &Receipt) -> Result<bool, SenderError> {
        let head: Head = self.l1.head().await?;
        let deep = receipt
            .block_number
            .saturating_add(self.settings.confirmations);
        Ok(head.number >= deep)
    }

    /// The transaction under way is in the chain for good.
    fn close(&self, receipt: &Receipt) -> Result<(), SenderError> {
        let mut journal = self.lock();
        journal.content.pending = None;
        let spent = &mut journal.content.spent;
        spent.transactions = spent.transactions.saturating_add(1);
        spent.gas = spent.gas.saturating_add(receipt.gas_used);
        let paid = u128::from(receipt.gas_used) * u128::from(receipt.effective_gas_price);
        spent.wei = spent.wei.saturating_add(paid);
        journal.save()?;
        Ok(())
    }

    fn forget(&self) -> Result<(), SenderError> {
        let mut journal = self.lock();
        journal.content.pending = None;
        journal.save()?;
        Ok(())
    }

    /// Makes the next version and writes it down. None while the fee would be too high.
    async fn version(
        &self,
        intent: &Intent,
        known: Option<Pending>,
    ) -> Result<Option<Attempt>, SenderError> {
        let account = self.account();
        // Not the pending count: what hangs in a pool is replaced, never queued behind.
        let next = self.l1.nonce(account).await?;
        let nonce = known.as_ref().map_or(next, |known| known.nonce);
        if let Some(want) = intent.nonce.filter(|want| *want != nonce) {
            return Err(SenderError::NonceTaken {
                label: intent.label.clone(),
                account,
                want,
                next,
            });
        }
        let gas = self.gas(intent).await?;
        let last = known.as_ref().and_then(|known| known.attempts.last());
        let (max_fee, tip) = self.price(last).await?;
        if max_fee > self.settings.fee_max {
            warn!(
                label = %intent.label, max_fee, limit = self.settings.fee_max,
                "the fee is above the limit; waiting"
            );
            return Ok(None);
        }
        let cost = U256::from(max_fee) * U256::from(gas) + intent.value;
        let balance = self.l1.balance(account).await?;
        if balance < cost {
            return Err(SenderError::Funds {
                account,
                balance,
                label: intent.label.clone(),
                cost,
            });
        }
        let attempt = self.sign(intent, nonce, gas, (max_fee, tip));
        let mut attempts = known.map_or_else(Vec::new, |known| known.attempts);
        if attempts.len() >= ATTEMPTS_MAX {
            attempts.remove(0);
        }
        attempts.push(attempt.clone());
        let mut journal = self.lock();
        journal.content.pending = Some(Pending {
            nonce,
            label: intent.label.clone(),
            attempts,
        });
        journal.save()?;
        debug!(label = %intent.label, nonce, gas, max_fee, tip, hash = %attempt.hash, "signed");
        Ok(Some(attempt))
    }

    /// A deep reorg may have thrown out what came before the transaction under way, for good. Another
    /// nonce for it could mean that it gets in twice, so the gap is filled with nothing instead. If a
    /// pool still has what belongs there, it refuses this, and rightly.
    async fn fill_gap(&self, pending: &Pending) -> Result<(), SenderError> {
        let next = self.l1.nonce(self.account()).await?;
        if next >= pending.nonce {
            return Ok(());
        }
        warn!(
            next,
            nonce = pending.nonce,
            "a transaction before this one is gone from the chain"
        );
        let nothing = Intent {
            label: format!("nothing at nonce {next}"),
            to: Some(self.account()),
            value: U256::ZERO,
            input: Bytes::new(),
            nonce: Some(next),
            wanted: Box::new(|| Box::pin(async { Ok(true) })),
        };
        let (max_fee, tip) = self.price(None).await?;
        let attempt = self.sign(&nothing, next, TRANSFER_GAS, (max_fee, tip));
        self.hand_over(&nothing, attempt).await?;
        Ok(())
    }

    async fn gas(&self, intent: &Intent) -> Result<u64, SenderError> {
        let label = || intent.label.clone();
        let estimate = match self.l1.estimate_gas(intent.request(self.account())).await {
            Ok(estimate) => estimate,
            Err(RpcError::Reverted { reason, .. }) => {
                let label = label();
                return Err(SenderError::WouldRevert { label, reason });
            }
            Err(error) => return Err(error.into()),
        };
        if estimate > GAS_MAX {
            let label = label();
            return Err(SenderError::TooMuchGas {
                label,
                gas: estimate,
            });
        }
        let margin = estimate / 100 * GAS_MARGIN_PERCENT;
        Ok(estimate.saturating_add(margin).min(GAS_MAX))
    }

    /// Fee cap and tip: what the chain asks now, and enough more than the version before.
    async fn price(&self, last: Option<&Attempt>) -> Result<(u128, u128), SenderError> {
        let head = self.l1.head().await?;
        let mut tip = self.l1.tip().await?.max(1);
        // Room for the base fee to double.
        let mut max_fee = u128::from(head.base_fee)
            .saturating_mul(2)
            .saturating_add(tip);
        if let Some(last) = last {
            let raised = |fee: u128| fee.saturating_add(fee.saturating_mul(BUMP_PERCENT) / 100 + 1);
            tip = tip.max(raised(last.tip));
            max_fee = max_fee.max(raised(last.max_fee)).max(tip);
        }
        Ok((max_fee, tip))
    }

    fn sign(&self, intent: &Intent, nonce: u64, gas: u64, (max_fee, tip): (u128, u128)) -> Attempt {
        let transaction = TxEip1559 {
            chain_id: self.chain_id,
            nonce,
            gas_limit: gas,
            max_fee_per_gas: max_fee,
            max_priority_fee_per_gas: tip,
            to: intent.to.map_or(TxKind::Create, TxKind::Call),
            value: intent.value,
            input: intent.input.clone(),
            ..TxEip1559::default()
        };
        let signature = self.key.sign(transaction.signature_hash()).0;
        let signature = Signature::new(
            U256::from_be_slice(&signature[..32]),
            U256::from_be_slice(&signature[32..64]),
            signature[64] == 28,
        );
        let signed = TxEnvelope::from(transaction.into_signed(signature));
        Attempt {
            digest: intent.digest(),
            hash: *signed.tx_hash(),
            raw: signed.encoded_2718().into(),
            max_fee,
            tip,
        }
    }

    /// Hands a version to the node. Says whether a dearer one is needed at once.
    async fn hand_over(&self, intent: &Intent, attempt: Attempt) -> Result<bool, SenderError> {
        let error = match self.l1.send(attempt.raw).await {
            Ok(_) => {
                debug!(label = %intent.label, hash = %attempt.hash, "handed over");
                return Ok(false);
            }
            Err(
                RpcError::Refused { message, .. }
                | RpcError::Reverted {
                    reason: message, ..
                },
            ) => message,
            Err(error) => return Err(error.into()),
        };
        let words = error.to_lowercase();
        if words.contains("underpriced") || words.contains("fee too low") {
            return Ok(true);
        }
        // It has it, or the chain does: the next look tells. Anything else may pass.
        if !words.contains("known") && !words.contains("nonce too low") {
            warn!(label = %intent.label, hash = %attempt.hash, %error, "refused by the node");
        }
        Ok(false)
    }
}

fn outcome(intent: &Intent, hash: B256, receipt: Receipt) -> Result<Outcome, SenderError> {
    if receipt.status == 1 {
        let (block, gas) = (receipt.block_number, receipt.gas_used);
        info!(label = %intent.label, %hash, block, gas, "included");
        return Ok(Outcome::Included { hash, receipt });
    }
    Err(SenderError::Reverted {
        label: intent.label.clone(),
        hash,
        block: receipt.block_number,
    })
}
