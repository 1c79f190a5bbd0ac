//! What one transaction writes: blocks, tips and the flat state.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{B256, U256, keccak256};
use redb::WriteTransaction;

use super::{
    super::{
        StoreError,
        codec::{self, StoredAccount},
    },
    ACCOUNTS, BODIES, CODES, HEADERS, META, META_FINALIZED, META_HEAD, NUMBERS, RECEIPTS, STORAGE,
    TRANSACTIONS, UNFINALIZED, failed,
};
use crate::{block::ExecutedBlock, state::Changes};

pub(super) fn write_tips(
    transaction: &WriteTransaction,
    finalized: B256,
    head: B256,
) -> Result<(), StoreError> {
    let mut meta = transaction.open_table(META).map_err(failed)?;
    meta.insert(META_FINALIZED, finalized.as_slice())
        .map_err(failed)?;
    meta.insert(META_HEAD, head.as_slice()).map_err(failed)?;
    Ok(())
}

pub(super) fn write_unfinalized(
    transaction: &WriteTransaction,
    blocks: &[Arc<ExecutedBlock>],
) -> Result<(), StoreError> {
    let mut table = transaction.open_table(UNFINALIZED).map_err(failed)?;
    for block in blocks {
        let bytes = codec::encode_unfinalized(block);
        table
            .insert(&block.hash().0, bytes.as_slice())
            .map_err(failed)?;
    }
    Ok(())
}

pub(super) fn write_blocks<'a>(
    transaction: &WriteTransaction,
    blocks: impl Iterator<Item = &'a ExecutedBlock>,
) -> Result<(), StoreError> {
    let mut headers = transaction.open_table(HEADERS).map_err(failed)?;
    let mut bodies = transaction.open_table(BODIES).map_err(failed)?;
    let mut receipts = transaction.open_table(RECEIPTS).map_err(failed)?;
    let mut numbers = transaction.open_table(NUMBERS).map_err(failed)?;
    let mut transactions = transaction.open_table(TRANSACTIONS).map_err(failed)?;
    for block in blocks {
        let number = block.number();
        headers
            .insert(number, codec::encode_header(&block.header).as_slice())
            .map_err(failed)?;
        bodies
            .insert(number, codec::encode_body(block).as_slice())
            .map_err(failed)?;
        let bytes = codec::encode_receipts(&block.receipts);
        receipts.insert(number, bytes.as_slice()).map_err(failed)?;
        numbers.insert(&block.hash().0, number).map_err(failed)?;
        for (index, tx) in (0u32..).zip(&block.transactions) {
            transactions
                .insert(&tx.tx_hash().0, (number, index))
                .map_err(failed)?;
        }
    }
    Ok(())
}

/// What several blocks together did to one account.
#[derive(Default)]
struct Merged {
    account: Option<(u64, U256, B256)>,
    wiped: bool,
    slots: BTreeMap<B256, U256>,
}

pub(super) fn write_state<'a>(
    transaction: &WriteTransaction,
    blocks: impl IntoIterator<Item = &'a Changes>,
) -> Result<(), StoreError> {
    let mut merged: BTreeMap<B256, Merged> = BTreeMap::new();
    let mut codes = transaction.open_table(CODES).map_err(failed)?;
    for changes in blocks {
        for (hash, code) in &changes.codes {
            codes.insert(&hash.0, code.as_ref()).map_err(failed)?;
        }
        for (address, change) in &changes.accounts {
            let account = merged.entry(keccak256(address)).or_default();
            account.account = change.account;
            if change.wiped || change.account.is_none() {
                account.wiped = true;
                account.slots.clear();
            }
            let slots = change.slots.iter();
            account
                .slots
                .extend(slots.map(|(slot, value)| (keccak256(slot.to_be_bytes::<32>()), *value)));
        }
    }
    let mut accounts = transaction.open_table(ACCOUNTS).map_err(failed)?;
    let mut storage = transaction.open_table(STORAGE).map_err(failed)?;
    for (key, change) in merged {
        if change.wiped {
            let (first, last) = ([0; 32], [0xff; 32]);
            storage
                .retain_in((&key.0, &first)..=(&key.0, &last), |_, _| false)
                .map_err(failed)?;
        }
        let Some((nonce, balance, code_hash)) = change.account else {
            accounts.remove(&key.0).map_err(failed)?;
            continue;
        };
        let bytes = StoredAccount {
            nonce,
            balance,
            code_hash,
        }
        .to_bytes();
        accounts.insert(&key.0, bytes.as_slice()).map_err(failed)?;
        for (slot, value) in change.slots {
            if value.is_zero() {
                storage.remove((&key.0, &slot.0)).map_err(failed)?;
            } else {
                storage
                    .insert((&key.0, &slot.0), &value.to_be_bytes::<32>())
                    .map_err(failed)?;
            }
        }
    }
    Ok(())
}
