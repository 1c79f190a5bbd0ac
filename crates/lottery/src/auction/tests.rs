use proptest::prelude::*;

use super::patch::{Outcome, Patch};
use super::*;
use crate::lab::families::{Family, bundles};
use crate::testing::batch;

fn bid(members: &[u32], amount: u64) -> Bid {
    let members = members.iter().copied().map(Member::new).collect();
    Bid {
        members,
        amount: Gwei::new(amount),
        source: None,
    }
}

fn family(family: Family, namespaces: usize, count: usize, seed: u64) -> Auction {
    let valued = bundles(family, namespaces, count, seed).unwrap();
    let bid = |one: crate::lab::families::Valued| Bid {
        members: one.members,
        amount: one.value,
        source: None,
    };
    Auction::from_bids(namespaces, valued.into_iter().map(bid).collect())
}

/// The best value by trying everything.
fn brute_force(auction: &Auction) -> u128 {
    fn best(auction: &Auction, next: u32, taken: u32) -> u128 {
        if next as usize == auction.bids().len() {
            return 0;
        }
        let mask = auction
            .members(next)
            .fold(0, |mask, member| mask | 1 << member);
        let without = best(auction, next + 1, taken);
        if mask & taken != 0 {
            return without;
        }
        let with = u128::from(auction.amount(next)) + best(auction, next + 1, taken | mask);
        with.max(without)
    }
    best(auction, 0, 0)
}

#[test]
fn the_best_ticket_bids_for_its_pool_the_earlier_one_among_equals() {
    let batch = batch(
        &[9, 9],
        &[&[0], &[0, 1]],
        &[(0, 0, 5), (1, 0, 7), (2, 0, 7), (3, 1, 20)],
    );
    let auction = Auction::new(&Index::new(&batch));
    let sources: Vec<u64> = auction
        .bids()
        .iter()
        .map(|bid| bid.source.unwrap().1.get())
        .collect();
    assert_eq!(sources, [1, 3]);
}

#[test]
fn a_bundle_below_its_members_own_bids_is_filtered() {
    let auction = Auction::from_bids(
        2,
        vec![
            bid(&[0], 5),
            bid(&[1], 6),
            bid(&[0, 1], 10),
            bid(&[0, 1], 11),
            bid(&[1], 0),
        ],
    );
    let amounts: Vec<u64> = auction.bids().iter().map(|bid| bid.amount.get()).collect();
    assert_eq!(amounts, [5, 6, 11]);
}

#[test]
fn the_surplus_is_split_equally_over_own_bids() {
    let auction = Auction::from_bids(3, vec![bid(&[0], 5), bid(&[0, 1, 2], 15)]);
    let split: Vec<u128> = auction
        .split(1)
        .iter()
        .map(|(_, part)| part.get())
        .collect();
    // 10 beyond the single bid: 4 + 3 + 3.
    assert_eq!(split, [9, 3, 3]);
}

#[test]
fn a_false_packing_or_a_wrong_number_of_prices_is_refused() {
    let auction = Auction::from_bids(2, vec![bid(&[0, 1], 5), bid(&[1], 4)]);
    let value = |bids: &[u32]| {
        auction.value(&Packing {
            bids: bids.to_vec(),
        })
    };
    assert_eq!(value(&[0]), Ok(Sum::new(5)));
    assert_eq!(
        value(&[2]),
        Err(PackingError::UnknownBid { found: 2, bids: 2 })
    );
    let namespace = Member::new(1);
    assert_eq!(
        value(&[0, 1]),
        Err(PackingError::Overlap { namespace, bid: 1 })
    );
    assert_eq!(
        auction.bound(&[Gwei::ZERO]),
        Err(PackingError::Prices {
            found: 1,
            namespaces: 2
        })
    );
}

#[test]
fn the_greatest_bids_do_not_overflow() {
    let bids = (0..60)
        .map(|first| bid(&[first, first + 1, first + 2], u64::MAX))
        .collect();
    let auction = Auction::from_bids(62, bids);
    let (_, best) = solve_exact(&auction, 100_000).unwrap();
    assert_eq!(best.get(), 20 * u128::from(u64::MAX));
    let solution = solve(&auction, 2_000, 0);
    assert!(solution.bound >= best);
}

#[test]
fn nothing_to_sell_is_solved_by_nothing() {
    let auction = Auction::from_bids(3, Vec::new());
    assert_eq!(
        solve_exact(&auction, 10),
        Ok((Packing::default(), Sum::ZERO))
    );
    assert_eq!(solve(&auction, 100, 0).bound, Sum::ZERO);
}

