//! Exact winner determination by branch and bound, for about 60 namespaces × 300 bids.
//!
//! Independent components are solved alone. Within one, every node keeps prices; the bound they
//! certify prunes it, and a bid whose deficit exceeds the remaining gap can never be part of a
//! better packing, so it leaves the node at once.

use thiserror::Error;

use super::{Auction, Packing, solve};
use crate::amount::Sum;

/// Steps of the local search that finds the first packing.
const WARM_STEPS: u64 = 1_000;
/// Price improvements at every node: enough to follow the branching.
const NODE_ROUNDS: u32 = 12;
/// Largest component that is tried; also the depth of the search.
const COMPONENT_NAMESPACES_MAX: usize = 1_024;
/// Bids are scaled up to about this many bits, so that prices are fine enough for small bids.
const SCALED_BITS: u32 = 64;

/// The search was given up.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "no proof of optimality within {nodes} nodes, or a component has more than \
     {COMPONENT_NAMESPACES_MAX} namespaces: use `solve` and its certificate"
)]
pub struct NodeLimit {
    /// How many nodes were allowed.
    pub nodes: u64,
}

/// A packing of the greatest possible value, and that value.
///
/// # Errors
/// [`NodeLimit`] if more than `nodes` nodes would be needed.
pub fn solve_exact(auction: &Auction, nodes: u64) -> Result<(Packing, Sum), NodeLimit> {
    let warm = solve(auction, WARM_STEPS, 0);
    let greatest = auction
        .bids()
        .iter()
        .map(|bid| bid.amount.get())
        .max()
        .unwrap_or(1);
    let shift = SCALED_BITS - (64 - greatest.leading_zeros());
    let mut tree = Tree {
        auction,
        shift,
        prices: warm
            .prices
            .iter()
            .map(|price| i128::from(price.get()) << shift)
            .collect(),
        best: 0,
        best_bids: Vec::new(),
        chosen: Vec::new(),
        present: vec![0; auction.namespaces()],
        stamp: 0,
        nodes_left: nodes,
    };
    let mut bids = Vec::new();
    for component in components(auction) {
        if component.namespaces > COMPONENT_NAMESPACES_MAX {
            return Err(NodeLimit { nodes });
        }
        let inside = |bid: &&u32| component.bids.binary_search(bid).is_ok();
        tree.best_bids = warm.packing.bids.iter().filter(inside).copied().collect();
        tree.best = tree.best_bids.iter().map(|&bid| tree.amount(bid)).sum();
        let mut prices = tree.prices.clone();
        if !tree.search(component.bids, &mut prices, 0) {
            return Err(NodeLimit { nodes });
        }
        bids.append(&mut tree.best_bids);
    }
    bids.sort_unstable();
    let packing = Packing { bids };
    let value = auction
        .value(&packing)
        .expect("the search keeps bids disjoint");
    Ok((packing, value))
}

struct Component {
    bids: Vec<u32>,
    namespaces: usize,
}

/// Bids that are connected by shared namespaces, by ascending first bid.
fn components(auction: &Auction) -> Vec<Component> {
    let mut seen = vec![false; auction.bids().len()];
    let mut entered = vec![false; auction.namespaces()];
    let mut components = Vec::new();
    for first in 0..auction.bids().len() as u32 {
        if seen[first as usize] {
            continue;
        }
        seen[first as usize] = true;
        let mut bids = vec![first];
        let mut namespaces = 0;
        let mut next = 0;
        while let Some(&bid) = bids.get(next) {
            next += 1;
            for member in auction.members(bid) {
                if core::mem::replace(&mut entered[member], true) {
                    continue;
                }
                namespaces += 1;
                for &other in auction.touching(member) {
                    if !core::mem::replace(&mut seen[other as usize], true) {
                        bids.push(other);
                    }
                }
            }
        }
        bids.sort_unstable();
        components.push(Component { bids, namespaces });
    }
    components
}

struct Tree<'a> {
    auction: &'a Auction,
    shift: u32,
    prices: Vec<i128>,
    best: i128,
    best_bids: Vec<u32>,
    chosen: Vec<u32>,
    /// `present[i] == stamp` iff some candidate of the present node contains namespace `i`.
    present: Vec<u64>,
    stamp: u64,
    nodes_left: u64,
}

