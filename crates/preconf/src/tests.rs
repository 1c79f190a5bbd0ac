//! The guilty are named, the innocent never.

use crate::*;
use alloy_primitives::{Log, LogData};
use cortado_types::{
    B256, Bytes, ChainId, Height, L1Ref, LaneBody, LaneHeader, Namespace, Seq, SignedLaneHeader,
    Slot, TimestampMs, U256,
    ecdsa::{Signature, SignatureError, SigningKey},
    keccak256,
    trie::{self, TrieProof},
};
use proptest::prelude::*;

const CHAIN: ChainId = ChainId::new(77);

fn key(i: u8) -> SigningKey {
    SigningKey::from_bytes([i; 32]).expect("a scalar")
}

fn position(index: u64) -> Position {
    Position {
        namespace: Namespace::new(8_001),
        slot: Slot::new(5),
        seq: Seq::new(2),
        index,
    }
}

fn transaction(i: u64) -> Bytes {
    Bytes::from(format!("transaction {i}").into_bytes())
}

/// Inclusion of `transaction(i)` at index `i`.
fn inclusion(i: u64) -> Promise {
    Promise {
        chain_id: CHAIN,
        position: position(i),
        transaction: keccak256(transaction(i)),
        terms: Terms::Inclusion,
        coverage: Coverage { from: 10, to: 20 },
        deadline: TimestampMs::new(1_700_000_000_000),
    }
}

fn execution(i: u64) -> Promise {
    let terms = Terms::Execution {
        l2_parent: B256::repeat_byte(1),
        context: L1Ref {
            number: 9,
            hash: B256::repeat_byte(2),
        },
        outcome: Outcome::of(true, &[], 21_000),
    };
    Promise {
        terms,
        ..inclusion(i)
    }
}

fn body(n: u64) -> LaneBody {
    LaneBody {
        transactions: (0..n).map(transaction).collect(),
    }
}

/// The header that holds what `inclusion` promises.
fn header(body: &LaneBody) -> LaneHeader {
    LaneHeader {
        version: 1,
        chain_id: CHAIN,
        namespace: Namespace::new(8_001),
        slot: Slot::new(5),
        seq: Seq::new(2),
        last: false,
        height: Height::new(40),
        parent: B256::repeat_byte(3),
        context: L1Ref {
            number: 9,
            hash: B256::repeat_byte(2),
        },
        timestamp: TimestampMs::new(1_699_999_999_000),
        body_root: body.root(),
        size: body.size(),
        group: B256::ZERO,
    }
}

fn signed(header: LaneHeader, key: &SigningKey) -> SignedLaneHeader {
    let signature = key.sign(header.hash());
    SignedLaneHeader { header, signature }
}

fn two(first: Promise, second: Promise) -> TwoPromises {
    TwoPromises {
        first: first.sign(&key(1)),
        second: second.sign(&key(1)),
    }
}

/// What `body` shows at the index of `promise`.
fn shown(promise: Promise, body: &LaneBody) -> BrokenByHeader {
    let index = promise.position.index as usize;
    BrokenByHeader {
        promise: promise.sign(&key(1)),
        lane: signed(header(body), &key(1)),
        found: body.transactions.get(index).map(|raw| raw.to_vec()),
        proof: trie::prove_ordered(&body.transactions, index),
    }
}

