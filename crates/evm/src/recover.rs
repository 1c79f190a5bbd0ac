//! Senders from signatures, with libsecp256k1.

use alloy_consensus::{Transaction, TxEnvelope};
use alloy_eips::eip7702::{RecoveredAuthority, RecoveredAuthorization, SignedAuthorization};
use alloy_primitives::{Address, B256, Signature, U256, keccak256};
use secp256k1::{
    Message,
    ecdsa::{RecoverableSignature, RecoveryId},
};

/// Half the order of the curve: a signature with a larger `s` is malleable and refused (EIP-2).
const HALF_ORDER: U256 = U256::from_be_bytes([
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
]);

/// Fewer transactions than this are recovered on the calling thread: starting one costs about as
/// much as one recovery.
const PARALLEL_MIN: usize = 16;

/// A signature that no key can have made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoverError {
    /// `s` is in the upper half of the order (EIP-2).
    #[error("signature of transaction {index} is malleable (s = {s} above half the order)")]
    Malleable {
        /// Position of the transaction in the list.
        index: usize,
        /// The value.
        s: U256,
    },
    /// Not a point on the curve.
    #[error("signature of transaction {index} recovers to no key")]
    Invalid {
        /// Position of the transaction in the list.
        index: usize,
    },
}

/// The address that signed `hash`; `None` if none can have. Does not check for malleability.
pub fn recover_address(signature: &Signature, hash: B256) -> Option<Address> {
    let mut compact = [0u8; 64];
    compact[..32].copy_from_slice(&signature.r().to_be_bytes::<32>());
    compact[32..].copy_from_slice(&signature.s().to_be_bytes::<32>());
    let id = if signature.v() {
        RecoveryId::One
    } else {
        RecoveryId::Zero
    };
    let signature = RecoverableSignature::from_compact(&compact, id).ok()?;
    let key = signature.recover_ecdsa(Message::from_digest(hash.0)).ok()?;
    Some(Address::from_slice(
        &keccak256(&key.serialize_uncompressed()[1..])[12..],
    ))
}

/// The sender of a transaction.
pub fn recover_signer(tx: &TxEnvelope) -> Result<Address, RecoverError> {
    recover_at(0, tx)
}

fn recover_at(index: usize, tx: &TxEnvelope) -> Result<Address, RecoverError> {
    let signature = tx.signature();
    if signature.s() > HALF_ORDER {
        return Err(RecoverError::Malleable {
            index,
            s: signature.s(),
        });
    }
    recover_address(signature, tx.signature_hash()).ok_or(RecoverError::Invalid { index })
}

/// The senders of many transactions, on all cores; fails at the first bad one.
pub fn recover_signers(txs: &[TxEnvelope]) -> Result<Vec<Address>, RecoverError> {
    let here = || {
        let numbered = txs.iter().enumerate();
        numbered.map(|(index, tx)| recover_at(index, tx)).collect()
    };
    if txs.len() < PARALLEL_MIN {
        return here();
    }
    // Read from files of the system: not for free.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores == 1 {
        return here();
    }
    let share = txs.len().div_ceil(cores);
    let mut senders = vec![Ok(Address::ZERO); txs.len()];
    std::thread::scope(|scope| {
        for (chunk, out) in txs.chunks(share).zip(senders.chunks_mut(share)) {
            scope.spawn(move || {
                for (tx, sender) in chunk.iter().zip(out) {
                    *sender = recover_signer(tx);
                }
            });
        }
    });
    senders
        .into_iter()
        .enumerate()
        .map(|(index, sender)| {
            sender.map_err(|error| match error {
                RecoverError::Malleable { s, .. } => RecoverError::Malleable { index, s },
                RecoverError::Invalid { .. } => RecoverError::Invalid { index },
            })
        })
        .collect()
}

/// The authorisations of a type 4 transaction with their authorities; one that recovers to nobody
/// stays in the list and has no effect (EIP-7702).
pub(crate) fn recover_authorizations(tx: &TxEnvelope) -> Vec<RecoveredAuthorization> {
    tx.authorization_list()
        .unwrap_or_default()
        .iter()
        .map(recover_authorization)
        .collect()
}

pub(crate) fn recover_authorization(signed: &SignedAuthorization) -> RecoveredAuthorization {
    let authority = (signed.s() <= HALF_ORDER)
        .then(|| signed.signature().ok())
        .flatten()
        .and_then(|signature| recover_address(&signature, signed.signature_hash()))
        .map_or(RecoveredAuthority::Invalid, RecoveredAuthority::Valid);
    RecoveredAuthorization::new_unchecked(signed.inner().clone(), authority)
}

#[cfg(test)]
mod tests;
