//! A light client believes what verifies and nothing else.

#[path = "support/chain.rs"]
mod chain;

use chain::{OTHER, ROLLUP, TestChain, transactions};
use cortado_chain::ENTRY_NAMESPACE;
use cortado_client::{Lie, LightClient, Unverified, namespace_state};
use cortado_types::{
    B256, Bytes, CertificateError, Height, SeatBitmap, SeatIndex, Term, codec, keccak256,
};
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

fn h(height: u64) -> Height {
    Height::new(height)
}

/// Five blocks; the third is final through the fourth only.
fn story() -> (TestChain, LightClient) {
    let mut chain = TestChain::new();
    chain.extend(&[(ROLLUP, transactions("one", 3))]);
    chain.extend(&[]);
    chain.extend_uncertified(&[
        (ROLLUP, transactions("two", 1)),
        (OTHER, transactions("b", 200)),
    ]);
    chain.extend(&[]);
    chain.extend(&[
        (ROLLUP, transactions("three", 2)),
        (ROLLUP, transactions("four", 2)),
    ]);
    let client = LightClient::new(&chain.genesis).unwrap();
    (chain, client)
}

fn lie<T: std::fmt::Debug>(result: Result<T, Unverified>) -> Lie {
    match result {
        Err(Unverified::Lie(lie)) => lie,
        other => panic!("expected a lie, got {other:?}"),
    }
}

#[test]
fn true_answers_verify() {
    let (chain, client) = story();
    for height in 1..=5 {
        let block = chain.blocks[height as usize].clone();
        let found = client
            .block(h(height), block, &chain.certificate_view(h(height)))
            .unwrap();
        assert_eq!(found.hash(), chain.blocks[height as usize].hash());
    }
    let third = client
        .transaction(&chain.transaction_proof(OTHER, h(1), 150))
        .unwrap();
    assert_eq!(third.raw, transactions("b", 200)[150]);
    assert_eq!(third.lane.block.header().height, h(3));
    let state = client
        .state(
            h(5),
            ENTRY_NAMESPACE,
            ROLLUP.get(),
            &chain.state_proof(h(5), ENTRY_NAMESPACE, ROLLUP.get()),
        )
        .unwrap();
    let tip = namespace_state(&state).unwrap().unwrap().tip;
    assert_eq!(tip.height, h(4));
    let absent = chain.state_proof(h(5), ENTRY_NAMESPACE, 4_242);
    let absent = client.state(h(5), ENTRY_NAMESPACE, 4_242, &absent).unwrap();
    assert_eq!(namespace_state(&absent), Ok(None));
    let first = client
        .history(h(1), h(5), &chain.history_proof(h(1), h(5)))
        .unwrap();
    assert_eq!(first.hash(), chain.blocks[1].hash());
}

#[test]
fn block_without_own_certificate_is_final_through_its_descendant() {
    let (chain, client) = story();
    let view = chain.certificate_view(h(3));
    assert_eq!(view.descendants.len(), 1);
    client
        .raw_header(h(3), &chain.raw_header(h(3)), &view)
        .unwrap();

    let mut cut = view.clone();
    cut.descendants.clear();
    let refused = lie(client.raw_header(h(3), &chain.raw_header(h(3)), &cut));
    assert!(matches!(
        refused,
        Lie::Certificate {
            source: CertificateError::Payload { .. },
            ..
        }
    ));

    let mut foreign = view;
    foreign.descendants = vec![chain.raw_header(h(5))];
    let refused = lie(client.raw_header(h(3), &chain.raw_header(h(3)), &foreign));
    assert!(matches!(refused, Lie::Parent { .. }), "{refused}");
}

#[test]
fn certificate_below_quorum_is_refused() {
    let (mut chain, client) = story();
    chain.certify(h(5), &[0, 3]);
    let refused =
        lie(client.raw_header(h(5), &chain.raw_header(h(5)), &chain.certificate_view(h(5))));
    let want = CertificateError::BelowQuorum {
        signers: 2,
        quorum: 3,
    };
    assert_eq!(
        refused,
        Lie::Certificate {
            height: h(5),
            source: want
        }
    );
}

#[test]
fn bitmap_that_claims_a_seat_which_did_not_sign_is_refused() {
    let (mut chain, client) = story();
    chain.certify(h(5), &[0, 1]);
    let mut view = chain.certificate_view(h(5));
    view.bitmap = SeatBitmap::from_signers(4, (0..3).map(SeatIndex::new));
    let refused = lie(client.raw_header(h(5), &chain.raw_header(h(5)), &view));
    assert!(matches!(
        refused,
        Lie::Certificate {
            source: CertificateError::Bls(_),
            ..
        }
    ));
}

