//! Constants of a beacon chain: preset, forks, and where things stand in its Merkle trees.

use super::ssz::{hash_pair, root_of_branch};
use super::{SyncError, ssz::root_of_bytes};
use cortado_types::B256;
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// Fewest participants an update must have, whatever a chain asks for
/// (`MIN_SYNC_COMMITTEE_PARTICIPANTS`): the sum of no keys verifies with infinity.
pub const PARTICIPANTS_MIN: usize = 1;

/// Largest sync committee: of the mainnet preset.
const COMMITTEE_SIZE_MAX: usize = 512;

/// `DOMAIN_SYNC_COMMITTEE`.
const DOMAIN_SYNC_COMMITTEE: [u8; 4] = [7, 0, 0, 0];

/// The forks of the beacon chain that light-client data knows, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForkName {
    /// No sync committees yet.
    Phase0,
    /// Sync committees.
    Altair,
    /// The merge.
    Bellatrix,
    /// Withdrawals; light-client headers show the execution header.
    Capella,
    /// Blobs.
    Deneb,
    /// A larger state, so its Merkle indices move.
    Electra,
    /// Light-client data as in Electra.
    Fulu,
}

impl fmt::Display for ForkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", format!("{self:?}").to_lowercase())
    }
}

impl ForkName {
    /// Whether light-client headers show an execution block.
    pub const fn has_execution(self) -> bool {
        self as u8 >= Self::Capella as u8
    }

    /// Whether execution headers have blob fields.
    pub const fn has_blobs(self) -> bool {
        self as u8 >= Self::Deneb as u8
    }

    /// Whether the state has more than 32 fields.
    const fn has_large_state(self) -> bool {
        self as u8 >= Self::Electra as u8
    }
}

/// When a fork starts and what signatures name it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fork {
    /// Which.
    pub name: ForkName,
    /// Its first epoch.
    pub epoch: u64,
    /// Its version.
    pub version: [u8; 4],
}

/// Sizes that a beacon chain is compiled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// Seats of a sync committee.
    pub committee_size: usize,
    /// Slots of an epoch.
    pub slots_per_epoch: u64,
    /// Epochs for which a sync committee sits.
    pub epochs_per_period: u64,
}

impl Preset {
    /// Of Ethereum and its test networks.
    pub const MAINNET: Self = Self {
        committee_size: COMMITTEE_SIZE_MAX,
        slots_per_epoch: 32,
        epochs_per_period: 256,
    };
    /// Of small local networks.
    pub const MINIMAL: Self = Self {
        committee_size: 32,
        slots_per_epoch: 8,
        epochs_per_period: 8,
    };
}

/// Why constants describe no beacon chain.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SpecError {
    /// A size that no preset has.
    #[error("{what} is {got}; it must be {want}")]
    Size {
        /// The constant.
        what: &'static str,
        /// Its value.
        got: u64,
        /// What it may be.
        want: &'static str,
    },
    /// The forks do not start at epoch 0 or are out of order.
    #[error("fork {index} is out of order: the first starts at epoch 0, and none before the last")]
    Forks {
        /// Its position in the schedule.
        index: usize,
    },
}

/// The beacon chain of one L1.
///
/// - Forks are in their order, by name and epoch; the first starts at epoch 0.
/// - No size is zero, and slots of a period fit `u64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeaconSpec {
    preset: Preset,
    genesis_validators_root: B256,
    forks: Vec<Fork>,
    participants_min: usize,
}

impl BeaconSpec {
    /// A chain with these constants.
    ///
    /// # Errors
    /// [`SpecError`] if they describe none.
    pub fn new(
        preset: Preset,
        genesis_validators_root: B256,
        forks: Vec<Fork>,
    ) -> Result<Self, SpecError> {
        let size = |what, got, want| Err(SpecError::Size { what, got, want });
        let seats = preset.committee_size;
        if seats == 0 || !seats.is_multiple_of(8) || seats > COMMITTEE_SIZE_MAX {
            let want = "a multiple of 8, at most 512";
            return size("committee size", seats as u64, want);
        }
        for (what, got) in [
            ("slots per epoch", preset.slots_per_epoch),
            ("epochs per period", preset.epochs_per_period),
        ] {
            if got == 0 || got > u64::from(u32::MAX) {
                return size(what, got, "positive and fit 32 bits");
            }
        }
        let starts = forks.first().is_some_and(|fork| fork.epoch == 0);
        let disordered = forks
            .windows(2)
            .position(|pair| pair[0].name >= pair[1].name || pair[0].epoch > pair[1].epoch);
        match disordered {
            None if starts => Ok(Self {
                preset,
                genesis_validators_root,
                forks,
                participants_min: PARTICIPANTS_MIN,
            }),
            at => Err(SpecError::Forks {
                index: at.map_or(0, |before| before + 1),
            }),
        }
    }

    /// Asks for more participants than [`PARTICIPANTS_MIN`].
    ///
    /// # Errors
    /// If it asks for fewer, or for more than there are seats.
    pub fn with_participants_min(mut self, participants: usize) -> Result<Self, SpecError> {
        if !(PARTICIPANTS_MIN..=self.preset.committee_size).contains(&participants) {
            return Err(SpecError::Size {
                what: "fewest participants",
                got: participants as u64,
                want: "at least 1 and at most the committee size",
            });
        }
        self.participants_min = participants;
        Ok(self)
    }

