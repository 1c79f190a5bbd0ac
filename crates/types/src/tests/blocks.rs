//! Blocks and what they carry, as bytes.

use super::*;
use crate::{
    block::{L1Finality, group_hash},
    header::PartialL1,
    limits::{BLOCK_BYTES_MAX, L1_HEADER_BYTES_MAX, L1_HEADERS_PER_MOVE_MAX},
};
use alloy_rlp::{Decodable, Encodable};

fn quorum() -> QuorumCertificate {
    let (set, secrets) = seats(4);
    let subject = Subject {
        kind: SubjectKind::Sight,
        hash: B256::repeat_byte(9),
    };
    certificate(subject, &set, &secrets, 0..3)
}

fn block() -> Block {
    let covered = LaneEntry {
        lane: signed(header()),
        certificate: None,
    };
    let mut child = header();
    child.parent = covered.lane.header.hash();
    let child = LaneEntry {
        lane: signed(child),
        certificate: Some(quorum()),
    };
    let moved = PointerMove {
        headers: vec![
            Bytes::from_static(b"not read here"),
            Bytes::from_static(b"nor this"),
        ],
        sight: quorum(),
        mover: Some(proposer().sign(B256::repeat_byte(1))),
    };
    let finality = L1Finality {
        block: L1Ref {
            number: 5,
            hash: B256::repeat_byte(5),
        },
        certificate: quorum(),
    };
    let lanes = vec![covered, child];
    let operations = vec![
        Operation::MovePointer(moved),
        Operation::FinalizeL1(finality),
    ];
    let head = L1Head {
        block: L1Ref {
            number: 6,
            hash: B256::repeat_byte(6),
        },
        partial: Some(PartialL1 {
            index: 2,
            accumulators: B256::repeat_byte(7),
        }),
    };
    let header = Header {
        version: 1,
        chain_id: CHAIN,
        term: TERM,
        view: View::new(9),
        parent_view: View::new(7),
        height: Height::new(100),
        parent: B256::repeat_byte(8),
        slot: Slot::new(77),
        timestamp: TimestampMs::new(1_700_000_000_123),
        l1_head: head,
        l1_fin: L1Ref {
            number: 5,
            hash: B256::repeat_byte(5),
        },
        lanes_root: Block::lanes_root(&lanes),
        operations_root: Block::operations_root(&operations),
        state_root: B256::repeat_byte(10),
        history_root: B256::repeat_byte(11),
        seats_hash: B256::repeat_byte(12),
        next_seats_hash: B256::repeat_byte(13),
    };
    Block {
        header,
        lanes,
        operations,
    }
}

fn decode(bytes: &[u8]) -> Result<Block, CodecError> {
    decode_exact("block", bytes, BLOCK_BYTES_MAX)
}

#[test]
fn a_block_comes_back_as_it_was_written() {
    let block = block();
    let bytes = codec::encode(&block);
    assert_eq!(
        bytes.len(),
        block.length(),
        "the announced length is the real one"
    );
    let back = decode(&bytes).expect("our own bytes");
    assert_eq!(back, block);
    assert_eq!(back.hash(), block.hash());
    assert!(back.is_whole());
}

#[test]
fn a_block_comes_back_from_json_as_it_was_written() {
    let block = block();
    let text = serde_json::to_string(&block).expect("serialises");
    assert_eq!(
        serde_json::from_str::<Block>(&text).expect("our own text"),
        block
    );
}

#[test]
fn a_block_with_a_lane_taken_out_or_exchanged_is_not_the_block_its_hash_names() {
    let whole = block();
    let mut without = whole.clone();
    without.lanes.pop();
    assert!(!without.is_whole(), "a lane is missing");
    let mut exchanged = whole.clone();
    exchanged.lanes.swap(0, 1);
    assert!(!exchanged.is_whole(), "the order is committed to");
    let mut uncertified = whole.clone();
    uncertified.lanes[1].certificate = None;
    assert!(!uncertified.is_whole(), "certificates are committed to");
    let mut idle = whole;
    idle.operations.pop();
    assert!(!idle.is_whole(), "an operation is missing");
}

#[test]
fn every_field_of_the_header_changes_its_hash() {
    let header = block().header;
    let bytes = codec::encode(&header);
    let mut seen = std::collections::BTreeSet::from([header.hash()]);
    // Flipping the last bit of any byte of a value gives another header or no header at all.
    for at in 3..bytes.len() {
        let mut other = bytes.clone();
        other[at] ^= 1;
        if let Ok(other) = Header::decode(&mut &other[..]) {
            assert!(
                seen.insert(other.hash()),
                "two headers share a hash (byte {at})"
            );
        }
    }
    assert!(seen.len() > 300, "most flips still decode");
}

#[test]
fn a_block_over_the_limit_is_refused_before_it_is_read() {
    let bytes = vec![0xff; BLOCK_BYTES_MAX + 1];
    let error = decode(&bytes).expect_err("too long");
    let (size, limit) = (BLOCK_BYTES_MAX + 1, BLOCK_BYTES_MAX);
    assert_eq!(
        error,
        CodecError::TooLong {
            what: "block",
            size,
            limit
        }
    );
}

#[test]
fn trailing_bytes_are_refused() {
    let mut bytes = codec::encode(&block());
    bytes.extend_from_slice(&[0, 0]);
    assert_eq!(
        decode(&bytes),
        Err(CodecError::Trailing {
            what: "block",
            trailing: 2
        })
    );
}

#[test]
fn a_block_cut_anywhere_is_refused() {
    let bytes = codec::encode(&block());
    for end in 0..bytes.len() {
        let error = decode(&bytes[..end]).expect_err("cut");
        assert!(
            matches!(error, CodecError::Malformed { .. }),
            "{end}: {error}"
        );
    }
}

