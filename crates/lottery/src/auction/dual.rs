//! Prices: minimise `Σ y_i + Σ_B max(0, b_B − y(B))` over `y ≥ 0`.
//!
//! A deflected subgradient descent with Polyak steps, in integers: every iterate is a valid
//! certificate, so nothing here needs to be trusted, only [`Auction::bound`].

use super::Auction;
use crate::amount::{Gwei, Sum};

/// Bids are scaled to this many bits, so that sums over all bids of an auction fit an `i64`.
pub(super) const SCALED_BITS: u32 = 40;
/// Directions are kept in 256ths.
const DIRECTION_UNIT: i64 = 256;
/// Part of the last direction that is kept, in tenths.
const DEFLECTION_TENTHS: i64 = 7;
/// Step lengths relative to Polyak's, in 1024ths; halved after [`PATIENCE`] rounds in vain.
const STEP_UNIT: i64 = 1024;
const PATIENCE: u32 = 25;

/// Improves prices for a number of rounds, each linear in the size of all bids, aiming for
/// `known`, the value of a packing at hand. Returns the best prices met and the bound they
/// certify; never worse than `start` if that is given.
///
/// # Panics
/// If `start` has not one price per namespace.
pub fn improve_prices(
    auction: &Auction,
    start: Option<&[Gwei]>,
    known: Sum,
    rounds: u32,
) -> (Vec<Gwei>, Sum) {
    let bound = |prices: &[Gwei]| auction.bound(prices).expect("one price per namespace");
    let scale = Scale::of(auction);
    let first = match start {
        Some(prices) => prices.to_vec(),
        None => even_prices(auction),
    };
    let mut descent = Descent::new(auction, scale, &first);
    descent.run(scale.down(known.get()), rounds);
    let mut best: Vec<Gwei> = descent.best.iter().map(|&price| scale.up(price)).collect();
    settle(auction, &mut best);
    if bound(&first) < bound(&best) {
        best = first;
    }
    let certified = bound(&best);
    (best, certified)
}

/// Every bid spread evenly over its members: the simplest prices no bid exceeds.
fn even_prices(auction: &Auction) -> Vec<Gwei> {
    let mut prices = vec![0u64; auction.namespaces()];
    for bid in 0..auction.bids().len() as u32 {
        let even = auction
            .amount(bid)
            .div_ceil(auction.members(bid).len() as u64);
        for member in auction.members(bid) {
            prices[member] = prices[member].max(even);
        }
    }
    prices.into_iter().map(Gwei::new).collect()
}

/// Exact descent along one price at a time: the best price of a namespace, others fixed, is the
/// second highest of what its bids could pay for it. Removes what rounding left over.
fn settle(auction: &Auction, prices: &mut [Gwei]) {
    let mut rest: Vec<i128> = (0..auction.bids().len() as u32)
        .map(|bid| {
            let paid = auction
                .members(bid)
                .map(|member| i128::from(prices[member].get()));
            i128::from(auction.amount(bid)) - paid.sum::<i128>()
        })
        .collect();
    for (namespace, price) in prices.iter_mut().enumerate() {
        let old = i128::from(price.get());
        let (mut first, mut second) = (0i128, 0i128);
        for &bid in auction.touching(namespace) {
            let could = rest[bid as usize] + old;
            if could > first {
                (first, second) = (could, first);
            } else {
                second = second.max(could);
            }
        }
        // Between the two the sum is flat; staying put keeps the other prices' balance.
        let new = old.clamp(second, first);
        for &bid in auction.touching(namespace) {
            rest[bid as usize] += old - new;
        }
        *price = Gwei::new(u64::try_from(new).unwrap_or(u64::MAX));
    }
}

/// Shift that brings the greatest bid to [`SCALED_BITS`] bits.
#[derive(Clone, Copy)]
pub(super) struct Scale(i32);

impl Scale {
    pub(super) fn of(auction: &Auction) -> Self {
        let greatest = auction
            .bids()
            .iter()
            .map(|bid| bid.amount.get())
            .max()
            .unwrap_or(1);
        Self(SCALED_BITS as i32 - (64 - greatest.leading_zeros()) as i32)
    }

