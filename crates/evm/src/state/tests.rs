use alloy_primitives::b256;
use alloy_trie::{Nibbles, proof::verify_proof, root::state_root_unhashed};

use super::*;

fn change(nonce: u64, balance: u64, slots: &[(u64, u64)]) -> AccountChange {
    AccountChange {
        account: Some((nonce, U256::from(balance), KECCAK256_EMPTY)),
        wiped: false,
        slots: slots
            .iter()
            .map(|(k, v)| (U256::from(*k), U256::from(*v)))
            .collect(),
    }
}

fn changes(list: &[(u8, AccountChange)]) -> Changes {
    let accounts = list
        .iter()
        .map(|(a, c)| (Address::repeat_byte(*a), c.clone()))
        .collect();
    Changes {
        accounts,
        codes: BTreeMap::new(),
    }
}

#[test]
fn the_root_is_that_of_alloy() {
    let state = WorldState::default().apply(&changes(&[
        (1, change(1, 5, &[(0, 7), (1, 8)])),
        (2, change(0, 6, &[])),
        (3, change(9, 0, &[(5, 1)])),
    ]));
    let storage = |slots: &[(u64, u64)]| {
        alloy_trie::root::storage_root_unhashed(
            slots
                .iter()
                .map(|(k, v)| (B256::from(U256::from(*k)), U256::from(*v))),
        )
    };
    let account = |nonce, balance: u64, root| {
        TrieAccount::new(nonce, U256::from(balance), root, KECCAK256_EMPTY)
    };
    let expected = state_root_unhashed([
        (
            Address::repeat_byte(1),
            account(1, 5, storage(&[(0, 7), (1, 8)])),
        ),
        (Address::repeat_byte(2), account(0, 6, storage(&[]))),
        (Address::repeat_byte(3), account(9, 0, storage(&[(5, 1)]))),
    ]);
    assert_eq!(state.root(), expected);
}

#[test]
fn forks_share_a_past_and_do_not_disturb_each_other() {
    //            ┌── left:  slot 0 = 1, account 2 gone
    //   base ────┤
    //            └── right: slot 0 = 2
    let base = WorldState::default().apply(&changes(&[
        (1, change(0, 1, &[(0, 9)])),
        (2, change(0, 2, &[])),
    ]));
    let root = base.root();
    let gone = AccountChange::default();
    let left = base.apply(&changes(&[(1, change(1, 1, &[(0, 1)])), (2, gone)]));
    let right = base.apply(&changes(&[(1, change(1, 1, &[(0, 2)]))]));

    let one = Address::repeat_byte(1);
    assert_eq!(base.storage(&one, U256::ZERO), U256::from(9));
    assert_eq!(left.storage(&one, U256::ZERO), U256::from(1));
    assert_eq!(right.storage(&one, U256::ZERO), U256::from(2));
    assert!(left.account(&Address::repeat_byte(2)).is_none());
    assert!(right.account(&Address::repeat_byte(2)).is_some());
    assert_eq!(base.root(), root);
    assert_eq!(
        left.apply(&changes(&[
            (1, change(0, 1, &[(0, 9)])),
            (2, change(0, 2, &[]))
        ]))
        .root(),
        root,
        "undoing the change by hand gives the old root"
    );
}

#[test]
fn a_wiped_account_loses_its_slots() {
    let base = WorldState::default().apply(&changes(&[(1, change(0, 1, &[(0, 9), (1, 9)]))]));
    let wiped = AccountChange {
        wiped: true,
        ..change(0, 1, &[(1, 4)])
    };
    let after = base.apply(&changes(&[(1, wiped)]));
    assert_eq!(
        after.storage(&Address::repeat_byte(1), U256::ZERO),
        U256::ZERO
    );
    assert_eq!(
        after.storage(&Address::repeat_byte(1), U256::from(1)),
        U256::from(4)
    );
}

#[test]
fn proofs_of_accounts_slots_and_their_absence_verify_against_the_root() {
    let list: Vec<_> = (1..40)
        .map(|i| (i, change(1, 5, &[(0, u64::from(i)), (3, 8)])))
        .collect();
    let state = WorldState::default().apply(&changes(&list));
    let address = Address::repeat_byte(7);
    let slots = [B256::ZERO, B256::with_last_byte(1), B256::with_last_byte(3)];
    let proof = state.prove(address, &slots);

    let leaf = TrieAccount::new(
        proof.nonce,
        proof.balance,
        proof.storage_hash,
        proof.code_hash,
    );
    let key = Nibbles::unpack(keccak256(address));
    verify_proof(
        state.root(),
        key,
        Some(alloy_rlp::encode(leaf)),
        &proof.account_proof,
    )
    .unwrap();
    for (slot, expected) in slots.iter().zip([7u64, 0, 8]) {
        let entry = proof
            .storage_proof
            .iter()
            .find(|entry| entry.key.as_b256() == *slot)
            .expect("a proof for every slot asked");
        assert_eq!(entry.value, U256::from(expected));
        let value = (expected > 0).then(|| alloy_rlp::encode(entry.value));
        let key = Nibbles::unpack(keccak256(slot));
        verify_proof(proof.storage_hash, key, value, &entry.proof).unwrap();
    }

    let absent = state.prove(Address::repeat_byte(0xcc), &[]);
    let key = Nibbles::unpack(keccak256(absent.address));
    verify_proof(state.root(), key, None, &absent.account_proof).unwrap();
    assert_eq!(absent.balance, U256::ZERO);
}

#[test]
fn code_that_falsely_claims_to_be_a_delegation_is_kept_as_code() {
    let code = Bytes::from_static(&[0xef, 0x01, 0x00, 0x05]);
    assert_eq!(bytecode(code.clone()).original_bytes(), code);
}

#[test]
fn the_empty_state_has_the_known_root() {
    assert_eq!(
        WorldState::default().root(),
        b256!("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")
    );
}
