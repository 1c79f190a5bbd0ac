//! Deploy inboxes and deposit on the embedded L1, through a reorg.

mod support;

use cortado_contracts::{
    abi::Inbox,
    deploy::{DeployError, deploy},
    inbox::{deposit, index_of},
    plan::InboxSettings,
    rpc::{L1, Rpc, view},
    sender::{Outcome, Sender},
};
use cortado_types::{Address, Namespace, U256};
use std::sync::Arc;
use support::{config, embedded, sender};

const TO: Address = Address::repeat_byte(0xaa);

/// Deposits one wei; its place in the queue.
async fn one_wei(sender: &Sender, inbox: Address) -> u64 {
    let intent = deposit(inbox, TO, U256::ONE);
    let Outcome::Included { hash, receipt } = sender.submit(intent).await.expect("deposited")
    else {
        panic!("a deposit is always wanted");
    };
    let index = index_of(&**sender.l1(), inbox, hash, &receipt).await;
    index.expect("the event says which")
}

#[tokio::test(flavor = "multi_thread")]
async fn inboxes_are_deployed_once_and_deposits_are_queued_in_order() {
    let embedded = embedded().await;
    let url = format!("http://{}", embedded.rpc_addr());
    let l1: Arc<dyn L1> = Arc::new(Rpc::new(&url).expect("a URL"));
    let dir = tempfile::tempdir().expect("a directory");
    let deployer = sender(&l1, dir.path(), 0).await;
    let inbox = |namespace, nonce| InboxSettings {
        namespace: Namespace::new(namespace),
        nonce,
    };
    let mut config = config();
    config.inboxes = vec![inbox(42_001, None)];
    let at = deploy(&deployer, &config).await.expect("deployed");
    assert_eq!(deploy(&deployer, &config).await.expect("found"), at);
    assert_eq!(deployer.spent().transactions, 4);
    let first = at.inboxes[&Namespace::new(42_001)];

    // The same deposit thrice is three entries, whatever a reorg takes back meanwhile.
    let payer = sender(&l1, dir.path(), 1).await;
    assert_eq!(one_wei(&payer, first).await, 0);
    let reorg = embedded.chain();
    tokio::spawn(async move { reorg.reorg(1).await });
    assert_eq!(one_wei(&payer, first).await, 1);
    assert_eq!(one_wei(&payer, first).await, 2);
    assert_eq!(l1.balance(first).await.expect("read"), U256::from(3));
    let count = view(&*l1, first, Inbox::countCall {}).await;
    assert_eq!(count.expect("read"), U256::from(3));

    // A rollup that joins later names the deployer's next nonce.
    config.inboxes.push(inbox(42_002, None));
    one_wei(&deployer, first).await;
    let refused = deploy(&deployer, &config)
        .await
        .expect_err("its nonce is gone");
    let DeployError::Nonce {
        nonce, next, field, ..
    } = refused
    else {
        panic!("{refused}");
    };
    assert_eq!((nonce, next, field), (4, 5, "its nonce in inboxes"));
    config.inboxes[1].nonce = Some(next);
    let at = deploy(&deployer, &config).await.expect("deployed");
    let second = at.inboxes[&Namespace::new(42_002)];
    assert_eq!(at.inboxes[&Namespace::new(42_001)], first);
    assert_eq!(one_wei(&payer, second).await, 0, "a queue of its own");
    embedded.stop().await;
}
