//! World state: accounts, their storage and code, as immutable snapshots.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, PoisonError, RwLock},
};

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256, map::HashMap};
use alloy_rlp::Encodable;
use alloy_rpc_types_eth::{EIP1186AccountProofResponse, EIP1186StorageProof};
use alloy_trie::TrieAccount;
use revm::{DatabaseRef, bytecode::Bytecode, state::AccountInfo};

use crate::trie::{Trie, TrieValue};

/// One account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Transactions sent (or contracts created).
    pub nonce: u64,
    /// Balance in wei.
    pub balance: U256,
    /// Keccak of the code; the hash of nothing for an account without code.
    pub code_hash: B256,
    /// Non-zero slots by keccak of their number.
    pub(crate) storage: Trie<U256>,
}

impl Account {
    /// Root of the account's storage trie.
    pub fn storage_root(&self) -> B256 {
        self.storage.root()
    }

    fn info(&self) -> AccountInfo {
        AccountInfo {
            balance: self.balance,
            nonce: self.nonce,
            code_hash: self.code_hash,
            account_id: None,
            code: None,
        }
    }
}

impl Default for Account {
    fn default() -> Self {
        Self {
            nonce: 0,
            balance: U256::ZERO,
            code_hash: KECCAK256_EMPTY,
            storage: Trie::default(),
        }
    }
}

impl TrieValue for Account {
    fn encode_leaf(&self, out: &mut Vec<u8>) {
        TrieAccount::new(
            self.nonce,
            self.balance,
            self.storage.root(),
            self.code_hash,
        )
        .encode(out);
    }
}

/// What became of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountChange {
    /// Nonce, balance in wei and code hash afterwards; `None` if the account is gone.
    pub account: Option<(u64, U256, B256)>,
    /// The storage was emptied before `slots` were written.
    pub wiped: bool,
    /// Slots written, with the value afterwards (zero: deleted).
    pub slots: BTreeMap<U256, U256>,
}

/// The difference between two states: flat, so that it can be written to a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Changed accounts.
    pub accounts: BTreeMap<Address, AccountChange>,
    /// Code that was deployed, by hash.
    pub codes: BTreeMap<B256, Bytes>,
}

/// Deployed code by hash. Content-addressed and only ever added to, so one store serves all the
/// snapshots of a chain; code of an abandoned fork stays in it, which the gas of that fork paid.
#[derive(Clone, Debug, Default)]
pub(crate) struct CodeStore(Arc<RwLock<HashMap<B256, Bytecode>>>);

impl CodeStore {
    pub(crate) fn get(&self, hash: &B256) -> Option<Bytecode> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(hash)
            .cloned()
    }

    pub(crate) fn insert(&self, hash: B256, code: Bytecode) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(hash)
            .or_insert(code);
    }
}

/// An immutable snapshot of the world state. Cloning is cheap, and clones share whatever did not
/// change between them; see [`crate::trie`].
#[derive(Clone, Debug, Default)]
pub struct WorldState {
    pub(crate) accounts: Trie<Account>,
    pub(crate) codes: CodeStore,
}

impl WorldState {
    /// The account at `address`; `None` if it does not exist.
    pub fn account(&self, address: &Address) -> Option<&Account> {
        self.accounts.get(&keccak256(address))
    }

    /// Value of a storage slot; zero if never written.
    pub fn storage(&self, address: &Address, slot: U256) -> U256 {
        self.account(address)
            .map_or(U256::ZERO, |account| read_slot(&account.storage, slot))
    }

    /// Code with the given hash.
    pub fn code(&self, hash: &B256) -> Option<Bytes> {
        if *hash == KECCAK256_EMPTY {
            return Some(Bytes::new());
        }
        self.codes.get(hash).map(|code| code.original_bytes())
    }

    /// Code at an address; empty for none.
    pub fn code_at(&self, address: &Address) -> Bytes {
        self.account(address)
            .and_then(|account| self.code(&account.code_hash))
            .unwrap_or_default()
    }

    /// State root. Costs hashes for what changed since the last snapshot whose root was taken.
    pub fn root(&self) -> B256 {
        self.accounts.root()
    }

    /// The state after `changes`; this one stays as it is. No hashing happens here.
    pub fn apply(&self, changes: &Changes) -> Self {
        let mut next = self.clone();
        for (hash, code) in &changes.codes {
            next.codes.insert(*hash, bytecode(code.clone()));
        }
        for (address, change) in &changes.accounts {
            next.apply_account(keccak256(address), change);
        }
        next
    }

    pub(crate) fn apply_account(&mut self, key: B256, change: &AccountChange) {
        let Some((nonce, balance, code_hash)) = change.account else {
            self.accounts.remove(&key);
            return;
        };
        let mut storage = match self.accounts.get(&key) {
            Some(account) if !change.wiped => account.storage.clone(),
            _ => Trie::default(),
        };
        for (slot, value) in &change.slots {
            write_slot(&mut storage, keccak256(slot.to_be_bytes::<32>()), *value);
        }
        self.accounts.insert(
            key,
            Account {
                nonce,
                balance,
                code_hash,
                storage,
            },
        );
    }

    /// Merkle proof of an account and some of its slots against [`Self::root`] (EIP-1186).
    pub fn prove(&self, address: Address, slots: &[B256]) -> EIP1186AccountProofResponse {
        let account = self.account(&address).cloned().unwrap_or_default();
        let storage_proof = slots
            .iter()
            .map(|slot| {
                let value = read_slot(&account.storage, U256::from_be_bytes(slot.0));
                let proof = account.storage.prove(&keccak256(slot));
                EIP1186StorageProof::new((*slot).into(), value, proof)
            })
            .collect();
        EIP1186AccountProofResponse {
            address,
            balance: account.balance,
            code_hash: account.code_hash,
            nonce: account.nonce,
            storage_hash: account.storage_root(),
            account_proof: self.accounts.prove(&keccak256(address)),
            storage_proof,
        }
    }
}

/// Code as the EVM runs it. Bytes that claim to be a delegation (EIP-7702) and are none stop at
/// their first byte, as any code that starts with 0xef does.
pub(crate) fn bytecode(code: Bytes) -> Bytecode {
    Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code))
}

pub(crate) fn read_slot(storage: &Trie<U256>, slot: U256) -> U256 {
    if storage.is_empty() {
        return U256::ZERO;
    }
    storage
        .get(&keccak256(slot.to_be_bytes::<32>()))
        .copied()
        .unwrap_or_default()
}

pub(crate) fn write_slot(storage: &mut Trie<U256>, key: B256, value: U256) {
    if value.is_zero() {
        storage.remove(&key);
    } else {
        storage.insert(key, value);
    }
}

impl DatabaseRef for WorldState {
    type Error = Infallible;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        Ok(self.account(&address).map(Account::info))
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, Infallible> {
        Ok(self.codes.get(&hash).unwrap_or_default())
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, Infallible> {
        Ok(self.storage(&address, slot))
    }

    /// A state knows no block hashes; [`crate::BlockBuilder`] brings them.
    fn block_hash_ref(&self, _number: u64) -> Result<B256, Infallible> {
        Ok(B256::ZERO)
    }
}

#[cfg(test)]
mod tests;
