//! Every reason to reject, each with its values, and none with a trace.

use alloy_consensus::{TxEip1559, TxEip4844};
use alloy_eips::eip4844::DATA_GAS_PER_BLOB;

use super::*;
use crate::testing::genesis;

/// What an L1 block of 20 M gas on the devnet's genesis says to a transaction of wallet 1.
fn rejected(tx: &Recovered<TxEnvelope>) -> TxRejection {
    let (spec, genesis) = l1();
    rejected_by(&spec, &genesis, tx)
}

fn rejected_by(
    spec: &ChainSpec,
    parent: &ExecutedBlock,
    tx: &Recovered<TxEnvelope>,
) -> TxRejection {
    let inputs = || BlockInputs {
        gas_limit: Some(20_000_000),
        ..inputs(parent)
    };
    let mut builder = BlockBuilder::new(spec, parent, inputs()).unwrap();
    let rejection = builder.push(tx).expect_err("a bad transaction");
    let untouched = BlockBuilder::new(spec, parent, inputs())
        .unwrap()
        .finish()
        .unwrap();
    assert_eq!(
        builder.finish().unwrap().hash(),
        untouched.hash(),
        "{rejection} leaves no trace"
    );
    rejection
}

fn bent(change: impl FnOnce(&mut TxEip1559)) -> Recovered<TxEnvelope> {
    let wallet = Wallet::new(1);
    let mut tx = wallet.template();
    change(&mut tx);
    wallet.sign(tx)
}

fn bent_blob(blobs: usize, change: impl FnOnce(&mut TxEip4844)) -> Recovered<TxEnvelope> {
    let wallet = Wallet::new(1);
    let mut tx = wallet.blob(blobs);
    change(&mut tx);
    wallet.sign(tx)
}

#[test]
fn a_nonce_already_used_is_too_low() {
    let (spec, genesis) = l1();
    let mut alice = Wallet::new(1);
    let first = alice.transfer(TO, 1);
    let parent = block(&spec, &genesis, std::slice::from_ref(&first));
    let rejection = rejected_by(&spec, &parent, &first);
    assert_eq!(
        rejection,
        TxRejection::NonceTooLow {
            nonce: 0,
            expected: 1
        }
    );
    assert!(rejection.is_permanent());
}

#[test]
fn a_nonce_ahead_is_too_high_for_now() {
    let rejection = rejected(&bent(|tx| tx.nonce = 3));
    assert_eq!(
        rejection,
        TxRejection::NonceTooHigh {
            nonce: 3,
            expected: 0
        }
    );
    assert!(!rejection.is_permanent());
}

#[test]
fn the_last_nonce_is_forbidden() {
    let rejection = rejected(&bent(|tx| tx.nonce = u64::MAX));
    assert_eq!(rejection, TxRejection::NonceAtMaximum { nonce: u64::MAX });
}

#[test]
fn value_and_fee_must_be_covered() {
    let poor = Wallet::new(9);
    let rejection = rejected(&poor.sign(poor.template()));
    let required = U256::from(300_000 * 10 * GWEI + 1);
    assert_eq!(
        rejection,
        TxRejection::InsufficientFunds {
            required,
            balance: U256::ZERO
        }
    );
    assert!(!rejection.is_permanent());
}

#[test]
fn the_fee_cap_must_reach_the_base_fee() {
    let rejection = rejected(&bent(|tx| tx.max_fee_per_gas = 874_999_999));
    let (max_fee, base_fee) = (874_999_999, 875_000_000);
    assert_eq!(
        rejection,
        TxRejection::FeeBelowBaseFee { max_fee, base_fee }
    );
    assert!(!rejection.is_permanent());
}

#[test]
fn the_tip_must_not_exceed_the_fee_cap() {
    let rejection = rejected(&bent(|tx| tx.max_priority_fee_per_gas = 11 * GWEI));
    let (tip, max_fee) = (11 * GWEI, 10 * GWEI);
    assert_eq!(rejection, TxRejection::TipAboveMaxFee { tip, max_fee });
}

#[test]
fn a_cost_beyond_256_bits_is_refused() {
    let rejection = rejected(&bent(|tx| tx.value = U256::MAX));
    let (gas_limit, max_fee) = (300_000, 10 * GWEI);
    assert_eq!(rejection, TxRejection::CostOverflow { gas_limit, max_fee });
}

#[test]
fn a_full_block_has_no_gas_left_but_the_next_one_has() {
    let (spec, genesis) = l1();
    let mut alice = Wallet::new(1);
    let small = BlockInputs {
        gas_limit: Some(320_000),
        ..inputs(&genesis)
    };
    let mut builder = BlockBuilder::new(&spec, &genesis, small).unwrap();
    builder.push(&alice.transfer(TO, 1)).unwrap();
    let rejection = builder.push(&alice.transfer(TO, 1)).unwrap_err();
    let (gas_limit, available) = (300_000, 299_000);
    assert_eq!(
        rejection,
        TxRejection::BlockGasExhausted {
            gas_limit,
            available
        }
    );
    assert!(!rejection.is_permanent());
}

