//! Auction mode, the baseline: the packing of bundles with the greatest sum of bids.
//!
//! Anyone may submit a packing together with integer prices; [`Auction::bound`] turns any prices
//! into an exact upper bound on every packing, so a result comes with its own certificate:
//!
//! ```text
//! value of the packing  ≤  best possible  ≤  Σ y_i + Σ_B max(0, b_B − y(B))
//! ```
//!
//! Bids are net of reserves. Winners pay their bids on top of the reserves, the members split the
//! surplus over their own best bids equally, and the right of first refusal is at the bid.

use thiserror::Error;

use crate::amount::{Gwei, Sum};
use crate::batch::{Member, TicketId};
use crate::index::{Index, PoolIndex};

mod dual;
mod exact;
mod local;
mod patch;

pub use dual::improve_prices;
pub use exact::{NodeLimit, solve_exact};
pub use local::{Solution, greedy, solve};

#[cfg(test)]
mod tests;

/// The highest bid on a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bid {
    /// The bundle.
    pub members: Vec<Member>,
    /// The amount above the reserves.
    pub amount: Gwei,
    /// The pool and ticket it comes from.
    pub source: Option<(PoolIndex, TicketId)>,
}

/// Bids of one slot and who touches whom.
///
/// - Every bid is positive; its members increase strictly and are below `namespaces`.
/// - No bid is below the sum of its members' own singleton bids.
#[derive(Clone, Debug)]
pub struct Auction {
    namespaces: usize,
    bids: Vec<Bid>,
    /// Bids that contain namespace `i`, ascending.
    touching: Vec<Vec<u32>>,
    /// Best bid on each namespace alone.
    singles: Vec<u64>,
}

/// Disjoint bids.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Packing {
    /// Positions of the bids, ascending.
    pub bids: Vec<u32>,
}

/// Why a submitted result is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PackingError {
    /// No such bid.
    #[error("bid {found} is unknown, there are {bids}")]
    UnknownBid {
        /// The position.
        found: u32,
        /// How many bids there are.
        bids: usize,
    },
    /// Two bids of the packing share a namespace.
    #[error("namespace {namespace} is in two bids of the packing, the second is {bid}")]
    Overlap {
        /// The namespace.
        namespace: Member,
        /// The second bid.
        bid: u32,
    },
    /// One price per namespace is needed.
    #[error("{found} prices for {namespaces} namespaces")]
    Prices {
        /// How many prices.
        found: usize,
        /// How many namespaces.
        namespaces: usize,
    },
}

impl Auction {
    /// The auction of a slot: the best ticket of every pool, lowest id first among equals.
    pub fn new(index: &Index) -> Self {
        let best = |pool: PoolIndex| {
            let entry = index
                .entries(pool)
                .reduce(|a, b| if b.stake > a.stake { b } else { a })?;
            Some(Bid {
                members: index.members(pool).to_vec(),
                amount: entry.stake,
                source: Some((pool, entry.id)),
            })
        };
        let pools = (0..index.pools() as u32).map(PoolIndex::new);
        Self::from_bids(index.namespaces(), pools.filter_map(best).collect())
    }

    /// An auction of given bids. Bids of 0 and bids below the sum of their members' singleton
    /// bids are left out: their members do better alone.
    ///
    /// # Panics
    /// If a member is not below `namespaces`.
    pub fn from_bids(namespaces: usize, mut bids: Vec<Bid>) -> Self {
        let mut singles = vec![0u64; namespaces];
        for bid in bids.iter().filter(|bid| bid.members.len() == 1) {
            let single = &mut singles[bid.members[0].get() as usize];
            *single = (*single).max(bid.amount.get());
        }
        bids.retain(|bid| {
            let alone = bid
                .members
                .iter()
                .map(|m| u128::from(singles[m.get() as usize]));
            bid.amount > Gwei::ZERO && u128::from(bid.amount.get()) >= alone.sum()
        });
        let mut touching = vec![Vec::new(); namespaces];
        for (at, bid) in bids.iter().enumerate() {
            for member in &bid.members {
                touching[member.get() as usize].push(at as u32);
            }
        }
        Self {
            namespaces,
            bids,
            touching,
            singles,
        }
    }

    /// How many namespaces there are.
    pub fn namespaces(&self) -> usize {
        self.namespaces
    }

    /// The bids that take part.
    pub fn bids(&self) -> &[Bid] {
        &self.bids
    }

    /// Bids that contain a namespace.
    pub(crate) fn touching(&self, namespace: usize) -> &[u32] {
        &self.touching[namespace]
    }

    pub(crate) fn amount(&self, bid: u32) -> u64 {
        self.bids[bid as usize].amount.get()
    }

    pub(crate) fn members(&self, bid: u32) -> impl ExactSizeIterator<Item = usize> + Clone {
        self.bids[bid as usize]
            .members
            .iter()
            .map(|member| member.get() as usize)
    }

    /// Checks that a packing is one and adds up its bids.
    ///
    /// # Errors
    /// [`PackingError::UnknownBid`], [`PackingError::Overlap`].
    pub fn value(&self, packing: &Packing) -> Result<Sum, PackingError> {
        let mut taken = vec![false; self.namespaces];
        let mut value = Sum::ZERO;
        for &at in &packing.bids {
            let bid = self.bids.get(at as usize).ok_or(PackingError::UnknownBid {
                found: at,
                bids: self.bids.len(),
            })?;
            for &namespace in &bid.members {
                if core::mem::replace(&mut taken[namespace.get() as usize], true) {
                    return Err(PackingError::Overlap { namespace, bid: at });
                }
            }
            value += bid.amount.into();
        }
        Ok(value)
    }

    /// The upper bound that prices certify for every packing.
    ///
    /// # Errors
    /// [`PackingError::Prices`] unless there is one price per namespace.
    pub fn bound(&self, prices: &[Gwei]) -> Result<Sum, PackingError> {
        if prices.len() != self.namespaces {
            let found = prices.len();
            return Err(PackingError::Prices {
                found,
                namespaces: self.namespaces,
            });
        }
        let price = |bid: &Bid| -> Sum {
            bid.members
                .iter()
                .map(|member| prices[member.get() as usize])
                .sum()
        };
        let surplus = |bid: &Bid| u128::from(bid.amount.get()).saturating_sub(price(bid).get());
        let above: u128 = self.bids.iter().map(surplus).sum();
        Ok(prices.iter().copied().sum::<Sum>() + Sum::new(above))
    }

    /// How the members of a winning bid split it: each gets its own singleton bid and an equal
    /// part of the rest, odd gwei to the lowest.
    ///
    /// # Panics
    /// If there is no such bid.
    pub fn split(&self, bid: u32) -> Vec<(Member, Sum)> {
        let bid = &self.bids[bid as usize];
        let single = |member: &Member| u128::from(self.singles[member.get() as usize]);
        let rest = u128::from(bid.amount.get()) - bid.members.iter().map(single).sum::<u128>();
        let count = bid.members.len() as u128;
        let (quotient, remainder) = (rest / count, rest % count);
        let part = |(at, member): (usize, &Member)| {
            let odd = u128::from((at as u128) < remainder);
            (*member, Sum::new(single(member) + quotient + odd))
        };
        bid.members.iter().enumerate().map(part).collect()
    }
}
