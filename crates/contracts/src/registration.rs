//! Registering keys: what proves that their owner knows the secrets.

use crate::{
    abi,
    points::{G1, G2},
};
use alloy_primitives::Address;
use cortado_types::{
    ChainId, Identity,
    bls::{BlsError, KeyBytes, SecretBls, SignatureBytes},
};

/// What a proof of possession starts with: `"CORTADO_POP" ‖ chain id (u64, big endian) ‖ registry ‖
/// owner`. So a proof is of one chain, one registry and one owner (R2).
pub fn possession_namespace(chain_id: ChainId, registry: Address, owner: Address) -> Vec<u8> {
    let mut namespace = b"CORTADO_POP".to_vec();
    namespace.extend_from_slice(&chain_id.get().to_be_bytes());
    namespace.extend_from_slice(registry.as_slice());
    namespace.extend_from_slice(owner.as_slice());
    namespace
}

/// Public keys of a seat, with the proof that a registration needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRegistration {
    /// ed25519 key of the seat on the p2p network.
    pub identity: Identity,
    /// BLS key.
    pub key: KeyBytes,
    /// Proof of possession of its secret.
    pub possession: SignatureBytes,
}

impl KeyRegistration {
    /// Proves possession of `secret` for a registration by `owner`.
    pub fn new(
        chain_id: ChainId,
        registry: Address,
        owner: Address,
        identity: Identity,
        secret: &SecretBls,
    ) -> Self {
        let namespace = possession_namespace(chain_id, registry, owner);
        Self {
            identity,
            key: secret.public(),
            possession: secret.prove_possession(&namespace),
        }
    }

    /// As the registry takes it.
    ///
    /// # Errors
    /// If key or proof is no point of its group.
    pub fn to_abi(&self) -> Result<abi::Registry::KeyRegistration, BlsError> {
        Ok(abi::Registry::KeyRegistration {
            identity: self.identity,
            key: G2::from_compressed(self.key)?.into(),
            possession: G1::from_compressed(self.possession)?.into(),
        })
    }
}
