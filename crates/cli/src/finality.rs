//! What a rollup node says of forks of L1: conditional and unconditional finality, and what a reorg
//! took (R12, R22).

use crate::rpc::Rpc;
use anyhow::Result;
use cortado_types::L1Ref;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The answer to `cortado_finality`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finality {
    /// Newest attested L2 block: final on condition that its L1 block stays.
    pub latest: u64,
    /// Newest L2 block whose L1 block is safe.
    pub safe: u64,
    /// Newest L2 block that no reorg of L1 can take.
    pub finalized: u64,
    /// `L1*`.
    pub l1_head: L1Ref,
    /// `L1fin`.
    pub l1_fin: L1Ref,
    /// Reorgs of L1 that the rollup went through.
    pub reorgs: u64,
    /// Transactions dropped by them.
    pub dropped: u64,
    /// Transactions that stood through them.
    pub survived: u64,
    /// Of those, transactions that were executed again.
    pub reexecuted: u64,
}

impl Finality {
    /// Asks a rollup node; `None` if it is one that does not say.
    ///
    /// # Errors
    /// If it does not answer, or in another form.
    pub async fn of(rollup: &Rpc) -> Result<Option<Self>> {
        rollup.call_if_there("cortado_finality", json!([])).await
    }
}
