use alloy_consensus::TxEnvelope;
use alloy_primitives::{Signature, U256};

use super::*;
use crate::testing::Wallet;

/// Order of the curve.
const ORDER: U256 = U256::from_be_bytes([
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
    0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
]);

fn resigned(tx: &TxEnvelope, signature: Signature) -> TxEnvelope {
    let TxEnvelope::Eip1559(signed) = tx else {
        unreachable!("the wallet signs type 2")
    };
    TxEnvelope::new_unhashed(signed.tx().clone().into(), signature)
}

#[test]
fn every_type_recovers_to_its_signer() {
    let wallet = Wallet::new(1);
    for tx in [
        wallet.sign(wallet.legacy()),
        wallet.sign(wallet.eip2930()),
        wallet.sign(wallet.template()),
        wallet.sign(wallet.blob(1)),
        wallet.sign(wallet.set_code(vec![wallet.authorize(Address::ZERO)])),
    ] {
        assert_eq!(recover_signer(&tx), Ok(wallet.address));
    }
}

#[test]
fn the_other_half_of_a_signature_is_refused() {
    let mut wallet = Wallet::new(1);
    let tx = wallet.transfer(Address::ZERO, 1).into_inner();
    let s = ORDER - tx.signature().s();
    let twin = Signature::new(tx.signature().r(), s, !tx.signature().v());
    assert_eq!(
        recover_address(&twin, tx.signature_hash()),
        Some(wallet.address),
        "the twin is a valid signature of the same key"
    );
    assert_eq!(
        recover_signer(&resigned(&tx, twin)),
        Err(RecoverError::Malleable { index: 0, s })
    );
}

#[test]
fn a_signature_off_the_curve_is_refused_and_its_place_is_named() {
    let mut wallet = Wallet::new(1);
    let mut txs: Vec<_> = (0..40)
        .map(|_| wallet.transfer(Address::ZERO, 1).into_inner())
        .collect();
    assert_eq!(recover_signers(&txs), Ok(vec![wallet.address; 40]));
    txs[33] = resigned(&txs[33], Signature::new(U256::ZERO, U256::from(1), false));
    assert_eq!(
        recover_signers(&txs),
        Err(RecoverError::Invalid { index: 33 })
    );
}
