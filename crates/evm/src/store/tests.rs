mod damage;
mod power_cut;

use std::sync::Arc;

use alloy_consensus::{TxEnvelope, transaction::Recovered};
use alloy_primitives::{Address, B256, U256};
use alloy_rpc_types_eth::Filter;
use tempfile::TempDir;

use super::*;
use crate::{
    BlockBuilder,
    testing::{CHAIN_ID, COUNTER, Wallet, genesis, inputs},
};

fn spec() -> ChainSpec {
    ChainSpec::ethereum(CHAIN_ID)
}

fn memory() -> ChainStore {
    ChainStore::in_memory(spec(), &genesis()).unwrap()
}

fn open(dir: &Path) -> Result<ChainStore, StoreError> {
    ChainStore::open(dir, spec(), &genesis())
}

fn extend(store: &ChainStore, parent: &ExecutedBlock, txs: &[Recovered<TxEnvelope>]) -> Added {
    extend_salted(store, parent, txs, 0)
}

type Added = Arc<ExecutedBlock>;

/// `salt` tells apart blocks that are otherwise alike.
fn extend_salted(
    store: &ChainStore,
    parent: &ExecutedBlock,
    txs: &[Recovered<TxEnvelope>],
    salt: u8,
) -> Added {
    let mut inputs = inputs(parent);
    inputs.extra_data = vec![salt].into();
    let mut builder = BlockBuilder::new(&spec(), parent, inputs).unwrap();
    builder
        .credit(Address::repeat_byte(0xcc), U256::from(salt))
        .unwrap();
    for tx in txs {
        builder.push(tx).unwrap();
    }
    store.insert(builder.finish().unwrap()).unwrap()
}

/// Deploys a counter in block 1 and calls it in every block up to `n`; canonical, nothing final.
fn chain(store: &ChainStore, n: u64) -> Vec<Added> {
    let mut alice = Wallet::new(1);
    let (create, counter) = alice.create(COUNTER);
    let mut blocks = vec![extend(store, &store.head(), &[create])];
    for _ in 1..n {
        let call = alice.tx(counter.into(), 0, Default::default());
        blocks.push(extend(store, blocks.last().unwrap(), &[call]));
    }
    store.set_canonical(blocks.last().unwrap().hash()).unwrap();
    blocks
}

fn counter() -> Address {
    Wallet::new(1).address.create(0)
}

fn hashes(blocks: &[Added]) -> Vec<B256> {
    blocks.iter().map(|block| block.hash()).collect()
}

/// A copy of the data directory as a `kill -9` would leave it: the store is still open.
fn killed(dir: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    std::fs::copy(dir.join("chain.redb"), copy.path().join("chain.redb")).unwrap();
    copy
}

#[test]
fn a_reorg_names_what_left_and_what_came() {
    //  genesis ── a1 ── a2        canonical first
    //         └── b1 ── b2 ── b3  then this
    let store = memory();
    let genesis = store.head();
    let tx = Wallet::new(1).transfer(Address::repeat_byte(7), 1);
    let a1 = extend_salted(&store, &genesis, &[], 1);
    let a2 = extend_salted(&store, &a1, std::slice::from_ref(&tx), 1);
    let b1 = extend_salted(&store, &genesis, std::slice::from_ref(&tx), 2);
    let b2 = extend_salted(&store, &b1, &[], 2);
    let b3 = extend_salted(&store, &b2, &[], 2);

    let reorg = store.set_canonical(a2.hash()).unwrap();
    assert_eq!(hashes(&reorg.added), [a1.hash(), a2.hash()]);
    assert!(reorg.removed.is_empty());
    assert_eq!(
        store
            .transaction(tx.tx_hash())
            .unwrap()
            .unwrap()
            .block
            .hash(),
        a2.hash()
    );

    let reorg = store.set_canonical(b3.hash()).unwrap();
    assert_eq!(hashes(&reorg.removed), [a1.hash(), a2.hash()]);
    assert_eq!(hashes(&reorg.added), [b1.hash(), b2.hash(), b3.hash()]);
    assert_eq!(
        store
            .transaction(tx.tx_hash())
            .unwrap()
            .unwrap()
            .block
            .hash(),
        b1.hash()
    );
    assert_eq!(store.hash_by_number(2).unwrap(), Some(b2.hash()));
    assert_eq!(store.head().hash(), b3.hash());
    assert!(
        store.block(&a2.hash()).unwrap().is_some(),
        "a fork stays readable by hash"
    );

    let reorg = store.set_canonical(b1.hash()).unwrap();
    assert_eq!(
        hashes(&reorg.removed),
        [b2.hash(), b3.hash()],
        "the head may also move back"
    );
    assert!(reorg.added.is_empty());
}

