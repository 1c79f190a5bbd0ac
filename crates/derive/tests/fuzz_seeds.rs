//! The fuzz checks over thousands of mutations of valid encodings, the same ones each time.

#[path = "../fuzz/checks.rs"]
mod checks;
#[path = "../../types/fuzz/mutate.rs"]
mod mutate;

use alloy_consensus::{SignableTransaction, TxEip1559, TxLegacy};
use alloy_eips::{
    eip2718::Encodable2718,
    eip2930::{AccessList, AccessListItem},
};
use alloy_primitives::{Signature, U256};
use cortado_derive::{Ethereum, REFERENCE_ADDRESS, References};
use cortado_types::B256;

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
