//! Cutting the power: writes that were not synced are lost or torn, at every sync there is.

use std::{
    io,
    sync::{Mutex, MutexGuard},
};

use redb::StorageBackend;

use super::*;

/// What the disk holds, and what of it would be there after a power cut.
#[derive(Debug, Default)]
struct Medium {
    written: Vec<u8>,
    synced: Vec<u8>,
    /// Where writes since the last sync went.
    dirty: Vec<std::ops::Range<usize>>,
    /// Contents after each sync, and half-written states before it.
    crashes: Vec<Vec<u8>>,
}

/// A disk that remembers every state in which a power cut could have left it.
#[derive(Clone, Debug, Default)]
struct PowerCut(Arc<Mutex<Medium>>);

impl PowerCut {
    fn holding(content: Vec<u8>) -> Self {
        let medium = Medium {
            written: content.clone(),
            synced: content,
            ..Medium::default()
        };
        Self(Arc::new(Mutex::new(medium)))
    }

    fn medium(&self) -> MutexGuard<'_, Medium> {
        self.0.lock().unwrap()
    }

    /// The bytes that survive a power cut now.
    fn cut(&self) -> Vec<u8> {
        self.medium().synced.clone()
    }
}

impl StorageBackend for PowerCut {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.medium().written.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let medium = self.medium();
        let from = offset as usize;
        let bytes = medium.written.get(from..from + out.len());
        out.copy_from_slice(bytes.ok_or(io::Error::from(io::ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.medium().written.resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let mut medium = self.medium();
        let medium = &mut *medium;
        // Before the sync: nothing of the new writes, or every second of them.
        let mut torn = medium.synced.clone();
        torn.resize(medium.written.len(), 0);
        for range in medium.dirty.drain(..).step_by(2) {
            let end = range.end.min(torn.len());
            let start = range.start.min(end);
            torn[start..end].copy_from_slice(&medium.written[start..end]);
        }
        medium.crashes.push(torn);
        medium.synced.clone_from(&medium.written);
        medium.crashes.push(medium.synced.clone());
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let mut medium = self.medium();
        let from = offset as usize;
        medium.written[from..from + data.len()].copy_from_slice(data);
        medium.dirty.push(from..from + data.len());
        Ok(())
    }
}

fn on(disk: &PowerCut) -> Result<ChainStore, StoreError> {
    ChainStore::with_disk(Disk::on(disk.clone())?, spec(), &genesis())
}

#[test]
fn what_persist_and_finalize_promised_survives_a_power_cut() {
    let disk = PowerCut::default();
    let store = on(&disk).unwrap();
    let blocks = chain(&store, 4);
    store.persist().unwrap();
    let after = on(&PowerCut::holding(disk.cut())).unwrap();
    assert_eq!(after.head().hash(), blocks[3].hash());
    store.finalize(blocks[2].hash()).unwrap();
    let after = on(&PowerCut::holding(disk.cut())).unwrap();
    assert_eq!(after.finalized().hash(), blocks[2].hash());
    assert_eq!(after.head().hash(), blocks[3].hash());
}

#[test]
fn a_power_cut_at_any_sync_leaves_one_of_the_promised_states() {
    let disk = PowerCut::default();
    let store = on(&disk).unwrap();
    let blocks = chain(&store, 4);
    // From here on the store is never emptier than this.
    disk.medium().crashes.clear();
    store.persist().unwrap();
    store.finalize(blocks[1].hash()).unwrap();
    store.finalize(blocks[3].hash()).unwrap();

    let crashes = disk.medium().crashes.clone();
    assert!(crashes.len() >= 6, "three commits sync at least once each");
    let mut seen = std::collections::BTreeSet::new();
    for content in crashes {
        let after = on(&PowerCut::holding(content)).unwrap();
        let (finalized, head) = (after.finalized().number(), after.head().number());
        assert!(
            [(0, 0), (0, 4), (2, 4), (4, 4)].contains(&(finalized, head)),
            "{finalized} {head}"
        );
        seen.insert((finalized, head));
    }
    assert!(seen.contains(&(0, 4)) && seen.contains(&(4, 4)), "{seen:?}");
}
