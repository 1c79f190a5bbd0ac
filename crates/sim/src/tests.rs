//! The stories hold, and the checker notices a derivation that is broken.

use super::*;
use cortado_derive::{Advance, Derived, DropReason};

/// Stories in the test suite; CI tells twenty thousand with the optimised binary.
const CASES: u64 = 600;

#[test]
fn random_reorgs_drop_what_referred_to_the_dropped_blocks_and_nothing_else() {
    let stories = Stories {
        seed: 1,
        cases: CASES,
        depth: 64,
        threads: NonZeroUsize::new(2).expect("two"),
    };
    let report =
        run(&Setup::new(), stories, || {}).unwrap_or_else(|violation| panic!("{violation}"));
    // The stories are about what they say they are.
    assert_eq!(report.cases, CASES);
    let depths: Vec<_> = report.by_depth.range(..65).collect();
    assert_eq!(depths.len(), 7, "every depth from 0 to 64");
    for (depth, of) in &depths[1..] {
        assert!(of.dropped > 0 && of.survived > 0, "depth {depth}");
    }
    assert!(report.reorged.returned > 0 && report.other_finalised > 0 && report.tracked > 0);
    assert!(report.import_only > 0 && report.waiting > 0 && report.lost > 0);
    assert!(report.promises.kept > report.promises.excused && report.promises.excused > 0);
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let setup = Setup::new();
    for seed in 0..20 {
        let [one, two] = [(); 2].map(|()| story(&setup, seed, 64, None).map_err(|v| v.what));
        assert_eq!(one, two);
    }
}

/// How many of the first hundred stories the checker objects to when derivation is broken so.
fn noticed(tamper: &Tamper) -> (usize, String) {
    let setup = Setup::new();
    let found: Vec<_> = (0..100)
        .filter_map(|seed| story(&setup, seed, 64, Some(tamper)).err())
        .collect();
    let first = found.first().expect("a broken derivation must be noticed");
    assert!(first.story.contains("pointer"), "the story is told");
    (found.len(), first.what.clone())
}

#[test]
fn a_derivation_that_ignores_references_is_noticed() {
    let (count, _) = noticed(&|advance: &mut Advance, _| {
        for input in &mut advance.inputs {
            let bodies: Vec<_> = input
                .dropped
                .extract_if(.., |dropped| {
                    matches!(dropped.reason, DropReason::OffFork(_))
                })
                .collect();
            for dropped in bodies {
                input.transactions.push(Derived {
                    index: dropped.index,
                    raw: Default::default(),
                });
            }
        }
    });
    assert!(count > 20, "{count}");
}

#[test]
fn a_derivation_that_forgets_to_roll_back_is_noticed() {
    let (count, _) = noticed(&|advance: &mut Advance, new: usize| {
        let again = advance.inputs.len() - new;
        advance.inputs.drain(..again);
        advance.kept = advance.derived;
    });
    assert!(count > 50, "{count}");
}

#[test]
fn a_derivation_that_drops_what_survives_is_noticed() {
    let (count, what) = noticed(&|advance: &mut Advance, new: usize| {
        let again = advance.inputs.len() - new;
        for input in &mut advance.inputs[..again] {
            input.transactions.clear();
        }
    });
    assert!(count > 10, "{count}: {what}");
}

#[test]
fn a_deposit_credited_twice_or_out_of_order_is_noticed() {
    let twice = |advance: &mut Advance, _: usize| {
        for input in &mut advance.inputs {
            input.imports.extend(input.imports.clone().first().cloned());
        }
    };
    assert!(noticed(&twice).0 > 50);
    let reversed = |advance: &mut Advance, _: usize| {
        for input in &mut advance.inputs {
            input.imports.reverse();
        }
    };
    assert!(noticed(&reversed).0 > 50);
}

#[test]
fn a_transaction_that_moves_in_its_lane_block_is_noticed() {
    let moved = |advance: &mut Advance, new: usize| {
        let again = advance.inputs.len() - new;
        for input in &mut advance.inputs[..again] {
            input.transactions.reverse();
        }
    };
    assert!(noticed(&moved).0 > 20);
}
