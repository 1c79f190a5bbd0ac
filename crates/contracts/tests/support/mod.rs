//! L1s to act on, and the story that is told on each.
#![allow(dead_code)]

use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, U256, keccak256};
use cortado_client::ClientError;
use cortado_contracts::{
    Addresses, DeployConfig, KeyRegistration,
    deploy::{DeployError, deploy},
    plan::{LightClientSettings, RegistrySettings, SlasherSettings, ValidatorSettings},
    registry::Registry,
    relay::{Boundary, Certified, FinalityChain, LightReader, Relay, RelaySettings},
    rpc::{L1, Rpc},
    sender::{Intent, Outcome, Sender, SenderError, SenderSettings},
    staking,
};
use cortado_devl1 as devl1;
use cortado_types::{
    ChainId, FinalityCertificate, Header, Height, L1Head, L1Ref, SeatBitmap, SeatIndex, SeatSet,
    Slot, Term, TimestampMs, View,
    bls::{self, SecretBls},
    codec,
    ecdsa::SigningKey,
    seats::base_namespace,
};
use curve25519_dalek::EdwardsPoint;
use futures::future::BoxFuture;
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const CHAIN: ChainId = ChainId::new(9_009);
const L1_CHAIN: u64 = 31_337;
const ETHER: u64 = 1_000_000_000;
const EPOCH_SECONDS: u32 = 6;
/// Longer than the story takes from its first header to its last.
const TRUST_SECONDS: u32 = 40;

/// Anvil's first accounts, which everybody knows; the embedded L1 is given ether for them too.
const KEYS: [&str; 3] = [
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
];

fn key(number: usize) -> SigningKey {
    let bytes = alloy_primitives::hex::decode(KEYS[number]).expect("hex");
    SigningKey::from_bytes(bytes.try_into().expect("32 bytes")).expect("a key")
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_secs()
}

/// The embedded L1, with a block a second.
pub async fn embedded() -> devl1::Handle {
    let dir = tempfile::tempdir().expect("a directory").keep();
    let ether = GenesisAccount::default().with_balance(U256::from(10_u64).pow(U256::from(21)));
    let alloc: BTreeMap<Address, GenesisAccount> = (0..3)
        .map(|number| (key(number).address(), ether.clone()))
        .collect();
    let any = "127.0.0.1:0".parse().expect("an address");
    devl1::start(devl1::Config {
        chain_id: L1_CHAIN,
        slot_ms: 1_000,
        slots_per_epoch: 8,
        genesis_time_ms: now() * 1_000,
        prefunded: Vec::new(),
        alloc,
        data_dir: dir,
        rpc_addr: any,
        beacon_addr: any,
        seed: 1,
        validators: 8,
        finality_lag_epochs: 2,
    })
    .await
    .expect("starts")
}

/// A running `anvil` with a block a second.
pub struct Anvil {
    child: Child,
    pub url: String,
}

