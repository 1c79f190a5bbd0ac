//! What the registry says now, read from its views and its pages.

use crate::{
    abi::Registry as abi,
    rpc::{L1, Request, RpcError, view},
    seats::{Candidate, Place, Places, SeatList, SeatsError, choose, page_address},
};
use alloy_primitives::{Address, B256, U256};
use cortado_types::{ChainId, Seat, SeatSet, SeatSetError};
use futures::future::BoxFuture;
use std::sync::Arc;
use thiserror::Error;

/// Most pages that are read: 1,024 operators with a few registrations each.
const PAGES_MAX: u32 = 16_384;

/// `until` of a key that is not retired.
const NEVER: u64 = (1 << 48) - 1;

/// Why the registry cannot be read, or gives no seats.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// The node does not answer well.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// A page is none, or seats do not stand there.
    #[error(transparent)]
    Seats(#[from] SeatsError),
    /// The seats make no set.
    #[error("the seats that follow from stake and keys make no set: {0}")]
    Set(#[from] SeatSetError),
    /// Far more than a registry in use has.
    #[error("the registry has {pages} pages, the limit is {PAGES_MAX}")]
    TooManyPages {
        /// How many.
        pages: u32,
    },
}

/// A key and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The public keys, and the index.
    pub seat: Seat,
    /// Where it stands.
    pub place: Place,
    /// Whose it is.
    pub operator: u32,
    /// First epoch in which it may sit.
    pub from: u64,
    /// First epoch in which it may not any more; none if it is not retired.
    pub until: Option<u64>,
    /// What was confiscated for it, gwei.
    pub taken_gwei: u64,
}

impl Key {
    /// Whether it may sit in an epoch.
    pub fn is_active(&self, epoch: u64) -> bool {
        self.from <= epoch && self.until.is_none_or(|until| epoch < until)
    }
}

/// What counts for an operator, and where its ether is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorView {
    /// Its number.
    pub operator: u32,
    /// Who acts for it.
    pub owner: Address,
    /// Before this time no ether leaves, seconds.
    pub frozen_until: u64,
    /// Ether that counts, from the next change on.
    pub bonded_gwei: u64,
    /// Ether that is leaving.
    pub unbonding_gwei: u64,
    /// When that may leave, seconds.
    pub release_at: u64,
    /// Restaked, when last looked at.
    pub restaked_gwei: u64,
    /// Stake that counts now.
    pub stake_gwei: u64,
    /// Stake that counts from `change_at` on.
    pub next_stake_gwei: u64,
    /// Epoch of the next change; past if there is none.
    pub change_at: u64,
}

/// Seats to be settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// Epoch they are for.
    pub epoch: u64,
    /// What each has at risk, gwei.
    pub price_gwei: u64,
    /// Ascending by identity.
    pub seats: SeatSet,
    /// Where they stand.
    pub list: SeatList,
    /// Seats of each operator, from 1 on.
    pub shares: Vec<u64>,
}

/// Seats as they were settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Hash of the seats.
    pub seats: B256,
    /// What each has at risk, gwei: the highest price that votes can still be accused for.
    pub price_gwei: u64,
    /// Epoch in which this was last the price.
    pub priced: u64,
    /// Epoch in which they were last settled.
    pub epoch: u64,
}

/// Reads one registry.
#[derive(Clone)]
pub struct Registry {
    l1: Arc<dyn L1>,
    address: Address,
}

impl Registry {
    /// The registry at `address`.
    pub fn new(l1: Arc<dyn L1>, address: Address) -> Self {
        Self { l1, address }
    }

    /// Where it is.
    pub const fn address(&self) -> Address {
        self.address
    }

