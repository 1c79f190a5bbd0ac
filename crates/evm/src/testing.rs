//! What the tests of this crate share: wallets, chains and a few contracts.

use alloy_consensus::{
    SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxEnvelope, TxLegacy,
    transaction::Recovered,
};
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_genesis::{Genesis, GenesisAccount};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use secp256k1::{Message, SecretKey, ecdsa::RecoverableSignature};

use crate::{BlockBuilder, BlockInputs, ChainSpec, ExecutedBlock, genesis_block};

pub(crate) const CHAIN_ID: u64 = 1337;
pub(crate) const GWEI: u128 = 1_000_000_000;

/// Adds one to slot 0, logs the new value with topic 0xaa and stops.
pub(crate) const COUNTER: &[u8] = &[
    0x5f, 0x54, 0x60, 0x01, 0x01, 0x80, 0x5f, 0x55, 0x5f, 0x52, 0x60, 0xaa, 0x60, 0x20, 0x5f, 0xa1,
    0x00,
];
/// Writes calldata word 1 into the slot named by calldata word 0.
pub(crate) const WRITER: &[u8] = &[0x60, 0x20, 0x35, 0x5f, 0x35, 0x55, 0x00];
/// Reverts with the byte 0x2a.
pub(crate) const REVERTER: &[u8] = &[0x60, 0x2a, 0x5f, 0x53, 0x60, 0x01, 0x5f, 0xfd];
/// Jumps for ever.
pub(crate) const LOOPER: &[u8] = &[0x5b, 0x5f, 0x56];
/// Returns NUMBER, BASEFEE and BLOCKHASH(calldata word 0).
pub(crate) const BLOCK_READER: &[u8] = &[
    0x43, 0x5f, 0x52, 0x48, 0x60, 0x20, 0x52, 0x5f, 0x35, 0x40, 0x60, 0x40, 0x52, 0x60, 0x60, 0x5f,
    0xf3,
];
/// Init code that writes slot 0 and then destroys itself, sending its balance to 0xbb.
pub(crate) const SUICIDAL_INIT: &[u8] = &[0x60, 0x01, 0x5f, 0x55, 0x60, 0xbb, 0xff];

/// Init code that deploys `runtime`.
pub(crate) fn deploy(runtime: &[u8]) -> Bytes {
    let length = u8::try_from(runtime.len()).expect("short test contract");
    let mut code = vec![0x60, length, 0x80, 0x60, 0x09, 0x5f, 0x39, 0x5f, 0xf3];
    code.extend_from_slice(runtime);
    code.into()
}

/// Calldata of two words.
pub(crate) fn words(a: u64, b: u64) -> Bytes {
    [
        U256::from(a).to_be_bytes::<32>(),
        U256::from(b).to_be_bytes::<32>(),
    ]
    .concat()
    .into()
}

/// A key that counts its nonces.
#[derive(Clone, Debug)]
pub(crate) struct Wallet {
    secret: SecretKey,
    pub(crate) address: Address,
    pub(crate) nonce: u64,
}

impl Wallet {
    pub(crate) fn new(seed: u8) -> Self {
        let secret = SecretKey::from_secret_bytes([seed; 32]).expect("a valid key");
        let key = secp256k1::PublicKey::from_secret_key(&secret);
        let address = Address::from_slice(&keccak256(&key.serialize_uncompressed()[1..])[12..]);
        Self {
            secret,
            address,
            nonce: 0,
        }
    }

    pub(crate) fn sign_hash(&self, hash: B256) -> Signature {
        let message = Message::from_digest(hash.0);
        let signature = RecoverableSignature::sign_ecdsa_recoverable(message, &self.secret);
        let (id, bytes) = signature.serialize_compact();
        Signature::new(
            U256::from_be_slice(&bytes[..32]),
            U256::from_be_slice(&bytes[32..]),
            id.to_u8() == 1,
        )
    }

    pub(crate) fn sign<T>(&self, tx: T) -> Recovered<TxEnvelope>
    where
        T: SignableTransaction<Signature>,
        TxEnvelope: From<alloy_consensus::Signed<T>>,
    {
        let signature = self.sign_hash(tx.signature_hash());
        Recovered::new_unchecked(TxEnvelope::from(tx.into_signed(signature)), self.address)
    }

    /// A type 2 transaction with the next nonce, which is counted.
    pub(crate) fn tx(&mut self, to: TxKind, value: u64, input: Bytes) -> Recovered<TxEnvelope> {
        let tx = TxEip1559 {
            to,
            value: U256::from(value),
            input,
            ..self.template()
        };
        self.nonce += 1;
        self.sign(tx)
    }

