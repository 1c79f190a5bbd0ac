//! The client over real HTTP, against honest nodes, silent nodes, and nodes that lie.

#[path = "../../client/tests/support/chain.rs"]
mod chain;
#[path = "support/liar.rs"]
mod liar;
#[path = "support/reader.rs"]
mod reader;

use chain::{OTHER, ROLLUP, TestChain, transactions};
use cortado_chain::ENTRY_NAMESPACE;
use cortado_client::{Client, ClientError, Lie, namespace_state};
use cortado_types::{CertificateError, Height, keccak256};
use futures::StreamExt;
use liar::Liar;
use reader::{TestReader, foreign_genesis};
use serde_json::{Value, json};
use std::sync::Arc;

fn h(height: u64) -> Height {
    Height::new(height)
}

fn story() -> Arc<TestReader> {
    let mut chain = TestChain::new();
    chain.extend(&[
        (ROLLUP, transactions("one", 3)),
        (OTHER, transactions("b", 40)),
    ]);
    chain.extend_uncertified(&[(ROLLUP, transactions("two", 1))]);
    chain.extend(&[]);
    TestReader::new(chain)
}

fn client(reader: &TestReader, urls: &[String]) -> Client {
    Client::new(&reader.chain().genesis, urls).unwrap()
}

#[tokio::test]
async fn everything_a_node_knows_is_verified_from_genesis() {
    let reader = story();
    let server = reader.serve().await;
    let client = client(&reader, &[server.url()]);
    assert_eq!(client.head().await.unwrap().header().height, h(3));
    assert_eq!(
        client.header(h(0)).await.unwrap().hash(),
        reader.chain().blocks[0].hash()
    );
    let block = client.block(h(2)).await.unwrap();
    assert_eq!(block.descendants().len(), 1);
    let lane = client.lane(h(1), 1).await.unwrap();
    assert_eq!(lane.entry.lane.header.namespace, OTHER);
    let body = client.lane_body(&lane.entry.lane.header).await.unwrap();
    assert_eq!(body.transactions, transactions("b", 40));
    let by_place = client.transaction(OTHER, h(1), 20).await.unwrap();
    let hash = keccak256(&transactions("b", 40)[20]);
    assert_eq!(client.transaction_by_hash(hash).await.unwrap(), by_place);
    let entry = client
        .state(h(3), ENTRY_NAMESPACE, ROLLUP.get())
        .await
        .unwrap();
    assert_eq!(namespace_state(&entry).unwrap().unwrap().tip.height, h(2));
    assert_eq!(
        client.ancestor(h(1), h(3)).await.unwrap().header().height,
        h(1)
    );
    assert_eq!(client.reports()[0].faults, 0);
}

#[tokio::test]
async fn follower_gets_every_block_once_and_in_order() {
    let reader = story();
    let server = reader.serve().await;
    let mut follow = client(&reader, &[server.url()]).follow(h(0));
    for height in 0..=3 {
        assert_eq!(follow.next().await.unwrap().unwrap().height(), h(height));
    }
    for height in 4..=6 {
        reader.extend(&[(ROLLUP, transactions("more", 1))]);
        let block = follow.next().await.unwrap().unwrap();
        assert_eq!(block.hash(), reader.chain().blocks[height].hash());
    }
}

#[tokio::test]
async fn follower_resumes_elsewhere_when_its_node_stops() {
    let reader = story();
    let first = reader.serve().await;
    let second = reader.serve().await;
    let client = client(&reader, &[first.url(), second.url()]);
    let mut follow = client.follow(h(1));
    for height in 1..=3 {
        assert_eq!(follow.next().await.unwrap().unwrap().height(), h(height));
    }
    first.stop().await;
    reader.extend(&[]);
    assert_eq!(follow.next().await.unwrap().unwrap().height(), h(4));
    assert!(client.reports()[0].faults > 0);
}

#[tokio::test]
async fn follower_outlives_an_outage_of_all_nodes() {
    let reader = story();
    let server = reader.serve().await;
    let address = server.address();
    let mut follow = client(&reader, &[server.url()]).follow(h(3));
    assert_eq!(follow.next().await.unwrap().unwrap().height(), h(3));
    server.stop().await;
    reader.extend(&[]);
    let (next, server) = tokio::join!(follow.next(), async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        cortado_node::api::serve(address, reader.clone())
            .await
            .unwrap()
    });
    assert_eq!(next.unwrap().unwrap().height(), h(4));
    drop(server);
}

