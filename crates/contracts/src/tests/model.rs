//! The divisor rule in Rust and in the contract.

use super::support::*;
use crate::{abi::Registry, seats::allocate};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn the_contract_allocates_as_the_divisor_rule_says(
        shape in prop::collection::vec((1_u64..9, 0_u8..3), 4..7),
        first in 5_u64..12,
    ) {
        let mut shape = shape;
        // Enough seats for a set whatever the rest has.
        shape.push((first, 5));
        let world = World::new(&config(1), &operators(&shape));
        let registry = world.plan.addresses.registry;
        let found = world.view(registry, &Registry::allocationCall {});
        let stakes: Vec<u64> = shape.iter().map(|one| one.0 * ETHER).collect();
        let keys: Vec<usize> = shape.iter().map(|one| usize::from(one.1)).collect();
        let (price, seats) = allocate(&stakes, &keys, ETHER, 100);
        prop_assert_eq!(found.price, price);
        let found: Vec<u64> = found.seats.iter().map(|seats| seats.to::<u64>()).collect();
        prop_assert_eq!(found, seats);
    }
}

#[test]
fn more_quotients_than_seats_go_to_the_highest_and_the_lower_operator() {
    assert_eq!(
        allocate(&[30, 30, 10], &[9, 9, 9], 1, 4),
        (15, vec![2, 2, 0])
    );
    assert_eq!(
        allocate(&[30, 30, 10], &[9, 9, 9], 1, 3),
        (15, vec![2, 1, 0])
    );
    assert_eq!(allocate(&[5, 4], &[0, 9], 5, 9), (0, vec![0, 0]));
}
