//! Terms end by time, and the seats of the next come from the registry on L1 (R3, R5a, R10).

use super::world::*;
use crate::*;
use alloy_consensus::Header as L1Header;
use cortado_l1::{ReadError, testing::*};
use cortado_types::{
    block::L1Finality, bls::SecretBls, registry::account_key, trie::keyed_root, *,
};

/// Blocks of `TERM_MS` and no slower: the slot in which term 0 ends.
const END_SLOT: u64 = TERM_MS / SLOT_MS;

fn someone(i: u8) -> Seat {
    Seat {
        identity: keccak256([i, i]),
        bls: SecretBls::derive(&[i; 32]).expect("32 bytes").public(),
        registry_index: i.into(),
    }
}

/// `count` seats that are none of the genesis.
fn others(count: u8) -> Vec<Seat> {
    let mut seats: Vec<_> = (100..100 + count).map(someone).collect();
    seats.sort_by_key(|seat| seat.identity);
    seats
}

/// An L1 block on `L1*` in whose state `seats` are settled at `price`, with the read that shows it.
fn settling(world: &World, seats: &[Seat], price: u64) -> (Bytes, ReadSeats) {
    let registry = SettledRegistry::new(REGISTRY, seats, Gwei::new(price));
    let head = world.state.l1.head();
    let header: Bytes = alloy_rlp::encode(L1Header {
        parent_hash: head.hash,
        number: head.number + 1,
        timestamp: GENESIS_S - 1_200 + 12 * (head.number + 1 - ANCHOR),
        state_root: registry.state_root(),
        ..L1Header::default()
    })
    .into();
    let read = ReadSeats {
        header: header.clone(),
        read: registry.read(),
    };
    (header, read)
}

fn to_ref(header: &Bytes, number: u64) -> L1Ref {
    L1Ref {
        number,
        hash: keccak256(header),
    }
}

/// The operations that make `header` the head and the finalised block.
fn finalising(world: &World, header: &Bytes) -> Vec<Operation> {
    let block = to_ref(header, world.state.l1.head().number + 1);
    vec![
        Operation::MovePointer(world.pointer_move(vec![header.clone()])),
        world.finality(block),
    ]
}

/// Goes on with a block of these operations at `time`.
fn operate(world: &mut World, time: TimestampMs, operations: Vec<Operation>) -> Block {
    let mut draft = world.draft(time, &[]);
    let count = operations.len();
    draft.operations = operations;
    let block = world.go(&draft);
    assert_eq!(block.operations.len(), count, "all of them apply");
    block
}

/// A world in which `seats` are due and not yet seated.
fn due(seats: &[Seat], price: u64) -> World {
    let mut world = World::new();
    let (header, read) = settling(&world, seats, price);
    let mut operations = finalising(&world, &header);
    operations.push(Operation::ReadSeats(read));
    operate(&mut world, at(1, 0), operations);
    world
}

fn refused(world: &World, read: ReadSeats) -> SeatsRejection {
    let rejection = world.refuse_operation(at(1, 0), Operation::ReadSeats(read));
    let Rejection::Seats(rejection) = rejection else {
        panic!("{rejection}");
    };
    rejection
}

#[test]
fn the_last_block_of_a_term_is_the_first_whose_time_reaches_the_planned_end() {
    let mut world = World::new();
    let before = world.go(&world.draft(at(END_SLOT - 1, SLOT_MS - 1), &[]));
    assert_eq!(
        (before.header.term, world.state.term),
        (Term::ZERO, Term::ZERO)
    );
    let late = at(END_SLOT, 700);
    let last = world.go(&world.draft(late, &[&[world.lane(A, END_SLOT)]]));
    assert_eq!(
        last.header.term,
        Term::ZERO,
        "the boundary is the old term's"
    );
    assert_eq!(last.lanes.len(), 1, "and carries what any block carries");
    assert_eq!(world.state.term, Term::new(1));
    assert_eq!(
        world.state.term_end,
        late.plus(TERM_MS),
        "counted from what ended the one before"
    );
    let first = world.go(&world.draft(late.plus(1), &[]));
    assert_eq!(first.header.term, Term::new(1));
}

#[test]
fn views_begin_anew_with_a_term_and_go_on_within_it() {
    let mut world = World::new();
    let mut draft = world.draft(at(END_SLOT, 0), &[]);
    draft.view = View::new(90);
    world.go(&draft);
    draft = world.draft(at(END_SLOT, 1), &[]);
    draft.view = View::new(1);
    let first = world.built(&draft);
    assert_eq!(first.header.parent_view, View::ZERO);
    let mut old = first.clone();
    old.header.parent_view = View::new(90);
    old.header.view = View::new(91);
    let want = View::ZERO;
    let got = world.apply(&old);
    assert!(
        matches!(got, Err(Rejection::ParentView { want: w, .. }) if w == want),
        "{got:?}"
    );
    world.go(&draft);
    let mut same = world.built(&draft);
    same.header.view = View::new(1);
    assert!(matches!(
        world.apply(&same),
        Err(Rejection::ParentView { .. })
    ));
}