#[test]
fn the_exact_solver_says_when_it_gives_up() {
    let auction = family(Family::Arbitrary, 40, 200, 0);
    assert_eq!(solve_exact(&auction, 1), Err(NodeLimit { nodes: 1 }));
}

#[test]
fn every_family_is_solved_exactly_within_its_certificate() {
    for name in Family::ALL {
        let auction = family(name, 24, 80, 5);
        let (packing, best) = solve_exact(&auction, 2_000_000).unwrap();
        assert_eq!(auction.value(&packing), Ok(best));
        let solution = solve(&auction, 1_000, 0);
        assert_eq!(auction.value(&solution.packing), Ok(solution.value));
        assert_eq!(auction.bound(&solution.prices), Ok(solution.bound));
        assert!(
            solution.value <= best && best <= solution.bound,
            "{}",
            name.name()
        );
        let loss = 1.0 - solution.value.get() as f64 / best.get() as f64;
        // A patch can be the whole auction at this size.
        assert!(loss < 0.001, "{}: {loss}", name.name());
    }
}

fn small_bids() -> impl Strategy<Value = Vec<Bid>> {
    let members = prop::collection::btree_set(0u32..7, 1..=4);
    let amount = prop_oneof![1u64..30, 1_000_000u64..2_000_000, Just(u64::MAX)];
    prop::collection::vec((members, amount), 0..13).prop_map(|rows| {
        rows.into_iter()
            .map(|(members, amount)| bid(&members.into_iter().collect::<Vec<_>>(), amount))
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn branch_and_bound_finds_what_trying_everything_finds(bids in small_bids()) {
        let auction = Auction::from_bids(7, bids);
        let (packing, best) = solve_exact(&auction, 1_000_000).unwrap();
        prop_assert_eq!(auction.value(&packing), Ok(best));
        prop_assert_eq!(best.get(), brute_force(&auction));
    }

    /// Any prices bound the optimum from above, whoever made them.
    #[test]
    fn every_certificate_is_at_least_the_optimum(
        bids in small_bids(),
        prices in prop::collection::vec(prop_oneof![0u64..40, any::<u64>()], 7),
    ) {
        let auction = Auction::from_bids(7, bids);
        let best = brute_force(&auction);
        let prices: Vec<Gwei> = prices.into_iter().map(Gwei::new).collect();
        prop_assert!(auction.bound(&prices).unwrap().get() >= best);
        let solution = solve(&auction, 500, 1);
        prop_assert!(solution.bound.get() >= best);
        prop_assert!(solution.value.get() <= best);
        prop_assert_eq!(auction.value(&solution.packing), Ok(solution.value));
    }

    /// Whatever the prices, a patch finds the optimum, and nothing beyond it.
    #[test]
    fn a_patch_finds_the_best_packing_and_nothing_better(
        bids in small_bids(),
        prices in prop::collection::vec(0i64..1 << 21, 7),
    ) {
        let bids = bids.into_iter().filter(|bid| bid.amount < Gwei::new(u64::MAX)).collect();
        let auction = Auction::from_bids(7, bids);
        let best = i64::try_from(brute_force(&auction)).unwrap();
        let mut patch = Patch::default();
        let mut solve = |target: i64| {
            patch.begin(prices.iter().copied());
            for bid in 0..auction.bids().len() as u32 {
                let members = auction.members(bid).map(|member| member as u32);
                patch.add(auction.amount(bid) as i64, members);
            }
            patch.solve(target)
        };
        let (outcome, found) = solve(best - 1);
        prop_assert_eq!(outcome, Outcome::Searched);
        let mut bids = found.unwrap();
        bids.sort_unstable();
        let value = auction.value(&Packing { bids }).unwrap();
        prop_assert_eq!(value.get(), best as u128);
        prop_assert_eq!(solve(best).1, None);
    }

    #[test]
    fn a_split_gives_each_its_own_bid_and_spends_exactly_the_whole(bids in small_bids()) {
        let auction = Auction::from_bids(7, bids);
        for at in 0..auction.bids().len() as u32 {
            let split = auction.split(at);
            let all: u128 = split.iter().map(|(_, part)| part.get()).sum();
            prop_assert_eq!(all, u128::from(auction.amount(at)));
            for (member, part) in split {
                let own = u128::from(auction.singles[member.get() as usize]);
                prop_assert!(part.get() >= own);
            }
        }
    }
}
