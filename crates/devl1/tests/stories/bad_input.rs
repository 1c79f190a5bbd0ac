use alloy_consensus::TxEip1559;
use alloy_primitives::B256;
use cortado_ethrpc::limits::{BATCH_ENTRIES_MAX, REQUEST_BYTES_MAX};
use jsonrpsee::core::client::{ClientT, Error};
use jsonrpsee::rpc_params;
use serde_json::{Value, json};

use crate::common::L1;
use crate::json_rpc::websocket;
use crate::testing::{Account, raw, template};

fn counted(l1: &L1, name: &str) -> u64 {
    let counters = l1.handle.counters().snapshot();
    counters
        .iter()
        .find(|(counter, _)| *counter == name)
        .expect("a counter")
        .1
}

#[tokio::test]
async fn every_malformed_request_has_its_own_error_code() {
    let l1 = L1::start().await;
    let code = |text: &str| {
        let answer: Value = serde_json::from_str(text).expect("JSON");
        answer["error"]["code"].as_i64()
    };
    for (body, status, expected) in [
        ("nonsense", 400, -32700),
        ("{", 200, -32700),
        ("[", 200, -32700),
        (r#"{"id":1}"#, 200, -32600),
        ("[]", 200, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, 200, -32600),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_nothing"}"#,
            200,
            -32601,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}"#,
            200,
            -32601,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBalance"}"#,
            200,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":{"a":1}}"#,
            200,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["0x12"]}"#,
            200,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[1]}"#,
            200,
            -32602,
        ),
    ] {
        let (got, text) = l1.post(body).await;
        assert_eq!(
            (got, code(&text)),
            (status, Some(expected)),
            "{body}: {text}"
        );
    }
    assert_eq!(counted(&l1, "malformed"), 5);
    assert_eq!(counted(&l1, "unknown_methods"), 2);
    assert_eq!(counted(&l1, "invalid_params"), 4);

    // Deep nesting is refused by the parser, not by the stack.
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"eth_call","params":{}1{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let (_, text) = l1.post(deep).await;
    assert!(
        matches!(code(&text), Some(-32602 | -32600 | -32700)),
        "{text}"
    );
    l1.handle.stop().await;
}

#[tokio::test]
async fn oversize_bodies_and_giant_batches_are_refused_with_the_limit() {
    let l1 = L1::start().await;
    let (status, text) = l1
        .post(format!("{{{}}}", " ".repeat(REQUEST_BYTES_MAX as usize)))
        .await;
    assert_eq!(status, 413);
    assert!(text.contains(&REQUEST_BYTES_MAX.to_string()), "{text}");
    assert_eq!(counted(&l1, "oversized"), 1);

    let entry = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"});
    let batch = |entries: u32| Value::Array(vec![entry.clone(); entries as usize]).to_string();
    let (_, text) = l1.post(batch(BATCH_ENTRIES_MAX)).await;
    let answers: Vec<Value> = serde_json::from_str(&text).expect("a list");
    assert_eq!(answers.len(), BATCH_ENTRIES_MAX as usize);
    let (_, text) = l1.post(batch(BATCH_ENTRIES_MAX + 1)).await;
    let answer: Value = serde_json::from_str(&text).expect("one answer");
    assert_eq!(answer["error"]["code"], json!(-32010));
    assert!(
        text.contains(&format!("limit of {BATCH_ENTRIES_MAX}")),
        "{text}"
    );
    l1.handle.stop().await;
}

#[tokio::test]
async fn every_bad_transaction_has_its_wording() {
    let l1 = L1::start().await;
    let alice = Account::new(1);
    let bend = |change: &dyn Fn(&mut TxEip1559)| {
        let mut tx = template(0, 1);
        change(&mut tx);
        json!(raw(&alice.sign(tx)))
    };
    let good = alice.transfer(0, 1);
    let sent = l1.call("eth_sendRawTransaction", json!([raw(&good)])).await;
    let again = l1
        .refusal("eth_sendRawTransaction", json!([raw(&good)]))
        .await;
    assert_eq!((again.0, again.1.as_str()), (-32000, "already known"));
    l1.receipt(&sent).await;

    let mut truncated = raw(&good).to_vec();
    truncated.pop();
    let poor = Account::new(99).transfer(0, 1);
    for (transaction, code, wording) in [
        (json!("0x"), -32602, "invalid transaction encoding"),
        (json!("0x1234"), -32602, "invalid transaction encoding"),
        (
            json!("0xzz"),
            -32602,
            "invalid argument 0 (raw transaction)",
        ),
        (
            json!(alloy_primitives::hex::encode_prefixed(&truncated)),
            -32602,
            "invalid transaction encoding",
        ),
        (json!(raw(&good)), -32000, "already known"),
        (
            bend(&|tx| tx.value = alloy_primitives::U256::from(2)),
            -32000,
            "nonce too low: next nonce 1, tx nonce 0",
        ),
        (
            bend(&|tx| tx.chain_id = 1),
            -32000,
            "invalid chain id for signer: have 1 want 31337",
        ),
        (
            bend(&|tx| (tx.nonce, tx.gas_limit) = (1, 100)),
            -32000,
            "intrinsic gas too low",
        ),
        (
            json!(raw(&poor)),
            -32000,
            "insufficient funds for gas * price + value",
        ),
        (
            json!(alloy_primitives::hex::encode_prefixed(vec![2; 131_073])),
            -32000,
            "oversized data: transaction size 131073, limit 131072",
        ),
    ] {
        let (got, message, _) = l1
            .refusal("eth_sendRawTransaction", json!([transaction]))
            .await;
        assert_eq!(got, code, "{message}");
        assert!(message.starts_with(wording), "{message}");
    }
    assert_eq!(counted(&l1, "transactions_accepted"), 1);
    assert_eq!(counted(&l1, "transactions_rejected"), 10);
    l1.handle.stop().await;
}

