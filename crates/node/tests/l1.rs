//! The L1 watcher against the embedded L1, and against L1 nodes that lie, break and come back.

#[path = "../../client/tests/support/chain.rs"]
mod chain;
#[path = "support/front.rs"]
mod front;
#[path = "support/registry.rs"]
mod registry;

use chain::{TestChain, genesis};
use cortado_consensus::witness::Observation;
use cortado_devl1::{Config, Handle};
use cortado_l1::TrackedHeader;
use cortado_node::{
    l1::{L1Error, L1NodeConfig, L1Rpc, Watcher},
    reader::Tip,
};
use cortado_types::{B256, L1Config, SeatsRead};
use front::Front;
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

const SLOT_MS: u64 = 200;

struct Ethereum {
    l1: Handle,
    config: L1Config,
    seats: SeatsRead,
    _dir: TempDir,
}

impl Ethereum {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let l1 = cortado_devl1::start(Config {
            chain_id: 31_337,
            slot_ms: SLOT_MS,
            slots_per_epoch: 4,
            genesis_time_ms: now.as_secs() * 1_000,
            prefunded: Vec::new(),
            alloc: registry::alloc(&genesis(1).seats.seats),
            data_dir: dir.path().join("l1"),
            rpc_addr: "127.0.0.1:0".parse().unwrap(),
            beacon_addr: "127.0.0.1:0".parse().unwrap(),
            seed: 1,
            validators: 16,
            finality_lag_epochs: 1,
        })
        .await
        .unwrap();
        let rpc = L1Rpc::new(&format!("http://{}", l1.rpc_addr())).unwrap();
        let config = L1Config {
            chain_id: 31_337,
            slot_ms: SLOT_MS,
            slots_per_epoch: 4,
            ..genesis(1).l1
        };
        let (config, seats) = registry::read(&rpc, genesis(1).seats.seats, config).await;
        Self {
            l1,
            config,
            seats,
            _dir: dir,
        }
    }

    fn rpc(&self) -> String {
        format!("http://{}", self.l1.rpc_addr())
    }

    fn beacon(&self) -> String {
        format!("http://{}", self.l1.beacon_addr())
    }
}

struct Watch {
    watcher: Watcher,
    observations: mpsc::Receiver<Observation>,
    tip: watch::Sender<Arc<Tip>>,
}

fn tip(config: &L1Config, seats: &SeatsRead) -> Tip {
    let mut genesis = genesis(1);
    genesis.l1 = config.clone();
    genesis.l1.slot_ms = genesis.slot_ms;
    genesis.seats = seats.clone();
    let chain = TestChain::of(genesis, 1);
    Tip {
        block: Arc::new(chain.tip().clone()),
        hash: chain.tip().hash(),
        state: chain.state().clone(),
    }
}

impl Watch {
    fn start(rpc: String, beacon: Option<String>, ethereum: &Ethereum) -> Self {
        Self::start_with(rpc, beacon, &ethereum.config, &ethereum.seats)
    }

    fn start_with(
        rpc: String,
        beacon: Option<String>,
        config: &L1Config,
        seats: &SeatsRead,
    ) -> Self {
        let (tip, tip_receiver) = watch::channel(Arc::new(tip(config, seats)));
        let (sender, observations) = mpsc::channel(1_024);
        let node = L1NodeConfig {
            rpc: rpc.into(),
            beacon,
        };
        let watcher = Watcher::start(&node, config, tip_receiver, sender).unwrap();
        Self {
            watcher,
            observations,
            tip,
        }
    }

    async fn next(&mut self) -> Observation {
        let next = tokio::time::timeout(Duration::from_secs(60), self.observations.recv());
        next.await
            .expect("an observation within a minute")
            .expect("the watcher runs")
    }

    /// The next header that is told; what is told final meanwhile is left out.
    async fn header(&mut self) -> TrackedHeader {
        loop {
            if let Observation::Header(raw) = self.next().await {
                return TrackedHeader::read(&raw).unwrap();
            }
        }
    }

    /// Waits until the status fits.
    async fn until(
        &self,
        what: &str,
        fits: impl FnMut(&cortado_client::api::L1NodeStatus) -> bool,
    ) {
        let mut status = self.watcher.status();
        let found = tokio::time::timeout(Duration::from_secs(60), status.wait_for(fits)).await;
        drop(
            found
                .unwrap_or_else(|_| panic!("{what} did not come within a minute"))
                .unwrap(),
        );
    }

