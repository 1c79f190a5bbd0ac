//! The rules, one scenario each.

use super::{model, scenario::*};
use crate::*;
use cortado_types::{Bytes, L1Ref, LaneBody, limits::REF_MAX};

fn tells(text: &str, want: &[&str]) {
    let scenario = Scenario::read(text);
    assert_eq!(derive(&scenario), want, "{text}");
    assert_eq!(model::derive(&scenario), want, "the model: {text}");
}

#[test]
fn transactions_run_on_the_fork_their_lane_block_builds_on() {
    tells(
        "fork a b\nlane b - - a",
        &["block at 2 import [] run [in,in,in]"],
    );
}

#[test]
fn a_lane_block_of_another_fork_loses_only_what_refers_to_it() {
    //  o ── a ── b ── c    F
    //       └── B          the context
    let text = "fork a b c\nside a B\nlane B - a o B b";
    tells(
        text,
        &["block at 1 import [] run [context-off-fork,in,in,off-fork,not-ancestor]"],
    );
}

#[test]
fn two_references_are_a_no_op_even_if_they_are_the_same() {
    tells(
        "fork a b\nlane b a+a a+b",
        &["none at 2 import [] run [several,several]"],
    );
}

#[test]
fn a_reference_after_the_context_or_to_nothing_known_is_a_no_op() {
    tells(
        "fork a b\nlane a b zz",
        &["none at 1 import [] run [not-ancestor,not-ancestor]"],
    );
}

#[test]
fn imports_make_a_block_without_transactions_and_nothing_makes_none() {
    let text = "fork a b\nqueue a 10\nlane a\nlane b";
    tells(
        text,
        &[
            "block at 1 import [1.0] run []",
            "none at 2 import [] run []",
        ],
    );
}

#[test]
fn imports_stop_at_the_gas_limit_and_the_rest_comes_first_next_time() {
    let text = "fork a b c\ngas 60\nqueue a 30 30 30\nqueue c 30\nlane b -\nlane c -\nlane c -";
    let want = [
        "block at 0 import [1.0,1.1] run [in]",
        "block at 3 import [1.2,3.0] run [in]",
        "block at 3 import [] run [in]",
    ];
    tells(text, &want);
}

#[test]
fn a_call_above_the_limit_goes_alone() {
    let text = "fork a\ngas 60\nqueue a 10 90 10\nlane a\nlane a\nlane a";
    let want = [
        "block at 0 import [1.0] run []",
        "block at 0 import [1.1] run []",
        "block at 1 import [1.2] run []",
    ];
    tells(text, &want);
}

#[test]
fn the_context_does_not_fall_when_a_lane_block_names_an_older_one() {
    let text = "fork a b c\nqueue a 1\nqueue b 1\nlane b\nlane a -\nlane c -";
    let want = [
        "block at 2 import [1.0,2.0] run []",
        "block at 2 import [] run [in]",
        "block at 3 import [] run [in]",
    ];
    tells(text, &want);
}

#[test]
fn calls_of_another_fork_are_not_imported() {
    let text = "fork a b\nside a B\nqueue B 1\nqueue b 1\nlane B\nlane b";
    tells(
        text,
        &[
            "none at 1 import [] run []",
            "block at 2 import [2.0] run []",
        ],
    );
}

fn at(name: &str, number: u64) -> L1Ref {
    L1Ref {
        number,
        hash: hash(name),
    }
}

fn one(fork: &Fork, cursor: &Cursor, context: L1Ref, names: &[&str]) -> Result<L2Input, NotYet> {
    let transactions = names
        .iter()
        .map(|n| Bytes::copy_from_slice(n.as_bytes()))
        .collect();
    let body = LaneBody { transactions };
    let params = Params { import_gas: 100 };
    derive_lane(cursor, &lane(context), &body, fork, &Names, &params).map(|(_, input)| input)
}

