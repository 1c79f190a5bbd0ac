//! Greedy and local search: good packings of large auctions.

use super::dual::{SCALED_BITS, Scale};
use super::patch::{Outcome, PATCH_NAMESPACES_MAX, Patch};
use super::{Auction, Packing, improve_prices};
use crate::amount::{Gwei, Sum};
use crate::mix::Mix;

/// A packing and the prices that bound how much better another could be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Solution {
    /// The packing.
    pub packing: Packing,
    /// The sum of its bids.
    pub value: Sum,
    /// One price per namespace.
    pub prices: Vec<Gwei>,
    /// The upper bound these prices certify.
    pub bound: Sum,
}

/// Rounds of price improvement before and after the search.
const PRICE_ROUNDS: u32 = 3_000;

/// Namespaces a patch aims to free: at first, and within which bounds it learns.
const REACH_START: usize = 40;
const REACH_MIN: usize = 5;
const REACH_MAX: usize = 450;
/// Patches grow by a namespace after this many that were searched to the end, and shrink by one
/// after each that was not, so that about a fifth is not.
const GROW_AFTER: u32 = 4;
/// Searches that are begun. They end far apart where bids are long (two percent on routes), and
/// the better ones show early.
const TRIALS: u64 = 4;
/// Bids tried to make a patch larger.
const GROW_TRIES: u32 = 60;
/// The search ends when this part of its steps in a row was in vain.
const PATIENCE_DIVISOR: u64 = 4;

/// Takes bids in falling order of bid over price as long as they fit.
///
/// # Panics
/// If there is not one price per namespace.
pub fn greedy(auction: &Auction, prices: &[Gwei]) -> Packing {
    assert_eq!(
        prices.len(),
        auction.namespaces(),
        "one price per namespace"
    );
    let mut order: Vec<(u32, u128, u128)> = (0..auction.bids().len() as u32)
        .map(|bid| {
            let price = auction
                .members(bid)
                .map(|member| u128::from(prices[member].get()))
                .sum();
            (bid, auction.amount(bid).into(), price)
        })
        .collect();
    // a/p > b/q as a·q > b·p, below 2^64 · 2^72 only for 256 members at the greatest price:
    // prices are capped so that the product stays within u128.
    let cap = |price: u128| price.min(u128::from(u64::MAX));
    order.sort_by(|a, b| (b.1 * cap(a.2)).cmp(&(a.1 * cap(b.2))).then(a.0.cmp(&b.0)));
    let mut taken = vec![false; auction.namespaces()];
    let mut bids = Vec::new();
    for (bid, ..) in order {
        if auction.members(bid).all(|member| !taken[member]) {
            auction.members(bid).for_each(|member| taken[member] = true);
            bids.push(bid);
        }
    }
    bids.sort_unstable();
    Packing { bids }
}

/// Prices, greedy, then local search from `seed`, then prices again for the certificate. A step
/// frees a patch of the packing and packs it anew as well as it can; there are at most `steps`,
/// half of them in [`TRIALS`] searches of which the best goes on with the other half.
/// The same arguments give the same solution.
pub fn solve(auction: &Auction, steps: u64, seed: u64) -> Solution {
    let value = |packing: &Packing| auction.value(packing).expect("built from disjoint bids");
    let even = improve_prices(auction, None, Sum::ZERO, 0).0;
    let rough = value(&greedy(auction, &even));
    let (prices, bound) = improve_prices(auction, Some(&even), rough, PRICE_ROUNDS);
    let start = greedy(auction, &prices);
    let mut random = Mix::new(seed);
    let fresh = Search::new(auction, &prices, &start);
    let trial = |_| {
        let mut search = fresh.clone();
        search.run(bound, steps / (2 * TRIALS), &mut random);
        search
    };
    let mut search = (0..TRIALS)
        .map(trial)
        .reduce(|best, other| {
            if other.value > best.value {
                other
            } else {
                best
            }
        })
        .expect("there is a trial");
    search.run(bound, steps / 2, &mut random);
    let packing = search.packing();
    let value = value(&packing);
    let (prices, bound) = improve_prices(auction, Some(&prices), value, PRICE_ROUNDS);
    Solution {
        packing,
        value,
        prices,
        bound,
    }
}

