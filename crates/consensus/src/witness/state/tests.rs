use super::*;
use crate::{
    engine::Tuning,
    simulate::{Plan, genesis},
};
use cortado_l1::testing::{REGISTRY, SettledRegistry};
use cortado_types::{Gwei, SeatBitmap, bls::SignatureBytes};

fn raw(number: u64, parent: B256, extra: u8) -> Bytes {
    let header = alloy_consensus::Header {
        number,
        parent_hash: parent,
        timestamp: number,
        extra_data: Bytes::copy_from_slice(&[extra]),
        ..Default::default()
    };
    alloy_rlp::encode(header).into()
}

fn hash(raw: &Bytes) -> B256 {
    cortado_types::keccak256(raw)
}

fn state(anchor: &Bytes) -> State {
    let plan = Plan {
        seats: 4,
        proposers: 0,
        spares: 0,
        slot_ms: 2_000,
        term_ms: cortado_types::genesis::TERM_MS_MAX,
        slot_bytes_max: 0,
        anchor: anchor.to_vec(),
        tuning: Tuning::default(),
    };
    State::genesis(&genesis(&plan).1).unwrap()
}

fn certificate() -> QuorumCertificate {
    QuorumCertificate {
        signers: SeatBitmap::from_signers(4, []),
        signature: SignatureBytes::ZERO,
    }
}

/// Three headers on an anchor, all seen by this node.
fn three() -> (Witness, State, Vec<Bytes>) {
    let state = state(&raw(10, B256::ZERO, 0));
    let mut chain = vec![];
    let mut parent = state.anchor().hash;
    let mut witness = Witness::default();
    for number in 11..14 {
        let next = raw(number, parent, 0);
        parent = hash(&next);
        let subject = witness.header(next.clone()).unwrap();
        assert_eq!(
            subject,
            Some(Subject {
                kind: SubjectKind::Sight,
                hash: parent
            })
        );
        assert_eq!(witness.header(next.clone()), Ok(None), "said once");
        chain.push(next);
    }
    (witness, state, chain)
}

fn sight(raw: &Bytes) -> Subject {
    Subject {
        kind: SubjectKind::Sight,
        hash: hash(raw),
    }
}

#[test]
fn the_pointer_is_offered_the_highest_block_that_a_quorum_saw_with_all_between() {
    let (mut witness, state, chain) = three();
    assert!(
        witness.operations(&state).is_empty(),
        "own sight is not a quorum's"
    );
    witness.certify(sight(&chain[0]), certificate());
    witness.certify(sight(&chain[1]), certificate());
    let operations = witness.operations(&state);
    let [Operation::MovePointer(moved)] = &operations[..] else {
        panic!("{operations:?}")
    };
    assert_eq!(moved.headers, chain[..2]);
}

#[test]
fn a_certified_block_off_the_pointers_chain_is_not_offered() {
    let (mut witness, state, _) = three();
    let stray = raw(11, B256::repeat_byte(7), 0);
    witness.header(stray.clone()).unwrap();
    witness.certify(sight(&stray), certificate());
    assert!(witness.operations(&state).is_empty());
    // Nor one whose header this node does not have.
    let unseen = raw(11, state.anchor().hash, 9);
    witness.certify(sight(&unseen), certificate());
    assert!(witness.operations(&state).is_empty());
}

#[test]
fn finality_is_offered_when_the_block_is_tracked_and_above_the_present_one() {
    let (mut witness, mut state, chain) = three();
    let subject = witness.l1_final(hash(&chain[0])).unwrap();
    assert_eq!(witness.l1_final(hash(&chain[0])), None, "said once");
    witness.certify(subject, certificate());
    assert!(
        witness.operations(&state).is_empty(),
        "the pointer has not passed it"
    );
    state.l1.take(&chain[..2], u64::MAX, &FORK_RULE).unwrap();
    let operations = witness.operations(&state);
    let [Operation::FinalizeL1(finality)] = &operations[..] else {
        panic!("{operations:?}")
    };
    assert_eq!(finality.block.hash, hash(&chain[0]));
    state.l1.finalize(finality.block).unwrap();
    witness.finalize(&state);
    assert!(witness.operations(&state).is_empty(), "used");
}

