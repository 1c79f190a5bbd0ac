//! Transactions get in, once, whatever happens.

use super::model_l1::{Faults, ModelL1};
use crate::{
    rpc::RpcError,
    sender::{Intent, JournalError, Outcome, Sender, SenderError, SenderSettings},
};
use alloy_primitives::{Address, Bytes};
use cortado_types::ecdsa::SigningKey;
use std::{path::Path, sync::Arc, time::Duration};

const BLOCK: Duration = Duration::from_secs(12);

fn key(byte: u8) -> SigningKey {
    SigningKey::from_bytes([byte; 32]).unwrap()
}

fn settings() -> SenderSettings {
    SenderSettings {
        bump_after: Duration::from_secs(30),
        ..SenderSettings::default()
    }
}

async fn open(l1: &ModelL1, path: &Path) -> Sender {
    let l1 = Arc::new(l1.clone());
    Sender::open(l1, key(1), path, settings()).await.unwrap()
}

/// A call whose effect is that its input is in the chain.
fn intent(l1: &ModelL1, name: &str) -> Intent {
    let (l1, input) = (l1.clone(), Bytes::from(name.as_bytes().to_vec()));
    let asked = input.clone();
    let wanted = Box::new(move || {
        let missing = l1.with(|state| state.executed(&asked) == 0);
        Box::pin(async move { Ok::<_, RpcError>(missing) }) as futures::future::BoxFuture<_>
    });
    Intent::call(name, Address::repeat_byte(9), input, wanted)
}

fn mine(l1: &ModelL1) -> tokio::task::JoinHandle<()> {
    let l1 = l1.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(BLOCK).await;
            l1.with(super::model_l1::State::step);
        }
    })
}

