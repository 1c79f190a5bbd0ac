//! Sync committees and the updates they sign, as SSZ and as the beacon API's JSON.

use super::ssz::{
    OFFSET, Reader, SszError, hash_pair, merkleize, put_offset, put_roots, root_of_bytes,
};
use super::{ForkName, KeyBytes, LightClientHeader, Member, SignatureBytes, json::quoted};
use cortado_types::{B256, Bytes};
use serde::{Deserialize, Serialize};

/// The validators that sign heads for one period.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncCommittee {
    /// Key of each seat; one validator may sit on several.
    pub pubkeys: Vec<KeyBytes>,
    /// Sum of the keys.
    pub aggregate_pubkey: KeyBytes,
}

impl SyncCommittee {
    const fn size(seats: usize) -> usize {
        48 * (seats + 1)
    }

    /// Its hash tree root.
    pub fn root(&self) -> B256 {
        let keys = self.pubkeys.iter().map(|key| root_of_bytes(key.as_slice()));
        hash_pair(
            merkleize(keys.collect()),
            root_of_bytes(self.aggregate_pubkey.as_slice()),
        )
    }

    /// Whether it stands for "none": all bytes zero.
    pub(crate) fn is_none(&self) -> bool {
        let zero = KeyBytes::ZERO;
        self.aggregate_pubkey == zero && self.pubkeys.iter().all(|key| *key == zero)
    }

    fn read(reader: &mut Reader<'_>, seats: usize) -> Result<Self, SszError> {
        let key = |reader: &mut Reader<'_>| Ok(KeyBytes::from(reader.array::<48>()?));
        Ok(Self {
            pubkeys: (0..seats)
                .map(|_| key(reader))
                .collect::<Result<_, SszError>>()?,
            aggregate_pubkey: key(reader)?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        for key in self.pubkeys.iter().chain([&self.aggregate_pubkey]) {
            out.extend_from_slice(key.as_slice());
        }
    }
}

/// Who of the sync committee signed, and the sum of their signatures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncAggregate {
    /// One bit a seat, least significant bit first.
    pub sync_committee_bits: Bytes,
    /// The sum.
    pub sync_committee_signature: SignatureBytes,
}

impl SyncAggregate {
    const fn size(seats: usize) -> usize {
        seats / 8 + 96
    }

    /// How many signed.
    pub fn participants(&self) -> usize {
        let ones = |byte: &u8| byte.count_ones() as usize;
        self.sync_committee_bits.iter().map(ones).sum()
    }

    fn read(reader: &mut Reader<'_>, seats: usize) -> Result<Self, SszError> {
        Ok(Self {
            sync_committee_bits: reader.take(seats / 8)?.to_vec().into(),
            sync_committee_signature: reader.array::<96>()?.into(),
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.sync_committee_bits);
        out.extend_from_slice(self.sync_committee_signature.as_slice());
    }
}

/// What a light client starts from: a trusted header's sync committee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LightClientBootstrap {
    /// The trusted block.
    pub header: LightClientHeader,
    /// The committee of its period.
    pub current_sync_committee: SyncCommittee,
    /// From the committee's root to the state's.
    pub current_sync_committee_branch: Vec<B256>,
}

impl LightClientBootstrap {
    const fn fixed_size(fork: ForkName, seats: usize) -> usize {
        OFFSET + SyncCommittee::size(seats) + 32 * Member::CurrentSyncCommittee.depth(fork)
    }

    /// Reads its SSZ at `fork`, with committees of so many `seats`.
    ///
    /// # Errors
    /// [`SszError`] if it is not one bootstrap.
    pub fn from_ssz(bytes: &[u8], fork: ForkName, seats: usize) -> Result<Self, SszError> {
        let mut reader = Reader::new("bootstrap", bytes);
        let header = reader.offset()?;
        let current_sync_committee = SyncCommittee::read(&mut reader, seats)?;
        let depth = Member::CurrentSyncCommittee.depth(fork);
        let current_sync_committee_branch = reader.roots(depth)?;
        let [header] = reader.parts([("header", header)])?;
        Ok(Self {
            header: LightClientHeader::from_ssz(header, fork)?,
            current_sync_committee,
            current_sync_committee_branch,
        })
    }

    /// Its SSZ at `fork`.
    pub fn to_ssz(&self, fork: ForkName) -> Vec<u8> {
        let mut out = Vec::new();
        let seats = self.current_sync_committee.pubkeys.len();
        put_offset(&mut out, Self::fixed_size(fork, seats));
        self.current_sync_committee.write(&mut out);
        put_roots(&mut out, &self.current_sync_committee_branch);
        out.extend(self.header.to_ssz(fork));
        out
    }
}

/// A head that the sync committee signed: what a beacon node has for every slot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LightClientOptimisticUpdate {
    /// The block that was signed.
    pub attested_header: LightClientHeader,
    /// Who signed.
    pub sync_aggregate: SyncAggregate,
    /// Beacon slot in which they did.
    #[serde(with = "quoted")]
    pub signature_slot: u64,
}

