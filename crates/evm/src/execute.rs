//! Executing a finished block and comparing it with its header.

use alloy_consensus::{Block, TxEnvelope};
use alloy_primitives::B256;

use crate::{
    block::{Credit, ExecutedBlock},
    builder::BuildError,
    recover::RecoverError,
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
    let _ = (spec, parent, block, credits);
    todo!()
}
