mod rejections;

use alloy_consensus::TxEip4844WithSidecar;
use alloy_eips::{eip4844::BlobTransactionSidecar, eip7685::EMPTY_REQUESTS_HASH};
use alloy_primitives::{TxKind, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, HashBuilder, Nibbles};
use proptest::prelude::*;

use super::*;
use crate::testing::{
    BLOCK_READER, CHAIN_ID, COUNTER, GWEI, REVERTER, SUICIDAL_INIT, WRITER, Wallet, block, inputs,
    l1, words,
};

const TO: Address = Address::repeat_byte(0xee);

#[test]
fn a_block_with_one_transfer_is_what_one_reckons_by_hand() {
    let (spec, genesis) = l1();
    let mut alice = Wallet::new(1);
    let rich = genesis.state.account(&alice.address).unwrap().balance;
    let beneficiary = Address::repeat_byte(0xfe);
    let mut builder = BlockBuilder::new(
        &spec,
        &genesis,
        BlockInputs {
            beneficiary,
            parent_beacon_block_root: B256::repeat_byte(0xbe),
            ..inputs(&genesis)
        },
    )
    .unwrap();
    let tx = alice.transfer(TO, 1_000);
    let outcome = builder.push(&tx).unwrap();
    let done = builder.finish().unwrap();

    // The genesis was empty, so the base fee of 1 gwei falls by an eighth.
    let base_fee = 875_000_000;
    assert_eq!(done.header.base_fee_per_gas, Some(base_fee));
    assert_eq!((outcome.gas_used, done.header.gas_used), (21_000, 21_000));
    let paid = U256::from(21_000 * (base_fee + 1) + 1_000);
    assert_eq!(
        done.state.account(&alice.address).unwrap().balance,
        rich - paid
    );
    assert_eq!(done.state.account(&TO).unwrap().balance, U256::from(1_000));
    assert_eq!(
        done.state.account(&beneficiary).unwrap().balance,
        U256::from(21_000)
    );

    // With one transaction the tries have one leaf, under the key rlp(0) = 0x80.
    let one_leaf = |value: &[u8]| {
        let mut builder = HashBuilder::default();
        builder.add_leaf(Nibbles::unpack([0x80]), value);
        builder.root()
    };
    let receipt = [
        &[
            0x02, 0xf9, 0x01, 0x08, 0x01, 0x82, 0x52, 0x08, 0xb9, 0x01, 0x00,
        ][..],
        &[0; 256],
        &[0xc0],
    ]
    .concat();
    assert_eq!(done.header.receipts_root, one_leaf(&receipt));
    let encoded = alloy_eips::eip2718::Encodable2718::encoded_2718(tx.inner());
    assert_eq!(done.header.transactions_root, one_leaf(&encoded));
    assert_eq!(done.header.withdrawals_root, Some(EMPTY_ROOT_HASH));
    assert_eq!(done.header.requests_hash, Some(EMPTY_REQUESTS_HASH));
    assert_eq!(done.header.parent_hash, genesis.hash());
    assert_eq!(
        done.hash(),
        keccak256(alloy_rlp::encode(done.header.inner()))
    );
    assert_eq!(done.header.state_root, done.state.root());
    assert_eq!(done.record.gas_used_by(0), Some(21_000));

    // EIP-2935 keeps the parent's hash in slot (number − 1) mod 8191, EIP-4788 the beacon root in
    // slot (timestamp mod 8191) + 8191 and the timestamp in the slot 8191 before.
    let history = done.state.storage(&HISTORY_STORAGE_ADDRESS, U256::ZERO);
    assert_eq!(B256::from(history), genesis.hash());
    let place = U256::from(done.header.timestamp % 8191);
    let stored = done
        .state
        .storage(&BEACON_ROOTS_ADDRESS, place + U256::from(8191));
    assert_eq!(B256::from(stored), B256::repeat_byte(0xbe));
    let timestamp = done.state.storage(&BEACON_ROOTS_ADDRESS, place);
    assert_eq!(timestamp, U256::from(done.header.timestamp));
}

