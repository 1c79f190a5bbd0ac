//! The law of the lottery by exact rationals: the worked example, the fair pot, neutrality to
//! clones and sybils, monotonicity, concavity, proportionality, locality; and the draw's own
//! frequencies against it.

use std::collections::BTreeMap;

use cortado_lottery::lab::odds::{self, Fraction, STATES_MAX};
use cortado_lottery::{
    Batch, Beacon, BundleIndex, Bundles, Gwei, Index, Lottery, Member, OwnerId, PoolIndex, Ticket,
    TicketId,
};
use num_bigint::BigInt;
use num_traits::{One, Zero};
use proptest::prelude::*;

type Pools = Vec<(Vec<u32>, u64)>;

fn ratio(above: u64, below: u64) -> Fraction {
    Fraction::new(BigInt::from(above), BigInt::from(below))
}

/// A batch with one ticket per row of members and stake; rows may repeat a bundle.
fn index(namespaces: usize, reserves: &[u64], rows: &[(Vec<u32>, u64)]) -> Index {
    let mut bundles = Bundles::default();
    let mut tickets = Vec::new();
    for (id, (members, stake)) in rows.iter().enumerate() {
        let members: Vec<Member> = members.iter().copied().map(Member::new).collect();
        let bundle: BundleIndex = bundles.push(&members).unwrap();
        let (id, stake) = (TicketId::new(id as u64), Gwei::new(*stake));
        tickets.push(Ticket {
            id,
            owner: OwnerId::new(0),
            bundle,
            stake,
        });
    }
    let reserve = |at: usize| Gwei::new(reserves.get(at).copied().unwrap_or(0));
    let reserves = (0..namespaces).map(reserve).collect();
    Index::new(&Batch::new(reserves, bundles, tickets).unwrap())
}

fn exact(index: &Index) -> odds::Exact {
    odds::exact(index, STATES_MAX).unwrap()
}

fn pool(index: &Index, members: &[u32]) -> PoolIndex {
    let members: Vec<Member> = members.iter().copied().map(Member::new).collect();
    index.pool_of(&members).unwrap()
}

fn chance(index: &Index, members: &[u32]) -> Fraction {
    exact(index).assigned[pool(index, members).get() as usize].clone()
}

fn worked() -> Index {
    let rows: Pools = vec![
        (vec![1], 30),
        (vec![1, 2], 40),
        (vec![1, 2], 20),
        (vec![2], 10),
        (vec![2, 3], 25),
        (vec![3], 5),
        (vec![1, 2, 3], 70),
    ];
    index(4, &[0, 100, 50, 20], &rows)
}

#[test]
fn the_worked_example_has_the_published_law() {
    let index = worked();
    let law = odds::law(&index, 1_000).unwrap();
    let outcome = |bundles: &[&[u32]]| {
        let mut pools: Vec<PoolIndex> = bundles.iter().map(|list| pool(&index, list)).collect();
        pools.sort();
        law[&pools].clone()
    };
    assert_eq!(law.len(), 4);
    assert_eq!(outcome(&[&[1, 2, 3]]), ratio(7, 20));
    assert_eq!(outcome(&[&[1, 2], &[3]]), ratio(63, 200));
    assert_eq!(outcome(&[&[1], &[2, 3]]), ratio(7, 32));
    assert_eq!(outcome(&[&[1], &[2], &[3]]), ratio(93, 800));
}

/// Two million slots; the 99 % quantile of χ² with 3 degrees of freedom is 11.345. The draws are
/// deterministic, so this either always passes or never.
#[test]
fn two_million_draws_follow_the_law() {
    const SLOTS: u64 = 2_000_000;
    let index = worked();
    let law = odds::law(&index, 1_000).unwrap();
    let mut counts: BTreeMap<Vec<PoolIndex>, u64> = BTreeMap::new();
    let mut lottery = Lottery::new(&index);
    for slot in 0..SLOTS {
        let result = lottery.draw(Beacon([0x5a; 32]), slot);
        let mut outcome: Vec<PoolIndex> = result.draws.iter().map(|draw| draw.pool).collect();
        outcome.sort();
        *counts.entry(outcome).or_default() += 1;
    }
    assert_eq!(counts.values().sum::<u64>(), SLOTS);
    assert!(counts.keys().all(|outcome| law.contains_key(outcome)));
    let chi2: f64 = law
        .iter()
        .map(|(outcome, chance)| {
            let expected = odds::to_f64(chance) * SLOTS as f64;
            let found = counts.get(outcome).copied().unwrap_or(0) as f64;
            (found - expected).powi(2) / expected
        })
        .sum();
    println!("chi-squared {chi2:.3} at 3 degrees of freedom");
    assert!(chi2 < 11.345, "chi-squared {chi2}");
}

