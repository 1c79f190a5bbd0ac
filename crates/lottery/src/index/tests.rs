use proptest::prelude::*;

use super::*;
use crate::testing::{arbitrary_batch, batch};

#[test]
fn equal_bundles_under_two_indices_are_one_pool_and_tickets_stand_by_id() {
    let batch = batch(
        &[0, 0],
        &[&[1], &[0, 1], &[1], &[0]],
        &[(9, 0, 4), (3, 2, 5), (7, 1, 1), (5, 0, 6)],
    );
    let index = Index::new(&batch);
    assert_eq!(index.pools(), 2, "the bundle without tickets is no pool");
    let lists: Vec<Vec<u32>> = (0..2)
        .map(|pool| {
            index
                .members(PoolIndex::new(pool))
                .iter()
                .map(|m| m.get())
                .collect()
        })
        .collect();
    assert_eq!(lists, [vec![0, 1], vec![1]], "lexicographic, not by size");
    let ids: Vec<u64> = index
        .entries(PoolIndex::new(1))
        .map(|entry| entry.id.get())
        .collect();
    assert_eq!(ids, [3, 5, 9]);
    assert_eq!(index.stake(PoolIndex::new(1)), Sum::new(15));
}

proptest! {
    #[test]
    fn an_index_says_what_its_batch_says(batch in arbitrary_batch()) {
        let index = Index::new(&batch);
        prop_assert_eq!(index.tickets(), batch.tickets().len());
        prop_assert_eq!(index.total(), batch.tickets().iter().map(|ticket| ticket.stake).sum());
        let mut tickets = 0;
        for pool in (0..index.pools() as u32).map(PoolIndex::new) {
            prop_assert_eq!(index.pool_of(index.members(pool)), Some(pool));
            let mut start = Sum::ZERO;
            for entry in index.entries(pool) {
                prop_assert_eq!(entry.start, start);
                prop_assert_eq!(index.ticket(pool, entry.id), Some(entry));
                let first = index.guess(pool, start.get());
                prop_assert_eq!(index.ticket_from(pool, start.get(), first), entry);
                start += entry.stake.into();
                let last = start.get() - 1;
                prop_assert_eq!(index.ticket_from(pool, last, index.guess(pool, last)), entry);
                tickets += 1;
            }
            prop_assert_eq!(start, index.stake(pool));
            for member in index.members(pool) {
                prop_assert!(index.touching(*member).contains(&pool));
            }
        }
        prop_assert_eq!(tickets, batch.tickets().len());
        for namespace in (0..index.namespaces() as u32).map(Member::new) {
            prop_assert!(index.touching(namespace).is_sorted());
            for pool in index.touching(namespace) {
                prop_assert!(index.members(*pool).contains(&namespace));
            }
        }
    }
}

/// Stakes as unlike as can be, so that guesses are far off on either side.
#[test]
fn every_ticket_of_a_lopsided_pool_is_found_by_its_first_and_last_ball() {
    let stakes = |at: u64| match at {
        0..60 => 1,
        60 => u64::MAX,
        61..200 => at * at,
        _ => u64::MAX >> (at - 200),
    };
    let tickets: Vec<(u64, u32, u64)> = (0..260).map(|at| (at, 0, stakes(at))).collect();
    let index = Index::new(&batch(&[0], &[&[0]], &tickets));
    let pool = PoolIndex::new(0);
    for entry in index.entries(pool) {
        let (first, stake) = (entry.start.get(), u128::from(entry.stake.get()));
        for ball in [first, first + stake - 1] {
            assert_eq!(
                index.ticket_from(pool, ball, index.guess(pool, ball)),
                entry
            );
        }
    }
}
