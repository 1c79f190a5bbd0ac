//! A quorum signed one thing, or it did not.

use super::*;
use crate::bls::{BlsError, union_unique};

fn subject() -> Subject {
    Subject {
        kind: SubjectKind::Available,
        hash: B256::repeat_byte(0xab),
    }
}

fn verify(certificate: &QuorumCertificate, set: &SeatSet) -> Result<(), CertificateError> {
    certificate.verify(&subject(), CHAIN, TERM, set)
}

#[test]
fn a_quorum_convinces_and_one_less_does_not() {
    for (n, quorum) in [(4, 3), (5, 4), (6, 5), (7, 5), (10, 7)] {
        let (set, secrets) = seats(n);
        assert_eq!(set.quorum(), quorum);
        let enough = certificate(subject(), &set, &secrets, 0..quorum as u32);
        assert_eq!(verify(&enough, &set), Ok(()), "{n} seats");
        let fewer = certificate(subject(), &set, &secrets, 1..quorum as u32);
        let signers = quorum - 1;
        assert_eq!(
            verify(&fewer, &set),
            Err(CertificateError::BelowQuorum { signers, quorum })
        );
    }
}

#[test]
fn a_certificate_comes_back_as_it_was_written() {
    let (set, secrets) = seats(4);
    let one = certificate(subject(), &set, &secrets, [0, 1, 3]);
    let bytes = codec::encode(&one);
    assert_eq!(
        decode_exact::<QuorumCertificate>("certificate", &bytes, 300),
        Ok(one)
    );
    let other = finality(B256::repeat_byte(1), &set, &secrets, 0..4);
    let bytes = codec::encode(&other);
    assert_eq!(
        decode_exact::<FinalityCertificate>("finality", &bytes, 300),
        Ok(other)
    );
}

#[test]
fn a_bitmap_that_claims_signers_who_did_not_sign_fails() {
    let (set, secrets) = seats(4);
    let mut padded = certificate(subject(), &set, &secrets, 0..2);
    padded.signers = SeatBitmap::from_signers(4, (0..4).map(SeatIndex::new));
    assert_eq!(
        verify(&padded, &set),
        Err(BlsError::Mismatch { signers: 4 }.into())
    );
}

#[test]
fn a_seat_counted_twice_in_the_sum_counts_once_in_the_bitmap() {
    let (set, secrets) = seats(4);
    let twice = certificate(subject(), &set, &secrets, [0, 1, 1]);
    let want = CertificateError::BelowQuorum {
        signers: 2,
        quorum: 3,
    };
    assert_eq!(verify(&twice, &set), Err(want));
}

#[test]
fn bits_past_the_last_seat_are_refused() {
    let (set, secrets) = seats(4);
    let mut extra = certificate(subject(), &set, &secrets, 0..4);
    extra.signers = SeatBitmap::from_bytes(vec![0b0001_1111]);
    assert_eq!(
        verify(&extra, &set),
        Err(CertificateError::Bitmap { bytes: 1, seats: 4 })
    );
}

#[test]
fn a_bitmap_of_another_length_is_refused() {
    let (set, secrets) = seats(4);
    for bytes in [vec![], vec![0b1111, 0], vec![0; 129]] {
        let mut wrong = certificate(subject(), &set, &secrets, 0..4);
        let want = CertificateError::Bitmap {
            bytes: bytes.len(),
            seats: 4,
        };
        wrong.signers = SeatBitmap::from_bytes(bytes);
        assert_eq!(verify(&wrong, &set), Err(want));
    }
}

#[test]
fn a_bitmap_longer_than_any_seat_set_is_refused_while_it_is_read() {
    let bytes = codec::encode(&SeatBitmap::from_bytes(vec![1; 129]));
    assert!(decode_exact::<SeatBitmap>("bitmap", &bytes, 300).is_err());
    let bytes = codec::encode(&SeatBitmap::from_bytes(vec![1; 128]));
    assert!(decode_exact::<SeatBitmap>("bitmap", &bytes, 300).is_ok());
}