#[test]
fn what_the_chain_has_used_is_not_repeated_and_not_kept() {
    let (mut witness, mut state, chain) = three();
    assert_eq!(witness.unused(&state).len(), 3);
    state.l1.take(&chain[..2], u64::MAX, &FORK_RULE).unwrap();
    assert_eq!(witness.unused(&state), vec![sight(&chain[2])]);
    let fin = state.l1.head();
    state.l1.finalize(fin).unwrap();
    witness.finalize(&state);
    assert_eq!(witness.seen.len(), 1);
}

#[test]
fn bytes_that_are_no_header_are_an_error() {
    assert!(
        Witness::default()
            .header(Bytes::from_static(b"no header"))
            .is_err()
    );
}

/// L1 block `number` on `parent`, in whose state the genesis' seats are settled at `price`.
fn settling(state: &State, number: u64, parent: B256, price: u64) -> (Bytes, ReadSeats) {
    let seats = state.seats.seats();
    let registry = SettledRegistry::new(REGISTRY, seats, Gwei::new(price));
    let header = alloy_consensus::Header {
        number,
        parent_hash: parent,
        timestamp: number,
        state_root: registry.state_root(),
        ..Default::default()
    };
    let header = Bytes::from(alloy_rlp::encode(header));
    let read = registry.read();
    (header.clone(), ReadSeats { header, read })
}

#[test]
fn a_read_is_offered_when_its_block_is_final_though_the_l1_node_is_always_ahead() {
    let mut state = state(&raw(10, B256::ZERO, 0));
    let mut witness = Witness::default();
    let (mut parent, mut chain, mut reads) = (state.anchor().hash, vec![], vec![]);
    for number in 11..15 {
        let (header, read) = settling(&state, number, parent, 7);
        parent = hash(&header);
        witness.seats(REGISTRY, read.clone()).unwrap();
        chain.push(header);
        reads.push(read);
    }
    state.l1.take(&chain, u64::MAX, &FORK_RULE).unwrap();
    assert!(
        witness.operations(&state).is_empty(),
        "nothing of it is final"
    );
    for (i, read) in reads.iter().enumerate().take(3) {
        let number = 11 + i as u64;
        let block = L1Ref {
            number,
            hash: hash(&chain[i]),
        };
        state.l1.finalize(block).unwrap();
        let offered = witness.operations(&state);
        assert_eq!(
            offered,
            vec![Operation::ReadSeats(read.clone())],
            "block {number}"
        );
    }
    // Once they are due, the same seats in newer blocks are no news.
    state.due.price = Gwei::new(7);
    assert!(witness.operations(&state).is_empty());
}

#[test]
fn reads_are_bounded_and_the_oldest_go_first() {
    let state = state(&raw(10, B256::ZERO, 0));
    let mut witness = Witness::default();
    for number in 0..2 * READS_MAX as u64 {
        let (_, read) = settling(&state, number, B256::ZERO, 7);
        witness.seats(REGISTRY, read).unwrap();
    }
    assert_eq!(witness.reads.len(), READS_MAX);
    assert_eq!(
        witness.reads.first_key_value().map(|(number, _)| *number),
        Some(READS_MAX as u64)
    );
}

fn moved(witness: &Witness, state: &State) -> Option<Vec<Bytes>> {
    let operation = witness.operations(state).into_iter().next()?;
    let Operation::MovePointer(moved) = operation else {
        return None;
    };
    Some(moved.headers)
}

/// `count` headers on `parent`, seen and certified from `from` on.
fn fork(witness: &mut Witness, parent: (u64, B256), count: u64, extra: u8) -> Vec<Bytes> {
    let (mut number, mut hash_of_parent) = parent;
    let mut fork = vec![];
    for _ in 0..count {
        number += 1;
        let next = raw(number, hash_of_parent, extra);
        hash_of_parent = hash(&next);
        witness.header(next.clone()).unwrap();
        witness.certify(sight(&next), certificate());
        fork.push(next);
    }
    fork
}

#[test]
fn the_pointer_is_offered_the_heavier_fork_and_not_one_of_the_same_weight() {
    let (mut witness, mut state, chain) = three();
    let anchor = state.anchor();
    state.l1.take(&chain, u64::MAX, &FORK_RULE).unwrap();
    let other = fork(&mut witness, (anchor.number, anchor.hash), 3, 1);
    assert_eq!(moved(&witness, &state), None, "three blocks against three");
    let next = fork(&mut witness, (13, hash(&other[2])), 1, 1);
    assert_eq!(moved(&witness, &state), Some([other, next].concat()));
}