/// No bid holds the namespace.
const FREE: u32 = u32::MAX;
/// The namespace is not in the patch.
const OUTSIDE: u32 = u32::MAX;

#[derive(Clone)]
struct Search<'a> {
    auction: &'a Auction,
    scale: Scale,
    /// Scaled amounts and prices.
    amounts: Vec<i64>,
    prices: Vec<i64>,
    /// `y(B) − b_B`: how much a bid pays below the going prices.
    deficits: Vec<i64>,
    /// Bids on each namespace by rising deficit.
    touching: Vec<Vec<u32>>,
    /// Every bid once, at its least wanted member: a bid is free only if that member is.
    led: Vec<Vec<u32>>,
    holder: Vec<u32>,
    value: i64,
    /// Position of each namespace in the patch.
    place: Vec<u32>,
    patch: Patch,
}

impl<'a> Search<'a> {
    fn new(auction: &'a Auction, prices: &[Gwei], start: &Packing) -> Self {
        let scale = Scale::of(auction);
        // No price above the greatest bid is of use, and sums of these fit.
        let price = |price: &Gwei| scale.down(price.get().into()).min(1 << SCALED_BITS);
        let prices: Vec<i64> = prices.iter().map(price).collect();
        let bids = 0..auction.bids().len() as u32;
        let amounts: Vec<i64> = bids
            .clone()
            .map(|bid| scale.down(auction.amount(bid).into()))
            .collect();
        let deficits: Vec<i64> = bids
            .clone()
            .map(|bid| {
                let price: i64 = auction.members(bid).map(|member| prices[member]).sum();
                price - amounts[bid as usize]
            })
            .collect();
        let namespaces = auction.namespaces();
        let mut led = vec![Vec::new(); namespaces];
        for bid in bids {
            let least = auction
                .members(bid)
                .min_by_key(|&member| auction.touching(member).len());
            led[least.expect("a bid has members")].push(bid);
        }
        let by_deficit = |namespace| {
            let mut bids = auction.touching(namespace).to_vec();
            bids.sort_unstable_by_key(|&bid| (deficits[bid as usize], bid));
            bids
        };
        let touching = (0..namespaces).map(by_deficit).collect();
        let mut search = Self {
            auction,
            scale,
            amounts,
            prices,
            deficits,
            touching,
            led,
            holder: vec![FREE; namespaces],
            value: 0,
            place: vec![OUTSIDE; namespaces],
            patch: Patch::default(),
        };
        start.bids.iter().for_each(|&bid| search.insert(bid));
        search
    }

    /// Repacks patches until none of a long row got better. A patch is what a bid takes from its
    /// present holders, and what further bids on those namespaces would take from theirs. No bid
    /// whose deficit exceeds the gap can be part of a better packing, so patches start only from
    /// the others: in turn from one of the best, and from one where the packing loses much.
    fn run(&mut self, bound: Sum, steps: u64, random: &mut Mix) {
        let gap = self.scale.down(bound.get()) - self.value;
        let mut order: Vec<u32> = (0..self.amounts.len() as u32)
            .filter(|&bid| self.deficits[bid as usize] <= gap)
            .collect();
        order.sort_unstable_by_key(|&bid| (self.deficits[bid as usize], bid));
        let (mut reach, mut finished, mut in_vain) = (REACH_START, 0, 0);
        for _ in 0..steps {
            if order.is_empty() || in_vain > steps / PATIENCE_DIVISOR {
                break;
            }
            in_vain += 1;
            let first = if random.below(2) == 0 {
                pick(&order, 3, random)
            } else {
                let one = random.below(self.holder.len() as u64) as usize;
                let other = random.below(self.holder.len() as u64) as usize;
                let lossy = if self.loss(one) > self.loss(other) {
                    one
                } else {
                    other
                };
                pick(&self.touching[lossy], 2, random)
            };
            let Some(first) = first.filter(|&bid| !self.is_held(bid)) else {
                continue;
            };
            let before = self.value;
            let removed = self.free(first, reach, random);
            let (outcome, better) = self.repack(before - self.value);
            if better.is_some() {
                in_vain = 0;
            }
            let inserted = better.as_ref().unwrap_or(&removed);
            inserted.iter().for_each(|&bid| self.insert(bid));
            if outcome == Outcome::GivenUp {
                reach = (reach - 1).max(REACH_MIN);
                continue;
            }
            finished += 1;
            if finished % GROW_AFTER == 0 {
                reach = (reach + 1).min(REACH_MAX);
            }
        }
    }