#[tokio::test]
async fn questions_beyond_the_limits_name_value_and_limit() {
    let l1 = L1::start().await;
    let many: Vec<String> = (0..1_025).map(|n| format!("{n:#066x}")).collect();
    let topics: Vec<B256> = (0..1_001u64)
        .map(|n| B256::from(alloy_primitives::U256::from(n)))
        .collect();
    let account = Account::new(1).address;
    for (method, params, code, wording) in [
        (
            "eth_getProof",
            json!([account, many, "latest"]),
            -32005,
            "number of storage keys 1025 exceeds the limit of 1024",
        ),
        (
            "eth_getLogs",
            json!([{"topics": [topics]}]),
            -32005,
            "number of addresses or topics at one position 1001 exceeds the limit of 1000",
        ),
        (
            "eth_getLogs",
            json!([{"fromBlock": "0x5", "toBlock": "0x2"}]),
            -32602,
            "invalid block range: fromBlock 5 is after toBlock 2",
        ),
        (
            "eth_feeHistory",
            json!(["0x1", "latest", [50.0, 20.0]]),
            -32602,
            "invalid reward percentile: 20 follows 50",
        ),
        (
            "eth_feeHistory",
            json!(["0x1", "latest", [101.0]]),
            -32602,
            "invalid reward percentile: 101",
        ),
        (
            "eth_getBalance",
            json!([account, "0xffffff"]),
            -32001,
            "block not found",
        ),
        (
            "eth_getBalance",
            json!([account, "sometime"]),
            -32602,
            "invalid argument 1 (block)",
        ),
        (
            "eth_sendRawTransactionSync",
            json!(["0x", 0]),
            -32602,
            "timeout must be positive",
        ),
        (
            "eth_newPendingTransactionFilter",
            json!([true]),
            -32602,
            "polled filters return hashes",
        ),
        (
            "eth_getFilterChanges",
            json!(["0x1"]),
            -32000,
            "filter not found",
        ),
    ] {
        let (got, message, _) = l1.refusal(method, params).await;
        assert_eq!(got, code, "{method}: {message}");
        assert!(message.starts_with(wording), "{method}: {message}");
    }
    // Ranges beyond the tip are no error: there is just nothing yet.
    let none = l1
        .call("eth_getLogs", json!([{"fromBlock": "0xfffff"}]))
        .await;
    assert_eq!(none, json!([]));
    let none = l1
        .call("eth_getBlockByNumber", json!(["0xfffff", false]))
        .await;
    assert!(none.is_null());
    l1.handle.stop().await;
}

#[tokio::test]
async fn an_unknown_subscription_and_one_too_many_are_refused() {
    let l1 = L1::start().await;
    let client = websocket(&l1).await;
    let refusal = |result: Result<Value, Error>| match result {
        Err(Error::Call(error)) => (error.code(), error.message().to_owned()),
        other => panic!("has to be refused: {other:?}"),
    };
    let unknown = client.request("eth_subscribe", rpc_params!["gossip"]).await;
    let expected = (
        -32602,
        "no \"gossip\" subscription in eth namespace".to_owned(),
    );
    assert_eq!(refusal(unknown), expected);
    let mut held = Vec::new();
    for _ in 0..cortado_ethrpc::limits::SUBSCRIPTIONS_PER_CONNECTION_MAX {
        held.push(crate::json_rpc::subscribe(&client, vec![json!("newHeads")]).await);
    }
    let one_more = client
        .request("eth_subscribe", rpc_params!["newHeads"])
        .await;
    assert_eq!(refusal(one_more).0, -32006);
    // Another connection has its own share, and leaving one makes room.
    crate::json_rpc::subscribe(&websocket(&l1).await, vec![json!("newHeads")]).await;
    held.pop()
        .expect("one")
        .unsubscribe()
        .await
        .expect("unsubscribes");
    l1.eventually(|| async {
        client
            .request::<Value, _>("eth_subscribe", rpc_params!["newHeads"])
            .await
            .ok()
    })
    .await;
    l1.handle.stop().await;
}
