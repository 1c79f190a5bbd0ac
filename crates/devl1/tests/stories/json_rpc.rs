use alloy_consensus::{Header, TxEip1559};
use alloy_primitives::{B256, Bytes, U256, keccak256};
use alloy_rpc_types_eth::{Block, Transaction, TransactionReceipt};
use jsonrpsee::core::client::{ClientT, Subscription, SubscriptionClientT};
use jsonrpsee::rpc_params;
use jsonrpsee_ws_client::{WsClient, WsClientBuilder};
use serde_json::{Value, json};

use crate::common::{L1, PATIENCE, hash, quantity};
use crate::testing::{Account, CHAIN_ID, LOGGER, REVERTER, RICH_WEI, raw, template};

pub async fn websocket(l1: &L1) -> WsClient {
    let url = format!("ws://{}", l1.handle.rpc_addr());
    WsClientBuilder::default()
        .build(url)
        .await
        .expect("connects")
}

pub async fn subscribe(client: &WsClient, params: Vec<Value>) -> Subscription<Value> {
    let mut given = jsonrpsee::core::params::ArrayParams::new();
    for param in params {
        given.insert(param).expect("JSON");
    }
    client
        .subscribe("eth_subscribe", given, "eth_unsubscribe")
        .await
        .expect("accepted")
}

pub async fn next(subscription: &mut Subscription<Value>) -> Value {
    let next = tokio::time::timeout(PATIENCE, subscription.next()).await;
    next.expect("nothing came")
        .expect("the subscription ended")
        .expect("JSON")
}

#[tokio::test]
async fn a_sent_transaction_is_pending_then_mined_and_proved() {
    let l1 = L1::start().await;
    let alice = Account::new(1);
    l1.handle.chain().miss_next(3);
    let tx = alice.transfer(0, 1);
    let sent = l1.call("eth_sendRawTransaction", json!([raw(&tx)])).await;
    assert_eq!(hash(&sent), *tx.tx_hash());

    // While it waits: known, without a block, counted in the pending nonce.
    let waiting = l1.call("eth_getTransactionByHash", json!([sent])).await;
    assert!(waiting["blockHash"].is_null(), "{waiting}");
    let nonce = |tag: &'static str| {
        let address = alice.address;
        let l1 = &l1;
        async move {
            quantity(
                &l1.call("eth_getTransactionCount", json!([address, tag]))
                    .await,
            )
        }
    };
    assert_eq!((nonce("latest").await, nonce("pending").await), (0, 1));

    let receipt = l1.receipt(&sent).await;
    let typed: TransactionReceipt = serde_json::from_value(receipt.clone()).expect("a receipt");
    assert!(typed.status());
    assert_eq!((typed.from, typed.gas_used), (alice.address, 21_000));
    assert_eq!(nonce("latest").await, 1);

    // The block it is in, with hashes and whole, in the types of a client library.
    let named = receipt["blockHash"].clone();
    let block = l1.call("eth_getBlockByHash", json!([named, true])).await;
    let block: Block<Transaction, alloy_rpc_types_eth::Header<Header>> =
        serde_json::from_value(block).expect("a block");
    assert_eq!(block.header.inner.hash_slow(), hash(&named));
    assert_eq!(block.transactions.len(), 1);
    let receipts = l1.call("eth_getBlockReceipts", json!([named])).await;
    assert_eq!(receipts, json!([receipt]));
    let count = l1
        .call("eth_getBlockTransactionCountByHash", json!([named]))
        .await;
    assert_eq!(quantity(&count), 1);
    for (method, at) in [
        ("eth_getTransactionByBlockHashAndIndex", &named),
        (
            "eth_getTransactionByBlockNumberAndIndex",
            &receipt["blockNumber"],
        ),
    ] {
        let found = l1.call(method, json!([at, "0x0"])).await;
        assert_eq!(found["hash"], sent, "{method}");
    }
    let same = l1.call("eth_getRawTransactionByHash", json!([sent])).await;
    assert_eq!(same, json!(raw(&tx)));

    // The balance after it, with a proof against the state root of that block.
    let at = json!({"blockHash": named, "requireCanonical": true});
    let proof = l1
        .call("eth_getProof", json!([alice.address, ["0x0"], at]))
        .await;
    let balance = l1.call("eth_getBalance", json!([alice.address, at])).await;
    assert_eq!(proof["balance"], balance);
    let first: Bytes = serde_json::from_value(proof["accountProof"][0].clone()).expect("bytes");
    assert_eq!(keccak256(&first), block.header.inner.state_root);
    l1.handle.stop().await;
}

