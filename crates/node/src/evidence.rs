//! What this node knows against seats, each offence once, and how far it has come on L1 (R2).
//!
//! Written before anything is done with it: what is submitted is known after a crash, and what is
//! told twice is kept once.

use cortado_client::api::{Standing, limits::EVIDENCE_MAX};
use cortado_consensus::{events::Event, node::Node, scheme::BlsScheme};
use cortado_evidence::{EVIDENCE_BYTES_MAX, Evidence};
use cortado_types::{B256, codec, decode_exact};
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};
use std::{path::Path, sync::Arc, time::Duration};
use thiserror::Error;
use tokio::sync::Notify;
use tracing::{error, warn};

/// Evidence by offence: standing, then the RLP.
const EVIDENCE: TableDefinition<[u8; 32], (u8, &[u8])> = TableDefinition::new("evidence");

/// Why the store fails.
#[derive(Debug, Error)]
pub enum EvidenceStoreError {
    /// The database.
    #[error("evidence: {0}")]
    Store(#[from] redb::Error),
    /// An entry is not what was written.
    #[error("evidence {offence} is damaged; delete evidence.redb, what it holds is found again")]
    Damaged {
        /// Its name.
        offence: B256,
    },
}

macro_rules! into_store_error {
    ($($error:ty),*) => { $(impl From<$error> for EvidenceStoreError {
        fn from(error: $error) -> Self { Self::Store(error.into()) }
    })* };
}
into_store_error!(
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError
);

const fn number(standing: Standing) -> u8 {
    match standing {
        Standing::New => 0,
        Standing::Submitted => 1,
        Standing::Settled => 2,
    }
}

/// One offence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub offence: B256,
    /// How far it has come.
    pub standing: Standing,
    /// What proves it.
    pub evidence: Evidence,
}

/// Evidence on disk.
#[derive(Clone, Debug)]
pub struct EvidenceStore {
    database: Arc<Database>,
    news: Arc<Notify>,
}

impl EvidenceStore {
    /// Opens or creates it in `directory`.
    ///
    /// # Errors
    /// If the file is not a database or the system fails.
    pub fn open(directory: &Path) -> Result<Self, EvidenceStoreError> {
        let database = Database::create(directory.join("evidence.redb"))?;
        let write = database.begin_write()?;
        write.open_table(EVIDENCE)?;
        write.commit()?;
        Ok(Self {
            database: Arc::new(database),
            news: Arc::new(Notify::new()),
        })
    }

    /// Keeps a piece of evidence that was verified. `false` if its offence is known, or if there
    /// are [`EVIDENCE_MAX`] already.
    ///
    /// # Errors
    /// If the store fails.
    pub fn record(&self, evidence: &Evidence) -> Result<bool, EvidenceStoreError> {
        let offence = evidence.offence();
        let write = self.database.begin_write()?;
        {
            let mut table = write.open_table(EVIDENCE)?;
            if table.get(offence.0)?.is_some() || table.len()? >= EVIDENCE_MAX as u64 {
                return Ok(false);
            }
            let bytes = codec::encode(evidence);
            table.insert(offence.0, (number(Standing::New), bytes.as_slice()))?;
        }
        write.commit()?;
        self.news.notify_one();
        Ok(true)
    }

    /// Notes how far an offence has come. One that is not known is left alone.
    ///
    /// # Errors
    /// If the store fails.
    pub fn mark(&self, offence: B256, standing: Standing) -> Result<(), EvidenceStoreError> {
        let write = self.database.begin_write()?;
        {
            let mut table = write.open_table(EVIDENCE)?;
            let known = table.get(offence.0)?.map(|entry| entry.value().1.to_vec());
            if let Some(bytes) = known {
                table.insert(offence.0, (number(standing), bytes.as_slice()))?;
            }
        }
        write.commit()?;
        Ok(())
    }

