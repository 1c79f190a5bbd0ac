//! secp256k1: one form of every signature, the one that `ecrecover` and a low `s` leave.

use super::*;
use crate::ecdsa::{Signature, SignatureError};
use proptest::prelude::*;

const ORDER: U256 = U256::from_be_bytes([
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
    0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
]);

fn with(signature: &Signature, change: impl Fn(&mut [u8; 65])) -> Signature {
    let mut bytes = signature.0.0;
    change(&mut bytes);
    Signature(bytes.into())
}

#[test]
fn the_address_of_a_known_key_is_the_known_one() {
    let mut one = [0; 32];
    one[31] = 1;
    let key = SigningKey::from_bytes(one).expect("a scalar");
    let want: Address = "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf"
        .parse()
        .expect("an address");
    assert_eq!(key.address(), want);
    assert_eq!(key.to_bytes(), one);
}

#[test]
fn zero_and_the_order_are_no_keys() {
    for bytes in [[0; 32], ORDER.to_be_bytes(), [0xff; 32]] {
        assert_eq!(
            SigningKey::from_bytes(bytes).err(),
            Some(SignatureError::Invalid)
        );
    }
}

#[test]
fn a_high_s_is_refused_though_it_is_the_same_signature() {
    let digest = keccak256(b"m");
    let signature = proposer().sign(digest);
    let high = with(&signature, |bytes| {
        let s = U256::from_be_slice(&bytes[32..64]);
        bytes[32..64].copy_from_slice(&(ORDER - s).to_be_bytes::<32>());
        bytes[64] = 27 + 28 - bytes[64];
    });
    assert_eq!(high.recover(digest), Err(SignatureError::HighS));
}

#[test]
fn v_is_27_or_28_and_nothing_else() {
    let digest = keccak256(b"m");
    let signature = proposer().sign(digest);
    for v in (0..=255).filter(|v| ![27, 28].contains(v)) {
        let other = with(&signature, |bytes| bytes[64] = v);
        assert_eq!(other.recover(digest), Err(SignatureError::RecoveryId { v }));
    }
}

#[test]
fn values_outside_the_group_order_are_refused() {
    let digest = keccak256(b"m");
    let signature = proposer().sign(digest);
    for range in [0..32, 32..64] {
        for value in [[0; 32], ORDER.to_be_bytes::<32>(), [0xff; 32]] {
            let bad = with(&signature, |bytes| {
                bytes[range.clone()].copy_from_slice(&value)
            });
            assert!(bad.recover(digest).is_err(), "{range:?} {value:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..Default::default() })]

    #[test]
    fn who_signed_is_recovered_and_any_change_gives_somebody_else(
        secret in any::<[u8; 32]>(), digest in any::<[u8; 32]>(), bit in 0usize..512,
    ) {
        let Ok(key) = SigningKey::from_bytes(secret) else { return Ok(()) };
        let digest = B256::from(digest);
        let signature = key.sign(digest);
        prop_assert_eq!(signature.recover(digest), Ok(key.address()));
        let changed = with(&signature, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        prop_assert_ne!(changed.recover(digest), Ok(key.address()));
        prop_assert_ne!(signature.recover(keccak256(digest)), Ok(key.address()));
    }
}
