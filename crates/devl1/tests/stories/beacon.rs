use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::common::{L1, PATIENCE, decimal, hash, quantity};

/// Reads server-sent events.
struct Events {
    answer: reqwest::Response,
    text: String,
    ready: VecDeque<(String, Value)>,
}

impl Events {
    async fn open(l1: &L1, topics: &str) -> Self {
        let url = format!(
            "http://{}/eth/v1/events?topics={topics}",
            l1.handle.beacon_addr()
        );
        let answer = reqwest::get(url).await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self {
            answer,
            text: String::new(),
            ready: VecDeque::new(),
        }
    }

    /// The next event; `None` at the end of the stream.
    async fn next(&mut self) -> Option<(String, Value)> {
        while self.ready.is_empty() {
            let chunk = tokio::time::timeout(PATIENCE, self.answer.chunk()).await;
            let chunk = chunk.expect("nothing came").ok()??;
            self.text
                .push_str(std::str::from_utf8(&chunk).expect("text"));
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    event
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(str::trim)
                };
                if let (Some(topic), Some(data)) = (field("event:"), field("data:")) {
                    let data = serde_json::from_str(data).expect("JSON");
                    self.ready.push_back((topic.to_owned(), data));
                }
                self.text = rest.to_owned();
            }
        }
        self.ready.pop_front()
    }

    async fn next_of(&mut self, topic: &str) -> Value {
        loop {
            let (name, data) = self.next().await.expect("the stream goes on");
            if name == topic {
                return data;
            }
        }
    }
}

#[tokio::test]
async fn a_header_links_to_its_parent_and_to_the_execution_block() {
    let l1 = L1::start().await;
    l1.reach(3).await;
    let block = l1.call("eth_getBlockByNumber", json!(["0x2", false])).await;
    let parent = hash(&block["parentBeaconBlockRoot"]);
    // EIP-4788: what the execution block carries is the root of its parent's beacon block.
    let header = l1
        .beacon_ok(&format!("/eth/v1/beacon/headers/{parent}"))
        .await;
    assert_eq!(hash(&header["data"]["root"]), parent);
    assert_eq!(header["data"]["canonical"], json!(true));
    let message = &header["data"]["header"]["message"];
    let slot = decimal(&message["slot"]);
    let by_slot = l1
        .beacon_ok(&format!("/eth/v1/beacon/headers/{slot}"))
        .await;
    assert_eq!(by_slot["data"], header["data"]);

    let full = l1
        .beacon_ok(&format!("/eth/v2/beacon/blocks/{parent}"))
        .await;
    let payload = &full["data"]["message"]["body"]["execution_payload"];
    assert_eq!(payload["block_hash"], block["parentHash"]);
    let state = message["state_root"].as_str().expect("a root");
    let root = l1
        .beacon_ok(&format!("/eth/v1/beacon/states/{state}/root"))
        .await;
    assert_eq!(root["data"]["root"], message["state_root"]);

    let genesis = l1.beacon_ok("/eth/v1/beacon/headers/genesis").await;
    let message = &genesis["data"]["header"]["message"];
    assert_eq!(
        (decimal(&message["slot"]), genesis["finalized"].clone()),
        (0, json!(true))
    );
    l1.handle.stop().await;
}

#[tokio::test]
async fn duties_and_lookahead_agree_and_name_the_validators_keys() {
    let l1 = L1::start().await;
    l1.reach(5).await;
    let spec = l1.beacon_ok("/eth/v1/config/spec").await;
    let epoch_slots = decimal(&spec["data"]["SLOTS_PER_EPOCH"]);
    assert_eq!(
        decimal(&spec["data"]["SLOT_DURATION_MS"]),
        crate::common::SLOT_MS
    );
    let validators = l1.beacon_ok("/eth/v1/beacon/states/head/validators").await;

    let head = l1.beacon_ok("/eth/v1/beacon/headers/head").await;
    let slot = decimal(&head["data"]["header"]["message"]["slot"]);
    let lookahead = l1
        .beacon_ok(&format!("/eth/v1/beacon/states/{slot}/proposer_lookahead"))
        .await;
    let lookahead = lookahead["data"].as_array().expect("a list").clone();
    assert_eq!(lookahead.len() as u64, 2 * epoch_slots);
    let epoch = slot / epoch_slots;
    let mut proposers = Vec::new();
    for duties_of in [epoch, epoch + 1] {
        let path = format!("validator/duties/proposer/{duties_of}");
        let old = l1.beacon_ok(&format!("/eth/v1/{path}")).await;
        let new = l1.beacon_ok(&format!("/eth/v2/{path}")).await;
        assert_eq!(old["data"], new["data"]);
        for (duty, slot) in old["data"].as_array().expect("a list").iter().zip(0..) {
            assert_eq!(decimal(&duty["slot"]), duties_of * epoch_slots + slot);
            let index = decimal(&duty["validator_index"]) as usize;
            assert_eq!(
                duty["pubkey"],
                validators["data"][index]["validator"]["pubkey"]
            );
            proposers.push(duty["validator_index"].clone());
        }
        // v1 depends on the last block before the epoch, v2 on the last one an epoch earlier.
        let before = |epoch: u64| (epoch * epoch_slots).saturating_sub(1);
        for (duties, last) in [(old, before(duties_of)), (new, before(duties_of - 1))] {
            let root = hash(&duties["dependent_root"]);
            let header = l1
                .beacon_ok(&format!("/eth/v1/beacon/headers/{root}"))
                .await;
            assert!(decimal(&header["data"]["header"]["message"]["slot"]) <= last);
        }
    }
    assert_eq!(proposers, lookahead);
    l1.handle.stop().await;
}

