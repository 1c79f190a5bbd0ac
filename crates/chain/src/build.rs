//! Build a block from what a leader has at hand.

use crate::{
    apply::{Checks, append_lanes, broken_groups, seal, transition},
    state::State,
};
use alloy_rlp::Encodable;
use cortado_types::{
    B256, Block, Header, Height, LaneEntry, Operation, TimestampMs, View,
    limits::{BLOCK_BYTES_MAX, LANES_PER_BLOCK_MAX},
};
use std::collections::BTreeSet;

/// What a leader would like to include.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// View in which it proposes.
    pub view: View,
    /// Its clock, ms; raised to the parent's time if that is later (R5).
    pub timestamp: TimestampMs,
    /// Certified runs: lane entries of one namespace, child after parent, the last one certified.
    pub runs: Vec<Vec<LaneEntry>>,
    /// Operations in order; each is taken or left.
    pub operations: Vec<Operation>,
}

/// Header, roots and list framing around the lanes and operations of a block, bytes.
const BLOCK_FRAME_BYTES: usize = 1_024;

/// Builds a valid child of `parent` from as much of `draft` as fits; what does not apply now is
/// left out. Certificates in the draft must have been verified when they were gathered: they are
/// not verified again here, and an attester would reject the block.
pub fn build(state: &State, parent: &Header, draft: &Draft) -> (Block, State) {
    let timestamp = draft.timestamp.max(parent.timestamp);
    let mut excluded = BTreeSet::new();
    let lanes = loop {
        let lanes = choose_lanes(state, timestamp, draft, &excluded);
        // R6b: a group that is not whole goes with all its members; fewer remain each time.
        let broken = broken_groups(&lanes);
        if broken.is_empty() {
            break lanes;
        }
        excluded.extend(broken.into_iter().map(|broken| broken.group));
    };
    finish(state, parent, timestamp, lanes, draft)
}

fn choose_lanes(
    state: &State,
    timestamp: TimestampMs,
    draft: &Draft,
    excluded: &BTreeSet<B256>,
) -> Vec<LaneEntry> {
    let mut lanes: Vec<LaneEntry> = Vec::new();
    let mut bytes = BLOCK_FRAME_BYTES + draft.operations.length();
    let mut scratch = state.clone();
    for run in &draft.runs {
        let size: usize = run.iter().map(Encodable::length).sum();
        let member = run
            .iter()
            .any(|entry| excluded.contains(&entry.lane.header.group));
        let full = bytes + size > BLOCK_BYTES_MAX || lanes.len() + run.len() > LANES_PER_BLOCK_MAX;
        let namespace_of = |entry: &LaneEntry| entry.lane.header.namespace;
        let Some(namespace) = run.first().map(namespace_of) else {
            continue;
        };
        let mixed = run.iter().any(|entry| namespace_of(entry) != namespace);
        let before = scratch.namespaces.get(&namespace).copied();
        if member || full || mixed {
            continue;
        }
        // A run touches its own namespace's tip only, so undoing it is putting that back.
        if append_lanes(&mut scratch, run, timestamp, Checks::Replay).is_ok() {
            bytes += size;
            lanes.extend(run.iter().cloned());
        } else if let Some(before) = before {
            scratch.namespaces.insert(namespace, before);
        }
    }
    lanes
}

fn finish(
    state: &State,
    parent: &Header,
    timestamp: TimestampMs,
    lanes: Vec<LaneEntry>,
    draft: &Draft,
) -> (Block, State) {
    let mut operations = Vec::new();
    let mut next = transition(
        state,
        parent,
        timestamp,
        &lanes,
        &operations,
        Checks::Replay,
    )
    .expect("the lanes were chosen so that they apply");
    for operation in &draft.operations {
        operations.push(operation.clone());
        match transition(
            state,
            parent,
            timestamp,
            &lanes,
            &operations,
            Checks::Replay,
        ) {
            Ok(with) => next = with,
            Err(_) => {
                operations.pop();
            }
        }
    }
    let like = Header {
        view: draft.view,
        timestamp,
        height: parent.height.next().unwrap_or(Height::ZERO),
        parent: parent.hash(),
        ..parent.clone()
    };
    let header = seal(state, &next, parent, &like, &lanes, &operations);
    (
        Block {
            header,
            lanes,
            operations,
        },
        next,
    )
}
