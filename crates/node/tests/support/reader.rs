//! A node's read side over a chain held in memory.

#![allow(dead_code)]

use crate::chain::{TestChain, genesis};
use cortado_chain::State;
use cortado_client::api::{EvidenceView, Standing};
use cortado_evidence::{Crossing, Evidence, Path, ViewRecord};
use cortado_node::{
    api::{Limits, Server, serve_with},
    reader::{ChainReader, LanePlace, LocalStatus, Reading, Tip, TransactionPlace},
};
use cortado_types::{
    B256, Block, Bytes, FinalityCertificate, Genesis, Header, Height, LaneBody, Namespace,
    SeatBitmap, SeatIndex, SeatSet, SignedVote, Term, View, Vote, VoteCertificate,
    bls::SignatureBytes, keccak256, mmr::HistoryProof,
};
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::sync::watch;

pub struct TestReader {
    genesis: Arc<Genesis>,
    chain: Mutex<TestChain>,
    tip: watch::Sender<Arc<Tip>>,
    pub oldest: Mutex<Height>,
    pub records: Mutex<BTreeMap<(Term, View), ViewRecord>>,
    pub evidence: Mutex<Vec<EvidenceView>>,
}

fn tip_of(chain: &TestChain) -> Arc<Tip> {
    Arc::new(Tip {
        block: Arc::new(chain.tip().clone()),
        hash: chain.tip().hash(),
        state: chain.state().clone(),
    })
}

impl TestReader {
    pub fn new(chain: TestChain) -> Arc<Self> {
        Arc::new(Self {
            genesis: Arc::new(chain.genesis.clone()),
            tip: watch::Sender::new(tip_of(&chain)),
            chain: Mutex::new(chain),
            oldest: Mutex::new(Height::ZERO),
            records: Mutex::default(),
            evidence: Mutex::default(),
        })
    }

    pub fn chain(&self) -> MutexGuard<'_, TestChain> {
        self.chain.lock().unwrap()
    }

    /// Seat 1 votes twice in view 5, and for a block beside a final one later.
    pub fn accuse(&self) {
        let view = View::new(5);
        let mut record = ViewRecord::new(Term::ZERO, view);
        let signed = |vote| SignedVote {
            vote,
            seat: SeatIndex::new(1),
            signature: SignatureBytes::repeat_byte(7),
        };
        let payloads = [1, 2].map(B256::repeat_byte);
        let votes = payloads.map(|hash| signed(Vote::notarize(Term::ZERO, view, view, hash)));
        record.insert(votes[0]);
        record.insert(votes[1]);
        record.insert_certificate(VoteCertificate {
            vote: Vote::nullify(Term::ZERO, view),
            signers: SeatBitmap::from_signers(4, (0..3).map(SeatIndex::new)),
            signature: SignatureBytes::repeat_byte(8),
        });
        self.records
            .lock()
            .unwrap()
            .insert((Term::ZERO, view), record);
        let seats = self.genesis.validate().unwrap();
        let header = self.chain().blocks[0].header.clone();
        let crossing = Crossing {
            first: header.clone(),
            second: header,
            path: Some(Path {
                other: payloads[0],
                siblings: vec![payloads[1]],
                peaks: payloads.to_vec(),
            }),
        };
        for crossing in [None, Some(crossing)] {
            let [first, second] = votes;
            let evidence = Evidence::new(&seats, first, second, crossing).unwrap();
            self.evidence.lock().unwrap().push(EvidenceView {
                offence: evidence.offence(),
                standing: Standing::New,
                evidence,
            });
        }
    }

    /// Appends a certified block and lets everybody know.
    pub fn extend(&self, bodies: &[(Namespace, Vec<Bytes>)]) -> Height {
        let mut chain = self.chain();
        let height = chain.extend(bodies);
        self.tip.send_replace(tip_of(&chain));
        height
    }

    /// Appends a block that is final through a later one only.
    pub fn extend_uncertified(&self) -> Height {
        let mut chain = self.chain();
        let height = chain.extend_uncertified(&[]);
        self.tip.send_replace(tip_of(&chain));
        height
    }

    /// Serves it on a port of its own.
    pub async fn serve(self: &Arc<Self>) -> Server {
        self.serve_with(Limits::default()).await
    }

    /// Serves it within other limits.
    pub async fn serve_with(self: &Arc<Self>, limits: Limits) -> Server {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        serve_with(address, self.clone(), limits).await.unwrap()
    }

    fn read<T: Send + 'static>(&self, read: impl FnOnce(&TestChain) -> T) -> Reading<'_, T> {
        let value = read(&self.chain());
        Box::pin(async move { Ok(value) })
    }

    fn kept(&self, height: Height) -> bool {
        height >= *self.oldest.lock().unwrap()
    }
}