#[test]
fn logs_reach_receipt_bloom_and_outcome() {
    let (spec, genesis) = l1();
    let mut alice = Wallet::new(1);
    let (create, counter) = alice.create(COUNTER);
    let mut builder = BlockBuilder::new(&spec, &genesis, inputs(&genesis)).unwrap();
    let created = builder.push(&create).unwrap();
    assert_eq!(created.created, Some(counter));
    assert_eq!(created.output, Bytes::from_static(COUNTER));
    let outcome = builder
        .push(&alice.tx(counter.into(), 0, Bytes::new()))
        .unwrap();
    let log = &outcome.logs()[0];
    assert_eq!(log.address, counter);
    assert_eq!(log.topics(), [B256::with_last_byte(0xaa)]);
    assert_eq!(builder.storage(&counter, U256::ZERO), U256::from(1));
    let done = builder.finish().unwrap();
    assert_eq!(done.header.logs_bloom, alloy_primitives::logs_bloom([log]));
    assert_eq!(done.record.first_log_index(1), 0);
    assert_eq!(done.state.code_at(&counter), Bytes::from_static(COUNTER));
    assert_eq!(
        done.changes.codes.len(),
        1,
        "deployed code is among the changes"
    );
}

#[test]
fn a_reverted_transaction_is_in_the_block_and_says_why() {
    let (spec, genesis) = l1();
    let mut alice = Wallet::new(1);
    let (create, reverter) = alice.create(REVERTER);
    let mut builder = BlockBuilder::new(&spec, &genesis, inputs(&genesis)).unwrap();
    builder.push(&create).unwrap();
    let outcome = builder
        .push(&alice.tx(reverter.into(), 5, Bytes::new()))
        .unwrap();
    assert_eq!(outcome.status, TxStatus::Reverted);
    assert_eq!(outcome.output, Bytes::from_static(&[0x2a]));
    assert_eq!(
        builder.account(&reverter).map(|(_, balance, _)| balance),
        Some(U256::ZERO)
    );
    assert_eq!(
        builder.account(&alice.address).map(|(nonce, ..)| nonce),
        Some(2)
    );
    assert_eq!(builder.receipts().len(), 2);
}

#[test]
fn blockhash_and_basefee_are_those_of_the_chain() {
    let (spec, genesis) = l1();
    let mut alice = Wallet::new(1);
    let (create, reader) = alice.create(BLOCK_READER);
    let first = block(&spec, &genesis, &[create]);
    let mut builder = BlockBuilder::new(&spec, &first, inputs(&first)).unwrap();
    let outcome = builder
        .push(&alice.tx(reader.into(), 0, words(1, 0)))
        .unwrap();
    let base_fee = U256::from(builder.header().base_fee_per_gas.unwrap());
    let expected = [
        U256::from(2).to_be_bytes(),
        base_fee.to_be_bytes::<32>(),
        first.hash().0,
    ]
    .concat();
    assert_eq!(outcome.output, Bytes::from(expected));
}

#[test]
fn a_delegation_runs_the_delegates_code_in_the_authority() {
    let (spec, genesis) = l1();
    let (mut alice, bob) = (Wallet::new(1), Wallet::new(2));
    let (create, counter) = alice.create(COUNTER);
    let delegate = alice.sign(alice.set_code(vec![bob.authorize(counter)]));
    alice.nonce += 1;
    let call = alice.tx(bob.address.into(), 0, Bytes::new());
    let done = block(&spec, &genesis, &[create, delegate, call]);
    assert_eq!(done.state.storage(&bob.address, U256::ZERO), U256::from(1));
    assert_eq!(done.state.code_at(&bob.address)[..3], [0xef, 0x01, 0x00]);
    assert_eq!(done.receipts[1].tx_type() as u8, 4);
}