    async fn ask<C: alloy_sol_types::SolCall + 'static>(
        &self,
        query: C,
    ) -> Result<C::Return, RpcError> {
        view(&*self.l1, self.address, query).await
    }

    /// The chain whose seats it has.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn chain_id(&self) -> Result<ChainId, RpcError> {
        Ok(ChainId::new(self.ask(abi::CHAIN_IDCall {}).await?))
    }

    /// The epoch that is now.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn epoch(&self) -> Result<u64, RpcError> {
        Ok(self.ask(abi::currentEpochCall {}).await?.to())
    }

    /// When epoch 0 began, and how long an epoch is, seconds.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn clock(&self) -> Result<(u64, u64), RpcError> {
        let genesis = self.ask(abi::GENESISCall {}).await?;
        let length = self.ask(abi::EPOCH_SECONDSCall {}).await?;
        Ok((genesis.to(), u64::from(length)))
    }

    /// How long stake takes to leave, seconds.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn unbonding_seconds(&self) -> Result<u64, RpcError> {
        Ok(u64::from(self.ask(abi::UNBONDING_SECONDSCall {}).await?))
    }

    /// How many operators there are; the first is 1.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn operators(&self) -> Result<u32, RpcError> {
        self.ask(abi::operatorCountCall {}).await
    }

    /// The number of an owner's operator.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn operator_of(&self, owner: Address) -> Result<Option<u32>, RpcError> {
        let number = self.ask(abi::operatorOfCall { owner }).await?;
        Ok((number != 0).then_some(number))
    }

    /// An operator.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn operator(&self, operator: u32) -> Result<OperatorView, RpcError> {
        let found = self.ask(abi::operatorAtCall { operator }).await?;
        let stakes = self.ask(abi::stakesOfCall { operator }).await?;
        let weight = self.ask(abi::weightOfCall { operator }).await?;
        Ok(OperatorView {
            operator,
            owner: found.owner,
            frozen_until: found.frozenUntil.to(),
            bonded_gwei: stakes.bonded,
            unbonding_gwei: stakes.unbonding,
            release_at: stakes.releaseAt.to(),
            restaked_gwei: stakes.restaked,
            stake_gwei: weight.stake,
            next_stake_gwei: weight.nextStake,
            change_at: weight.from.to(),
        })
    }

    /// The newest settlement.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn latest(&self) -> Result<Option<Settled>, RpcError> {
        let seats = self.ask(abi::latestCall {}).await?;
        if seats.is_zero() {
            return Ok(None);
        }
        let found = self.ask(abi::settlementCall { seats }).await?;
        Ok(Some(Settled {
            seats,
            price_gwei: found.price,
            priced: found.priced.to(),
            epoch: found.epoch.to(),
        }))
    }

    /// Where all keys stand.
    ///
    /// # Errors
    /// If the node does not answer, or a page is none.
    pub fn places(&self) -> BoxFuture<'_, Result<Places, RegistryError>> {
        Box::pin(async {
            let pages = self.ask(abi::pageCountCall {}).await?;
            if pages > PAGES_MAX {
                return Err(RegistryError::TooManyPages { pages });
            }
            let mut places = Places::default();
            for page in 1..=pages {
                let code = self.l1.code(page_address(self.address, page)).await?;
                places.add_page(page, &code)?;
            }
            Ok(places)
        })
    }

    /// All keys, ascending by index.
    ///
    /// # Errors
    /// As [`Registry::places`].
    pub async fn keys(&self) -> Result<Vec<Key>, RegistryError> {
        self.keys_at(&self.places().await?).await
    }

    async fn keys_at(&self, places: &Places) -> Result<Vec<Key>, RegistryError> {
        let mut keys = Vec::new();
        for (seat, place) in places.keys() {
            let query = abi::keyAtCall {
                page: U256::from(place.page),
                place: U256::from(place.entry),
            };
            let state = self.ask(query).await?;
            let until: u64 = state.until.to();
            keys.push(Key {
                seat: seat.clone(),
                place,
                operator: state.operator,
                from: state.from.to(),
                until: (until != NEVER).then_some(until),
                taken_gwei: state.taken,
            });
        }
        Ok(keys)
    }

    /// What stake and keys of the present epoch give: the seats to settle.
    ///
    /// # Errors
    /// If the node does not answer, or there are too few seats for a set.
    pub fn allocation(&self) -> BoxFuture<'_, Result<Allocation, RegistryError>> {
        Box::pin(async {
            let epoch = self.epoch().await?;
            let places = self.places().await?;
            let keys = self.keys_at(&places).await?;
            let found = self.ask(abi::allocationCall {}).await?;
            // An operator has no more seats than keys, of which there are less than 2^16.
            let shares: Vec<u64> = found.seats.iter().map(U256::saturating_to).collect();
            let candidates: Vec<Candidate> = keys
                .into_iter()
                .filter(|key| key.is_active(epoch))
                .map(|key| Candidate {
                    operator: key.operator,
                    seat: key.seat,
                })
                .collect();
            let seats = SeatSet::new(choose(&candidates, &shares)?)?;
            Ok(Allocation {
                epoch,
                price_gwei: found.price,
                list: places.list(seats.seats())?,
                seats,
                shares,
            })
        })
    }

    /// Whether a lower price would not be written yet: votes of the higher one can still be accused.
    async fn is_kept(&self, settled: &Settled) -> Result<bool, RpcError> {
        let (genesis, epoch) = self.clock().await?;
        let start = genesis.saturating_add(settled.priced.saturating_mul(epoch));
        let end = start.saturating_add(self.unbonding_seconds().await?);
        Ok(self.l1.head().await?.timestamp < end)
    }

    /// Whether settling an allocation would change anything, and is possible: other seats than the
    /// newest settled ones, or another price; once an epoch, and after a confiscation.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn changes(&self, allocation: &Allocation) -> Result<bool, RpcError> {
        let same = match self.latest().await? {
            Some(latest) if latest.seats == allocation.seats.hash() => {
                latest.price_gwei == allocation.price_gwei
                    || (latest.price_gwei > allocation.price_gwei && self.is_kept(&latest).await?)
            }
            _ => false,
        };
        if same || self.epoch().await? != allocation.epoch {
            return Ok(false);
        }
        let request = Request {
            to: Some(self.address),
            input: settle_input(allocation),
            ..Request::default()
        };
        match self.l1.call(request).await {
            Ok(_) => Ok(true),
            Err(RpcError::Reverted { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Call data that settles an allocation.
fn settle_input(allocation: &Allocation) -> alloy_primitives::Bytes {
    use alloy_sol_types::SolCall;
    abi::settleCall {
        list: allocation.list.clone().into(),
        price: allocation.price_gwei,
    }
    .abi_encode()
    .into()
}
