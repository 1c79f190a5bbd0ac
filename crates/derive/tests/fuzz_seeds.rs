//! The fuzz checks over thousands of mutations of valid encodings, the same ones each time.

#[path = "../fuzz/checks.rs"]
mod checks;
#[path = "../../types/fuzz/mutate.rs"]
mod mutate;

use alloy_consensus::{
    Eip658Value, Header, Receipt, ReceiptEnvelope, SignableTransaction, TxEip1559, TxLegacy, TxType,
};
use alloy_eips::{
    eip2718::Encodable2718,
    eip2930::{AccessList, AccessListItem},
};
use alloy_primitives::{Log, Signature, U256};
use alloy_sol_types::SolEvent;
use cortado_derive::{Ethereum, Queued, REFERENCE_ADDRESS, References};
use cortado_types::{Address, B256, Bytes};

#[test]
fn no_bytes_break_the_reading_of_references() {
    let signature = Signature::new(U256::from(1), U256::from(2), false);
    let item = |key: u8| AccessListItem {
        address: REFERENCE_ADDRESS,
        storage_keys: vec![B256::repeat_byte(key)],
    };
    let access_list = AccessList(vec![item(1), item(2)]);
    let typed = TxEip1559 {
        access_list,
        ..TxEip1559::default()
    };
    let typed = typed.into_signed(signature).encoded_2718();
    assert_eq!(Ethereum.references(&typed.clone().into()).len(), 2);
    let legacy = TxLegacy::default().into_signed(signature).encoded_2718();
    mutate::run(&[typed, legacy], 20_000, checks::references);
}

#[test]
fn no_bytes_break_the_reading_of_receipts() {
    let queued = Queued {
        index: U256::from(3),
        gas: 21_000,
        payload: Bytes::from(vec![7; 52]),
        accumulator: B256::repeat_byte(9),
    };
    let log = Log {
        address: Address::repeat_byte(0x1b),
        data: queued.encode_log_data(),
    };
    let encoded = |kind| {
        let receipt = Receipt {
            status: Eip658Value::Eip658(true),
            cumulative_gas_used: 21_000,
            logs: vec![log.clone(), log.clone()],
        };
        ReceiptEnvelope::from_typed(kind, receipt).encoded_2718()
    };
    let seeds = [encoded(TxType::Legacy), encoded(TxType::Eip1559)];
    mutate::run(&seeds, 20_000, checks::receipt);
}

#[test]
fn no_bytes_break_the_reading_of_l1_headers() {
    let mut header = Header {
        gas_used: 1_000_000,
        ..Header::default()
    };
    let without = alloy_rlp::encode(&header);
    header.logs_bloom.0.fill(0xff);
    mutate::run(
        &[without, alloy_rlp::encode(&header)],
        20_000,
        checks::header,
    );
}
