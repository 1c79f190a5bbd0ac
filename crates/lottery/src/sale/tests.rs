//! The split against brute force: Shapley value over all orders, core over all coalitions.

use proptest::prelude::*;

use super::*;
use crate::draw::Lottery;
use crate::testing::{arbitrary_batch, batch};
use crate::uniform::Beacon;

/// Pools knocked out by a draw, as masks over the positions of the bundle, with their stakes.
fn competition(index: &Index, result: &Assignment, at: usize) -> Vec<(u32, u128)> {
    let bundle = index.members(result.draws[at].pool);
    let earlier: Vec<Member> = result.draws[..at]
        .iter()
        .flat_map(|draw| index.members(draw.pool).iter().copied())
        .collect();
    (0..index.pools() as u32)
        .map(PoolIndex::new)
        .filter(|pool| {
            !index
                .members(*pool)
                .iter()
                .any(|member| earlier.contains(member))
        })
        .filter_map(|pool| {
            let mask = bundle
                .iter()
                .enumerate()
                .filter(|(_, member)| index.members(pool).contains(member))
                .fold(0, |mask, (position, _)| mask | 1u32 << position);
            (mask != 0).then(|| (mask, index.stake(pool).get()))
        })
        .collect()
}

/// `v(D)`: all stake that competes for D.
fn v(pools: &[(u32, u128)], coalition: u32) -> u128 {
    pools
        .iter()
        .filter(|(mask, _)| mask & coalition != 0)
        .map(|(_, stake)| stake)
        .sum()
}

/// The Shapley value of `v` times `size!`, over all orders of joining.
fn shapley(pools: &[(u32, u128)], size: usize) -> Vec<u128> {
    fn join(pools: &[(u32, u128)], size: usize, inside: u32, value: &mut [u128], orders: u128) {
        // `orders`: how the members outside the present choice may still be ordered.
        let left = (0..size).filter(|member| inside >> member & 1 == 0).count() as u128;
        for member in (0..size).filter(|member| inside >> member & 1 == 0) {
            let with = inside | 1 << member;
            value[member] += (v(pools, with) - v(pools, inside)) * (orders / left);
            join(pools, size, with, value, orders / left);
        }
    }
    let mut value = vec![0; size];
    join(pools, size, 0, &mut value, factorial(size));
    value
}

fn factorial(size: usize) -> u128 {
    (1..=size as u128).product()
}

#[test]
fn the_worked_example_pays_what_the_specification_says() {
    let batch = batch(
        &[0, 100, 50, 20],
        &[&[1], &[2], &[3], &[1, 2], &[2, 3], &[1, 2, 3]],
        &[
            (0, 0, 30),
            (1, 3, 40),
            (2, 3, 20),
            (3, 1, 10),
            (4, 4, 25),
            (5, 2, 5),
            (6, 5, 70),
        ],
    );
    let index = Index::new(&batch);
    let result = Lottery::new(&index).draw(Beacon([0x11; 32]), 0);
    let sale = Sale::new(&index, &result, &result.draws[0]);
    assert_eq!(sale.ticket, TicketId::new(2));
    assert_eq!(sale.standby, Some((OwnerId::new(1_001), TicketId::new(1))));
    let shares: Vec<u128> = sale
        .shares
        .iter()
        .map(|share| share.revenue().get())
        .collect();
    assert_eq!(shares, [195, 150]);
    assert_eq!(
        sale.first_refusal(),
        FirstRefusal {
            proposer_pays: Sum::new(345),
            rollups_receive: Sum::new(150),
            holder_receives: Sum::new(195),
            holder_released: Sum::new(150),
        }
    );
}

#[test]
fn a_fee_is_taken_from_the_excess_only_and_rounds_for_the_rollup() {
    let share = Share {
        namespace: Member::new(0),
        reserve: Gwei::new(1_000_000),
        excess: Sum::new(9_999),
    };
    assert_eq!(share.fee(0), Sum::ZERO);
    assert_eq!(share.fee(100), Sum::new(99));
    assert_eq!(share.fee(10_000), share.excess);
}

#[test]
#[should_panic(expected = "more than everything")]
fn a_fee_beyond_the_excess_is_refused() {
    let (namespace, reserve, excess) = (Member::new(0), Gwei::ZERO, Sum::ZERO);
    Share {
        namespace,
        reserve,
        excess,
    }
    .fee(10_001);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// With stakes that divide evenly the closed form is the Shapley value to the gwei.
    #[test]
    fn the_split_is_the_shapley_value(batch in arbitrary_batch(), slot: u64) {
        let index = Index::new(&batch);
        let result = Lottery::new(&index).draw(Beacon([3; 32]), slot);
        for (at, draw) in result.draws.iter().enumerate() {
            let size = index.members(draw.pool).len();
            if size > 5 {
                continue;
            }
            let pools = competition(&index, &result, at);
            let value = shapley(&pools, size);
            let sale = Sale::new(&index, &result, draw);
            for (share, value) in sale.shares.iter().zip(value) {
                // Each pool's odd gwei moves a member by less than one.
                let scaled = share.excess.get() * factorial(size);
                let slack = factorial(size) * pools.len() as u128;
                prop_assert!(scaled.abs_diff(value) < slack.max(1));
            }
        }
    }

    /// No coalition of the bundle's rollups gains by leaving: each gets at least the stake that
    /// needs only its members (w), for any way the odd gwei fall.
    #[test]
    fn no_coalition_gains_by_leaving(batch in arbitrary_batch(), slot: u64) {
        let index = Index::new(&batch);
        let result = Lottery::new(&index).draw(Beacon([4; 32]), slot);
        for (at, draw) in result.draws.iter().enumerate() {
            let size = index.members(draw.pool).len();
            let pools = competition(&index, &result, at);
            let all = (1u32 << size) - 1;
            let sale = Sale::new(&index, &result, draw);
            prop_assert_eq!(v(&pools, all), draw.pot.get());
            for coalition in 1..=all {
                let gets: u128 = (0..size)
                    .filter(|member| coalition >> member & 1 == 1)
                    .map(|member| sale.shares[member].excess.get())
                    .sum();
                let alone = v(&pools, all) - v(&pools, all & !coalition);
                prop_assert!(gets >= alone, "{coalition:b} gets {gets}, alone {alone}");
                // The dual side: nobody gets more than all stake that competes for it.
                prop_assert!(gets <= v(&pools, coalition));
            }
        }
    }

    #[test]
    fn a_sale_conserves_money_through_the_right_of_first_refusal(
        batch in arbitrary_batch(),
        slot: u64,
    ) {
        let index = Index::new(&batch);
        let result = Lottery::new(&index).draw(Beacon([5; 32]), slot);
        for draw in &result.draws {
            let sale = Sale::new(&index, &result, draw);
            let shares: Sum = sale.shares.iter().map(Share::revenue).sum();
            prop_assert_eq!(shares, sale.price());
            let refusal = sale.first_refusal();
            prop_assert_eq!(
                refusal.proposer_pays,
                refusal.rollups_receive + refusal.holder_receives
            );
            prop_assert_eq!(refusal.holder_released, sale.reserve);
        }
    }
}