    pub(crate) fn transfer(&mut self, to: Address, value: u64) -> Recovered<TxEnvelope> {
        self.tx(to.into(), value, Bytes::new())
    }

    pub(crate) fn create(&mut self, runtime: &[u8]) -> (Recovered<TxEnvelope>, Address) {
        let address = self.address.create(self.nonce);
        (self.tx(TxKind::Create, 0, deploy(runtime)), address)
    }

    /// A valid type 2 transaction with the next nonce, not counted.
    pub(crate) fn template(&self) -> TxEip1559 {
        TxEip1559 {
            chain_id: CHAIN_ID,
            nonce: self.nonce,
            gas_limit: 300_000,
            max_fee_per_gas: 10 * GWEI,
            max_priority_fee_per_gas: 1,
            to: TxKind::Call(Address::repeat_byte(0xee)),
            value: U256::from(1),
            ..TxEip1559::default()
        }
    }

    pub(crate) fn legacy(&self) -> TxLegacy {
        TxLegacy {
            chain_id: Some(CHAIN_ID),
            nonce: self.nonce,
            gas_price: 10 * GWEI,
            gas_limit: 100_000,
            to: TxKind::Call(Address::repeat_byte(0xee)),
            value: U256::from(1),
            input: Bytes::new(),
        }
    }

    pub(crate) fn eip2930(&self) -> TxEip2930 {
        TxEip2930 {
            chain_id: CHAIN_ID,
            nonce: self.nonce,
            gas_price: 10 * GWEI,
            gas_limit: 100_000,
            to: TxKind::Call(Address::repeat_byte(0xee)),
            value: U256::from(1),
            ..TxEip2930::default()
        }
    }

    pub(crate) fn blob(&self, blobs: usize) -> TxEip4844 {
        TxEip4844 {
            chain_id: CHAIN_ID,
            nonce: self.nonce,
            gas_limit: 100_000,
            max_fee_per_gas: 10 * GWEI,
            max_priority_fee_per_gas: 1,
            to: Address::repeat_byte(0xee),
            blob_versioned_hashes: vec![versioned_hash(); blobs],
            max_fee_per_blob_gas: GWEI,
            ..TxEip4844::default()
        }
    }

    pub(crate) fn authorize(&self, delegate: Address) -> SignedAuthorization {
        let authorization = Authorization {
            chain_id: U256::from(CHAIN_ID),
            address: delegate,
            nonce: self.nonce,
        };
        let signature = self.sign_hash(authorization.signature_hash());
        authorization.into_signed(signature)
    }

    pub(crate) fn set_code(&self, authorization_list: Vec<SignedAuthorization>) -> TxEip7702 {
        TxEip7702 {
            chain_id: CHAIN_ID,
            nonce: self.nonce,
            gas_limit: 200_000,
            max_fee_per_gas: 10 * GWEI,
            max_priority_fee_per_gas: 1,
            to: Address::repeat_byte(0xee),
            authorization_list,
            ..TxEip7702::default()
        }
    }
}

/// A versioned hash with the KZG version byte (EIP-4844).
fn versioned_hash() -> B256 {
    let mut hash = B256::with_last_byte(1);
    hash[0] = 1;
    hash
}

/// Wallets 1 to 4 with a million ether each.
pub(crate) fn genesis() -> Genesis {
    let rich = U256::from(10u64).pow(U256::from(24));
    let alloc = (1..=4)
        .map(|seed| {
            (
                Wallet::new(seed).address,
                GenesisAccount::default().with_balance(rich),
            )
        })
        .collect();
    Genesis {
        alloc,
        timestamp: 1_000,
        ..Genesis::default()
    }
}

pub(crate) fn l1() -> (ChainSpec, ExecutedBlock) {
    let spec = ChainSpec::ethereum(CHAIN_ID);
    let block = genesis_block(&spec, &genesis());
    (spec, block)
}

/// Two seconds after `parent`, by nobody.
pub(crate) fn inputs(parent: &ExecutedBlock) -> BlockInputs {
    BlockInputs {
        timestamp: parent.header.timestamp + 2,
        ..BlockInputs::default()
    }
}

/// A block on `parent` with these transactions, none of which is rejected.
pub(crate) fn block(
    spec: &ChainSpec,
    parent: &ExecutedBlock,
    txs: &[Recovered<TxEnvelope>],
) -> ExecutedBlock {
    let mut builder = BlockBuilder::new(spec, parent, inputs(parent)).expect("good inputs");
    for tx in txs {
        builder.push(tx).expect("a good transaction");
    }
    builder.finish().expect("system contracts work")
}
