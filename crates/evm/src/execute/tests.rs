use alloy_primitives::{Bloom, U256};

use super::*;
use crate::testing::{COUNTER, Wallet, block, inputs, l1};

fn example() -> (ChainSpec, ExecutedBlock, ExecutedBlock) {
    let (spec, genesis) = l1();
    let (mut alice, mut bob) = (Wallet::new(1), Wallet::new(2));
    let (create, counter) = alice.create(COUNTER);
    let txs = [
        create,
        alice.tx(counter.into(), 0, Default::default()),
        bob.transfer(Address::ZERO, 7),
    ];
    let done = block(&spec, &genesis, &txs);
    (spec, genesis, done)
}

#[test]
fn executing_a_block_again_gives_the_same_block() {
    let (spec, genesis, done) = example();
    let again = execute_block(&spec, &genesis, &done.to_block(), &[]).unwrap();
    assert_eq!(again.record, done.record);
    assert_eq!(again.changes, done.changes);
}

#[test]
fn credits_are_part_of_what_is_executed() {
    let (spec, genesis) = l1();
    let mut builder = BlockBuilder::new(&spec, &genesis, inputs(&genesis)).unwrap();
    builder
        .credit(Address::repeat_byte(5), U256::from(6))
        .unwrap();
    let done = builder.finish().unwrap();
    let credits = [Credit {
        address: Address::repeat_byte(5),
        wei: U256::from(6),
    }];
    assert!(execute_block(&spec, &genesis, &done.to_block(), &credits).is_ok());
    let without = execute_block(&spec, &genesis, &done.to_block(), &[]);
    let named = matches!(
        without,
        Err(ExecutionError::HeaderMismatch {
            field: "state_root",
            ..
        })
    );
    assert!(named, "{without:?}");
}

#[test]
fn a_forged_header_field_is_named() {
    let (spec, genesis, done) = example();
    type Forgery = fn(&mut Header);
    let forgeries: [(&str, Forgery); 12] = [
        ("state_root", |h| h.state_root = B256::ZERO),
        ("receipts_root", |h| h.receipts_root = B256::ZERO),
        ("transactions_root", |h| h.transactions_root = B256::ZERO),
        ("withdrawals_root", |h| h.withdrawals_root = None),
        ("requests_hash", |h| h.requests_hash = Some(B256::ZERO)),
        ("logs_bloom", |h| h.logs_bloom = Bloom::ZERO),
        ("gas_used", |h| h.gas_used += 1),
        ("base_fee_per_gas", |h| h.base_fee_per_gas = Some(1)),
        ("number", |h| h.number = 7),
        ("blob_gas_used", |h| h.blob_gas_used = Some(1)),
        ("excess_blob_gas", |h| h.excess_blob_gas = Some(1)),
        ("difficulty", |h| h.difficulty = U256::from(1)),
    ];
    for (name, forge) in forgeries {
        let mut block = done.to_block();
        forge(&mut block.header);
        match execute_block(&spec, &genesis, &block, &[]) {
            Err(ExecutionError::HeaderMismatch { field, .. }) => assert_eq!(field, name),
            other => panic!("{name} forged: {other:?}"),
        }
    }
}

#[test]
fn a_block_on_another_parent_is_refused() {
    let (spec, genesis, done) = example();
    let mut block = done.to_block();
    block.header.parent_hash = B256::repeat_byte(1);
    assert_eq!(
        execute_block(&spec, &genesis, &block, &[]).unwrap_err(),
        ExecutionError::WrongParent {
            found: B256::repeat_byte(1),
            expected: genesis.hash()
        }
    );
}

#[test]
fn a_block_with_an_impossible_transaction_names_its_place() {
    let (spec, genesis, done) = example();
    let mut block = done.to_block();
    let repeated = block.body.transactions[0].clone();
    block.body.transactions.push(repeated);
    let rejection = TxRejection::NonceTooLow {
        nonce: 0,
        expected: 2,
    };
    assert_eq!(
        execute_block(&spec, &genesis, &block, &[]).unwrap_err(),
        ExecutionError::Transaction {
            index: 3,
            rejection
        }
    );
}