#[test]
fn blob_transactions_lose_their_sidecar_and_pay_for_their_blobs() {
    let (spec, genesis) = l1();
    let alice = Wallet::new(1);
    let sidecar = BlobTransactionSidecar::new(vec![], vec![], vec![]);
    let with = TxEip4844WithSidecar::from_tx_and_sidecar(alice.blob(2), sidecar.into());
    let variant: TxEip4844Variant = TxEip4844Variant::TxEip4844WithSidecar(with);
    let mut builder = BlockBuilder::new(&spec, &genesis, inputs(&genesis)).unwrap();
    builder.push(&alice.sign(variant)).unwrap();
    let done = builder.finish().unwrap();
    assert_eq!(done.header.blob_gas_used, Some(2 * 131_072));
    let TxEnvelope::Eip4844(signed) = &done.transactions[0] else {
        panic!("a blob transaction")
    };
    assert!(matches!(signed.tx(), TxEip4844Variant::TxEip4844(_)));
    assert_eq!(
        *done.transactions[0].tx_hash(),
        *alice.sign(alice.blob(2)).tx_hash()
    );
}

#[test]
fn withdrawals_and_credits_arrive_and_credits_come_first() {
    let (spec, genesis) = l1();
    let mut alice = Wallet::new(1);
    let fresh = Address::repeat_byte(0xc0);
    let withdrawal = alloy_eips::eip4895::Withdrawal {
        index: 0,
        validator_index: 1,
        address: TO,
        amount: 3,
    };
    let with = BlockInputs {
        withdrawals: vec![withdrawal],
        ..inputs(&genesis)
    };
    let mut builder = BlockBuilder::new(&spec, &genesis, with).unwrap();
    builder.credit(fresh, U256::from(42)).unwrap();
    builder
        .credit(Address::repeat_byte(0xc1), U256::ZERO)
        .unwrap();
    builder.push(&alice.transfer(TO, 1)).unwrap();
    assert_eq!(
        builder.credit(fresh, U256::from(1)),
        Err(BuildError::CreditAfterTransaction { transactions: 1 })
    );
    let done = builder.finish().unwrap();
    assert_eq!(done.state.account(&fresh).unwrap().balance, U256::from(42));
    assert!(
        done.state.account(&Address::repeat_byte(0xc1)).is_none(),
        "nothing makes nobody"
    );
    assert_eq!(
        done.state.account(&TO).unwrap().balance,
        U256::from(3 * GWEI + 1)
    );
    assert_ne!(done.header.withdrawals_root, Some(EMPTY_ROOT_HASH));
    assert_eq!(done.credits.len(), 2);
}

#[test]
fn a_withdrawal_request_changes_the_requests_hash() {
    let (spec, genesis) = l1();
    let mut alice = Wallet::new(1);
    // EIP-7002: 48 bytes of key and 8 bytes of amount, with the fee of 1 wei attached.
    let request = Bytes::from(vec![0x11; 56]);
    let tx = alice.tx(
        TxKind::Call(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS),
        1,
        request,
    );
    let done = block(&spec, &genesis, &[tx]);
    assert!(done.receipts[0].status());
    assert_ne!(done.header.requests_hash, Some(EMPTY_REQUESTS_HASH));
}

#[test]
fn inputs_that_make_no_block_are_refused_by_name() {
    let (spec, genesis) = l1();
    let early = BlockInputs {
        timestamp: 999,
        ..BlockInputs::default()
    };
    assert_eq!(
        BlockBuilder::new(&spec, &genesis, early).unwrap_err(),
        BuildError::TimestampBeforeParent {
            timestamp: 999,
            parent: 1_000
        }
    );
    let long = BlockInputs {
        extra_data: vec![0; 33].into(),
        ..inputs(&genesis)
    };
    assert_eq!(
        BlockBuilder::new(&spec, &genesis, long).unwrap_err(),
        BuildError::ExtraDataTooLong {
            bytes: 33,
            limit: 32
        }
    );
}

#[test]
fn a_missing_request_contract_makes_no_valid_block() {
    let (spec, genesis) = l1();
    let contract = WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS;
    // Code that is only the invalid opcode stands for a contract that fails.
    let code = Bytes::from_static(&[0xfe]);
    let mut changes = crate::Changes::default();
    let change = crate::AccountChange {
        account: Some((1, U256::ZERO, keccak256(&code))),
        ..Default::default()
    };
    changes.codes.insert(keccak256(&code), code);
    changes.accounts.insert(contract, change);
    let broken = ExecutedBlock {
        state: genesis.state.apply(&changes),
        ..genesis
    };
    let builder = BlockBuilder::new(&spec, &broken, inputs(&broken)).unwrap();
    assert_eq!(
        builder.finish().unwrap_err(),
        BuildError::SystemCall { contract }
    );
}

