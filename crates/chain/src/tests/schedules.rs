//! Random schedules: what a leader builds always applies, and the model names the same lane blocks.

use super::{model::Model, world::*};
use cortado_types::*;
use proptest::prelude::*;

/// One lane block that some proposer offers.
#[derive(Clone, Debug)]
struct Offer {
    namespace: u8,
    /// Its slot, relative to the block's, minus one.
    slot: u8,
    /// How many blocks in its run; all but the last uncertified.
    run: u8,
    last: bool,
    /// What is wrong with it, if anything.
    fault: u8,
    /// Whether it names a group with the offer before it.
    grouped: bool,
}

#[derive(Clone, Debug)]
struct Step {
    wait_ms: u64,
    offers: Vec<Offer>,
    l1_blocks: u8,
    finalize: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let offer = (
        0u8..3,
        0u8..3,
        1u8..4,
        prop::bool::weighted(0.2),
        0u8..12,
        prop::bool::weighted(0.3),
    )
        .prop_map(|(namespace, slot, run, last, fault, grouped)| Offer {
            namespace,
            slot,
            run,
            last,
            fault,
            grouped,
        });
    let step = (
        prop::sample::select(vec![0u64, 100, 599, 600, 1_000, 2_400, 3_000, 3_600, 7_000]),
        prop::collection::vec(offer, 0..4),
        0u8..4,
        prop::bool::weighted(0.2),
    )
        .prop_map(|(wait_ms, offers, l1_blocks, finalize)| Step {
            wait_ms,
            offers,
            l1_blocks,
            finalize,
        });
    prop::collection::vec(step, 1..10)
}

fn run(world: &World, offer: &Offer, now: u64) -> Vec<LaneHeader> {
    let namespace = [A, B, C][offer.namespace as usize];
    let slot = (now + u64::from(offer.slot)).saturating_sub(1);
    let mut header = world.next(namespace, slot);
    let mut headers = Vec::new();
    for _ in 0..offer.run {
        headers.push(header.clone());
        header = child(&header);
    }
    let last = headers.last_mut().expect("at least one");
    last.last = offer.last;
    match offer.fault {
        0 => last.seq = Seq::new(9),
        1 => last.parent = B256::repeat_byte(9),
        2 => last.height = Height::new(99),
        3 => last.context.hash = B256::repeat_byte(9),
        // The oldest context that is still tracked, far behind or not.
        4 => {
            let fin = world.state.l1.fin();
            headers.iter_mut().for_each(|h| h.context = fin);
        }
        _ => {}
    }
    // Changing the context changes hashes: link the run again, unless its break was the point.
    for i in 1..headers.len() {
        if offer.fault != 1 || i + 1 < headers.len() {
            headers[i].parent = headers[i - 1].hash();
        }
    }
    headers
}

fn certified(world: &World, headers: Vec<LaneHeader>) -> Vec<LaneEntry> {
    let mut entries: Vec<_> = headers
        .into_iter()
        .map(|header| LaneEntry {
            lane: sign(header),
            certificate: None,
        })
        .collect();
    if let Some(last) = entries.last_mut() {
        *last = world.entry(last.lane.clone());
    }
    entries
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_is_built_applies_and_is_what_the_model_includes(steps in steps()) {
        let mut world = World::new();
        let mut model = Model {
            genesis: at(0, 0),
            slot_ms: SLOT_MS,
            heads: vec![world.state.anchor()],
            ..Model::default()
        };
        let mut time = at(0, 0);
        for step in steps {
            time = time.plus(step.wait_ms);
            let now = world.state.config.clock.slot_at(time).get();
            let mut runs: Vec<Vec<LaneHeader>> = Vec::new();
            for offer in &step.offers {
                let mut headers = run(&world, offer, now);
                if offer.grouped && let Some(one) = runs.last_mut().and_then(|run| run.last_mut()) {
                    let other = headers.last_mut().expect("at least one");
                    let group = group_of(&[one, other]);
                    (one.group, other.group) = (group, group);
                }
                runs.push(headers);
            }
            let runs: Vec<_> = runs.into_iter().map(|run| certified(&world, run)).collect();
            let mut draft = world.draft(time, &[]);
            draft.runs = runs.clone();
            if step.l1_blocks > 0 {
                let headers = world.l1(step.l1_blocks.into());
                draft.operations.push(Operation::MovePointer(world.pointer_move(headers)));
            }
            if step.finalize {
                draft.operations.push(world.finality(world.state.anchor()));
            }
            let block = world.go(&draft);
            let got: Vec<_> = block.lanes.iter().map(|entry| entry.lane.header.hash()).collect();
            prop_assert_eq!(got, model.include(&runs, time));
            if world.state.anchor() != *model.heads.last().expect("never empty") {
                // Every header of the move is tracked, not only its last.
                let mut number = model.heads.last().expect("never empty").number;
                while number < world.state.anchor().number {
                    number += 1;
                    let head = world.state.anchor().hash;
                    let header = world.state.l1.ancestor_at(&head, number).expect("tracked");
                    model.heads.push(header.to_ref());
                }
            }
            for (namespace, lanes) in &model.included {
                let tip = world.state.namespaces[namespace].tip;
                prop_assert_eq!(tip.height.get(), lanes.len() as u64);
                prop_assert_eq!(tip.hash, lanes.last().map_or(B256::ZERO, LaneHeader::hash));
            }
            let bytes = world.state.to_bytes();
            let back = crate::State::from_bytes(&world.genesis, &bytes).expect("our own bytes");
            prop_assert_eq!(&back, &world.state);
        }
    }
}
