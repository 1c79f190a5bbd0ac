//! Brings headers and seats to Ethereum: keeps the light client there at most an epoch behind.
//!
//! Everything it does is decided by what the chains say now, so a restart, a reorg or another relay
//! beside it change nothing: what is there is not posted, what is gone is posted again.

mod chain;
pub mod http;
mod light;

use crate::{
    finality::update_call,
    registry::{Registry, RegistryError},
    rpc::{L1, RpcError},
    seats::SeatsError,
    sender::{Intent, Outcome, Sender, SenderError},
    staking,
};
use alloy_primitives::{Address, B256};
pub use chain::{Boundary, Certified, FinalityChain};
use cortado_client::ClientError;
use cortado_types::{Height, Term, bls::BlsError};
use futures::future::BoxFuture;
pub use light::{LightReader, LightState};
use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;
use tracing::{info, warn};

/// Why a relay did not get on. It tries again, but for [`RelayError::Stopped`].
#[derive(Debug, Error)]
pub enum RelayError {
    /// The L1 node does not answer well.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// A transaction did not get in.
    #[error(transparent)]
    Sender(#[from] SenderError),
    /// No node of the finality chain gives what is needed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The registry cannot be read.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The next seats are not in the registry.
    #[error(transparent)]
    Seats(#[from] SeatsError),
    /// A certificate that verified has no point: cannot be.
    #[error(transparent)]
    Bls(#[from] BlsError),
    /// Not deployed to its end.
    #[error("the light client at {0} has not started: deploy it with its anchor")]
    NotStarted(Address),
    /// Two certified headers for one height: more than a third of the seats lied.
    #[error("the light client at {0} has stopped: two headers of one height were certified")]
    Stopped(Address),
    /// The contract believes other seats than the chain has.
    #[error(
        "the light client believes seats {contract} of term {term}, which the chain does not have"
    )]
    OtherSeats {
        /// The contract's.
        contract: B256,
        /// Their first term.
        term: Term,
    },
    /// Seats of the past: their certificates are refused.
    #[error(
        "block {height} is of term {term}, the light client believes the seats from term {first} on: prove it from a newer header"
    )]
    Past {
        /// The block.
        height: Height,
        /// Its term.
        term: Term,
        /// First term of the contract's seats.
        first: Term,
    },
    /// The next seats come with the last header of the term only.
    #[error(
        "block {height} names other seats for the next term: only the term's last block can be posted"
    )]
    ChangesSeats {
        /// The block.
        height: Height,
    },
}

/// How a relay stands, for people and machines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RelayStatus {
    /// Newest finalised height.
    pub head: Height,
    /// Newest height known to be stored.
    pub stored: Height,
    /// Blocks between the two.
    pub lag_blocks: u64,
    /// Time between the two in registry epochs, in thousandths.
    pub lag_milliepochs: u64,
    /// First term of the seats that the contract believes.
    pub term: Term,
    /// Transactions that got in, over all restarts.
    pub transactions: u64,
    /// Gas they used.
    pub gas: u64,
    /// Wei they cost.
    pub wei: String,
    /// What is wrong, if something is.
    pub error: Option<String>,
}

/// A header that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Posted {
    /// The stored header's height: the one asked for, or the first certified one after it.
    pub height: Height,
    /// Its hash.
    pub hash: B256,
    /// The transaction that stored it; none if it was there.
    pub transaction: Option<B256>,
}

/// How often a relay posts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelaySettings {
    /// A new header is posted once the chain is this far ahead of the stored one, ms.
    pub interval_ms: u64,
    /// Whether it settles seats when stake or keys changed.
    pub settle: bool,
}

/// Relays one chain to one light client.
pub struct Relay {
    sender: Arc<Sender>,
    chain: Arc<dyn FinalityChain>,
    light: LightReader,
    registry: Registry,
    settings: RelaySettings,
    epoch_ms: u64,
    /// Newest header that this relay saw stored: a hint, checked against the contract.
    newest: Mutex<Option<(Height, B256, u64)>>,
    status: Mutex<RelayStatus>,
}