    async fn error(&self, part: &str) {
        let has = |error: &String| error.contains(part);
        self.until(part, |status| {
            !status.connected && status.error.as_ref().is_some_and(has)
        })
        .await;
    }
}

#[tokio::test]
async fn every_header_is_told_once_oldest_first_and_then_what_is_final() {
    let ethereum = Ethereum::start().await;
    let mut watch = Watch::start(ethereum.rpc(), None, &ethereum);
    let mut told = vec![TrackedHeader::read(&ethereum.config.anchor).unwrap()];
    loop {
        match watch.next().await {
            Observation::Header(raw) => {
                let header = TrackedHeader::read(&raw).unwrap();
                assert_eq!(header.parent, told.last().unwrap().hash);
                told.push(header);
            }
            Observation::Seats(read) => panic!("no other seats are settled: {read:?}"),
            Observation::Finalized(hash) => {
                assert!(
                    told.iter().any(|header| header.hash == hash),
                    "its header comes first"
                );
                break;
            }
        }
    }
    assert!(told.len() > 4);
    watch
        .until("the head", |status| {
            status.connected && status.head.is_some()
        })
        .await;
}

#[tokio::test]
async fn reorg_is_told_from_where_it_leaves_the_known_chain() {
    let ethereum = Ethereum::start().await;
    let mut watch = Watch::start(ethereum.rpc(), None, &ethereum);
    let mut told = Vec::new();
    while told.len() < 3 {
        told.push(watch.header().await);
    }
    let done = ethereum.l1.chain().reorg(2).await.unwrap();
    assert!(done.is_some());
    // Sooner or later a header comes whose parent is not the one told before it.
    let fork = loop {
        let header = watch.header().await;
        if header.parent != told.last().unwrap().hash {
            break header;
        }
        told.push(header);
    };
    let at = told
        .iter()
        .position(|known| known.hash == fork.parent)
        .unwrap();
    assert!(at + 1 < told.len(), "it replaces blocks that were told");
    assert_eq!(watch.header().await.parent, fork.hash);
}

#[tokio::test]
async fn header_that_does_not_hash_to_its_hash_is_refused() {
    let ethereum = Ethereum::start().await;
    let lying = Arc::new(AtomicBool::new(true));
    let flag = lying.clone();
    let front = Front::start(ethereum.rpc(), move |_, result| {
        if flag.load(Ordering::Relaxed) && result.is_object() {
            result["gasUsed"] = json!("0x7");
        }
    })
    .await;
    let mut watch = Watch::start(front.url(), None, &ethereum);
    watch.error("hashes to").await;
    assert!(
        watch.observations.try_recv().is_err(),
        "nothing of it is told"
    );
    lying.store(false, Ordering::Relaxed);
    watch.header().await;
    watch
        .until("recovery", |status| {
            status.connected && status.error.is_none()
        })
        .await;
}

#[tokio::test]
async fn true_header_in_the_place_of_another_is_refused() {
    let ethereum = Ethereum::start().await;
    let anchor = L1Rpc::new(&ethereum.rpc()).unwrap();
    let head = loop {
        // A walk back is needed for the node to have something to lie about.
        let head = anchor.tagged("latest").await.unwrap().unwrap();
        if head.block.number >= 3 {
            break head;
        }
        tokio::time::sleep(Duration::from_millis(SLOT_MS)).await;
    };
    let upstream = ethereum.rpc();
    let other: Value = {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByHash",
            "params": [head.block.hash, false] });
        let answer = reqwest::Client::new()
            .post(&upstream)
            .json(&body)
            .send()
            .await
            .unwrap();
        answer.json::<Value>().await.unwrap()["result"].clone()
    };
    let front = Front::start(upstream, move |method, result| {
        if method == "eth_getBlockByHash" {
            *result = other.clone();
        }
    })
    .await;
    let mut watch = Watch::start(front.url(), None, &ethereum);
    watch.error("asked for block").await;
    assert!(
        watch.observations.try_recv().is_err(),
        "nothing of it is told"
    );
}

#[tokio::test]
async fn node_of_another_chain_is_refused() {
    let ethereum = Ethereum::start().await;
    let mut config = ethereum.config.clone();
    config.chain_id = 5;
    let mut watch = Watch::start_with(ethereum.rpc(), None, &config, &ethereum.seats);
    watch.error("is of chain 31337, the genesis names 5").await;
    assert!(watch.observations.try_recv().is_err());
}