#[test]
fn a_block_of_the_old_term_on_its_boundary_is_refused() {
    let mut world = World::new();
    world.go(&world.draft(at(END_SLOT, 0), &[]));
    let mut block = world.built(&world.draft(at(END_SLOT, 1), &[]));
    block.header.term = Term::ZERO;
    let want = Term::new(1);
    assert_eq!(
        world.apply(&block),
        Err(Rejection::Term {
            got: Term::ZERO,
            want
        })
    );
}

#[test]
fn seats_settled_on_l1_sit_from_the_next_term_on_and_the_boundary_names_them() {
    let seats = others(5);
    let mut world = due(&seats, 32);
    let (old, new) = (world.state.seats.hash(), world.state.due.seats.hash());
    assert_ne!(old, new);
    assert_eq!(
        (world.state.seats.len(), world.tip.next_seats_hash),
        (4, old)
    );
    let last = world.go(&world.draft(at(END_SLOT, 0), &[]));
    assert_eq!(
        (last.header.seats_hash, last.header.next_seats_hash),
        (old, new)
    );
    assert_eq!(
        (world.state.seats.hash(), world.state.price),
        (new, Gwei::new(32))
    );
    let first = world.go(&world.draft(at(END_SLOT, 1), &[]));
    assert_eq!(
        (first.header.seats_hash, first.header.next_seats_hash),
        (new, new)
    );
    // What the light client opens.
    let entry = world.state.prove(ENTRY_TERM, 0).value.expect("it is there");
    let entry: TermEntry = decode_exact("term", &entry, 256).expect("an entry");
    assert_eq!(entry, world.state.term_entry());
    assert_eq!(
        (entry.term, entry.seats, entry.due_seats),
        (Term::new(1), new, new)
    );
}

#[test]
fn seats_read_in_the_boundary_itself_wait_for_the_term_after() {
    let mut world = World::new();
    let old = world.state.seats.hash();
    let (header, read) = settling(&world, &others(4), 1);
    let mut operations = finalising(&world, &header);
    operations.push(Operation::ReadSeats(read));
    let last = operate(&mut world, at(END_SLOT, 0), operations);
    assert_eq!(
        last.header.next_seats_hash, old,
        "known before it, as it commits to them"
    );
    let next = world.go(&world.draft(at(2 * END_SLOT, 0), &[]));
    assert_eq!(next.header.next_seats_hash, world.state.seats.hash());
    assert_ne!(next.header.next_seats_hash, old);
}

#[test]
fn after_a_stall_of_several_terms_one_boundary_leads_to_the_present() {
    let mut world = due(&others(4), 1);
    let late = at(5 * END_SLOT, 17);
    world.go(&world.draft(late, &[]));
    assert_eq!(
        (world.state.term, world.state.term_end),
        (Term::new(1), late.plus(TERM_MS))
    );
}

#[test]
fn certificates_of_a_boundary_are_the_old_seats() {
    // The lane's certificate in the boundary is checked with the seats that sit, not those due.
    let mut world = due(&others(4), 1);
    let block = world.go(&world.draft(at(END_SLOT, 700), &[&[world.lane(A, END_SLOT)]]));
    assert_eq!(block.lanes.len(), 1);
    // And afterwards they are worth nothing.
    let lane = world.lane(B, END_SLOT);
    let refusal = world.refuse(at(END_SLOT, 800), vec![lane]);
    assert!(
        matches!(refusal, Rejection::Availability { .. }),
        "{refusal}"
    );
}

#[test]
fn a_new_price_for_the_same_seats_is_news_and_the_same_price_is_none() {
    let seats = others(4);
    let mut world = due(&seats, 32);
    let (header, read) = settling(&world, &seats, 32);
    let operations = finalising(&world, &header);
    operate(&mut world, at(1, 1), operations);
    let hash = world.state.due.seats.hash();
    assert_eq!(
        refused(&world, read),
        SeatsRejection::Unchanged { seats: hash }
    );
    let (header, read) = settling(&world, &seats, 33);
    let mut operations = finalising(&world, &header);
    operations.push(Operation::ReadSeats(read));
    operate(&mut world, at(1, 2), operations);
    assert_eq!(world.state.due.price, Gwei::new(33));
}