/// Submits until it is in, with a new process after each crash.
async fn persist(l1: &ModelL1, path: &Path, name: &str, patience: Duration) {
    for attempt in 0_u32.. {
        assert!(attempt < 5_000, "{name} never got in");
        let sender = open(l1, path).await;
        // A crash at another place every time.
        let lifetime = patience + Duration::from_millis(u64::from(attempt) * 137 % 20_000);
        match tokio::time::timeout(lifetime, sender.submit(intent(l1, name))).await {
            Ok(Ok(_)) => return,
            Ok(Err(SenderError::Rpc(error))) => assert!(error.is_transient(), "{error}"),
            Ok(Err(error)) => panic!("{error}"),
            Err(_) => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_transaction_gets_in_once_through_crashes_reorgs_and_lost_answers() {
    for seed in 1..40 {
        let faults = Faults {
            lose_answer: seed % 7 * 3,
            forget: seed % 5 * 8,
            reorg: seed % 4 * 10,
            discard: 30,
            spike: seed % 3 * 15,
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.json");
        let l1 = ModelL1::new(seed, faults);
        let miner = mine(&l1);
        for name in ["first", "second", "third"] {
            persist(&l1, &path, name, Duration::from_secs(5 + seed * 7)).await;
        }
        // Reorgs are shallower than the confirmations, so what got in stays.
        for name in ["first", "second", "third"] {
            let times = l1.with(|state| state.executed(name.as_bytes()));
            assert_eq!(
                times, 1,
                "seed {seed}: {name} is in the chain {times} times"
            );
        }
        miner.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_stuck_transaction_is_replaced_at_a_higher_fee() {
    let dir = tempfile::tempdir().unwrap();
    let l1 = ModelL1::new(1, Faults::default());
    let sender = open(&l1, &dir.path().join("journal.json")).await;
    let task = {
        let intent = intent(&l1, "stuck");
        tokio::spawn(async move { sender.submit(intent).await })
    };
    tokio::time::sleep(Duration::from_secs(5)).await;
    let first = l1
        .with(|state| state.pool.values().next().cloned())
        .unwrap();
    // The base fee rises above what was offered.
    l1.with(|state| state.base_fee = 20_000_000_000);
    let miner = mine(&l1);
    let outcome = task.await.unwrap().unwrap();
    let Outcome::Included { hash, .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert_ne!(hash, *first.tx_hash());
    assert_eq!(l1.with(|state| state.executed(b"stuck")), 1);
    miner.abort();
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_a_reorg_removed_is_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let l1 = ModelL1::new(
        1,
        Faults {
            discard: 100,
            ..Faults::default()
        },
    );
    let sender = open(&l1, &dir.path().join("journal.json")).await;
    let task = {
        let intent = intent(&l1, "reorged");
        tokio::spawn(async move { sender.submit(intent).await })
    };
    tokio::time::sleep(Duration::from_secs(3)).await;
    l1.with(super::model_l1::State::step);
    assert_eq!(l1.with(|state| state.executed(b"reorged")), 1);
    tokio::time::sleep(Duration::from_secs(3)).await;
    l1.with(|state| state.reorg(1));
    assert_eq!(l1.with(|state| state.executed(b"reorged")), 0);
    let miner = mine(&l1);
    assert!(matches!(task.await.unwrap(), Ok(Outcome::Included { .. })));
    assert_eq!(l1.with(|state| state.executed(b"reorged")), 1);
    miner.abort();
}

#[tokio::test(start_paused = true)]
async fn what_is_not_wanted_is_not_sent() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.json");
    let l1 = ModelL1::new(1, Faults::default());
    let miner = mine(&l1);
    persist(&l1, &path, "once", Duration::from_secs(600)).await;
    let before = l1.with(|state| state.sent);
    let sender = open(&l1, &path).await;
    let again = sender.submit(intent(&l1, "once")).await.unwrap();
    assert_eq!(again, Outcome::NotWanted);
    assert_eq!(l1.with(|state| state.sent), before);
    assert_eq!(sender.spent().transactions, 1);
    miner.abort();
}

#[tokio::test(start_paused = true)]
async fn an_intent_that_was_given_up_leaves_its_nonce_to_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.json");
    let l1 = ModelL1::new(1, Faults::default());
    {
        let sender = open(&l1, &path).await;
        let submitted = sender.submit(intent(&l1, "given up"));
        let cut = tokio::time::timeout(Duration::from_secs(5), submitted).await;
        assert!(cut.is_err(), "no block yet");
    }
    let miner = mine(&l1);
    persist(&l1, &path, "next", Duration::from_secs(600)).await;
    let counts = l1.with(|state| (state.executed(b"given up"), state.executed(b"next")));
    assert_eq!(counts, (0, 1));
    miner.abort();
}

#[tokio::test(start_paused = true)]
async fn a_fee_above_the_limit_is_waited_out() {
    let dir = tempfile::tempdir().unwrap();
    let l1 = ModelL1::new(1, Faults::default());
    l1.with(|state| state.base_fee = 600_000_000_000);
    let sender = open(&l1, &dir.path().join("journal.json")).await;
    let task = {
        let intent = intent(&l1, "dear");
        tokio::spawn(async move { sender.submit(intent).await })
    };
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(l1.with(|state| state.sent), 0);
    let miner = mine(&l1);
    task.await.unwrap().unwrap();
    miner.abort();
}

#[tokio::test(start_paused = true)]
async fn a_journal_has_one_owner_and_one_account() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.json");
    let l1 = ModelL1::new(1, Faults::default());
    let first = open(&l1, &path).await;
    let second = Sender::open(Arc::new(l1.clone()), key(1), &path, settings()).await;
    let in_use = matches!(
        second,
        Err(SenderError::Journal(JournalError::InUse { .. }))
    );
    assert!(in_use, "one owner");
    let miner = mine(&l1);
    first.submit(intent(&l1, "one")).await.unwrap();
    drop(first);
    let other = Sender::open(Arc::new(l1.clone()), key(2), &path, settings()).await;
    let other = matches!(other, Err(SenderError::Journal(JournalError::Other { .. })));
    assert!(other, "one account");
    std::fs::write(&path, "{}").unwrap();
    let damaged = Sender::open(Arc::new(l1.clone()), key(1), &path, settings()).await;
    let damaged = matches!(
        damaged,
        Err(SenderError::Journal(JournalError::Malformed { .. }))
    );
    assert!(damaged, "no journal");
    miner.abort();
}