#[test]
fn a_contract_that_dies_in_its_birth_leaves_nothing_but_its_legacy() {
    let (spec, genesis) = l1();
    let mut alice = Wallet::new(1);
    let child = alice.address.create(0);
    let tx = alice.tx(TxKind::Create, 77, Bytes::from_static(SUICIDAL_INIT));
    let done = block(&spec, &genesis, &[tx]);
    assert!(done.receipts[0].status());
    assert!(done.state.account(&child).is_none());
    assert_eq!(
        done.state
            .account(&Address::with_last_byte(0xbb))
            .unwrap()
            .balance,
        U256::from(77)
    );
}

#[derive(Clone, Debug)]
enum Action {
    Transfer(u8, u8),
    Write(u64, u64),
    TooMuch,
    Snapshot,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        (1u8..5, any::<u8>()).prop_map(|(from, to)| Action::Transfer(from, to)),
        (0u64..6, 0u64..3).prop_map(|(slot, value)| Action::Write(slot, value)),
        Just(Action::TooMuch),
        Just(Action::Snapshot),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    /// Whatever happens in between, the running state, the final state and the parent's state with
    /// the flat changes agree, and rejected transactions and snapshots leave no trace.
    #[test]
    fn running_state_final_state_and_changes_agree(
        actions in prop::collection::vec(action(), 1..24),
    ) {
        let (spec, genesis) = l1();
        let mut wallets: Vec<_> = (1..5).map(Wallet::new).collect();
        let (create, writer) = wallets[0].create(WRITER);
        let parent = block(&spec, &genesis, &[create]);
        let mut noisy = BlockBuilder::new(&spec, &parent, inputs(&parent)).unwrap();
        let mut quiet = Vec::new();
        for action in actions {
            let tx = match action {
                Action::Transfer(from, to) => {
                    let to = Address::with_last_byte(to | 0x80);
                    wallets[usize::from(from) - 1].transfer(to, u64::from(from))
                }
                Action::Write(slot, value) => {
                    wallets[0].tx(writer.into(), 0, words(slot, value))
                }
                Action::TooMuch => {
                    let mut tx = wallets[1].template();
                    tx.value = U256::MAX / U256::from(2);
                    prop_assert!(noisy.push(&wallets[1].sign(tx)).is_err());
                    continue;
                }
                Action::Snapshot => {
                    let before = noisy.storage(&writer, U256::from(1));
                    let snapshot = noisy.snapshot();
                    prop_assert_eq!(snapshot.storage(&writer, U256::from(1)), before);
                    continue;
                }
            };
            noisy.push(&tx).unwrap();
            quiet.push(tx);
        }
        let done = noisy.finish().unwrap();
        prop_assert_eq!(parent.state.apply(&done.changes).root(), done.header.state_root);
        prop_assert_eq!(block(&spec, &parent, &quiet).hash(), done.hash());
    }
}

#[test]
fn pending_reads_see_each_transaction_at_once() {
    let (spec, genesis) = l1();
    let mut alice = Wallet::new(1);
    let mut builder = BlockBuilder::new(&spec, &genesis, inputs(&genesis)).unwrap();
    assert_eq!(builder.account(&TO), None);
    builder.push(&alice.transfer(TO, 5)).unwrap();
    assert_eq!(
        builder.account(&TO).map(|(_, balance, _)| balance),
        Some(U256::from(5))
    );
    let snapshot = builder.snapshot();
    builder.push(&alice.transfer(TO, 5)).unwrap();
    assert_eq!(
        snapshot.account(&TO).unwrap().balance,
        U256::from(5),
        "a snapshot stands still"
    );
    assert_eq!(
        builder.snapshot().account(&TO).unwrap().balance,
        U256::from(10)
    );
    assert_eq!(builder.call_context().header.gas_used, 42_000);
    assert_eq!(builder.senders(), [alice.address, alice.address]);
    assert_eq!(builder.transactions().len(), 2);
    assert_eq!(spec.chain_id, CHAIN_ID);
}