#[test]
fn the_digest_is_what_a_contract_computes() {
    let word = |value: u64| B256::from(U256::from(value));
    let domain = keccak256(
        [
            keccak256("EIP712Domain(string name,string version,uint256 chainId)"),
            keccak256("Cortado"),
            keccak256("1"),
            word(77),
        ]
        .concat(),
    );
    let kind = keccak256(
        "Preconfirmation(uint64 namespace,uint64 slot,uint64 seq,uint64 index,bytes32 transaction,\
         uint8 kind,bytes32 l2Parent,uint64 contextNumber,bytes32 contextHash,bytes32 outcome,\
         uint64 coverageFrom,uint64 coverageTo,uint64 deadline)",
    );
    let outcome = Outcome::of(true, &[], 21_000).0;
    let promises = [
        (
            inclusion(4),
            [word(1), B256::ZERO, word(0), B256::ZERO, B256::ZERO],
        ),
        (
            execution(4),
            [
                word(2),
                B256::repeat_byte(1),
                word(9),
                B256::repeat_byte(2),
                outcome,
            ],
        ),
    ];
    for (promise, terms) in promises {
        let place = [
            kind,
            word(8_001),
            word(5),
            word(2),
            word(4),
            promise.transaction,
        ];
        let money = [word(10), word(20), word(1_700_000_000_000)];
        let inner = keccak256([&place[..], &terms, &money].concat().concat());
        let want = keccak256([&[0x19, 0x01][..], &domain[..], &inner[..]].concat());
        assert_eq!(promise.digest(), want);
        assert_eq!(promise.sign(&key(1)).signer(), Ok(key(1).address()));
    }
}

#[test]
fn every_field_of_a_promise_changes_its_digest() {
    let changes: [fn(&mut Promise); 11] = [
        |p| p.chain_id = ChainId::new(1),
        |p| p.position.namespace = Namespace::new(1),
        |p| p.position.slot = Slot::new(1),
        |p| p.position.seq = Seq::new(1),
        |p| p.position.index += 1,
        |p| p.transaction = B256::ZERO,
        |p| p.terms = Terms::Inclusion,
        |p| p.coverage.from += 1,
        |p| p.coverage.to += 1,
        |p| p.deadline = TimestampMs::new(1),
        |p| {
            let Terms::Execution { context, .. } = &mut p.terms else {
                unreachable!("built so")
            };
            context.number += 1;
        },
    ];
    let mut seen = std::collections::BTreeSet::from([execution(4).digest()]);
    for (i, change) in changes.iter().enumerate() {
        let mut other = execution(4);
        change(&mut other);
        assert!(seen.insert(other.digest()), "field {i}");
    }
}

#[test]
fn a_promise_comes_back_from_json_with_its_signature() {
    for promise in [inclusion(0), execution(0)] {
        let signed = promise.sign(&key(1));
        let text = serde_json::to_string(&signed).expect("serialises");
        assert_eq!(
            serde_json::from_str::<SignedPromise>(&text).expect("our own text"),
            signed
        );
    }
}

#[test]
fn an_outcome_commits_to_status_logs_and_gas() {
    let log = |topic: u8, data: &'static [u8]| Log {
        address: key(9).address(),
        data: LogData::new_unchecked(vec![B256::repeat_byte(topic)], data.into()),
    };
    let mut seen = std::collections::BTreeSet::new();
    let logs = [
        vec![],
        vec![log(1, b"x")],
        vec![log(2, b"x")],
        vec![log(1, b"x"), log(2, b"x")],
    ];
    for (status, gas) in [(true, 21_000), (false, 21_000), (true, 21_001)] {
        for logs in &logs {
            assert!(seen.insert(Outcome::of(status, logs, gas).0));
        }
    }
    // (1, [], 0x5208) by hand.
    let by_hand = keccak256([0xc5, 0x01, 0xc0, 0x82, 0x52, 0x08]);
    assert_eq!(Outcome::of(true, &[], 21_000).0, by_hand);
}

#[test]
fn two_transactions_for_one_position_contradict() {
    let other = Promise {
        transaction: B256::ZERO,
        ..inclusion(4)
    };
    assert_eq!(two(inclusion(4), other).culprit(), Ok(key(1).address()));
    let other = Promise {
        transaction: B256::ZERO,
        ..execution(4)
    };
    assert_eq!(
        two(inclusion(4), other).culprit(),
        Ok(key(1).address()),
        "whatever the kinds"
    );
}

