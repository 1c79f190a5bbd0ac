//! What is printed of a small story on two forks.

use super::report::{Head, Report};
use crate::devnet::transfer;
use alloy_consensus::Header as L1Header;
use alloy_eips::eip2718::Encodable2718;
use alloy_genesis::{Genesis, GenesisAccount};
use alloy_primitives::U256;
use anyhow::anyhow;
use cortado_rollup::{engine::RollupSpec, fork::L1Forks, service::spec_of};
use cortado_types::{
    Address, B256, Block, Bytes, ChainId, Header, Height, L1Head, L1Ref, LaneBody, LaneHeader,
    Namespace, Operation, PointerMove, QuorumCertificate, SeatBitmap, Seq, SignedLaneHeader, Slot,
    Term, TimestampMs, View, codec, ecdsa::SigningKey, keccak256,
};

const ROLLUP: Namespace = Namespace::new(7_001);
const TO: Address = Address::repeat_byte(9);

fn key() -> SigningKey {
    SigningKey::from_bytes([7; 32]).unwrap()
}

fn l1(number: u64, parent: B256, fork: u8) -> (Bytes, L1Ref) {
    let header = L1Header {
        number,
        parent_hash: parent,
        extra_data: vec![fork].into(),
        ..L1Header::default()
    };
    let raw = Bytes::from(codec::encode(&header));
    let hash = keccak256(&raw);
    (raw, L1Ref { number, hash })
}

/// A block of the finality chain that points along these L1 headers.
fn pointing(headers: &[&Bytes], head: L1Ref, fin: L1Ref) -> Block {
    let header = Header {
        version: 1,
        chain_id: ChainId::new(1),
        term: Term::ZERO,
        view: View::ZERO,
        parent_view: View::ZERO,
        height: Height::new(1),
        parent: B256::ZERO,
        slot: Slot::ZERO,
        timestamp: TimestampMs::ZERO,
        l1_head: L1Head::whole(head),
        l1_fin: fin,
        lanes_root: B256::ZERO,
        operations_root: B256::ZERO,
        state_root: B256::ZERO,
        history_root: B256::ZERO,
        seats_hash: B256::ZERO,
        next_seats_hash: B256::ZERO,
    };
    let moved = PointerMove {
        headers: headers.iter().copied().cloned().collect(),
        sight: QuorumCertificate {
            signers: SeatBitmap::from_signers(4, []),
            signature: Default::default(),
        },
        mover: None,
    };
    Block {
        header,
        lanes: Vec::new(),
        operations: vec![Operation::MovePointer(moved)],
    }
}

fn lane(height: u64, context: L1Ref, nonces: &[u64]) -> (SignedLaneHeader, LaneBody) {
    let raw = |nonce: &u64| transfer(&key(), ROLLUP.get(), *nonce, TO).encoded_2718();
    let body = LaneBody {
        transactions: nonces.iter().map(|nonce| raw(nonce).into()).collect(),
    };
    let header = LaneHeader {
        version: 1,
        chain_id: ChainId::new(1),
        namespace: ROLLUP,
        slot: Slot::ZERO,
        seq: Seq::new(height - 1),
        last: false,
        height: Height::new(height),
        parent: B256::ZERO,
        context,
        timestamp: TimestampMs::new(1_000 * height),
        body_root: body.root(),
        size: body.size(),
        group: B256::ZERO,
    };
    let signature = key().sign(header.hash());
    (SignedLaneHeader { header, signature }, body)
}

fn spec() -> RollupSpec {
    let rich = GenesisAccount::default().with_balance(U256::from(10).pow(U256::from(18)));
    let genesis = Genesis {
        gas_limit: 30_000_000,
        alloc: [(key().address(), rich)].into(),
        ..Genesis::default()
    };
    spec_of(ROLLUP, genesis, None)
}

/// ```text
///   100 ── 101    lane block 1 on 100, 2 on 101, 3 is empty
///      └── 101'── 102'   lane block 4 on 102'
/// ```
struct Story {
    forks: L1Forks,
    anchor: L1Ref,
    lost: L1Ref,
    won: L1Ref,
    lanes: Vec<(SignedLaneHeader, LaneBody)>,
}

fn story() -> Story {
    let (first, anchor) = l1(100, B256::ZERO, 0);
    let (old, lost) = l1(101, anchor.hash, 0);
    let (new, at) = l1(101, anchor.hash, 1);
    let (newer, won) = l1(102, at.hash, 1);
    let mut forks = L1Forks::new(&first, None).unwrap();
    forks.take(&pointing(&[&old], lost, anchor)).unwrap();
    forks.take(&pointing(&[&new, &newer], won, anchor)).unwrap();
    let lanes = vec![
        lane(1, anchor, &[0, 5]),
        lane(2, lost, &[1]),
        lane(3, lost, &[]),
        lane(4, won, &[1]),
    ];
    Story {
        forks,
        anchor,
        lost,
        won,
        lanes,
    }
}