#[test]
fn a_fork_longer_than_a_move_is_offered_in_steps() {
    let mut witness = Witness::default();
    let mut state = state(&raw(10, B256::ZERO, 0));
    let anchor = state.anchor();
    let chain = fork(&mut witness, (anchor.number, anchor.hash), 100, 0);
    for part in chain.chunks(L1_HEADERS_PER_MOVE_MAX) {
        assert_eq!(moved(&witness, &state).as_deref(), Some(part));
        state.l1.take(part, u64::MAX, &FORK_RULE).unwrap();
    }
    let other = fork(&mut witness, (anchor.number, anchor.hash), 101, 1);
    for part in other.chunks(L1_HEADERS_PER_MOVE_MAX) {
        assert_eq!(moved(&witness, &state).as_deref(), Some(part));
        state.l1.take(part, u64::MAX, &FORK_RULE).unwrap();
    }
    assert_eq!(state.l1.head().hash, hash(&other[100]));
    assert_eq!(moved(&witness, &state), None);
}

#[test]
fn when_l1_finalised_another_fork_the_pointer_is_offered_its_tip_though_it_is_tracked() {
    let (mut witness, mut state, chain) = three();
    let anchor = state.anchor();
    state.l1.take(&chain, u64::MAX, &FORK_RULE).unwrap();
    let other = fork(&mut witness, (anchor.number, anchor.hash), 2, 1);
    state.l1.take(&other, u64::MAX, &FORK_RULE).unwrap();
    let fin = L1Ref {
        number: 11,
        hash: hash(&other[0]),
    };
    let subject = witness.l1_final(fin.hash).unwrap();
    witness.certify(subject, certificate());
    let operations = witness.operations(&state);
    let [Operation::FinalizeL1(finality)] = &operations[..] else {
        panic!("{operations:?}")
    };
    state.l1.finalize(finality.block).unwrap();
    assert_eq!(moved(&witness, &state), Some(other[1..].to_vec()));
}

#[test]
fn a_lighter_fork_that_l1_finalised_is_tracked_and_then_final() {
    let (mut witness, mut state, chain) = three();
    let anchor = state.anchor();
    state.l1.take(&chain, u64::MAX, &FORK_RULE).unwrap();
    let other = fork(&mut witness, (anchor.number, anchor.hash), 2, 1);
    assert_eq!(moved(&witness, &state), None, "lighter");
    let subject = witness.l1_final(hash(&other[1])).unwrap();
    witness.certify(subject, certificate());
    assert_eq!(moved(&witness, &state).as_deref(), Some(&other[..]));
    state.l1.take(&other, u64::MAX, &FORK_RULE).unwrap();
    let operations = witness.operations(&state);
    assert!(
        matches!(&operations[..], [Operation::FinalizeL1(finality)] if finality.block.hash == hash(&other[1])),
        "{operations:?}"
    );
}

#[test]
fn a_flood_of_headers_is_bounded_and_what_comes_after_it_is_offered() {
    let (mut witness, state, _) = three();
    for number in 0..2 * L1_TRACKED_HEADERS_MAX as u64 {
        let parent = B256::from(cortado_types::U256::from(number));
        witness.header(raw(11 + number, parent, 7)).unwrap();
    }
    assert_eq!(witness.seen.len(), L1_TRACKED_HEADERS_MAX);
    assert!(witness.order.len() <= L1_TRACKED_HEADERS_MAX);
    let anchor = state.anchor();
    let honest = fork(&mut witness, (anchor.number, anchor.hash), 1, 0);
    assert_eq!(moved(&witness, &state), Some(honest));
}

#[test]
fn a_certificate_that_comes_before_its_header_is_kept_for_it() {
    let mut witness = Witness::default();
    let state = state(&raw(10, B256::ZERO, 0));
    let next = raw(11, state.anchor().hash, 0);
    witness.certify(sight(&next), certificate());
    witness.finalize(&state);
    assert_eq!(moved(&witness, &state), None, "this node has not seen it");
    witness.header(next.clone()).unwrap();
    assert_eq!(moved(&witness, &state), Some(vec![next]));
}