impl Relay {
    /// A relay that pays by `sender`.
    ///
    /// # Errors
    /// If the L1 node does not answer.
    pub fn open(
        sender: Arc<Sender>,
        chain: Arc<dyn FinalityChain>,
        light: Address,
        registry: Address,
        settings: RelaySettings,
    ) -> BoxFuture<'static, Result<Self, RelayError>> {
        Box::pin(async move {
            let l1: Arc<dyn L1> = sender.l1().clone();
            let registry = Registry::new(l1.clone(), registry);
            let (_, epoch) = registry.clock().await?;
            Ok(Self {
                sender,
                chain,
                light: LightReader::new(l1, light),
                registry,
                settings,
                epoch_ms: epoch.saturating_mul(1_000),
                newest: Mutex::default(),
                status: Mutex::default(),
            })
        })
    }

    /// How it stands.
    pub fn status(&self) -> RelayStatus {
        let mut status = lock(&self.status).clone();
        let spent = self.sender.spent();
        status.transactions = spent.transactions;
        status.gas = spent.gas;
        status.wei = spent.wei.to_string();
        status
    }

    /// Does whatever is due: walks terms, posts a header if the contract is too far behind, settles.
    ///
    /// # Errors
    /// [`RelayError`]; the next call goes on from what the chains say then.
    pub fn tick(&self) -> BoxFuture<'_, Result<(), RelayError>> {
        Box::pin(async {
            let done = self.advance().await;
            lock(&self.status).error = done.as_ref().err().map(ToString::to_string);
            done
        })
    }

    async fn advance(&self) -> Result<(), RelayError> {
        let head = self.chain.head().await?;
        let state = self.walk(&head).await?;
        let (stored, time_ms) = self.stored(&state).await?;
        let age = head.header.timestamp.get().saturating_sub(time_ms);
        self.note(&head, stored, age, &state);
        let ahead = head.header.height > stored && head.header.seats_hash == state.seats;
        let plain = head.header.next_seats_hash == head.header.seats_hash;
        if ahead && plain && age >= self.settings.interval_ms {
            self.store(head, None).await?;
        }
        if self.settings.settle {
            self.settle().await?;
        }
        Ok(())
    }

    /// Follows term changes until the contract believes the seats of the head. Terms of unchanged
    /// seats need nothing.
    async fn walk(&self, head: &Certified) -> Result<LightState, RelayError> {
        let mut state = self.state().await?;
        if head.header.seats_hash == state.seats {
            return Ok(state);
        }
        let now = head.header.term.get();
        // The last term in which the contract's seats sat: as a rule the one before.
        let mut term = None;
        for earlier in (state.first_term.get()..now).rev().map(Term::new) {
            let end = self.chain.boundary(earlier).await?;
            if end.is_some_and(|end| end.last.header.seats_hash == state.seats) {
                term = Some(earlier);
                break;
            }
        }
        let Some(first) = term else {
            return Err(RelayError::OtherSeats {
                contract: state.seats,
                term: state.first_term,
            });
        };
        for term in (first.get()..now).map(Term::new) {
            let Some(end) = self.chain.boundary(term).await? else {
                break;
            };
            let header = &end.last.header;
            if header.next_seats_hash != header.seats_hash {
                let list = self.registry.places().await?.list(&end.next_seats)?;
                info!(%term, height = %header.height, "the next term has other seats");
                self.store(end.last, Some(list)).await?;
                state = self.state().await?;
            }
        }
        Ok(state)
    }

    async fn state(&self) -> Result<LightState, RelayError> {
        let address = self.light.address();
        match self.light.state().await? {
            None => Err(RelayError::NotStarted(address)),
            Some(state) if state.stopped => Err(RelayError::Stopped(address)),
            Some(state) => Ok(state),
        }
    }

    /// Newest stored header that we know of, and its time in ms. After a reorg it may be an older one
    /// than before.
    async fn stored(&self, state: &LightState) -> Result<(Height, u64), RelayError> {
        let newest = *lock(&self.newest);
        if let Some((height, hash, time)) = newest.filter(|newest| newest.0 > state.height) {
            if self.light.header_at(height).await? == Some(hash) {
                return Ok((height, time));
            }
            warn!(%height, "a stored header is gone from the L1");
            *lock(&self.newest) = None;
        }
        Ok((state.height, state.time.saturating_mul(1_000)))
    }

    fn note(&self, head: &Certified, stored: Height, age: u64, state: &LightState) {
        let mut status = lock(&self.status);
        status.head = head.header.height;
        status.stored = stored;
        status.lag_blocks = status.head.get().saturating_sub(stored.get());
        status.lag_milliepochs = age.saturating_mul(1_000) / self.epoch_ms.max(1);
        status.term = state.first_term;
    }

    /// Posts the block at `height`, or the first one after it with a certificate of its own.
    ///
    /// # Errors
    /// [`RelayError`] if the contract would not take it.
    pub fn post(&self, height: Height) -> BoxFuture<'_, Result<Posted, RelayError>> {
        Box::pin(async move {
            let found = self.chain.certified(height).await?;
            let header = &found.header;
            let (height, hash) = (header.height, header.hash());
            if self.light.header_at(height).await? == Some(hash) {
                return Ok(Posted {
                    height,
                    hash,
                    transaction: None,
                });
            }
            let head = self.chain.head().await?;
            let state = self.walk(&head).await?;
            if header.seats_hash != state.seats {
                return Err(RelayError::Past {
                    height,
                    term: header.term,
                    first: state.first_term,
                });
            }
            if header.next_seats_hash != header.seats_hash && height > state.height {
                return Err(RelayError::ChangesSeats { height });
            }
            let transaction = self.store(found, None).await?;
            Ok(Posted {
                height,
                hash,
                transaction,
            })
        })
    }

    async fn store(
        &self,
        block: Certified,
        seats: Option<crate::seats::SeatList>,
    ) -> Result<Option<B256>, RelayError> {
        let (height, hash) = (block.header.height, block.header.hash());
        let input = update_call(&block.header, &block.certificate, seats)?;
        let light = self.light.clone();
        let wanted = Box::new(move || {
            let light = light.clone();
            Box::pin(async move { Ok(light.header_at(height).await?.is_none()) }) as BoxFuture<_>
        });
        let label = format!("header {height}");
        let intent = Intent::call(label, self.light.address(), input, wanted);
        let outcome = self.sender.submit(intent).await?;
        let time = block.header.timestamp.get();
        let mut newest = lock(&self.newest);
        if newest.is_none_or(|newest| newest.0 < height) {
            *newest = Some((height, hash, time));
        }
        Ok(match outcome {
            Outcome::Included { hash, .. } => Some(hash),
            Outcome::NotWanted => None,
        })
    }

    /// Settles seats if stake and keys give other ones than the newest settlement.
    async fn settle(&self) -> Result<(), RelayError> {
        let allocation = match self.registry.allocation().await {
            Ok(allocation) => allocation,
            // Too few seats for a set is no fault of ours; the old ones stay.
            Err(RegistryError::Set(error)) => {
                warn!(%error, "no settlement");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        if !self.registry.changes(&allocation).await? {
            return Ok(());
        }
        let intent = staking::settle(&self.registry, &allocation);
        self.sender.submit(intent).await?;
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
