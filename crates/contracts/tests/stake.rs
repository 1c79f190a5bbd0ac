//! Deploy, register, settle, relay, exit and withdraw on real L1s: the embedded one, and `anvil`.

mod support;

use support::{Anvil, embedded, story};

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_life_of_a_stake_on_the_embedded_l1() {
    let l1 = embedded().await;
    let url = format!("http://{}", l1.rpc_addr());
    let reorg = l1.chain();
    story(&url, move || {
        let reorg = reorg.clone();
        tokio::spawn(async move { reorg.reorg(1).await });
    })
    .await;
    l1.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_life_of_a_stake_on_anvil() {
    // CI has it; elsewhere it may be missing, and then this says so.
    let Some(anvil) = Anvil::start() else {
        eprintln!("SKIPPED: no anvil; run `npm ci` in scripts/e2e or set CORTADO_ANVIL");
        return;
    };
    story(&anvil.url, || {}).await;
}
