//! BLS12-381 `MinSig`: keys in G2 (96 bytes), signatures in G1 (48 bytes), by `blst`.
//!
//! One key signs both the engine's votes and the gadget's own subjects ([`crate::Subject`]); what is
//! signed always starts with a namespace that says which (R2, R4).

use alloy_primitives::FixedBytes;
use blst::{
    BLST_ERROR,
    min_sig::{AggregatePublicKey, AggregateSignature, PublicKey, SecretKey, Signature},
};
use std::fmt;
use thiserror::Error;

/// Domain separation of votes and subjects: the ciphersuite of the engine.
pub const DST: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";
/// Domain separation of proofs of possession.
pub const DST_POP: &[u8] = b"BLS_POP_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";

/// A compressed public key.
pub type KeyBytes = FixedBytes<96>;
/// A compressed signature.
pub type SignatureBytes = FixedBytes<48>;

/// Why BLS material is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BlsError {
    /// Not a compressed point of the right group, or infinity.
    #[error("BLS key {key} is not a valid point: {reason}")]
    Key {
        /// The key.
        key: KeyBytes,
        /// What blst said.
        reason: String,
    },
    /// Not a compressed point of the right group, or infinity.
    #[error("BLS signature {signature} is not a valid point: {reason}")]
    Signature {
        /// The signature.
        signature: SignatureBytes,
        /// What blst said.
        reason: String,
    },
    /// A secret that is zero or not below the group order.
    #[error("BLS secret is not a valid scalar")]
    Secret,
    /// Valid points, but the signature is not of these keys over this message.
    #[error("BLS signature does not verify under {signers} keys")]
    Mismatch {
        /// How many keys were aggregated.
        signers: usize,
    },
    /// An aggregate of none verifies with the infinity signature: refused.
    #[error("an aggregate needs at least one signer")]
    Empty,
}

/// A public key, checked once for its group and against infinity.
#[derive(Clone, Copy)]
pub struct VerifyKey {
    point: PublicKey,
    bytes: KeyBytes,
}

impl fmt::Debug for VerifyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.bytes)
    }
}

impl PartialEq for VerifyKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}
impl Eq for VerifyKey {}

impl VerifyKey {
    /// Reads and checks a compressed key.
    ///
    /// # Errors
    /// If it is not in the group or is infinity.
    pub fn from_bytes(key: KeyBytes) -> Result<Self, BlsError> {
        let point = PublicKey::key_validate(key.as_slice()).map_err(|error| BlsError::Key {
            key,
            reason: format!("{error:?}"),
        })?;
        Ok(Self { point, bytes: key })
    }

    /// The compressed key.
    pub fn to_bytes(&self) -> KeyBytes {
        self.bytes
    }

    /// Verifies one signature over one message.
    ///
    /// # Errors
    /// If the signature is malformed or does not verify.
    pub fn verify(&self, message: &[u8], signature: SignatureBytes) -> Result<(), BlsError> {
        check(&self.point, message, DST, signature, 1)
    }

    /// Verifies a proof of possession made by [`SecretBls::prove_possession`].
    ///
    /// # Errors
    /// If the proof is malformed or does not verify.
    pub fn verify_possession(
        &self,
        namespace: &[u8],
        proof: SignatureBytes,
    ) -> Result<(), BlsError> {
        check(
            &self.point,
            &possession_message(namespace, self.bytes),
            DST_POP,
            proof,
            1,
        )
    }
}

fn possession_message(namespace: &[u8], key: KeyBytes) -> Vec<u8> {
    union_unique(namespace, key.as_slice())
}

/// `varint(len(namespace)) ‖ namespace ‖ message`: how the engine keeps domains apart.
pub fn union_unique(namespace: &[u8], message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(namespace.len() + message.len() + 2);
    crate::codec::put_varint(&mut out, namespace.len() as u64);
    out.extend_from_slice(namespace);
    out.extend_from_slice(message);
    out
}

fn parse(signature: SignatureBytes) -> Result<Signature, BlsError> {
    Signature::sig_validate(signature.as_slice(), true).map_err(|error| BlsError::Signature {
        signature,
        reason: format!("{error:?}"),
    })
}

fn check(
    key: &PublicKey,
    message: &[u8],
    dst: &[u8],
    signature: SignatureBytes,
    signers: usize,
) -> Result<(), BlsError> {
    match parse(signature)?.verify(false, message, dst, &[], key, false) {
        BLST_ERROR::BLST_SUCCESS => Ok(()),
        _ => Err(BlsError::Mismatch { signers }),
    }
}

/// Verifies an aggregate of `keys` over one message.
///
/// # Errors
/// If there are no keys, or the signature is malformed or does not verify.
pub fn verify_aggregate<'a>(
    keys: impl IntoIterator<Item = &'a VerifyKey>,
    message: &[u8],
    signature: SignatureBytes,
) -> Result<(), BlsError> {
    let points: Vec<&PublicKey> = keys.into_iter().map(|key| &key.point).collect();
    let aggregate = AggregatePublicKey::aggregate(&points, false)
        .map_err(|_| BlsError::Empty)?
        .to_public_key();
    check(&aggregate, message, DST, signature, points.len())
}

/// Adds signatures over one message; each is checked to be a point of the group.
///
/// # Errors
/// If there are none or one is malformed.
pub fn aggregate(signatures: &[SignatureBytes]) -> Result<SignatureBytes, BlsError> {
    let points = signatures
        .iter()
        .map(|s| parse(*s))
        .collect::<Result<Vec<_>, _>>()?;
    let points: Vec<&Signature> = points.iter().collect();
    let sum = AggregateSignature::aggregate(&points, false).map_err(|_| BlsError::Empty)?;
    Ok(sum.to_signature().to_bytes().into())
}

/// A seat's secret key.
#[derive(Clone)]
pub struct SecretBls(SecretKey);

impl fmt::Debug for SecretBls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBls({})", self.public())
    }
}

impl SecretBls {
    /// From a 32-byte big-endian scalar.
    ///
    /// # Errors
    /// If it is zero or not below the group order.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, BlsError> {
        SecretKey::from_bytes(&bytes)
            .map(Self)
            .map_err(|_| BlsError::Secret)
    }

    /// From at least 32 bytes of key material (EIP-2333's key derivation).
    ///
    /// # Errors
    /// If there are fewer.
    pub fn derive(material: &[u8]) -> Result<Self, BlsError> {
        SecretKey::key_gen(material, &[])
            .map(Self)
            .map_err(|_| BlsError::Secret)
    }

    /// The 32-byte big-endian scalar, for a key file or the engine.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public key.
    pub fn public(&self) -> KeyBytes {
        self.0.sk_to_pk().to_bytes().into()
    }

    /// Signs a message that already carries its namespace.
    pub fn sign(&self, message: &[u8]) -> SignatureBytes {
        self.0.sign(message, DST, &[]).to_bytes().into()
    }

    /// Proof that this key's owner knows the secret; registration must check it (R2).
    pub fn prove_possession(&self, namespace: &[u8]) -> SignatureBytes {
        self.0
            .sign(&possession_message(namespace, self.public()), DST_POP, &[])
            .to_bytes()
            .into()
    }
}