fn rows(namespaces: u32, most: usize) -> impl Strategy<Value = Pools> {
    let members = prop::collection::btree_set(0..namespaces, 1..=3);
    prop::collection::vec((members, 1u64..50), 1..=most).prop_map(|rows| {
        rows.into_iter()
            .map(|(members, stake)| (members.into_iter().collect(), stake))
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// `E[pot · 1{B assigned}] = S_B`, exactly.
    #[test]
    fn the_expected_pot_of_a_pool_is_its_stake(rows in rows(5, 7)) {
        let index = index(5, &[], &rows);
        for (at, pot) in exact(&index).pot.iter().enumerate() {
            let stake = index.stake(PoolIndex::new(at as u32)).get();
            prop_assert_eq!(pot, &Fraction::from_integer(BigInt::from(stake)));
        }
    }

    /// One ticket, or its stake over several tickets and names: the same law.
    #[test]
    fn splitting_and_merging_tickets_changes_no_odds(
        rows in rows(5, 6),
        parts in prop::collection::vec(1u64..50, 1..4),
    ) {
        let (mut whole, mut split) = (rows.clone(), rows);
        let members = whole[0].0.clone();
        whole.push((members.clone(), parts.iter().sum()));
        split.extend(parts.into_iter().map(|part| (members.clone(), part)));
        let (whole, split) = (index(5, &[], &whole), index(5, &[], &split));
        prop_assert_eq!(exact(&whole).assigned, exact(&split).assigned);
        prop_assert_eq!(exact(&whole).revenue, exact(&split).revenue);
    }

    /// A bid spread over clones `B ∪ {uncontested namespace}` has the odds of one bid on B, and
    /// pays the same.
    #[test]
    fn cloning_a_bundle_over_junk_namespaces_gains_nothing(
        rows in rows(4, 5),
        parts in prop::collection::vec(1u64..30, 1..4),
    ) {
        let mut plain = rows.clone();
        plain.push((vec![0, 2], parts.iter().sum()));
        let mut cloned = rows.clone();
        for (junk, part) in parts.iter().enumerate() {
            cloned.push((vec![0, 2, 4 + junk as u32], *part));
        }
        let (plain, cloned) = (index(7, &[], &plain), index(7, &[], &cloned));
        let cloned_odds = exact(&cloned);
        let any_clone: Fraction = (0..parts.len())
            .map(|junk| &cloned_odds.assigned[pool(&cloned, &[0, 2, 4 + junk as u32]).get() as usize])
            .sum();
        // The cloner's part of pool {0, 2} in the plain world, others' stake on it included.
        let mine: u64 = parts.iter().sum();
        let others: u64 =
            rows.iter().filter(|(members, _)| *members == [0, 2]).map(|(_, stake)| stake).sum();
        prop_assert_eq!(any_clone, chance(&plain, &[0, 2]) * ratio(mine, mine + others));
        prop_assert_eq!(plain.total(), cloned.total());
    }

    /// More stake on a bundle never lowers its chance, and adds less and less.
    #[test]
    fn the_chance_of_a_pool_is_increasing_and_concave_in_its_stake(
        rows in rows(5, 6),
        first in 1u64..40,
        step in 1u64..40,
    ) {
        let at = |stake: u64| {
            let mut rows = rows.clone();
            rows.push((vec![1, 3], stake));
            chance(&index(5, &[], &rows), &[1, 3])
        };
        let (low, middle, high) = (at(first), at(first + step), at(first + 2 * step));
        prop_assert!(low <= middle && middle <= high);
        prop_assert!(&middle - &low >= &high - &middle);
    }

    /// The same for one ticket beside others on its bundle.
    #[test]
    fn the_chance_of_a_ticket_is_increasing_and_concave_in_its_stake(
        rows in rows(5, 6),
        beside in 1u64..40,
        first in 1u64..40,
        step in 1u64..40,
    ) {
        let at = |stake: u64| {
            let mut rows = rows.clone();
            rows.retain(|(members, _)| *members != [1, 3]);
            rows.push((vec![1, 3], stake + beside));
            chance(&index(5, &[], &rows), &[1, 3]) * ratio(stake, stake + beside)
        };
        let (low, middle, high) = (at(first), at(first + step), at(first + 2 * step));
        prop_assert!(low < middle && middle < high);
        prop_assert!(&middle - &low >= &high - &middle);
    }

    /// An unrelated component changes nothing, and scaling all stakes of one changes nothing.
    #[test]
    fn components_do_not_feel_each_other(here in rows(4, 5), there in rows(3, 4), scale in 1u64..9) {
        let alone = index(4, &[], &here);
        let shifted = there.iter().map(|(members, stake)| {
            (members.iter().map(|member| member + 4).collect(), stake * scale)
        });
        let both: Pools = here.iter().cloned().chain(shifted).collect();
        let together = index(7, &[], &both);
        // Locality must hold of the draws themselves, so the law here does not split components.
        let law = odds::law(&together, 200_000).unwrap();
        for (members, _) in &here {
            let mine = pool(&together, members);
            let chance_of_mine: Fraction = law
                .iter()
                .filter(|(outcome, _)| outcome.contains(&mine))
                .map(|(_, chance)| chance)
                .sum();
            prop_assert_eq!(chance_of_mine, chance(&alone, members));
        }
    }

    /// Where all bundles conflict with all others, the stakes are the odds.
    #[test]
    fn rivals_for_one_namespace_win_in_proportion_to_their_stakes(
        stakes in prop::collection::vec(1u64..100, 1..6),
    ) {
        let rows: Pools =
            stakes.iter().enumerate().map(|(i, s)| (vec![0, i as u32 + 1], *s)).collect();
        let index = index(8, &[], &rows);
        let total: u64 = stakes.iter().sum();
        for (members, stake) in &rows {
            prop_assert_eq!(chance(&index, members), ratio(*stake, total));
        }
    }

    /// The two ways to compute the law agree, and it is a law.
    #[test]
    fn the_exact_odds_agree_with_the_full_law(rows in rows(5, 6)) {
        let index = index(5, &[], &rows);
        let law = odds::law(&index, 200_000).unwrap();
        prop_assert_eq!(law.values().sum::<Fraction>(), Fraction::one());
        for (at, found) in exact(&index).assigned.iter().enumerate() {
            let at = PoolIndex::new(at as u32);
            let sum = law
                .iter()
                .filter(|(outcome, _)| outcome.contains(&at))
                .fold(Fraction::zero(), |sum, (_, chance)| sum + chance);
            prop_assert_eq!(found, &sum);
        }
    }
}
