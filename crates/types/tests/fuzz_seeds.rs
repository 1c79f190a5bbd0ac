//! The fuzz checks over thousands of mutations of valid encodings, the same ones each time.

#[path = "../fuzz/checks.rs"]
mod checks;
#[path = "../fuzz/mutate.rs"]
mod mutate;

use cortado_types::{
    block::{L1Finality, PointerMove},
    bls::{KeyBytes, SignatureBytes},
    ecdsa::SigningKey,
    mmr::{Peaks, Range},
    trie::{prove_keyed, prove_ordered},
    *,
};

const ROUNDS: usize = 4_000;

fn quorum() -> QuorumCertificate {
    QuorumCertificate {
        signers: SeatBitmap::from_bytes(vec![0b0000_1110]),
        signature: SignatureBytes::repeat_byte(0xa5),
    }
}

fn lane_header() -> SignedLaneHeader {
    let header = LaneHeader {
        version: 1,
        chain_id: ChainId::new(300),
        namespace: Namespace::new(8_001),
        slot: Slot::new(70_000),
        seq: Seq::ZERO,
        last: true,
        height: Height::new(127),
        parent: B256::repeat_byte(1),
        context: L1Ref {
            number: 128,
            hash: B256::repeat_byte(2),
        },
        timestamp: TimestampMs::new(1_700_000_000_000),
        body_root: B256::repeat_byte(3),
        size: 255,
        group: B256::ZERO,
    };
    let key = SigningKey::from_bytes([7; 32]).expect("a scalar");
    let signature = key.sign(header.hash());
    SignedLaneHeader { header, signature }
}

fn block() -> Block {
    let lanes = vec![
        LaneEntry {
            lane: lane_header(),
            certificate: None,
        },
        LaneEntry {
            lane: lane_header(),
            certificate: Some(quorum()),
        },
    ];
    let moved = PointerMove {
        headers: vec![vec![0xc0; 60].into(), vec![1].into()],
        sight: quorum(),
        mover: Some(lane_header().signature),
    };
    let finality = L1Finality {
        block: L1Ref {
            number: 7,
            hash: B256::ZERO,
        },
        certificate: quorum(),
    };
    let operations = vec![
        Operation::MovePointer(moved),
        Operation::FinalizeL1(finality),
    ];
    let partial = Some(PartialL1 {
        index: 3,
        accumulators: B256::repeat_byte(4),
    });
    let header = Header {
        version: 1,
        chain_id: ChainId::new(300),
        term: Term::ZERO,
        view: View::new(9),
        parent_view: View::new(8),
        height: Height::new(77),
        parent: B256::repeat_byte(5),
        slot: Slot::new(70_000),
        timestamp: TimestampMs::new(1_700_000_000_000),
        l1_head: L1Head {
            block: L1Ref::default(),
            partial,
        },
        l1_fin: L1Ref::default(),
        lanes_root: Block::lanes_root(&lanes),
        operations_root: Block::operations_root(&operations),
        state_root: B256::ZERO,
        history_root: B256::ZERO,
        seats_hash: B256::ZERO,
        next_seats_hash: B256::ZERO,
    };
    Block {
        header,
        lanes,
        operations,
    }
}

#[test]
fn no_bytes_break_the_reading_of_blocks() {
    let block = block();
    let mut seeds = vec![codec::encode(&block), codec::encode(&block.header)];
    seeds.extend(block.lanes.iter().map(codec::encode));
    seeds.extend(block.operations.iter().map(codec::encode));
    mutate::run(&seeds, ROUNDS, checks::block);
}

#[test]
fn no_bytes_break_the_reading_of_lane_headers() {
    mutate::run(&[codec::encode(&lane_header())], ROUNDS, checks::lane);
}

#[test]
fn no_bytes_break_the_reading_of_bodies() {
    let body = |sizes: &[usize]| LaneBody {
        transactions: sizes.iter().map(|size| vec![0x81; *size].into()).collect(),
    };
    let bodies = [body(&[]), body(&[1]), body(&[1, 55, 56, 300])];
    mutate::run(&bodies.each_ref().map(codec::encode), ROUNDS, checks::body);
}

#[test]
fn no_bytes_break_the_reading_of_certificates_and_peaks() {
    let finality = FinalityCertificate {
        term: Term::ZERO,
        view: View::new(500),
        parent_view: View::new(127),
        payload: B256::repeat_byte(9),
        signers: quorum().signers,
        signature: quorum().signature,
    };
    let mut peaks = Peaks::default();
    (0..11u8).for_each(|i| peaks.push(B256::repeat_byte(i)));
    let seeds = [
        codec::encode(&quorum()),
        codec::encode(&finality),
        codec::encode(&peaks),
    ];
    mutate::run(&seeds, ROUNDS, checks::certificate);
}

#[test]
fn no_bytes_break_the_reading_of_a_genesis() {
    let seat = |i: u8| Seat {
        identity: B256::repeat_byte(i),
        bls: KeyBytes::repeat_byte(i),
        registry_index: 0,
    };
    let genesis = Genesis {
        chain_id: ChainId::new(1),
        time: TimestampMs::new(1_700_000_000_000),
        slot_ms: 2_000,
        term_ms: 384_000,
        l1: L1Config {
            chain_id: 1,
            slot_ms: 12_000,
            slots_per_epoch: 32,
            anchor: vec![1].into(),
            registry: Address::repeat_byte(9),
        },
        namespaces: vec![NamespaceConfig {
            namespace: Namespace::new(5),
            reserve_holder: Some(Address::repeat_byte(1)),
            slot_bytes_max: 9,
        }],
        seats: SeatsRead::unproved((1..5).map(seat).collect()),
        proposers: vec![],
    };
    let text = serde_json::to_vec(&genesis).expect("serialises");
    mutate::run(&[text], ROUNDS, checks::genesis);
}

#[test]
fn no_bytes_break_the_walk_of_a_trie_proof() {
    let items: Vec<Vec<u8>> = (0..200u8)
        .map(|i| vec![i; 1 + usize::from(i) % 50])
        .collect();
    let proofs: Vec<_> = [0, 1, 127, 128, 199, 200]
        .map(|i| prove_ordered(&items, i))
        .to_vec();
    let entries = items
        .iter()
        .map(|item| (keccak256(item), item.clone()))
        .collect();
    let keyed = prove_keyed(&entries, keccak256(&items[3]));
    let cut = |proof: &trie::TrieProof| {
        proof
            .0
            .iter()
            .map(|node| node.to_vec())
            .collect::<Vec<_>>()
            .join(&0xfe)
    };
    let seeds: Vec<_> = proofs.iter().chain([&keyed]).map(cut).collect();
    mutate::run(&seeds, ROUNDS, checks::trie_proof);
    let text: Vec<_> = proofs
        .iter()
        .map(|proof| serde_json::to_vec(proof).expect("serialises"))
        .collect();
    mutate::run(&text, ROUNDS / 4, checks::trie_proof_json);
}

#[test]
fn no_bytes_break_the_walk_of_a_history_proof() {
    let mut range = Range::default();
    (0..13u8).for_each(|i| range.push(B256::repeat_byte(i)));
    let proof = range.prove(6, 13).expect("it is there");
    let text = serde_json::to_vec(&proof).expect("serialises");
    mutate::run(&[text], ROUNDS, checks::history_proof);
}