impl Anvil {
    /// None if there is no binary.
    ///
    /// # Panics
    /// In CI, where there must be one.
    pub fn start() -> Option<Self> {
        let installed = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../scripts/e2e/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil");
        let binary = std::env::var_os("CORTADO_ANVIL").map_or(installed, PathBuf::from);
        if !binary.exists() {
            assert!(
                std::env::var_os("CI").is_none(),
                "no anvil at {}",
                binary.display()
            );
            return None;
        }
        let mut child = Command::new(binary)
            .args(["--port", "0", "--hardfork", "osaka", "--block-time", "1"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("anvil runs");
        let out = child.stdout.take().expect("its output");
        let mut lines = BufReader::new(out).lines();
        let address = lines.by_ref().find_map(|line| {
            let line = line.expect("a line");
            line.strip_prefix("Listening on ").map(str::to_owned)
        });
        // What it says later must go somewhere.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self {
            child,
            url: format!("http://{}", address.expect("an address")),
        })
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A finality chain of one block at a time, certified by secrets that the test has.
#[derive(Default)]
struct Chain {
    blocks: Mutex<Vec<Certified>>,
    ends: Mutex<BTreeMap<Term, Boundary>>,
}

impl FinalityChain for Chain {
    fn head(&self) -> BoxFuture<'_, Result<Certified, ClientError>> {
        let head = self.blocks.lock().expect("no panic").last().cloned();
        Box::pin(async { head.ok_or(ClientError::NoNode) })
    }
    fn certified(&self, height: Height) -> BoxFuture<'_, Result<Certified, ClientError>> {
        let blocks = self.blocks.lock().expect("no panic");
        let found = blocks.iter().find(|block| block.header.height == height);
        let found = found.cloned();
        Box::pin(async { found.ok_or(ClientError::NoNode) })
    }
    fn boundary(&self, term: Term) -> BoxFuture<'_, Result<Option<Boundary>, ClientError>> {
        let found = self.ends.lock().expect("no panic").get(&term).cloned();
        Box::pin(async { Ok(found) })
    }
}

fn secret(number: u8) -> SecretBls {
    SecretBls::derive(&[number; 32]).expect("a secret")
}

fn registration(at: &Addresses, owner: Address, number: u8) -> KeyRegistration {
    let scalar = keccak256([number]).0;
    let identity = EdwardsPoint::mul_base_clamped(scalar).compress().0.into();
    KeyRegistration::new(CHAIN, at.registry, owner, identity, &secret(number))
}

fn header(height: u64, term: u64, seats: &SeatSet, next: &SeatSet) -> Header {
    Header {
        version: 1,
        chain_id: CHAIN,
        term: Term::new(term),
        view: View::new(height),
        parent_view: View::new(height.saturating_sub(1)),
        height: Height::new(height),
        parent: B256::repeat_byte(1),
        slot: Slot::new(height),
        timestamp: TimestampMs::new(now() * 1_000),
        l1_head: L1Head::whole(L1Ref::default()),
        l1_fin: L1Ref::default(),
        lanes_root: B256::ZERO,
        operations_root: B256::ZERO,
        state_root: B256::ZERO,
        history_root: B256::ZERO,
        seats_hash: seats.hash(),
        next_seats_hash: next.hash(),
    }
}

/// Certified by all seats; the secret of each is found by its key.
fn certify(header: Header, seats: &SeatSet) -> Certified {
    let mut certificate = FinalityCertificate {
        term: header.term,
        view: header.view,
        parent_view: header.parent_view,
        payload: header.hash(),
        signers: SeatBitmap::from_signers(seats.len(), (0..seats.len() as u32).map(SeatIndex::new)),
        signature: Default::default(),
    };
    let message = certificate.message(&base_namespace(CHAIN, seats.hash()));
    let secrets = || (0..=255).map(secret);
    let signatures: Vec<_> = seats
        .seats()
        .iter()
        .map(|seat| {
            let found = secrets().find(|secret| secret.public() == seat.bls);
            found.expect("its secret").sign(&message)
        })
        .collect();
    certificate.signature = bls::aggregate(&signatures).expect("a sum");
    Certified {
        header,
        certificate,
    }
}

pub fn config() -> DeployConfig {
    DeployConfig {
        chain_id: CHAIN,
        l1_chain_id: L1_CHAIN,
        first_nonce: 0,
        registry: RegistrySettings {
            genesis: now() - 100,
            epoch_seconds: EPOCH_SECONDS,
            trust_seconds: TRUST_SECONDS,
            answer_seconds: 1,
            evidence_seconds: 1,
            unbonding_seconds: TRUST_SECONDS + 3,
            min_seat_gwei: ETHER,
            seats_max: 100,
        },
        slasher: SlasherSettings { bond_gwei: ETHER },
        validators: ValidatorSettings {
            min_collateral_gwei: ETHER,
            fraud_seconds: 10,
            leave_seconds: 20,
            signing_id: B256::repeat_byte(7),
            genesis_fork_version: [0; 4].into(),
        },
        restaking: None,
        inboxes: Vec::new(),
        light_client: None,
    }
}