#[test]
fn seats_of_another_genesis_convince_nobody() {
    let (_, client) = story();
    let mut foreign = TestChain::seeded(2);
    foreign.extend(&[]);
    let refused = lie(client.raw_header(
        h(1),
        &foreign.raw_header(h(1)),
        &foreign.certificate_view(h(1)),
    ));
    assert!(matches!(refused, Lie::Seats { .. }), "{refused}");
    // Nor do they under our seats' name.
    let mut header = foreign.blocks[1].header.clone();
    header.seats_hash = client.seats(Term::ZERO).unwrap().hash();
    let certificate = foreign.certificate(&header, &[0, 1, 2, 3]);
    let refused = lie(client.header(header, &certificate, &[]));
    assert!(matches!(refused, Lie::Certificate { .. }), "{refused}");
}

#[test]
fn certificate_of_an_unknown_term_is_not_judged() {
    let (chain, client) = story();
    let mut header = chain.blocks[5].header.clone();
    header.term = Term::new(3);
    let certificate = chain.certificate(&header, &[0, 1, 2]);
    let refused = client.header(header, &certificate, &[]).unwrap_err();
    assert_eq!(refused, Unverified::UnknownTerm(Term::new(3)));
}

#[test]
fn seats_of_the_next_term_are_learnt_only_as_the_last_header_names_them() {
    let (chain, mut client) = story();
    let mut last = chain.blocks[5].header.clone();
    let next = TestChain::seeded(9);
    last.next_seats_hash = next.seats.hash();
    // It is the time that ends a term: a block before names nobody.
    let early = chain.certificate(&last, &[0, 1, 2]);
    let early = client.header(last.clone(), &early, &[]).unwrap();
    assert!(matches!(
        client.learn_seats(&early, next.seats.seats().to_vec()),
        Err(Lie::NotBoundary { .. })
    ));
    last.timestamp = chain.genesis.time.plus(chain.genesis.term_ms);
    let certificate = chain.certificate(&last, &[0, 1, 2]);
    let last = client.header(last, &certificate, &[]).unwrap();
    let wrong = TestChain::seeded(8).seats.seats().to_vec();
    assert!(matches!(
        client.learn_seats(&last, wrong),
        Err(Lie::Other { .. })
    ));
    client
        .learn_seats(&last, next.seats.seats().to_vec())
        .unwrap();

    let mut first = last.header().clone();
    first.term = Term::new(1);
    first.seats_hash = next.seats.hash();
    let by_new = next.certificate(&first, &[0, 1, 2]);
    let by_old = chain.certificate(&first, &[0, 1, 2]);
    assert!(client.header(first.clone(), &by_new, &[]).is_ok());
    assert!(client.header(first, &by_old, &[]).is_err());
}

#[test]
fn certified_header_of_another_height_answers_no_question() {
    let (chain, client) = story();
    let refused =
        lie(client.raw_header(h(4), &chain.raw_header(h(5)), &chain.certificate_view(h(5))));
    assert!(
        matches!(refused, Lie::Other { what: "block", .. }),
        "{refused}"
    );
}

#[test]
fn lanes_that_the_header_does_not_name_are_refused() {
    let (chain, client) = story();
    let mut block = chain.blocks[5].clone();
    block.lanes.swap(0, 1);
    let refused = lie(client.block(h(5), block, &chain.certificate_view(h(5))));
    assert_eq!(refused, Lie::NotWhole { height: h(5) });
}

#[test]
fn block_zero_is_the_genesis_and_no_other() {
    let (chain, client) = story();
    let mut view = chain.certificate_view(h(1));
    assert!(
        client
            .raw_header(h(0), &chain.raw_header(h(0)), &view)
            .is_ok()
    );
    let mut header = chain.blocks[0].header.clone();
    header.state_root = B256::ZERO;
    view.payload = header.hash();
    let refused = lie(client.raw_header(h(0), &codec::encode(&header), &view));
    assert!(matches!(refused, Lie::Genesis { .. }), "{refused}");
}

#[test]
fn body_that_the_lane_header_does_not_name_is_refused() {
    let (chain, _) = story();
    let header = &chain.blocks[1].lanes[0].lane.header;
    assert!(LightClient::body(header, transactions("one", 3)).is_ok());
    let mut reordered = transactions("one", 3);
    reordered.swap(0, 1);
    for body in [
        reordered,
        transactions("one", 2),
        transactions("six", 3),
        Vec::new(),
    ] {
        assert!(matches!(
            LightClient::body(header, body),
            Err(Lie::Body { .. })
        ));
    }
}

