//! Deposits into a rollup's inbox.

use crate::{
    abi::Inbox,
    rpc::{L1, Receipt, RpcError},
    sender::Intent,
};
use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::{SolCall, SolEvent};

/// Queues `wei` for `to`. It is wanted as often as it is submitted: that one deposit is not made twice
/// is what the sender's journal sees to.
pub fn deposit(inbox: Address, to: Address, wei: U256) -> Intent {
    let input = Inbox::depositCall { to }.abi_encode().into();
    let label = format!("deposit {wei} wei for {to}");
    let wanted = Box::new(|| Box::pin(async { Ok(true) }) as _);
    Intent {
        value: wei,
        ..Intent::call(label, inbox, input, wanted)
    }
}

/// The place in the queue that a deposit's transaction took.
///
/// # Errors
/// If the node does not answer well, or does not know the block any more.
pub async fn index_of(
    l1: &dyn L1,
    inbox: Address,
    transaction: B256,
    receipt: &Receipt,
) -> Result<u64, RpcError> {
    let number = receipt.block_number;
    let logs = l1.logs(inbox, Inbox::Queued::SIGNATURE_HASH, (number, number));
    let logs = logs.await?;
    let own = logs.iter().find(|log| log.transaction_hash == transaction);
    let index = own.and_then(|log| log.topics.get(1));
    let index = index.and_then(|word| U256::from_be_bytes(word.0).try_into().ok());
    index.ok_or_else(|| RpcError::Malformed {
        method: "eth_getLogs",
        reason: format!("no event of {inbox} in block {number} is of transaction {transaction}"),
    })
}
