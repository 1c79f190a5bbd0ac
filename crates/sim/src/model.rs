//! Derivation and execution again, from the words of R11 and R12. It walks parents, keeps nothing
//! between lane blocks but what it counts, and knows nothing of the code that it is compared with.

use cortado_types::{B256, L1Ref, limits::REF_MAX};
use std::collections::{BTreeMap, BTreeSet};

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    In,
    ContextOffFork,
    OffFork,
    NotAncestor,
    TooOld,
    Several,
}

/// A transaction as the executor reads it; `None` in [`Lane`] if the bytes are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    pub(crate) from: usize,
    pub(crate) nonce: u64,
    pub(crate) to: usize,
    pub(crate) amount: u64,
    pub(crate) references: Vec<B256>,
}

/// A call queued on L1: credit an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) id: u64,
    pub(crate) to: usize,
    pub(crate) amount: u64,
    pub(crate) gas: u64,
}

/// A finalised lane block.
pub(crate) struct Lane {
    pub(crate) context: L1Ref,
    pub(crate) transactions: Vec<Option<Transfer>>,
}

/// What a lane block becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) yields: bool,
    pub(crate) context: L1Ref,
    pub(crate) imports: Vec<u64>,
    /// By position.
    pub(crate) fates: BTreeMap<usize, Fate>,
    /// Positions of those that were valid.
    pub(crate) executed: Vec<usize>,
    /// Nonce and balance of each account afterwards.
    pub(crate) accounts: Vec<(u64, u64)>,
}

/// L1 as the chain has shown it.
pub(crate) trait L1Facts {
    /// Number and parent of a block that was shown.
    fn block(&self, hash: &B256) -> Option<(u64, B256)>;
    /// What it queued for the namespace, in order.
    fn calls(&self, hash: &B256) -> Vec<Call>;
}

/// All lane blocks on the fork that ends in `tip`, of a chain that begins at `anchor`.
pub(crate) fn derive(
    l1: &impl L1Facts,
    anchor: L1Ref,
    tip: L1Ref,
    import_gas: u64,
    accounts: &[(u64, u64)],
    lanes: &[Lane],
) -> Vec<Told> {
    // The fork down to the anchor; what is below is on every fork.
    let mut fork = vec![tip];
    while fork[fork.len() - 1] != anchor {
        fork.push(parent(l1, &fork[fork.len() - 1]).expect("the tip descends from the anchor"));
    }
    fork.reverse();
    let on_fork: BTreeSet<B256> = fork.iter().map(|block| block.hash).collect();
    let is_on_fork = |block: &L1Ref| block.number < anchor.number || on_fork.contains(&block.hash);
    let calls: Vec<(L1Ref, Call)> = fork[1..]
        .iter()
        .flat_map(|block| l1.calls(&block.hash).into_iter().map(|call| (*block, call)))
        .collect();
    let (mut read, mut context, mut imported) = (anchor.number, anchor, 0);
    let mut accounts = accounts.to_vec();
    let mut told = Vec::new();
    for lane in lanes {
        let mut reached = lane.context;
        while !is_on_fork(&reached) {
            reached = parent(l1, &reached).expect("the anchor is on every fork");
        }
        read = read.max(reached.number);
        let waiting = calls[imported..]
            .iter()
            .take_while(|(block, _)| block.number <= read)
            .count();
        let mut gas = 0;
        let mut now = Vec::new();
        for (_, call) in &calls[imported..imported + waiting] {
            gas += call.gas;
            if gas > import_gas && !now.is_empty() {
                break;
            }
            now.push(*call);
        }
        imported += now.len();
        if now.len() == waiting {
            context = fork[(read - anchor.number) as usize];
        }
        for call in &now {
            accounts[call.to].1 += call.amount;
        }
        let (mut fates, mut executed) = (BTreeMap::new(), Vec::new());
        for (index, transaction) in lane.transactions.iter().enumerate() {
            let references = transaction.as_ref().map_or(&[][..], |t| &t.references);
            let fate = fate(l1, &is_on_fork, &lane.context, references);
            fates.insert(index, fate);
            let Some(transfer) = transaction else {
                continue;
            };
            let (nonce, balance) = accounts[transfer.from];
            if fate == Fate::In && nonce == transfer.nonce && balance >= transfer.amount {
                accounts[transfer.from] = (nonce + 1, balance - transfer.amount);
                accounts[transfer.to].1 += transfer.amount;
                executed.push(index);
            }
        }
        told.push(Told {
            yields: !now.is_empty() || fates.values().any(|fate| *fate == Fate::In),
            context,
            imports: now.iter().map(|call| call.id).collect(),
            fates,
            executed,
            accounts: accounts.clone(),
        });
    }
    told
}

fn parent(l1: &impl L1Facts, block: &L1Ref) -> Option<L1Ref> {
    let (number, hash) = l1.block(&block.hash)?;
    let number = number.checked_sub(1)?;
    l1.block(&hash).map(|_| L1Ref { number, hash })
}

fn fate(
    l1: &impl L1Facts,
    is_on_fork: &impl Fn(&L1Ref) -> bool,
    context: &L1Ref,
    references: &[B256],
) -> Fate {
    let hash = match references {
        [] if is_on_fork(context) => return Fate::In,
        [] => return Fate::ContextOffFork,
        [hash] => *hash,
        _ => return Fate::Several,
    };
    let Some((number, _)) = l1.block(&hash) else {
        return Fate::NotAncestor;
    };
    if context.number > number + REF_MAX {
        return Fate::TooOld;
    }
    let mut at = *context;
    while at.number > number {
        at = parent(l1, &at).expect("above a block that was shown");
    }
    if at.hash != hash {
        Fate::NotAncestor
    } else if is_on_fork(&at) {
        Fate::In
    } else {
        Fate::OffFork
    }
}
