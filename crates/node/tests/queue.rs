//! What L1 blocks queued, read from the embedded L1 and from nodes that lie about it.

#[path = "support/front.rs"]
mod front;

use alloy_genesis::GenesisAccount;
use alloy_sol_types::{SolEvent, SolValue};
use cortado_contracts::{
    GenesisTransaction,
    abi::Inbox,
    genesis::execute,
    inbox::deposit,
    rpc::Rpc,
    sender::{Outcome, Sender, SenderSettings},
};
use cortado_derive::{Entry, InboxError, Queued};
use cortado_devl1::{Config, Handle};
use cortado_node::l1::{L1Error, L1Rpc, VerifiedHeader};
use cortado_types::{Address, B256, L1Ref, U256, ecdsa::SigningKey};
use front::Front;
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;

const CHAIN_ID: u64 = 31_337;
const SLOT_MS: u64 = 400;

/// An L1 with the inboxes of two rollups, from its first block on.
struct Ethereum {
    l1: Handle,
    inboxes: [Address; 2],
    dir: TempDir,
}

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes([number; 32]).unwrap()
}

impl Ethereum {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let deployer = Address::repeat_byte(0xde);
        let create = |namespace: u64| GenesisTransaction {
            from: deployer,
            to: None,
            value: U256::ZERO,
            input: [&Inbox::BYTECODE[..], &namespace.abi_encode()]
                .concat()
                .into(),
            timestamp: 1_700_000_000,
        };
        let mut alloc = execute(CHAIN_ID, &[create(42_001), create(42_002)]).unwrap();
        let rich = GenesisAccount::default().with_balance(U256::from(10).pow(U256::from(21)));
        alloc.extend((1..=3).map(|number| (key(number).address(), rich.clone())));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        let l1 = cortado_devl1::start(Config {
            chain_id: CHAIN_ID,
            slot_ms: SLOT_MS,
            slots_per_epoch: 4,
            genesis_time_ms: now.as_secs() * 1_000,
            prefunded: Vec::new(),
            alloc,
            data_dir: dir.path().join("l1"),
            rpc_addr: any,
            beacon_addr: any,
            seed: 1,
            validators: 16,
            finality_lag_epochs: 1,
        })
        .await
        .unwrap();
        Self {
            l1,
            inboxes: [deployer.create(0), deployer.create(1)],
            dir,
        }
    }

    fn rpc(&self) -> String {
        format!("http://{}", self.l1.rpc_addr())
    }

    async fn sender(&self, number: u8) -> Sender {
        let l1 = Arc::new(Rpc::new(&self.rpc()).unwrap());
        let settings = SenderSettings {
            confirmations: 0,
            poll: Duration::from_millis(50),
            ..SenderSettings::default()
        };
        let journal = self.dir.path().join(format!("{number}.json"));
        Sender::open(l1, key(number), &journal, settings)
            .await
            .unwrap()
    }

    /// Deposits; the number of the block that has it.
    async fn deposit(&self, sender: &Sender, inbox: usize, wei: u64) -> u64 {
        let to = Address::repeat_byte(0xaa);
        let intent = deposit(self.inboxes[inbox], to, U256::from(wei));
        match sender.submit(intent).await.unwrap() {
            Outcome::Included { receipt, .. } => receipt.block_number,
            Outcome::NotWanted => panic!("deposits are wanted"),
        }
    }

    /// A block with at least one deposit into the first inbox, and its queue.
    async fn block(&self) -> (VerifiedHeader, Vec<Entry>) {
        let number = self.deposit(&self.sender(1).await, 0, 7).await;
        let rpc = L1Rpc::new(&self.rpc()).unwrap();
        let header = rpc.by_number(number).await.unwrap().unwrap();
        let entries = rpc.read_queue(&header.raw, self.inboxes[0]).await.unwrap();
        (header, entries)
    }
}

fn wei(entry: &Entry) -> u64 {
    U256::from_be_slice(&entry.payload[20..]).to()
}

#[test]
fn the_event_that_is_read_is_the_contracts() {
    assert_eq!(Queued::SIGNATURE_HASH, Inbox::Queued::SIGNATURE_HASH);
}

