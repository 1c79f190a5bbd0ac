//! What bidders would do: best responses of single-minded bidders, and the auction they are
//! compared with.
//!
//! Embed the draws as clocks: pool B rings at a time Exp(S_B), and a pool is assigned iff it
//! rings before any accepted pool that overlaps it. The time τ at which others block B does not
//! depend on S_B. So from samples of τ a bidder with stake y beside c on the same bundle wins
//! with chance `y/(y+c) · E[1 − e^{−(y+c)τ}]`, which is concave in y, and its best response is
//! where the slope times its value is 1.

use crate::amount::{Gwei, Sum};
use crate::auction::{Auction, Bid, NodeLimit, Packing, solve_exact};
use crate::lab::families::{Valued, unit};
use crate::mix::Mix;

#[cfg(test)]
mod tests;

/// Effort of a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Sampled draws per round of best responses.
    pub samples: usize,
    /// Rounds of best responses.
    pub rounds: usize,
    /// Nodes allowed for each exact winner determination.
    pub nodes: u64,
}

impl Default for Effort {
    fn default() -> Self {
        Self {
            samples: 400,
            rounds: 60,
            nodes: 2_000_000,
        }
    }
}

/// Lottery and auction side by side, as parts of the best possible welfare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Expected value assigned by the lottery in equilibrium.
    pub lottery_welfare: f64,
    /// Sum of all stakes in equilibrium.
    pub lottery_revenue: f64,
    /// Chance that a namespace sold in two slots with the same bids goes to the same holder.
    pub lottery_repeat: f64,
    /// Payments in the core of the auction, found by raising those outside each blocking
    /// coalition; the auction's welfare is 1 and its repeat chance is 1.
    pub auction_revenue: f64,
    /// How far the last round of best responses still moved stakes, relative to their sum.
    pub unrest: f64,
}

/// House stake on every bundle, relative to the average value; without it a bidder alone on its
/// bundle would have no best response.
const HOUSE: f64 = 1e-3;

/// Simulates the market of single-minded bidders, one per valued bundle, without reserves.
///
/// # Errors
/// [`NodeLimit`] if the best packing cannot be proved in time.
pub fn compare(
    namespaces: usize,
    bidders: &[Valued],
    effort: Effort,
    seed: u64,
) -> Result<Comparison, NodeLimit> {
    let bid = |valued: &Valued| Bid {
        members: valued.members.clone(),
        amount: valued.value,
        source: None,
    };
    let auction = Auction::from_bids(namespaces, bidders.iter().map(bid).collect());
    let (best, optimum) = solve_exact(&auction, effort.nodes)?;
    let core = core_payments(&auction, &best, effort.nodes)?;

    let game = Game::new(namespaces, bidders);
    let mut random = Mix::new(seed);
    let (stakes, unrest) = game.settle(effort, &mut random);
    let held = game.outcomes(&stakes, effort.samples * 10, &mut random);
    let optimum = optimum.get() as f64;
    Ok(Comparison {
        lottery_welfare: held.welfare / optimum,
        lottery_revenue: stakes.iter().sum::<f64>() / optimum,
        lottery_repeat: held.repeat,
        auction_revenue: core.get() as f64 / optimum,
        unrest,
    })
}

