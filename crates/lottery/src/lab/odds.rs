//! The law of a slot: exactly by recursion over live sets, or sampled with its error.
//!
//! Components of the conflict graph are independent of each other (locality), so the recursion
//! runs within each and the work adds up instead of multiplying.

use std::collections::BTreeMap;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, ToPrimitive, Zero};
use thiserror::Error;

use crate::draw::Lottery;
use crate::index::{Index, PoolIndex};
use crate::uniform::{Beacon, Seed};

#[cfg(test)]
mod tests;

/// Most live sets the exact recursion visits by default; their probabilities are fractions that
/// grow with every step.
pub const STATES_MAX: usize = 4_000;

/// The exact recursion would visit too many live sets.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("more than {limit} live sets: sample instead")]
pub struct TooLarge {
    /// How many were allowed.
    pub limit: usize,
}

/// An exact chance or amount.
pub type Fraction = BigRational;

/// The nearest floating-point number, for people.
pub fn to_f64(fraction: &Fraction) -> f64 {
    fraction.to_f64().unwrap_or(f64::NAN)
}

/// Exact odds of one slot.
#[derive(Clone, Debug)]
pub struct Exact {
    /// Chance that each pool is assigned.
    pub assigned: Vec<Fraction>,
    /// Expected pot collected by each pool, `E[pot · 1{assigned}]`; equals its stake.
    pub pot: Vec<Fraction>,
    /// Chance that each namespace is assigned.
    pub sold: Vec<Fraction>,
    /// Expected revenue of each namespace, in gwei.
    pub revenue: Vec<Fraction>,
    /// How many live sets were visited.
    pub states: usize,
}

/// A set of pools, as a bitmap.
type PoolSet = Vec<u64>;

fn contains(set: &PoolSet, pool: PoolIndex) -> bool {
    set[pool.at() / 64] >> (pool.at() % 64) & 1 == 1
}

fn members_of(set: &PoolSet) -> impl Iterator<Item = PoolIndex> {
    set.iter().enumerate().flat_map(|(word, &bits)| {
        (0..64)
            .filter(move |bit| bits >> bit & 1 == 1)
            .map(move |bit| PoolIndex::new((word * 64 + bit) as u32))
    })
}

fn ratio(amount: u128) -> BigRational {
    BigRational::from_integer(BigInt::from(amount))
}

/// The exact odds, visiting at most `limit` live sets.
///
/// # Errors
/// [`TooLarge`] beyond the limit.
pub fn exact(index: &Index, limit: usize) -> Result<Exact, TooLarge> {
    let zeros = |len| vec![BigRational::zero(); len];
    let mut odds = Exact {
        assigned: zeros(index.pools()),
        pot: zeros(index.pools()),
        sold: zeros(index.namespaces()),
        revenue: zeros(index.namespaces()),
        states: 0,
    };
    for component in components(index) {
        descend(index, component, limit, &mut odds)?;
    }
    Ok(odds)
}

/// Live sets by falling size, each with its chance: a draw always leaves a smaller set.
fn descend(index: &Index, start: PoolSet, limit: usize, odds: &mut Exact) -> Result<(), TooLarge> {
    let size = |set: &PoolSet| set.iter().map(|word| word.count_ones()).sum::<u32>();
    let mut levels: BTreeMap<u32, BTreeMap<PoolSet, BigRational>> = BTreeMap::new();
    levels
        .entry(size(&start))
        .or_default()
        .insert(start, BigRational::one());
    while let Some((pools, sets)) = levels.pop_last() {
        if pools == 0 {
            break;
        }
        for (set, chance) in sets {
            odds.states += 1;
            if odds.states > limit {
                return Err(TooLarge { limit });
            }
            let live: u128 = members_of(&set).map(|pool| index.stake(pool).get()).sum();
            for pool in members_of(&set) {
                let drawn = &chance * ratio(index.stake(pool).get()) / ratio(live);
                let (left, pot, shares) = knock_out(index, &set, pool);
                odds.assigned[pool.at()] += &drawn;
                odds.pot[pool.at()] += &drawn * ratio(pot);
                for (member, share) in index.members(pool).iter().zip(shares) {
                    odds.sold[member.get() as usize] += &drawn;
                    odds.revenue[member.get() as usize] += &drawn * ratio(share);
                }
                let next = levels.entry(size(&left)).or_default();
                *next.entry(left).or_insert_with(BigRational::zero) += drawn;
            }
        }
    }
    Ok(())
}

/// What is left of a live set after a pool is drawn, the pot, and the members' revenue, straight
/// from the definition.
fn knock_out(index: &Index, set: &PoolSet, pool: PoolIndex) -> (PoolSet, u128, Vec<u128>) {
    let bundle = index.members(pool);
    let mut left = set.clone();
    let mut pot = 0;
    let mut shares: Vec<u128> = bundle
        .iter()
        .map(|member| u128::from(index.reserves()[member.get() as usize].get()))
        .collect();
    for other in members_of(set) {
        let common: Vec<usize> = (0..bundle.len())
            .filter(|&at| index.members(other).binary_search(&bundle[at]).is_ok())
            .collect();
        if common.is_empty() {
            continue;
        }
        let stake = index.stake(other).get();
        left[other.at() / 64] &= !(1 << (other.at() % 64));
        pot += stake;
        let count = common.len() as u128;
        for (position, at) in common.into_iter().enumerate() {
            shares[at] += stake / count + u128::from((position as u128) < stake % count);
        }
    }
    (left, pot, shares)
}

