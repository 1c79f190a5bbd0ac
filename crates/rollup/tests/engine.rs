//! Derivation and execution of finalised lane blocks, and what the tags mean.

#[path = "support/chain.rs"]
mod chain;

use chain::{Chain, OTHER, ROLLUP, at, follow, promised, tick, transfer, user};
use cortado_rollup::{
    engine::EngineError,
    source::{Finalised, FinalisedError},
};
use cortado_types::{Address, CertificateError, SeatBitmap, SeatIndex};
use std::collections::BTreeMap;

const TO: Address = Address::repeat_byte(9);

#[test]
fn an_adopted_block_is_the_one_that_execution_gives() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut chain = Chain::new();
    let mut gateway = chain.gateway(dir.path(), 1, None);
    gateway.resume(at(0, 0)).expect("resumes");
    let mut fresh = chain.engine(&dir.path().join("fresh"), ROLLUP);
    for round in 0..5 {
        for n in 0..10 {
            promised(
                &mut gateway,
                &transfer(&user(n), round, TO, 7),
                at(0, 100 + round * 100),
            );
        }
        let lanes = tick(&mut gateway, at(0, 150 + round * 100));
        let finalised = chain.finalise(&lanes, at(0, 160 + round * 100));
        follow(&mut gateway, &finalised, at(0, 160 + round * 100));
        let applied = fresh.apply(&finalised).expect("applies");
        assert!(
            !applied.derivation.lanes[0].adopted,
            "it never saw the pending block"
        );
        let adopted = gateway.engine(ROLLUP).expect("served").head();
        assert_eq!(adopted.hash(), fresh.head().hash());
    }
    assert_eq!(fresh.head().number(), 5);
}

#[test]
fn the_proposer_does_not_execute_twice() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut chain = Chain::new();
    let mut engine = chain.engine(&dir.path().join("engine"), ROLLUP);
    let mut gateway = chain.gateway(dir.path(), 1, None);
    gateway.resume(at(0, 0)).expect("resumes");
    let transaction = transfer(&user(0), 0, TO, 7);
    promised(&mut gateway, &transaction, at(0, 100));
    let lanes = tick(&mut gateway, at(0, 150));
    // The same lane block as pending in another engine, then final.
    let header = lanes[0].lane.header.clone();
    engine.open_lane(header.clone(), lanes[0].lane.signer().expect("signed"));
    engine.push(transaction).expect("executes");
    engine.seal_lane(header).expect("closes");
    let pending = engine.view(None).pending[0].record.hash();
    let applied = engine
        .apply(&chain.finalise(&lanes, at(0, 200)))
        .expect("applies");
    assert!(applied.derivation.lanes[0].adopted);
    assert_eq!(engine.head().hash(), pending);
    assert!(engine.view(None).pending.is_empty());
}

#[test]
fn latest_does_not_move_without_a_quorum() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut chain = Chain::new();
    let mut engine = chain.engine(dir.path(), ROLLUP);
    let good = chain.finalise(&[], at(0, 100));
    let block = good.block().clone();
    let mut certificate = chain.certify(&block);
    certificate.signers = SeatBitmap::from_signers(4, (0..2).map(SeatIndex::new));
    let id = chain.genesis.chain_id;
    let refused = Finalised::verify(
        block.clone(),
        certificate,
        BTreeMap::new(),
        id,
        &chain.state.seats,
    );
    let below = CertificateError::BelowQuorum {
        signers: 2,
        quorum: 3,
    };
    assert_eq!(
        refused.expect_err("refused"),
        FinalisedError::Certificate {
            height: block.header.height,
            source: below
        }
    );
    // Another block's certificate does not serve either, nor does another content.
    let next = chain.finalise(&[], at(0, 200));
    let wrong = next.certificate().clone();
    let refused = Finalised::verify(
        block.clone(),
        wrong,
        BTreeMap::new(),
        id,
        &chain.state.seats,
    );
    assert!(matches!(refused, Err(FinalisedError::Certificate { .. })));
    assert!(
        matches!(engine.apply(&next), Err(EngineError::NotNext { .. })),
        "a gap is refused"
    );
    engine.apply(&good).expect("applies");
    engine.apply(&next).expect("applies");
}

#[test]
fn tags_climb_from_pending_to_finalized() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut chain = Chain::new();
    let mut gateway = chain.gateway(dir.path(), 1, None);
    gateway.resume(at(0, 0)).expect("resumes");
    // The context of the first block is the anchor, which is final from the start; so move on.
    follow(&mut gateway, &chain.move_pointer(at(0, 10)), at(0, 10));
    promised(&mut gateway, &transfer(&user(0), 0, TO, 7), at(0, 100));
    let pending = gateway.engine(ROLLUP).expect("served").pending().count();
    assert_eq!((pending, head(&gateway)), (1, 0), "pending, not latest");
    let lanes = tick(&mut gateway, at(0, 150));
    follow(
        &mut gateway,
        &chain.finalise(&lanes, at(0, 200)),
        at(0, 200),
    );
    let engine = gateway.engine(ROLLUP).expect("served");
    assert_eq!(
        (head(&gateway), engine.safe().0, engine.finalized().0),
        (1, 0, 0),
        "latest"
    );
    follow(&mut gateway, &chain.finalise_l1(at(0, 300)), at(0, 300));
    let engine = gateway.engine(ROLLUP).expect("served");
    assert_eq!(
        (head(&gateway), engine.safe().0, engine.finalized().0),
        (1, 1, 1),
        "finalized"
    );
    assert_eq!(engine.l1_fin().number, 101);
}

