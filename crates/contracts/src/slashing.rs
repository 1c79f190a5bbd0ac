//! Brings evidence to Ethereum, and answers for whoever is accused and has an excuse (R2).
//!
//! ```text
//!  evidence ─┬─ of one view ────▶ slash                       until nothing is left to take
//!            └─ across views ───▶ accuse ──time──▶ convict    once; whoever was first
//!  Accused events ── excuse in the archive? ─▶ answer         anybody's accusation, for the bond
//!  owed ──▶ claim
//! ```
//!
//! What to do follows each time from what the chain says: a restart, a reorg or another reporter
//! beside this one change nothing, and nothing is sent twice ([`crate::sender`]).

use crate::{
    abi::{Registry as registry_abi, Slasher},
    evidence::{answer_call, convict_call, evidence_call},
    registry::{Registry, RegistryError},
    rpc::{L1, RpcError, view},
    seats::{Place, SeatsError},
    sender::{Intent, Outcome, Sender, SenderError, Wanted},
};
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::{SolCall, SolEvent, SolValue};
use cortado_evidence::{Electorate, Evidence, ViewRecord, Voters as _, excuses};
use cortado_types::{SeatSet, Term, View, Vote, VoteCertificate, bls::BlsError};
use futures::future::BoxFuture;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use thiserror::Error;
use tracing::{info, warn};

/// Blocks asked for events at a time: nodes limit the span of a query.
const LOGS_SPAN: u64 = 2_000;

/// Blocks that are looked at again each time: what a reorg brings is not missed.
const REORG_BLOCKS: u64 = 64;

/// Accusations that are watched. Each costs its accuser a bond while it is open.
const ACCUSATIONS_MAX: usize = 4_096;

/// Wei below which a claim is not worth its fee: a thousandth of an ether.
const CLAIM_WEI_MIN: u64 = 1_000_000_000_000_000;

