//! What the beacon chain tells its listeners.

use std::sync::Arc;

use alloy_primitives::B256;
use cortado_evm::{BlockRecord, ChainStore};
use serde_json::{Value, json};

use crate::beacon::{Beacon, slot_of};
use crate::chain::{ChainError, Finality, Step, block_at_slot};

/// Topics of `GET /eth/v1/events`.
pub const TOPICS: [&str; 5] = [
    "head",
    "head_v2",
    "block",
    "chain_reorg",
    "finalized_checkpoint",
];

/// One event of the stream.
#[derive(Debug, Clone)]
pub struct BeaconEvent {
    /// Its topic, one of [`TOPICS`].
    pub topic: &'static str,
    /// Its JSON.
    pub data: Arc<str>,
}

impl BeaconEvent {
    fn new(topic: &'static str, data: &Value) -> Self {
        Self {
            topic,
            data: data.to_string().into(),
        }
    }
}

/// The root of the last block before an epoch: what the duties of that epoch depend on (or, one
/// epoch earlier, since EIP-7917).
///
/// # Errors
/// When the store fails.
pub fn dependent_root(beacon: &Beacon, store: &ChainStore, epoch: u64) -> Result<B256, ChainError> {
    let last = beacon.clock().start_slot(epoch).saturating_sub(1);
    Ok(beacon.header(&block_at_slot(store, last)?.header).root())
}

/// The events of a step, in order.
///
/// # Errors
/// When the store fails.
pub fn of_step(
    beacon: &Beacon,
    store: &ChainStore,
    step: &Step,
) -> Result<Vec<BeaconEvent>, ChainError> {
    let mut events = Vec::new();
    for block in &step.added {
        let root = beacon.header(&block.header).root();
        events.push(BeaconEvent::new(
            "block",
            &json!({
                "slot": slot_of(&block.header).to_string(),
                "block": root,
                "execution_optimistic": false,
            }),
        ));
    }
    if let (Some(old), Some(new)) = (step.removed.last(), step.added.last()) {
        events.push(reorg(
            beacon,
            store,
            &old.record,
            &new.record,
            &step.removed[0].record,
        )?);
    }
    if let Some(head) = step.added.last() {
        events.extend(head_events(beacon, store, &head.record)?);
    }
    if let Some(finality) = &step.finalized {
        events.push(finalized(beacon, finality));
    }
    Ok(events)
}

fn reorg(
    beacon: &Beacon,
    store: &ChainStore,
    old: &BlockRecord,
    new: &BlockRecord,
    first_removed: &BlockRecord,
) -> Result<BeaconEvent, ChainError> {
    let (old_header, new_header) = (beacon.header(&old.header), beacon.header(&new.header));
    let ancestor = store.block(&first_removed.header.parent_hash)?;
    let ancestor_slot = ancestor.map_or(0, |block| slot_of(&block.header));
    Ok(BeaconEvent::new(
        "chain_reorg",
        &json!({
            "slot": new_header.slot.to_string(),
            // In slots, from the old head to the common ancestor.
            "depth": old_header.slot.saturating_sub(ancestor_slot).to_string(),
            "old_head_block": old_header.root(),
            "new_head_block": new_header.root(),
            "old_head_state": old_header.state_root,
            "new_head_state": new_header.state_root,
            "epoch": beacon.clock().epoch(new_header.slot).to_string(),
            "execution_optimistic": false,
        }),
    ))
}

fn head_events(
    beacon: &Beacon,
    store: &ChainStore,
    head: &BlockRecord,
) -> Result<[BeaconEvent; 2], ChainError> {
    let clock = beacon.clock();
    let header = beacon.header(&head.header);
    let epoch = clock.epoch(header.slot);
    let parent = store.block(&head.header.parent_hash)?;
    let transition = parent.is_none_or(|parent| clock.epoch(slot_of(&parent.header)) != epoch);
    let previous = dependent_root(beacon, store, epoch.saturating_sub(1))?;
    let current = dependent_root(beacon, store, epoch)?;
    let root = header.root();
    let v1 = json!({
        "slot": header.slot.to_string(),
        "block": root,
        "state": header.state_root,
        "epoch_transition": transition,
        "previous_duty_dependent_root": previous,
        "current_duty_dependent_root": current,
        "execution_optimistic": false,
    });
    // Since EIP-7917 the duties of an epoch depend on what came before the epoch before it.
    let v2 = json!({
        "version": "fulu",
        "data": {
            "slot": header.slot.to_string(),
            "block": root,
            "state": header.state_root,
            "payload_status": "full",
            "epoch_transition": transition,
            "current_epoch_dependent_root": previous,
            "next_epoch_dependent_root": current,
            "execution_optimistic": false,
        },
    });
    Ok([
        BeaconEvent::new("head", &v1),
        BeaconEvent::new("head_v2", &v2),
    ])
}

fn finalized(beacon: &Beacon, finality: &Finality) -> BeaconEvent {
    let header = beacon.header(&finality.checkpoint.header);
    BeaconEvent::new(
        "finalized_checkpoint",
        &json!({
            "block": header.root(),
            "state": header.state_root,
            "epoch": finality.epoch.to_string(),
            "execution_optimistic": false,
        }),
    )
}
