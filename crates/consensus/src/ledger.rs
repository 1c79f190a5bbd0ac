//! States of the chain: the finalised one, and those after blocks that may yet be.

use crate::block::{Block, Digest};
use commonware_cryptography::Digestible as _;
use commonware_utils::channel::watch;
use cortado_chain::State;
use cortado_types::{FinalityCertificate, Height};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// States kept after blocks that are not final. A chain of more unfinalised blocks than this is
/// applied again from the finalised state when it is needed.
const UNFINALISED_STATES_MAX: usize = 128;

/// A final block with what it leads to.
#[derive(Clone, Debug)]
pub struct Finalized {
    /// The block.
    pub block: Block,
    /// The state after it.
    pub state: Arc<State>,
    /// Its own certificate. A block that became final through a child has none of its own.
    pub certificate: Option<FinalityCertificate>,
}

impl Finalized {
    /// The block's number.
    pub fn height(&self) -> Height {
        self.block.inner().header.height
    }
}

/// Shared by the application, which computes states, and the finalizer, which picks one.
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

struct Inner {
    unfinalised: Mutex<BTreeMap<(Height, Digest), Arc<State>>>,
    finalized: watch::Sender<Arc<Finalized>>,
}

impl Ledger {
    /// Begins at a final block: genesis, or the last snapshot.
    pub fn new(at: Finalized) -> Self {
        Self(Arc::new(Inner {
            unfinalised: Mutex::new(BTreeMap::new()),
            finalized: watch::Sender::new(Arc::new(at)),
        }))
    }

    fn unfinalised(&self) -> MutexGuard<'_, BTreeMap<(Height, Digest), Arc<State>>> {
        // Nothing panics while it holds the lock, and each change is one call.
        self.0
            .unfinalised
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest final block and its state.
    pub fn finalized(&self) -> Arc<Finalized> {
        self.0.finalized.borrow().clone()
    }

    /// Follows [`Ledger::finalized`]; intermediate values may be skipped.
    pub fn watch(&self) -> watch::Receiver<Arc<Finalized>> {
        self.0.finalized.subscribe()
    }

    /// The state after `block`, if it is known.
    pub fn after(&self, block: &Block) -> Option<Arc<State>> {
        let finalized = self.finalized();
        if finalized.block == *block {
            return Some(finalized.state.clone());
        }
        self.unfinalised()
            .get(&(block.inner().header.height, block.digest()))
            .cloned()
    }

    /// Remembers the state after a block that may become final.
    pub fn remember(&self, block: &Block, state: Arc<State>) {
        let mut states = self.unfinalised();
        states.insert((block.inner().header.height, block.digest()), state);
        if states.len() > UNFINALISED_STATES_MAX {
            states.pop_first();
        }
    }

    /// Moves the finalised state forward and drops the states it decides about.
    pub fn finalize(&self, finalized: Arc<Finalized>) {
        let height = finalized.height();
        self.unfinalised().retain(|(at, _), _| *at > height);
        self.0.finalized.send_replace(finalized);
    }
}
