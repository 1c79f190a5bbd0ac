//! What one term's engine is told about its term.

use super::Payload;
use crate::{block::Digest, runtime::Runtime, scheme::Scheme};
use commonware_consensus::{
    marshal::Start,
    simplex::types::Finalization,
    types::{Epoch, EpochInfo, Epocher, Height},
};
use commonware_cryptography::{
    Digested,
    certificate::{Provider, Scoped},
};
use commonware_runtime::Error;
use std::sync::Arc;

/// What a term starts on.
pub enum Origin<S: Scheme, B> {
    /// Block 0.
    Genesis(B),
    /// The last block of the term before.
    Boundary {
        /// The block, if it is still kept: it is needed when the term's engine starts for the
        /// first time, and then it is.
        block: Option<B>,
        /// What made it final.
        finalization: Finalization<S, Digest>,
        /// Verifies for the seats that signed it.
        scheme: S,
    },
}

impl<S: Scheme, B: Payload> Origin<S, B> {
    /// Hash of the block that the term starts on.
    pub(super) fn payload(&self) -> Digest {
        match self {
            Self::Genesis(block) => block.digest(),
            Self::Boundary { finalization, .. } => finalization.proposal.payload,
        }
    }

    pub(super) fn start(&self) -> Start<S, Digest, Digested<B>> {
        match self {
            Self::Genesis(block) => {
                Start::Genesis(Digested::precomputed(block.clone(), block.digest()))
            }
            Self::Boundary { finalization, .. } => Start::Floor(finalization.clone()),
        }
    }
}

/// Verifies certificates of one term, and that of the block it starts on.
#[derive(Clone)]
pub(super) struct TermSchemes<S> {
    term: (Epoch, Arc<S>),
    before: Option<Arc<S>>,
}

impl<S: Scheme> TermSchemes<S> {
    pub(super) fn new<B>(term: Epoch, scheme: S, origin: &Origin<S, B>) -> Self {
        Self {
            term: (term, Arc::new(scheme)),
            before: match origin {
                Origin::Genesis(_) => None,
                Origin::Boundary { scheme, .. } => Some(Arc::new(scheme.clone())),
            },
        }
    }
}

impl<S: Scheme> Provider for TermSchemes<S> {
    type Scope = Epoch;
    type Scheme = S;

    fn scoped(&self, epoch: Epoch) -> Option<Scoped<S>> {
        let (term, scheme) = &self.term;
        if epoch == *term {
            return Some(Scoped::scheme(scheme.clone()));
        }
        let before = self.before.as_ref()?;
        (Some(epoch) == term.previous()).then(|| Scoped::verifier(before.clone()))
    }
}

/// Says of every height "this term, and not its last": marshal sees no others.
#[derive(Clone, Copy, Debug)]
pub(super) struct OneTerm(pub(super) Epoch);

impl Epocher for OneTerm {
    fn containing(&self, height: Height) -> Option<EpochInfo> {
        let last = Height::new(u64::MAX);
        Some(EpochInfo::new(self.0, height, Height::zero(), last))
    }

    fn first(&self, epoch: Epoch) -> Option<Height> {
        (epoch == self.0).then(Height::zero)
    }

    fn last(&self, epoch: Epoch) -> Option<Height> {
        (epoch == self.0).then(|| Height::new(u64::MAX))
    }
}

/// Prefixes of all stores of one term's engine.
pub(super) struct Partitions {
    pub(super) certificates: String,
    pub(super) blocks: String,
    pub(super) marshal: String,
    pub(super) votes: String,
}

impl Partitions {
    pub(super) fn new(prefix: &str, term: Epoch) -> Self {
        Self {
            certificates: format!("{prefix}-certificates-{term}"),
            blocks: format!("{prefix}-blocks-{term}"),
            marshal: format!("{prefix}-marshal-{term}"),
            votes: format!("{prefix}-simplex-{term}"),
        }
    }
}

/// What marshal keeps of each epoch in its cache.
const CACHES: [&str; 5] = [
    "verified",
    "notarized",
    "certified",
    "notarizations",
    "finalizations",
];

/// Deletes all that the engine of `term` wrote. Its term must be over for good: its boundary block
/// final and on disk. What is not there is no fault.
///
/// # Errors
/// If the disk fails.
pub async fn delete<E: Runtime>(context: &E, prefix: &str, term: Epoch) -> Result<(), Error> {
    let partitions = Partitions::new(prefix, term);
    let archive = |of: &str| ["metadata", "keys", "values"].map(|part| format!("{of}-{part}"));
    let mut all = Vec::new();
    all.extend(archive(&partitions.certificates));
    all.extend(archive(&partitions.blocks));
    // Marshal's own names; it keeps the term's, and of the term before the block it starts on.
    let marshal = &partitions.marshal;
    all.push(format!("{marshal}-application-metadata"));
    all.push(format!("{marshal}-cache-metadata"));
    for epoch in [Some(term), term.previous()].into_iter().flatten() {
        for cache in CACHES {
            let of = format!("{marshal}-cache-cache-{epoch}-{cache}");
            all.extend(["metadata", "key", "value"].map(|part| format!("{of}-{part}")));
        }
    }
    // The votes go last: while anything is left, so are they.
    all.push(partitions.votes);
    for partition in all {
        match context.remove(&partition, None).await {
            Ok(()) | Err(Error::PartitionMissing(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