    /// What the packing loses on a namespace, compared with its price.
    fn loss(&self, namespace: usize) -> i64 {
        match self.holder[namespace] {
            FREE => self.prices[namespace],
            bid => self.deficits[bid as usize] / self.auction.members(bid).len() as i64,
        }
    }

    /// Empties a patch of about `reach` namespaces around a bid; returns the bids it held.
    fn free(&mut self, first: u32, reach: usize, random: &mut Mix) -> Vec<u32> {
        let (mut removed, mut freed) = (Vec::new(), Vec::new());
        self.evict(first, &mut removed, &mut freed);
        for _ in 0..GROW_TRIES {
            if freed.is_empty() || freed.len() >= reach {
                break;
            }
            let at = freed[random.below(freed.len() as u64) as usize];
            if let Some(bid) = pick(&self.touching[at], 2, random) {
                self.evict(bid, &mut removed, &mut freed);
            }
        }
        removed
    }

    /// Removes everything that overlaps a bid.
    fn evict(&mut self, bid: u32, removed: &mut Vec<u32>, freed: &mut Vec<usize>) {
        for member in self.auction.members(bid) {
            let holder = self.holder[member];
            if holder != FREE {
                self.remove(holder);
                removed.push(holder);
                freed.extend(self.auction.members(holder));
            }
        }
    }

    /// The best packing of what is free that is worth more than `target`.
    fn repack(&mut self, target: i64) -> (Outcome, Option<Vec<u32>>) {
        let is_free = |member: usize| self.holder[member] == FREE;
        let mut bids: Vec<u32> = (0..self.holder.len())
            .filter(|&namespace| is_free(namespace))
            .flat_map(|namespace| self.led[namespace].iter().copied())
            .filter(|&bid| self.auction.members(bid).all(is_free))
            .collect();
        bids.sort_unstable_by_key(|&bid| (self.deficits[bid as usize], bid));
        // Should the free namespaces be too many, those of the best bids are kept.
        let mut inside: Vec<usize> = Vec::new();
        let mut kept = 0;
        for &bid in &bids {
            let outside = |member: &usize| self.place[*member] == OUTSIDE;
            let new: Vec<usize> = self.auction.members(bid).filter(outside).collect();
            if inside.len() + new.len() > PATCH_NAMESPACES_MAX {
                break;
            }
            kept += 1;
            for member in new {
                self.place[member] = inside.len() as u32;
                inside.push(member);
            }
        }
        bids.truncate(kept);
        self.patch.begin(inside.iter().map(|&at| self.prices[at]));
        for &bid in &bids {
            let members = self.auction.members(bid).map(|member| self.place[member]);
            self.patch.add(self.amounts[bid as usize], members);
        }
        let (outcome, better) = self.patch.solve(target);
        inside.iter().for_each(|&at| self.place[at] = OUTSIDE);
        let better = better.map(|found| found.iter().map(|&at| bids[at as usize]).collect());
        (outcome, better)
    }

    fn is_held(&self, bid: u32) -> bool {
        self.auction
            .members(bid)
            .next()
            .is_some_and(|member| self.holder[member] == bid)
    }

    fn insert(&mut self, bid: u32) {
        for member in self.auction.members(bid) {
            self.holder[member] = bid;
        }
        self.value += self.amounts[bid as usize];
    }

    fn remove(&mut self, bid: u32) {
        for member in self.auction.members(bid) {
            self.holder[member] = FREE;
        }
        self.value -= self.amounts[bid as usize];
    }

    fn packing(&self) -> Packing {
        let held = self.holder.iter().filter(|&&holder| holder != FREE);
        let mut bids: Vec<u32> = held.copied().collect();
        bids.sort_unstable();
        bids.dedup();
        Packing { bids }
    }
}

/// One of some bids, early ones more often: `times` times below a random bound. With three, the
/// first tenth gets six in ten.
fn pick(bids: &[u32], times: u32, random: &mut Mix) -> Option<u32> {
    let rank = (0..times).fold(bids.len() as u64, |bound, _| random.below(bound.max(1)));
    bids.get(rank as usize).copied()
}