#[test]
fn orphans_and_strangers_are_refused_by_name() {
    let store = memory();
    let genesis = store.head();
    let a1 = extend(&store, &genesis, &[]);
    let elsewhere = memory();
    let orphan = BlockBuilder::new(&spec(), &a1, inputs(&a1))
        .unwrap()
        .finish()
        .unwrap();
    let (hash, parent) = (orphan.hash(), a1.hash());
    match elsewhere.insert(orphan) {
        Err(StoreError::UnknownParent { hash: h, parent: p }) => assert_eq!((h, p), (hash, parent)),
        other => panic!("{other:?}"),
    }
    let unknown = B256::repeat_byte(9);
    assert!(
        matches!(store.set_canonical(unknown), Err(StoreError::UnknownBlock(h)) if h == unknown)
    );
    assert!(matches!(store.finalize(unknown), Err(StoreError::UnknownBlock(h)) if h == unknown));
    assert!(
        matches!(store.finalize(a1.hash()), Err(StoreError::NotCanonical(h)) if h == a1.hash())
    );
}

#[test]
fn finality_drops_forks_and_keeps_everything_readable() {
    let store = memory();
    let genesis = store.head();
    let fork = extend_salted(&store, &genesis, &[], 9);
    let fork_child = extend_salted(&store, &fork, &[], 9);
    let blocks = chain(&store, 4);
    let side = extend_salted(&store, &blocks[2], &[], 5);

    let newly = store.finalize(blocks[2].hash()).unwrap();
    assert_eq!(hashes(&newly), hashes(&blocks[..3]));
    assert_eq!(store.finalized().hash(), blocks[2].hash());
    assert_eq!(store.head().hash(), blocks[3].hash());
    assert!(
        store.executed(&fork_child.hash()).is_none(),
        "forks below are gone"
    );
    assert!(store.executed(&side.hash()).is_some(), "forks above stay");
    assert!(matches!(
        store.insert(ExecutedBlock::clone(&fork_child)),
        Err(StoreError::UnknownParent { .. })
    ));
    assert!(
        store.finalize(blocks[1].hash()).unwrap().is_empty(),
        "final is final"
    );
    assert!(store.finalize(blocks[2].hash()).unwrap().is_empty());

    for block in &blocks {
        assert_eq!(*store.block(&block.hash()).unwrap().unwrap(), *block.record);
        assert_eq!(
            *store.block_by_number(block.number()).unwrap().unwrap(),
            *block.record
        );
        let place = store
            .transaction(block.transactions[0].tx_hash())
            .unwrap()
            .unwrap();
        assert_eq!((place.block.hash(), place.index), (block.hash(), 0));
        let state = &store.executed(&block.hash()).unwrap().state;
        assert_eq!(
            state.storage(&counter(), U256::ZERO),
            U256::from(block.number() - 1)
        );
    }
}

#[test]
fn states_of_old_final_blocks_are_let_go_and_their_blocks_are_not() {
    let store = memory();
    let blocks = chain(&store, STATE_HISTORY_BLOCKS as u64 + 10);
    store
        .finalize(blocks[STATE_HISTORY_BLOCKS + 9].hash())
        .unwrap();
    assert!(store.executed_by_number(9).is_none());
    assert_eq!(
        store.executed_by_number(10).unwrap().hash(),
        blocks[9].hash()
    );
    assert_eq!(
        *store.block_by_number(5).unwrap().unwrap(),
        *blocks[4].record
    );
    assert_eq!(
        *store.block(&blocks[4].hash()).unwrap().unwrap(),
        *blocks[4].record
    );
    let tx = blocks[4].transactions[0].tx_hash();
    assert_eq!(
        store.transaction(tx).unwrap().unwrap().block.hash(),
        blocks[4].hash()
    );
}

#[test]
fn what_was_finalised_survives_a_kill() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path()).unwrap();
    let blocks = chain(&store, 5);
    store.finalize(blocks[3].hash()).unwrap();
    let copy = killed(dir.path());

    let again = open(copy.path()).unwrap();
    assert_eq!(again.finalized().hash(), blocks[3].hash());
    assert_eq!(
        again.head().hash(),
        blocks[4].hash(),
        "finalising persists what is above, too"
    );
    assert_eq!(again.finalized().state.root(), blocks[3].header.state_root);
    assert_eq!(again.finalized().state.code_at(&counter())[..], *COUNTER);
    assert_eq!(
        again.head().state.storage(&counter(), U256::ZERO),
        U256::from(4)
    );
    assert_eq!(
        again.finalized().hashes.get(0),
        Some(again.hash_by_number(0).unwrap().unwrap())
    );
    for block in &blocks {
        assert_eq!(*again.block(&block.hash()).unwrap().unwrap(), *block.record);
    }
    // And it goes on: the next block is the same on both.
    let next = |store: &ChainStore| {
        let head = store.head();
        BlockBuilder::new(&spec(), &head, inputs(&head))
            .unwrap()
            .finish()
            .unwrap()
            .hash()
    };
    assert_eq!(next(&again), next(&store));
}