#[test]
fn an_extra_field_in_any_list_is_refused() {
    // Rewrap a payload with one more item and the right length: only the shape is wrong.
    fn with_extra<T: Encodable + Decodable>(value: &T) -> alloy_rlp::Result<T> {
        let bytes = alloy_rlp::encode(value);
        let mut payload = alloy_rlp::Header::decode_bytes(&mut &bytes[..], true)
            .expect("a list")
            .to_vec();
        payload.push(0x01);
        let mut out = Vec::new();
        alloy_rlp::Header {
            list: true,
            payload_length: payload.len(),
        }
        .encode(&mut out);
        out.extend(payload);
        T::decode(&mut &out[..])
    }
    let block = block();
    assert!(with_extra(&block).is_err());
    assert!(with_extra(&block.header).is_err());
    assert!(with_extra(&block.header.l1_head).is_err());
    assert!(with_extra(&block.lanes[0]).is_err());
    assert!(with_extra(&block.lanes[1].lane).is_err());
    assert!(with_extra(&block.lanes[1].lane.header).is_err());
    assert!(with_extra(&block.operations[0]).is_err());
    assert!(with_extra(&block.operations[1]).is_err());
    let Operation::MovePointer(moved) = &block.operations[0] else {
        unreachable!("built so")
    };
    assert!(with_extra(moved).is_err());
    assert!(with_extra(&moved.sight).is_err());
}

#[test]
fn an_unknown_kind_of_operation_is_refused() {
    let mut bytes = codec::encode(&block().operations[1]);
    let at = bytes.iter().position(|byte| *byte == 2).expect("the kind");
    bytes[at] = 4;
    assert_eq!(
        Operation::decode(&mut &bytes[..]),
        Err(alloy_rlp::Error::Custom("unknown kind of operation"))
    );
}

fn move_of(headers: Vec<Bytes>) -> PointerMove {
    PointerMove {
        headers,
        sight: quorum(),
        mover: None,
    }
}

#[test]
fn a_pointer_move_with_one_header_too_many_is_refused_while_it_is_read() {
    let full = move_of(vec![Bytes::from_static(b"x"); L1_HEADERS_PER_MOVE_MAX]);
    assert_eq!(
        PointerMove::decode(&mut &codec::encode(&full)[..]),
        Ok(full)
    );
    let over = move_of(vec![Bytes::from_static(b"x"); L1_HEADERS_PER_MOVE_MAX + 1]);
    assert!(PointerMove::decode(&mut &codec::encode(&over)[..]).is_err());
}

#[test]
fn a_pointer_move_with_an_overlong_header_is_refused_while_it_is_read() {
    let full = move_of(vec![vec![1; L1_HEADER_BYTES_MAX].into()]);
    assert_eq!(
        PointerMove::decode(&mut &codec::encode(&full)[..]),
        Ok(full)
    );
    let over = move_of(vec![vec![1; L1_HEADER_BYTES_MAX + 1].into()]);
    assert!(PointerMove::decode(&mut &codec::encode(&over)[..]).is_err());
}

#[test]
fn an_optional_field_holds_at_most_one_value() {
    let entry = &block().lanes[1];
    let lane = alloy_rlp::encode(&entry.lane);
    let certificate = alloy_rlp::encode(entry.certificate.as_ref().expect("certified"));
    let two = [certificate.clone(), certificate].concat();
    let mut payload = lane;
    alloy_rlp::Header {
        list: true,
        payload_length: two.len(),
    }
    .encode(&mut payload);
    payload.extend(two);
    let mut bytes = Vec::new();
    alloy_rlp::Header {
        list: true,
        payload_length: payload.len(),
    }
    .encode(&mut bytes);
    bytes.extend(payload);
    assert!(LaneEntry::decode(&mut &bytes[..]).is_err());
}

#[test]
fn a_group_is_the_hash_of_its_members_in_order() {
    let one = (
        Namespace::new(2),
        Slot::new(3),
        Seq::new(4),
        B256::repeat_byte(5),
    );
    let two = (
        Namespace::new(6),
        Slot::new(3),
        Seq::new(0),
        B256::repeat_byte(7),
    );
    let by_hand = [
        &2u64.to_be_bytes()[..],
        &3u64.to_be_bytes(),
        &4u64.to_be_bytes(),
        &[5; 32],
        &6u64.to_be_bytes(),
        &3u64.to_be_bytes(),
        &0u64.to_be_bytes(),
        &[7; 32],
    ]
    .concat();
    assert_eq!(group_hash(&[one, two]), keccak256(by_hand));
    assert_ne!(group_hash(&[one, two]), group_hash(&[two, one]));
    assert_ne!(group_hash(&[one, two]), group_hash(&[one]));
}

#[test]
fn a_mover_signs_slot_target_and_chain() {
    let (slot, target) = (Slot::new(4), B256::repeat_byte(5));
    let digest = PointerMove::digest(CHAIN, slot, target);
    assert_ne!(digest, PointerMove::digest(ChainId::new(1), slot, target));
    assert_ne!(digest, PointerMove::digest(CHAIN, Slot::new(5), target));
    assert_ne!(digest, PointerMove::digest(CHAIN, slot, B256::ZERO));
    let kind = keccak256("MovePointer(uint64 slot,bytes32 target)");
    let inner = keccak256([&kind[..], &B256::with_last_byte(4)[..], &target[..]].concat());
    assert_eq!(digest, super::lanes::eip712_by_hand(CHAIN, inner));
}
