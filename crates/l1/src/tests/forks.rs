//! Forks of L1 (R9, R10): when the pointer changes over, when it waits, and what cannot make it move.

use super::*;

fn take(tree: &mut Tree, headers: &[Bytes]) -> Result<Moved, MoveError> {
    tree.take(headers, u64::MAX, &BlockCount)
}

fn tip(headers: &[Bytes]) -> L1Ref {
    read(headers.last().expect("not empty")).to_ref()
}

#[test]
fn the_pointer_changes_over_to_a_heavier_fork_and_back_again() {
    //  100 ── 101 ── 102 = head
    //     └── b101 ── b102 ── b103
    let mut tree = tree();
    let anchor = tree.head();
    let old = extended(&mut tree, 2);
    let fork = chain(anchor, 3, 0xb);
    assert_eq!(take(&mut tree, &fork), Ok(Moved::To(tip(&fork))));
    assert_eq!(tree.len(), 6, "the fork that lost is kept");
    let back = chain(old[1], 2, 0);
    assert_eq!(take(&mut tree, &back), Ok(Moved::To(tip(&back))));
    assert_eq!(reloaded(&tree), tree);
}

#[test]
fn a_fork_of_the_same_weight_changes_nothing_until_it_grows() {
    let mut tree = tree();
    let anchor = tree.head();
    let old = extended(&mut tree, 2);
    let fork = chain(anchor, 3, 0xb);
    assert_eq!(take(&mut tree, &fork[..2]), Ok(Moved::Tracked));
    assert_eq!(tree.head(), old[1]);
    assert_eq!(take(&mut tree, &fork[2..]), Ok(Moved::To(tip(&fork))));
}

#[test]
fn a_move_that_brings_nothing_is_refused_with_both_weights() {
    let mut tree = tree();
    let anchor = tree.head();
    let old = extended(&mut tree, 2);
    let fork = chain(anchor, 2, 0xb);
    assert_eq!(take(&mut tree, &fork), Ok(Moved::Tracked));
    let before = tree.clone();
    let end = tip(&fork);
    let want = MoveError::NotHeavier {
        number: end.number,
        hash: end.hash,
        weight: 2,
        head_number: 102,
        head_hash: old[1].hash,
        head_weight: 2,
    };
    assert!(!want.is_permanent(), "the fork may still grow");
    assert_eq!(take(&mut tree, &fork), Err(want));
    // Nor does repeating the head, or a part of its chain.
    for count in 1..=2 {
        let again = take(&mut tree, &chain(anchor, count, 0));
        assert!(
            matches!(again, Err(MoveError::NotHeavier { .. })),
            "{again:?}"
        );
    }
    assert_eq!(tree, before, "a refused move leaves nothing behind");
}

#[test]
fn a_move_may_start_below_the_head_and_pass_through_it() {
    let mut tree = tree();
    let anchor = tree.head();
    extended(&mut tree, 2);
    let through = chain(anchor, 5, 0);
    assert_eq!(take(&mut tree, &through), Ok(Moved::To(tip(&through))));
    assert_eq!(tree.len(), 6, "nothing is tracked twice");
}

#[test]
fn a_fork_longer_than_a_move_is_followed_in_steps() {
    let mut tree = tree();
    let anchor = tree.head();
    let old = extended(&mut tree, 150);
    let fork = chain(anchor, 151, 0xb);
    let parts: Vec<_> = fork.chunks(L1_HEADERS_PER_MOVE_MAX).collect();
    let (last, first) = parts.split_last().expect("not empty");
    for part in first {
        assert_eq!(take(&mut tree, part), Ok(Moved::Tracked));
        assert_eq!(tree.head(), old[149]);
    }
    assert_eq!(take(&mut tree, last), Ok(Moved::To(tip(&fork))));
}

#[test]
fn a_fork_that_claims_to_be_long_is_not_heavy() {
    // Weight that is only claimed: numbers that do not follow, or blocks that do not link.
    let mut tree = tree();
    let anchor = tree.head();
    extended(&mut tree, 2);
    let before = tree.clone();
    let jump = raw(anchor.hash, 1_000, 0xb);
    let refused =
        take(&mut tree, std::slice::from_ref(&jump)).expect_err("it claims to be 900 long");
    assert!(matches!(refused, MoveError::Unlinked { .. }) && refused.is_permanent());
    let mut fork = chain(anchor, 4, 0xb);
    fork.remove(1);
    let refused = take(&mut tree, &fork).expect_err("one is missing");
    assert!(matches!(refused, MoveError::Unlinked { .. }));
    // The same header twice counts once.
    let one = chain(anchor, 1, 0xb).remove(0);
    let refused = take(&mut tree, &[one.clone(), one]).expect_err("it does not follow itself");
    assert!(matches!(refused, MoveError::Unlinked { .. }));
    assert_eq!(tree, before);
}

