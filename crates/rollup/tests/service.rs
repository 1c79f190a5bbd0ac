//! Proposer and rollup node as they run: own threads, real sockets, real clock; only the finality
//! chain is the test's.

#[path = "support/chain.rs"]
mod chain;

use chain::{Chain, ROLLUP, transfer, user};
use cortado_rollup::{
    backend::{Status, StatusKind},
    engine::Tips,
    service::{
        ProposedRollup, ProposerConfig, RollupConfig, RunningProposer, RunningRollup,
        start_proposer, start_rollup,
    },
    source::{Finalised, FinalisedSource, LaneSink, NoQueue, Promises, SealedLane, SourceError},
    wire::{ProposerClient, ProposerStream},
};
use cortado_types::{Address, B256, Height, Namespace, TimestampMs};
use jsonrpsee::{
    core::client::ClientT,
    rpc_params,
    ws_client::{WsClient, WsClientBuilder},
};
use serde_json::Value;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::watch;

fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_millis() as u64
}

/// The finality chain: takes what is offered, makes blocks when told to.
#[derive(Clone)]
struct Net {
    chain: Arc<Mutex<Chain>>,
    offered: Arc<Mutex<Vec<SealedLane>>>,
    blocks: Arc<watch::Sender<Vec<Finalised>>>,
    running: Arc<watch::Sender<bool>>,
}

impl Net {
    fn new() -> Self {
        let start = now_ms() / 1_000 * 1_000 - 4_000;
        Self {
            chain: Arc::new(Mutex::new(Chain::starting(start, 64 << 20))),
            offered: Arc::default(),
            blocks: Arc::new(watch::channel(Vec::new()).0),
            running: Arc::new(watch::channel(true).0),
        }
    }

    /// Makes a block every 20 ms while it is running.
    fn run(&self) {
        let net = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(20)).await;
                if *net.running.borrow() {
                    net.make();
                }
            }
        });
    }

    fn make(&self) {
        let mut chain = self.chain.lock().expect("no panic");
        let mut offered = self.offered.lock().expect("no panic");
        let tip = chain.state.namespaces[&ROLLUP].tip.height;
        offered.retain(|sealed| sealed.lane.header.height > tip);
        offered.sort_by_key(|sealed| (sealed.lane.header.height, sealed.lane.header.slot));
        let finalised = chain.finalise(&offered, TimestampMs::new(now_ms()));
        self.blocks.send_modify(|blocks| blocks.push(finalised));
    }
}

impl FinalisedSource for Net {
    async fn head(&self) -> Result<Height, SourceError> {
        Ok(Height::new(self.blocks.borrow().len() as u64))
    }

    async fn finalised(&self, height: Height, _: &[Namespace]) -> Result<Finalised, SourceError> {
        let index = height.get() as usize - 1;
        let mut blocks = self.blocks.subscribe();
        let blocks = blocks.wait_for(|blocks| blocks.len() > index).await;
        Ok(blocks.map_err(|_| SourceError("gone".into()))?[index].clone())
    }
}

impl LaneSink for Net {
    async fn offer(&self, lane: SealedLane) -> Result<(), SourceError> {
        let mut offered = self.offered.lock().expect("no panic");
        if !offered.contains(&lane) {
            offered.push(lane);
        }
        Ok(())
    }
}

const ANY: &str = "127.0.0.1:0";

fn genesis_file(net: &Net, dir: &Path) -> PathBuf {
    let path = dir.join("genesis.json");
    let json = net.chain.lock().expect("no panic").rollup_json(ROLLUP);
    std::fs::write(&path, json).expect("writes");
    path
}

async fn proposer(net: &Net, dir: &Path, listen: SocketAddr) -> RunningProposer {
    let config = ProposerConfig {
        rollups: vec![ProposedRollup {
            tips: Tips::default(),
            namespace: ROLLUP,
            genesis: genesis_file(net, dir),
            inbox: None,
        }],
        data_dir: dir.join("proposer"),
        listen,
        lane_ms: 40,
    };
    let genesis = net.chain.lock().expect("no panic").genesis.clone();
    start_proposer(
        &config,
        &genesis,
        chain::proposer(),
        (net.clone(), NoQueue),
        net.clone(),
    )
    .await
    .expect("starts")
}

async fn rollup(net: &Net, dir: &Path, proposer: SocketAddr) -> RunningRollup<ProposerClient> {
    let url = format!("ws://{proposer}");
    let config = RollupConfig {
        tips: Tips::default(),
        namespace: ROLLUP,
        genesis: genesis_file(net, dir),
        data_dir: dir.join("rollup"),
        listen: ANY.parse().expect("an address"),
        proposer: url.clone(),
        inbox: None,
    };
    let genesis = net.chain.lock().expect("no panic").genesis.clone();
    let stream = ProposerStream::new(url.clone(), ROLLUP);
    let sink = ProposerClient::new(url, ROLLUP);
    start_rollup(&config, &genesis, (net.clone(), NoQueue), stream, sink)
        .await
        .expect("starts")
}

async fn client(addr: SocketAddr) -> WsClient {
    WsClientBuilder::default()
        .build(format!("ws://{addr}"))
        .await
        .expect("connects")
}

