//! secp256k1 signatures of proposers, by libsecp256k1.

use alloy_primitives::{Address, B256, keccak256};
use alloy_rlp::{RlpDecodableWrapper, RlpEncodableWrapper};
use secp256k1::{
    Message, PublicKey, SecretKey,
    ecdsa::{RecoverableSignature, RecoveryId},
};
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// Why a signature is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SignatureError {
    /// `v` is neither 27 nor 28.
    #[error("signature has v {v}, it must be 27 or 28")]
    RecoveryId {
        /// The last byte.
        v: u8,
    },
    /// `s` is in the upper half of the group order: the same signature in other clothes.
    #[error("signature has a high s, only the lower form is accepted")]
    HighS,
    /// No key can have made it.
    #[error("no key can have made this signature")]
    Invalid,
}

/// `r ‖ s ‖ v`, 65 bytes, `v` 27 or 28, low `s` only.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    RlpEncodableWrapper,
    RlpDecodableWrapper,
)]
pub struct Signature(pub alloy_primitives::FixedBytes<65>);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Signature {
    /// The address whose key signed `digest`.
    ///
    /// # Errors
    /// If no key can have made the signature, or it is not in its one accepted form.
    pub fn recover(&self, digest: B256) -> Result<Address, SignatureError> {
        let v = self.0[64];
        let id = match v {
            27 => RecoveryId::Zero,
            28 => RecoveryId::One,
            _ => return Err(SignatureError::RecoveryId { v }),
        };
        let signature = RecoverableSignature::from_compact(&self.0[..64], id)
            .map_err(|_| SignatureError::Invalid)?;
        let standard = signature.to_standard();
        let mut low = standard;
        low.normalize_s();
        if low != standard {
            return Err(SignatureError::HighS);
        }
        let key = signature
            .recover_ecdsa(Message::from_digest(digest.0))
            .map_err(|_| SignatureError::Invalid)?;
        Ok(address_of(&key))
    }
}

/// The Ethereum address of a public key.
pub fn address_of(key: &PublicKey) -> Address {
    Address::from_slice(&keccak256(&key.serialize_uncompressed()[1..])[12..])
}

/// A proposer's signing key.
#[derive(Clone)]
pub struct SigningKey {
    secret: SecretKey,
    address: Address,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.address)
    }
}

impl SigningKey {
    /// From 32 secret bytes.
    ///
    /// # Errors
    /// If they are zero or not below the group order.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, SignatureError> {
        let secret = SecretKey::from_secret_bytes(bytes).map_err(|_| SignatureError::Invalid)?;
        let address = address_of(&PublicKey::from_secret_key(&secret));
        Ok(Self { secret, address })
    }

    /// The 32 secret bytes, for writing a key file.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.secret.to_secret_bytes()
    }

    /// The address this key signs for.
    pub fn address(&self) -> Address {
        self.address
    }

    /// Signs a digest; deterministic (RFC 6979), low `s`.
    pub fn sign(&self, digest: B256) -> Signature {
        let signature = RecoverableSignature::sign_ecdsa_recoverable(
            Message::from_digest(digest.0),
            &self.secret,
        );
        let (id, compact) = signature.serialize_compact();
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&compact);
        // Ids 2 and 3 need an r above the group order: chance 2^-127, and L1 knows no such v.
        bytes[64] = 27 + (id.to_u8() & 1);
        Signature(bytes.into())
    }
}
