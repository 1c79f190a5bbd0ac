use super::*;

fn beacon(slots_per_epoch: u64) -> Beacon {
    let clock = SlotClock {
        genesis_time_ms: 1_000,
        slot_ms: 12_000,
        slots_per_epoch,
    };
    Beacon::new(clock, 7, 16)
}

fn block(slot: u64) -> Sealed<Header> {
    use alloy_consensus::Sealable;
    Header {
        number: 5,
        extra_data: extra_data(slot, 3),
        ..Header::default()
    }
    .seal_slow()
}

/// The check a contract makes (EIP-4788 root, then this).
fn verify(proof: &Proof, root: B256) -> bool {
    let mut node = proof.leaf;
    let mut gindex = proof.gindex;
    for sibling in &proof.branch {
        node = if gindex & 1 == 1 {
            ssz::hash_pair(*sibling, node)
        } else {
            ssz::hash_pair(node, *sibling)
        };
        gindex >>= 1;
    }
    gindex == 1 && node == root
}

#[test]
fn the_proposer_of_a_slot_is_proved_at_mainnets_generalized_index() {
    let beacon = beacon(32);
    let header = beacon.header(&block(40));
    for slot in 32..96 {
        let proof = beacon
            .prove_proposer(&header, slot)
            .expect("this epoch or the next");
        assert_eq!(proof.gindex, 11_856 + (slot - 32) / 4);
        assert_eq!(proof.branch.len(), 13);
        assert!(verify(&proof, header.root()), "slot {slot}");
        let at = 8 * (slot % 4) as usize;
        let index = u64::from_le_bytes(proof.leaf[at..at + 8].try_into().expect("eight bytes"));
        assert_eq!(index, beacon.proposer_index(slot));
    }
    assert_eq!(beacon.prove_proposer(&header, 31), None);
    assert_eq!(beacon.prove_proposer(&header, 96), None);
}

#[test]
fn a_proof_of_another_proposer_does_not_verify() {
    let beacon = beacon(8);
    let header = beacon.header(&block(9));
    let mut proof = beacon.prove_proposer(&header, 9).expect("this epoch");
    assert!(verify(&proof, header.root()));
    proof.leaf.0[0] ^= 1;
    assert!(!verify(&proof, header.root()));
}

#[test]
fn the_execution_block_hash_stands_at_generalized_index_6444() {
    let beacon = beacon(32);
    let block = block(1);
    let header = beacon.header(&block);
    // 6444 = 12 (body root) then 812 (body, then payload, then block hash).
    let mut payload = vec![B256::ZERO; 17];
    payload[6] = ssz::uint64(5);
    payload[2] = block.state_root;
    payload[3] = block.receipts_root;
    payload[12] = block.hash();
    let mut branch = ssz::branch(&payload, 5, 12);
    let mut body = vec![B256::ZERO; 13];
    body[9] = ssz::merkleize(&payload, 5);
    branch.extend(ssz::branch(&body, 4, 9));
    branch.extend(ssz::branch(&header.leaves(), 3, 4));
    assert!(verify(
        &Proof {
            gindex: 6_444,
            leaf: block.hash(),
            branch
        },
        header.root()
    ));
}

#[test]
fn slot_and_fork_are_read_back_from_the_extra_data() {
    assert_eq!((slot_of(&block(40)), fork_of(&block(40))), (40, 3));
    let genesis = Header {
        extra_data: vec![9; 32].into(),
        ..Header::default()
    };
    assert_eq!((slot_of(&genesis), fork_of(&genesis)), (0, 0));
    let odd = Header {
        number: 1,
        extra_data: vec![9; 3].into(),
        ..Header::default()
    };
    assert_eq!((slot_of(&odd), fork_of(&odd)), (0, 0));
}

#[test]
fn the_lookahead_of_two_epochs_overlaps_by_one() {
    let beacon = beacon(8);
    assert_eq!(beacon.lookahead(3)[8..], beacon.lookahead(4)[..8]);
    assert_eq!(beacon.lookahead(3).len(), 16);
}

#[test]
fn a_header_is_signed_by_its_proposer() {
    let beacon = beacon(8);
    let header = beacon.header(&block(9));
    let signature = blst::min_pk::Signature::from_bytes(&beacon.sign(&header)).expect("a point");
    let key = |index: u64| {
        let pubkey = beacon.validators()[index as usize].pubkey;
        blst::min_pk::PublicKey::from_bytes(pubkey.as_slice()).expect("a point")
    };
    let message = ssz::hash_pair(header.root(), beacon.proposer_domain());
    let verify = |index| {
        signature.verify(true, message.as_slice(), BLS_DST, &[], &key(index), true)
            == blst::BLST_ERROR::BLST_SUCCESS
    };
    assert!(verify(header.proposer_index));
    assert!(!verify((header.proposer_index + 1) % 16));
}