/// Why slashing does not get on. It tries again.
#[derive(Debug, Error)]
pub enum SlashingError {
    /// The L1 node does not answer well.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// A transaction did not get in.
    #[error(transparent)]
    Sender(#[from] SenderError),
    /// The registry cannot be read.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The seats of an excuse do not stand in the registry.
    #[error(transparent)]
    Seats(#[from] SeatsError),
    /// Evidence that verified has no points: cannot be.
    #[error(transparent)]
    Bls(#[from] BlsError),
    /// What is known against seats cannot be read or written.
    #[error("{0}")]
    Docket(String),
}

/// What a node knows against seats and for them.
pub trait Docket: Send + Sync {
    /// Evidence that is not settled.
    fn open(&self) -> Result<Vec<Evidence>, String>;
    /// Notes that evidence is on its way, or settled.
    fn mark(&self, offence: B256, settled: bool) -> Result<(), String>;
    /// What was archived of a view.
    fn view(&self, term: Term, view: View) -> BoxFuture<'_, ViewRecord>;
    /// The seats of a seats hash.
    fn seats(&self, hash: B256) -> BoxFuture<'_, Option<Arc<SeatSet>>>;
}

/// An accusation that is watched.
#[derive(Clone, Copy, Debug)]
struct Watched {
    seats: B256,
    term: Term,
    view: View,
    deadline: u64,
    /// Block it was made in.
    block: u64,
}

/// Events seen so far.
#[derive(Debug, Default)]
struct Seen {
    /// The next block to look at.
    next: u64,
    /// Every accusation made, ended or not, by its name.
    accusations: BTreeMap<B256, Watched>,
}

/// Reports to one slasher.
pub struct Slashing {
    sender: Arc<Sender>,
    slasher: Address,
    registry: Registry,
    bond: U256,
    docket: Arc<dyn Docket>,
    seen: Mutex<Seen>,
}

impl Slashing {
    /// Reports by `sender` to the contract at `slasher`, which was deployed in block `since` or
    /// later.
    ///
    /// # Errors
    /// If the L1 node does not answer, or there is no such contract.
    pub fn open(
        sender: Arc<Sender>,
        slasher: Address,
        since: u64,
        docket: Arc<dyn Docket>,
    ) -> BoxFuture<'static, Result<Self, SlashingError>> {
        Box::pin(async move {
            let l1 = sender.l1().clone();
            let registry = view(&*l1, slasher, Slasher::REGISTRYCall {}).await?;
            let bond = view(&*l1, slasher, Slasher::BONDCall {}).await?;
            Ok(Self {
                registry: Registry::new(l1, registry),
                sender,
                slasher,
                bond,
                docket,
                seen: Mutex::new(Seen {
                    next: since,
                    ..Seen::default()
                }),
            })
        })
    }

    /// Does whatever is due.
    ///
    /// # Errors
    /// [`SlashingError`]; the next call goes on from what the chain says then.
    pub fn tick(&self) -> BoxFuture<'_, Result<(), SlashingError>> {
        Box::pin(async {
            self.look().await?;
            // The accused first: their time runs.
            self.answer_all().await?;
            for evidence in self.docket.open().map_err(SlashingError::Docket)? {
                self.report(&evidence).await?;
            }
            self.claim().await
        })
    }

    fn l1(&self) -> &dyn L1 {
        &**self.sender.l1()
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads accusations up to the newest block, the last blocks again.
    async fn look(&self) -> Result<(), SlashingError> {
        let head = self.l1().head().await?.number;
        let mut from = self.seen().next;
        let mut found = BTreeMap::new();
        let mut at = from;
        while at <= head {
            let to = head.min(at.saturating_add(LOGS_SPAN - 1));
            let event = Slasher::Accused::SIGNATURE_HASH;
            for log in self.l1().logs(self.slasher, event, (at, to)).await? {
                if let Ok(accused) = Slasher::Accused::decode_raw_log(&log.topics, &log.data) {
                    let watched = Watched {
                        seats: accused.seats,
                        term: Term::new(accused.term),
                        view: View::new(accused.view_),
                        deadline: accused.deadline.saturating_to(),
                        block: log.block_number,
                    };
                    found.insert(accused.id, watched);
                }
            }
            at = to + 1;
        }
        let mut seen = self.seen();
        // What a reorg took away is not there any more.
        seen.accusations.retain(|_, watched| watched.block < from);
        for (id, watched) in found {
            if seen.accusations.len() < ACCUSATIONS_MAX {
                seen.accusations.insert(id, watched);
            } else {
                warn!(%id, "too many accusations to watch this one");
            }
        }
        from = from.max((head + 1).saturating_sub(REORG_BLOCKS));
        seen.next = from;
        Ok(())
    }

    async fn accusation(
        &self,
        id: B256,
    ) -> Result<Option<Slasher::accusationsReturn>, SlashingError> {
        let query = Slasher::accusationsCall { id };
        let found = view(self.l1(), self.slasher, query).await?;
        Ok((!found.accuser.is_zero()).then_some(found))
    }

    /// Answers what can be answered, ends what nobody answered in time.
    async fn answer_all(&self) -> Result<(), SlashingError> {
        let watched = self.seen().accusations.clone();
        for (id, accusation) in watched {
            let Some(found) = self.accusation(id).await? else {
                continue;
            };
            let now = self.l1().head().await?.timestamp;
            if now > accusation.deadline {
                let label = format!("conviction of accusation {id}");
                let wanted = self.while_open(id);
                self.submit(label, U256::ZERO, convict_call(id), wanted)
                    .await?;
                continue;
            }
            let Some(seats) = self.docket.seats(accusation.seats).await else {
                continue;
            };
            let accused =
                Vote::finalize(accusation.term, accusation.view, View::ZERO, found.payload);
            let Some(excuse) = self.excuse(&seats, &accused).await? else {
                info!(%id, view = %accusation.view, "nothing here excuses the accused");
                continue;
            };
            let list = self.registry.places().await?.list(seats.seats())?;
            let call = answer_call(id, list, &excuse)?;
            let label = format!("answer to accusation {id}");
            self.submit(label, U256::ZERO, call, self.while_open(id))
                .await?;
        }
        Ok(())
    }

    /// A certificate of ours that excuses a finalize. It is verified: a wrong answer costs a fee.
    async fn excuse(
        &self,
        seats: &Arc<SeatSet>,
        accused: &Vote,
    ) -> Result<Option<VoteCertificate>, SlashingError> {
        let chain_id = self.registry.chain_id().await?;
        let seats = seats.clone();
        let voters = Electorate { chain_id, seats };
        let record = self.docket.view(accused.term(), accused.view()).await;
        let mut found = record.certificates();
        Ok(found.find(|found| excuses(&found.vote, accused) && voters.certified(found)))
    }

    /// Brings one piece of evidence as far as it can be brought now.
    async fn report(&self, evidence: &Evidence) -> Result<(), SlashingError> {
        let places = self.registry.places().await?;
        let known = places
            .keys()
            .find(|(seat, _)| seat.registry_index == evidence.registry_index);
        let Some((_, place)) = known.filter(|(seat, _)| seat.bls == evidence.key) else {
            warn!(key = %evidence.key, "evidence against a key that is not in the registry");
            return self.settle(evidence);
        };
        let risk = Risk {
            l1: self.sender.l1().clone(),
            registry: self.registry.address(),
            place,
            seats: evidence.seats_hash,
        };
        if !risk.is_left().await? {
            return self.settle(evidence);
        }
        let id = accusation_id(evidence);
        if evidence.is_accusation() && self.seen().accusations.contains_key(&id) {
            return match self.accusation(id).await? {
                // Its time runs, or its end is under way.
                Some(_) => Ok(()),
                // Answered, or convicted.
                None => self.settle(evidence),
            };
        }
        let call = evidence_call(evidence, place)?;
        let offence = evidence.offence();
        self.docket
            .mark(offence, false)
            .map_err(SlashingError::Docket)?;
        if evidence.is_accusation() {
            let (l1, slasher) = (self.sender.l1().clone(), self.slasher);
            let wanted: Wanted = Box::new(move || {
                let (l1, risk) = (l1.clone(), risk.clone());
                Box::pin(async move {
                    let query = Slasher::accusationsCall { id };
                    let found = view(&*l1, slasher, query).await?;
                    Ok(found.accuser.is_zero() && risk.is_left().await?)
                })
            });
            let label = format!("accusation {id}");
            self.submit(label, self.bond, call, wanted).await
        } else {
            let wanted: Wanted = Box::new(move || {
                let risk = risk.clone();
                Box::pin(async move { risk.is_left().await })
            });
            let label = format!("evidence {offence}");
            self.submit(label, U256::ZERO, call, wanted).await?;
            self.settle(evidence)
        }
    }

    fn settle(&self, evidence: &Evidence) -> Result<(), SlashingError> {
        let offence = evidence.offence();
        info!(%offence, seat = %evidence.seat(), "evidence is settled");
        self.docket
            .mark(offence, true)
            .map_err(SlashingError::Docket)
    }

    /// Fetches what the contract owes.
    async fn claim(&self) -> Result<(), SlashingError> {
        let (l1, slasher, who) = (
            self.sender.l1().clone(),
            self.slasher,
            self.sender.account(),
        );
        let wanted: Wanted = Box::new(move || {
            let l1 = l1.clone();
            Box::pin(async move {
                let owed = view(&*l1, slasher, Slasher::owedCall { who }).await?;
                Ok(owed >= U256::from(CLAIM_WEI_MIN))
            })
        });
        if !wanted().await? {
            return Ok(());
        }
        let call = Slasher::claimCall { to: who }.abi_encode();
        self.submit("claim".into(), U256::ZERO, call.into(), wanted)
            .await
    }

    fn while_open(&self, id: B256) -> Wanted {
        let (l1, slasher) = (self.sender.l1().clone(), self.slasher);
        Box::new(move || {
            let l1 = l1.clone();
            Box::pin(async move {
                let found = view(&*l1, slasher, Slasher::accusationsCall { id }).await?;
                Ok(!found.accuser.is_zero())
            })
        })
    }

    async fn submit(
        &self,
        label: String,
        value: U256,
        call: alloy_primitives::Bytes,
        wanted: Wanted,
    ) -> Result<(), SlashingError> {
        let mut intent = Intent::call(label.clone(), self.slasher, call, wanted);
        intent.value = value;
        match self.sender.submit(intent).await? {
            Outcome::Included { hash, receipt } => {
                info!(label, %hash, block = receipt.block_number, "done on L1");
            }
            Outcome::NotWanted => info!(label, "not needed on L1 any more"),
        }
        Ok(())
    }
}

/// What a seat still has at risk for a key.
#[derive(Clone)]
struct Risk {
    l1: Arc<dyn L1>,
    registry: Address,
    place: Place,
    seats: B256,
}

impl Risk {
    async fn is_left(&self) -> Result<bool, RpcError> {
        let query = registry_abi::keyAtCall {
            page: U256::from(self.place.page),
            place: U256::from(self.place.entry),
        };
        let key = view(&*self.l1, self.registry, query).await?;
        let query = registry_abi::settlementCall { seats: self.seats };
        let settled = view(&*self.l1, self.registry, query).await?;
        Ok(key.taken < settled.price)
    }
}

/// The name under which the slasher keeps an accusation.
pub fn accusation_id(evidence: &Evidence) -> B256 {
    let (first, second): (Slasher::Vote, Slasher::Vote) =
        (evidence.first.vote.into(), evidence.second.vote.into());
    // An array of two is encoded as the two, none of which has a dynamic part.
    keccak256((evidence.registry_index, evidence.seats_hash, first, second).abi_encode())
}