/// The connected components of the conflict graph.
fn components(index: &Index) -> Vec<PoolSet> {
    let words = index.pools().div_ceil(64);
    let mut seen = vec![0u64; words];
    let mut entered = vec![false; index.namespaces()];
    let mut found = Vec::new();
    for first in (0..index.pools() as u32).map(PoolIndex::new) {
        if contains(&seen, first) {
            continue;
        }
        let mut component = vec![0u64; words];
        let mut stack = vec![first];
        while let Some(pool) = stack.pop() {
            if contains(&component, pool) {
                continue;
            }
            component[pool.at() / 64] |= 1 << (pool.at() % 64);
            for &member in index.members(pool) {
                if !core::mem::replace(&mut entered[member.get() as usize], true) {
                    stack.extend(index.touching(member));
                }
            }
        }
        seen.iter_mut()
            .zip(&component)
            .for_each(|(seen, new)| *seen |= new);
        found.push(component);
    }
    found
}

/// The chance of every possible outcome, as the ascending list of assigned pools.
///
/// # Errors
/// [`TooLarge`] if more than `limit` partial outcomes are met.
pub fn law(index: &Index, limit: usize) -> Result<BTreeMap<Vec<PoolIndex>, BigRational>, TooLarge> {
    let mut all = vec![0u64; index.pools().div_ceil(64)];
    for pool in 0..index.pools() {
        all[pool / 64] |= 1 << (pool % 64);
    }
    let mut outcomes = BTreeMap::new();
    let mut open = BTreeMap::from([((all, Vec::new()), BigRational::one())]);
    let mut visited = 0;
    while !open.is_empty() {
        let mut next: BTreeMap<(PoolSet, Vec<PoolIndex>), BigRational> = BTreeMap::new();
        for ((set, assigned), chance) in open {
            visited += 1;
            if visited > limit {
                return Err(TooLarge { limit });
            }
            let live: u128 = members_of(&set).map(|pool| index.stake(pool).get()).sum();
            if live == 0 {
                *outcomes.entry(assigned).or_insert_with(BigRational::zero) += chance;
                continue;
            }
            for pool in members_of(&set) {
                let (left, ..) = knock_out(index, &set, pool);
                let mut assigned = assigned.clone();
                assigned.push(pool);
                assigned.sort_unstable();
                let drawn = &chance * ratio(index.stake(pool).get()) / ratio(live);
                *next
                    .entry((left, assigned))
                    .or_insert_with(BigRational::zero) += drawn;
            }
        }
        open = next;
    }
    Ok(outcomes)
}

/// A mean with its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// One standard deviation of the mean.
    pub error: f64,
}

/// Odds estimated from draws of consecutive slots.
#[derive(Clone, Debug)]
pub struct Sampled {
    /// Chance that each pool is assigned.
    pub assigned: Vec<Estimate>,
    /// Chance that each namespace is assigned.
    pub sold: Vec<Estimate>,
    /// Expected revenue of each namespace, in gwei.
    pub revenue: Vec<Estimate>,
    /// How many slots were drawn.
    pub samples: u64,
}

#[derive(Clone, Copy, Default)]
struct Moments {
    sum: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.squares += value * value;
    }

    fn estimate(self, samples: u64) -> Estimate {
        let count = samples as f64;
        let mean = self.sum / count;
        let variance = (self.squares / count - mean * mean).max(0.0);
        Estimate {
            mean,
            error: (variance / (count - 1.0).max(1.0)).sqrt(),
        }
    }
}

/// Draws `samples` slots under `beacon`; `progress` is called after each.
pub fn sample(index: &Index, beacon: Beacon, samples: u64, mut progress: impl FnMut()) -> Sampled {
    let mut lottery = Lottery::new(index);
    let mut assigned = vec![Moments::default(); index.pools()];
    let mut sold = vec![Moments::default(); index.namespaces()];
    let mut revenue = vec![Moments::default(); index.namespaces()];
    for slot in 0..samples {
        let result = lottery.draw_with(Seed::derive(beacon, slot), slot);
        for draw in &result.draws {
            assigned[draw.pool.at()].add(1.0);
            for member in index.members(draw.pool) {
                let namespace = member.get() as usize;
                sold[namespace].add(1.0);
                let received = result.revenue[namespace].get() as f64;
                revenue[namespace].add(received);
            }
        }
        progress();
    }
    let estimates = |moments: Vec<Moments>| {
        moments
            .into_iter()
            .map(|moments| moments.estimate(samples))
            .collect()
    };
    Sampled {
        assigned: estimates(assigned),
        sold: estimates(sold),
        revenue: estimates(revenue),
        samples,
    }
}
