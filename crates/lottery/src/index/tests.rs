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
                prop_assert_eq!(index.ticket_at(pool, start.get()), entry);
                start += entry.stake.into();
                prop_assert_eq!(index.ticket_at(pool, start.get() - 1), entry);
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