#[tokio::test]
async fn node_that_left_the_final_chain_is_refused() {
    let ethereum = Ethereum::start().await;
    // A chain whose anchor is another block of number 0.
    let foreign = genesis(1);
    let mut config = L1Config {
        slot_ms: SLOT_MS,
        slots_per_epoch: 4,
        ..foreign.l1
    };
    let header = alloy_consensus::Header::default();
    (config.anchor, _) = cortado_l1::testing::anchor(header.clone(), &foreign.seats.seats);
    let (_, seats) = cortado_l1::testing::anchor(header, &foreign.seats.seats);
    let mut watch = Watch::start_with(ethereum.rpc(), None, &config, &seats);
    watch.error("which the chain holds final").await;
    assert!(watch.observations.try_recv().is_err());
}

#[tokio::test]
async fn broken_connection_is_made_again() {
    let ethereum = Ethereum::start().await;
    let front = Front::start(ethereum.rpc(), |_, _| {}).await;
    let (url, address) = (front.url(), front.address());
    let mut watch = Watch::start(url, None, &ethereum);
    let before = watch.header().await;
    front.stop().await;
    watch.error("L1 node 127.0.0.1").await;
    let _again = Front::start_at(address, ethereum.rpc(), |_, _| {}).await;
    // What was missed comes too, in order.
    let mut last = before;
    for _ in 0..3 {
        let header = watch.header().await;
        assert_eq!(header.parent, last.hash);
        last = header;
    }
}

#[tokio::test]
async fn headers_below_the_final_one_are_forgotten_and_not_told_again() {
    let ethereum = Ethereum::start().await;
    let mut watch = Watch::start(ethereum.rpc(), None, &ethereum);
    let first = watch.header().await;
    let second = watch.header().await;
    // The chain learns that the second is final.
    watch.tip.send_modify(|tip| {
        let mut block = tip.block.as_ref().clone();
        block.header.l1_fin = second.to_ref();
        block.header.l1_head.block = second.to_ref();
        *tip = Arc::new(Tip {
            block: Arc::new(block),
            ..tip.as_ref().clone()
        });
    });
    for _ in 0..4 {
        let header = watch.header().await;
        assert!(header.number > second.number && header.hash != first.hash);
    }
}

#[tokio::test]
async fn lookahead_is_on_with_a_beacon_and_off_without() {
    let ethereum = Ethereum::start().await;
    let with = Watch::start(ethereum.rpc(), Some(ethereum.beacon()), &ethereum);
    with.until("the lookahead", |status| {
        status.beacon && status.lookahead_until_slot.is_some()
    })
    .await;
    let duties = with.watcher.lookahead().borrow().clone();
    assert_eq!(duties.len(), 8, "this and the next epoch");
    assert!(duties.iter().all(|duty| duty.pubkey.len() == 48));
    let mut without = Watch::start(ethereum.rpc(), None, &ethereum);
    without.header().await;
    assert!(without.watcher.lookahead().borrow().is_empty());
    assert!(!without.watcher.status().borrow().beacon);
}

#[tokio::test]
async fn beacon_that_counts_time_otherwise_is_of_no_use() {
    let ethereum = Ethereum::start().await;
    let mut config = ethereum.config.clone();
    config.slots_per_epoch = 32;
    let mut watch = Watch::start_with(
        ethereum.rpc(),
        Some(ethereum.beacon()),
        &config,
        &ethereum.seats,
    );
    for _ in 0..3 {
        watch.header().await;
    }
    assert!(!watch.watcher.status().borrow().beacon);
    assert!(watch.watcher.lookahead().borrow().is_empty());
}

#[tokio::test]
async fn nonsense_and_endless_answers_are_errors_with_a_name() {
    let ethereum = Ethereum::start().await;
    let cases: Vec<(Value, &str)> = vec![
        (json!("0x1"), "malformed"),
        (json!({ "hash": B256::ZERO }), "malformed"),
        (json!(["x".repeat(5 << 20)]), "longer than"),
    ];
    for (answer, part) in cases {
        let front = Front::start(ethereum.rpc(), move |_, result| *result = answer.clone()).await;
        let error = L1Rpc::new(&front.url())
            .unwrap()
            .tagged("latest")
            .await
            .unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
    let refused = L1Rpc::new(&ethereum.beacon())
        .unwrap()
        .chain_id()
        .await
        .unwrap_err();
    assert!(!refused.is_lie(), "{refused}");
    for url in ["", "node", "ws://127.0.0.1:1"] {
        assert!(matches!(L1Rpc::new(url), Err(L1Error::Url { .. })), "{url}");
    }
}
