//! References inside Ethereum's transactions (R11).

use crate::*;
use alloy_consensus::{
    SignableTransaction, TxEip1559, TxEip2930, TxEip7702, TxLegacy,
    transaction::RlpEcdsaEncodableTx,
};
use alloy_eips::{
    eip2718::Encodable2718,
    eip2930::{AccessList, AccessListItem},
};
use alloy_primitives::{Signature, TxKind, U256};
use cortado_types::{Address, B256, Bytes};

fn raw<T: SignableTransaction<Signature> + RlpEcdsaEncodableTx>(transaction: T) -> Bytes
where
    alloy_consensus::Signed<T>: Encodable2718,
{
    let signature = Signature::new(U256::from(1), U256::from(2), false);
    transaction.into_signed(signature).encoded_2718().into()
}

fn list(items: &[(Address, &[u8])]) -> AccessList {
    let item = |(address, keys): &(Address, &[u8])| AccessListItem {
        address: *address,
        storage_keys: keys.iter().map(|key| B256::repeat_byte(*key)).collect(),
    };
    AccessList(items.iter().map(item).collect())
}

fn read(access_list: AccessList) -> Vec<B256> {
    Ethereum.references(&raw(TxEip1559 {
        access_list,
        ..TxEip1559::default()
    }))
}

const NONE: [B256; 0] = [];
const OTHER: Address = Address::repeat_byte(9);

#[test]
fn the_reference_is_the_storage_key_under_the_reserved_address() {
    let want = [B256::repeat_byte(1)];
    assert_eq!(read(list(&[(REFERENCE_ADDRESS, &[1])])), want);
    assert_eq!(
        read(list(&[
            (OTHER, &[7]),
            (REFERENCE_ADDRESS, &[1]),
            (OTHER, &[])
        ])),
        want
    );
}

#[test]
fn every_typed_transaction_can_carry_one() {
    let access_list = list(&[(REFERENCE_ADDRESS, &[1])]);
    let want = [B256::repeat_byte(1)];
    let one = TxEip2930 {
        access_list: access_list.clone(),
        ..TxEip2930::default()
    };
    assert_eq!(Ethereum.references(&raw(one)), want);
    let four = TxEip7702 {
        access_list,
        ..TxEip7702::default()
    };
    assert_eq!(Ethereum.references(&raw(four)), want);
}

#[test]
fn two_references_are_both_seen() {
    let one = B256::repeat_byte(1);
    let two = B256::repeat_byte(2);
    assert_eq!(read(list(&[(REFERENCE_ADDRESS, &[1, 2])])), [one, two]);
    assert_eq!(
        read(list(&[
            (REFERENCE_ADDRESS, &[1]),
            (REFERENCE_ADDRESS, &[1])
        ])),
        [one, one]
    );
}

#[test]
fn a_transaction_without_the_address_has_none() {
    assert_eq!(read(AccessList::default()), NONE);
    assert_eq!(read(list(&[(OTHER, &[1])])), NONE);
    assert_eq!(
        read(list(&[(REFERENCE_ADDRESS, &[])])),
        NONE,
        "the address alone says nothing"
    );
    let legacy = TxLegacy {
        to: TxKind::Call(REFERENCE_ADDRESS),
        input: REFERENCE_ADDRESS.to_vec().into(),
        ..TxLegacy::default()
    };
    assert_eq!(
        Ethereum.references(&raw(legacy)),
        NONE,
        "type 0 has no access list"
    );
}

#[test]
fn the_address_elsewhere_in_the_transaction_is_no_reference() {
    let transaction = TxEip1559 {
        to: TxKind::Call(REFERENCE_ADDRESS),
        input: REFERENCE_ADDRESS.to_vec().into(),
        ..TxEip1559::default()
    };
    assert_eq!(Ethereum.references(&raw(transaction)), NONE);
}

#[test]
fn bytes_that_are_no_transaction_carry_none() {
    let access_list = list(&[(REFERENCE_ADDRESS, &[1])]);
    let good = raw(TxEip1559 {
        access_list,
        ..TxEip1559::default()
    });
    for end in 0..good.len() {
        assert_eq!(
            Ethereum.references(&good.slice(..end)),
            NONE,
            "cut at {end}"
        );
    }
    let longer: Bytes = [&good[..], &[0]].concat().into();
    assert_eq!(Ethereum.references(&longer), NONE);
    assert_eq!(NoReferences.references(&good), NONE);
}

#[test]
fn a_reference_in_a_malformed_access_list_is_none() {
    let good = raw(TxEip2930 {
        access_list: list(&[(REFERENCE_ADDRESS, &[7])]),
        ..TxEip2930::default()
    });
    assert_eq!(Ethereum.references(&good).len(), 1);
    let address = good
        .windows(20)
        .position(|window| window == REFERENCE_ADDRESS.as_slice())
        .expect("it is in there");
    // After the address come the list of keys and the key, each with its length before it.
    for at in [address - 1, address + 20, address + 21] {
        let mut bad = good.to_vec();
        bad[at] -= 1;
        assert!(Ethereum.references(&bad.into()).is_empty(), "byte {at}");
    }
    for end in address..good.len() {
        let cut = Bytes::copy_from_slice(&good[..end]);
        assert!(Ethereum.references(&cut).is_empty(), "cut at {end}");
    }
    // An entry without a key is well formed, and names nothing.
    assert!(read(list(&[(REFERENCE_ADDRESS, &[])])).is_empty());
}