impl LightClientOptimisticUpdate {
    /// Reads its SSZ at `fork`, with committees of so many `seats`.
    ///
    /// # Errors
    /// [`SszError`] if it is not one update.
    pub fn from_ssz(bytes: &[u8], fork: ForkName, seats: usize) -> Result<Self, SszError> {
        let mut reader = Reader::new("optimistic update", bytes);
        let attested = reader.offset()?;
        let sync_aggregate = SyncAggregate::read(&mut reader, seats)?;
        let signature_slot = reader.u64()?;
        let [attested] = reader.parts([("attested header", attested)])?;
        Ok(Self {
            attested_header: LightClientHeader::from_ssz(attested, fork)?,
            sync_aggregate,
            signature_slot,
        })
    }

    /// Its SSZ at `fork`.
    pub fn to_ssz(&self, fork: ForkName) -> Vec<u8> {
        let mut out = Vec::new();
        let seats = 8 * self.sync_aggregate.sync_committee_bits.len();
        put_offset(&mut out, OFFSET + SyncAggregate::size(seats) + 8);
        self.sync_aggregate.write(&mut out);
        out.extend_from_slice(&self.signature_slot.to_le_bytes());
        out.extend(self.attested_header.to_ssz(fork));
        out
    }
}

/// A head that the sync committee signed, with the committee after it and the finalised header of
/// its state. A part that is missing is all zero, its branch too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LightClientUpdate {
    /// The block that was signed.
    pub attested_header: LightClientHeader,
    /// The committee of the period after the block's.
    pub next_sync_committee: SyncCommittee,
    /// From the committee's root to the state's.
    pub next_sync_committee_branch: Vec<B256>,
    /// The block that is finalised in the state.
    pub finalized_header: LightClientHeader,
    /// From the finalised block's root to the state's.
    pub finality_branch: Vec<B256>,
    /// Who signed.
    pub sync_aggregate: SyncAggregate,
    /// Beacon slot in which they did.
    #[serde(with = "quoted")]
    pub signature_slot: u64,
}

impl LightClientUpdate {
    const fn fixed_size(fork: ForkName, seats: usize) -> usize {
        2 * OFFSET
            + SyncCommittee::size(seats)
            + 32 * Member::NextSyncCommittee.depth(fork)
            + 32 * Member::FinalizedRoot.depth(fork)
            + SyncAggregate::size(seats)
            + 8
    }

    /// The head alone.
    pub fn to_optimistic(&self) -> LightClientOptimisticUpdate {
        LightClientOptimisticUpdate {
            attested_header: self.attested_header.clone(),
            sync_aggregate: self.sync_aggregate.clone(),
            signature_slot: self.signature_slot,
        }
    }

    /// Reads its SSZ at `fork`, with committees of so many `seats`.
    ///
    /// # Errors
    /// [`SszError`] if it is not one update.
    pub fn from_ssz(bytes: &[u8], fork: ForkName, seats: usize) -> Result<Self, SszError> {
        let mut reader = Reader::new("update", bytes);
        let attested = reader.offset()?;
        let next_sync_committee = SyncCommittee::read(&mut reader, seats)?;
        let next_sync_committee_branch = reader.roots(Member::NextSyncCommittee.depth(fork))?;
        let finalized = reader.offset()?;
        let finality_branch = reader.roots(Member::FinalizedRoot.depth(fork))?;
        let sync_aggregate = SyncAggregate::read(&mut reader, seats)?;
        let signature_slot = reader.u64()?;
        let [attested, finalized] = reader.parts([
            ("attested header", attested),
            ("finalised header", finalized),
        ])?;
        Ok(Self {
            attested_header: LightClientHeader::from_ssz(attested, fork)?,
            next_sync_committee,
            next_sync_committee_branch,
            finalized_header: LightClientHeader::from_ssz(finalized, fork)?,
            finality_branch,
            sync_aggregate,
            signature_slot,
        })
    }

    /// Its SSZ at `fork`.
    pub fn to_ssz(&self, fork: ForkName) -> Vec<u8> {
        let mut out = Vec::new();
        let attested = self.attested_header.to_ssz(fork);
        let fixed = Self::fixed_size(fork, self.next_sync_committee.pubkeys.len());
        put_offset(&mut out, fixed);
        self.next_sync_committee.write(&mut out);
        put_roots(&mut out, &self.next_sync_committee_branch);
        put_offset(&mut out, fixed + attested.len());
        put_roots(&mut out, &self.finality_branch);
        self.sync_aggregate.write(&mut out);
        out.extend_from_slice(&self.signature_slot.to_le_bytes());
        out.extend(attested);
        out.extend(self.finalized_header.to_ssz(fork));
        out
    }
}