    /// Ethereum.
    pub fn mainnet() -> Self {
        let root = alloy_primitives::b256!(
            "4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95"
        );
        let epochs = [0, 74_240, 144_896, 194_048, 269_568, 364_032, 411_392];
        Self::public(
            root,
            epochs,
            [0, 1, 2, 3, 4, 5, 6].map(|fork| [fork, 0, 0, 0]),
        )
    }

    /// The test network Sepolia.
    pub fn sepolia() -> Self {
        let root = alloy_primitives::b256!(
            "d8ea171f3c94aea21ebc42a1ed61052acf3f9209c00e4efbaaddac09ed9b8078"
        );
        let epochs = [0, 50, 100, 56_832, 132_608, 222_464, 272_640];
        let versions = [0x69, 0x70, 0x71, 0x72, 0x73, 0x74, 0x75];
        Self::public(root, epochs, versions.map(|fork| [0x90, 0, 0, fork]))
    }

    fn public(root: B256, epochs: [u64; 7], versions: [[u8; 4]; 7]) -> Self {
        use ForkName::{Altair, Bellatrix, Capella, Deneb, Electra, Fulu, Phase0};
        let names = [Phase0, Altair, Bellatrix, Capella, Deneb, Electra, Fulu];
        let fork = |((name, epoch), version)| Fork {
            name,
            epoch,
            version,
        };
        let forks = names.into_iter().zip(epochs).zip(versions).map(fork);
        Self::new(Preset::MAINNET, root, forks.collect()).expect("a public network")
    }

    /// Its preset.
    pub fn preset(&self) -> Preset {
        self.preset
    }

    /// Seats of a sync committee.
    pub fn committee_size(&self) -> usize {
        self.preset.committee_size
    }

    /// Fewest participants an update must have.
    pub fn participants_min(&self) -> usize {
        self.participants_min
    }

    /// The epoch of a slot.
    pub fn epoch_of(&self, slot: u64) -> u64 {
        slot / self.preset.slots_per_epoch
    }

    /// The sync-committee period of a slot.
    pub fn period_of(&self, slot: u64) -> u64 {
        self.epoch_of(slot) / self.preset.epochs_per_period
    }

    /// The fork that an epoch belongs to.
    pub fn fork_at(&self, epoch: u64) -> Fork {
        let started = |fork: &&Fork| fork.epoch <= epoch;
        *self
            .forks
            .iter()
            .rfind(started)
            .expect("the first starts at 0")
    }

    /// What the sync committee signs in `signature_slot` for the block with this root: of the fork
    /// of the slot before, in which the block was head.
    pub(crate) fn signing_root(&self, block: B256, signature_slot: u64) -> B256 {
        let epoch = self.epoch_of(signature_slot.saturating_sub(1));
        let version = self.fork_at(epoch).version;
        hash_pair(block, domain(version, self.genesis_validators_root))
    }
}

/// Domain of sync-committee signatures.
fn domain(version: [u8; 4], genesis_validators_root: B256) -> B256 {
    let fork_data = hash_pair(root_of_bytes(&version), genesis_validators_root);
    let mut domain = B256::ZERO;
    domain[..4].copy_from_slice(&DOMAIN_SYNC_COMMITTEE);
    domain[4..].copy_from_slice(&fork_data[..28]);
    domain
}

/// What is proved by a Merkle branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    /// The execution payload (header) in a block's body.
    ExecutionPayload,
    /// The sitting sync committee in a state.
    CurrentSyncCommittee,
    /// The next one.
    NextSyncCommittee,
    /// Root of the finalised block in a state.
    FinalizedRoot,
}

impl Member {
    /// Its generalised index at `fork`.
    pub(crate) const fn gindex(self, fork: ForkName) -> u64 {
        let large = fork.has_large_state();
        match self {
            Self::ExecutionPayload => 25,
            Self::CurrentSyncCommittee if large => 86,
            Self::CurrentSyncCommittee => 54,
            Self::NextSyncCommittee if large => 87,
            Self::NextSyncCommittee => 55,
            Self::FinalizedRoot if large => 169,
            Self::FinalizedRoot => 105,
        }
    }

    /// Length of its branch.
    pub(crate) const fn depth(self, fork: ForkName) -> usize {
        self.gindex(fork).ilog2() as usize
    }

    const fn name(self) -> &'static str {
        match self {
            Self::ExecutionPayload => "execution header",
            Self::CurrentSyncCommittee => "current sync committee",
            Self::NextSyncCommittee => "next sync committee",
            Self::FinalizedRoot => "finalised header",
        }
    }

    /// Checks that `leaf` stands here under `root`.
    pub(crate) fn check(
        self,
        fork: ForkName,
        leaf: B256,
        branch: &[B256],
        root: B256,
    ) -> Result<(), SyncError> {
        let (what, gindex) = (self.name(), self.gindex(fork));
        match root_of_branch(leaf, branch, gindex) {
            None => Err(SyncError::BranchLength {
                what,
                got: branch.len(),
                want: self.depth(fork),
            }),
            Some(got) if got != root => Err(SyncError::Branch { what, gindex, root }),
            Some(_) => Ok(()),
        }
    }
}
