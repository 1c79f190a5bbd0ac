use super::*;
use cortado_types::{B256, Seat, SubjectKind, bls::SecretBls};

fn setup() -> (Tally, Vec<SecretBls>, Subject) {
    let secrets: Vec<_> = (0..4u8)
        .map(|i| SecretBls::derive(&[i; 32]).unwrap())
        .collect();
    let seats = secrets
        .iter()
        .enumerate()
        .map(|(i, secret)| Seat {
            identity: B256::repeat_byte(i as u8 + 1),
            bls: secret.public(),
            registry_index: i as u32,
        })
        .collect();
    let seats = Arc::new(SeatSet::new(seats).unwrap());
    let tally = Tally::new(ChainId::new(7), Term::ZERO, seats);
    let subject = Subject {
        kind: SubjectKind::Available,
        hash: B256::repeat_byte(9),
    };
    (tally, secrets, subject)
}

fn sign(tally: &Tally, secret: &SecretBls, subject: &Subject) -> SignatureBytes {
    secret.sign(&subject.message(&tally.seats.base_namespace(tally.chain_id), tally.term))
}

#[test]
fn a_quorum_makes_a_certificate_that_verifies_and_it_is_said_once() {
    let (mut tally, secrets, subject) = setup();
    for (i, secret) in secrets.iter().enumerate() {
        let signature = sign(&tally, secret, &subject);
        let counted = tally.add(subject, SeatIndex::new(i as u32), signature);
        match (i, counted) {
            (2, Counted::Certified(certificate)) => certificate
                .verify(&subject, tally.chain_id, tally.term, &tally.seats)
                .unwrap(),
            (2, Counted::Pending) => panic!("three of four are a quorum"),
            (_, counted) => assert_eq!(counted, Counted::Pending),
        }
    }
    assert_eq!(tally.open(), 0);
}

#[test]
fn a_forged_signature_delays_the_certificate_and_names_its_sender() {
    let (mut tally, secrets, subject) = setup();
    let forged = sign(&tally, &secrets[0], &subject);
    assert_eq!(
        tally.add(subject, SeatIndex::new(1), forged),
        Counted::Pending
    );
    let first = sign(&tally, &secrets[0], &subject);
    assert_eq!(
        tally.add(subject, SeatIndex::new(0), first),
        Counted::Pending
    );
    let third = sign(&tally, &secrets[2], &subject);
    assert_eq!(
        tally.add(subject, SeatIndex::new(2), third),
        Counted::Pending
    );
    assert_eq!(tally.take_faulty(), BTreeSet::from([SeatIndex::new(1)]));
    let fourth = sign(&tally, &secrets[3], &subject);
    assert!(matches!(
        tally.add(subject, SeatIndex::new(3), fourth),
        Counted::Certified(_)
    ));
}

#[test]
fn bytes_that_are_no_point_count_as_a_forgery() {
    let (mut tally, secrets, subject) = setup();
    tally.add(
        subject,
        SeatIndex::new(3),
        SignatureBytes::repeat_byte(0xff),
    );
    for i in 0..2 {
        let signature = sign(&tally, &secrets[i as usize], &subject);
        assert_eq!(
            tally.add(subject, SeatIndex::new(i), signature),
            Counted::Pending
        );
    }
    assert_eq!(tally.take_faulty(), BTreeSet::from([SeatIndex::new(3)]));
}

#[test]
fn one_seat_cannot_open_more_subjects_than_its_share() {
    let (mut tally, _, _) = setup();
    for i in 0..(OPEN_SUBJECTS_PER_SEAT_MAX as u64 + 50) {
        let mut hash = [0u8; 32];
        hash[..8].copy_from_slice(&i.to_be_bytes());
        let subject = Subject {
            kind: SubjectKind::Available,
            hash: hash.into(),
        };
        tally.add(subject, SeatIndex::new(0), SignatureBytes::ZERO);
    }
    assert_eq!(tally.open(), OPEN_SUBJECTS_PER_SEAT_MAX);
    // A stranger to the set opens none.
    let stranger = Subject {
        kind: SubjectKind::Sight,
        hash: B256::ZERO,
    };
    tally.add(stranger, SeatIndex::new(4), SignatureBytes::ZERO);
    assert_eq!(tally.open(), OPEN_SUBJECTS_PER_SEAT_MAX);
}
