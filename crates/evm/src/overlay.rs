//! The running state of a block under construction: a cache of what was read and written over an
//! immutable snapshot.

use std::convert::Infallible;

use alloy_primitives::{
    Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256,
    map::{AddressHashMap, HashMap},
};
use revm::{Database, DatabaseCommit, bytecode::Bytecode, state::AccountInfo};

use crate::{
    block::RecentHashes,
    state::{Account, AccountChange, Changes, WorldState, bytecode, read_slot, write_slot},
    trie::Trie,
};

/// One account as the block sees it.
#[derive(Debug, Default)]
struct Entry {
    /// `None`: does not exist.
    info: Option<AccountInfo>,
    /// What slots not in `slots` are read from; emptied when the storage is wiped.
    base: Trie<U256>,
    slots: HashMap<U256, Slot>,
    /// The storage the account had before the block is gone.
    wiped: bool,
    /// Changed by the block, so part of its changes.
    changed: bool,
    /// Waiting to be written into the snapshot.
    unflushed: bool,
    unflushed_slots: Vec<U256>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    present: U256,
    written: bool,
}

#[derive(Debug)]
pub(crate) struct Overlay {
    /// The parent's state with every flushed change.
    flushed: WorldState,
    hashes: RecentHashes,
    entries: AddressHashMap<Entry>,
    codes: HashMap<B256, Bytecode>,
    /// Hashes of deployed code, in order.
    deployed: Vec<B256>,
    /// How many of them the snapshot has.
    deployed_flushed: usize,
    unflushed: Vec<Address>,
}

impl Overlay {
    pub(crate) fn new(base: WorldState, hashes: RecentHashes) -> Self {
        Self {
            flushed: base,
            hashes,
            entries: AddressHashMap::default(),
            codes: HashMap::default(),
            deployed: Vec::new(),
            deployed_flushed: 0,
            unflushed: Vec::new(),
        }
    }

    /// Loads an account, once per block.
    fn entry(&mut self, address: Address) -> &mut Entry {
        let flushed = &self.flushed;
        self.entries
            .entry(address)
            .or_insert_with(|| match flushed.account(&address) {
                None => Entry::default(),
                Some(account) => Entry {
                    info: Some(AccountInfo {
                        balance: account.balance,
                        nonce: account.nonce,
                        code_hash: account.code_hash,
                        account_id: None,
                        code: None,
                    }),
                    base: account.storage.clone(),
                    ..Entry::default()
                },
            })
    }

    /// Nonce, balance and code hash now; `None` if the account does not exist.
    pub(crate) fn account(&self, address: &Address) -> Option<(u64, U256, B256)> {
        match self.entries.get(address) {
            Some(entry) => entry
                .info
                .as_ref()
                .map(|info| (info.nonce, info.balance, info.code_hash)),
            None => self
                .flushed
                .account(address)
                .map(|account| (account.nonce, account.balance, account.code_hash)),
        }
    }

    /// Value of a slot now.
    pub(crate) fn slot(&self, address: &Address, slot: U256) -> U256 {
        match self.entries.get(address) {
            Some(entry) => match entry.slots.get(&slot) {
                Some(slot) => slot.present,
                None => read_slot(&entry.base, slot),
            },
            None => self.flushed.storage(address, slot),
        }
    }

    /// Adds to a balance outside any transaction.
    pub(crate) fn credit(&mut self, address: Address, wei: U256) {
        let entry = self.entry(address);
        if wei.is_zero() {
            return; // crediting nothing must not create an empty account (EIP-161)
        }
        let info = entry.info.get_or_insert_with(empty_info);
        info.balance = info.balance.saturating_add(wei);
        self.mark(address);
    }

    /// Replaces parts of an account, for state overrides.
    pub(crate) fn edit(&mut self, address: Address, edit: impl FnOnce(&mut AccountInfo)) {
        let info = self.entry(address).info.get_or_insert_with(empty_info);
        edit(info);
        self.mark(address);
    }

    /// Makes code known, for state overrides; gives its hash.
    pub(crate) fn add_code(&mut self, code: Bytes) -> B256 {
        if code.is_empty() {
            return KECCAK256_EMPTY;
        }
        let hash = keccak256(&code);
        self.codes.insert(hash, bytecode(code));
        hash
    }

    /// Replaces a slot, for state overrides.
    pub(crate) fn set_slot(&mut self, address: Address, slot: U256, value: U256) {
        let entry = self.entry(address);
        entry.info.get_or_insert_with(empty_info);
        entry.slots.insert(
            slot,
            Slot {
                present: value,
                written: true,
            },
        );
        entry.unflushed_slots.push(slot);
        self.mark(address);
    }