#[test]
fn nobody_at_all_with_the_infinity_signature_convinces_nobody() {
    // The sum of no keys is infinity, and so is the sum of no signatures: they would match.
    let (set, _) = seats(4);
    let mut infinity = [0; 48];
    infinity[0] = 0xc0;
    for bitmap in [vec![0], vec![0b1111]] {
        let nobody = QuorumCertificate {
            signers: SeatBitmap::from_bytes(bitmap),
            signature: infinity.into(),
        };
        assert!(verify(&nobody, &set).is_err());
    }
    let full = QuorumCertificate {
        signers: SeatBitmap::from_bytes(vec![0b1111]),
        signature: infinity.into(),
    };
    let error = verify(&full, &set).expect_err("infinity");
    assert!(
        matches!(error, CertificateError::Bls(BlsError::Signature { .. })),
        "{error}"
    );
    assert_eq!(
        bls::verify_aggregate([], b"anything", infinity.into()),
        Err(BlsError::Empty)
    );
}

#[test]
fn a_certificate_speaks_of_one_term_chain_seat_set_kind_and_hash_only() {
    let (set, secrets) = seats(4);
    let (others, _) = seats(5);
    let one = certificate(subject(), &set, &secrets, 0..3);
    assert_eq!(one.verify(&subject(), CHAIN, TERM, &set), Ok(()));
    let mismatch = Err(CertificateError::Bls(BlsError::Mismatch { signers: 3 }));
    let next = TERM.next().expect("not the last");
    assert_eq!(one.verify(&subject(), CHAIN, next, &set), mismatch, "term");
    assert_eq!(
        one.verify(&subject(), ChainId::new(1), TERM, &set),
        mismatch,
        "chain"
    );
    for kind in [SubjectKind::Sight, SubjectKind::L1Final] {
        let said = Subject { kind, ..subject() };
        assert_eq!(one.verify(&said, CHAIN, TERM, &set), mismatch, "{kind:?}");
    }
    let said = Subject {
        hash: B256::ZERO,
        ..subject()
    };
    assert_eq!(one.verify(&said, CHAIN, TERM, &set), mismatch, "hash");
    assert!(
        one.verify(&subject(), CHAIN, TERM, &others).is_err(),
        "seats"
    );
}

#[test]
fn the_same_keys_under_another_seat_set_are_another_base_namespace() {
    let (set, _) = seats(4);
    let mut seats = set.seats().to_vec();
    seats[0].registry_index += 1;
    let other = SeatSet::new(seats).expect("still a set");
    assert_ne!(set.base_namespace(CHAIN), other.base_namespace(CHAIN));
    let mut by_hand = b"CORTADO".to_vec();
    by_hand.extend_from_slice(&1234u64.to_be_bytes());
    by_hand.extend_from_slice(set.hash().as_slice());
    assert_eq!(set.base_namespace(CHAIN), by_hand);
}

#[test]
fn a_subject_is_signed_as_namespace_then_term_then_hash() {
    let base = [0xee; 47];
    let kinds = [
        (SubjectKind::Available, &b"_AVAILABLE"[..]),
        (SubjectKind::Sight, b"_SIGHT"),
        (SubjectKind::L1Final, b"_L1FINAL"),
    ];
    for (kind, suffix) in kinds {
        let hash = B256::repeat_byte(0xab);
        // Term 300 is 0b10_0101100: low seven bits first, with the continuation bit.
        let by_hand = [
            &[(47 + suffix.len()) as u8][..],
            &base,
            suffix,
            &[0xac, 0x02],
            hash.as_slice(),
        ]
        .concat();
        assert_eq!(Subject { kind, hash }.message(&base, TERM), by_hand);
    }
}

#[test]
fn a_finalisation_is_signed_as_the_engine_does() {
    let (set, secrets) = seats(4);
    let payload = B256::repeat_byte(0xcd);
    let certificate = finality(payload, &set, &secrets, 0..3);
    let base = [0xee; 120];
    // varint(len(ns)) with len = 129, ns = base ‖ "_FINALIZE", term 300, view 1000, parent 998.
    let by_hand = [
        &[0x81, 0x01][..],
        &base,
        b"_FINALIZE",
        &[0xac, 0x02],
        &[0xe8, 0x07],
        &[0xe6, 0x07],
        payload.as_slice(),
    ]
    .concat();
    assert_eq!(certificate.message(&base), by_hand);
}

#[test]
fn varints_are_little_endian_groups_of_seven_bits() {
    let cases: [(u64, &[u8]); 7] = [
        (0, &[0]),
        (127, &[0x7f]),
        (128, &[0x80, 1]),
        (300, &[0xac, 2]),
        (16_383, &[0xff, 0x7f]),
        (16_384, &[0x80, 0x80, 1]),
        (
            u64::MAX,
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        ),
    ];
    for (value, want) in cases {
        let mut out = Vec::new();
        codec::put_varint(&mut out, value);
        assert_eq!(out, want, "{value}");
    }
}

