//! Families whose bundles grow good by good: arbitrary, regions, L2-like.

use super::{Source, unit, weighted};
use crate::mix::Mix;

/// Greatest common value of a good.
const VALUE_MAX: f64 = 100.0;
/// How far a bidder's own value strays from the common one, as a part of [`VALUE_MAX`].
const DEVIATION: f64 = 0.5;
/// Chance that a bundle takes one more good.
const MORE: f64 = 0.9;
/// A bundle of k goods is worth `k^(1 + ADDITIVITY)` more than its goods.
const ADDITIVITY: f64 = 0.2;

/// A bidder's own values, and the same scaled to the weights by which it picks goods.
struct Taste {
    values: Vec<f64>,
    weights: Vec<f64>,
}

impl Taste {
    fn new(common: &[f64], random: &mut Mix) -> Self {
        let stray: Vec<f64> = common
            .iter()
            .map(|_| (unit(random) * 2.0 - 1.0) * DEVIATION * VALUE_MAX)
            .collect();
        let values: Vec<f64> = common
            .iter()
            .zip(&stray)
            .map(|(common, stray)| (common + stray).max(0.0))
            .collect();
        let weights = stray
            .iter()
            .map(|stray| (stray / (DEVIATION * VALUE_MAX) + 1.0) / 2.0)
            .collect();
        Self { values, weights }
    }

    fn value(&self, bundle: &[u32]) -> f64 {
        let sum: f64 = bundle.iter().map(|good| self.values[*good as usize]).sum();
        sum + (bundle.len() as f64).powf(1.0 + ADDITIVITY)
    }
}

fn common_values(goods: usize, random: &mut Mix) -> Vec<f64> {
    (0..goods)
        .map(|_| 1.0 + unit(random) * (VALUE_MAX - 1.0))
        .collect()
}

/// Every pair of goods has a random affinity; the next good is picked by its affinity to those
/// already taken times the bidder's taste.
pub(super) fn arbitrary(goods: usize, random: &mut Mix) -> Source {
    let common = common_values(goods, random);
    let salt = random.next_u64();
    let affinity = move |a: usize, b: usize| {
        let (low, high) = (a.min(b) as u64, a.max(b) as u64);
        unit(&mut Mix::new(salt ^ (low << 32 | high)))
    };
    Box::new(move |random| {
        let taste = Taste::new(&common, random);
        let first = weighted(random, taste.weights.iter().copied()).unwrap_or(0);
        let mut bundle = vec![first as u32];
        let mut pull = vec![0.0; goods];
        let mut last = first;
        while bundle.len() < goods && unit(random) < MORE {
            for (good, pull) in pull.iter_mut().enumerate() {
                *pull += affinity(last, good) * taste.weights[good];
            }
            bundle
                .iter()
                .for_each(|good| pull[*good as usize] = f64::NEG_INFINITY);
            let Some(next) = weighted(random, pull.iter().map(|pull| pull.max(0.0))) else {
                break;
            };
            bundle.push(next as u32);
            last = next;
        }
        let value = taste.value(&bundle);
        (bundle, value)
    })
}

/// Goods lie on a square grid; neighbours join with some diagonals. A bundle grows along edges.
pub(super) fn regions(goods: usize, random: &mut Mix) -> Source {
    const DIAGONAL: f64 = 0.2;
    let side = (goods as f64).sqrt().ceil() as usize;
    let mut near: Vec<Vec<u32>> = vec![Vec::new(); goods];
    for good in 0..goods {
        let (row, column) = (good / side, good % side);
        let mut join = |row: usize, column: usize| {
            let other = row * side + column;
            if column < side && other < goods {
                near[good].push(other as u32);
                near[other].push(good as u32);
            }
        };
        join(row, column + 1);
        join(row + 1, column);
        if unit(random) < DIAGONAL {
            join(row + 1, column + 1);
        }
    }
    let common = common_values(goods, random);
    Box::new(move |random| {
        let taste = Taste::new(&common, random);
        let first = weighted(random, taste.weights.iter().copied()).unwrap_or(0);
        let mut bundle = vec![first as u32];
        while unit(random) < MORE {
            let mut edge: Vec<u32> = bundle
                .iter()
                .flat_map(|good| near[*good as usize].iter().copied())
                .collect();
            edge.retain(|good| !bundle.contains(good));
            edge.sort_unstable();
            edge.dedup();
            let weights = edge.iter().map(|good| taste.weights[*good as usize]);
            let Some(next) = weighted(random, weights) else {
                break;
            };
            bundle.push(edge[next]);
        }
        let value = taste.value(&bundle);
        (bundle, value)
    })
}

/// First every namespace alone, then bundles of two to eight; the r-th namespace is picked with
/// weight 1/r and worth about 1/√r; each further member adds a tenth to the whole.
pub(super) fn l2_like(goods: usize) -> Source {
    const SYNERGY: f64 = 0.1;
    const MORE: f64 = 0.6;
    const SIZE_MAX: usize = 8;
    let worth = |good: u32| 100.0 / f64::from(good + 1).sqrt();
    let mut cumulative = Vec::with_capacity(goods);
    let mut sum = 0.0;
    for rank in 1..=goods {
        sum += 1.0 / rank as f64;
        cumulative.push(sum);
    }
    let mut alone = 0u32;
    Box::new(move |random| {
        let taste = 0.5 + unit(random);
        if (alone as usize) < goods {
            alone += 1;
            return (vec![alone - 1], worth(alone - 1) * taste);
        }
        let mut size = 2;
        while size < SIZE_MAX && unit(random) < MORE {
            size += 1;
        }
        let mut bundle: Vec<u32> = (0..size)
            .map(|_| {
                let ball = unit(random) * sum;
                cumulative
                    .partition_point(|end| *end <= ball)
                    .min(goods - 1) as u32
            })
            .collect();
        bundle.sort_unstable();
        bundle.dedup();
        let synergy = 1.0 + SYNERGY * (bundle.len() - 1) as f64;
        let value = bundle.iter().map(|good| worth(*good)).sum::<f64>() * synergy * taste;
        (bundle, value)
    })
}