#[tokio::test]
async fn follower_ends_when_the_height_is_pruned_everywhere() {
    let reader = story();
    *reader.oldest.lock().unwrap() = h(2);
    let (a, b) = (reader.serve().await, reader.serve().await);
    let mut follow = client(&reader, &[a.url(), b.url()]).follow(h(1));
    let error = follow.next().await.unwrap().unwrap_err();
    assert!(
        matches!(error, ClientError::Refused { status: 410, .. }),
        "{error}"
    );
    assert!(follow.next().await.is_none());
}

#[tokio::test]
async fn node_of_another_genesis_is_not_believed() {
    let reader = story();
    let server = reader.serve().await;
    let client = Client::new(&foreign_genesis(), &[server.url()]).unwrap();
    for height in [h(0), h(1)] {
        let error = client.header(height).await.unwrap_err();
        assert!(matches!(error, ClientError::Lied { .. }), "{error}");
    }
}

/// What `question` gets from a node that alters its answers by `alter`, alone; and that an honest
/// node beside it helps.
async fn caught<V, F>(
    alter: impl Fn(&str, &mut Value) + Send + Sync + 'static,
    question: impl Fn(Client) -> F,
) -> Lie
where
    V: std::fmt::Debug,
    F: Future<Output = Result<V, ClientError>>,
{
    let reader = story();
    let server = reader.serve().await;
    let liar = Liar::start(server.url(), alter).await;
    let alone = client(&reader, &[liar.url()]);
    let error = question(alone.clone()).await.unwrap_err();
    assert_eq!(alone.reports()[0].faults, 1);
    let helped = client(&reader, &[liar.url(), server.url()]);
    question(helped.clone()).await.unwrap();
    assert_eq!(
        helped
            .reports()
            .iter()
            .map(|r| r.faults)
            .collect::<Vec<_>>(),
        [1, 0]
    );
    match error {
        ClientError::Lied { lie, .. } => lie,
        other => panic!("expected a lie, got {other}"),
    }
}

fn flip(value: &mut Value) {
    let text = value.as_str().unwrap();
    let (rest, last) = text.split_at(text.len() - 1);
    let digit = u8::from_str_radix(last, 16).unwrap() ^ 1;
    *value = Value::from(format!("{rest}{digit:x}"));
}

#[tokio::test]
async fn altered_certificate_is_caught() {
    let alter = |path: &str, value: &mut Value| {
        if path.ends_with("certificate") {
            value["view"] = json!(value["view"].as_u64().unwrap() + 1);
        }
    };
    let lie = caught(alter, |client| async move { client.header(h(1)).await }).await;
    assert!(
        matches!(
            lie,
            Lie::Certificate {
                source: CertificateError::Bls(_),
                ..
            }
        ),
        "{lie}"
    );
}

#[tokio::test]
async fn certificate_below_quorum_is_caught() {
    let alter = |path: &str, value: &mut Value| {
        if path.ends_with("certificate") {
            value["bitmap"] = json!("0x03");
        }
    };
    let lie = caught(alter, |client| async move { client.header(h(1)).await }).await;
    let below = CertificateError::BelowQuorum {
        signers: 2,
        quorum: 3,
    };
    assert_eq!(
        lie,
        Lie::Certificate {
            height: h(1),
            source: below
        }
    );
}

#[tokio::test]
async fn altered_header_is_caught() {
    let alter = |path: &str, value: &mut Value| {
        if path.ends_with("header") {
            flip(&mut value["state_root"]);
        }
    };
    let lie = caught(alter, |client| async move { client.header(h(1)).await }).await;
    assert!(matches!(
        lie,
        Lie::Certificate {
            source: CertificateError::Payload { .. },
            ..
        }
    ));
}

#[tokio::test]
async fn answer_about_another_height_is_caught() {
    let reader = story();
    let server = reader.serve().await;
    let other = server.url();
    // Every word of it is true, of block 1.
    let liar = Liar::redirecting(server.url(), |path| path.replace("/3", "/1")).await;
    let client = client(&reader, &[liar.url(), other]);
    assert_eq!(client.block(h(3)).await.unwrap().height(), h(3));
    let fault = client.reports()[0].last_fault.clone().unwrap();
    assert!(
        fault.contains("asked for") && fault.contains('3'),
        "{fault}"
    );
}