impl Tree<'_> {
    fn amount(&self, bid: u32) -> i128 {
        i128::from(self.auction.amount(bid)) << self.shift
    }

    /// Searches all packings of the candidates on top of `value`; false if the nodes ran out.
    fn search(&mut self, mut bids: Vec<u32>, prices: &mut [i128], value: i128) -> bool {
        if self.nodes_left == 0 {
            return false;
        }
        self.nodes_left -= 1;
        if value > self.best {
            self.best = value;
            self.best_bids = self.chosen.clone();
        }
        if bids.is_empty() {
            return true;
        }
        let namespaces = self.namespaces_of(&bids);
        let Some(bound) = self.tighten(&bids, &namespaces, prices, value) else {
            return true;
        };
        let surplus = |bid: u32| {
            self.amount(bid) - self.auction.members(bid).map(|m| prices[m]).sum::<i128>()
        };
        let allowed = self.best - value - bound;
        bids.retain(|&bid| surplus(bid) > allowed);
        if bids.is_empty() {
            return true;
        }

        // The dearest namespace decides most; among its bids the one that pays best goes first.
        let Some(branch) = self
            .namespaces_of(&bids)
            .into_iter()
            .max_by_key(|&at| prices[at])
        else {
            return true;
        };
        let surplus = |bid: u32| {
            self.amount(bid) - self.auction.members(bid).map(|m| prices[m]).sum::<i128>()
        };
        let contains = |bid: u32| self.auction.members(bid).any(|member| member == branch);
        let (mut with, without): (Vec<u32>, Vec<u32>) =
            bids.iter().partition(|&&bid| contains(bid));
        with.sort_by_key(|&bid| (-surplus(bid), bid));
        for bid in with {
            let mut taken = vec![false; prices.len()];
            self.auction
                .members(bid)
                .for_each(|member| taken[member] = true);
            let rest = without
                .iter()
                .copied()
                .filter(|&other| self.auction.members(other).all(|member| !taken[member]))
                .collect();
            self.chosen.push(bid);
            let finished = self.search(rest, &mut prices.to_vec(), value + self.amount(bid));
            self.chosen.pop();
            if !finished {
                return false;
            }
        }
        self.search(without, prices, value)
    }

    /// Moves prices towards a better bound; `None` once it proves the node useless. The prices
    /// left are those of the bound returned.
    fn tighten(
        &self,
        bids: &[u32],
        namespaces: &[usize],
        prices: &mut [i128],
        value: i128,
    ) -> Option<i128> {
        let mut slope = vec![0i128; prices.len()];
        let mut best: Option<(i128, Vec<i128>)> = None;
        let mut step = 8;
        for _ in 0..NODE_ROUNDS {
            namespaces.iter().for_each(|&at| slope[at] = 1);
            let mut bound: i128 = namespaces.iter().map(|&at| prices[at]).sum();
            for &bid in bids {
                let price: i128 = self.auction.members(bid).map(|member| prices[member]).sum();
                if self.amount(bid) > price {
                    bound += self.amount(bid) - price;
                    self.auction
                        .members(bid)
                        .for_each(|member| slope[member] -= 1);
                }
            }
            if value + bound <= self.best {
                return None;
            }
            match &best {
                Some((least, _)) if *least <= bound => step = (step / 2).max(1),
                _ => best = Some((bound, namespaces.iter().map(|&at| prices[at]).collect())),
            }
            let length: i128 = namespaces.iter().map(|&at| slope[at] * slope[at]).sum();
            if length == 0 {
                break;
            }
            let move_by = (value + bound - self.best) / 8 * step / length;
            for &at in namespaces {
                prices[at] = (prices[at] - slope[at] * move_by).max(0);
            }
        }
        let (bound, kept) = best?;
        for (&at, price) in namespaces.iter().zip(kept) {
            prices[at] = price;
        }
        Some(bound)
    }

    fn namespaces_of(&mut self, bids: &[u32]) -> Vec<usize> {
        self.stamp += 1;
        let mut namespaces = Vec::new();
        for &bid in bids {
            for member in self.auction.members(bid) {
                if self.present[member] != self.stamp {
                    self.present[member] = self.stamp;
                    namespaces.push(member);
                }
            }
        }
        namespaces
    }
}
