//! Lane blocks whose parent is not here yet.

use bytes::Bytes;
use commonware_cryptography::ed25519;
use cortado_types::B256;
use std::collections::BTreeMap;

/// Bytes of lane blocks that wait for a parent: a few whole bodies of several proposers. They are
/// sent again anyway, so when it is full everything is let go.
const ORPHAN_BYTES_MAX: usize = 32 << 20;

/// Lane blocks by the parent they wait for, with the proposer that sent them.
///
/// - `bytes` is the sum over `waiting`, at most [`ORPHAN_BYTES_MAX`].
#[derive(Default)]
pub(super) struct Orphans {
    waiting: BTreeMap<B256, Vec<(ed25519::PublicKey, Bytes)>>,
    bytes: usize,
}

impl Orphans {
    /// Keeps a lane block until its parent is here.
    pub(super) fn park(&mut self, parent: B256, peer: ed25519::PublicKey, bytes: Bytes) {
        if self.bytes + bytes.len() > ORPHAN_BYTES_MAX {
            self.waiting.clear();
            self.bytes = 0;
        }
        let children = self.waiting.entry(parent).or_default();
        if children.iter().all(|(_, known)| *known != bytes) {
            self.bytes += bytes.len();
            children.push((peer, bytes));
        }
    }

    /// The parent is here: gives back what waited for it.
    pub(super) fn release(&mut self, parent: &B256) -> Vec<(ed25519::PublicKey, Bytes)> {
        let children = self.waiting.remove(parent).unwrap_or_default();
        self.bytes -= children.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
        children
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use commonware_cryptography::Signer as _;

    #[test]
    fn orphans_come_back_with_their_parent_and_never_pass_the_limit() {
        let peer = ed25519::PrivateKey::from_seed(1).public_key();
        let mut orphans = Orphans::default();
        let (one, other) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let body = Bytes::from(vec![7; 4 << 20]);
        orphans.park(one, peer.clone(), body.clone());
        orphans.park(one, peer.clone(), body.clone());
        assert_eq!(orphans.release(&one).len(), 1, "the same twice is once");
        assert!(orphans.release(&one).is_empty());
        for i in 0..20u8 {
            orphans.park(other, peer.clone(), Bytes::from(vec![i; 4 << 20]));
            assert!(orphans.bytes <= ORPHAN_BYTES_MAX);
        }
        assert!(!orphans.release(&other).is_empty());
        assert_eq!(orphans.bytes, 0);
    }
}