/// A point of the core at which no coalition offers the seller more: start from nothing; while
/// some coalition blocks, raise the winners outside it equally until it no longer does.
fn core_payments(auction: &Auction, best: &Packing, nodes: u64) -> Result<Sum, NodeLimit> {
    let mut paid: Vec<u64> = vec![0; best.bids.len()];
    loop {
        let mut bids = auction.bids().to_vec();
        for (&winner, &paid) in best.bids.iter().zip(&paid) {
            bids[winner as usize].amount = Gwei::new(paid);
        }
        // `from_bids` drops some bids, so the source tells the rest apart.
        for (at, bid) in bids.iter_mut().enumerate() {
            let at = at as u32;
            bid.source = Some((crate::PoolIndex::new(at), crate::TicketId::new(at.into())));
        }
        let reduced = Auction::from_bids(auction.namespaces(), bids);
        let (blocking, offer) = solve_exact(&reduced, nodes)?;
        let revenue: u128 = paid.iter().copied().map(u128::from).sum();
        let Some(missing) = offer
            .get()
            .checked_sub(revenue)
            .filter(|missing| *missing > 0)
        else {
            return Ok(Sum::new(revenue));
        };
        let inside: Vec<u32> = blocking
            .bids
            .iter()
            .filter_map(|&bid| reduced.bids()[bid as usize].source)
            .map(|(pool, _)| pool.get())
            .collect();
        let mut rest = missing;
        let raise: Vec<usize> = (0..paid.len())
            .filter(|&at| !inside.contains(&best.bids[at]))
            .filter(|&at| paid[at] < auction.amount(best.bids[at]))
            .collect();
        if raise.is_empty() {
            return Ok(Sum::new(revenue));
        }
        let part = missing.div_ceil(raise.len() as u128);
        for at in raise {
            let room = u128::from(auction.amount(best.bids[at]) - paid[at]);
            let step = part.min(room).min(rest);
            paid[at] += step as u64;
            rest -= step;
        }
    }
}

struct Game {
    bundles: Vec<Vec<usize>>,
    values: Vec<f64>,
    /// Bidders on each namespace.
    touching: Vec<Vec<usize>>,
    house: f64,
}

struct Held {
    welfare: f64,
    repeat: f64,
}

impl Game {
    fn new(namespaces: usize, bidders: &[Valued]) -> Self {
        let bundles: Vec<Vec<usize>> = bidders
            .iter()
            .map(|bidder| {
                bidder
                    .members
                    .iter()
                    .map(|member| member.get() as usize)
                    .collect()
            })
            .collect();
        let values: Vec<f64> = bidders
            .iter()
            .map(|bidder| bidder.value.get() as f64)
            .collect();
        let mut touching = vec![Vec::new(); namespaces];
        for (bidder, bundle) in bundles.iter().enumerate() {
            bundle
                .iter()
                .for_each(|&namespace| touching[namespace].push(bidder));
        }
        let house = HOUSE * values.iter().sum::<f64>() / values.len().max(1) as f64;
        Self {
            bundles,
            values,
            touching,
            house,
        }
    }

    /// Damped best responses from a tenth of the values; the last change relative to the sum.
    fn settle(&self, effort: Effort, random: &mut Mix) -> (Vec<f64>, f64) {
        let mut stakes: Vec<f64> = self.values.iter().map(|value| value / 10.0).collect();
        let mut unrest = f64::INFINITY;
        for round in 0..effort.rounds {
            let times = self.blocking_times(&stakes, effort.samples, random);
            let damping = 2.0 / (4.0 + round as f64 / 4.0);
            let mut moved = 0.0;
            for (bidder, stake) in stakes.iter_mut().enumerate() {
                let response = best_response(self.values[bidder], self.house, &times[bidder]);
                moved += (response - *stake).abs();
                *stake += damping * (response - *stake);
            }
            unrest = moved / stakes.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        }
        (stakes, unrest)
    }

    /// Bidders by the time their clock rings.
    fn ring(&self, stakes: &[f64], random: &mut Mix) -> Vec<(f64, usize)> {
        let mut clocks: Vec<(f64, usize)> = stakes
            .iter()
            .enumerate()
            .map(|(bidder, stake)| (-(1.0 - unit(random)).ln() / (stake + self.house), bidder))
            .collect();
        clocks.sort_by(|a, b| a.0.total_cmp(&b.0));
        clocks
    }