#[test]
fn seats_are_read_below_l1_finality_only_and_never_backwards() {
    let mut world = World::new();
    let (header, read) = settling(&world, &others(4), 1);
    let block = to_ref(&header, ANCHOR + 1);
    let fin = world.state.l1.fin();
    let unknown = SeatsRejection::NotFinal { block, fin };
    assert_eq!(refused(&world, read.clone()), unknown);
    // Seen, and not final yet.
    let moved = Operation::MovePointer(world.pointer_move(vec![header.clone()]));
    operate(&mut world, at(1, 0), vec![moved]);
    assert_eq!(refused(&world, read.clone()), unknown);
    // Final; an ancestor of what is final is as good.
    let finality = world.finality(block);
    operate(&mut world, at(1, 0), vec![finality]);
    let (later, newer) = settling(&world, &others(5), 1);
    let operations = finalising(&world, &later);
    operate(&mut world, at(1, 0), operations);
    let mut other = world.clone();
    operate(
        &mut other,
        at(1, 0),
        vec![Operation::ReadSeats(read.clone())],
    );
    assert_eq!(other.state.due.seats.len(), 4);
    // Once something newer was read it is over.
    operate(&mut world, at(1, 0), vec![Operation::ReadSeats(newer)]);
    let (number, last) = (ANCHOR + 1, ANCHOR + 2);
    assert_eq!(
        refused(&world, read),
        SeatsRejection::NotNewer { number, last }
    );
}

#[test]
fn a_read_that_the_state_of_l1_does_not_show_is_refused_by_name() {
    let mut world = World::new();
    let (header, read) = settling(&world, &others(5), 1);
    let operations = finalising(&world, &header);
    operate(&mut world, at(1, 0), operations);
    let number = ANCHOR + 1;
    let refuse = |change: &dyn Fn(&mut ReadSeats)| {
        let mut changed = read.clone();
        change(&mut changed);
        match refused(&world, changed) {
            SeatsRejection::Read(error) => error,
            other => panic!("{other}"),
        }
    };
    let proof = |what: &str, error: ReadError| {
        assert!(
            matches!(&error, ReadError::Proof { what: w, .. } if *w == what),
            "{error}"
        );
    };
    proof(
        "account",
        refuse(&|read| {
            read.read.account.0.pop();
        }),
    );
    proof(
        "latest seats",
        refuse(&|read| read.read.latest = read.read.account.clone()),
    );
    proof(
        "settlement",
        refuse(&|read| read.read.settlement = read.read.latest.clone()),
    );
    // One seat more, one less, another order, another key.
    for change in [
        |seats: &mut Vec<Seat>| seats.truncate(4),
        |seats: &mut Vec<Seat>| seats[0].registry_index += 1,
        |seats: &mut Vec<Seat>| seats[0].bls = seats[1].bls,
        |seats: &mut Vec<Seat>| seats.swap(0, 1),
        |seats: &mut Vec<Seat>| seats.clear(),
    ] {
        let error = refuse(&|read| change(&mut read.read.seats));
        assert!(
            matches!(error, ReadError::OtherSeats { .. } | ReadError::Seats(_)),
            "{error}"
        );
    }
    assert!(matches!(
        refuse(&|read| read.header = Bytes::from_static(b"x")),
        ReadError::Header(_)
    ));
    // An L1 on which there is no registry.
    let empty = L1Header {
        number,
        state_root: keyed_root(&Default::default()),
        ..L1Header::default()
    };
    let error = refuse(&|read| {
        read.header = alloy_rlp::encode(&empty).into();
        read.read.account = Default::default();
    });
    let registry = REGISTRY;
    assert_eq!(error, ReadError::NothingSettled { registry, number });
    assert_ne!(account_key(REGISTRY), account_key(Address::ZERO));
}

#[test]
fn operations_of_seats_come_after_those_they_rest_on() {
    let mut world = World::new();
    let (header, read) = settling(&world, &others(4), 1);
    let block = to_ref(&header, ANCHOR + 1);
    let moved = Operation::MovePointer(world.pointer_move(vec![header.clone()]));
    operate(&mut world, at(1, 0), vec![moved]);
    let finality = Operation::FinalizeL1(L1Finality {
        block,
        certificate: world.certify(SubjectKind::L1Final, block.hash),
    });
    let operations = vec![Operation::ReadSeats(read), finality];
    let block = world.forged(at(1, 0), vec![], operations);
    let rejection = world.apply(&block).expect_err("out of order");
    assert!(
        matches!(
            rejection,
            Rejection::Seats(_) | Rejection::OperationOrder { .. }
        ),
        "{rejection}"
    );
}

#[test]
fn a_snapshot_keeps_the_term_and_the_seats_that_are_due() {
    let mut world = due(&others(5), 32);
    let back = State::from_bytes(&world.genesis, &world.state.to_bytes()).expect("our own bytes");
    assert_eq!(back, world.state);
    world.go(&world.draft(at(END_SLOT, 0), &[]));
    let back = State::from_bytes(&world.genesis, &world.state.to_bytes()).expect("our own bytes");
    assert_eq!(back, world.state);
    assert_eq!(back.seats.len(), 5);
}

#[test]
fn a_genesis_whose_seats_are_not_settled_at_the_anchor_makes_no_state() {
    let mut genesis = World::new().genesis;
    genesis.seats.seats = others(4);
    assert!(matches!(
        State::genesis(&genesis),
        Err(GenesisStateError::Read(ReadError::OtherSeats { .. }))
    ));
    let mut genesis = World::new().genesis;
    genesis.l1.registry = Address::repeat_byte(7);
    assert!(matches!(
        State::genesis(&genesis),
        Err(GenesisStateError::Read(_))
    ));
}
