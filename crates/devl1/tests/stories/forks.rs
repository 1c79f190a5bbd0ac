use alloy_primitives::B256;
use serde_json::json;

use crate::common::{L1, hash, quantity};
use crate::json_rpc::{next, subscribe, websocket};
use crate::testing::{Account, LOGGER, raw};

#[tokio::test]
async fn a_reorg_takes_logs_back_and_the_transactions_return() {
    let l1 = L1::start().await;
    l1.handle.chain().stall_finality(true);
    let alice = Account::new(1);
    let client = websocket(&l1).await;
    let mut logs = subscribe(&client, vec![json!("logs"), json!({"address": LOGGER})]).await;
    let tx = alice.log(0, B256::repeat_byte(1));
    l1.call("eth_sendRawTransaction", json!([raw(&tx)])).await;
    let first = next(&mut logs).await;
    assert_eq!(first["removed"], json!(false));

    // Deep enough to reach the block of the log, whatever came after it.
    let mined = quantity(&first["blockNumber"]);
    let depth = l1.number("latest").await - mined + 5;
    let done = l1.handle.chain().reorg(depth.min(mined + 2)).await;
    let done = match done {
        Ok(done) => done.expect("the chain runs"),
        // The chain is too short for some slack: replace all of it.
        Err(_) => {
            let head = l1.number("latest").await;
            l1.handle
                .chain()
                .reorg(head)
                .await
                .expect("possible")
                .expect("the chain runs")
        }
    };
    assert_ne!(done.old_head, done.new_head);

    // First the log is taken back, then it comes again, in another block.
    let removed = next(&mut logs).await;
    assert_eq!(removed["removed"], json!(true));
    assert_eq!(removed["blockHash"], first["blockHash"]);
    let again = next(&mut logs).await;
    assert_eq!(again["removed"], json!(false));
    assert_eq!(again["transactionHash"], first["transactionHash"]);
    assert_ne!(again["blockHash"], first["blockHash"]);

    // The abandoned block can still be asked for, but not as canonical.
    let old = json!({"blockHash": first["blockHash"], "requireCanonical": true});
    let block = l1
        .call("eth_getBlockByHash", json!([first["blockHash"], false]))
        .await;
    assert_eq!(block["hash"], first["blockHash"]);
    let (code, message, _) = l1
        .refusal("eth_getBalance", json!([alice.address, old]))
        .await;
    assert_eq!(code, -32000);
    assert!(message.ends_with("is not currently canonical"), "{message}");
    l1.handle.stop().await;
}

#[tokio::test]
async fn the_chain_is_bent_over_json_rpc_too() {
    let l1 = L1::start().await;
    l1.call("devl1_stallFinality", json!([true])).await;
    l1.reach(4).await;
    let done = l1.call("devl1_reorg", json!([2])).await;
    assert_eq!(done["depth"], json!(2));
    assert_ne!(hash(&done["oldHead"]), hash(&done["newHead"]));
    assert_eq!(l1.call("devl1_missNext", json!([1])).await, json!(true));
    let status = l1.call("devl1_status", json!([])).await;
    assert_eq!(
        (&status["finalityStalled"], &status["pool"]),
        (&json!(true), &json!(0))
    );

    for (depth, expected) in [
        (
            json!(0),
            (-32000, "a reorg of depth 0 changes nothing".to_owned()),
        ),
        (
            json!("x"),
            (-32602, "invalid argument 0 (depth): ".to_owned()),
        ),
        (
            json!(1_000_000),
            (-32000, "a reorg of depth 1000000 at head ".to_owned()),
        ),
    ] {
        let (code, message, _) = l1.refusal("devl1_reorg", json!([depth])).await;
        assert_eq!(code, expected.0, "{message}");
        assert!(message.starts_with(&expected.1), "{message}");
    }
    l1.handle.stop().await;
}

#[tokio::test]
async fn finality_stands_still_while_it_is_stalled_and_goes_on_after() {
    let l1 = L1::start().await;
    l1.reach(1).await;
    l1.handle.chain().stall_finality(true);
    let (safe, finalized) = (l1.number("safe").await, l1.number("finalized").await);
    // Three epochs pass.
    l1.reach(l1.number("latest").await + 12).await;
    assert_eq!(
        (l1.number("safe").await, l1.number("finalized").await),
        (safe, finalized)
    );
    l1.handle.chain().stall_finality(false);
    l1.eventually(|| async { (l1.number("finalized").await > finalized).then_some(()) })
        .await;
    let (finalized, safe) = (l1.number("finalized").await, l1.number("safe").await);
    assert!(finalized <= safe && safe <= l1.number("latest").await);
    l1.handle.stop().await;
}

#[tokio::test]
async fn missed_slots_leave_numbers_without_gaps_and_slots_with_them() {
    let l1 = L1::start().await;
    l1.reach(2).await;
    l1.handle.chain().miss_next(3);
    let before = l1.handle.chain().status();
    l1.reach(before.head + 2).await;
    let after = l1.handle.chain().status();
    let (blocks, slots) = (after.head - before.head, after.slot - before.slot);
    assert!(slots >= blocks + 3, "{blocks} blocks in {slots} slots");
    l1.handle.stop().await;
}