#[test]
fn an_unknown_context_is_not_yet() {
    let mut fork = Fork::new(block("o", 0, "nothing"));
    let cursor = Cursor::new(at("o", 0));
    let context = at("a", 1);
    assert_eq!(one(&fork, &cursor, context, &["-"]), Err(NotYet(context)));
    fork.insert(block("a", 1, "o")).expect("linked");
    fork.set_tip(hash("a")).expect("held");
    assert!(
        one(&fork, &cursor, context, &["-"]).is_ok(),
        "and then it is"
    );
}

#[test]
fn an_l1_block_of_which_it_is_not_known_what_it_queued_is_not_yet() {
    let mut fork = Fork::with_queue(block("o", 0, "nothing"));
    fork.insert(block("a", 1, "o")).expect("linked");
    fork.set_tip(hash("a")).expect("held");
    let cursor = Cursor::new(at("o", 0));
    let context = at("a", 1);
    assert_eq!(one(&fork, &cursor, context, &["-"]), Err(NotYet(context)));
    assert!(
        one(&fork, &cursor, at("o", 0), &["-"]).is_ok(),
        "nothing is passed"
    );
    fork.set_entries(hash("a"), vec![]);
    assert!(one(&fork, &cursor, context, &["-"]).is_ok());
}

#[test]
fn a_cursor_that_the_fork_left_behind_is_not_yet() {
    let mut fork = Fork::new(block("o", 0, "nothing"));
    for (name, parent) in [("a", "o"), ("A", "o")] {
        fork.insert(block(name, 1, parent)).expect("linked");
    }
    fork.set_tip(hash("a")).expect("held");
    let cursor = Cursor::new(at("a", 1));
    assert!(one(&fork, &cursor, at("a", 1), &["-"]).is_ok());
    fork.set_tip(hash("A")).expect("held");
    assert_eq!(
        one(&fork, &cursor, at("a", 1), &["-"]),
        Err(NotYet(at("a", 1)))
    );
}

#[test]
fn a_reference_may_be_as_old_as_the_window_and_no_older() {
    let top = REF_MAX + 2;
    let name = |number: u64| format!("n{number}");
    let mut fork = Fork::new(block(&name(0), 0, "nothing"));
    for number in 1..=top {
        fork.insert(block(&name(number), number, &name(number - 1)))
            .expect("linked");
    }
    fork.set_tip(hash(&name(top))).expect("held");
    let cursor = Cursor::new(at(&name(0), 0));
    let context = at(&name(top), top);
    let (edge, old) = (name(2), name(1));
    let input = one(&fork, &cursor, context, &[&edge, &old]).expect("all of it is known");
    assert_eq!(input.transactions.len(), 1, "the edge of the window is in");
    assert_eq!(
        input.dropped,
        [Dropped {
            index: 1,
            reason: DropReason::TooOld(hash(&old))
        }]
    );
}

#[test]
fn a_namespace_that_slept_longer_than_headers_are_kept_goes_on() {
    // Without a queue nothing is missed below what is held.
    let name = |number: u64| format!("n{number}");
    let mut fork = Fork::new(block(&name(5_000), 5_000, "n4999"));
    fork.insert(block(&name(5_001), 5_001, &name(5_000)))
        .expect("linked");
    fork.set_tip(hash(&name(5_001))).expect("held");
    let asleep = Cursor::new(at(&name(7), 7));
    let input = one(&fork, &asleep, at(&name(5_001), 5_001), &["-"]).expect("known");
    assert_eq!((input.context.number, input.transactions.len()), (5_001, 1));
    // With one, the calls between are not skipped.
    let mut fork = Fork::with_queue(block(&name(5_000), 5_000, "n4999"));
    fork.insert(block(&name(5_001), 5_001, &name(5_000)))
        .expect("linked");
    fork.set_tip(hash(&name(5_001))).expect("held");
    fork.set_entries(hash(&name(5_001)), vec![]);
    let missing = one(&fork, &asleep, at(&name(5_001), 5_001), &["-"]);
    assert!(
        matches!(missing, Err(NotYet(L1Ref { number: 8, .. }))),
        "{missing:?}"
    );
}