#[test]
fn what_was_persisted_survives_a_kill_forks_and_head_included() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path()).unwrap();
    let genesis = store.head();
    let fork = extend_salted(&store, &genesis, &[], 9);
    let blocks = chain(&store, 3);
    store.persist().unwrap();
    let lost = extend(&store, &blocks[2], &[]);
    store.set_canonical(lost.hash()).unwrap();
    let copy = killed(dir.path());

    let again = open(copy.path()).unwrap();
    assert_eq!(again.head().hash(), blocks[2].hash());
    assert_eq!(again.head().state.root(), blocks[2].header.state_root);
    assert_eq!(*again.head().record, *blocks[2].record);
    assert!(again.executed(&fork.hash()).is_some());
    assert!(
        again.executed(&lost.hash()).is_none(),
        "never persisted, so lost"
    );

    // A reorg alone is persisted, too.
    again.set_canonical(fork.hash()).unwrap();
    again.persist().unwrap();
    let copy = killed(copy.path());
    assert_eq!(open(copy.path()).unwrap().head().hash(), fork.hash());
}

#[test]
fn finality_in_steps_writes_the_same_state_as_in_one() {
    let (stepwise, at_once) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    {
        let store = open(stepwise.path()).unwrap();
        for block in chain(&store, 6) {
            store.persist().unwrap();
            store.finalize(block.hash()).unwrap();
        }
        let store = open(at_once.path()).unwrap();
        let blocks = chain(&store, 6);
        store.finalize(blocks[5].hash()).unwrap();
    }
    let (stepwise, at_once) = (
        open(stepwise.path()).unwrap(),
        open(at_once.path()).unwrap(),
    );
    assert_eq!(stepwise.finalized().hash(), at_once.finalized().hash());
    assert_eq!(
        stepwise.finalized().state.root(),
        at_once.finalized().state.root()
    );
}

#[test]
fn logs_are_found_in_memory_and_on_disk_alike() {
    let store = memory();
    let blocks = chain(&store, 6);
    let limits = LogLimits {
        blocks: 100,
        logs: 100,
    };
    let filter = Filter::new()
        .address(counter())
        .event_signature(B256::with_last_byte(0xaa));
    let before = store.logs(0, u64::MAX, &filter, &limits).unwrap();
    assert_eq!(before.len(), 5);
    assert_eq!(before[0].block_number, Some(2));
    assert_eq!(
        before[0].transaction_hash,
        Some(*blocks[1].transactions[0].tx_hash())
    );
    assert_eq!(before[0].log_index, Some(0));
    store.finalize(blocks[4].hash()).unwrap();
    assert_eq!(store.logs(0, 100, &filter, &limits).unwrap(), before);
    assert_eq!(store.logs(3, 4, &filter, &limits).unwrap(), before[1..3]);
    let other = Filter::new().address(Address::ZERO);
    assert!(store.logs(0, 100, &other, &limits).unwrap().is_empty());
}

#[test]
fn log_queries_have_limits() {
    let store = memory();
    chain(&store, 6);
    let few_blocks = LogLimits {
        blocks: 3,
        logs: 100,
    };
    assert!(matches!(
        store.logs(0, 6, &Filter::new(), &few_blocks),
        Err(LogsError::TooManyBlocks {
            blocks: 7,
            limit: 3
        })
    ));
    let few_logs = LogLimits {
        blocks: 100,
        logs: 3,
    };
    assert!(matches!(
        store.logs(0, 6, &Filter::new(), &few_logs),
        Err(LogsError::TooManyLogs { limit: 3 })
    ));
    assert!(
        store
            .logs(5, 2, &Filter::new(), &few_logs)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_committed_head_survives_a_kill_and_an_unknown_one_changes_nothing() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path()).unwrap();
    let blocks = chain(&store, 2);
    let third = extend(&store, &blocks[1], &[]);
    let reorg = store.commit(third.hash()).unwrap();
    assert_eq!(hashes(&reorg.added), [third.hash()]);
    let unknown = B256::repeat_byte(9);
    assert!(matches!(store.commit(unknown), Err(StoreError::UnknownBlock(h)) if h == unknown));
    assert_eq!(store.head().hash(), third.hash());
    let copy = killed(dir.path());
    assert_eq!(open(copy.path()).unwrap().head().hash(), third.hash());
}
