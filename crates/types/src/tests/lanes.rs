//! Lane headers and bodies.

use super::*;
use crate::{
    ecdsa::SignatureError,
    limits::{LANE_BODY_BYTES_MAX, LANE_TRANSACTIONS_MAX, TRANSACTION_BYTES_MAX},
};

/// `keccak(0x1901 ‖ domain separator ‖ struct hash)`, written out.
pub(super) fn eip712_by_hand(chain: ChainId, inner: B256) -> B256 {
    let domain = keccak256(
        [
            keccak256("EIP712Domain(string name,string version,uint256 chainId)"),
            keccak256("Cortado"),
            keccak256("1"),
            U256::from(chain.get()).into(),
        ]
        .concat(),
    );
    keccak256([&[0x19, 0x01][..], &domain[..], &inner[..]].concat())
}

#[test]
fn a_lane_hash_is_the_eip712_digest_that_a_contract_computes() {
    let header = header();
    let word = |value: u64| B256::from(U256::from(value));
    let kind = keccak256(
        "LaneBlock(uint16 version,uint64 namespace,uint64 slot,uint64 seq,bool last,uint64 height,\
         bytes32 parent,uint64 contextNumber,bytes32 contextHash,uint64 timestamp,\
         bytes32 bodyRoot,uint64 size,bytes32 group)",
    );
    let fields = [
        kind,
        word(1),
        word(8_001),
        word(77),
        word(3),
        word(1),
        word(901),
        B256::repeat_byte(0x11),
        word(19_000_000),
        B256::repeat_byte(0x22),
        word(1_700_000_000_123),
        B256::repeat_byte(0x33),
        word(512),
        B256::repeat_byte(0x44),
    ];
    assert_eq!(
        header.hash(),
        eip712_by_hand(CHAIN, keccak256(fields.concat()))
    );
}

#[test]
fn every_field_of_a_lane_header_changes_its_hash() {
    let changes: [fn(&mut LaneHeader); 14] = [
        |h| h.version += 1,
        |h| h.chain_id = ChainId::new(1),
        |h| h.namespace = Namespace::new(1),
        |h| h.slot = Slot::new(1),
        |h| h.seq = Seq::new(1),
        |h| h.last = !h.last,
        |h| h.height = Height::new(1),
        |h| h.parent = B256::ZERO,
        |h| h.context.number += 1,
        |h| h.context.hash = B256::ZERO,
        |h| h.timestamp = TimestampMs::new(1),
        |h| h.body_root = B256::ZERO,
        |h| h.size += 1,
        |h| h.group = B256::ZERO,
    ];
    let mut seen = std::collections::BTreeSet::from([header().hash()]);
    for (i, change) in changes.iter().enumerate() {
        let mut other = header();
        change(&mut other);
        assert!(seen.insert(other.hash()), "field {i} is not in the hash");
        let back = decode_exact("lane header", &codec::encode(&other), 1_000);
        assert_eq!(back, Ok(other));
    }
}

#[test]
fn the_signer_of_a_lane_header_is_known_from_it_alone() {
    let lane = signed(header());
    assert_eq!(lane.signer(), Ok(proposer().address()));
    let mut replayed = lane.clone();
    replayed.header.chain_id = ChainId::new(1);
    assert_ne!(replayed.signer(), Ok(proposer().address()), "another chain");
    let mut broken = lane;
    broken.signature.0[64] = 0;
    assert_eq!(broken.signer(), Err(SignatureError::RecoveryId { v: 0 }));
}

fn header_of(body: &LaneBody) -> LaneHeader {
    LaneHeader {
        body_root: body.root(),
        size: body.size(),
        ..header()
    }
}

