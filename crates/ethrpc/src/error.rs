//! Errors as Ethereum clients know them: code, wording, data.

use alloy_primitives::{B256, Bytes, U256, hex};
use cortado_evm::store::{LogsError, StoreError};
use cortado_evm::{CallError, TxRejection};
use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::types::error::{INTERNAL_ERROR_CODE, INVALID_PARAMS_CODE};

/// Code of a general refusal, geth's habit.
pub const SERVER_ERROR_CODE: i32 = -32000;
/// Code of a resource that does not exist (EIP-1474).
pub const RESOURCE_NOT_FOUND_CODE: i32 = -32001;
/// Code of a request above a limit (EIP-1474).
pub const LIMIT_EXCEEDED_CODE: i32 = -32005;
/// Code of an execution that reverted.
pub const REVERT_CODE: i32 = 3;
/// EIP-7966: no receipt within the timeout; data is the hash.
pub const SYNC_TIMEOUT_CODE: i32 = 4;
/// EIP-7966: accepted but not ready for execution; data is the hash.
pub const SYNC_UNREADY_CODE: i32 = 5;
/// EIP-7966: nonce gap; data is the nonce that was expected.
pub const SYNC_NONCE_GAP_CODE: i32 = 6;

/// Why a call was not answered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RpcError {
    /// A parameter does not have the form or range asked for (-32602).
    #[error("{0}")]
    InvalidParams(String),
    /// A limit of this server (-32005); names the value and the limit.
    #[error("{what} {value} exceeds the limit of {limit}")]
    LimitExceeded {
        /// What was counted.
        what: &'static str,
        /// What the request asked for.
        value: u64,
        /// What this server allows.
        limit: u64,
    },
    /// More results than this server returns at once (-32005).
    #[error("query returned more than {limit} results")]
    TooManyResults {
        /// What this server allows.
        limit: usize,
    },
    /// Something named in the request does not exist here (-32001).
    #[error("{0}")]
    NotFound(String),
    /// Execution reverted (3); the data is what the contract returned.
    #[error("{}", revert_message(.0))]
    Reverted(Bytes),
    /// The request is fine and cannot be served (-32000).
    #[error("{0}")]
    Refused(String),
    /// A transaction was not taken.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// EIP-7966: not included within the wait.
    #[error(
        "transaction {hash} was added to the pool but no receipt appeared within {timeout_ms} ms"
    )]
    SyncTimeout {
        /// The transaction.
        hash: B256,
        /// How long this server waited.
        timeout_ms: u64,
    },
    /// EIP-7966: in the pool, not executable yet.
    #[error("transaction {hash} is queued and not ready for execution")]
    SyncUnready {
        /// The transaction.
        hash: B256,
    },
    /// EIP-7966: a transaction before this one is missing.
    #[error("nonce gap: next nonce {expected}, tx nonce {nonce}")]
    SyncNonceGap {
        /// The nonce that would have been executable.
        expected: u64,
        /// The nonce of the transaction.
        nonce: u64,
    },
    /// A fault of this server (-32603).
    #[error("internal error: {0}")]
    Internal(String),
}

impl RpcError {
    /// The JSON-RPC error code.
    pub fn code(&self) -> i32 {
        match self {
            Self::InvalidParams(_) => INVALID_PARAMS_CODE,
            Self::LimitExceeded { .. } | Self::TooManyResults { .. } => LIMIT_EXCEEDED_CODE,
            Self::NotFound(_) => RESOURCE_NOT_FOUND_CODE,
            Self::Reverted(_) => REVERT_CODE,
            Self::Submit(SubmitError::Undecodable(_)) => INVALID_PARAMS_CODE,
            Self::Refused(_) | Self::Submit(_) => SERVER_ERROR_CODE,
            Self::SyncTimeout { .. } => SYNC_TIMEOUT_CODE,
            Self::SyncUnready { .. } => SYNC_UNREADY_CODE,
            Self::SyncNonceGap { .. } => SYNC_NONCE_GAP_CODE,
            Self::Internal(_) => INTERNAL_ERROR_CODE,
        }
    }
}

impl From<RpcError> for ErrorObjectOwned {
    fn from(error: RpcError) -> Self {
        let data = match &error {
            RpcError::Reverted(output) => Some(hex::encode_prefixed(output)),
            RpcError::SyncTimeout { hash, .. } | RpcError::SyncUnready { hash } => {
                Some(hash.to_string())
            }
            RpcError::SyncNonceGap { expected, .. } => Some(format!("{expected:#x}")),
            _ => None,
        };
        ErrorObjectOwned::owned(error.code(), error.to_string(), data)
    }
}

