use cortado_devl1::start;
use serde_json::json;

use crate::common::{L1, config};
use crate::testing::{Account, raw};

#[tokio::test]
async fn a_restarted_l1_goes_on_where_it_was_and_keeps_what_it_acknowledged() {
    let l1 = L1::start().await;
    let settings = {
        let mut settings = config(l1.dir.path());
        settings.genesis_time_ms = genesis_ms(&l1).await;
        settings
    };
    let alice = Account::new(1);
    let mined = l1
        .call(
            "eth_sendRawTransaction",
            json!([raw(&alice.transfer(0, 1))]),
        )
        .await;
    let receipt = l1.receipt(&mined).await;
    // Acknowledged, and never mined before the end.
    l1.handle.chain().miss_next(1_000_000);
    let waiting = l1
        .call(
            "eth_sendRawTransaction",
            json!([raw(&alice.transfer(1, 1))]),
        )
        .await;
    assert!(
        l1.call("eth_getTransactionReceipt", json!([waiting]))
            .await
            .is_null()
    );
    let head = l1.handle.chain().status();
    let L1 { handle, dir, .. } = l1;
    handle.stop().await;

    let l1 = L1::around(start(settings.clone()).await.expect("starts again"), dir);
    assert_eq!(l1.receipt(&mined).await, receipt);
    let second = l1.receipt(&waiting).await;
    assert_eq!(second["status"], json!("0x1"));
    // The old head has its place, and what came after was built on it.
    let number = format!("{:#x}", head.head);
    let old = l1
        .call("eth_getBlockByNumber", json!([number, false]))
        .await;
    assert_eq!(old["hash"], json!(head.head_hash));
    assert!(l1.handle.chain().status().head > head.head);

    // While it runs, nobody else opens its directory, and the message says where.
    let error = start(settings.clone())
        .await
        .expect_err("is in use")
        .to_string();
    assert!(error.contains("in use by another process"), "{error}");
    let L1 { handle, dir, .. } = l1;
    handle.stop().await;

    // Another seed is another chain: the directory is refused rather than continued.
    let mut other = settings;
    other.seed += 1;
    let error = start(other)
        .await
        .expect_err("is another chain")
        .to_string();
    assert!(error.contains("expected"), "{error}");
    drop(dir);
}

async fn genesis_ms(l1: &L1) -> u64 {
    let genesis = l1.beacon_ok("/eth/v1/beacon/genesis").await;
    crate::common::decimal(&genesis["data"]["genesis_time"]) * 1_000
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let l1 = L1::start().await;
    let dir = tempfile::tempdir().expect("a directory");
    let mut settings = config(dir.path());
    settings.rpc_addr = l1.handle.rpc_addr();
    let error = start(settings).await.expect_err("is taken").to_string();
    let expected = format!(
        "Ethereum JSON-RPC cannot listen on {}",
        l1.handle.rpc_addr()
    );
    assert!(error.starts_with(&expected), "{error}");
    l1.handle.stop().await;
}

#[test]
fn a_configuration_is_read_from_toml_and_every_bad_field_is_named() {
    let text = r#"
        chain_id = 31337
        genesis_time_ms = 1790000000000
        data_dir = "l1"
        rpc_addr = "127.0.0.1:8545"
        beacon_addr = "127.0.0.1:5052"
        [[prefunded]]
        address = "0x00000000000000000000000000000000000000aa"
        wei = "0xde0b6b3a7640000"
    "#;
    let good: cortado_devl1::Config = toml::from_str(text).expect("complete");
    good.check().expect("fine");
    assert_eq!(
        (good.slot_ms, good.slots_per_epoch, good.finality_lag_epochs),
        (2_000, 8, 2)
    );
    let again: cortado_devl1::Config =
        toml::from_str(&toml::to_string(&good).expect("writes")).expect("reads");
    assert_eq!(again.genesis(), good.genesis());

    let refusal = |bend: &dyn Fn(&mut cortado_devl1::Config)| {
        let mut bad = good.clone();
        bend(&mut bad);
        bad.check().expect_err("has to be refused").to_string()
    };
    assert_eq!(
        refusal(&|c| c.chain_id = 1),
        "chain_id 1 is not for an embedded L1"
    );
    assert_eq!(
        refusal(&|c| c.slot_ms = 49),
        "slot_ms 49 is below the least, 50"
    );
    assert_eq!(
        refusal(&|c| c.slots_per_epoch = 65),
        "slots_per_epoch 65 is not within 1 and 64"
    );
    assert_eq!(
        refusal(&|c| c.genesis_time_ms = 1_001),
        "genesis_time_ms 1001 is not a whole second after 1970"
    );
    assert_eq!(
        refusal(&|c| c.validators = 0),
        "validators 0 is not within 1 and 4096"
    );
    assert_eq!(
        refusal(&|c| c.finality_lag_epochs = 0),
        "finality_lag_epochs 0 is below the least, 1"
    );
    let unknown = format!("nonsense = 1\n{text}");
    let error = toml::from_str::<cortado_devl1::Config>(&unknown).expect_err("unknown field");
    assert!(error.to_string().contains("nonsense"), "{error}");
}