    /// Everything known, by offence.
    ///
    /// # Errors
    /// If the store fails or is damaged.
    pub fn all(&self) -> Result<Vec<Kept>, EvidenceStoreError> {
        let read = self.database.begin_read()?;
        let table = read.open_table(EVIDENCE)?;
        let mut all = Vec::new();
        for entry in table.iter()? {
            let (offence, value) = entry?;
            let offence = B256::from(offence.value());
            let damaged = || EvidenceStoreError::Damaged { offence };
            let (standing, bytes) = value.value();
            let standing = match standing {
                0 => Standing::New,
                1 => Standing::Submitted,
                2 => Standing::Settled,
                _ => return Err(damaged()),
            };
            let evidence = decode_exact("evidence", bytes, EVIDENCE_BYTES_MAX);
            let evidence: Evidence = evidence.map_err(|_| damaged())?;
            if evidence.offence() != offence {
                return Err(damaged());
            }
            all.push(Kept {
                offence,
                standing,
                evidence,
            });
        }
        Ok(all)
    }

    /// Resolves when something was recorded since the last call.
    pub async fn news(&self) {
        self.news.notified().await;
    }
}

/// Keeps what a node tells against seats, until the node ends.
pub(crate) async fn follow(node: Node<BlsScheme>, store: EvidenceStore) {
    while node.failure().is_none() {
        // First listen, then ask what was told before.
        let mut events = node.events();
        for evidence in node.faults().await {
            keep(&store, &evidence);
        }
        while let Some(event) = events.recv().await {
            if let Event::SeatFault(evidence) = event {
                keep(&store, &evidence);
            }
        }
        // Cut off, being too slow.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn keep(store: &EvidenceStore, evidence: &Evidence) {
    match store.record(evidence) {
        Ok(true) => warn!(
            seat = %evidence.seat(),
            registry_index = evidence.registry_index,
            "evidence against a seat is kept"
        ),
        Ok(false) => {}
        Err(error) => error!(%error, "evidence against a seat is not kept"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_types::{SeatIndex, SignedVote, Term, View, Vote, bls::SignatureBytes};

    fn evidence(key: u8, payload: u8) -> Evidence {
        let vote = |payload| SignedVote {
            vote: Vote::notarize(
                Term::ZERO,
                View::new(5),
                View::new(4),
                B256::repeat_byte(payload),
            ),
            seat: SeatIndex::new(1),
            signature: SignatureBytes::repeat_byte(payload),
        };
        Evidence {
            seats_hash: B256::repeat_byte(8),
            key: cortado_types::bls::KeyBytes::repeat_byte(key),
            registry_index: 1,
            first: vote(payload),
            second: vote(payload + 1),
            crossing: None,
        }
    }

    #[test]
    fn an_offence_is_kept_once_and_its_standing_survives_a_restart() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = EvidenceStore::open(directory.path()).expect("a new store");
        let first = evidence(1, 1);
        assert!(store.record(&first).expect("a good disk"));
        // The same seat did it again: there is nothing more to take.
        assert!(!store.record(&evidence(1, 3)).expect("a good disk"));
        assert!(store.record(&evidence(2, 1)).expect("a good disk"));
        store
            .mark(first.offence(), Standing::Submitted)
            .expect("a good disk");
        store.mark(B256::ZERO, Standing::Settled).expect("nobody's");
        drop(store);
        let store = EvidenceStore::open(directory.path()).expect("the store");
        let all = store.all().expect("a good disk");
        assert_eq!(all.len(), 2);
        let of_first = all.iter().find(|kept| kept.offence == first.offence());
        let of_first = of_first.expect("kept");
        assert_eq!(of_first.standing, Standing::Submitted);
        assert_eq!(of_first.evidence, first);
        assert!(!store.record(&first).expect("a good disk"));
        store
            .mark(first.offence(), Standing::Settled)
            .expect("a good disk");
        let settled = store.all().expect("a good disk");
        assert_eq!(
            settled
                .iter()
                .filter(|kept| kept.standing == Standing::Settled)
                .count(),
            1
        );
    }
}