pub async fn sender(l1: &Arc<dyn L1>, dir: &Path, number: usize) -> Sender {
    let settings = SenderSettings {
        confirmations: 1,
        bump_after: Duration::from_secs(8),
        poll: Duration::from_millis(300),
        ..SenderSettings::default()
    };
    let path = dir.join(format!("{number}.json"));
    Sender::open(l1.clone(), key(number), &path, settings)
        .await
        .expect("a sender")
}

async fn submit(sender: &Sender, intent: Intent) -> u64 {
    let label = intent.label.clone();
    match sender.submit(intent).await {
        Ok(Outcome::Included { receipt, .. }) => receipt.gas_used,
        Ok(Outcome::NotWanted) => panic!("{label}: not wanted"),
        Err(error) => panic!("{label}: {error}"),
    }
}

async fn epoch_after(registry: &Registry, epoch: u64) {
    while registry.epoch().await.expect("an epoch") <= epoch {
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Deploys twice, registers, settles, relays through a change of seats, exits and withdraws.
/// `disturb` reorgs the L1, if it can.
pub async fn story(url: &str, disturb: impl Fn()) {
    let l1: Arc<dyn L1> = Arc::new(Rpc::new(url).expect("a URL"));
    let dir = tempfile::tempdir().expect("a directory");
    let deployer = sender(&l1, dir.path(), 0).await;
    let mut config = config();

    // Deployed once; a second run finds everything, another configuration finds something else.
    let at = deploy(&deployer, &config).await.expect("deployed");
    let spent = deployer.spent().transactions;
    assert_eq!(spent, 3);
    assert_eq!(deploy(&deployer, &config).await.expect("found"), at);
    assert_eq!(deployer.spent().transactions, spent);
    let mut other = config.clone();
    other.registry.min_seat_gwei += 1;
    let refused = deploy(&deployer, &other)
        .await
        .expect_err("another registry");
    assert!(matches!(refused, DeployError::Other { .. }), "{refused}");
    other = config.clone();
    other.first_nonce = 1;
    let refused = deploy(&deployer, &other).await.expect_err("other nonces");
    assert!(matches!(refused, DeployError::Other { .. }), "{refused}");

    // An operator with four keys, from the next epoch on.
    let registry = Registry::new(l1.clone(), at.registry);
    let first = sender(&l1, dir.path(), 1).await;
    let owner = first.account();
    submit(
        &first,
        staking::register_operator(&registry, owner, 8 * ETHER),
    )
    .await;
    let operator = registry
        .operator_of(owner)
        .await
        .expect("read")
        .expect("registered");
    let keys: Vec<_> = (1..=4)
        .map(|number| registration(&at, owner, number))
        .collect();
    for intent in staking::register_keys(&registry, operator, &keys)
        .await
        .expect("keys")
    {
        submit(&first, intent).await;
    }
    let again = staking::register_keys(&registry, operator, &keys)
        .await
        .expect("keys");
    assert!(again.is_empty(), "registered already");
    epoch_after(&registry, registry.epoch().await.expect("an epoch")).await;
    disturb();
    let allocation = registry.allocation().await.expect("seats");
    assert_eq!(
        (allocation.seats.len(), allocation.price_gwei),
        (4, 2 * ETHER)
    );
    submit(&first, staking::settle(&registry, &allocation)).await;
    assert!(
        !registry.changes(&allocation).await.expect("read"),
        "settled"
    );
    let old = allocation.seats;

    // A second operator joins, for the seats after these.
    let second = sender(&l1, dir.path(), 2).await;
    let joins = second.account();
    submit(
        &second,
        staking::register_operator(&registry, joins, 2 * ETHER),
    )
    .await;
    let number = registry
        .operator_of(joins)
        .await
        .expect("read")
        .expect("registered");
    let key = [registration(&at, joins, 5)];
    for intent in staking::register_keys(&registry, number, &key)
        .await
        .expect("a key")
    {
        submit(&second, intent).await;
    }
    epoch_after(&registry, registry.epoch().await.expect("an epoch")).await;

    // The light client starts from an anchor, in a second run.
    let anchor = header(0, 0, &old, &old);
    config.light_client = Some(LightClientSettings {
        anchor: codec::encode(&anchor).into(),
        seats: old.seats().to_vec(),
        nonce: None,
    });
    let at = deploy(&deployer, &config).await.expect("deployed");
    let light = at.light_client.expect("there");
    deploy(&deployer, &config).await.expect("found");

    // The relay settles the new seats and posts what is missing.
    let chain = Arc::new(Chain::default());
    chain
        .blocks
        .lock()
        .unwrap()
        .push(certify(header(5, 0, &old, &old), &old));
    let settings = RelaySettings {
        interval_ms: 0,
        settle: true,
    };
    let deployer = Arc::new(deployer);
    let open = || {
        Relay::open(
            deployer.clone(),
            chain.clone(),
            light,
            at.registry,
            settings,
        )
    };
    let relay = open().await.expect("a relay");
    relay.tick().await.expect("relayed");
    let reader = LightReader::new(l1.clone(), light);
    assert!(
        reader
            .header_at(Height::new(5))
            .await
            .expect("read")
            .is_some()
    );
    assert_eq!(relay.status().lag_blocks, 5, "as it was before the post");
    let transactions = relay.status().transactions;
    relay.tick().await.expect("nothing to do");
    assert_eq!(relay.status().transactions, transactions);
    assert_eq!(relay.status().lag_blocks, 0);

    // The term ends; a relay that was restarted brings the new seats, and then their first block.
    let new = registry.allocation().await.expect("seats").seats;
    assert_eq!(new.len(), 5);
    let latest = registry.latest().await.expect("read").expect("settled");
    assert_eq!(latest.seats, new.hash());
    let last = certify(header(9, 0, &old, &new), &old);
    let boundary = Boundary {
        last: last.clone(),
        next_seats: new.seats().to_vec(),
    };
    chain.ends.lock().unwrap().insert(Term::ZERO, boundary);
    chain
        .blocks
        .lock()
        .unwrap()
        .extend([last, certify(header(10, 1, &new, &new), &new)]);
    let relay = open().await.expect("a relay");
    relay.tick().await.expect("relayed");
    disturb();
    relay.tick().await.expect("relayed");
    let state = reader.state().await.expect("read").expect("started");
    assert_eq!((state.seats, state.first_term), (new.hash(), Term::new(1)));
    assert!(
        reader
            .header_at(Height::new(10))
            .await
            .expect("read")
            .is_some()
    );
    let posted = relay.post(Height::new(10)).await.expect("there");
    assert_eq!(posted.transaction, None);
    let past = relay.post(Height::new(4)).await;
    assert!(past.is_err(), "no such block");

    // The second operator leaves: refused before its time, paid after it.
    let before = registry.operator(number).await.expect("read");
    submit(
        &second,
        staking::exit(&registry, number, before.bonded_gwei, 2 * ETHER),
    )
    .await;
    let early = second
        .submit(staking::withdraw(&registry, number, joins))
        .await;
    assert!(
        matches!(early, Err(SenderError::WouldRevert { .. })),
        "{early:?}"
    );
    let release = registry.operator(number).await.expect("read").release_at;
    while l1.head().await.expect("a head").timestamp < release {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let had = l1.balance(joins).await.expect("read");
    submit(&second, staking::withdraw(&registry, number, joins)).await;
    assert!(l1.balance(joins).await.expect("read") > had, "paid out");
}