fn head(gateway: &cortado_rollup::gateway::Gateway) -> u64 {
    gateway.engine(ROLLUP).expect("served").head().number()
}

#[test]
fn safe_follows_what_the_l1_calls_safe() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut chain = Chain::new();
    let mut gateway = chain.gateway(&dir.path().join("proposer"), 1, None);
    gateway.resume(at(0, 0)).expect("resumes");
    let moved = chain.move_pointer(at(0, 10));
    follow(&mut gateway, &moved, at(0, 10));
    promised(&mut gateway, &transfer(&user(0), 0, TO, 7), at(0, 100));
    let lanes = tick(&mut gateway, at(0, 150));
    let finalised = chain.finalise(&lanes, at(0, 200));
    let mut engine = chain.engine(&dir.path().join("node"), ROLLUP);
    engine.apply(&moved).expect("applies");
    engine.apply(&finalised).expect("applies");
    let header = cortado_l1::TrackedHeader::read(&chain.genesis.l1.anchor).expect("a header");
    engine.set_l1_safe(header.to_ref());
    assert_eq!(
        (engine.safe().0, engine.finalized().0),
        (0, 0),
        "its context is block 101"
    );
    let elsewhere = cortado_types::L1Ref {
        number: 101,
        hash: cortado_types::B256::ZERO,
    };
    engine.set_l1_safe(elsewhere);
    assert_eq!(
        engine.safe().0,
        0,
        "what is safe elsewhere is not safe here"
    );
    engine.set_l1_safe(moved.block().header.l1_head.block);
    assert_eq!((engine.safe().0, engine.finalized().0), (1, 0));
}

#[test]
fn a_reopened_engine_goes_on_where_it_was_persisted_and_agrees() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut chain = Chain::new();
    let mut gateway = chain.gateway(&dir.path().join("proposer"), 1, None);
    gateway.resume(at(0, 0)).expect("resumes");
    let mut blocks = Vec::new();
    for round in 0..6 {
        let ms = 100 + round * 100;
        if round == 3 {
            blocks.push(chain.move_pointer(at(0, ms)));
            follow(&mut gateway, blocks.last().expect("pushed"), at(0, ms));
        }
        promised(&mut gateway, &transfer(&user(0), round, TO, 7), at(0, ms));
        let lanes = tick(&mut gateway, at(0, ms + 50));
        blocks.push(chain.finalise(&lanes, at(0, ms + 60)));
        follow(&mut gateway, blocks.last().expect("pushed"), at(0, ms + 60));
    }
    let expected = gateway.engine(ROLLUP).expect("served").head().hash();
    for persisted in 0..=blocks.len() {
        let own = dir.path().join(format!("node-{persisted}"));
        let mut engine = chain.engine(&own, ROLLUP);
        for (index, block) in blocks.iter().enumerate() {
            if index == persisted {
                engine.persist().expect("persists");
            }
            engine.apply(block).expect("applies");
        }
        drop(engine);
        let mut engine = chain.engine(&own, ROLLUP);
        let from = engine.next_height().get() as usize - 1;
        assert_eq!(
            from,
            persisted % blocks.len(),
            "what was not persisted comes again"
        );
        for block in &blocks[from..] {
            engine.apply(block).expect("applies again");
        }
        assert_eq!(engine.head().hash(), expected, "persisted at {persisted}");
    }
}

#[test]
fn two_rollups_share_a_block_and_not_a_state() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut chain = Chain::new();
    let mut gateway = chain.gateway(dir.path(), 1, None);
    gateway.resume(at(0, 0)).expect("resumes");
    let mut other = chain.engine(&dir.path().join("other"), OTHER);
    promised(&mut gateway, &transfer(&user(0), 0, TO, 7), at(0, 100));
    let lanes = tick(&mut gateway, at(0, 150));
    let finalised = chain.finalise(&lanes, at(0, 200));
    let applied = other.apply(&finalised).expect("applies");
    assert!(applied.derivation.lanes.is_empty());
    assert_eq!(other.head().number(), 0);
}

#[test]
fn a_directory_of_another_chain_is_refused() {
    let dir = tempfile::tempdir().expect("temp dir");
    let chain = Chain::new();
    drop(chain.engine(dir.path(), ROLLUP));
    let other = Chain::starting(chain::GENESIS_MS + 2_000, 1 << 20);
    let opened = cortado_rollup::engine::Engine::open(
        dir.path(),
        chain.rollup(ROLLUP),
        &other.genesis,
        other.genesis_hash,
    );
    assert!(matches!(opened, Err(EngineError::WrongChain { .. })));
}