#[tokio::test]
async fn altered_body_is_caught() {
    let alter = |path: &str, value: &mut Value| {
        if path.ends_with("body") {
            flip(&mut value["transactions"][0]);
        }
    };
    let lie = caught(alter, |client| async move {
        let lane = client.lane(h(1), 0).await?;
        client.lane_body(&lane.entry.lane.header).await
    })
    .await;
    assert!(matches!(lie, Lie::Body { .. }), "{lie}");
}

#[tokio::test]
async fn altered_proofs_are_caught() {
    let lane = |path: &str, value: &mut Value| {
        if path.contains("/proofs/") {
            flip(&mut value["proof"][0]);
        }
    };
    let lie = caught(lane, |client| async move { client.lane(h(1), 0).await }).await;
    assert!(matches!(lie, Lie::Proof(_)), "{lie}");
    let transaction = |path: &str, value: &mut Value| {
        if path.contains("/proofs/") {
            flip(&mut value["transaction"]);
        }
    };
    let lie = caught(transaction, |client| async move {
        client.transaction(OTHER, h(1), 5).await
    });
    assert!(matches!(
        lie.await,
        Lie::Other {
            what: "transaction",
            ..
        }
    ));
    let state = |path: &str, value: &mut Value| {
        if path.contains("/proofs/") {
            flip(&mut value["value"]);
        }
    };
    let question =
        |client: Client| async move { client.state(h(3), ENTRY_NAMESPACE, ROLLUP.get()).await };
    assert!(matches!(caught(state, question).await, Lie::Proof(_)));
    let absent = |path: &str, value: &mut Value| {
        if path.contains("/proofs/") {
            value["value"] = Value::Null;
        }
    };
    assert!(matches!(caught(absent, question).await, Lie::Proof(_)));
    let history = |path: &str, value: &mut Value| {
        if path.contains("/proofs/") {
            flip(&mut value["proof"]["peaks"][0]);
        }
    };
    let lie = caught(history, |client| async move {
        client.ancestor(h(2), h(3)).await
    })
    .await;
    assert!(matches!(lie, Lie::History(_)), "{lie}");
}

#[tokio::test]
async fn nonsense_and_endless_answers_are_caught() {
    let nonsense = |_: &str, value: &mut Value| *value = json!({ "hash": 7 });
    let lie = caught(nonsense, |client| async move { client.header(h(1)).await }).await;
    assert!(matches!(lie, Lie::Shape(_)), "{lie}");
    let endless = |path: &str, value: &mut Value| {
        if path.ends_with("body") {
            value["transactions"] = json!(["0x".to_owned() + &"00".repeat(17 << 20)]);
        }
    };
    let lie = caught(endless, |client| async move {
        let lane = client.lane(h(1), 0).await?;
        client.lane_body(&lane.entry.lane.header).await
    })
    .await;
    assert!(matches!(lie, Lie::TooLong { .. }), "{lie}");
}

#[tokio::test]
async fn follower_leaves_a_node_that_lies_in_its_stream() {
    let reader = story();
    let server = reader.serve().await;
    let liar = Liar::start(server.url(), |_, value| {
        flip(&mut value["certificate"]["signature"])
    });
    let liar = liar.await;
    let client = client(&reader, &[liar.url(), server.url()]);
    let mut follow = client.follow(h(1));
    for height in 1..=3 {
        assert_eq!(follow.next().await.unwrap().unwrap().height(), h(height));
    }
    assert_eq!(client.reports()[0].faults, 1);
    assert_eq!(client.reports()[1].faults, 0);
}

#[test]
fn urls_that_are_none_are_refused_by_name() {
    let genesis = TestChain::new().genesis;
    for url in ["", "node:80", "ftp://node", "http://"] {
        let error = Client::new(&genesis, &[url]).unwrap_err();
        assert!(
            matches!(&error, ClientError::Url { url: named, .. } if named == url),
            "{error}"
        );
    }
    assert!(matches!(
        Client::new::<&str>(&genesis, &[]),
        Err(ClientError::NoNode)
    ));
}