#[test]
fn true_proof_of_another_transaction_is_refused() {
    let (chain, client) = story();
    let good = chain.transaction_proof(ROLLUP, h(1), 1);
    let mut moved = good.clone();
    moved.index = 2;
    assert!(client.transaction(&moved).is_err());
    let mut renamed = good.clone();
    renamed.namespace = OTHER;
    assert!(matches!(
        lie(client.transaction(&renamed)),
        Lie::Other {
            what: "namespace",
            ..
        }
    ));
    let mut relabelled = good.clone();
    relabelled.lane_height = h(2);
    assert!(matches!(
        lie(client.transaction(&relabelled)),
        Lie::Other {
            what: "lane block",
            ..
        }
    ));
    let mut replaced = good;
    replaced.transaction = Bytes::from_static(b"one: transaction 9");
    replaced.hash = keccak256(&replaced.transaction);
    assert!(matches!(lie(client.transaction(&replaced)), Lie::Proof(_)));
}

#[test]
fn endless_descendants_are_refused_before_they_are_read() {
    let (chain, client) = story();
    let mut view = chain.certificate_view(h(1));
    view.descendants = vec![Bytes::new(); 257];
    let refused = lie(client.raw_header(h(1), &chain.raw_header(h(1)), &view));
    assert_eq!(
        refused,
        Lie::TooMany {
            what: "descendants",
            count: 257,
            limit: 256
        }
    );
}

/// Every leaf of a JSON value, as a path.
fn leaves(value: &Value, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                path.push(key.clone());
                leaves(value, path, found);
                path.pop();
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                path.push(index.to_string());
                leaves(value, path, found);
                path.pop();
            }
        }
        _ => found.push(path.clone()),
    }
}

/// Changes one leaf: flips a bit of hex, or moves a number.
fn mutate(value: &mut Value, path: &[String], at: usize, bit: u8) {
    let pointer: String = path.iter().map(|part| format!("/{part}")).collect();
    let leaf = value.pointer_mut(&pointer).unwrap();
    match leaf {
        Value::String(text) if text.starts_with("0x") && text.len() > 2 => {
            let mut bytes = text.clone().into_bytes();
            let place = 2 + at % (bytes.len() - 2);
            let digit = char::from(bytes[place]).to_digit(16).unwrap() ^ (1 << (bit % 4));
            bytes[place] = char::from_digit(digit, 16).unwrap() as u8;
            *text = String::from_utf8(bytes).unwrap();
        }
        Value::String(text) => text.push('0'),
        Value::Number(number) => {
            let moved = number.as_u64().unwrap().wrapping_add(1 << (bit % 8));
            *leaf = Value::from(moved);
        }
        _ => *leaf = Value::from("0x00"),
    }
}

/// Whatever single leaf is changed, `check` either refuses, or gives the same answer as before
/// (fields that only repeat what is verified are not read).
fn no_mutation_convinces<T, V>(good: &T, at: usize, bit: u8, check: impl Fn(T) -> Option<V>)
where
    T: Serialize + DeserializeOwned + Clone,
    V: PartialEq + std::fmt::Debug,
{
    let truth = check(good.clone()).expect("the true answer verifies");
    let value = serde_json::to_value(good).unwrap();
    let mut paths = Vec::new();
    leaves(&value, &mut Vec::new(), &mut paths);
    let path = &paths[at % paths.len()];
    let mut changed = value.clone();
    mutate(&mut changed, path, at / paths.len(), bit);
    assert_ne!(changed, value);
    let Ok(changed) = serde_json::from_value::<T>(changed) else {
        return;
    };
    if let Some(believed) = check(changed) {
        assert_eq!(believed, truth, "changed {path:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_altered_proof_convinces(at in 0..100_000usize, bit in 0..8u8, kind in 0..5) {
        thread_local!(static STORY: (TestChain, LightClient) = story());
        STORY.with(|(chain, client)| match kind {
            0 => no_mutation_convinces(&chain.lane_proof(h(3), 1), at, bit, |view| {
                (view.height == h(3) && view.index == 1).then_some(())?;
                client.lane(&view).ok()
            }),
            1 => no_mutation_convinces(&chain.transaction_proof(OTHER, h(1), 77), at, bit, |view| {
                (view.index == 77).then_some(())?;
                client.transaction(&view).ok()
            }),
            2 => {
                let good = chain.state_proof(h(5), ENTRY_NAMESPACE, ROLLUP.get());
                no_mutation_convinces(&good, at, bit, |view| {
                    client.state(h(5), ENTRY_NAMESPACE, ROLLUP.get(), &view).ok()
                });
            }
            3 => no_mutation_convinces(&chain.history_proof(h(2), h(5)), at, bit, |view| {
                client.history(h(2), h(5), &view).ok()
            }),
            _ => no_mutation_convinces(&chain.event(h(3)), at, bit, |event| {
                let block = cortado_types::decode_exact("block", &event.block, 1 << 20).ok()?;
                let found = client.block(h(3), block, &event.certificate).ok()?;
                Some(found.into_parts().0)
            }),
        });
    }
}
