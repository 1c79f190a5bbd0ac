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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finality_of_a_rollup_is_read_as_its_node_writes_it() {
        let hash = cortado_types::B256::repeat_byte(1);
        let answer = json!({
            "latest": 9, "safe": 5, "finalized": 3,
            "l1Head": {"number": 20, "hash": hash}, "l1Fin": {"number": 12, "hash": hash},
            "reorgs": 1, "dropped": 2, "survived": 7, "reexecuted": 4,
        });
        let read: Finality = serde_json::from_value(answer.clone()).unwrap();
        assert_eq!((read.l1_head.number, read.reexecuted), (20, 4));
        assert_eq!(serde_json::to_value(read).unwrap(), answer);
    }
}
