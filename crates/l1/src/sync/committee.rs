//! Keys of a sync committee, checked once, and the sums of its signatures.

use super::{DST, SyncAggregate, SyncCommittee, SyncError};
use blst::{
    BLST_ERROR,
    min_pk::{AggregatePublicKey, PublicKey, Signature},
};
use cortado_types::B256;
use std::fmt;

/// A sync committee whose keys are all of the group and none infinity.
#[derive(Clone)]
pub(crate) struct Committee {
    root: B256,
    keys: Vec<PublicKey>,
}

impl fmt::Debug for Committee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Committee({} seats, {})", self.keys.len(), self.root)
    }
}

impl PartialEq for Committee {
    fn eq(&self, other: &Self) -> bool {
        self.root == other.root
    }
}
impl Eq for Committee {}

impl Committee {
    /// Checks the length and every key.
    pub(crate) fn new(committee: &SyncCommittee, seats: usize) -> Result<Self, SyncError> {
        check_seats(committee, seats)?;
        let mut keys = Vec::with_capacity(seats);
        for (seat, key) in committee.pubkeys.iter().enumerate() {
            let point =
                PublicKey::key_validate(key.as_slice()).map_err(|error| SyncError::Key {
                    seat,
                    key: *key,
                    reason: format!("{error:?}"),
                })?;
            keys.push(point);
        }
        Ok(Self {
            root: committee.root(),
            keys,
        })
    }

    /// Hash tree root of the container.
    pub(crate) fn root(&self) -> B256 {
        self.root
    }

    /// Checks that those named by the bits signed `message`; the bits are one a seat, and some are
    /// set.
    pub(crate) fn verify(&self, message: B256, aggregate: &SyncAggregate) -> Result<(), SyncError> {
        let signature = aggregate.sync_committee_signature;
        // With the check for infinity, which is the sum of none.
        let point = Signature::sig_validate(signature.as_slice(), true).map_err(|error| {
            SyncError::Signature {
                signature,
                reason: format!("{error:?}"),
            }
        })?;
        let bit = |seat: usize| aggregate.sync_committee_bits[seat / 8] >> (seat % 8) & 1 == 1;
        let named = self.keys.iter().enumerate().filter(|(seat, _)| bit(*seat));
        let named: Vec<&PublicKey> = named.map(|(_, key)| key).collect();
        let mismatch = || SyncError::Mismatch {
            participants: named.len(),
        };
        let sum = AggregatePublicKey::aggregate(&named, false)
            .map_err(|_| mismatch())?
            .to_public_key();
        match point.verify(false, message.as_slice(), DST, &[], &sum, false) {
            BLST_ERROR::BLST_SUCCESS => Ok(()),
            _ => Err(mismatch()),
        }
    }
}

/// Checks that there are as many keys as seats.
pub(crate) fn check_seats(committee: &SyncCommittee, seats: usize) -> Result<(), SyncError> {
    if committee.pubkeys.len() == seats {
        return Ok(());
    }
    Err(SyncError::Length {
        what: "sync committee",
        got: committee.pubkeys.len(),
        want: seats,
    })
}