#[test]
fn a_finality_certificate_holds_for_its_block_term_and_chain_only() {
    let (set, secrets) = seats(4);
    let payload = B256::repeat_byte(0xcd);
    let one = finality(payload, &set, &secrets, 0..3);
    assert_eq!(one.verify(payload, CHAIN, TERM, &set), Ok(()));

    let (got, want) = (payload, B256::ZERO);
    let wrong = Err(CertificateError::Payload { got, want });
    assert_eq!(one.verify(want, CHAIN, TERM, &set), wrong);

    let want = TERM.next().expect("not the last");
    let wrong = Err(CertificateError::Term { got: TERM, want });
    assert_eq!(one.verify(payload, CHAIN, want, &set), wrong);

    let mismatch = Err(CertificateError::Bls(BlsError::Mismatch { signers: 3 }));
    assert_eq!(one.verify(payload, ChainId::new(1), TERM, &set), mismatch);
    for change in [
        |c: &mut FinalityCertificate| c.view = View::new(1_001),
        |c: &mut FinalityCertificate| c.parent_view = View::new(997),
    ] {
        let mut changed = one.clone();
        change(&mut changed);
        assert_eq!(changed.verify(payload, CHAIN, TERM, &set), mismatch);
    }

    let fewer = finality(payload, &set, &secrets, 0..2);
    let below = Err(CertificateError::BelowQuorum {
        signers: 2,
        quorum: 3,
    });
    assert_eq!(fewer.verify(payload, CHAIN, TERM, &set), below);
}

#[test]
fn a_finalisation_is_no_availability_certificate_for_the_same_hash() {
    let (set, secrets) = seats(4);
    let hash = B256::repeat_byte(0xab);
    let engine = finality(hash, &set, &secrets, 0..3);
    let passed_off = QuorumCertificate {
        signers: engine.signers,
        signature: engine.signature,
    };
    for kind in [
        SubjectKind::Available,
        SubjectKind::Sight,
        SubjectKind::L1Final,
    ] {
        assert!(
            passed_off
                .verify(&Subject { kind, hash }, CHAIN, TERM, &set)
                .is_err()
        );
    }
}

#[test]
fn a_signature_that_is_no_point_is_named() {
    let (set, secrets) = seats(4);
    let mut broken = certificate(subject(), &set, &secrets, 0..3);
    broken.signature = SignatureBytes::repeat_byte(0xff);
    let error = verify(&broken, &set).expect_err("no point");
    assert!(
        matches!(error, CertificateError::Bls(BlsError::Signature { .. })),
        "{error}"
    );
    assert!(bls::aggregate(&[broken.signature]).is_err());
    assert_eq!(bls::aggregate(&[]), Err(BlsError::Empty));
}

#[test]
fn a_rogue_key_that_cancels_the_others_does_not_verify() {
    // With keys a and -a the sum is infinity, which would verify the infinity signature.
    let (_, secrets) = seats(4);
    let key = bls::VerifyKey::from_bytes(secrets[0].public()).expect("honest");
    let mut negated = secrets[0].public();
    negated[0] ^= 0x20;
    let negated = bls::VerifyKey::from_bytes(negated).expect("also a point of the group");
    let signature = secrets[0].sign(b"m");
    let wrong = Err(BlsError::Mismatch { signers: 2 });
    assert_eq!(
        bls::verify_aggregate([&key, &negated], b"m", signature),
        wrong
    );
}

#[test]
fn possession_is_proved_by_the_holder_under_one_namespace() {
    let (_, secrets) = seats(4);
    let key = bls::VerifyKey::from_bytes(secrets[0].public()).expect("honest");
    let proof = secrets[0].prove_possession(b"registry");
    assert_eq!(key.verify_possession(b"registry", proof), Ok(()));
    let wrong = Err(BlsError::Mismatch { signers: 1 });
    assert_eq!(key.verify_possession(b"elsewhere", proof), wrong);
    let other = secrets[1].prove_possession(b"registry");
    assert_eq!(key.verify_possession(b"registry", other), wrong);
    // A vote over the very same bytes is no proof: the ciphersuites differ.
    let vote = secrets[0].sign(&union_unique(b"registry", secrets[0].public().as_slice()));
    assert_eq!(key.verify_possession(b"registry", vote), wrong);
}
