//! What a proposer does when all goes well, and when the chain does not take its lane blocks.

#[path = "support/chain.rs"]
mod chain;

use chain::{
    Chain, ROLLUP, SLOT_MS, Signed, at, custom, follow, promised, proposer, submit, tick, transfer,
    user,
};
use cortado_ethrpc::SubmitError;
use cortado_rollup::{
    gateway::Signer,
    journal::Tail,
    source::{PreconfEvent, SealedLane, Submitted},
};
use cortado_types::{
    Address, B256, Seq, Slot,
    ecdsa::{Signature, SigningKey},
    limits::{GRACE_MS, STALL_MS},
};
use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

const TO: Address = Address::repeat_byte(9);

/// A signer that looks at the disk before it signs.
struct Suspicious {
    key: SigningKey,
    journal: PathBuf,
    signed: Arc<AtomicUsize>,
    /// Bytes that must be in the journal when anything is signed.
    expected: Vec<u8>,
}

impl Signer for Suspicious {
    fn address(&self) -> Address {
        self.key.address()
    }

    fn sign(&self, digest: B256) -> Signature {
        let files = std::fs::read_dir(&self.journal).expect("the journal");
        let on_disk = files.flatten().any(|file| {
            let bytes = std::fs::read(file.path()).expect("reads");
            bytes
                .windows(self.expected.len())
                .any(|window| window == self.expected)
        });
        assert!(on_disk, "asked to sign what is not on the disk");
        self.signed.fetch_add(1, Ordering::Relaxed);
        self.key.sign(digest)
    }
}

/// A file whose appended bytes reach the disk only when it is synced, and which can break.
struct Cache {
    file: File,
    cached: Vec<u8>,
    broken: bool,
}

impl Tail for Cache {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.cached.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("no more disk"));
        }
        self.file.append(&std::mem::take(&mut self.cached))
    }
}

fn suspicious(dir: &Path, expected: &[u8]) -> (Box<dyn Signer>, Arc<AtomicUsize>) {
    let signed = Arc::new(AtomicUsize::new(0));
    let signer = Suspicious {
        key: proposer(),
        journal: dir.join("journal"),
        signed: signed.clone(),
        expected: expected.to_vec(),
    };
    (Box::new(signer), signed)
}

#[test]
fn a_promise_is_on_the_disk_before_it_is_signed() {
    let dir = tempfile::tempdir().expect("temp dir");
    let chain = Chain::new();
    let transaction = transfer(&user(0), 0, TO, 5);
    let (signer, signed) = suspicious(dir.path(), &transaction.raw);
    let tail = |_: &Path, file| -> Box<dyn Tail> {
        Box::new(Cache {
            file,
            cached: Vec::new(),
            broken: false,
        })
    };
    let mut gateway = chain.gateway_signing(dir.path(), 1, Some(Box::new(tail)), signer);
    gateway.resume(at(0, 0)).expect("resumes");
    promised(&mut gateway, &transaction, at(0, 100));
    assert_eq!(signed.load(Ordering::Relaxed), 2, "inclusion and execution");
}

#[test]
fn nothing_is_signed_when_the_disk_fails() {
    let dir = tempfile::tempdir().expect("temp dir");
    let chain = Chain::new();
    let transaction = transfer(&user(0), 0, TO, 5);
    let (signer, signed) = suspicious(dir.path(), &transaction.raw);
    let tail = |_: &Path, file| -> Box<dyn Tail> {
        Box::new(Cache {
            file,
            cached: Vec::new(),
            broken: true,
        })
    };
    let mut gateway = chain.gateway_signing(dir.path(), 1, Some(Box::new(tail)), signer);
    gateway.resume(at(0, 0)).expect("resumes");
    gateway
        .submit(ROLLUP, transaction, 1, at(0, 100))
        .expect("runs");
    let error = gateway
        .commit()
        .expect_err("the disk is broken")
        .to_string();
    assert!(error.contains("no more disk"), "{error}");
    assert!(gateway.commit().is_err(), "and it stays so");
    assert_eq!(signed.load(Ordering::Relaxed), 0);
}