async fn status(rpc: &WsClient, hash: B256) -> Status {
    rpc.request("cortado_status", rpc_params![hash])
        .await
        .expect("answers")
}

/// Sends until the proposer has caught up; the hash.
async fn send(rpc: &WsClient, nonce: u64) -> B256 {
    let raw = transfer(&user(0), nonce, Address::repeat_byte(9), 1).raw;
    loop {
        let params = rpc_params![raw.clone()];
        match rpc
            .request::<B256, _>("eth_sendRawTransaction", params)
            .await
        {
            Ok(hash) => return hash,
            Err(error) => {
                let message = error.to_string();
                let early = message.contains("catching up") || message.contains("no answer");
                assert!(early || message.contains("proposer at"), "{message}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

async fn until(rpc: &WsClient, hash: B256, wanted: StatusKind) -> Status {
    loop {
        let status = status(rpc, hash).await;
        if status.status == wanted {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wallet_sees_its_transaction_pending_then_latest_and_holds_a_promise() {
    let dir = tempfile::tempdir().expect("temp dir");
    let net = Net::new();
    let running = proposer(&net, dir.path(), ANY.parse().expect("an address")).await;
    let node = rollup(&net, dir.path(), running.addr).await;
    let rpc = client(node.addr).await;

    // The attesters are silent: pending advances, latest stands.
    let hash = send(&rpc, 0).await;
    assert_eq!(status(&rpc, hash).await.status, StatusKind::Preconfirmed);
    let receipt: Value = rpc
        .request("eth_getTransactionReceipt", rpc_params![hash])
        .await
        .expect("answers");
    assert_eq!(receipt["status"], "0x1");
    assert_eq!(receipt["blockNumber"], "0x1");
    let latest: Value = rpc
        .request("eth_blockNumber", rpc_params![])
        .await
        .expect("answers");
    assert_eq!(latest, "0x0");
    let nonce: Value = rpc
        .request(
            "eth_getTransactionCount",
            rpc_params![user(0).address(), "pending"],
        )
        .await
        .expect("answers");
    assert_eq!(nonce, "0x1");
    let promises: Promises = rpc
        .request("cortado_getPromise", rpc_params![hash])
        .await
        .expect("answers");
    assert_eq!(promises.inclusion.signer(), Ok(chain::proposer().address()));

    // A gap waits; EIP-7966 says which nonce is missing.
    let gap = transfer(&user(0), 5, Address::repeat_byte(9), 1);
    let error = rpc
        .request::<Value, _>("eth_sendRawTransactionSync", rpc_params![gap.raw.clone()])
        .await
        .expect_err("a gap");
    assert!(error.to_string().contains("nonce gap"), "{error}");
    assert_eq!(status(&rpc, gap.hash()).await.status, StatusKind::Received);

    // They are back.
    net.run();
    let attested = until(&rpc, hash, StatusKind::Finalized).await;
    assert_eq!(attested.block_number, Some(1));
    assert!(attested.included_in.is_some() && attested.position.is_some());
    let latest: Value = rpc
        .request("eth_getBlockByNumber", rpc_params!["latest", false])
        .await
        .expect("answers");
    assert_ne!(latest["number"], "0x0");
    let price: Value = rpc
        .request("eth_gasPrice", rpc_params![])
        .await
        .expect("answers");
    assert_ne!(price, "0x0");

    let counters = node.node.counters();
    assert_eq!(counters.broken_promises.get(), 0);
    assert_eq!(counters.foreign_promises.get(), 0);
    node.stop().await.expect("stops");
    running.stop().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_proposer_is_found_again_and_keeps_its_promises() {
    let dir = tempfile::tempdir().expect("temp dir");
    let net = Net::new();
    let running = proposer(&net, dir.path(), ANY.parse().expect("an address")).await;
    let addr = running.addr;
    let node = rollup(&net, dir.path(), addr).await;
    let rpc = client(node.addr).await;
    let first = send(&rpc, 0).await;
    let ask = |hash: B256| {
        let rpc = &rpc;
        async move {
            rpc.request::<Promises, _>("cortado_getPromise", rpc_params![hash])
                .await
        }
    };
    let before = ask(first).await.expect("answers");
    running.stop().await.expect("stops");

    let running = proposer(&net, dir.path(), addr).await;
    let second = send(&rpc, 1).await;
    assert_eq!(ask(first).await.expect("answers"), before, "the same bytes");
    net.run();
    until(&rpc, first, StatusKind::Finalized).await;
    until(&rpc, second, StatusKind::Finalized).await;
    assert_eq!(node.node.counters().broken_promises.get(), 0);
    node.stop().await.expect("stops");
    running.stop().await.expect("stops");
}

#[test]
fn configurations_refuse_what_they_do_not_know() {
    let good = "namespace = 7001\ngenesis = \"g.json\"\ndata_dir = \"d\"\n\
                listen = \"127.0.0.1:0\"\nproposer = \"ws://127.0.0.1:1\"\n";
    toml::from_str::<RollupConfig>(good).expect("reads");
    let error = toml::from_str::<RollupConfig>(&format!("{good}colour = 1\n"));
    assert!(error.expect_err("refused").to_string().contains("colour"));
}
