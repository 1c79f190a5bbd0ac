use proptest::prelude::*;

use super::*;

fn seed() -> Seed {
    Seed::derive(Beacon([7; 32]), 3)
}

#[test]
fn the_seed_of_the_worked_example_is_the_published_one() {
    let seed = Seed::derive(Beacon([0x11; 32]), 0);
    assert!(seed.to_string().starts_with("157be8c7"));
}

#[test]
#[should_panic(expected = "positive bound")]
fn nothing_can_be_drawn_from_nothing() {
    uniform(DRAW_TAG, seed(), 0, 0);
}

/// The values that `reduce` accepts are `0..2^128 − excess`; they must be a whole number of
/// rounds over `0..bound`, and as many as possible.
fn accepted_are_whole_rounds(bound: u128) {
    // 2^128 mod bound by another route: 2^127 twice.
    let half = (1u128 << 127) % bound;
    let excess = match half.checked_add(half) {
        Some(double) => double % bound,
        None => half - (bound - half),
    };
    let last = u128::MAX - excess;
    assert_eq!(
        reduce(last, bound),
        Some(bound - 1),
        "the last round is complete for {bound}"
    );
    assert_eq!(reduce(0, bound), Some(0));
    if let Some(beyond) = last.checked_add(1) {
        assert_eq!(
            reduce(beyond, bound),
            None,
            "one more would favour 0 for {bound}"
        );
        assert_eq!(reduce(u128::MAX, bound), None);
    }
}

#[test]
fn sampling_is_exact_at_one_at_powers_of_two_beside_them_and_at_the_largest_total() {
    accepted_are_whole_rounds(1);
    for power in 1..128 {
        let power = 1u128 << power;
        for bound in [power - 1, power, power + 1] {
            accepted_are_whole_rounds(bound);
        }
    }
    accepted_are_whole_rounds(u128::from(u64::MAX) * (1 << 32));
    accepted_are_whole_rounds(u128::MAX);
}

#[test]
fn a_power_of_two_refuses_nothing() {
    for power in 0..128 {
        assert!(reduce(u128::MAX, 1 << power).is_some());
    }
}

#[test]
fn a_rejected_hash_moves_on_to_the_next_counter() {
    // With a bound just above 2^127 nearly half of all hashes are refused, so among a few draws
    // some need a second hash; every result must still be the first accepted one.
    let bound = (1u128 << 127) + 1;
    let mut later = 0;
    for k in 0..32u32 {
        let hashes = (0u32..).map(|counter| {
            let hash = Sha256::new()
                .chain_update(DRAW_TAG)
                .chain_update(seed().0)
                .chain_update(k.to_be_bytes())
                .chain_update(counter.to_be_bytes())
                .finalize();
            hash.iter()
                .take(16)
                .fold(0u128, |number, byte| number << 8 | u128::from(*byte))
        });
        let (counter, first) = hashes.enumerate().find(|(_, x)| *x < bound).unwrap();
        later += usize::from(counter > 0);
        assert_eq!(uniform(DRAW_TAG, seed(), k, bound), first);
    }
    assert!(later > 5, "the counter was needed only {later} times");
}

#[test]
fn draws_and_standbys_of_the_same_number_are_unrelated() {
    let bound = u128::MAX;
    assert_ne!(
        uniform(DRAW_TAG, seed(), 0, bound),
        uniform(STANDBY_TAG, seed(), 0, bound)
    );
    assert_ne!(
        uniform(DRAW_TAG, seed(), 0, bound),
        uniform(DRAW_TAG, seed(), 1, bound)
    );
}

proptest! {
    #[test]
    fn sampling_is_exact_at_any_bound(bound in 1..=u128::MAX) {
        accepted_are_whole_rounds(bound);
    }

    #[test]
    fn a_uniform_number_is_below_its_bound(bound in 1..=u128::MAX, k in any::<u32>()) {
        prop_assert!(uniform(DRAW_TAG, seed(), k, bound) < bound);
    }
}
