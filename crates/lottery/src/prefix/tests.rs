use proptest::prelude::*;

use super::*;

#[test]
fn a_tree_over_nothing_is_empty_and_harmless() {
    let mut tree = Prefix::new(Vec::new());
    tree.copy_from(&Prefix::new(Vec::new()));
    assert_eq!(tree.levels, vec![Vec::<u128>::new()]);
}

proptest! {
    /// Against the definition: the ball's owner is the first whose sum exceeds it.
    #[test]
    fn every_ball_is_found_where_a_linear_scan_finds_it(
        values in prop::collection::vec(0u128..=u128::from(u64::MAX), 1..2_100),
        removed in prop::collection::vec(any::<prop::sample::Index>(), 0..50),
        balls in prop::collection::vec(any::<u128>(), 20),
    ) {
        let mut live = values.clone();
        let fresh = Prefix::new(values);
        let mut tree = fresh.clone();
        for index in removed {
            let at = index.index(live.len());
            prop_assert_eq!(tree.take(at), live[at]);
            live[at] = 0;
        }
        let total: u128 = live.iter().sum();
        prop_assume!(total > 0);
        for ball in balls {
            let ball = ball % total;
            let mut before = 0;
            let owner = live.iter().position(|value| {
                before += value;
                ball < before
            });
            let owner = owner.unwrap();
            prop_assert_eq!(tree.find(ball), (owner, before - live[owner]));
        }
        tree.copy_from(&fresh);
        prop_assert_eq!(tree.levels, fresh.levels);
    }
}