#[test]
fn two_executions_of_one_transaction_that_differ_contradict() {
    let Terms::Execution {
        l2_parent, context, ..
    } = execution(4).terms
    else {
        unreachable!("built so")
    };
    let outcome = Outcome::of(false, &[], 21_000);
    let terms = Terms::Execution {
        l2_parent,
        context,
        outcome,
    };
    let other = Promise {
        terms,
        ..execution(4)
    };
    assert_eq!(two(execution(4), other).culprit(), Ok(key(1).address()));
}

#[test]
fn promises_that_can_both_be_kept_are_no_evidence() {
    let none = Err(EvidenceError::NoContradiction);
    assert_eq!(
        two(inclusion(4), inclusion(4)).culprit(),
        none,
        "the same twice"
    );
    assert_eq!(
        two(inclusion(4), execution(4)).culprit(),
        none,
        "inclusion, then execution"
    );
    assert_eq!(
        two(inclusion(4), inclusion(5)).culprit(),
        none,
        "two positions"
    );
    let elsewhere = Promise {
        chain_id: ChainId::new(1),
        transaction: B256::ZERO,
        ..inclusion(4)
    };
    assert_eq!(two(inclusion(4), elsewhere).culprit(), none, "two chains");
}

#[test]
fn promises_of_two_signers_are_no_evidence_against_either() {
    let other = Promise {
        transaction: B256::ZERO,
        ..inclusion(4)
    };
    let evidence = TwoPromises {
        first: inclusion(4).sign(&key(1)),
        second: other.sign(&key(2)),
    };
    let (first, second) = (key(1).address(), key(2).address());
    assert_eq!(
        evidence.culprit(),
        Err(EvidenceError::DifferentSigners { first, second })
    );
}

#[test]
fn a_bad_signature_is_named() {
    let other = Promise {
        transaction: B256::ZERO,
        ..inclusion(4)
    };
    let mut evidence = two(inclusion(4), other);
    evidence.second.signature = Signature([0; 65].into());
    let source = SignatureError::RecoveryId { v: 0 };
    assert_eq!(evidence.culprit(), Err(EvidenceError::Signature(source)));
}

#[test]
fn a_body_with_another_transaction_at_the_index_breaks_the_promise() {
    let mut altered = body(9);
    altered.transactions.swap(4, 5);
    assert_eq!(
        shown(inclusion(4), &altered).culprit(),
        Ok(key(1).address())
    );
    assert_eq!(
        shown(execution(4), &altered).culprit(),
        Ok(key(1).address())
    );
}

#[test]
fn a_body_that_ends_before_the_index_breaks_the_promise() {
    for n in [0, 1, 4] {
        assert_eq!(
            shown(inclusion(4), &body(n)).culprit(),
            Ok(key(1).address()),
            "{n}"
        );
    }
}

#[test]
fn a_body_that_keeps_the_promise_is_no_evidence() {
    let kept = shown(inclusion(4), &body(9));
    assert_eq!(kept.culprit(), Err(EvidenceError::NoContradiction));
    // Nor can it be shown as absent, or as something else.
    let mut absent = kept.clone();
    absent.found = None;
    assert!(matches!(absent.culprit(), Err(EvidenceError::Proof(_))));
    let mut other = kept.clone();
    other.found = Some(b"something else".to_vec());
    assert!(matches!(other.culprit(), Err(EvidenceError::Proof(_))));
    let mut bare = kept;
    (bare.found, bare.proof) = (None, TrieProof::default());
    assert!(matches!(bare.culprit(), Err(EvidenceError::Proof(_))));
}

#[test]
fn a_header_for_another_lane_block_is_no_evidence() {
    let changes: [fn(&mut LaneHeader); 4] = [
        |h| h.chain_id = ChainId::new(1),
        |h| h.namespace = Namespace::new(9),
        |h| h.slot = Slot::new(6),
        |h| h.seq = Seq::new(3),
    ];
    for change in changes {
        let mut evidence = shown(inclusion(4), &body(2));
        let mut header = evidence.lane.header.clone();
        change(&mut header);
        evidence.lane = signed(header, &key(1));
        let position = position(4);
        assert_eq!(
            evidence.culprit(),
            Err(EvidenceError::DifferentPlace { position })
        );
    }
}

