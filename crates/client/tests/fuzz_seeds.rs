//! The fuzz checks over thousands of mutations of true answers, the same ones each time.

#[path = "../fuzz/checks.rs"]
mod checks;
#[path = "../../types/fuzz/mutate.rs"]
mod mutate;

/// True answers whose path has `part` in it.
fn seeds(part: &str) -> Vec<Vec<u8>> {
    let answers = checks::ANSWERS.as_object().expect("an object");
    let found = answers.iter().filter(|(path, _)| path.contains(part));
    found
        .map(|(_, answer)| serde_json::to_vec(answer).expect("serialises"))
        .collect()
}

#[test]
fn no_bytes_prove_a_transaction_that_is_not_there() {
    let seeds = seeds("/proofs/transaction/");
    assert!(seeds.len() > 5);
    mutate::run(&seeds, 300, checks::proof);
}

#[test]
fn no_bytes_break_the_reading_of_answers() {
    let seeds = seeds("/v1/");
    assert!(seeds.len() > 10);
    mutate::run(&seeds, 500, checks::answers);
}
