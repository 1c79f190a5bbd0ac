//! Data directories that must be refused, each by its name.

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::*;

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

/// A closed store with four final blocks and one that is not.
fn closed() -> (TempDir, Vec<Added>) {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path()).unwrap();
    let blocks = chain(&store, 5);
    store.finalize(blocks[3].hash()).unwrap();
    (dir, blocks)
}

fn database(dir: &TempDir) -> Database {
    Database::open(dir.path().join("chain.redb")).unwrap()
}

fn set_meta(dir: &TempDir, key: &str, value: &[u8]) {
    let db = database(dir);
    let transaction = db.begin_write().unwrap();
    transaction
        .open_table(META)
        .unwrap()
        .insert(key, value)
        .unwrap();
    transaction.commit().unwrap();
}

/// Flips the last bit of the first body.
fn flip_a_bit_of_the_first_body(dir: &TempDir) {
    let bodies: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("bodies");
    let db = database(dir);
    let transaction = db.begin_write().unwrap();
    {
        let mut table = transaction.open_table(bodies).unwrap();
        let mut body = table.get(0).unwrap().unwrap().value().to_vec();
        *body.last_mut().unwrap() ^= 1;
        table.insert(0, body.as_slice()).unwrap();
    }
    transaction.commit().unwrap();
}

fn refusal(dir: &TempDir) -> StoreError {
    open(dir.path()).expect_err("must be refused")
}

#[test]
fn a_newer_format_is_refused_by_its_number() {
    let (dir, _) = closed();
    set_meta(&dir, "format", &7u32.to_be_bytes());
    assert!(matches!(
        refusal(&dir),
        StoreError::NewerFormat {
            found: 7,
            supported: 1
        }
    ));
}

#[test]
fn another_chains_data_is_refused() {
    let (dir, _) = closed();
    let mut other = genesis();
    other.timestamp += 1;
    let refused = ChainStore::open(dir.path(), spec(), &other).unwrap_err();
    assert!(
        matches!(refused, StoreError::WrongGenesis { .. }),
        "{refused}"
    );
}

#[test]
fn two_stores_on_one_directory_are_refused() {
    let (dir, _) = closed();
    let _first = open(dir.path()).unwrap();
    assert!(matches!(refusal(&dir), StoreError::InUse));
}

#[test]
fn a_changed_state_is_refused_by_its_root() {
    const STORAGE: TableDefinition<'_, (&[u8; 32], &[u8; 32]), &[u8; 32]> =
        TableDefinition::new("storage");
    let (dir, _) = closed();
    {
        let db = database(&dir);
        let transaction = db.begin_write().unwrap();
        let account = alloy_primitives::keccak256(counter());
        let slot = alloy_primitives::keccak256(B256::ZERO);
        let wrong = U256::from(99).to_be_bytes::<32>();
        let mut table = transaction.open_table(STORAGE).unwrap();
        table.insert((&account.0, &slot.0), &wrong).unwrap();
        drop(table);
        transaction.commit().unwrap();
    }
    let refused = refusal(&dir);
    assert!(
        refused.to_string().contains("the state has root"),
        "{refused}"
    );
}

#[test]
fn storage_without_an_account_is_refused() {
    const STORAGE: TableDefinition<'_, (&[u8; 32], &[u8; 32]), &[u8; 32]> =
        TableDefinition::new("storage");
    for key in [[0; 32], [0xff; 32]] {
        let (dir, _) = closed();
        {
            let db = database(&dir);
            let transaction = db.begin_write().unwrap();
            let mut table = transaction.open_table(STORAGE).unwrap();
            table.insert((&key, &key), &[1; 32]).unwrap();
            drop(table);
            transaction.commit().unwrap();
        }
        let refused = refusal(&dir);
        assert!(
            refused.to_string().contains("storage of a missing account"),
            "{refused}"
        );
    }
}

#[test]
fn rotten_code_and_rotten_unfinalised_blocks_are_refused() {
    const CODES: &str = "codes";
    let (dir, _) = closed();
    {
        let db = database(&dir);
        let table: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new(CODES);
        let transaction = db.begin_write().unwrap();
        let hash = alloy_primitives::keccak256(COUNTER);
        transaction
            .open_table(table)
            .unwrap()
            .insert(&hash.0, &[0u8][..])
            .unwrap();
        transaction.commit().unwrap();
    }
    let refused = refusal(&dir);
    assert!(
        refused.to_string().contains("has another hash"),
        "{refused}"
    );

    let (dir, blocks) = closed();
    {
        let db = database(&dir);
        let table: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("unfinalized");
        let transaction = db.begin_write().unwrap();
        let hash = blocks[4].hash();
        transaction
            .open_table(table)
            .unwrap()
            .insert(&hash.0, &[0u8; 40][..])
            .unwrap();
        transaction.commit().unwrap();
    }
    let refused = refusal(&dir);
    assert!(refused.to_string().contains("checksum"), "{refused}");
}

#[test]
fn a_rotten_old_block_is_an_error_when_read_and_no_block() {
    let (dir, blocks) = closed();
    flip_a_bit_of_the_first_body(&dir);
    let store = open(dir.path()).unwrap();
    let read = store.block_by_number(0);
    assert!(matches!(read, Err(StoreError::Corrupt(_))), "{read:?}");
    assert!(store.block_by_number(blocks[0].number()).unwrap().is_some());
}

#[test]
fn a_missing_head_or_a_missing_finalised_block_is_refused() {
    let (dir, _) = closed();
    set_meta(&dir, "head", &[9; 32]);
    assert!(refusal(&dir).to_string().contains("is missing"));
    let (dir, _) = closed();
    set_meta(&dir, "finalized", &[9; 32]);
    assert!(refusal(&dir).to_string().contains("is missing"));
    let (dir, _) = closed();
    set_meta(&dir, "finalized", &[9; 3]);
    assert!(refusal(&dir).to_string().contains("not 32 bytes"));
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("chain.redb"), [0x5a; 10_000]).unwrap();
    let refused = refusal(&dir);
    assert!(matches!(refused, StoreError::Corrupt(_)), "{refused:?}");
}

#[test]
fn every_table_the_store_needs_is_there_from_the_start() {
    let dir = TempDir::new().unwrap();
    drop(open(dir.path()).unwrap());
    let db = database(&dir);
    let tables = db.begin_read().unwrap().list_tables().unwrap().count();
    assert_eq!(tables, 10);
}

#[test]
fn damage_anywhere_in_the_file_is_an_error_or_harmless_and_never_a_panic() {
    let (dir, blocks) = closed();
    let good = std::fs::read(dir.path().join("chain.redb")).unwrap();
    let mut seed = 1u64;
    let mut refused = 0;
    for round in 0..150 {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let position = (seed >> 20) as usize % good.len();
        let mut bad = good.clone();
        match round % 10 {
            0 => bad.truncate(position),
            1 => bad[position % 512] ^= 1 << (round % 8), // the database's own header
            _ => bad[position] ^= 1 << (round % 8),
        }
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("chain.redb"), &bad).unwrap();
        let Ok(store) = open(dir.path()) else {
            refused += 1;
            continue;
        };
        for block in blocks
            .iter()
            .take(usize::try_from(store.head().number()).unwrap())
        {
            match store.block_by_number(block.number()) {
                Ok(read) => assert_eq!(read.as_deref(), Some(block.record.as_ref())),
                Err(error) => assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}"),
            }
        }
    }
    assert!(
        refused > 15,
        "truncation at least is always noticed, {refused} of 150 were"
    );
}
