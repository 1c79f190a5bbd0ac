use super::*;
use crate::testing::batch;

#[test]
fn a_sample_agrees_with_the_exact_odds_within_its_error() {
    let batch = batch(
        &[100, 50, 20],
        &[&[0], &[1], &[2], &[0, 1], &[1, 2], &[0, 1, 2]],
        &[
            (0, 0, 30),
            (1, 3, 60),
            (2, 1, 10),
            (3, 4, 25),
            (4, 2, 5),
            (5, 5, 70),
        ],
    );
    let index = Index::new(&batch);
    let exact = exact(&index, 100).unwrap();
    let sampled = sample(&index, Beacon([1; 32]), 20_000, || ());
    let pairs = exact
        .assigned
        .iter()
        .zip(&sampled.assigned)
        .chain(exact.revenue.iter().zip(&sampled.revenue));
    for (exact, sampled) in pairs {
        let off = (to_f64(exact) - sampled.mean).abs();
        assert!(
            off <= 5.0 * sampled.error,
            "{} against {sampled:?}",
            to_f64(exact)
        );
        assert!(sampled.error < 0.01 * sampled.mean.max(1.0));
    }
}

#[test]
fn what_is_too_large_for_the_recursion_is_said() {
    let batch = batch(
        &[0; 2],
        &[&[0], &[0, 1], &[1]],
        &[(0, 0, 1), (1, 1, 1), (2, 2, 1)],
    );
    let index = Index::new(&batch);
    assert_eq!(exact(&index, 3).unwrap().states, 3);
    assert_eq!(exact(&index, 2).unwrap_err(), TooLarge { limit: 2 });
    assert_eq!(law(&index, 2), Err(TooLarge { limit: 2 }));
}
