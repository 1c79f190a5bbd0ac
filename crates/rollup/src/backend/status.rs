//! What became of a transaction, in the words of R22.

use super::{RollupNode, Shared, lock};
use crate::{engine::LaneRow, source::TransactionSink};
use cortado_ethrpc::{EthBackend, RpcError};
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

/// The L1 block that a transaction builds on, as the finality chain sees it.
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
    /// How settled that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l1: Option<L1State>,
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
            l1: None,
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
        let view = shared.view();
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
                ..Status::of(StatusKind::Preconfirmed)
            });
        }
        if let Some(found) = shared.store.transaction(&hash)? {
            let number = found.block.number();
            let lane = shared.lanes.of_block(number);
            let lane = lane.map_err(|error| RpcError::Internal(error.to_string()))?;
            return Ok(attested(shared, number, found.index as u64, lane));
        }
        if let Some(reason) = lock(&shared.fallen).get(&hash) {
            let reason = Some(reason.clone());
            return Ok(Status {
                reason,
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
}

fn attested(shared: &Shared, number: u64, index: u64, lane: Option<LaneRow>) -> Status {
    let view = shared.view();
    let (kind, l1) = if number <= view.finalized.0 {
        (StatusKind::Finalized, L1State::Finalized)
    } else if number <= view.safe.0 {
        (StatusKind::Safe, L1State::Safe)
    } else {
        (StatusKind::Attested, L1State::Proposed)
    };
    let mut status = Status {
        block_number: Some(number),
        ..Status::of(kind)
    };
    if let Some(row) = lane {
        let fin = shared.l1_fin();
        status.position = Some(LanePosition {
            slot: row.slot,
            seq: row.seq,
            height: row.height,
            index,
        });
        status.included_in = Some(row.included);
        status.context = Some(row.context);
        status.l1 = Some(if row.context.number <= fin.number {
            L1State::Finalized
        } else {
            l1
        });
    }
    status
}