#[test]
fn a_body_matches_the_header_that_commits_to_it() {
    let one = body(&[b"a", b"bc"]);
    let header = header_of(&one);
    assert_eq!(one.check(&header), Ok(()));
    assert_eq!(
        LaneBody::decode_limited(&codec::encode(&one)),
        Ok(one.clone())
    );
    let other = body(&[b"bc", b"a"]);
    let want = BodyError::Mismatch {
        size: other.size(),
        root: other.root(),
        header_size: header.size,
        header_root: header.body_root,
    };
    assert_eq!(other.check(&header), Err(want), "the order is committed to");
    let short = LaneHeader {
        size: header.size - 1,
        ..header
    };
    assert!(
        matches!(one.check(&short), Err(BodyError::Mismatch { .. })),
        "the size is checked"
    );
}

#[test]
fn an_empty_body_is_a_body() {
    let none = body(&[]);
    assert_eq!(none.check(&header_of(&none)), Ok(()));
    assert_eq!(none.size(), 2, "a list of an empty list");
}

#[test]
fn a_transaction_without_bytes_is_refused_when_built_and_when_read() {
    let bad = body(&[b"a", b""]);
    assert_eq!(
        bad.check(&header_of(&bad)),
        Err(BodyError::EmptyTransaction { index: 1 })
    );
    assert!(LaneBody::decode_limited(&codec::encode(&bad)).is_err());
}

#[test]
fn a_transaction_over_the_limit_is_refused_when_built_and_when_read() {
    let largest = vec![1; TRANSACTION_BYTES_MAX];
    let good = body(&[&largest]);
    assert_eq!(good.check(&header_of(&good)), Ok(()));
    assert_eq!(LaneBody::decode_limited(&codec::encode(&good)), Ok(good));
    let size = TRANSACTION_BYTES_MAX + 1;
    let over = body(&[b"a", &vec![1; size]]);
    let want = BodyError::TransactionTooLong { index: 1, size };
    assert_eq!(over.check(&header_of(&over)), Err(want));
    assert!(LaneBody::decode_limited(&codec::encode(&over)).is_err());
}

#[test]
fn too_many_transactions_are_refused_when_built_and_when_read() {
    let full = LaneBody {
        transactions: vec![Bytes::from_static(b"x"); LANE_TRANSACTIONS_MAX],
    };
    assert_eq!(full.check(&header_of(&full)), Ok(()));
    assert_eq!(LaneBody::decode_limited(&codec::encode(&full)), Ok(full));
    let count = LANE_TRANSACTIONS_MAX + 1;
    let over = LaneBody {
        transactions: vec![Bytes::from_static(b"x"); count],
    };
    assert_eq!(over.check(&header()), Err(BodyError::TooMany { count }));
    assert!(LaneBody::decode_limited(&codec::encode(&over)).is_err());
}

#[test]
fn a_body_over_the_limit_is_refused_when_built_and_when_read() {
    let largest = Bytes::from(vec![1; TRANSACTION_BYTES_MAX]);
    let over = LaneBody {
        transactions: vec![largest; 32],
    };
    let size = over.size() as usize;
    assert!(size > LANE_BODY_BYTES_MAX);
    assert_eq!(over.check(&header()), Err(BodyError::TooLong { size }));
    let error = LaneBody::decode_limited(&codec::encode(&over)).expect_err("too long");
    assert!(
        matches!(
            error,
            CodecError::TooLong {
                what: "lane body",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn four_mebibytes_of_nothing_are_refused_at_the_first_nothing() {
    // Each empty string is one byte here and a handle of 32 in memory.
    let payload = LANE_BODY_BYTES_MAX - 8;
    let mut list = Vec::new();
    alloy_rlp::Header {
        list: true,
        payload_length: payload,
    }
    .encode(&mut list);
    list.resize(list.len() + payload, 0x80);
    let mut bytes = Vec::new();
    alloy_rlp::Header {
        list: true,
        payload_length: list.len(),
    }
    .encode(&mut bytes);
    bytes.extend(list);
    assert!(bytes.len() <= LANE_BODY_BYTES_MAX);
    let error = LaneBody::decode_limited(&bytes).expect_err("empty transactions");
    let CodecError::Malformed { source, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(
        source,
        alloy_rlp::Error::Custom("list item is shorter or longer than its limits")
    );
}
