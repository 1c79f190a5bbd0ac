//! Four attesters over real sockets, on an embedded L1, read by a client that trusts none of them.

#[path = "support/registry.rs"]
mod registry;

use cortado_client::{Client, namespace_state};
use cortado_devl1::Handle as L1;
use cortado_node::{
    attester::{Attester, AttesterConfig, PeerConfig, SeatConfig, StartError},
    keys::{self, SeatKeys, Secret},
    l1::{L1NodeConfig, L1Rpc},
};
use cortado_types::{
    Address, ChainId, Genesis, Height, L1Config, Namespace, NamespaceConfig, Seat, SeatsRead,
    TimestampMs, bls::SecretBls, genesis::TERM_MS_MAX,
};
use futures::StreamExt;
use std::{
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;

const ROLLUP: Namespace = Namespace::new(7_001);
const SLOT_MS: u64 = 1_000;

struct Chain {
    genesis: Genesis,
    configs: Vec<AttesterConfig>,
    l1: L1,
    dir: TempDir,
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

async fn embedded_l1(dir: &Path, seats: &[Seat]) -> (L1, L1Config, SeatsRead, u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let genesis_time_ms = now.as_secs() * 1_000;
    let l1 = cortado_devl1::start(cortado_devl1::Config {
        chain_id: 31_337,
        slot_ms: SLOT_MS,
        slots_per_epoch: 4,
        genesis_time_ms,
        prefunded: Vec::new(),
        alloc: registry::alloc(seats),
        data_dir: dir.join("l1"),
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
        anchor: Default::default(),
        registry: Address::ZERO,
    };
    let (config, read) = registry::read(&rpc, seats.to_vec(), config).await;
    (l1, config, read, genesis_time_ms)
}

impl Chain {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut seats = Vec::new();
        let mut peers = Vec::new();
        let mut own = Vec::new();
        for i in 0..4u8 {
            let bls = SecretBls::derive(&[i + 40; 32]).unwrap().to_bytes();
            let secrets = SeatKeys {
                identity: Secret([i + 1; 32]),
                bls: Secret(bls),
                test_only: true,
            };
            let path = dir.path().join(format!("seat-{i}.toml"));
            keys::save(&path, &secrets).unwrap();
            let seat = secrets.seat(u32::from(i)).unwrap();
            let listen = free_address();
            peers.push(PeerConfig {
                identity: seat.identity,
                address: listen,
            });
            own.push(SeatConfig { keys: path, listen });
            seats.push(seat);
        }
        seats.sort_by_key(|seat| seat.identity);
        let (l1, l1_config, seats, time) = embedded_l1(dir.path(), &seats).await;
        let genesis = Genesis {
            chain_id: ChainId::new(9_009),
            time: TimestampMs::new(time),
            slot_ms: SLOT_MS,
            term_ms: TERM_MS_MAX,
            l1: l1_config,
            namespaces: vec![NamespaceConfig {
                namespace: ROLLUP,
                reserve_holder: Some(Address::repeat_byte(1)),
                slot_bytes_max: 1 << 20,
            }],
            seats,
            proposers: Vec::new(),
        };
        let genesis_path = dir.path().join("genesis.json");
        std::fs::write(&genesis_path, serde_json::to_string(&genesis).unwrap()).unwrap();
        let configs = own
            .into_iter()
            .enumerate()
            .map(|(i, seat)| AttesterConfig {
                genesis: genesis_path.clone(),
                data_dir: dir.path().join(format!("attester-{i}")),
                api: free_address(),
                allow_private_peers: true,
                retention_ms: 3_600_000,
                worker_threads: 1,
                l1: Some(L1NodeConfig {
                    rpc: format!("http://{}", l1.rpc_addr()).into(),
                    beacon: Some(format!("http://{}", l1.beacon_addr())),
                }),
                slashing: None,
                seats: vec![seat],
                peers: peers.clone(),
            })
            .collect();
        Self {
            genesis,
            configs,
            l1,
            dir,
        }
    }

    async fn start(&self, i: usize) -> Attester {
        Attester::start(self.configs[i].clone()).await.unwrap()
    }

    fn client(&self, attesters: &[&Attester]) -> Client {
        let urls: Vec<_> = attesters.iter().map(|attester| attester.url()).collect();
        Client::new(&self.genesis, &urls).unwrap()
    }
}

/// Waits for something that has to happen, however slow the machine is.
async fn within_a_minute<T>(what: &str, story: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(Duration::from_secs(60), story).await;
    done.unwrap_or_else(|_| panic!("{what} did not happen within a minute"))
}

async fn reaches(client: &Client, height: Height) {
    within_a_minute("the height", async {
        while client
            .head()
            .await
            .is_ok_and(|head| head.header().height < height)
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_trusts_no_attester_follows_the_chain_and_its_l1_pointer() {
    let chain = Chain::new().await;
    let mut attesters = Vec::new();
    for i in 0..4 {
        attesters.push(chain.start(i).await);
    }
    let client = chain.client(&attesters.iter().collect::<Vec<_>>());
    let mut follow = client.follow(Height::new(0));
    let first = within_a_minute("block 0", follow.next())
        .await
        .unwrap()
        .unwrap();
    let anchor = first.block().header.l1_head.block;
    let mut parent = first.hash();
    let (moved, fin) = within_a_minute("a finalised L1 block", async {
        let mut moved = None;
        loop {
            let block = follow.next().await.unwrap().unwrap();
            let header = &block.block().header;
            assert_eq!(header.parent, parent);
            parent = block.hash();
            if header.l1_head.block != anchor {
                moved = moved.or(Some(block.height()));
            }
            if header.l1_fin != anchor {
                return (moved, block.height());
            }
        }
    })
    .await;
    assert!(
        moved.is_some(),
        "the pointer moves before what it points at is final"
    );

    reaches(&client, fin.next().unwrap()).await;
    let head = client.head().await.unwrap();
    let at = head.header().height;
    let entry = client.state(at, "namespace", ROLLUP.get()).await.unwrap();
    assert_eq!(
        namespace_state(&entry).unwrap().unwrap().tip.height,
        Height::ZERO
    );
    for height in 1..=at.get() {
        let entry = client.state(Height::new(height), "namespace", ROLLUP.get());
        let entry = entry
            .await
            .unwrap_or_else(|error| panic!("state at {height}: {error}"));
        assert!(namespace_state(&entry).unwrap().is_some());
    }
    let ancestor = client.ancestor(fin, at).await.unwrap();
    assert_eq!(ancestor.hash(), client.header(fin).await.unwrap().hash());
    let status = client.status().await.unwrap();
    assert_eq!(status.own_seats.len(), 1);
    let l1 = status.l1_node.unwrap();
    assert!(l1.connected && l1.beacon, "{l1:?}");
    assert!(client.reports().iter().all(|report| report.faults == 0));
    for attester in attesters {
        attester.stop().await;
    }
    chain.l1.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_two_of_four_stopped_the_chain_stands_and_with_one_back_it_goes_on() {
    let chain = Chain::new().await;
    let mut attesters = Vec::new();
    for i in 0..4 {
        attesters.push(chain.start(i).await);
    }
    let (stopped, kept) = (attesters.split_off(2), attesters);
    let client = chain.client(&kept.iter().collect::<Vec<_>>());
    reaches(&client, Height::new(3)).await;
    let shown = chain.client(&[&stopped[1]]).head().await.unwrap();
    for attester in stopped {
        attester.stop().await;
    }
    // What was under way when they stopped may still become final; then nothing does.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let stands = client.head().await.unwrap().header().height;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(client.head().await.unwrap().header().height, stands);

    let back = chain.start(3).await;
    let again = chain.client(&[&back]).head().await.unwrap();
    assert!(
        again.header().height >= shown.header().height,
        "what was shown as final before a restart is shown after it at once"
    );
    let target = Height::new(stands.get() + 3);
    reaches(&client, target).await;
    let own = chain.client(&[&back]);
    reaches(&own, target).await;
    let hash = |client: Client| async move { client.header(target).await.unwrap().hash() };
    assert_eq!(hash(client).await, hash(own).await);
    back.stop().await;
    for attester in kept {
        attester.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_genesis_shared_directory_and_open_key_file_are_refused_by_name() {
    let chain = Chain::new().await;
    let running = chain.start(0).await;
    let refused = |config: AttesterConfig| async move {
        match Attester::start(config).await {
            Ok(_) => panic!("it started"),
            Err(error) => error,
        }
    };
    let error = refused(chain.configs[0].clone()).await;
    assert!(
        error.to_string().contains("in use by another process"),
        "{error}"
    );
    running.stop().await;

    let mut foreign = chain.genesis.clone();
    foreign.chain_id = ChainId::new(9_010);
    let path = chain.dir.path().join("foreign.json");
    std::fs::write(&path, serde_json::to_string(&foreign).unwrap()).unwrap();
    let mut config = chain.configs[0].clone();
    config.genesis = path;
    let error = refused(config).await;
    let text = error.to_string();
    assert!(text.contains("genesis") || text.contains("chain"), "{text}");

    let mut config = chain.configs[1].clone();
    let keys = config.seats[0].keys.clone();
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = refused(config.clone()).await;
    assert!(error.to_string().contains("0644"), "{error}");
    config.seats.clear();
    assert!(matches!(refused(config).await, StartError::NoSeats));

    let mut config = chain.configs[2].clone();
    config.genesis = chain.dir.path().join("absent.json");
    let error = refused(config).await;
    assert!(error.to_string().contains("absent.json"), "{error}");
}
