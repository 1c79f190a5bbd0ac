//! What became of a transaction, in the words of R22.

use super::{
    RollupNode, Shared,
    fates::{LostPlace, ReorgCounts},
    lock,
};
use crate::{engine::View, source::TransactionSink};
use alloy_eips::eip2718::Encodable2718;
use cortado_derive::{Ethereum, References};
use cortado_ethrpc::{EthBackend, RpcError};
use cortado_evm::store::TxLocation;
use cortado_types::{B256, Height, L1Ref, Seq, Slot};
use serde::{Deserialize, Serialize};

/// How far a transaction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusKind {
    /// Waits for earlier transactions of its sender; nothing is promised.
    Received,
    /// Executed and promised by the proposer: `pending`.
    Preconfirmed,
    /// In a finalised block: `latest`.
    Attested,
    /// And its context is safe on L1.
    Safe,
    /// And its context is final on L1.
    Finalized,
    /// It will have no effect; `reason` says why.
    Fallen,
    /// Nothing is known of it.
    Unknown,
}

/// How settled an L1 block on the fork is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum L1State {
    /// An ancestor of `L1*` or `L1*` itself, not yet final.
    Proposed,
    /// Safe by this node's L1.
    Safe,
    /// At or below `L1fin`.
    Finalized,
}

impl L1State {
    fn of(number: u64, view: &View) -> Self {
        if number <= view.l1_fin.number {
            Self::Finalized
        } else if view.l1_safe.is_some_and(|safe| number <= safe.number) {
            Self::Safe
        } else {
            Self::Proposed
        }
    }
}

/// What a transaction's place is conditioned on (R11): it has it on every L1 fork with this block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    /// The L1 block.
    pub block: L1Ref,
    /// Whether the transaction names it; else it is its lane block's context.
    pub explicit: bool,
    /// How settled it is. Once it is final, the place is unconditional.
    pub l1: L1State,
}

/// Where a transaction stands in its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LanePosition {
    /// Slot of the lane block.
    pub slot: Slot,
    /// Position of the lane block in the slot.
    pub seq: Seq,
    /// Number of the lane block.
    pub height: Height,
    /// Position of the transaction among those that execute.
    pub index: u64,
}

/// The answer of `cortado_status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// How far it has come.
    pub status: StatusKind,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<LanePosition>,
    /// Number of its L2 block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_number: Option<u64>,
    /// The block of the finality chain that carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub included_in: Option<Height>,
    /// The L1 block its lane block builds on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<L1Ref>,
    /// What its place is conditioned on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// How settled the block is that its result is conditioned on: the lane block's context, whose L1→L2
    /// calls its L2 block may have imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l1: Option<L1State>,
    /// The place that it lost when L1 changed forks, the last one; it may have another since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<LostPlace>,
    /// Why it fell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Status {
    fn of(status: StatusKind) -> Self {
        Self {
            status,
            position: None,
            block_number: None,
            included_in: None,
            context: None,
            reference: None,
            l1: None,
            lost: None,
            reason: None,
        }
    }
}

impl<T: TransactionSink> RollupNode<T> {
    /// What became of a transaction.
    ///
    /// # Errors
    /// If a database fails.
    pub fn status(&self, hash: B256) -> Result<Status, RpcError> {
        let shared = &self.shared;
        let lost = lock(&shared.fates).lost(&hash).cloned();
        let view = shared.read();
        if let Some((block, index)) = view.pending_transaction(&hash) {
            let position = LanePosition {
                slot: block.slot,
                seq: block.seq,
                height: block.lane,
                index: index as u64,
            };
            return Ok(Status {
                position: Some(position),
                block_number: Some(block.record.number()),
                lost,
                ..Status::of(StatusKind::Preconfirmed)
            });
        }
        if let Some(found) = shared.store.transaction(&hash)? {
            let status = attested(shared, &view, &found)?;
            return Ok(Status { lost, ..status });
        }
        drop(view);
        if let Some(reason) = lock(&shared.fates).fallen(&hash) {
            let reason = Some(reason.clone());
            return Ok(Status {
                reason,
                lost,
                ..Status::of(StatusKind::Fallen)
            });
        }
        let known = self.pooled(hash).is_some();
        Ok(Status::of(if known {
            StatusKind::Received
        } else {
            StatusKind::Unknown
        }))
    }

    /// How final the chain is.
    pub fn finality(&self) -> Finality {
        let counts = lock(&self.shared.fates).counts;
        let view = self.shared.read();
        Finality {
            pending: view.pending_number(),
            latest: view.latest.number(),
            safe: view.safe.0,
            finalized: view.finalized.0,
            l1_head: view.l1_head,
            l1_fin: view.l1_fin,
            counts,
        }
    }

    /// What a receipt says beside Ethereum's fields: what the transaction's place is conditioned on, once
    /// it is attested.
    pub(super) fn receipt_more(
        &self,
        at: &TxLocation,
    ) -> Result<serde_json::Map<String, serde_json::Value>, RpcError> {
        let shared = &self.shared;
        let view = shared.read();
        let mut more = serde_json::Map::new();
        if at.block.number() <= view.latest.number() {
            let status = attested(shared, &view, at)?;
            let value = serde_json::to_value(status.reference);
            let value = value.map_err(|error| RpcError::Internal(error.to_string()))?;
            more.insert("l1Reference".into(), value);
        }
        Ok(more)
    }
}

/// The answer of `cortado_finality`: L2 blocks by tag, the pointer, and what L1 reorgs did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finality {
    /// The last preconfirmed L2 block.
    pub pending: u64,
    /// The last attested one: final on the condition that L1 keeps its context.
    pub latest: u64,
    /// The last one whose context is safe on L1.
    pub safe: u64,
    /// The last one that no fork of L1 can change.
    pub finalized: u64,
    /// `L1*`.
    pub l1_head: L1Ref,
    /// `L1fin`.
    pub l1_fin: L1Ref,
    /// What L1 reorgs did since the node started.
    #[serde(flatten)]
    pub counts: ReorgCounts,
}

/// Status of a transaction of the derived chain.
fn attested(shared: &Shared, view: &View, at: &TxLocation) -> Result<Status, RpcError> {
    let number = at.block.number();
    let kind = if number <= view.finalized.0 {
        StatusKind::Finalized
    } else if number <= view.safe.0 {
        StatusKind::Safe
    } else {
        StatusKind::Attested
    };
    let mut status = Status {
        block_number: Some(number),
        ..Status::of(kind)
    };
    let lane = shared.lanes.of_block(number);
    let lane = lane.map_err(|error| RpcError::Internal(error.to_string()))?;
    if let Some(row) = lane {
        status.position = Some(LanePosition {
            slot: row.slot,
            seq: row.seq,
            height: row.height,
            index: at.index as u64,
        });
        status.included_in = Some(row.included);
        status.context = Some(row.context);
        status.l1 = Some(match kind {
            StatusKind::Finalized => L1State::Finalized,
            _ => L1State::of(row.context.number, view),
        });
        let raw = at.block.transactions.get(at.index);
        let named = raw.and_then(|transaction| {
            let references = Ethereum.references(&transaction.encoded_2718().into());
            let hash = references.first().copied()?;
            // One that is too old to be known any more is final.
            let number = shared.lanes.l1_number(&hash).unwrap_or_default();
            Some(L1Ref { number, hash })
        });
        let block = named.unwrap_or(row.context);
        status.reference = Some(Reference {
            block,
            explicit: named.is_some(),
            l1: match kind {
                StatusKind::Finalized => L1State::Finalized,
                _ => L1State::of(block.number, view),
            },
        });
    }
    Ok(status)
}