impl ChainReader for TestReader {
    fn genesis(&self) -> &Arc<Genesis> {
        &self.genesis
    }

    fn genesis_hash(&self) -> B256 {
        self.chain().blocks[0].hash()
    }

    fn tip(&self) -> watch::Receiver<Arc<Tip>> {
        self.tip.subscribe()
    }

    fn oldest(&self) -> Height {
        *self.oldest.lock().unwrap()
    }

    fn block(&self, height: Height) -> Reading<'_, Option<Arc<Block>>> {
        let kept = self.kept(height);
        self.read(|chain| {
            let block = chain.blocks.get(usize::try_from(height.get()).ok()?)?;
            kept.then(|| Arc::new(block.clone()))
        })
    }

    fn height_of(&self, hash: B256) -> Reading<'_, Option<Height>> {
        self.read(|chain| {
            let block = chain.blocks.iter().find(|block| block.hash() == hash)?;
            Some(block.header.height)
        })
    }

    fn certificate(&self, height: Height) -> Reading<'_, Option<(Height, FinalityCertificate)>> {
        self.read(|chain| {
            let (at, certificate) = chain.certificates.range(height..).next()?;
            Some((*at, certificate.clone()))
        })
    }

    fn place_of_lane(
        &self,
        namespace: Namespace,
        lane_height: Height,
    ) -> Reading<'_, Option<LanePlace>> {
        self.read(|chain| {
            let (height, index) = chain.place(namespace, lane_height)?;
            Some(LanePlace { height, index })
        })
    }

    fn body(&self, lane: B256) -> Reading<'_, Option<LaneBody>> {
        self.read(|chain| chain.bodies.get(&lane).cloned())
    }

    fn place_of_transaction(&self, hash: B256) -> Reading<'_, Option<TransactionPlace>> {
        self.read(|chain| {
            let lanes = chain.blocks.iter().flat_map(|block| &block.lanes);
            lanes.map(|entry| &entry.lane.header).find_map(|header| {
                let body = &chain.bodies[&header.hash()];
                let index = body
                    .transactions
                    .iter()
                    .position(|raw| keccak256(raw) == hash)?;
                let (namespace, lane_height) = (header.namespace, header.height);
                Some(TransactionPlace {
                    namespace,
                    lane_height,
                    index,
                })
            })
        })
    }

    fn state(&self, height: Height) -> Reading<'_, Option<Arc<State>>> {
        self.read(|chain| chain.states.get(height.get() as usize).cloned())
    }

    fn history(&self, from: Height, at: Height) -> Reading<'_, Option<HistoryProof>> {
        self.read(|chain| chain.history.prove(from.get(), at.get()))
    }

    fn seats(&self, term: Term) -> Reading<'_, Option<Arc<SeatSet>>> {
        self.read(|chain| (term <= Term::new(1)).then(|| chain.seats.clone()))
    }

    fn boundary(&self, term: Term) -> Reading<'_, Option<(Header, FinalityCertificate)>> {
        // As if the first block were the last of term 0; nobody here verifies that.
        self.read(|chain| {
            let (height, certificate) = chain.certificates.first_key_value()?;
            let header = &chain
                .blocks
                .get(usize::try_from(height.get()).ok()?)?
                .header;
            (term == Term::ZERO).then(|| (header.clone(), certificate.clone()))
        })
    }

    fn votes(&self, term: Term, view: View) -> Reading<'_, ViewRecord> {
        let record = self.records.lock().unwrap().get(&(term, view)).cloned();
        Box::pin(async move { Ok(record.unwrap_or_else(|| ViewRecord::new(term, view))) })
    }

    fn evidence(&self) -> Reading<'_, Vec<EvidenceView>> {
        let evidence = self.evidence.lock().unwrap().clone();
        Box::pin(async move { Ok(evidence) })
    }

    fn local_status(&self) -> LocalStatus {
        LocalStatus {
            own_seats: vec![self.genesis.seats.seats[0].identity],
            ..LocalStatus::default()
        }
    }

    fn metrics(&self) -> String {
        "below_total 7\n".to_owned()
    }
}

/// A genesis that no chain here begins with.
pub fn foreign_genesis() -> Genesis {
    genesis(77)
}
