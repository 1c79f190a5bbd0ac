//! Keys of a devnet, all derived from its seed: the same seed, the same devnet.

use cortado_types::{Address, ecdsa::SigningKey, keccak256};

/// Accounts printed for people and scripts; no agent of the devnet uses them.
pub const ACCOUNTS: u32 = 10;

/// Balance of each at genesis, on L1 and on every rollup, ether.
pub const BALANCE_ETHER: u64 = 10_000;

/// Key material for `label` and `index`: 32 bytes that differ for every seed, label and index.
pub fn material(seed: u64, label: &str, index: u32) -> [u8; 32] {
    let mut bytes = b"cortado devnet ".to_vec();
    bytes.extend_from_slice(label.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(&seed.to_be_bytes());
    bytes.extend_from_slice(&index.to_be_bytes());
    keccak256(bytes).0
}

/// The secp256k1 key for `label` and `index`.
pub fn signing_key(seed: u64, label: &str, index: u32) -> SigningKey {
    let mut bytes = material(seed, label, index);
    loop {
        // One in 2^128 hashes is no key; hash again.
        match SigningKey::from_bytes(bytes) {
            Ok(key) => return key,
            Err(_) => bytes = keccak256(bytes).0,
        }
    }
}

/// The accounts for people.
pub fn accounts(seed: u64) -> Vec<SigningKey> {
    (0..ACCOUNTS)
        .map(|index| signing_key(seed, "account", index))
        .collect()
}

/// The account of the traffic agent on every rollup.
pub fn traffic_key(seed: u64) -> SigningKey {
    signing_key(seed, "traffic", 0)
}

/// Everybody who has money at genesis.
pub fn funded(seed: u64) -> Vec<Address> {
    let mut addresses: Vec<_> = accounts(seed).iter().map(SigningKey::address).collect();
    addresses.push(traffic_key(seed).address());
    addresses
}
