//! Families with a shape in space or time: paths, matching, scheduling.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use super::{Source, unit};
use crate::mix::Mix;

/// Cities in a square, joined to their nearest; edges are the goods. A bidder wants to get from
/// one city to another by a short route, and pays up to half more than the distance.
pub(super) fn paths(goods: usize, random: &mut Mix) -> Source {
    /// About how many edges a city has.
    const DEGREE: usize = 3;
    let mut cities = (goods / DEGREE).max(2);
    while cities * (cities - 1) / 2 < goods {
        cities += 1;
    }
    let places: Vec<(f64, f64)> = (0..cities).map(|_| (unit(random), unit(random))).collect();
    let distance = |a: usize, b: usize| {
        let (dx, dy) = (places[a].0 - places[b].0, places[a].1 - places[b].1);
        (dx * dx + dy * dy).sqrt()
    };
    // The k-th nearest of every city, for k = 1, 2, …, until there are enough edges.
    let by_distance: Vec<Vec<usize>> = (0..cities)
        .map(|city| {
            let mut others: Vec<usize> = (0..cities).filter(|other| *other != city).collect();
            others.sort_by(|a, b| distance(city, *a).total_cmp(&distance(city, *b)));
            others
        })
        .collect();
    let mut edges: Vec<(usize, usize)> = Vec::new();
    let mut known = BTreeSet::new();
    'rank: for rank in 0..cities - 1 {
        for (city, others) in by_distance.iter().enumerate() {
            let edge = (city.min(others[rank]), city.max(others[rank]));
            if edges.len() == goods {
                break 'rank;
            }
            if known.insert(edge) {
                edges.push(edge);
            }
        }
    }
    let lengths: Vec<f64> = edges.iter().map(|(a, b)| distance(*a, *b)).collect();
    let mut roads: Vec<Vec<(usize, u32)>> = vec![Vec::new(); cities];
    for (edge, (a, b)) in edges.iter().enumerate() {
        roads[*a].push((*b, edge as u32));
        roads[*b].push((*a, edge as u32));
    }
    Box::new(move |random| {
        let from = random.below(cities as u64) as usize;
        let to = random.below(cities as u64) as usize;
        // Each bidder sees every road a little longer or shorter.
        let salt = random.next_u64();
        let cost = |edge: u32| {
            let stray = 0.6 + 0.8 * unit(&mut Mix::new(salt ^ u64::from(edge)));
            (lengths[edge as usize] * stray * 1e9) as u64 + 1
        };
        let route = shortest(&roads, from, to, cost);
        let length: f64 = route.iter().map(|edge| lengths[*edge as usize]).sum();
        let value = length * 100.0 * (1.0 + 0.5 * unit(random));
        (route, value)
    })
}

/// Edges of a cheapest route; empty if there is none.
fn shortest(
    roads: &[Vec<(usize, u32)>],
    from: usize,
    to: usize,
    cost: impl Fn(u32) -> u64,
) -> Vec<u32> {
    let mut least = vec![u64::MAX; roads.len()];
    let mut came: Vec<Option<(usize, u32)>> = vec![None; roads.len()];
    let mut open = BinaryHeap::from([Reverse((0u64, from))]);
    least[from] = 0;
    while let Some(Reverse((so_far, city))) = open.pop() {
        if city == to {
            break;
        }
        if so_far > least[city] {
            continue;
        }
        for (next, edge) in &roads[city] {
            let total = so_far + cost(*edge);
            if total < least[*next] {
                least[*next] = total;
                came[*next] = Some((city, *edge));
                open.push(Reverse((total, *next)));
            }
        }
    }
    let mut route = Vec::new();
    let mut at = to;
    while let Some((before, edge)) = came[at] {
        route.push(edge);
        at = before;
    }
    route
}

/// Four airports, each with as many time slots; a flight needs a take-off and, its flying time
/// later, a landing. Delay on either end costs value.
pub(super) fn matching(goods: usize, random: &mut Mix) -> Source {
    const AIRPORTS: u64 = 4;
    /// Part of the value that is left per time slot of delay.
    const PATIENCE: f64 = 0.9;
    let times = goods as u64 / AIRPORTS;
    let worth: Vec<f64> = (0..AIRPORTS).map(|_| 20.0 + 80.0 * unit(random)).collect();
    Box::new(move |random| {
        let from = random.below(AIRPORTS);
        let to = (from + 1 + random.below(AIRPORTS - 1)) % AIRPORTS;
        // Neighbours are one slot of flight apart, opposite corners two, if the day is that long.
        let flight = if from.abs_diff(to) == 2 { 2 } else { 1 }.min(times - 1);
        let best = random.below(times - flight);
        let room = (times - flight - best).min(6);
        let delay = random.below(room);
        let hold = random.below((times - flight - best - delay).min(4));
        let leave = best + delay;
        let land = leave + flight + hold;
        let value = (worth[from as usize] + worth[to as usize]) * (0.5 + unit(random));
        let value = value * PATIENCE.powi((delay + hold) as i32);
        (
            vec![(from * times + leave) as u32, (to * times + land) as u32],
            value,
        )
    })
}

/// Goods are consecutive times of one machine. A job needs a run of them; it is worth more than
/// its length, and less the later it ends after its first deadline.
pub(super) fn scheduling(goods: usize) -> Source {
    const MORE: f64 = 0.8;
    const ADDITIVITY: f64 = 0.2;
    const LATENESS: f64 = 0.9;
    Box::new(move |random| {
        let mut length = 1;
        while length < goods && unit(random) < MORE {
            length += 1;
        }
        let start = random.below((goods - length + 1) as u64) as usize;
        let end = start + length;
        let deadline = length + random.below((goods - length + 1) as u64) as usize;
        let late = end.saturating_sub(deadline).min(10);
        let per_time = 50.0 * (0.5 + unit(random));
        let value = per_time * (length as f64).powf(1.0 + ADDITIVITY) * LATENESS.powi(late as i32);
        ((start..end).map(|time| time as u32).collect(), value)
    })
}