#[test]
fn an_idle_slot_ends_with_an_empty_last_lane_block_so_that_the_next_opens_at_once() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut chain = Chain::new();
    let mut gateway = chain.resumed(dir.path());
    assert!(
        tick(&mut gateway, at(0, SLOT_MS * 7 / 8 - 1)).is_empty(),
        "still promising for it"
    );
    let last = tick(&mut gateway, at(0, SLOT_MS * 7 / 8));
    assert_eq!(last.len(), 1);
    assert!(last[0].lane.header.last && last[0].body.transactions.is_empty());
    assert!(
        tick(&mut gateway, at(0, SLOT_MS - 1)).is_empty(),
        "one is enough"
    );
    let finalised = chain.finalise(&last, at(0, SLOT_MS - 100));
    follow(&mut gateway, &finalised, at(0, SLOT_MS - 100));

    // Within the grace of slot 0, slot 1 is open: its lane block enters.
    promised(&mut gateway, &transfer(&user(0), 0, TO, 5), at(1, 10));
    let lanes = tick(&mut gateway, at(1, 50));
    assert_eq!(lanes[0].lane.header.slot, Slot::new(1));
    let finalised = chain.finalise(&lanes, at(1, 100));
    assert_eq!(finalised.block().lanes.len(), 1);
    const { assert!(100 < GRACE_MS) };
}

#[test]
fn late_transactions_are_promised_for_the_next_slot_and_handed_out_when_it_begins() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut chain = Chain::new();
    let mut gateway = chain.resumed(dir.path());
    promised(
        &mut gateway,
        &transfer(&user(0), 0, TO, 5),
        at(0, SLOT_MS * 7 / 8 - 10),
    );
    let late = SLOT_MS * 7 / 8 + 10;
    let promises = promised(&mut gateway, &transfer(&user(0), 1, TO, 5), at(0, late));
    let position = promises.inclusion.promise.position;
    assert_eq!(
        (position.slot, position.seq, position.index),
        (Slot::new(1), Seq::ZERO, 0)
    );
    let lanes = tick(&mut gateway, at(0, late + 60));
    assert_eq!(lanes.len(), 1, "slot 0 is closed, slot 1 has not begun");
    assert!(lanes[0].lane.header.last);
    let next = tick(&mut gateway, at(1, 0));
    assert_eq!(next.len(), 1);
    assert_eq!(next[0].lane.header.timestamp, at(1, 0));
    let all: Vec<_> = lanes.into_iter().chain(next).collect();
    assert_eq!(chain.finalise(&all, at(1, 100)).block().lanes.len(), 2);
}

#[test]
fn after_a_stall_everything_is_cut_anew_once_and_in_order() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut chain = Chain::new();
    let mut gateway = chain.resumed(dir.path());
    let mut signed = Signed::default();
    // The attesters are silent over slots 0 to 4; users are not.
    let mut order = Vec::new();
    for slot in 0..5 {
        for n in 0..3 {
            let transaction = transfer(&user(n), slot, TO, 1);
            promised(&mut gateway, &transaction, at(slot, 100 + n));
            order.push(transaction.hash());
        }
        tick(&mut gateway, at(slot, 200));
        tick(&mut gateway, at(slot, SLOT_MS - 1));
        signed.read(&gateway);
    }
    let before = signed.promises.len();
    // They are back at slot 5, and none of it can enter any more.
    let finalised = chain.finalise(&[], at(5, 700));
    follow(&mut gateway, &finalised, at(5, 700));
    let mut again = Signed::default();
    again.read(&gateway);
    let recut: Vec<_> = again
        .promises
        .iter()
        .map(|promises| promises.inclusion.promise.transaction)
        .collect();
    assert_eq!(recut, order, "the same transactions in the same order");
    signed.read(&gateway);
    assert!(signed.promises.len() > before);

    // More blocks follow; nothing is cut again, and the lane blocks enter.
    let mut lanes: Vec<SealedLane> = Vec::new();
    for ms in (750..SLOT_MS).step_by(250) {
        lanes.extend(tick(&mut gateway, at(5, ms)));
        let finalised = chain.finalise(&[], at(5, ms));
        follow(&mut gateway, &finalised, at(5, ms));
    }
    lanes.extend(tick(&mut gateway, at(6, 50)));
    let finalised = chain.finalise(&lanes, at(6, 500));
    follow(&mut gateway, &finalised, at(6, 500));
    let mut rest = Signed::default();
    rest.read(&gateway);
    assert!(
        rest.promises.is_empty(),
        "promised once for the stall, then final"
    );
    let engine = gateway.engine(ROLLUP).expect("served");
    let mut included = Vec::new();
    for number in 1..=engine.head().number() {
        let block = engine
            .store()
            .block_by_number(number)
            .expect("reads")
            .expect("there");
        included.extend(
            block
                .transactions
                .iter()
                .map(|transaction| *transaction.tx_hash()),
        );
    }
    assert_eq!(included, order);
}