    /// Empties an account's storage.
    pub(crate) fn wipe(&mut self, address: Address) {
        wipe(self.entry(address));
        self.mark(address);
    }

    fn mark(&mut self, address: Address) {
        if let Some(entry) = self.entries.get_mut(&address) {
            entry.changed = true;
            if !entry.unflushed {
                entry.unflushed = true;
                self.unflushed.push(address);
            }
        }
    }

    /// The running state as a snapshot. Costs only what changed since the last one.
    pub(crate) fn snapshot(&mut self) -> WorldState {
        for hash in self.deployed.iter().skip(self.deployed_flushed) {
            if let Some(code) = self.codes.get(hash) {
                self.flushed.codes.insert(*hash, code.clone());
            }
        }
        self.deployed_flushed = self.deployed.len();
        for address in self.unflushed.drain(..) {
            let Some(entry) = self.entries.get_mut(&address) else {
                continue;
            };
            entry.unflushed = false;
            let key = keccak256(address);
            let Some(info) = &entry.info else {
                self.flushed.accounts.remove(&key);
                entry.unflushed_slots.clear();
                continue;
            };
            for slot in entry.unflushed_slots.drain(..) {
                let value = entry
                    .slots
                    .get(&slot)
                    .map_or(U256::ZERO, |slot| slot.present);
                write_slot(&mut entry.base, keccak256(slot.to_be_bytes::<32>()), value);
            }
            let account = Account {
                nonce: info.nonce,
                balance: info.balance,
                code_hash: info.code_hash,
                storage: entry.base.clone(),
            };
            self.flushed.accounts.insert(key, account);
        }
        self.flushed.clone()
    }

    /// Everything the block changed.
    pub(crate) fn changes(&self) -> Changes {
        let mut changes = Changes::default();
        for (address, entry) in &self.entries {
            if !entry.changed {
                continue;
            }
            let slots = entry
                .slots
                .iter()
                .filter(|(_, slot)| slot.written)
                .map(|(number, slot)| (*number, slot.present))
                .collect();
            let account = entry
                .info
                .as_ref()
                .map(|info| (info.nonce, info.balance, info.code_hash));
            let change = AccountChange {
                account,
                wiped: entry.wiped,
                slots,
            };
            changes.accounts.insert(*address, change);
        }
        for hash in &self.deployed {
            if let Some(code) = self.codes.get(hash) {
                changes.codes.insert(*hash, code.original_bytes());
            }
        }
        changes
    }
}

fn empty_info() -> AccountInfo {
    AccountInfo {
        code: None,
        ..AccountInfo::default()
    }
}

fn wipe(entry: &mut Entry) {
    entry.base = Trie::default();
    entry.slots.clear();
    entry.unflushed_slots.clear();
    entry.wiped = true;
}

impl Database for Overlay {
    type Error = Infallible;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        Ok(self.entry(address).info.clone())
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, Infallible> {
        if let Some(code) = self.codes.get(&hash) {
            return Ok(code.clone());
        }
        let code = self.flushed.codes.get(&hash).unwrap_or_default();
        self.codes.insert(hash, code.clone());
        Ok(code)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, Infallible> {
        let entry = self.entry(address);
        if let Some(slot) = entry.slots.get(&slot) {
            return Ok(slot.present);
        }
        let present = read_slot(&entry.base, slot);
        entry.slots.insert(
            slot,
            Slot {
                present,
                written: false,
            },
        );
        Ok(present)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Infallible> {
        Ok(self.hashes.get(number).unwrap_or_default())
    }
}

impl DatabaseCommit for Overlay {
    fn commit(&mut self, changes: AddressHashMap<revm::state::Account>) {
        for (address, account) in changes {
            if !account.is_touched() {
                continue;
            }
            let created = account.is_created();
            let destroyed = account.is_selfdestructed();
            let mut info = account.info;
            if let Some(code) = info.code.take()
                && info.code_hash != KECCAK256_EMPTY
                && !self.codes.contains_key(&info.code_hash)
            {
                self.codes.insert(info.code_hash, code);
                self.deployed.push(info.code_hash);
            }
            let entry = self.entry(address);
            if destroyed || created {
                wipe(entry);
            }
            // EIP-161: an empty account that was touched does not exist.
            entry.info = (!destroyed && !info.is_empty()).then_some(info);
            if !destroyed {
                for (number, slot) in account.storage {
                    if slot.is_changed() {
                        let present = slot.present_value;
                        entry.slots.insert(
                            number,
                            Slot {
                                present,
                                written: true,
                            },
                        );
                        entry.unflushed_slots.push(number);
                    }
                }
            }
            self.mark(address);
        }
    }
}