#[test]
fn more_gas_than_any_such_block_has_is_refused() {
    let (spec, genesis) = l1();
    let small = BlockInputs {
        gas_limit: Some(200_000),
        ..inputs(&genesis)
    };
    let mut builder = BlockBuilder::new(&spec, &genesis, small).unwrap();
    let rejection = builder.push(&Wallet::new(1).transfer(TO, 1)).unwrap_err();
    assert_eq!(
        rejection,
        TxRejection::GasLimitAboveBlock {
            gas_limit: 300_000,
            limit: 200_000
        }
    );
}

#[test]
fn more_gas_than_one_transaction_may_have_is_refused() {
    let rejection = rejected(&bent(|tx| tx.gas_limit = crate::TX_GAS_LIMIT_MAX + 1));
    let (gas_limit, cap) = (16_777_217, 16_777_216);
    assert_eq!(rejection, TxRejection::GasLimitAboveCap { gas_limit, cap });
}

#[test]
fn less_gas_than_the_intrinsic_cost_or_the_calldata_floor_is_refused() {
    let rejection = rejected(&bent(|tx| tx.gas_limit = 20_999));
    assert_eq!(
        rejection,
        TxRejection::IntrinsicGas {
            gas_limit: 20_999,
            required: 21_000
        }
    );
    // 1,000 non-zero bytes: 37,000 gas intrinsically, but a floor of 61,000 (EIP-7623).
    let rejection = rejected(&bent(|tx| {
        tx.gas_limit = 60_999;
        tx.input = vec![1; 1_000].into();
    }));
    assert_eq!(
        rejection,
        TxRejection::IntrinsicGas {
            gas_limit: 60_999,
            required: 61_000
        }
    );
}

#[test]
fn a_transaction_for_another_chain_is_refused() {
    let rejection = rejected(&bent(|tx| tx.chain_id = 1));
    assert_eq!(
        rejection,
        TxRejection::WrongChainId {
            chain_id: Some(1),
            expected: CHAIN_ID
        }
    );
    assert!(rejection.is_permanent());
}

#[test]
fn a_rollup_takes_no_blobs() {
    let spec = ChainSpec::rollup(CHAIN_ID);
    let parent = crate::genesis_block(&spec, &genesis());
    let rejection = rejected_by(&spec, &parent, &bent_blob(1, |_| ()));
    assert_eq!(rejection, TxRejection::UnsupportedType { tx_type: 3 });
}

#[test]
fn a_contract_cannot_send() {
    let (spec, genesis) = l1();
    let wallet = Wallet::new(1);
    let code = Bytes::from_static(COUNTER);
    let mut changes = crate::Changes::default();
    let account = Some((0, U256::from(1u128 << 90), keccak256(&code)));
    changes.codes.insert(keccak256(&code), code);
    let change = crate::AccountChange {
        account,
        ..Default::default()
    };
    changes.accounts.insert(wallet.address, change);
    let parent = ExecutedBlock {
        state: genesis.state.apply(&changes),
        ..genesis
    };
    let rejection = rejected_by(&spec, &parent, &wallet.sign(wallet.template()));
    assert_eq!(rejection, TxRejection::SenderHasCode);
}

#[test]
fn init_code_has_a_limit() {
    let rejection = rejected(&bent(|tx| {
        tx.to = TxKind::Create;
        tx.gas_limit = 5_000_000;
        tx.input = vec![0; 49_153].into();
    }));
    assert_eq!(
        rejection,
        TxRejection::InitCodeTooLong {
            bytes: 49_153,
            limit: 49_152
        }
    );
}

#[test]
fn a_set_code_transaction_must_authorise_something() {
    let wallet = Wallet::new(1);
    let rejection = rejected(&wallet.sign(wallet.set_code(Vec::new())));
    assert_eq!(rejection, TxRejection::NoAuthorizations);
}

#[test]
fn the_blob_fee_cap_must_reach_the_blob_base_fee() {
    let rejection = rejected(&bent_blob(1, |tx| tx.max_fee_per_blob_gas = 0));
    assert_eq!(
        rejection,
        TxRejection::BlobFeeTooLow {
            max_fee: 0,
            blob_base_fee: 1
        }
    );
    assert!(!rejection.is_permanent());
}

#[test]
fn a_blob_transaction_needs_blobs_and_not_too_many_and_of_a_known_version() {
    assert_eq!(rejected(&bent_blob(0, |_| ())), TxRejection::NoBlobs);
    let rejection = rejected(&bent_blob(7, |_| ()));
    assert_eq!(rejection, TxRejection::TooManyBlobs { blobs: 7, limit: 6 });
    let rejection = rejected(&bent_blob(1, |tx| tx.blob_versioned_hashes[0][0] = 2));
    assert_eq!(rejection, TxRejection::BlobVersion);
}

#[test]
fn a_block_holds_so_many_blobs_and_the_next_one_more() {
    let (spec, genesis) = l1();
    let mut alice = Wallet::new(1);
    let mut builder = BlockBuilder::new(&spec, &genesis, inputs(&genesis)).unwrap();
    for _ in 0..3 {
        builder.push(&alice.sign(alice.blob(6))).unwrap();
        alice.nonce += 1;
    }
    let rejection = builder.push(&alice.sign(alice.blob(6))).unwrap_err();
    assert_eq!(
        rejection,
        TxRejection::BlockBlobsExhausted {
            blobs: 6,
            available: 3
        }
    );
    assert!(!rejection.is_permanent());
    assert_eq!(builder.header().blob_gas_used, Some(18 * DATA_GAS_PER_BLOB));
}
