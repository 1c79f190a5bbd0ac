//! What accuses seats, and what excuses them (R2).

use cortado_evidence::{Evidence, ViewRecord};
use cortado_types::{B256, SignedVote, Term, View, VoteCertificate};
use serde::{Deserialize, Serialize};

/// `GET /v1/votes/{epoch}/{view}`: what this node's seat saw in a view. Signatures of single votes
/// are as they came; whoever uses one checks it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VotesView {
    /// The term.
    pub epoch: Term,
    /// The view.
    pub view: View,
    /// Votes by seat.
    pub votes: Vec<SignedVote>,
    /// Notarizations, finalizations and nullifications: what an accused seat answers with.
    pub certificates: Vec<VoteCertificate>,
}

impl VotesView {
    /// The view of what was archived.
    pub fn new(record: &ViewRecord) -> Self {
        Self {
            epoch: record.term(),
            view: record.view(),
            votes: record.votes().collect(),
            certificates: record.certificates().collect(),
        }
    }

    /// What was archived. What is of another view or too much is left out.
    pub fn record(&self) -> ViewRecord {
        let mut record = ViewRecord::new(self.epoch, self.view);
        for vote in &self.votes {
            record.insert(*vote);
        }
        for certificate in &self.certificates {
            record.insert_certificate(certificate.clone());
        }
        record
    }
}

/// How far a piece of evidence has come on L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Found; nothing was sent.
    New,
    /// A transaction with it is on its way, or an accusation is open.
    Submitted,
    /// The stake is gone, or nothing is left to take, or the accused had an excuse.
    Settled,
}

/// One piece of `GET /v1/evidence`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceView {
    /// Names the offence; there is one piece for each.
    pub offence: B256,
    /// How far it has come.
    pub standing: Standing,
    /// The two votes, and their blocks if they are of two views.
    pub evidence: Evidence,
}

/// `GET /v1/evidence`: what this node knows against seats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceList {
    /// By offence.
    pub evidence: Vec<EvidenceView>,
}