#[tokio::test]
async fn a_client_learns_chain_fees_and_node_before_it_sends() {
    let l1 = L1::start().await;
    l1.reach(3).await;
    assert_eq!(quantity(&l1.call("eth_chainId", json!([])).await), CHAIN_ID);
    assert_eq!(l1.call("net_version", json!([])).await, json!("31337"));
    assert_eq!(l1.call("net_listening", json!([])).await, json!(true));
    assert_eq!(l1.call("eth_syncing", json!([])).await, json!(false));
    assert_eq!(l1.call("eth_accounts", json!([])).await, json!([]));
    let version = l1.call("web3_clientVersion", json!([])).await;
    assert!(
        version.as_str().is_some_and(|v| v.starts_with("devl1/")),
        "{version}"
    );
    let sha3 = l1.call("web3_sha3", json!(["0x68656c6c6f"])).await;
    assert_eq!(hash(&sha3), keccak256(b"hello"));
    assert!(quantity(&l1.call("eth_gasPrice", json!([])).await) >= 1);
    assert_eq!(
        quantity(&l1.call("eth_maxPriorityFeePerGas", json!([])).await),
        1
    );

    let history = l1
        .call("eth_feeHistory", json!(["0x2", "latest", [25.0, 75.0]]))
        .await;
    assert_eq!(history["baseFeePerGas"].as_array().map(Vec::len), Some(3));
    assert_eq!(history["gasUsedRatio"].as_array().map(Vec::len), Some(2));
    assert_eq!(history["reward"], json!([["0x0", "0x0"], ["0x0", "0x0"]]));
    // Counts come as numbers too, and a history longer than the chain is cut.
    let history = l1.call("eth_feeHistory", json!([1_000, "0x1"])).await;
    assert_eq!(history["oldestBlock"], json!("0x0"));
    l1.handle.stop().await;
}

#[tokio::test]
async fn calls_and_estimates_run_on_any_tag_and_reverts_carry_their_data() {
    let l1 = L1::start().await;
    let to_logger = json!({"to": LOGGER, "data": B256::repeat_byte(3)});
    for tag in ["latest", "pending", "safe", "finalized", "earliest", "0x0"] {
        assert_eq!(
            l1.call("eth_call", json!([to_logger, tag])).await,
            json!("0x"),
            "{tag}"
        );
    }
    // Code that returns its own balance, put where there is none: overrides are obeyed.
    let nowhere = "0x00000000000000000000000000000000000000ff";
    let overrides = json!({nowhere: {"code": "0x4760005260206000f3", "balance": "0x2a"}});
    let value = l1
        .call("eth_call", json!([{"to": nowhere}, "latest", overrides]))
        .await;
    assert_eq!(quantity(&value), 42);

    let gas = quantity(&l1.call("eth_estimateGas", json!([to_logger])).await);
    assert!((21_000..40_000).contains(&gas), "{gas}");
    let transfer = json!({"from": Account::new(1).address, "to": nowhere, "value": "0x1"});
    assert_eq!(
        quantity(&l1.call("eth_estimateGas", json!([transfer])).await),
        21_000
    );

    let reason = "0x08c379a00000000000000000000000000000000000000000000000000000000000000020\
                  00000000000000000000000000000000000000000000000000000000000000046e6f7065\
                  00000000000000000000000000000000000000000000000000000000";
    for method in ["eth_call", "eth_estimateGas"] {
        let refusal = l1
            .refusal(method, json!([{"to": REVERTER, "data": reason}]))
            .await;
        assert_eq!(
            refusal,
            (3, "execution reverted: nope".to_owned(), json!(reason)),
            "{method}"
        );
    }
    let rich = format!("{:#x}", RICH_WEI + U256::ONE);
    let broke = json!({"from": Account::new(1).address, "to": nowhere, "value": rich});
    let (code, message, _) = l1.refusal("eth_estimateGas", json!([broke])).await;
    assert_eq!(code, -32000);
    assert!(
        message.starts_with("insufficient funds for gas * price + value"),
        "{message}"
    );

    let list = l1.call("eth_createAccessList", json!([to_logger])).await;
    assert!(
        list["error"].is_null() && list["accessList"].is_array(),
        "{list}"
    );
    let code = l1.call("eth_getCode", json!([LOGGER, "latest"])).await;
    assert_eq!(code, json!("0x60003560006000a100"));
    let slot = l1
        .call("eth_getStorageAt", json!([LOGGER, "0x0", "latest"]))
        .await;
    assert_eq!(hash(&slot), B256::ZERO);
    l1.handle.stop().await;
}