    /// For every bidder samples of the time at which an accepted pool other than its own blocks
    /// its bundle.
    fn blocking_times(&self, stakes: &[f64], samples: usize, random: &mut Mix) -> Vec<Vec<f64>> {
        let mut times = vec![Vec::with_capacity(samples); stakes.len()];
        for _ in 0..samples {
            let clocks = self.ring(stakes, random);
            let mut blocked = vec![f64::INFINITY; stakes.len()];
            let mut accepted = Vec::new();
            let mut taken = vec![false; self.touching.len()];
            for (position, &(time, bidder)) in clocks.iter().enumerate() {
                if blocked[bidder] < time {
                    continue;
                }
                // Without this bidder the world goes on from here as it stands.
                accepted.push((
                    bidder,
                    self.next_block(&clocks[position + 1..], &taken, bidder),
                ));
                for &namespace in &self.bundles[bidder] {
                    taken[namespace] = true;
                    for &other in &self.touching[namespace] {
                        if other != bidder {
                            blocked[other] = blocked[other].min(time);
                        }
                    }
                }
            }
            for (bidder, time) in accepted {
                blocked[bidder] = time;
            }
            for (times, time) in times.iter_mut().zip(blocked) {
                times.push(time);
            }
        }
        times
    }

    /// When a bidder left out of the urn would have been blocked.
    fn next_block(&self, clocks: &[(f64, usize)], taken: &[bool], without: usize) -> f64 {
        let mut taken = taken.to_vec();
        for &(time, bidder) in clocks {
            let bundle = &self.bundles[bidder];
            if bundle.iter().any(|&namespace| taken[namespace]) {
                continue;
            }
            if bundle
                .iter()
                .any(|namespace| self.bundles[without].binary_search(namespace).is_ok())
            {
                return time;
            }
            bundle.iter().for_each(|&namespace| taken[namespace] = true);
        }
        f64::INFINITY
    }

    /// Plays fixed stakes on fresh samples.
    fn outcomes(&self, stakes: &[f64], samples: usize, random: &mut Mix) -> Held {
        let mut welfare = 0.0;
        let mut wins = vec![0u64; stakes.len()];
        for _ in 0..samples {
            let mut taken = vec![false; self.touching.len()];
            for (_, bidder) in self.ring(stakes, random) {
                let bundle = &self.bundles[bidder];
                if bundle.iter().any(|&namespace| taken[namespace]) {
                    continue;
                }
                bundle.iter().for_each(|&namespace| taken[namespace] = true);
                if unit(random) * (stakes[bidder] + self.house) < stakes[bidder] {
                    welfare += self.values[bidder];
                    wins[bidder] += 1;
                }
            }
        }
        let (mut repeat, mut counted) = (0.0, 0.0);
        for bidders in &self.touching {
            let total: f64 = bidders.iter().map(|&bidder| wins[bidder] as f64).sum();
            if total > 0.0 {
                let squares = bidders
                    .iter()
                    .map(|&bidder| (wins[bidder] as f64 / total).powi(2));
                repeat += squares.sum::<f64>();
                counted += 1.0;
            }
        }
        Held {
            welfare: welfare / samples as f64,
            repeat: repeat / f64::max(counted, 1.0),
        }
    }
}

/// Bisection steps: the best response to one part in 2^24 of the value.
const BISECTIONS: usize = 24;

/// The stake at which one more gwei wins back exactly one gwei of value.
fn best_response(value: f64, beside: f64, times: &[f64]) -> f64 {
    let count = times.len() as f64;
    let slope = |stake: f64| {
        let sum = stake + beside;
        let (mut miss, mut weight) = (0.0, 0.0);
        for &time in times.iter().filter(|time| time.is_finite()) {
            let stays = (-sum * time).exp();
            miss += stays;
            weight += time * stays;
        }
        let first = 1.0 - miss / count;
        value * (beside / (sum * sum) * first + stake / sum * weight / count)
    };
    if slope(0.0) <= 1.0 {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, value);
    for _ in 0..BISECTIONS {
        let middle = (low + high) / 2.0;
        if slope(middle) > 1.0 {
            low = middle
        } else {
            high = middle
        }
    }
    (low + high) / 2.0
}
