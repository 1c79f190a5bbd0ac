//! Our chains, headers and transactions in the words of revm, and its answers in ours.

use alloy_consensus::{Header, Transaction, TxEnvelope, Typed2718};
use alloy_eips::eip7825::MAX_TX_GAS_LIMIT_OSAKA;
use alloy_primitives::{Address, U256};
use revm::{
    Context, MainBuilder, MainnetEvm,
    context::{
        BlockEnv, CfgEnv, Journal, TxEnv,
        either::Either,
        result::{EVMError, InvalidTransaction},
    },
    handler::MainnetContext,
    primitives::{eip3860::MAX_INITCODE_SIZE, hardfork::SpecId},
};

use crate::{
    overlay::Overlay,
    recover::recover_authorizations,
    rejection::TxRejection,
    spec::{ChainSpec, HARDFORK},
};

/// The EVM on a running state that it borrows.
pub(crate) type Evm<'a> = MainnetEvm<MainnetContext<&'a mut Overlay>>;

/// What reading the running state can fail with: nothing.
pub(crate) type EvmError = EVMError<std::convert::Infallible, InvalidTransaction>;

pub(crate) fn cfg_env(spec: &ChainSpec) -> CfgEnv<SpecId> {
    let blobs = spec.blob_params();
    let mut cfg = CfgEnv::new_with_spec(HARDFORK).with_chain_id(spec.chain_id);
    cfg.tx_chain_id_check = true;
    cfg.set_max_blobs_per_tx(blobs.max_blobs_per_tx);
    cfg.blob_base_fee_update_fraction = u64::try_from(blobs.update_fraction).ok();
    cfg
}

pub(crate) fn block_env(spec: &ChainSpec, header: &Header) -> BlockEnv {
    let mut env = BlockEnv {
        number: U256::from(header.number),
        beneficiary: header.beneficiary,
        timestamp: U256::from(header.timestamp),
        gas_limit: header.gas_limit,
        basefee: header.base_fee_per_gas.unwrap_or(0),
        difficulty: U256::ZERO,
        prevrandao: Some(header.mix_hash),
        blob_excess_gas_and_price: None,
        slot_num: 0,
    };
    let fraction = u64::try_from(spec.blob_params().update_fraction).unwrap_or(u64::MAX);
    env.set_blob_excess_gas_and_price(header.excess_blob_gas.unwrap_or(0), fraction);
    env
}

pub(crate) fn evm<'a>(cfg: &CfgEnv<SpecId>, block: &BlockEnv, db: &'a mut Overlay) -> Evm<'a> {
    let context: Context<BlockEnv, TxEnv, CfgEnv<SpecId>, _, Journal<_>, ()> =
        Context::new(db, HARDFORK);
    context
        .with_cfg(cfg.clone())
        .with_block(block.clone())
        .build_mainnet()
}

/// `sender` is the recovered signer.
pub(crate) fn tx_env(tx: &TxEnvelope, sender: Address) -> TxEnv {
    let authorizations = if tx.is_eip7702() {
        recover_authorizations(tx)
    } else {
        Vec::new()
    };
    TxEnv {
        tx_type: tx.ty(),
        caller: sender,
        gas_limit: tx.gas_limit(),
        gas_price: tx.max_fee_per_gas(),
        kind: tx.kind(),
        value: tx.value(),
        data: tx.input().clone(),
        nonce: tx.nonce(),
        chain_id: tx.chain_id(),
        access_list: tx.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: tx.max_priority_fee_per_gas(),
        blob_hashes: tx
            .blob_versioned_hashes()
            .map(<[_]>::to_vec)
            .unwrap_or_default(),
        max_fee_per_blob_gas: tx.max_fee_per_blob_gas().unwrap_or_default(),
        authorization_list: authorizations.into_iter().map(Either::Right).collect(),
    }
}

/// revm's refusal of `tx`, with the values that it leaves out.
pub(crate) fn rejection(
    error: EvmError,
    tx: &TxEnv,
    spec: &ChainSpec,
    block: &BlockEnv,
) -> TxRejection {
    use InvalidTransaction as Invalid;

    let invalid = match error {
        EVMError::Transaction(invalid) => invalid,
        EVMError::Header(error) => Invalid::Str(error.to_string().into()),
        EVMError::Database(never) => match never {},
        EVMError::Custom(text) => Invalid::Str(text.into()),
        EVMError::CustomAny(error) => Invalid::Str(error.to_string().into()),
    };
    let max_fee = tx.gas_price;
    let gas_limit = tx.gas_limit;
    match invalid {
        Invalid::NonceTooLow { tx, state } => TxRejection::NonceTooLow {
            nonce: tx,
            expected: state,
        },
        Invalid::NonceTooHigh { tx, state } => TxRejection::NonceTooHigh {
            nonce: tx,
            expected: state,
        },
        Invalid::NonceOverflowInTransaction => TxRejection::NonceAtMaximum { nonce: tx.nonce },
        Invalid::LackOfFundForMaxFee { fee, balance } => TxRejection::InsufficientFunds {
            required: *fee,
            balance: *balance,
        },
        Invalid::OverflowPaymentInTransaction => TxRejection::CostOverflow { gas_limit, max_fee },
        Invalid::GasPriceLessThanBasefee => TxRejection::FeeBelowBaseFee {
            max_fee,
            base_fee: block.basefee,
        },
        Invalid::PriorityFeeGreaterThanMaxFee => TxRejection::TipAboveMaxFee {
            tip: tx.gas_priority_fee.unwrap_or_default(),
            max_fee,
        },
        Invalid::CallerGasLimitMoreThanBlock => TxRejection::GasLimitAboveBlock {
            gas_limit,
            limit: block.gas_limit,
        },
        Invalid::TxGasLimitGreaterThanCap { gas_limit, cap } => {
            TxRejection::GasLimitAboveCap { gas_limit, cap }
        }
        Invalid::CallGasCostMoreThanGasLimit {
            initial_gas: required,
            gas_limit,
        }
        | Invalid::GasFloorMoreThanGasLimit {
            gas_floor: required,
            gas_limit,
        } => TxRejection::IntrinsicGas {
            gas_limit,
            required,
        },
        Invalid::InvalidChainId | Invalid::MissingChainId => TxRejection::WrongChainId {
            chain_id: tx.chain_id,
            expected: spec.chain_id,
        },
        Invalid::RejectCallerWithCode => TxRejection::SenderHasCode,
        Invalid::CreateInitCodeSizeLimit => TxRejection::InitCodeTooLong {
            bytes: tx.data.len(),
            limit: MAX_INITCODE_SIZE,
        },
        Invalid::EmptyAuthorizationList => TxRejection::NoAuthorizations,
        Invalid::BlobGasPriceGreaterThanMax {
            block_blob_gas_price,
            tx_max_fee_per_blob_gas,
        } => TxRejection::BlobFeeTooLow {
            max_fee: tx_max_fee_per_blob_gas,
            blob_base_fee: block_blob_gas_price,
        },
        Invalid::EmptyBlobs => TxRejection::NoBlobs,
        Invalid::TooManyBlobs { max, have } => TxRejection::TooManyBlobs {
            blobs: have,
            limit: max,
        },
        Invalid::BlobVersionNotSupported => TxRejection::BlobVersion,
        other => TxRejection::Other(other),
    }
}

/// Most gas one transaction may have (EIP-7825).
pub const TX_GAS_LIMIT_MAX: u64 = MAX_TX_GAS_LIMIT_OSAKA;
