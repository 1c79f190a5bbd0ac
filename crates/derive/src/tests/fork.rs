//! The view of a fork.

use super::scenario::*;
use crate::*;
use cortado_types::{L1Ref, limits::REF_MAX};

//  o ── a ── b ── c
//       └── B ── C
fn fork() -> Fork {
    view(&Scenario::read("fork a b c\nside a B C"))
}

fn at(name: &str, number: u64) -> L1Ref {
    L1Ref {
        number,
        hash: hash(name),
    }
}

#[test]
fn a_fork_is_the_ancestors_of_its_tip() {
    let mut fork = fork();
    assert_eq!(fork.tip(), at("c", 3));
    assert_eq!(fork.contains(&at("b", 2)), Some(true));
    assert_eq!(fork.contains(&at("B", 2)), Some(false));
    fork.set_tip(hash("B")).expect("held");
    assert_eq!(
        (fork.tip(), fork.at(2), fork.at(3)),
        (at("B", 2), Some(at("B", 2)), None)
    );
    assert_eq!(fork.contains(&at("b", 2)), Some(false));
    assert_eq!(fork.contains(&at("a", 1)), Some(true));
    fork.set_tip(hash("c")).expect("and back");
    assert_eq!(fork.at(2), Some(at("b", 2)));
    assert_eq!(
        fork.set_tip(hash("z")),
        Err(ForkError::UnknownTip { hash: hash("z") })
    );
}

#[test]
fn a_header_needs_its_parent_one_below() {
    let mut fork = fork();
    for (number, parent) in [(9, "c"), (3, "c"), (1, "z")] {
        let header = block("x", number, parent);
        let (hash, parent) = (header.hash, header.parent);
        assert_eq!(
            fork.insert(header),
            Err(ForkError::Unlinked {
                number,
                hash,
                parent
            })
        );
    }
}

#[test]
fn ancestry_holds_on_and_off_the_fork() {
    let fork = fork();
    let yes = [
        ("a", 1, "C", 3),
        ("o", 0, "C", 3),
        ("B", 2, "C", 3),
        ("C", 3, "C", 3),
        ("b", 2, "c", 3),
    ];
    for (one, n, two, m) in yes {
        assert_eq!(
            fork.is_ancestor(&at(one, n), &at(two, m)),
            Some(true),
            "{one} {two}"
        );
    }
    let no = [
        ("b", 2, "C", 3),
        ("c", 3, "C", 3),
        ("B", 2, "c", 3),
        ("c", 3, "b", 2),
        ("c", 3, "a", 1),
    ];
    for (one, n, two, m) in no {
        assert_eq!(
            fork.is_ancestor(&at(one, n), &at(two, m)),
            Some(false),
            "{one} {two}"
        );
    }
    assert_eq!(fork.is_ancestor(&at("a", 1), &at("z", 5)), None);
    assert_eq!(fork.highest_common(&at("C", 3)), Some(at("a", 1)));
    assert_eq!(fork.highest_common(&at("b", 2)), Some(at("b", 2)));
    assert_eq!(fork.highest_common(&at("z", 5)), None);
}

#[test]
fn pruning_keeps_what_a_reference_or_an_idle_namespace_may_need() {
    let name = |number: u64| format!("n{number}");
    let top = 2 * REF_MAX + 100;
    let mut fork = Fork::with_queue(block(&name(0), 0, "nothing"));
    for number in 1..=top {
        fork.insert(block(&name(number), number, &name(number - 1)))
            .expect("linked");
        fork.set_entries(hash(&name(number)), vec![]);
    }
    fork.set_tip(hash(&name(top))).expect("held");
    let held = |fork: &Fork, number: u64| fork.contains(&at(&name(number), number));
    fork.prune(&Cursor::new(at(&name(40), 40)));
    assert_eq!(
        (held(&fork, 39), held(&fork, 40)),
        (None, Some(true)),
        "the idle one's context"
    );
    assert!(fork.entries_between(40, top).is_ok());
    fork.prune(&Cursor::new(at(&name(top), top)));
    assert_eq!(
        (held(&fork, 99), held(&fork, 100)),
        (None, Some(true)),
        "the window"
    );
    assert_eq!(fork.header(&hash(&name(99))), None);
    let missing = fork.entries_between(40, top);
    assert!(
        matches!(missing, Err(NotYet(L1Ref { number: 41, .. }))),
        "never a guess"
    );
}

#[test]
fn a_reference_to_a_pruned_block_is_a_no_op() {
    let name = |number: u64| format!("n{number}");
    let top = 2 * REF_MAX + 10;
    let mut fork = Fork::new(block(&name(0), 0, "nothing"));
    for number in 1..=top {
        fork.insert(block(&name(number), number, &name(number - 1)))
            .expect("linked");
    }
    fork.set_tip(hash(&name(top))).expect("held");
    let end = at(&name(top), top);
    fork.prune(&Cursor::new(end));
    assert_eq!(fork.header(&hash(&name(3))), None, "pruned");
    let body = cortado_types::LaneBody {
        transactions: vec![name(3).into_bytes().into()],
    };
    let params = Params { import_gas: 100 };
    let derived = derive_lane(&Cursor::new(end), &lane(end), &body, &fork, &Names, &params);
    let (_, input) = derived.expect("all that it needs is held");
    assert_eq!(
        input.dropped[0].reason,
        DropReason::NotAncestor(hash(&name(3)))
    );
    assert!(!input.yields_block());
}
