//! Derivation beside a bare loop that decodes a body and looks for a reference in each transaction.
//!
//! `cargo bench -p cortado-derive --bench derive` prints MB/s of both, taken in turns, and the median
//! of their ratios.

use alloy_consensus::{Header, SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::{
    eip2718::Encodable2718,
    eip2930::{AccessList, AccessListItem},
};
use alloy_primitives::{Address, Signature, TxKind, U256};
use cortado_derive::{Cursor, Ethereum, Fork, Lane, Params, References, Timeline};
use cortado_l1::TrackedHeader;
use cortado_types::{
    B256, Bytes, ChainId, Height, L1Ref, LaneBody, LaneHeader, Namespace, REFERENCE_ADDRESS, Seq,
    Slot, TimestampMs, keccak256, limits::PROTOCOL_VERSION,
};
use std::{
    collections::VecDeque,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

const BODIES: u64 = 24;
/// A body that a proposer cuts every few tens of milliseconds under load.
const EACH: u64 = 2_000;
const ROUNDS: usize = 21;
const L1_BLOCKS: u64 = 64;

fn l1() -> Vec<TrackedHeader> {
    let mut parent = B256::ZERO;
    let header = |number| {
        let header = Header {
            number,
            parent_hash: parent,
            timestamp: number * 12,
            ..Default::default()
        };
        let header = TrackedHeader::read(&alloy_rlp::encode(header)).expect("a header");
        parent = header.hash;
        header
    };
    (0..L1_BLOCKS).map(header).collect()
}

/// A transfer; one in ten with a reference.
fn transfer(n: u64, l1: &[TrackedHeader]) -> Bytes {
    let reference = l1[(n % 40) as usize].hash;
    let list = (n.is_multiple_of(10)).then(|| AccessListItem {
        address: REFERENCE_ADDRESS,
        storage_keys: vec![reference],
    });
    let transaction = TxEip1559 {
        chain_id: 8_001,
        nonce: n,
        gas_limit: 25_300,
        max_fee_per_gas: 1_500_000_000,
        max_priority_fee_per_gas: 1_000_000,
        to: TxKind::Call(Address::from_word(keccak256(n.to_be_bytes()))),
        value: U256::from(1_000_000_000_000_000u64 + n),
        access_list: AccessList(list.into_iter().collect()),
        input: Bytes::new(),
    };
    let [r, s] = [1u64, 2].map(|k| U256::from_be_bytes(keccak256((2 * n + k).to_be_bytes()).0));
    let signed = transaction.into_signed(Signature::new(r, s >> 1, n.is_multiple_of(2)));
    TxEnvelope::from(signed).encoded_2718().into()
}

fn header(height: u64, context: L1Ref, body: &LaneBody) -> LaneHeader {
    LaneHeader {
        version: PROTOCOL_VERSION,
        chain_id: ChainId::new(1),
        namespace: Namespace::new(8_001),
        slot: Slot::ZERO,
        seq: Seq::new(height),
        last: false,
        height: Height::new(height + 1),
        parent: B256::ZERO,
        context,
        timestamp: TimestampMs::ZERO,
        body_root: B256::ZERO,
        size: body.size(),
        group: B256::ZERO,
    }
}

/// What was handed on lately and is still in use, as by an executor that runs beside: without it the
/// allocator would give memory back to the system after each body and ask for it again.
struct Recent<T>(VecDeque<T>);

impl<T> Recent<T> {
    fn new() -> Self {
        Self(VecDeque::new())
    }

    fn push(&mut self, item: T) {
        self.0.push_back(black_box(item));
        if self.0.len() > 4 {
            self.0.pop_front();
        }
    }
}

/// Everything a node does from the bytes of bodies to inputs.
fn derive(l1: &[TrackedHeader], lanes: &[(LaneHeader, Vec<u8>)]) -> (Duration, usize) {
    let anchor = l1[0].to_ref();
    let fork = Fork::new(l1[0]);
    let params = Params { import_gas: 1 };
    let mut timeline = Timeline::new(Ethereum, params, fork, Cursor::new(anchor));
    let head = l1[l1.len() - 1].to_ref();
    timeline
        .advance(vec![], &l1[1..], (head, anchor))
        .expect("linked");
    let start = Instant::now();
    let (mut count, mut recent) = (0, Recent::new());
    for (header, bytes) in lanes {
        let lane = Lane {
            header: header.clone(),
            body: Arc::new(LaneBody::decode_limited(bytes).expect("encoded here")),
        };
        let advance = timeline
            .advance(vec![lane], &[], (head, anchor))
            .expect("all is held");
        count += advance
            .inputs
            .iter()
            .map(|input| input.transactions.len())
            .sum::<usize>();
        recent.push(advance);
        timeline.settle(&head);
    }
    (start.elapsed(), count)
}

fn bare(lanes: &[(LaneHeader, Vec<u8>)]) -> (Duration, usize) {
    let start = Instant::now();
    let (mut count, mut found, mut recent) = (0, 0, Recent::new());
    for (_, bytes) in lanes {
        let body = LaneBody::decode_limited(bytes).expect("encoded here");
        for transaction in &body.transactions {
            found += black_box(Ethereum.references(transaction)).len();
            count += 1;
        }
        recent.push(body);
    }
    black_box(found);
    (start.elapsed(), count)
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

fn main() {
    let l1 = l1();
    let context = l1[l1.len() - 1].to_ref();
    let lane = |height| {
        let transactions = (0..EACH)
            .map(|n| transfer(height * EACH + n, &l1))
            .collect();
        let body = LaneBody { transactions };
        (header(height, context, &body), alloy_rlp::encode(&body))
    };
    let lanes: Vec<_> = (0..BODIES).map(lane).collect();
    let bytes = lanes.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() as f64;
    let (mut ours, mut loops, mut ratios) = (vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        let ((derived, count), (walked, all)) = (derive(&l1, &lanes), bare(&lanes));
        assert_eq!(count, all, "all references are on the fork");
        let rate = |elapsed: Duration| bytes / 1e6 / elapsed.as_secs_f64();
        ours.push(rate(derived));
        loops.push(rate(walked));
        ratios.push(rate(derived) / rate(walked));
    }
    println!(
        "{:.0} B a transaction: derivation {:.0} MB/s over decode and walk {:.0} MB/s = {:.2} (target at least 0.8)",
        bytes / (BODIES * EACH) as f64,
        median(ours),
        median(loops),
        median(ratios)
    );
}
