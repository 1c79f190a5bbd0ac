//! Why a transaction cannot enter a block.

use alloy_primitives::U256;
use revm::context::result::InvalidTransaction;

/// A transaction that was not executed and left no trace. Every variant names the offending value
/// and the limit it broke.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TxRejection {
    /// The sender has already used this nonce.
    #[error("nonce {nonce} too low, expected {expected}")]
    NonceTooLow {
        /// Nonce of the transaction.
        nonce: u64,
        /// Next nonce of the sender.
        expected: u64,
    },
    /// Earlier transactions of the sender are missing.
    #[error("nonce {nonce} too high, expected {expected}")]
    NonceTooHigh {
        /// Nonce of the transaction.
        nonce: u64,
        /// Next nonce of the sender.
        expected: u64,
    },
    /// The nonce is the last one, which EIP-2681 forbids.
    #[error("nonce {nonce} must be below {}", u64::MAX)]
    NonceAtMaximum {
        /// Nonce of the transaction.
        nonce: u64,
    },
    /// The sender cannot pay value plus the most the gas may cost.
    #[error("insufficient funds: needs {required} wei, has {balance} wei")]
    InsufficientFunds {
        /// Value + gas limit × fee cap (+ blob fee), in wei.
        required: U256,
        /// Balance of the sender, in wei.
        balance: U256,
    },
    /// The fee cap is below the block's base fee.
    #[error("max fee {max_fee} wei below base fee {base_fee} wei")]
    FeeBelowBaseFee {
        /// Fee cap (or gas price), in wei per gas.
        max_fee: u128,
        /// Base fee of the block, in wei per gas.
        base_fee: u64,
    },
    /// The tip exceeds the fee cap.
    #[error("max priority fee {tip} wei above max fee {max_fee} wei")]
    TipAboveMaxFee {
        /// Tip, in wei per gas.
        tip: u128,
        /// Fee cap, in wei per gas.
        max_fee: u128,
    },
    /// Gas limit × fee cap + value does not fit in 256 bits.
    #[error("gas limit {gas_limit} times max fee {max_fee} wei plus value overflows 256 bits")]
    CostOverflow {
        /// Gas limit of the transaction.
        gas_limit: u64,
        /// Fee cap, in wei per gas.
        max_fee: u128,
    },
    /// The block has not that much gas left. A later block may.
    #[error("gas limit {gas_limit} above the {available} gas left in the block")]
    BlockGasExhausted {
        /// Gas limit of the transaction.
        gas_limit: u64,
        /// Gas limit of the block less what it has used.
        available: u64,
    },
    /// Above the block's whole gas limit.
    #[error("gas limit {gas_limit} above the block gas limit {limit}")]
    GasLimitAboveBlock {
        /// Gas limit of the transaction.
        gas_limit: u64,
        /// Gas limit of the block.
        limit: u64,
    },
    /// Above the cap for one transaction (EIP-7825).
    #[error("gas limit {gas_limit} above the transaction cap {cap}")]
    GasLimitAboveCap {
        /// Gas limit of the transaction.
        gas_limit: u64,
        /// The cap.
        cap: u64,
    },
    /// The gas limit does not cover what the transaction costs before it executes.
    #[error("gas limit {gas_limit} below the intrinsic gas {required}")]
    IntrinsicGas {
        /// Gas limit of the transaction.
        gas_limit: u64,
        /// Least gas limit: intrinsic cost or calldata floor (EIP-7623).
        required: u64,
    },
    /// Signed for another chain.
    #[error("chain id {} is not {expected}", .chain_id.map_or("(none)".into(), |id| id.to_string()))]
    WrongChainId {
        /// Chain id of the transaction; `None` if it names none though its type needs one.
        chain_id: Option<u64>,
        /// This chain's id.
        expected: u64,
    },
    /// The chain does not accept this transaction type.
    #[error("transaction type {tx_type} is not supported on this chain")]
    UnsupportedType {
        /// EIP-2718 type.
        tx_type: u8,
    },
    /// The sender is a contract (EIP-3607).
    #[error("the sender has code")]
    SenderHasCode,
    /// Creation code is too long (EIP-3860).
    #[error("init code of {bytes} bytes above the limit {limit}")]
    InitCodeTooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A type 4 transaction must authorise something (EIP-7702).
    #[error("empty authorization list")]
    NoAuthorizations,
    /// The blob fee cap is below the block's blob base fee.
    #[error("max fee per blob gas {max_fee} wei below blob base fee {blob_base_fee} wei")]
    BlobFeeTooLow {
        /// Fee cap, in wei per blob gas.
        max_fee: u128,
        /// The block's, in wei per blob gas.
        blob_base_fee: u128,
    },
    /// A type 3 transaction must carry blobs.
    #[error("no blobs")]
    NoBlobs,
    /// More blobs than one transaction may carry.
    #[error("{blobs} blobs above the limit {limit}")]
    TooManyBlobs {
        /// Blobs of the transaction.
        blobs: usize,
        /// The limit.
        limit: usize,
    },
    /// The block has not that many blobs left. A later block may.
    #[error("{blobs} blobs above the {available} left in the block")]
    BlockBlobsExhausted {
        /// Blobs of the transaction.
        blobs: u64,
        /// Blobs still free in the block.
        available: u64,
    },
    /// A blob hash does not start with the KZG version byte.
    #[error("blob versioned hash has an unknown version")]
    BlobVersion,
    /// A rule of the EVM library that none of the above names.
    #[error("{0}")]
    Other(InvalidTransaction),
}

impl TxRejection {
    /// Whether the same transaction can never enter a block of this chain, whatever happens to
    /// accounts and fees.
    pub const fn is_permanent(&self) -> bool {
        !matches!(
            self,
            Self::NonceTooHigh { .. }
                | Self::InsufficientFunds { .. }
                | Self::FeeBelowBaseFee { .. }
                | Self::BlockGasExhausted { .. }
                | Self::GasLimitAboveBlock { .. }
                | Self::BlobFeeTooLow { .. }
                | Self::BlockBlobsExhausted { .. }
                | Self::SenderHasCode
        )
    }
}