#[test]
fn a_header_of_another_signer_is_no_evidence() {
    let mut evidence = shown(inclusion(4), &body(2));
    evidence.lane = signed(evidence.lane.header.clone(), &key(2));
    let (first, second) = (key(1).address(), key(2).address());
    assert_eq!(
        evidence.culprit(),
        Err(EvidenceError::DifferentSigners { first, second })
    );
}

#[test]
fn two_headers_for_one_place_contradict() {
    let (one, other) = (header(&body(1)), header(&body(2)));
    let evidence = |first: &LaneHeader, second: &LaneHeader, by: u8| LaneEquivocation {
        first: signed(first.clone(), &key(1)),
        second: signed(second.clone(), &key(by)),
    };
    let guilty = evidence(&one, &other, 1);
    assert_eq!(guilty.culprit(), Ok(key(1).address()));
    let bytes = alloy_rlp::encode(&guilty);
    assert_eq!(
        cortado_types::decode_exact("evidence", &bytes, 4_096),
        Ok(guilty)
    );

    assert_eq!(
        evidence(&one, &one, 1).culprit(),
        Err(EquivocationError::Same)
    );
    let (first, second) = (key(1).address(), key(2).address());
    let strangers = EquivocationError::DifferentSigners { first, second };
    assert_eq!(evidence(&one, &other, 2).culprit(), Err(strangers));
    let mut broken = evidence(&one, &other, 1);
    broken.first.signature = Signature([0; 65].into());
    let source = SignatureError::RecoveryId { v: 0 };
    assert_eq!(broken.culprit(), Err(EquivocationError::Signature(source)));
    let changes: [fn(&mut LaneHeader); 4] = [
        |h| h.chain_id = ChainId::new(1),
        |h| h.namespace = Namespace::new(9),
        |h| h.slot = Slot::new(6),
        |h| h.seq = Seq::new(3),
    ];
    for change in changes {
        let mut elsewhere = other.clone();
        change(&mut elsewhere);
        let evidence = evidence(&one, &elsewhere, 1);
        assert_eq!(evidence.culprit(), Err(EquivocationError::DifferentPlace));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..Default::default() })]

    /// An honest proposer signs one promise a position and one header a place, which keeps them.
    /// Whatever two of its messages somebody puts together, nobody is found guilty.
    #[test]
    fn an_honest_proposer_is_never_guilty(
        n in 1u64..20, i in 0u64..24, j in 0u64..24, executed: bool, claim in 0u8..3,
    ) {
        let (i, j) = (i % n, j % n);
        let body = body(n);
        let one = if executed { execution(i) } else { inclusion(i) };
        prop_assert!(two(one, inclusion(j)).culprit().is_err());
        let mut evidence = shown(one, &body);
        evidence.proof = trie::prove_ordered(&body.transactions, j as usize);
        evidence.found = match claim {
            0 => None,
            1 => Some(transaction(j).to_vec()),
            _ => Some(b"never sent".to_vec()),
        };
        prop_assert!(evidence.culprit().is_err());
        let lane = evidence.lane;
        let same = LaneEquivocation { first: lane.clone(), second: lane };
        prop_assert!(same.culprit().is_err());
    }

    /// A dishonest one always is: some promise is not in the body it signed.
    #[test]
    fn a_broken_promise_is_always_provable(n in 0u64..20, i in 0u64..24, replaced: bool) {
        let mut body = body(n);
        if let Some(raw) = body.transactions.get_mut(i as usize) {
            *raw = if replaced { Bytes::from_static(b"mine") } else { transaction(i + 1) };
        }
        prop_assert_eq!(shown(inclusion(i), &body).culprit(), Ok(key(1).address()));
    }
}