#[tokio::test]
async fn listeners_hear_heads_a_reorg_and_finality() {
    let l1 = L1::start().await;
    l1.reach(3).await;
    let mut events = Events::open(&l1, "head,head_v2,chain_reorg,finalized_checkpoint").await;
    let head = events.next_of("head").await;
    let v2 = events.next_of("head_v2").await;
    assert_eq!(v2["data"]["block"], head["block"]);
    assert_eq!(
        v2["data"]["next_epoch_dependent_root"],
        head["current_duty_dependent_root"]
    );
    let root = hash(&head["block"]);
    let header = l1
        .beacon_ok(&format!("/eth/v1/beacon/headers/{root}"))
        .await;
    assert_eq!(header["data"]["header"]["message"]["slot"], head["slot"]);

    let done = l1
        .handle
        .chain()
        .reorg(1)
        .await
        .expect("possible")
        .expect("the chain runs");
    let reorg = events.next_of("chain_reorg").await;
    for (field, execution) in [
        ("old_head_block", done.old_head),
        ("new_head_block", done.new_head),
    ] {
        let root = hash(&reorg[field]);
        let block = l1.beacon_ok(&format!("/eth/v2/beacon/blocks/{root}")).await;
        let payload = &block["data"]["message"]["body"]["execution_payload"];
        assert_eq!(hash(&payload["block_hash"]), execution, "{field}");
    }
    assert!(decimal(&reorg["depth"]) >= 1);

    let finalized = events.next_of("finalized_checkpoint").await;
    let root = hash(&finalized["block"]);
    let header = l1
        .beacon_ok(&format!("/eth/v1/beacon/headers/{root}"))
        .await;
    assert_eq!(header["finalized"], json!(true));
    assert_eq!(
        header["data"]["header"]["message"]["state_root"],
        finalized["state"]
    );
    let number = quantity(
        &l1.call("eth_getBlockByNumber", json!(["finalized", false]))
            .await["number"],
    );
    assert!(number > 0);
    let checkpoints = l1
        .beacon_ok("/eth/v1/beacon/states/head/finality_checkpoints")
        .await;
    assert!(decimal(&checkpoints["data"]["finalized"]["epoch"]) >= decimal(&finalized["epoch"]));

    // The stream ends with the server instead of holding it.
    l1.handle.stop().await;
    while events.next().await.is_some() {}
}

#[tokio::test]
async fn every_bad_request_has_the_standards_error_shape() {
    let l1 = L1::start().await;
    l1.reach(1).await;
    l1.handle.chain().miss_next(2);
    let slot = l1.handle.chain().status().slot;
    l1.eventually(|| async { (l1.handle.chain().status().slot > slot + 2).then_some(()) })
        .await;
    let missed = slot + 1;
    let unknown = format!("0x{}", "ab".repeat(32));
    let cases = [
        (
            "/eth/v1/beacon/headers/nonsense".to_owned(),
            400,
            "invalid block id: nonsense".to_owned(),
        ),
        (
            "/eth/v1/beacon/headers/-1".to_owned(),
            400,
            "invalid block id: -1".to_owned(),
        ),
        (
            format!("/eth/v1/beacon/headers/{missed}"),
            404,
            format!("no block at slot {missed}"),
        ),
        (
            format!("/eth/v1/beacon/headers/{unknown}"),
            404,
            format!("not found: {unknown}"),
        ),
        (
            "/eth/v1/beacon/states/x/proposer_lookahead".to_owned(),
            400,
            "invalid state id: x".to_owned(),
        ),
        (
            "/eth/v1/beacon/states/999999999/root".to_owned(),
            404,
            "slot 999999999 is after the head at slot ".to_owned(),
        ),
        (
            "/eth/v1/validator/duties/proposer/x".to_owned(),
            400,
            "invalid epoch: x".to_owned(),
        ),
        (
            "/eth/v2/validator/duties/proposer/18446744073709551615".to_owned(),
            400,
            "epoch 18446744073709551615 is beyond the lookahead: current epoch ".to_owned(),
        ),
        (
            "/eth/v1/events?topics=gossip".to_owned(),
            400,
            "invalid topic: gossip".to_owned(),
        ),
        (
            "/eth/v9/nothing".to_owned(),
            404,
            "no such endpoint".to_owned(),
        ),
    ];
    for (path, status, message) in cases {
        let (got, error) = l1.beacon(&path).await;
        assert_eq!((got, &error["code"]), (status, &json!(status)), "{path}");
        let text = error["message"].as_str().expect("a message");
        assert!(text.starts_with(&message), "{path}: {text}");
    }
    let url = format!("http://{}/eth/v1/node/version", l1.handle.beacon_addr());
    let posted = reqwest::Client::new()
        .post(url)
        .send()
        .await
        .expect("an answer");
    assert_eq!(posted.status().as_u16(), 405);
    assert_eq!(
        posted.json::<Value>().await.expect("JSON")["code"],
        json!(405)
    );
    l1.handle.stop().await;
}
