//! Executing a finished block and comparing it with its header.

use std::fmt::Debug;

use alloy_consensus::{Block, Header, TxEnvelope, transaction::Recovered};
use alloy_primitives::{Address, B256};

use crate::{
    block::{BlockInputs, Credit, ExecutedBlock},
    builder::{BlockBuilder, BuildError},
    recover::{RecoverError, recover_signers},
    rejection::TxRejection,
    spec::ChainSpec,
};

/// A block that is not what its header says, or cannot be executed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExecutionError {
    /// Not a child of the given parent.
    #[error("parent hash {found}, expected {expected}")]
    WrongParent {
        /// Parent hash in the header.
        found: B256,
        /// Hash of the parent it is executed on.
        expected: B256,
    },
    /// A header field is not what execution gives.
    #[error("header field {field} is {found}, execution gives {expected}")]
    HeaderMismatch {
        /// Name of the field.
        field: &'static str,
        /// In the header.
        found: String,
        /// By execution.
        expected: String,
    },
    /// A signature is bad.
    #[error(transparent)]
    Signature(#[from] RecoverError),
    /// A transaction cannot enter the block.
    #[error("transaction {index}: {rejection}")]
    Transaction {
        /// Its position.
        index: usize,
        /// Why.
        rejection: TxRejection,
    },
    /// The header's inputs make no block.
    #[error(transparent)]
    Inputs(#[from] BuildError),
}

/// Executes `block` on `parent` and checks every header field. `credits` are the deposits that
/// neither header nor body shows.
pub fn execute_block(
    spec: &ChainSpec,
    parent: &ExecutedBlock,
    block: &Block<TxEnvelope>,
    credits: &[Credit],
) -> Result<ExecutedBlock, ExecutionError> {
    let expected = spec.next_base_fee(&parent.header);
    let found = block.header.base_fee_per_gas.unwrap_or(0);
    if found != expected {
        return Err(mismatch("base_fee_per_gas", &found, &expected));
    }
    let senders = recover_signers(&block.body.transactions)?;
    replay(spec, parent, block, &senders, credits)
}

/// As [`execute_block`], with known senders and whatever base fee the header names.
pub(crate) fn replay(
    spec: &ChainSpec,
    parent: &ExecutedBlock,
    block: &Block<TxEnvelope>,
    senders: &[Address],
    credits: &[Credit],
) -> Result<ExecutedBlock, ExecutionError> {
    let header = &block.header;
    if header.parent_hash != parent.hash() {
        return Err(ExecutionError::WrongParent {
            found: header.parent_hash,
            expected: parent.hash(),
        });
    }
    let withdrawals = block.body.withdrawals.as_ref();
    let inputs = BlockInputs {
        timestamp: header.timestamp,
        beneficiary: header.beneficiary,
        prev_randao: header.mix_hash,
        parent_beacon_block_root: header.parent_beacon_block_root.unwrap_or_default(),
        gas_limit: Some(header.gas_limit),
        base_fee: Some(header.base_fee_per_gas.unwrap_or(0)),
        extra_data: header.extra_data.clone(),
        withdrawals: withdrawals.map(|list| list.to_vec()).unwrap_or_default(),
    };
    let mut builder = BlockBuilder::new(spec, parent, inputs)?;
    for credit in credits {
        builder.credit(credit.address, credit.wei)?;
    }
    if senders.len() != block.body.transactions.len() {
        let (found, expected) = (senders.len(), block.body.transactions.len());
        return Err(mismatch("senders", &found, &expected));
    }
    for (index, (tx, sender)) in block.body.transactions.iter().zip(senders).enumerate() {
        builder
            .push(&Recovered::new_unchecked(tx.clone(), *sender))
            .map_err(|rejection| ExecutionError::Transaction { index, rejection })?;
    }
    let executed = builder.finish()?;
    compare(header, &executed.header)?;
    Ok(executed)
}

/// Names the first field in which two headers differ.
fn compare(found: &Header, expected: &Header) -> Result<(), ExecutionError> {
    macro_rules! same {
        ($($field:ident),*) => {
            // Every field is named, so a new one in the library cannot be forgotten here.
            let Header { $($field: _),* } = found;
            $(if found.$field != expected.$field {
                return Err(mismatch(stringify!($field), &found.$field, &expected.$field));
            })*
        };
    }
    same!(
        parent_hash,
        number,
        timestamp,
        gas_limit,
        gas_used,
        base_fee_per_gas,
        transactions_root,
        receipts_root,
        logs_bloom,
        state_root,
        withdrawals_root,
        requests_hash,
        blob_gas_used,
        excess_blob_gas,
        parent_beacon_block_root,
        beneficiary,
        mix_hash,
        extra_data,
        ommers_hash,
        difficulty,
        nonce,
        block_access_list_hash,
        slot_number
    );
    Ok(())
}

fn mismatch(field: &'static str, found: &impl Debug, expected: &impl Debug) -> ExecutionError {
    ExecutionError::HeaderMismatch {
        field,
        found: format!("{found:?}"),
        expected: format!("{expected:?}"),
    }
}

#[cfg(test)]
mod tests;