#[test]
fn pending_goes_on_during_a_stall_but_idle_slots_make_no_more_dead_lane_blocks() {
    let dir = tempfile::tempdir().expect("temp dir");
    let chain = Chain::new();
    let mut gateway = chain.resumed(dir.path());
    promised(&mut gateway, &transfer(&user(0), 0, TO, 1), at(0, 100));
    let stalled = (SLOT_MS + GRACE_MS + STALL_MS) / SLOT_MS + 1;
    for slot in 0..stalled + 20 {
        tick(&mut gateway, at(slot, SLOT_MS - 1));
    }
    let lanes = gateway.engine(ROLLUP).expect("served").pending().count() as u64;
    assert!(
        lanes <= stalled + 1,
        "{lanes} lane blocks in {} slots",
        stalled + 20
    );
    promised(
        &mut gateway,
        &transfer(&user(0), 1, TO, 1),
        at(stalled + 20, 100),
    );
}

#[test]
fn a_full_slot_moves_on_to_the_next() {
    let dir = tempfile::tempdir().expect("temp dir");
    let chain = Chain::with_slot_bytes(400);
    let mut gateway = chain.resumed(dir.path());
    let slots: Vec<_> = (0..8)
        .map_while(|nonce| {
            match submit(&mut gateway, &transfer(&user(0), nonce, TO, 1), at(0, 100)) {
                Ok(Submitted::Promised { promises, .. }) => {
                    Some(promises.inclusion.promise.position.slot.get())
                }
                Ok(other) => panic!("{other:?}"),
                Err(error) => {
                    assert_eq!(error, SubmitError::PoolFull);
                    None
                }
            }
        })
        .collect();
    assert!(
        slots.starts_with(&[0, 0, 0]) && slots.contains(&1),
        "{slots:?}"
    );
    assert!(slots.len() < 8, "two slots ahead is too far: {slots:?}");
    let mut signed = Signed::default();
    signed.read(&gateway);
}

#[test]
fn a_nonce_gap_waits_unpromised_and_is_promised_in_its_turn() {
    let dir = tempfile::tempdir().expect("temp dir");
    let chain = Chain::new();
    let mut gateway = chain.resumed(dir.path());
    let (first, second, third) = (
        transfer(&user(0), 0, TO, 1),
        transfer(&user(0), 1, TO, 1),
        transfer(&user(0), 2, TO, 1),
    );
    for early in [&third, &second] {
        let hash = early.hash();
        let answer = submit(&mut gateway, early, at(0, 100));
        assert_eq!(answer, Ok(Submitted::Queued { hash, expected: 0 }));
        assert!(
            gateway.book().get(&hash).expect("reads").is_none(),
            "nothing is promised"
        );
    }
    promised(&mut gateway, &first, at(0, 101));
    for (index, transaction) in [&first, &second, &third].into_iter().enumerate() {
        let promises = gateway
            .book()
            .get(&transaction.hash())
            .expect("reads")
            .expect("promised");
        assert_eq!(promises.inclusion.promise.position.index, index as u64);
    }
}

#[test]
fn bad_transactions_are_refused_by_name() {
    let dir = tempfile::tempdir().expect("temp dir");
    let chain = Chain::new();
    let mut gateway = chain.resumed(dir.path());
    promised(&mut gateway, &transfer(&user(0), 0, TO, 1), at(0, 100));
    let mut refused = |included| {
        submit(&mut gateway, &included, at(0, 100))
            .expect_err("refused")
            .to_string()
    };
    let poor = SigningKey::from_bytes([0x77; 32]).expect("a key");
    let cases = [
        (
            transfer(&user(0), 0, TO, 2),
            "nonce too low: next nonce 1, tx nonce 0",
        ),
        (
            transfer(&poor, 0, TO, 1),
            "insufficient funds for gas * price + value",
        ),
        (
            custom(&user(1), |tx| tx.gas_limit = 20_999),
            "intrinsic gas too low",
        ),
        (
            custom(&user(1), |tx| tx.gas_limit = 70_000_000),
            "exceeds block gas limit",
        ),
        (
            custom(&user(1), |tx| tx.max_fee_per_gas = 0),
            "max priority fee per gas higher",
        ),
        (
            custom(&user(1), |tx| tx.chain_id = 1),
            "invalid chain id for signer: have 1 want 7001",
        ),
    ];
    for (included, words) in cases {
        let message = refused(included);
        assert!(message.contains(words), "{message:?} should say {words:?}");
    }
    let known = transfer(&user(0), 0, TO, 1);
    let answer = submit(&mut gateway, &known, at(0, 110)).expect("promised before");
    assert!(
        matches!(answer, Submitted::Promised { .. }),
        "and the same promises come again"
    );
}