#[tokio::test]
async fn sending_and_waiting_returns_the_receipt_or_says_why_not() {
    let l1 = L1::start().await;
    let alice = Account::new(1);
    let receipt = l1
        .call(
            "eth_sendRawTransactionSync",
            json!([raw(&alice.transfer(0, 1)), 30_000]),
        )
        .await;
    assert_eq!(receipt["status"], json!("0x1"));

    // EIP-7966: 6 for a gap, with the nonce that was expected.
    let gap = raw(&alice.transfer(4, 1));
    let (code, message, data) = l1.refusal("eth_sendRawTransactionSync", json!([gap])).await;
    assert_eq!((code, data), (6, json!("0x1")), "{message}");

    // 4 when nothing came in time, with the hash; it stays in the pool and is mined later.
    l1.handle.chain().miss_next(5);
    let slow = alice.transfer(1, 1);
    let params = json!([raw(&slow), "0x1"]);
    let (code, _, data) = l1.refusal("eth_sendRawTransactionSync", params).await;
    assert_eq!((code, hash(&data)), (4, *slow.tx_hash()));
    l1.receipt(&data).await;
    l1.handle.stop().await;
}

#[tokio::test]
async fn a_websocket_hears_heads_logs_and_pending_transactions() {
    let l1 = L1::start().await;
    let alice = Account::new(1);
    let client = websocket(&l1).await;
    let topic = B256::repeat_byte(5);
    let mut heads = subscribe(&client, vec![json!("newHeads")]).await;
    let filter = json!({"address": LOGGER, "topics": [topic]});
    let mut logs = subscribe(&client, vec![json!("logs"), filter.clone()]).await;
    let mut hashes = subscribe(&client, vec![json!("newPendingTransactions")]).await;
    let mut whole = subscribe(&client, vec![json!("newPendingTransactions"), json!(true)]).await;

    let other = alice.log(0, B256::repeat_byte(6));
    let wanted = alice.log(1, topic);
    for tx in [&other, &wanted] {
        let sent: B256 = client
            .request("eth_sendRawTransaction", rpc_params![raw(tx)])
            .await
            .expect("taken");
        assert_eq!(sent, *tx.tx_hash());
        assert_eq!(hash(&next(&mut hashes).await), sent);
        assert_eq!(hash(&next(&mut whole).await["hash"]), sent);
    }
    let log = next(&mut logs).await;
    assert_eq!(
        (hash(&log["topics"][0]), &log["removed"]),
        (topic, &json!(false))
    );
    assert_eq!(hash(&log["transactionHash"]), *wanted.tx_hash());
    let first = next(&mut heads).await;
    let second = next(&mut heads).await;
    assert_eq!(second["parentHash"], first["hash"]);

    // The same log by query, by block hash, and by a polled filter's query.
    let mut asked = filter;
    asked["fromBlock"] = json!("earliest");
    assert_eq!(l1.call("eth_getLogs", json!([asked])).await, json!([log]));
    let by_hash = json!({"blockHash": log["blockHash"], "topics": [topic]});
    assert_eq!(l1.call("eth_getLogs", json!([by_hash])).await, json!([log]));
    let id = l1.call("eth_newFilter", json!([asked])).await;
    assert_eq!(
        l1.call("eth_getFilterLogs", json!([id])).await,
        json!([log])
    );
    l1.handle.stop().await;
}

