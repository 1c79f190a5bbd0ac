//! The mountain range against a model that knows no mountains' places, only how they are hashed.

use super::*;
use crate::mmr::{HistoryError, HistoryProof, Peaks, Range};
use proptest::prelude::*;

fn leaf(i: u64) -> B256 {
    keccak256(i.to_be_bytes())
}

/// Root of a perfect tree, from the definition.
fn tree(leaves: &[B256]) -> B256 {
    if let [one] = leaves {
        return *one;
    }
    let (left, right) = leaves.split_at(leaves.len() / 2);
    keccak256([&[1][..], tree(left).as_slice(), tree(right).as_slice()].concat())
}

/// Root of a range, from the definition: the largest power of two first.
fn model(leaves: &[B256]) -> B256 {
    let mut bytes = vec![2];
    bytes.extend_from_slice(&(leaves.len() as u64).to_be_bytes());
    let mut rest = leaves;
    while !rest.is_empty() {
        let (mountain, after) = rest.split_at(1 << rest.len().ilog2());
        bytes.extend_from_slice(tree(mountain).as_slice());
        rest = after;
    }
    keccak256(bytes)
}

fn grown(n: u64) -> (Peaks, Range, Vec<B256>) {
    let (mut peaks, mut range, mut leaves) = (Peaks::default(), Range::default(), Vec::new());
    for i in 0..n {
        peaks.push(leaf(i));
        range.push(leaf(i));
        leaves.push(leaf(i));
    }
    (peaks, range, leaves)
}

#[test]
fn peaks_and_model_agree_at_every_size() {
    let (mut peaks, mut leaves) = (Peaks::default(), Vec::new());
    assert_eq!(peaks.root(), model(&[]));
    for i in 0..130 {
        peaks.push(leaf(i));
        leaves.push(leaf(i));
        assert_eq!(peaks.root(), model(&leaves), "{} leaves", i + 1);
        assert_eq!(peaks.leaves(), i + 1);
    }
}

#[test]
fn a_range_proves_every_leaf_under_every_earlier_root() {
    let (_, range, leaves) = grown(37);
    for n in 1..=37u64 {
        let root = model(&leaves[..n as usize]);
        for i in 0..n {
            let proof = range.prove(i, n).expect("it is there");
            assert_eq!(proof.verify(leaf(i), root), Ok(()), "{i} of {n}");
            assert!(
                proof.verify(leaf(i + 1), root).is_err(),
                "{i} of {n}, another leaf"
            );
        }
        assert_eq!(range.prove(n, n), None);
    }
    assert_eq!(
        range.prove(0, 38),
        None,
        "the range does not hold that many"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_changed_proof_proves_nothing(n in 1u64..80, i in 0u64..80, what in 0u8..6, at in 0usize..8) {
        let i = i % n;
        let (peaks, range, _) = grown(n);
        let honest = range.prove(i, n).expect("it is there");
        let mut proof = honest.clone();
        match what {
            0 => proof.index = (i + 1) % n,
            1 => proof.leaves += 1,
            2 if !proof.siblings.is_empty() => {
                let at = at % proof.siblings.len();
                proof.siblings[at].0[0] ^= 1;
            }
            3 => proof.siblings.push(B256::ZERO),
            4 => proof.peaks.push(B256::ZERO),
            _ => { proof.peaks.pop(); }
        }
        // The leaf's own peak is computed, so nothing but the honest proof leads to the root.
        if proof != honest {
            prop_assert!(proof.verify(leaf(i), peaks.root()).is_err());
        }
    }

    #[test]
    fn peaks_survive_their_bytes_and_go_on(n in 0u64..300) {
        let (mut peaks, _, _) = grown(n);
        let mut back: Peaks = decode_exact("peaks", &codec::encode(&peaks), 4_096).expect("ours");
        let text = serde_json::to_string(&peaks).expect("serialises");
        prop_assert_eq!(&serde_json::from_str::<Peaks>(&text).expect("ours"), &peaks);
        prop_assert_eq!(&back, &peaks);
        back.push(leaf(n));
        peaks.push(leaf(n));
        prop_assert_eq!(back.root(), peaks.root());
    }
}

#[test]
fn stored_peaks_that_are_not_one_for_each_mountain_are_refused() {
    // Appending to such would take a peak that is not there.
    #[derive(alloy_rlp::RlpEncodable)]
    struct Stored {
        leaves: u64,
        peaks: Vec<B256>,
    }
    for (leaves, peaks) in [(1, 0), (3, 1), (4, 2), (u64::MAX, 64), (0, 1)] {
        let bytes = alloy_rlp::encode(Stored {
            leaves,
            peaks: vec![B256::ZERO; peaks],
        });
        assert!(
            decode_exact::<Peaks>("peaks", &bytes, 4_096).is_err(),
            "{leaves} {peaks}"
        );
    }
    let text = r#"{"leaves":3,"peaks":[]}"#;
    let error = serde_json::from_str::<Peaks>(text).expect_err("two are missing");
    assert!(
        error
            .to_string()
            .contains("0 peaks are stored for 3 headers"),
        "{error}"
    );
}

#[test]
fn a_position_outside_the_range_and_a_wrong_shape_are_named() {
    let (peaks, range, _) = grown(5);
    let good = range.prove(2, 5).expect("it is there");
    let outside = HistoryProof {
        index: 5,
        ..good.clone()
    };
    let want = HistoryError::OutOfRange {
        index: 5,
        leaves: 5,
    };
    assert_eq!(outside.verify(leaf(2), peaks.root()), Err(want));
    let short = HistoryProof {
        siblings: vec![],
        ..good.clone()
    };
    let want = HistoryError::Shape {
        siblings: 0,
        peaks: 2,
        want_siblings: 2,
        want_peaks: 2,
    };
    assert_eq!(short.verify(leaf(2), peaks.root()), Err(want));
    let (got, want) = (peaks.root(), B256::ZERO);
    assert_eq!(
        good.verify(leaf(2), want),
        Err(HistoryError::Root { got, want })
    );
    let none = HistoryProof {
        index: 0,
        leaves: 0,
        siblings: vec![],
        peaks: vec![],
    };
    assert!(none.verify(leaf(0), Peaks::default().root()).is_err());
    let huge = HistoryProof {
        index: u64::MAX - 1,
        leaves: u64::MAX,
        ..good
    };
    assert!(huge.verify(leaf(2), peaks.root()).is_err());
}
