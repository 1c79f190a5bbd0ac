//! `vectors/finality.json`: answers of a node, for verifiers in other languages.
//!
//! `CORTADO_APPROVE=1 cargo test -p cortado-client --test vectors` writes it anew; the change is
//! then to be read and approved like code.

#[path = "support/chain.rs"]
mod chain;

use chain::{OTHER, ROLLUP, TestChain, transactions};
use cortado_client::api::{HeaderView, SeatsView};
use cortado_types::{Height, Namespace, Term};
use serde_json::{Map, Value, json};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/finality.json");

fn vectors() -> Value {
    let mut chain = TestChain::new();
    chain.extend(&[
        (ROLLUP, transactions("one", 3)),
        (OTHER, transactions("b", 140)),
    ]);
    chain.extend_uncertified(&[(ROLLUP, transactions("two", 1))]);
    chain.extend(&[]);
    let latest = chain.tip().header.clone();
    let chain_id = chain.genesis.chain_id;
    let mut answers = Map::new();
    answers.insert("/v1/genesis".into(), json!(chain.genesis));
    answers.insert(
        "/v1/seats/0".into(),
        json!(SeatsView::new(Term::ZERO, &chain.seats, chain_id)),
    );
    answers.insert("/v1/status".into(), json!({ "height": latest.height }));
    let path = format!("/v1/blocks/{}", latest.height);
    answers.insert(
        format!("{path}/certificate"),
        json!(chain.certificate_view(latest.height)),
    );
    answers.insert(format!("{path}/header"), json!(HeaderView::new(latest)));
    let places: [(Namespace, u64, usize); 5] = [
        (ROLLUP, 1, 0),
        (ROLLUP, 2, 0),
        (OTHER, 1, 0),
        (OTHER, 1, 127),
        (OTHER, 1, 139),
    ];
    let mut hashes = Vec::new();
    for (namespace, lane_height, index) in places {
        let proof = chain.transaction_proof(namespace, Height::new(lane_height), index);
        hashes.push(proof.hash);
        let proof = json!(proof);
        let path = "/v1/proofs/transaction";
        answers.insert(
            format!("{path}/{namespace}/{lane_height}/{index}"),
            proof.clone(),
        );
        answers.insert(format!("{path}/{}", hashes[hashes.len() - 1]), proof);
    }
    json!({
        "about": "Answers of a node's REST interface about a chain of three blocks and four seats.",
        "seats_hash": chain.seats.hash(),
        "places": places,
        "hashes": hashes,
        "answers": answers,
    })
}

#[test]
fn recorded_answers_are_what_a_node_would_say() {
    let made = vectors();
    if std::env::var_os("CORTADO_APPROVE").is_some() {
        std::fs::write(PATH, serde_json::to_string_pretty(&made).unwrap() + "\n").unwrap();
    }
    let recorded: Value = serde_json::from_str(&std::fs::read_to_string(PATH).unwrap()).unwrap();
    assert_eq!(recorded, made);
}
