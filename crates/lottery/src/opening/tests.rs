use proptest::prelude::*;

use super::*;
use crate::draw::Lottery;
use crate::testing::{arbitrary_batch, batch};

const BEACON: Beacon = Beacon([8; 32]);

fn opening(tickets: u64) -> Opening {
    let rows: Vec<(u64, u32, u64)> = (0..tickets).map(|id| (id, 0, 10 + id)).collect();
    let index = Index::new(&batch(&[0, 0], &[&[0, 1]], &rows));
    let result = Lottery::new(&index).draw(BEACON, 4);
    Opening::prove(&index, BEACON, &result, Member::new(1)).unwrap()
}

#[test]
fn one_winner_among_a_hundred_tickets_fits_400_bytes() {
    // About the average pool of 1,000,000 tickets on 10,000 bundles.
    let bytes = opening(100).encode().len();
    assert!((300..=400).contains(&bytes), "{bytes} bytes");
}

#[test]
fn a_pool_of_one_ticket_needs_no_path() {
    let opening = opening(1);
    assert!(opening.path.is_empty());
    assert_eq!(opening.check(), Ok(()));
}

#[test]
fn an_unassigned_namespace_has_no_holder_to_prove() {
    let index = Index::new(&batch(&[0, 0], &[&[0]], &[(0, 0, 1)]));
    let result = Lottery::new(&index).draw(BEACON, 0);
    assert_eq!(
        Opening::prove(&index, BEACON, &result, Member::new(1)),
        None
    );
}

#[test]
fn a_path_that_is_too_long_or_carries_nothing_is_refused() {
    let mut long = opening(3);
    let step = long.path[0];
    long.path = vec![step; PATH_MAX + 1];
    assert_eq!(
        long.check(),
        Err(OpeningError::PathLength {
            found: PATH_MAX + 1
        })
    );
    let mut empty = opening(3);
    empty.path[0].sibling.sum = Sum::ZERO;
    assert_eq!(empty.check(), Err(OpeningError::PathSum));
    let mut huge = opening(3);
    huge.path[0].sibling.sum = Sum::new(u128::MAX);
    assert_eq!(huge.check(), Err(OpeningError::PathSum));
}

#[test]
fn a_context_the_pool_does_not_fit_is_refused() {
    let refused = |lie: fn(&mut Opening)| {
        let mut opening = opening(5);
        lie(&mut opening);
        matches!(opening.check(), Err(OpeningError::Context { .. }))
    };
    assert!(refused(|opening| opening.live = Sum::new(1)));
    assert!(refused(|opening| opening.before = Sum::new(u128::MAX)));
    assert!(refused(|opening| opening.pot = Sum::new(1)));
    assert!(refused(|opening| opening.pot = Sum::new(u128::MAX)));
}

/// Without the commitment a stranger's context with the same ball would pass.
#[test]
fn the_commitment_binds_what_the_ball_does_not() {
    let mut other = opening(5);
    other.owner = OwnerId::new(77);
    assert!(matches!(
        other.check(),
        Err(OpeningError::Commitment { .. })
    ));
    let mut pot = opening(1);
    pot.live += Sum::ZERO;
    pot.members = vec![Member::new(0)];
    assert!(matches!(pot.check(), Err(OpeningError::Commitment { .. })));
}

#[test]
fn numbers_have_one_encoding() {
    let bytes = opening(2).encode();
    // The slot, 4, follows the beacon; write it with a needless second byte.
    assert_eq!(bytes[32], 4);
    let mut long = bytes.clone();
    long.splice(32..33, [0x84, 0x00]);
    assert_eq!(
        Opening::decode(&long),
        Err(DecodeError::Number {
            field: "slot",
            at: 32
        })
    );
    let mut trailing = bytes.clone();
    trailing.push(0);
    assert_eq!(
        Opening::decode(&trailing),
        Err(DecodeError::Trailing {
            field: "commitment"
        })
    );
    let mut huge = bytes;
    huge.splice(32..33, [0xff; 30]);
    assert_eq!(
        Opening::decode(&huge),
        Err(DecodeError::Number {
            field: "slot",
            at: 32
        })
    );
}

#[test]
fn announced_lengths_are_bounded_before_anything_is_reserved() {
    let mut bytes = vec![0; 32 + 5];
    bytes.extend([0x81, 0x02]);
    let error = Opening::decode(&bytes).unwrap_err();
    assert_eq!(
        error,
        DecodeError::Length {
            field: "members",
            found: 257,
            limit: BUNDLE_MEMBERS_MAX
        }
    );
}

proptest! {
    #[test]
    fn every_holder_can_be_proved(batch in arbitrary_batch(), slot: u64) {
        let index = Index::new(&batch);
        let result = Lottery::new(&index).draw(BEACON, slot);
        for namespace in (0..index.namespaces() as u32).map(Member::new) {
            let opening = Opening::prove(&index, BEACON, &result, namespace);
            let Some(draw) = result.holder_of(&index, namespace) else {
                prop_assert_eq!(opening, None);
                continue;
            };
            let opening = opening.unwrap();
            prop_assert_eq!(opening.check(), Ok(()));
            prop_assert_eq!(opening.ticket, draw.ticket);
            prop_assert_eq!(&Opening::decode(&opening.encode()), &Ok(opening));
        }
    }

    #[test]
    fn bytes_are_decoded_to_what_encodes_to_them_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        if let Ok(opening) = Opening::decode(&bytes) {
            prop_assert_eq!(opening.encode(), bytes);
        }
    }
}
