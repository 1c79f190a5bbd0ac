//! Accounts that sign, and a chain to sign for. Shared by the unit tests and the stories.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::collections::BTreeMap;

use alloy_consensus::transaction::Recovered;
use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, address, bytes, keccak256};
use secp256k1::ecdsa::RecoverableSignature;
use secp256k1::{Message, PublicKey, SecretKey};

pub const CHAIN_ID: u64 = 31_337;

/// Emits one log with the first word of its input as topic.
pub const LOGGER: Address = address!("00000000000000000000000000000000000010c5");

/// Reverts with its input as output.
pub const REVERTER: Address = address!("000000000000000000000000000000000000dead");

/// 1,000 ether.
pub const RICH_WEI: U256 = U256::from_limbs([3_875_820_019_684_212_736, 54, 0, 0]);

pub struct Account {
    secret: SecretKey,
    pub address: Address,
}

impl Account {
    pub fn new(number: u8) -> Self {
        let secret = SecretKey::from_secret_bytes([number; 32]).expect("a valid key");
        let key = PublicKey::from_secret_key(&secret).serialize_uncompressed();
        Self {
            secret,
            address: Address::from_slice(&keccak256(&key[1..])[12..]),
        }
    }

    pub fn sign<T>(&self, tx: T) -> Recovered<TxEnvelope>
    where
        T: SignableTransaction<Signature>,
        TxEnvelope: From<alloy_consensus::Signed<T>>,
    {
        let message = Message::from_digest(tx.signature_hash().0);
        let signed = RecoverableSignature::sign_ecdsa_recoverable(message, &self.secret);
        let (id, bytes) = signed.serialize_compact();
        let signature = Signature::new(
            U256::from_be_slice(&bytes[..32]),
            U256::from_be_slice(&bytes[32..]),
            id.to_u8() == 1,
        );
        Recovered::new_unchecked(TxEnvelope::from(tx.into_signed(signature)), self.address)
    }

    /// A transfer of 1 wei to nobody, with a tip of `tip` gwei.
    pub fn transfer(&self, nonce: u64, tip: u64) -> Recovered<TxEnvelope> {
        self.sign(template(nonce, tip))
    }

    /// A call of [`LOGGER`] with a topic.
    pub fn log(&self, nonce: u64, topic: B256) -> Recovered<TxEnvelope> {
        self.sign(TxEip1559 {
            to: LOGGER.into(),
            value: U256::ZERO,
            gas_limit: 100_000,
            input: Bytes::copy_from_slice(topic.as_slice()),
            ..template(nonce, 1)
        })
    }
}

pub fn template(nonce: u64, tip_gwei: u64) -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: u128::from(100 + tip_gwei) * 1_000_000_000,
        max_priority_fee_per_gas: u128::from(tip_gwei) * 1_000_000_000,
        to: TxKind::Call(Address::repeat_byte(0xaa)),
        value: U256::from(1),
        ..TxEip1559::default()
    }
}

pub fn raw(tx: &TxEnvelope) -> Bytes {
    tx.encoded_2718().into()
}

/// Two contracts for logs and reverts.
pub fn contracts() -> BTreeMap<Address, GenesisAccount> {
    let contract = |code: Bytes| {
        GenesisAccount::default()
            .with_nonce(Some(1))
            .with_code(Some(code))
    };
    BTreeMap::from([
        (LOGGER, contract(bytes!("60003560006000a100"))),
        (REVERTER, contract(bytes!("366000600037366000fd"))),
    ])
}
