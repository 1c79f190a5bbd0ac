//! Which sync committees are known, and what an update proves under them.

use super::committee::{Committee, check_seats};
use super::{
    BeaconSpec, Fork, LightClientBootstrap, LightClientHeader, LightClientOptimisticUpdate,
    LightClientUpdate, Member, SyncAggregate, SyncError,
};
use cortado_types::{B256, L1Ref};
use std::sync::Arc;

/// Periods in a row whose committees are kept: the sitting one, the next, and the one before,
/// whose blocks may still be on forks above `L1fin`.
pub const PERIODS_KEPT: usize = 3;

/// The sync committees of a few periods in a row. The first is trusted; each further one follows
/// from the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncStore {
    spec: BeaconSpec,
    oldest: u64,
    committees: Vec<Arc<Committee>>,
}

/// What an update proved. There is no way to one but [`SyncStore::verify`] and
/// [`SyncStore::verify_optimistic`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub(super) block: L1Ref,
    pub(super) slot: u64,
    pub(super) participants: usize,
    pub(super) next: Option<(u64, Arc<Committee>)>,
}

impl Verified {
    fn new(
        attested: &LightClientHeader,
        aggregate: &SyncAggregate,
        next: Option<(u64, Arc<Committee>)>,
    ) -> Self {
        Self {
            block: attested.execution.to_ref(),
            slot: attested.beacon.slot,
            participants: aggregate.participants(),
            next,
        }
    }

    /// The L1 block that was signed as head.
    pub fn block(&self) -> L1Ref {
        self.block
    }

    /// Its beacon slot.
    pub fn slot(&self) -> u64 {
        self.slot
    }

    /// How many seats of the sync committee signed it.
    pub fn participants(&self) -> usize {
        self.participants
    }

    /// The period whose committee it brings, if [`SyncStore::advance`] can use it.
    pub fn brings_committee_of(&self) -> Option<u64> {
        self.next.as_ref().map(|(period, _)| *period)
    }
}

impl SyncStore {
    /// Starts from the block with the root `trusted`.
    ///
    /// # Errors
    /// [`SyncError`] if the bootstrap is of another block or does not show its committee.
    pub fn bootstrap(
        spec: BeaconSpec,
        trusted: B256,
        bootstrap: &LightClientBootstrap,
    ) -> Result<Self, SyncError> {
        let beacon = &bootstrap.header.beacon;
        let got = beacon.root();
        if got != trusted {
            return Err(SyncError::Untrusted { got, want: trusted });
        }
        bootstrap.header.check(&spec)?;
        let committee = &bootstrap.current_sync_committee;
        check_seats(committee, spec.committee_size())?;
        let fork = spec.fork_at(spec.epoch_of(beacon.slot)).name;
        Member::CurrentSyncCommittee.check(
            fork,
            committee.root(),
            &bootstrap.current_sync_committee_branch,
            beacon.state_root,
        )?;
        Ok(Self {
            oldest: spec.period_of(beacon.slot),
            committees: vec![Arc::new(Committee::new(committee, spec.committee_size())?)],
            spec,
        })
    }

    /// The beacon chain's constants.
    pub fn spec(&self) -> &BeaconSpec {
        &self.spec
    }

    /// First and last period whose committee is known.
    pub fn periods(&self) -> (u64, u64) {
        (self.oldest, self.oldest + self.committees.len() as u64 - 1)
    }

    fn committee(&self, period: u64) -> Option<&Arc<Committee>> {
        let index = period.checked_sub(self.oldest)?;
        self.committees.get(usize::try_from(index).ok()?)
    }

    /// Checks an update that shows a head only. `latest` is the latest beacon slot in which it may
    /// have been signed.
    ///
    /// # Errors
    /// [`SyncError`]; [`SyncError::is_permanent`] tells "not yet" from "invalid".
    pub fn verify_optimistic(
        &self,
        update: &LightClientOptimisticUpdate,
        latest: u64,
    ) -> Result<Verified, SyncError> {
        let attested = &update.attested_header;
        let aggregate = &update.sync_aggregate;
        self.check_head(attested, aggregate, update.signature_slot, latest)?;
        self.check_signature(attested, aggregate, update.signature_slot)?;
        Ok(Verified::new(attested, aggregate, None))
    }

