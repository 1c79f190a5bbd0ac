//! A reporter against an embedded Ethereum, over its JSON-RPC.

use super::{
    evidence::{beside, certificate, contradiction, sign},
    support::*,
};
use crate::{
    GenesisPlan,
    abi::Slasher,
    rpc::{L1 as _, Rpc, view},
    sender::{Sender, SenderSettings},
    slashing::{Docket, Slashing, accusation_id},
};
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolEvent;
use cortado_evidence::{Evidence, ViewRecord};
use cortado_types::{ChainId, SeatSet, Term, View, Vote, bls::SecretBls, ecdsa::SigningKey};
use futures::future::BoxFuture;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const CHAIN: u64 = 9_009;

/// What a node would know.
#[derive(Default)]
struct Memory {
    evidence: Mutex<BTreeMap<B256, (Evidence, bool)>>,
    records: Mutex<BTreeMap<(Term, View), ViewRecord>>,
    seats: Mutex<Option<Arc<SeatSet>>>,
}

impl Memory {
    fn knows(&self, evidence: &Evidence) {
        let mut known = self.evidence.lock().unwrap();
        known.insert(evidence.offence(), (evidence.clone(), false));
    }

    fn is_settled(&self, evidence: &Evidence) -> bool {
        self.evidence.lock().unwrap()[&evidence.offence()].1
    }
}

impl Docket for Memory {
    fn open(&self) -> Result<Vec<Evidence>, String> {
        let known = self.evidence.lock().unwrap();
        let open = known.values().filter(|(_, settled)| !settled);
        Ok(open.map(|(evidence, _)| evidence.clone()).collect())
    }

    fn mark(&self, offence: B256, settled: bool) -> Result<(), String> {
        if let Some(known) = self.evidence.lock().unwrap().get_mut(&offence) {
            known.1 = settled;
        }
        Ok(())
    }

    fn view(&self, term: Term, view: View) -> BoxFuture<'_, ViewRecord> {
        let record = self.records.lock().unwrap().get(&(term, view)).cloned();
        Box::pin(async move { record.unwrap_or_else(|| ViewRecord::new(term, view)) })
    }

    fn seats(&self, hash: B256) -> BoxFuture<'_, Option<Arc<SeatSet>>> {
        let seats = self.seats.lock().unwrap().clone();
        Box::pin(async move { seats.filter(|seats| seats.hash() == hash) })
    }
}

struct Town {
    l1: cortado_devl1::Handle,
    rpc: Arc<Rpc>,
    directory: tempfile::TempDir,
    slasher: Address,
    seats: Arc<SeatSet>,
    secrets: Vec<SecretBls>,
}

fn account(number: u8) -> SigningKey {
    SigningKey::from_bytes([number; 32]).unwrap()
}

impl Town {
    async fn new() -> Self {
        let mut config = config(CHAIN);
        config.registry.answer_seconds = 6;
        let plan =
            GenesisPlan::new(&config, deployer(), &operators(&[(5, 1); 7]), GENESIS).unwrap();
        let mut alloc = plan.alloc().unwrap();
        for number in [1, 2] {
            let balance = U256::from(100 * ETHER) * U256::from(ETHER);
            let funded = GenesisAccount::default().with_balance(balance);
            alloc.insert(account(number).address(), funded);
        }
        let directory = tempfile::tempdir().unwrap();
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let l1 = cortado_devl1::start(cortado_devl1::Config {
            chain_id: L1,
            slot_ms: 1_000,
            slots_per_epoch: 8,
            genesis_time_ms: now * 1_000,
            prefunded: Vec::new(),
            alloc,
            data_dir: directory.path().join("l1"),
            rpc_addr: ([127, 0, 0, 1], 0).into(),
            beacon_addr: ([127, 0, 0, 1], 0).into(),
            seed: 1,
            validators: 16,
            finality_lag_epochs: 2,
        })
        .await
        .unwrap();
        let seats = SeatSet::new(plan.seats.clone()).unwrap();
        let secrets = seats.seats().iter().map(|seat| {
            let mut all = (1..=7).map(|operator| secret(operator, 0));
            all.find(|secret| secret.identity == seat.identity)
                .unwrap()
                .bls
        });
        Self {
            rpc: Arc::new(Rpc::new(&format!("http://{}", l1.rpc_addr())).unwrap()),
            l1,
            directory,
            slasher: plan.addresses.slasher,
            secrets: secrets.collect(),
            seats: Arc::new(seats),
        }
    }

    /// The reporter with this account, as after a restart.
    async fn reporter(&self, number: u8, docket: &Arc<Memory>) -> Slashing {
        let journal = self.directory.path().join(format!("journal-{number}"));
        let settings = SenderSettings {
            confirmations: 1,
            bump_after: Duration::from_secs(4),
            poll: Duration::from_millis(200),
            ..SenderSettings::default()
        };
        let sender = Sender::open(self.rpc.clone(), account(number), &journal, settings).await;
        let docket: Arc<dyn Docket> = docket.clone();
        Slashing::open(Arc::new(sender.unwrap()), self.slasher, 0, docket)
            .await
            .unwrap()
    }