#[test]
fn a_reference_to_an_unknown_l1_block_is_not_promised() {
    use alloy_eips::eip2930::{AccessList, AccessListItem};
    let dir = tempfile::tempdir().expect("temp dir");
    let chain = Chain::new();
    let mut gateway = chain.resumed(dir.path());
    let referring = |hash: B256| {
        custom(&user(0), |tx| {
            tx.gas_limit = 30_000;
            tx.max_priority_fee_per_gas = 2;
            tx.to = alloy_primitives::TxKind::Call(TO);
            tx.access_list = AccessList(vec![AccessListItem {
                address: cortado_derive::REFERENCE_ADDRESS,
                storage_keys: vec![hash],
            }]);
        })
    };
    let error = submit(&mut gateway, &referring(B256::repeat_byte(1)), at(0, 100));
    let message = error.expect_err("refused").to_string();
    assert!(message.contains("is not an ancestor"), "{message}");
    promised(
        &mut gateway,
        &referring(chain.state.anchor().hash),
        at(0, 100),
    );
}

#[test]
fn a_full_lane_block_is_followed_by_the_next_in_the_same_slot() {
    let dir = tempfile::tempdir().expect("temp dir");
    let chain = Chain::new();
    let mut gateway = chain.resumed(dir.path());
    // Each takes a quarter of a block's gas at most; the executor counts limits, not use.
    let heavy = |nonce| {
        custom(&user(0), |tx| {
            tx.nonce = nonce;
            tx.gas_limit = 16_000_000;
            tx.input = vec![0xfe].into();
            tx.to = alloy_primitives::TxKind::Create;
        })
    };
    let seqs: Vec<_> = (0..6)
        .map(|nonce| {
            promised(&mut gateway, &heavy(nonce), at(0, 100))
                .inclusion
                .promise
                .position
        })
        .map(|position| (position.seq.get(), position.index))
        .collect();
    assert_eq!(seqs, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]);
}

#[test]
fn what_is_not_final_is_handed_out_again() {
    let dir = tempfile::tempdir().expect("temp dir");
    let chain = Chain::new();
    let mut gateway = chain.resumed(dir.path());
    promised(&mut gateway, &transfer(&user(0), 0, TO, 1), at(0, 100));
    let first = tick(&mut gateway, at(0, 150));
    assert_eq!(gateway.offers(at(0, 200), 400), [], "just now");
    assert_eq!(gateway.offers(at(0, 550), 400), first, "the same bytes");
}

#[test]
fn a_lane_block_is_told_before_its_transactions_and_closed_after_them() {
    let dir = tempfile::tempdir().expect("temp dir");
    let chain = Chain::new();
    let mut gateway = chain.resumed(dir.path());
    promised(&mut gateway, &transfer(&user(0), 0, TO, 1), at(0, 100));
    tick(&mut gateway, at(0, 150));
    let mut cursor = Default::default();
    let events = gateway.feed(ROLLUP).expect("served").read(&mut cursor, 100);
    let kinds: Vec<_> = events
        .iter()
        .map(|numbered| match &numbered.event {
            PreconfEvent::Reset => "reset",
            PreconfEvent::Opened { .. } => "opened",
            PreconfEvent::Transaction { .. } => "transaction",
            PreconfEvent::Sealed { .. } => "sealed",
            PreconfEvent::Dropped { .. } => "dropped",
        })
        .collect();
    assert_eq!(kinds, ["reset", "reset", "opened", "transaction", "sealed"]);
    assert!(
        gateway
            .feed(ROLLUP)
            .expect("served")
            .read(&mut cursor, 100)
            .is_empty()
    );
}