    /// Checks an update. `latest` is the latest beacon slot in which it may have been signed.
    ///
    /// # Errors
    /// [`SyncError`]; [`SyncError::is_permanent`] tells "not yet" from "invalid".
    pub fn verify(&self, update: &LightClientUpdate, latest: u64) -> Result<Verified, SyncError> {
        let attested = &update.attested_header;
        let aggregate = &update.sync_aggregate;
        let fork = self.check_head(attested, aggregate, update.signature_slot, latest)?;
        let finalized = self.check_finalized(update, fork)?;
        let next = self.check_next(update, fork)?;
        self.check_signature(attested, aggregate, update.signature_slot)?;

        // A committee follows if two thirds signed it and finality in its own period backs it.
        let period = self.spec.period_of(attested.beacon.slot);
        let follows = next
            && period == self.periods().1
            && finalized.is_some_and(|slot| self.spec.period_of(slot) == period)
            && 3 * aggregate.participants() >= 2 * self.spec.committee_size();
        let next = if follows {
            let seats = self.spec.committee_size();
            let committee = Committee::new(&update.next_sync_committee, seats)?;
            Some((period + 1, Arc::new(committee)))
        } else {
            None
        };
        Ok(Verified::new(attested, aggregate, next))
    }

    /// Takes up the committee that an update brought, if it is the next one. Whether it was.
    pub fn advance(&mut self, verified: &Verified) -> bool {
        match &verified.next {
            Some((period, committee)) if *period == self.periods().1 + 1 => {
                self.committees.push(Arc::clone(committee));
                if self.committees.len() > PERIODS_KEPT {
                    self.committees.remove(0);
                    self.oldest += 1;
                }
                true
            }
            _ => false,
        }
    }

    /// All that is cheap: lengths, participants, slots, period, and the execution header's branch.
    fn check_head(
        &self,
        attested: &LightClientHeader,
        aggregate: &SyncAggregate,
        signature: u64,
        latest: u64,
    ) -> Result<Fork, SyncError> {
        let want = self.spec.committee_size() / 8;
        let got = aggregate.sync_committee_bits.len();
        if got != want {
            let what = "sync-committee bits";
            return Err(SyncError::Length { what, got, want });
        }
        let participants = aggregate.participants();
        let min = self.spec.participants_min();
        if participants < min {
            return Err(SyncError::TooFew { participants, min });
        }
        if signature > latest {
            return Err(SyncError::Future {
                slot: signature,
                latest,
            });
        }
        let slot = attested.beacon.slot;
        if signature <= slot {
            return Err(SyncError::SignedEarly {
                signature,
                attested: slot,
            });
        }
        self.signers(signature)?;
        attested.check(&self.spec)?;
        Ok(self.spec.fork_at(self.spec.epoch_of(slot)))
    }

    /// The committee that signs in a slot.
    fn signers(&self, slot: u64) -> Result<&Arc<Committee>, SyncError> {
        let period = self.spec.period_of(slot);
        let (oldest, newest) = self.periods();
        self.committee(period).ok_or(SyncError::UnknownPeriod {
            period,
            oldest,
            newest,
        })
    }

    fn check_signature(
        &self,
        attested: &LightClientHeader,
        aggregate: &SyncAggregate,
        slot: u64,
    ) -> Result<(), SyncError> {
        let message = self.spec.signing_root(attested.beacon.root(), slot);
        self.signers(slot)?.verify(message, aggregate)
    }

    /// Slot of the finalised header, if the update shows one.
    fn check_finalized(
        &self,
        update: &LightClientUpdate,
        fork: Fork,
    ) -> Result<Option<u64>, SyncError> {
        let finalized = &update.finalized_header;
        let branch = &update.finality_branch;
        let is_none = finalized.is_none();
        if is_zero(branch) {
            let what = "finalised header";
            return if is_none {
                Ok(None)
            } else {
                Err(SyncError::Unproved { what })
            };
        }
        let attested = &update.attested_header.beacon;
        let slot = finalized.beacon.slot;
        if slot > attested.slot {
            return Err(SyncError::FinalizedLate {
                finalized: slot,
                attested: attested.slot,
            });
        }
        // Until something is finalised after genesis, the state names a block of all zeros.
        let root = if is_none {
            B256::ZERO
        } else {
            finalized.check(&self.spec)?;
            finalized.beacon.root()
        };
        Member::FinalizedRoot.check(fork.name, root, branch, attested.state_root)?;
        Ok(Some(slot))
    }

    /// Whether the update shows the committee after its period.
    fn check_next(&self, update: &LightClientUpdate, fork: Fork) -> Result<bool, SyncError> {
        let committee = &update.next_sync_committee;
        if is_zero(&update.next_sync_committee_branch) {
            let what = "next sync committee";
            return if committee.is_none() {
                Ok(false)
            } else {
                Err(SyncError::Unproved { what })
            };
        }
        check_seats(committee, self.spec.committee_size())?;
        let attested = &update.attested_header.beacon;
        let root = committee.root();
        let branch = &update.next_sync_committee_branch;
        Member::NextSyncCommittee.check(fork.name, root, branch, attested.state_root)?;
        let period = self.spec.period_of(attested.slot) + 1;
        match self.committee(period) {
            Some(known) if known.root() != root => Err(SyncError::OtherCommittee { period }),
            _ => Ok(true),
        }
    }
}

fn is_zero(branch: &[B256]) -> bool {
    branch.iter().all(B256::is_zero)
}