impl Story {
    /// What is printed on the fork that ends in `fork`, and the hashes of its L2 blocks.
    fn print(&self, json: bool, from: u64, fork: L1Ref, stopped: &str) -> (String, Vec<B256>) {
        let head = Head {
            namespace: ROLLUP,
            height: Height::new(9),
            fork,
            standing: self.forks.standing(fork),
            l1_head: self.forks.head(),
        };
        let (mut out, mut hashes) = (Vec::new(), Vec::new());
        let mut report = Report::begin(&mut out, json, Height::new(from), head).unwrap();
        let mut chain = self.forks.clone().along(fork.hash, spec()).unwrap();
        for (lane, body) in &self.lanes {
            let derived = chain.append(lane, body).unwrap();
            hashes.extend(derived.block.as_ref().map(|block| block.hash()));
            report.lane(lane, Height::new(8), &derived).unwrap();
        }
        let error = (!stopped.is_empty()).then(|| anyhow!("{stopped}"));
        report.finish(error.as_ref()).unwrap();
        (String::from_utf8(out).unwrap(), hashes)
    }

    fn transaction(&self, lane: usize, index: usize) -> B256 {
        keccak256(&self.lanes[lane - 1].1.transactions[index])
    }
}

#[test]
fn text_tells_every_transaction_and_why_it_is_in_or_out() {
    let story = story();
    let (lost, won) = (story.lost.hash, story.won.hash);
    let (first, late) = (story.transaction(1, 0), story.transaction(1, 1));
    let again = story.transaction(2, 0);
    let (text, hashes) = story.print(false, 1, story.won, "");
    let [one, two] = hashes[..] else {
        panic!("two L2 blocks, not {hashes:?}");
    };
    let expected = format!(
        "\
Rollup 7001 up to block 9 of the finality chain, on the fork of L1 that ends in block 102 ({won}), which is L1*.

lane block 1 in block 8: L2 block 1 ({one}) on L1 block 100
  {first} in: L2 block 1, index 0
  {late} out, skipped: nonce 5 too high, expected 1
lane block 2 in block 8: no L2 block
  {again} out, dropped: its lane block's context {lost} is not on this fork
lane block 4 in block 8: L2 block 2 ({two}) on L1 block 102
  {again} in: L2 block 2, index 0

4 lane blocks became 2 L2 blocks with 0 imports; of the transactions 2 are in, 1 dropped, 1 skipped.
"
    );
    assert_eq!(text, expected);
    // On the fork that lost, the other way round; what lies below --from counts and is not shown.
    let (text, hashes) = story.print(false, 2, story.lost, "");
    let two = hashes[1];
    let expected = format!(
        "\
Rollup 7001 up to block 9 of the finality chain, on the fork of L1 that ends in block 101 ({lost}), \
another fork than that of L1*: L1* is block 102 ({won}).

lane block 2 in block 8: L2 block 2 ({two}) on L1 block 101
  {again} in: L2 block 2, index 0
lane block 4 in block 8: no L2 block
  {again} out, dropped: its lane block's context {won} is not on this fork

4 lane blocks became 2 L2 blocks with 0 imports; of the transactions 2 are in, 1 dropped, 1 skipped.
"
    );
    assert_eq!(text, expected);
    let (text, _) = story.print(false, 1, story.anchor, "");
    assert!(
        text.contains("an ancestor of L1*: L1* is block 102"),
        "{text}"
    );
}

#[test]
fn json_tells_the_same_and_why_it_stopped() {
    let story = story();
    let (text, hashes) = story.print(true, 1, story.won, "no receipts");
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["standing"], "pointer");
    assert_eq!(value["fork"]["number"], 102);
    assert_eq!(value["stopped"], "no receipts");
    assert_eq!(value["counts"]["transactions_skipped"], 1);
    let lanes = value["lane_blocks"].as_array().unwrap();
    let numbers: Vec<_> = lanes.iter().map(|lane| &lane["lane_block"]).collect();
    assert_eq!(
        numbers,
        [1, 2, 4],
        "there is nothing to tell of an empty one"
    );
    assert_eq!(lanes[0]["l2_block"]["hash"], hashes[0].to_string());
    assert_eq!(lanes[0]["transactions"][0]["fate"], "in");
    assert_eq!(lanes[1]["l2_block"], serde_json::Value::Null);
    let dropped = &lanes[1]["transactions"][0];
    assert_eq!(dropped["fate"], "dropped");
    let reason = dropped["reason"].as_str().unwrap();
    assert!(reason.contains("is not on this fork"), "{reason}");
}