#[tokio::test(flavor = "multi_thread")]
async fn deposits_are_read_block_by_block_and_none_twice() {
    let ethereum = Ethereum::start().await;
    let senders = [
        ethereum.sender(1).await,
        ethereum.sender(2).await,
        ethereum.sender(3).await,
    ];
    let [one, two, three] = &senders;
    let mut last = 0;
    // At the same time, so that blocks have several, for both rollups.
    for round in 0..3_u64 {
        let blocks = tokio::join!(
            ethereum.deposit(one, 0, 10 + round),
            ethereum.deposit(two, 1, 20 + round),
            ethereum.deposit(three, 0, 30 + round),
        );
        last = blocks.0.max(blocks.1).max(blocks.2);
    }
    let rpc = L1Rpc::new(&ethereum.rpc()).unwrap();
    let mut amounts = [Vec::new(), Vec::new()];
    for number in 0..=last {
        let header = rpc.by_number(number).await.unwrap().unwrap();
        let mut indices = Vec::new();
        for (inbox, amounts) in ethereum.inboxes.into_iter().zip(&mut amounts) {
            let entries = rpc.read_queue(&header.raw, inbox).await.unwrap();
            for entry in &entries {
                assert_eq!(entry.block, header.block);
                assert_eq!(entry.gas, 21_000);
                assert_eq!(entry.payload[..20], [0xaa; 20]);
                indices.push(entry.log_index);
            }
            amounts.extend(entries.iter().map(wei));
        }
        // Every log of the block is a deposit into one of the two.
        indices.sort_unstable();
        assert!(indices.iter().copied().eq(0..indices.len() as u64));
    }
    amounts
        .iter_mut()
        .for_each(|amounts| amounts.sort_unstable());
    assert_eq!(amounts, [vec![10, 11, 12, 30, 31, 32], vec![20, 21, 22]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn block_that_the_bloom_rules_out_costs_no_question() {
    let ethereum = Ethereum::start().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let front = Front::start(ethereum.rpc(), move |_, _| {
        count.fetch_add(1, Ordering::Relaxed);
    })
    .await;
    let (header, entries) = ethereum.block().await;
    let rpc = L1Rpc::new(&front.url()).unwrap();
    let other = rpc
        .read_queue(&header.raw, ethereum.inboxes[1])
        .await
        .unwrap();
    assert_eq!((other, asked.load(Ordering::Relaxed)), (vec![], 0));
    let own = rpc
        .read_queue(&header.raw, ethereum.inboxes[0])
        .await
        .unwrap();
    assert_eq!((own, asked.load(Ordering::Relaxed)), (entries, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_lie_about_receipts_is_told_from_the_truth() {
    let ethereum = Ethereum::start().await;
    let (header, entries) = ethereum.block().await;
    assert_eq!(entries.iter().map(wei).collect::<Vec<_>>(), [7]);
    type Lie = fn(&mut Value);
    let lies: [(&str, Lie); 10] = [
        ("nothing was queued", |receipts| *receipts = json!([])),
        ("no log", |receipts| receipts[0]["logs"] = json!([])),
        ("another amount", |receipts| {
            let data = receipts[0]["logs"][0]["data"].as_str().unwrap();
            let data = data.replacen("07000000", "08000000", 1);
            receipts[0]["logs"][0]["data"] = json!(data);
        }),
        ("twice in one receipt", |receipts| {
            let log = receipts[0]["logs"][0].clone();
            receipts[0]["logs"].as_array_mut().unwrap().push(log);
        }),
        ("twice", |receipts| {
            let receipt = receipts[0].clone();
            receipts.as_array_mut().unwrap().push(receipt);
        }),
        ("for another rollup", |receipts| {
            receipts[0]["logs"][0]["address"] = json!(Address::repeat_byte(1));
        }),
        ("another event", |receipts| {
            receipts[0]["logs"][0]["topics"][0] = json!(B256::ZERO);
        }),
        ("more topics than a log has", |receipts| {
            receipts[0]["logs"][0]["topics"] = json!(vec![B256::ZERO; 6]);
        }),
        ("it failed", |receipts| receipts[0]["status"] = json!("0x0")),
        ("another type", |receipts| {
            receipts[0]["type"] = json!("0x7f")
        }),
    ];
    for (what, lie) in lies {
        let front = Front::start(ethereum.rpc(), move |method, receipts| {
            assert_eq!(method, "eth_getBlockReceipts");
            let before = receipts.clone();
            lie(receipts);
            assert_ne!(*receipts, before, "{what}");
        })
        .await;
        let rpc = L1Rpc::new(&front.url()).unwrap();
        let error = rpc.read_queue(&header.raw, ethereum.inboxes[0]).await;
        let error = error.expect_err(what);
        assert!(error.is_lie(), "{what}: {error}");
        let want = L1Ref {
            number: header.block.number,
            hash: header.block.hash,
        };
        assert!(
            matches!(error, L1Error::Queue(InboxError::Root { number, hash, .. })
                if (L1Ref { number, hash }) == want),
            "{what}: {error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn node_without_the_block_and_answers_that_are_none_are_named() {
    let ethereum = Ethereum::start().await;
    let (header, _) = ethereum.block().await;
    let endless = "x".repeat(1 << 20);
    let cases = [
        (Value::Null, "has no receipts of block"),
        (json!("0x1"), "malformed"),
        (json!([{ "status": "0x1" }]), "malformed"),
        // A block of so little gas has no receipts as long as this.
        (json!([endless]), "longer than"),
    ];
    for (answer, part) in cases {
        let front = Front::start(ethereum.rpc(), move |_, result| *result = answer.clone()).await;
        let rpc = L1Rpc::new(&front.url()).unwrap();
        let error = rpc.read_queue(&header.raw, ethereum.inboxes[0]).await;
        let error = error.expect_err(part);
        assert!(error.to_string().contains(part), "{error}");
        assert!(!error.is_lie(), "{error}");
    }
    let rpc = L1Rpc::new(&ethereum.rpc()).unwrap();
    let error = rpc.read_queue(&[0xc0], ethereum.inboxes[0]).await;
    assert!(matches!(error, Err(L1Error::Queue(InboxError::Header(_)))));
}