    pub(super) fn down(self, amount: u128) -> i64 {
        let scaled = if self.0 >= 0 {
            amount << self.0
        } else {
            amount >> -self.0
        };
        i64::try_from(scaled).unwrap_or(i64::MAX)
    }

    fn up(self, price: i64) -> Gwei {
        let price = price.max(0) as u128;
        let amount = if self.0 >= 0 {
            price.div_ceil(1 << self.0)
        } else {
            price << -self.0
        };
        Gwei::new(u64::try_from(amount).unwrap_or(u64::MAX))
    }
}

struct Descent {
    starts: Vec<u32>,
    members: Vec<u32>,
    amounts: Vec<i64>,
    prices: Vec<i64>,
    best: Vec<i64>,
    /// One minus how many bids exceed their price, by namespace: the slope of the sum.
    slope: Vec<i64>,
    direction: Vec<i64>,
}

impl Descent {
    fn new(auction: &Auction, scale: Scale, first: &[Gwei]) -> Self {
        let mut starts = vec![0];
        let mut members = Vec::new();
        let mut amounts = Vec::new();
        for bid in 0..auction.bids().len() as u32 {
            members.extend(auction.members(bid).map(|member| member as u32));
            starts.push(members.len() as u32);
            amounts.push(scale.down(auction.amount(bid).into()));
        }
        let prices: Vec<i64> = first
            .iter()
            .map(|price| scale.down(price.get().into()))
            .collect();
        let zeros = vec![0; prices.len()];
        let (slope, direction) = (zeros.clone(), zeros);
        Self {
            starts,
            members,
            amounts,
            best: prices.clone(),
            prices,
            slope,
            direction,
        }
    }

    fn run(&mut self, known: i64, rounds: u32) {
        let mut best = i64::MAX;
        let mut step = STEP_UNIT;
        let mut in_vain = 0;
        for _ in 0..rounds {
            let value = self.evaluate();
            if value < best {
                // Progress too small to matter does not keep a step length alive.
                in_vain = if best - value > best / 100_000 {
                    0
                } else {
                    in_vain + 1
                };
                best = value;
                self.best.copy_from_slice(&self.prices);
            } else {
                in_vain += 1;
            }
            if in_vain > PATIENCE {
                in_vain = 0;
                step /= 2;
                self.prices.copy_from_slice(&self.best);
                self.direction.fill(0);
                if step == 0 {
                    return;
                }
                continue;
            }
            let gap = i128::from(value - known).max(1);
            self.turn();
            let length: i128 = self.direction.iter().map(|d| i128::from(*d).pow(2)).sum();
            if length == 0 {
                return;
            }
            let unit = i128::from(DIRECTION_UNIT);
            let factor = gap * i128::from(step) * unit / i128::from(STEP_UNIT);
            for (price, direction) in self.prices.iter_mut().zip(&self.direction) {
                let change = i128::from(*direction) * factor / length;
                *price = (i128::from(*price) - change).clamp(0, 1 << SCALED_BITS) as i64;
            }
        }
    }

    /// The sum at the present prices; leaves its slope.
    fn evaluate(&mut self) -> i64 {
        self.slope.fill(1);
        let mut value: i64 = self.prices.iter().sum();
        for (range, amount) in self.starts.windows(2).zip(&self.amounts) {
            let members = &self.members[range[0] as usize..range[1] as usize];
            let price: i64 = members
                .iter()
                .map(|member| self.prices[*member as usize])
                .sum();
            if *amount > price {
                value += amount - price;
                for member in members {
                    self.slope[*member as usize] -= 1;
                }
            }
        }
        value
    }

    fn turn(&mut self) {
        for ((direction, slope), price) in
            self.direction.iter_mut().zip(&self.slope).zip(&self.prices)
        {
            *direction = slope * DIRECTION_UNIT + *direction * DEFLECTION_TENTHS / 10;
            // A price at zero cannot fall.
            if *price == 0 && *direction > 0 {
                *direction = 0;
            }
        }
    }
}