#[tokio::test]
async fn polled_filters_return_what_is_new_since_the_last_poll() {
    let l1 = L1::start().await;
    let alice = Account::new(1);
    let blocks = l1.call("eth_newBlockFilter", json!([])).await;
    let pending = l1.call("eth_newPendingTransactionFilter", json!([])).await;
    let logs = l1.call("eth_newFilter", json!([{"address": LOGGER}])).await;
    let tx = alice.log(0, B256::repeat_byte(9));
    let sent = l1.call("eth_sendRawTransaction", json!([raw(&tx)])).await;
    let receipt = l1.receipt(&sent).await;
    let polled = |id: Value, wanted: Value| {
        let l1 = &l1;
        async move {
            l1.eventually(|| async {
                let changes = l1.call("eth_getFilterChanges", json!([id])).await;
                changes
                    .as_array()
                    .expect("a list")
                    .iter()
                    .find_map(|change| {
                        (change == &wanted || change["transactionHash"] == wanted).then_some(())
                    })
            })
            .await;
        }
    };
    polled(pending.clone(), sent.clone()).await;
    polled(blocks.clone(), receipt["blockHash"].clone()).await;
    polled(logs.clone(), sent.clone()).await;
    assert_eq!(
        l1.call("eth_getFilterChanges", json!([logs])).await,
        json!([])
    );
    for id in [blocks, pending, logs] {
        assert_eq!(
            l1.call("eth_uninstallFilter", json!([id])).await,
            json!(true)
        );
        let (code, message, _) = l1.refusal("eth_getFilterChanges", json!([id])).await;
        assert_eq!((code, message.as_str()), (-32000, "filter not found"));
    }
    l1.handle.stop().await;
}

#[tokio::test]
async fn a_batch_is_answered_entry_by_entry() {
    let l1 = L1::start().await;
    let batch = json!([
        {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"},
        {"jsonrpc": "2.0", "id": "two", "method": "no_such"},
        {"jsonrpc": "2.0", "method": "eth_chainId"},
        17,
        {"jsonrpc": "2.0", "id": 3, "method": "net_version", "params": []},
    ]);
    let (status, text) = l1.post(batch.to_string()).await;
    let answers: Vec<Value> = serde_json::from_str(&text).expect("a list");
    assert_eq!((status, answers.len()), (200, 4), "{text}");
    assert_eq!(answers[0]["result"], json!("0x7a69"));
    assert_eq!(
        (&answers[1]["id"], &answers[1]["error"]["code"]),
        (&json!("two"), &json!(-32601))
    );
    assert_eq!(answers[2]["error"]["code"], json!(-32600));
    assert_eq!(answers[3]["result"], json!("31337"));
    l1.handle.stop().await;
}

#[tokio::test]
async fn a_browser_on_another_origin_may_ask() {
    let l1 = L1::start().await;
    let client = reqwest::Client::new();
    for url in [l1.rpc_url(), format!("http://{}", l1.handle.beacon_addr())] {
        let preflight = client
            .request(reqwest::Method::OPTIONS, url)
            .header("origin", "http://example.com")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type")
            .send()
            .await
            .expect("an answer");
        assert_eq!(preflight.status().as_u16(), 200);
        assert_eq!(preflight.headers()["access-control-allow-origin"], "*");
    }
    l1.handle.stop().await;
}

#[tokio::test]
async fn a_contract_is_deployed_and_its_address_is_in_the_receipt() {
    let l1 = L1::start().await;
    let alice = Account::new(1);
    // Returns one byte of code: STOP.
    let deploy = alice.sign(TxEip1559 {
        to: alloy_primitives::TxKind::Create,
        value: U256::ZERO,
        gas_limit: 200_000,
        input: alloy_primitives::bytes!("60016000f3"),
        ..template(0, 1)
    });
    let sent = l1
        .call("eth_sendRawTransaction", json!([raw(&deploy)]))
        .await;
    let receipt = l1.receipt(&sent).await;
    assert_eq!(
        receipt["contractAddress"],
        json!(alice.address.create(0)),
        "{receipt}"
    );
    assert!(receipt["to"].is_null());
    let code = l1
        .call("eth_getCode", json!([alice.address.create(0), "latest"]))
        .await;
    assert_eq!(code, json!("0x00"));
    l1.handle.stop().await;
}