    fn docket(&self) -> Arc<Memory> {
        let docket = Memory::default();
        *docket.seats.lock().unwrap() = Some(self.seats.clone());
        Arc::new(docket)
    }

    fn evidence(
        &self,
        seat: usize,
        votes: [Vote; 2],
        crossing: Option<cortado_evidence::Crossing>,
    ) -> Evidence {
        let chain = ChainId::new(CHAIN);
        let signed = |vote| sign(&self.seats, chain, &self.secrets, seat, vote);
        let [first, second] = votes.map(signed);
        Evidence::new(&self.seats, first, second, crossing).unwrap()
    }

    /// How often the contract emitted an event.
    async fn count(&self, event: B256) -> usize {
        let head = self.rpc.head().await.unwrap().number;
        self.rpc
            .logs(self.slasher, event, (0, head))
            .await
            .unwrap()
            .len()
    }

    async fn is_accused(&self, evidence: &Evidence) -> bool {
        let query = Slasher::accusationsCall {
            id: accusation_id(evidence),
        };
        !view(&*self.rpc, self.slasher, query)
            .await
            .unwrap()
            .accuser
            .is_zero()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_is_brought_once_across_restarts_and_a_reorg() {
    let town = Town::new().await;
    let docket = town.docket();
    let evidence = town.evidence(1, contradiction(), None);
    docket.knows(&evidence);
    // Killed while it waits for its transaction.
    let reporter = town.reporter(1, &docket).await;
    let killed = tokio::time::timeout(Duration::from_millis(300), reporter.tick()).await;
    assert!(killed.is_err(), "no block is that quick");
    drop(reporter);
    let reporter = town.reporter(1, &docket).await;
    reporter.tick().await.unwrap();
    assert!(docket.is_settled(&evidence));
    town.l1.chain().reorg(2).await.unwrap();
    // It is known again, as after a lost disk; a second reporter has it too.
    docket.knows(&evidence);
    let second = town.docket();
    second.knows(&evidence);
    let other = town.reporter(2, &second).await;
    for _ in 0..3 {
        reporter.tick().await.unwrap();
        other.tick().await.unwrap();
    }
    assert!(docket.is_settled(&evidence) && second.is_settled(&evidence));
    assert_eq!(town.count(Slasher::Convicted::SIGNATURE_HASH).await, 1);
    assert_eq!(
        town.count(Slasher::Claimed::SIGNATURE_HASH).await,
        1,
        "the reward is fetched"
    );
    town.l1.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accusation_without_an_excuse_ends_in_a_conviction() {
    let town = Town::new().await;
    let docket = town.docket();
    let (crossing, votes) = beside(37);
    let evidence = town.evidence(2, votes, Some(crossing));
    docket.knows(&evidence);
    let reporter = town.reporter(1, &docket).await;
    reporter.tick().await.unwrap();
    assert!(town.is_accused(&evidence).await);
    while !docket.is_settled(&evidence) {
        reporter.tick().await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(town.count(Slasher::Accused::SIGNATURE_HASH).await, 1);
    assert_eq!(town.count(Slasher::Convicted::SIGNATURE_HASH).await, 1);
    town.l1.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anybody_with_the_excuse_answers_for_the_accused() {
    let town = Town::new().await;
    let (accuser_docket, docket) = (town.docket(), town.docket());
    let (crossing, votes) = beside(37);
    let evidence = town.evidence(3, votes, Some(crossing));
    accuser_docket.knows(&evidence);
    let accuser = town.reporter(1, &accuser_docket).await;
    accuser.tick().await.unwrap();
    assert!(town.is_accused(&evidence).await);

    let (term, at) = (votes[0].term(), votes[0].view());
    let mut record = ViewRecord::new(term, at);
    let nullify = Vote::nullify(term, at);
    // A forged one is passed over.
    let mut forged = certificate(&town.seats, ChainId::new(CHAIN), &town.secrets, votes[0]);
    forged.vote = Vote::notarize(term, at, at, B256::repeat_byte(3));
    record.insert_certificate(forged);
    let excuse = certificate(&town.seats, ChainId::new(CHAIN), &town.secrets, nullify);
    record.insert_certificate(excuse);
    docket.records.lock().unwrap().insert((term, at), record);
    let answerer = town.reporter(2, &docket).await;
    answerer.tick().await.unwrap();
    assert!(!town.is_accused(&evidence).await);
    assert_eq!(town.count(Slasher::Answered::SIGNATURE_HASH).await, 1);
    accuser.tick().await.unwrap();
    assert!(accuser_docket.is_settled(&evidence), "it had an excuse");
    assert_eq!(town.count(Slasher::Convicted::SIGNATURE_HASH).await, 0);
    town.l1.stop().await;
}
