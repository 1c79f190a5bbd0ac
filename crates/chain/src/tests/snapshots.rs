//! States as bytes and entries with proofs.

use super::world::*;
use crate::*;
use cortado_l1::testing::settle;
use cortado_types::{trie::verify_keyed, *};

fn grown() -> World {
    let mut world = World::with_pointer_holder(Some(key(POINTER).address()));
    for slot in 0..5 {
        let lanes = [world.lane(A, slot), world.lane(C, slot)];
        let mut draft = world.draft(at(slot, 2_500), &[&lanes[..1], &lanes[1..]]);
        draft.operations = vec![Operation::MovePointer(world.pointer_move(world.l1(2)))];
        let block = world.go(&draft);
        assert_eq!((block.lanes.len(), block.operations.len()), (2, 1));
    }
    world
}

#[test]
fn a_snapshot_brings_the_state_back_and_the_chain_goes_on() {
    let world = grown();
    let bytes = world.state.to_bytes();
    let back = State::from_bytes(&world.genesis, &bytes).expect("our own bytes");
    assert_eq!(back, world.state);
    assert_eq!(back.root(), world.tip.state_root);
    let block = world.built(&world.draft(at(5, 2_500), &[&[world.lane(A, 5)]]));
    assert_eq!(
        apply(&back, &world.tip, &block, Checks::All),
        world.apply(&block)
    );
}

#[test]
fn a_snapshot_cut_or_lengthened_is_refused() {
    let world = grown();
    let bytes = world.state.to_bytes();
    for end in 0..bytes.len() {
        assert!(
            State::from_bytes(&world.genesis, &bytes[..end]).is_err(),
            "{end}"
        );
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(State::from_bytes(&world.genesis, &longer).is_err());
}

#[test]
fn a_snapshot_that_lists_a_namespace_twice_is_refused() {
    let world = grown();
    let mut state = world.state.clone();
    // Same length, other order: B's id is overwritten by C's in the bytes.
    let bytes = state.to_bytes();
    state.namespaces.remove(&B);
    let (b, c) = (B.get().to_be_bytes(), C.get().to_be_bytes());
    let at = bytes
        .windows(2)
        .position(|pair| pair == &b[6..])
        .expect("B is in it");
    let mut twice = bytes;
    twice[at..at + 2].copy_from_slice(&c[6..]);
    let error = State::from_bytes(&world.genesis, &twice).expect_err("C twice");
    assert_eq!(error, GenesisStateError::NamespaceOrder { namespace: C });
}

#[test]
fn an_anchor_that_is_no_header_makes_no_state() {
    let mut genesis = World::new().genesis;
    genesis.l1.anchor = Bytes::from_static(b"no header");
    assert!(matches!(
        State::genesis(&genesis),
        Err(GenesisStateError::Anchor(_))
    ));
    genesis.seats.seats.clear();
    assert!(matches!(
        State::genesis(&genesis),
        Err(GenesisStateError::Genesis(_))
    ));
}

#[test]
fn every_part_of_the_genesis_is_in_the_name_of_block_zero() {
    let genesis = World::new().genesis;
    let name = |genesis: &Genesis| {
        State::genesis(genesis)
            .expect("valid")
            .genesis_block()
            .hash()
    };
    let changes: [fn(&mut Genesis); 11] = [
        |g| g.chain_id = ChainId::new(78),
        |g| g.time = at(1, 0),
        |g| g.slot_ms = 4_000,
        |g| g.l1.chain_id = 5,
        |g| g.l1.slot_ms = 6_000,
        |g| g.l1.slots_per_epoch = 8,
        |g| g.term_ms += 1,
        |g| g.l1.anchor = l1_header(B256::repeat_byte(2), ANCHOR),
        |g| g.namespaces[1].slot_bytes_max += 1,
        |g| g.namespaces[1].reserve_holder = Some(key(B).address()),
        |g| g.seats.seats[0].registry_index += 9,
    ];
    let mut seen = std::collections::BTreeSet::from([name(&genesis)]);
    for (i, change) in changes.iter().enumerate() {
        let mut other = genesis.clone();
        change(&mut other);
        settle(&mut other);
        assert!(seen.insert(name(&other)), "change {i}");
    }
}

#[test]
fn every_entry_is_proved_under_the_headers_state_root() {
    let world = grown();
    let root = world.tip.state_root;
    let names = [
        (ENTRY_NAMESPACE, A.get()),
        (ENTRY_NAMESPACE, 0),
        (ENTRY_L1, 0),
        (ENTRY_CONFIG, 0),
        (ENTRY_TERM, 0),
    ];
    for (kind, id) in names {
        let proof = world.state.prove(kind, id);
        let value = proof.value.as_deref().expect("it is there");
        assert_eq!(
            verify_keyed(root, proof.key, Some(value), &proof.proof),
            Ok(())
        );
        assert!(verify_keyed(root, proof.key, None, &proof.proof).is_err());
        let mut other = value.to_vec();
        *other.last_mut().expect("not empty") ^= 1;
        assert!(verify_keyed(root, proof.key, Some(&other), &proof.proof).is_err());
    }
    let tip = world
        .state
        .prove(ENTRY_NAMESPACE, A.get())
        .value
        .expect("it is there");
    let read: NamespaceState = decode_exact("entry", &tip, 1_000).expect("our own bytes");
    assert_eq!(read, world.state.namespaces[&A]);
    let absent = world.state.prove(ENTRY_NAMESPACE, 9);
    assert_eq!(absent.value, None);
    assert_eq!(verify_keyed(root, absent.key, None, &absent.proof), Ok(()));
}