#[test]
fn a_fork_from_below_the_floor_is_refused_however_heavy() {
    let mut tree = tree();
    let refs = extended(&mut tree, 10);
    tree.finalize(refs[4]).expect("tracked");
    let fork = chain(refs[2], 60, 0xb);
    let first = read(&fork[0]);
    let want = MoveError::BelowFinal {
        number: first.number,
        hash: first.hash,
        fin: 105,
        fin_hash: refs[4].hash,
    };
    assert!(want.is_permanent(), "the floor does not come down");
    assert_eq!(take(&mut tree, &fork), Err(want));
    // Nor one whose parent is not even tracked any more.
    let stray = raw(B256::repeat_byte(8), 105, 0);
    let refused = take(&mut tree, &[stray]).expect_err("at the floor's height");
    assert!(matches!(refused, MoveError::BelowFinal { number: 105, .. }));
    // At the floor itself forks may begin.
    let fork = chain(refs[4], 6, 0xb);
    assert_eq!(take(&mut tree, &fork), Ok(Moved::To(tip(&fork))));
}

#[test]
fn when_l1_finalises_another_fork_the_pointer_goes_to_any_descendant_of_it() {
    //  100 ── 101 … 110 = head              heavier, and not what L1 finalised
    //     └── b101 ── b102 = fin
    let mut tree = tree();
    let anchor = tree.head();
    let old = extended(&mut tree, 10);
    let fork = chain(anchor, 3, 0xb);
    assert_eq!(take(&mut tree, &fork[..2]), Ok(Moved::Tracked));
    assert!(tree.is_head_on_final());
    assert_eq!(tree.finalize(tip(&fork[..2])), Ok(()));
    assert_eq!(tree.head(), old[9], "the pointer moves by a move only");
    assert!(!tree.is_head_on_final());
    assert_eq!(reloaded(&tree), tree, "so it may be stored");
    // No extension helps it now; a descendant of the floor does, however light.
    let more = take(&mut tree, &chain(old[9], 2, 0));
    assert!(
        matches!(more, Err(MoveError::BelowFinal { .. })),
        "{more:?}"
    );
    assert_eq!(take(&mut tree, &fork[2..]), Ok(Moved::To(tip(&fork))));
    assert!(tree.is_head_on_final());
    assert_eq!(reloaded(&tree), tree);
}

#[test]
fn finality_does_not_change_sides() {
    let mut tree = tree();
    let refs = extended(&mut tree, 10);
    let fork = chain(refs[2], 5, 0xb);
    assert_eq!(take(&mut tree, &fork), Ok(Moved::Tracked));
    tree.finalize(refs[4]).expect("tracked");
    let L1Ref { number, hash } = tip(&fork);
    let want = FinalityError::NotDescendant {
        number,
        hash,
        fin: 105,
        fin_hash: refs[4].hash,
    };
    assert_eq!(tree.finalize(tip(&fork)), Err(want));
}

#[test]
fn a_fork_that_lost_is_kept_for_contexts_and_forgotten_below_them() {
    let mut tree = tree();
    let anchor = tree.head();
    let old = extended(&mut tree, 20);
    let fork = chain(anchor, 40, 0xb);
    take(&mut tree, &fork).expect("heavier");
    let at = |number: u64| read(&fork[(number - 101) as usize]).to_ref();
    tree.finalize(at(118)).expect("tracked");
    let lowest = 118 - CONTEXT_LAG;
    for block in &old {
        assert_eq!(tree.get(&block.hash).is_some(), block.number >= lowest);
    }
    tree.finalize(at(137)).expect("tracked");
    assert!(old.iter().all(|block| tree.get(&block.hash).is_none()));
}

/// A rule for which only the blocks that it names weigh anything.
struct Named(Vec<(B256, u64)>);

impl Weight for Named {
    fn of(&self, header: &TrackedHeader) -> u64 {
        self.0
            .iter()
            .find(|(hash, _)| *hash == header.hash)
            .map_or(0, |(_, weight)| *weight)
    }
}

#[test]
fn under_another_rule_the_shorter_fork_can_be_the_heavier_one() {
    let mut tree = tree();
    let anchor = tree.head();
    let old = extended(&mut tree, 5);
    let fork = chain(anchor, 2, 0xb);
    let rule = Named(vec![(old[0].hash, 300), (tip(&fork).hash, 301)]);
    assert_eq!(tree.take(&fork, u64::MAX, &rule), Ok(Moved::To(tip(&fork))));
    // Blocks of no weight still extend.
    let next = chain(tip(&fork), 1, 0xb);
    assert_eq!(tree.take(&next, u64::MAX, &rule), Ok(Moved::To(tip(&next))));
}
