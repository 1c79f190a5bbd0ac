//! Greedy and local search: good packings of large auctions.

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

/// A step may at first lose up to this part of an average winner's bid. Chosen for market size,
/// where more heat wastes the steps; small auctions have [`solve_exact`](super::solve_exact).
const HEAT_DIVISOR: i128 = 6;

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

/// Prices, greedy, then `steps` steps of local search from `seed`, then prices again for the
/// certificate. The same arguments give the same solution.
pub fn solve(auction: &Auction, steps: u64, seed: u64) -> Solution {
    let value = |packing: &Packing| auction.value(packing).expect("built from disjoint bids");
    let even = improve_prices(auction, None, Sum::ZERO, 0).0;
    let rough = value(&greedy(auction, &even));
    let (prices, bound) = improve_prices(auction, Some(&even), rough, PRICE_ROUNDS);
    let start = greedy(auction, &prices);
    let gap = bound - value(&start);
    let packing = Search::new(auction, &prices, &start).run(gap.get(), steps, seed);
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

struct Search<'a> {
    auction: &'a Auction,
    /// `b_B − y(B)`: how much a bid pays beyond the going prices.
    surplus: Vec<i128>,
    holder: Vec<u32>,
    value: i128,
    removed: Vec<u32>,
    inserted: Vec<u32>,
    refill: Vec<u32>,
}

impl<'a> Search<'a> {
    fn new(auction: &'a Auction, prices: &[Gwei], start: &Packing) -> Self {
        let surplus = (0..auction.bids().len() as u32)
            .map(|bid| {
                let price = auction
                    .members(bid)
                    .map(|member| i128::from(prices[member].get()));
                i128::from(auction.amount(bid)) - price.sum::<i128>()
            })
            .collect();
        let mut search = Self {
            auction,
            surplus,
            holder: vec![FREE; auction.namespaces()],
            value: 0,
            removed: Vec::new(),
            inserted: Vec::new(),
            refill: Vec::new(),
        };
        start.bids.iter().for_each(|&bid| search.insert(bid));
        search
    }

    /// Forces bids in, one per step, refills what their victims leave free, and keeps the result
    /// if it lost no more than a threshold that falls to zero. No bid whose deficit exceeds the
    /// gap can be part of a better packing, so only the others are tried, the best most often.
    fn run(mut self, gap: u128, steps: u64, seed: u64) -> Packing {
        let gap = i128::try_from(gap).unwrap_or(i128::MAX);
        let mut order: Vec<u32> = (0..self.surplus.len() as u32)
            .filter(|&bid| self.surplus[bid as usize] >= -gap)
            .collect();
        order.sort_by_key(|&bid| (-self.surplus[bid as usize], bid));
        let mut best = (self.value, self.packing());
        let start_bids = best.1.bids.len();
        if order.is_empty() {
            return best.1;
        }
        let mut random = Mix::new(seed);
        let average = self.value / (start_bids as i128).max(1);
        for step in 0..steps {
            let count = order.len() as u64;
            // Thrice below a random bound: the best tenth gets six in ten tries.
            let rank = (0..3).fold(count, |bound, _| random.below(bound.max(1)));
            let bid = order[rank as usize];
            if self.holder_is(bid) {
                continue;
            }
            let before = self.value;
            self.force(bid);
            let threshold = average * i128::from(steps - step) / (HEAT_DIVISOR * i128::from(steps));
            if self.value < before - threshold * i128::from(random.below(256)) / 256 {
                self.undo();
            } else if self.value > best.0 {
                best = (self.value, self.packing());
            }
        }
        best.1
    }

    fn holder_is(&self, bid: u32) -> bool {
        self.auction
            .members(bid)
            .next()
            .is_some_and(|member| self.holder[member] == bid)
    }

    fn insert(&mut self, bid: u32) {
        for member in self.auction.members(bid) {
            self.holder[member] = bid;
        }
        self.value += i128::from(self.auction.amount(bid));
    }

    fn remove(&mut self, bid: u32) {
        for member in self.auction.members(bid) {
            self.holder[member] = FREE;
        }
        self.value -= i128::from(self.auction.amount(bid));
    }

    fn force(&mut self, bid: u32) {
        self.removed.clear();
        self.inserted.clear();
        for member in self.auction.members(bid) {
            let victim = self.holder[member];
            if victim != FREE {
                self.remove(victim);
                self.removed.push(victim);
            }
        }
        self.insert(bid);
        self.inserted.push(bid);
        self.refill.clear();
        for &victim in &self.removed {
            for member in self.auction.members(victim) {
                if self.holder[member] == FREE {
                    let fits = |bid: &&u32| {
                        self.auction
                            .members(**bid)
                            .all(|member| self.holder[member] == FREE)
                    };
                    self.refill
                        .extend(self.auction.touching(member).iter().filter(fits));
                }
            }
        }
        let mut refill = core::mem::take(&mut self.refill);
        refill.sort_unstable_by_key(|&bid| (-self.surplus[bid as usize], bid));
        for &bid in &refill {
            if self
                .auction
                .members(bid)
                .all(|member| self.holder[member] == FREE)
            {
                self.insert(bid);
                self.inserted.push(bid);
            }
        }
        self.refill = refill;
    }

    fn undo(&mut self) {
        while let Some(bid) = self.inserted.pop() {
            self.remove(bid);
        }
        while let Some(bid) = self.removed.pop() {
            self.insert(bid);
        }
    }

    fn packing(&self) -> Packing {
        let mut bids: Vec<u32> = self
            .holder
            .iter()
            .copied()
            .filter(|&holder| holder != FREE)
            .collect();
        bids.sort_unstable();
        bids.dedup();
        Packing { bids }
    }
}