impl From<LogsError> for RpcError {
    fn from(error: LogsError) -> Self {
        match error {
            LogsError::TooManyBlocks { blocks, limit } => Self::LimitExceeded {
                what: "block range",
                value: blocks,
                limit,
            },
            LogsError::TooManyLogs { limit } => Self::TooManyResults { limit },
            LogsError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for RpcError {
    fn from(error: StoreError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<CallError> for RpcError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Reverted { output } => Self::Reverted(output),
            CallError::Rejected(rejection) => Self::Submit(rejection.into()),
            CallError::Invalid(_) => Self::InvalidParams(error.to_string()),
            CallError::TooLarge { what, size, limit } => Self::LimitExceeded {
                what,
                value: size as u64,
                limit: limit as u64,
            },
            CallError::Halted { .. } | CallError::TimedOut { .. } => {
                Self::Refused(error.to_string())
            }
        }
    }
}

/// Why a transaction was not taken, in the words wallets match on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Not an EIP-2718 transaction.
    #[error("invalid transaction encoding: {0}")]
    Undecodable(String),
    /// Longer than [`crate::limits::RAW_TRANSACTION_BYTES_MAX`] or the backend's own limit.
    #[error("oversized data: transaction size {size}, limit {limit}")]
    Oversized {
        /// Bytes of the transaction.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The signature recovers to nobody.
    #[error("invalid sender: {0}")]
    InvalidSender(String),
    /// Signed for another chain.
    #[error("invalid chain id for signer: have {have} want {want}")]
    WrongChainId {
        /// Chain id in the transaction.
        have: u64,
        /// Chain id of this chain.
        want: u64,
    },
    /// A type this chain does not take.
    #[error("transaction type not supported: {0}")]
    TypeNotSupported(u8),
    /// Already in the pool or in a block.
    #[error("already known")]
    AlreadyKnown,
    /// Nonce used before.
    #[error("nonce too low: next nonce {expected}, tx nonce {nonce}")]
    NonceTooLow {
        /// The sender's next nonce.
        expected: u64,
        /// The nonce of the transaction.
        nonce: u64,
    },
    /// Nonce too far ahead for this chain's pool.
    #[error("nonce too high: next nonce {expected}, tx nonce {nonce}")]
    NonceTooHigh {
        /// The sender's next nonce.
        expected: u64,
        /// The nonce of the transaction.
        nonce: u64,
    },
    /// Another transaction with this nonce pays about as much.
    #[error("replacement transaction underpriced")]
    ReplacementUnderpriced,
    /// Pays less than this chain asks.
    #[error("transaction underpriced: fee {have}, minimum needed {want}")]
    Underpriced {
        /// Wei per gas offered.
        have: u128,
        /// Wei per gas asked.
        want: u128,
    },
    /// Fee cap below the base fee.
    #[error("max fee per gas less than block base fee: maxFeePerGas: {cap}, baseFee: {base}")]
    FeeCapBelowBaseFee {
        /// Wei per gas.
        cap: u128,
        /// Wei per gas.
        base: u128,
    },
    /// Tip above the fee cap.
    #[error(
        "max priority fee per gas higher than max fee per gas: maxPriorityFeePerGas: {tip}, maxFeePerGas: {cap}"
    )]
    TipAboveFeeCap {
        /// Wei per gas.
        tip: u128,
        /// Wei per gas.
        cap: u128,
    },
    /// The sender cannot pay for gas and value.
    #[error("insufficient funds for gas * price + value: have {have} want {want}")]
    InsufficientFunds {
        /// Balance in wei.
        have: U256,
        /// Wei needed.
        want: U256,
    },
    /// Gas limit below what any execution of it costs.
    #[error("intrinsic gas too low: have {have}, want {want}")]
    IntrinsicGasTooLow {
        /// Gas limit of the transaction.
        have: u64,
        /// Gas needed before the first opcode.
        want: u64,
    },
    /// Gas limit above the block's (or EIP-7825's cap).
    #[error("exceeds block gas limit: tx gas {have}, limit {limit}")]
    ExceedsGasLimit {
        /// Gas limit of the transaction.
        have: u64,
        /// Gas limit that applies.
        limit: u64,
    },
    /// The sender has code that is no delegation (EIP-3607).
    #[error("sender not an eoa")]
    SenderNotEoa,
    /// Creation code above EIP-3860's limit.
    #[error("max initcode size exceeded: code size {size}, limit {limit}")]
    InitcodeTooLarge {
        /// Bytes of the creation code.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// No room, and nothing cheaper to drop.
    #[error("txpool is full")]
    PoolFull,
    /// Any other reason, in the backend's words.
    #[error("{0}")]
    Other(String),
}

impl From<TxRejection> for SubmitError {
    fn from(rejection: TxRejection) -> Self {
        match rejection {
            TxRejection::NonceTooLow { nonce, expected } => Self::NonceTooLow { expected, nonce },
            TxRejection::NonceTooHigh { nonce, expected } => Self::NonceTooHigh { expected, nonce },
            TxRejection::InsufficientFunds { required, balance } => Self::InsufficientFunds {
                have: balance,
                want: required,
            },
            TxRejection::FeeBelowBaseFee { max_fee, base_fee } => Self::FeeCapBelowBaseFee {
                cap: max_fee,
                base: base_fee.into(),
            },
            TxRejection::TipAboveMaxFee { tip, max_fee } => {
                Self::TipAboveFeeCap { tip, cap: max_fee }
            }
            TxRejection::BlockGasExhausted {
                gas_limit,
                available,
            } => Self::ExceedsGasLimit {
                have: gas_limit,
                limit: available,
            },
            TxRejection::GasLimitAboveBlock { gas_limit, limit } => Self::ExceedsGasLimit {
                have: gas_limit,
                limit,
            },
            TxRejection::GasLimitAboveCap { gas_limit, cap } => Self::ExceedsGasLimit {
                have: gas_limit,
                limit: cap,
            },
            TxRejection::IntrinsicGas {
                gas_limit,
                required,
            } => Self::IntrinsicGasTooLow {
                have: gas_limit,
                want: required,
            },
            TxRejection::WrongChainId {
                chain_id: Some(have),
                expected,
            } => Self::WrongChainId {
                have,
                want: expected,
            },
            TxRejection::UnsupportedType { tx_type } => Self::TypeNotSupported(tx_type),
            TxRejection::SenderHasCode => Self::SenderNotEoa,
            TxRejection::InitCodeTooLong { bytes, limit } => {
                Self::InitcodeTooLarge { size: bytes, limit }
            }
            other => Self::Other(other.to_string()),
        }
    }
}

/// `execution reverted`, with the reason when the output is a Solidity `Error(string)`.
fn revert_message(output: &Bytes) -> String {
    match revert_reason(output) {
        Some(reason) => format!("execution reverted: {reason}"),
        None => "execution reverted".to_owned(),
    }
}

/// The string of a Solidity `Error(string)`, if the output is one.
fn revert_reason(output: &[u8]) -> Option<String> {
    const SELECTOR: [u8; 4] = [0x08, 0xc3, 0x79, 0xa0];
    let body = output.strip_prefix(&SELECTOR)?;
    let offset = usize::try_from(U256::try_from_be_slice(body.get(..32)?)?).ok()?;
    let length_end = offset.checked_add(32)?;
    let length = usize::try_from(U256::try_from_be_slice(body.get(offset..length_end)?)?).ok()?;
    let text = body.get(length_end..length_end.checked_add(length)?)?;
    Some(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revert_with_a_reason_says_it_and_carries_the_output() {
        let mut output = vec![0x08, 0xc3, 0x79, 0xa0];
        output.extend(U256::from(32).to_be_bytes::<32>());
        output.extend(U256::from(4).to_be_bytes::<32>());
        output.extend(b"nope");
        output.extend([0; 28]);
        let object: ErrorObjectOwned = RpcError::Reverted(output.clone().into()).into();
        assert_eq!(object.code(), 3);
        assert_eq!(object.message(), "execution reverted: nope");
        assert_eq!(
            object.data().map(|d| d.get().to_owned()),
            Some(format!("\"{}\"", hex::encode_prefixed(&output)))
        );
    }

    #[test]
    fn a_revert_reason_with_hostile_lengths_is_just_a_revert() {
        for word in [U256::MAX, U256::from(u64::MAX), U256::from(1_000)] {
            let mut output = vec![0x08, 0xc3, 0x79, 0xa0];
            output.extend(word.to_be_bytes::<32>());
            output.extend(word.to_be_bytes::<32>());
            assert_eq!(
                RpcError::Reverted(output.into()).to_string(),
                "execution reverted"
            );
        }
    }

    #[test]
    fn the_three_errors_of_eip_7966_carry_hash_or_expected_nonce() {
        let hash = B256::repeat_byte(7);
        let timeout: ErrorObjectOwned = RpcError::SyncTimeout {
            hash,
            timeout_ms: 1,
        }
        .into();
        let unready: ErrorObjectOwned = RpcError::SyncUnready { hash }.into();
        let gap: ErrorObjectOwned = RpcError::SyncNonceGap {
            expected: 26,
            nonce: 30,
        }
        .into();
        let data = |e: &ErrorObjectOwned| e.data().map(|d| d.get().to_owned());
        assert_eq!(
            (timeout.code(), data(&timeout)),
            (4, Some(format!("\"{hash}\"")))
        );
        assert_eq!(
            (unready.code(), data(&unready)),
            (5, Some(format!("\"{hash}\"")))
        );
        assert_eq!((gap.code(), data(&gap)), (6, Some("\"0x1a\"".to_owned())));
    }
}
