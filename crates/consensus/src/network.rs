//! Channels between seats, proposers and followers, and their quotas.
//!
//! Quotas are per peer and per channel. They bound what a hostile peer can make us read, and they
//! size memory: every channel reserves one burst for every peer that may ever be connected. So
//! they are as small as an honest peer at full speed allows, not as large as possible.

use crate::runtime::Transport;
use commonware_p2p::Channel;
use commonware_runtime::Quota;
use cortado_types::limits::{BLOCK_BYTES_MAX, LANE_BODY_BYTES_MAX};
use std::num::NonZeroU32;

pub mod tcp;
pub mod terms;

/// Room for the header, signature and framing around a body or a block, bytes.
const FRAME_SLACK_BYTES: usize = 64 << 10;

/// Largest application message on any channel, bytes. A larger one is never sent (the network
/// would panic) and disconnects the peer that sends it.
pub const MESSAGE_BYTES_MAX: u32 = {
    let largest = if LANE_BODY_BYTES_MAX > BLOCK_BYTES_MAX {
        LANE_BODY_BYTES_MAX
    } else {
        BLOCK_BYTES_MAX
    };
    (largest + FRAME_SLACK_BYTES) as u32
};

/// One use of the network: its number on the wire and what a peer may send.
#[derive(Clone, Copy, Debug)]
pub struct ChannelSpec {
    /// Number on the wire.
    pub id: Channel,
    /// Messages per second and peer.
    pub per_second: NonZeroU32,
}

impl ChannelSpec {
    const fn new(id: Channel, per_second: u32) -> Self {
        let Some(per_second) = NonZeroU32::new(per_second) else {
            panic!("a quota of zero")
        };
        Self { id, per_second }
    }

    /// The quota in the network's own type.
    pub fn quota(&self) -> Quota {
        Quota::per_second(self.per_second)
    }
}

/// Votes of the engine: three a view, at most about 150 views a second on loopback.
pub const VOTES: ChannelSpec = ChannelSpec::new(0, 512);
/// Certificates of the engine: three a view.
pub const CERTIFICATES: ChannelSpec = ChannelSpec::new(1, 512);
/// Requests for certificates that a seat missed.
pub const RESOLVER: ChannelSpec = ChannelSpec::new(2, 128);
/// Whole blocks from their leader.
pub const BLOCKS: ChannelSpec = ChannelSpec::new(3, 256);
/// Requests for finalised blocks that a node missed.
pub const BACKFILL: ChannelSpec = ChannelSpec::new(4, 256);
/// Lane blocks with their bodies, from proposers to seats (R6a). Each may be four MiB, so the
/// quota is what bounds memory: this many in flight from one peer.
pub const LANES: ChannelSpec = ChannelSpec::new(5, 64);
/// Acknowledgements of lane blocks (R6a).
pub const ACKS: ChannelSpec = ChannelSpec::new(6, 512);
/// Requests for bodies that a node missed.
pub const BODIES: ChannelSpec = ChannelSpec::new(7, 64);
/// Signatures over what seats saw on L1 (R9, R10).
pub const SIGHTS: ChannelSpec = ChannelSpec::new(8, 64);

/// Requests for final blocks and certificates of any term. One answer may be a MiB.
pub const CHAIN: ChannelSpec = ChannelSpec::new(9, 64);

/// All channels, in the order of their numbers.
pub const CHANNELS: [ChannelSpec; 10] = [
    VOTES,
    CERTIFICATES,
    RESOLVER,
    BLOCKS,
    BACKFILL,
    LANES,
    ACKS,
    BODIES,
    SIGHTS,
    CHAIN,
];

/// Both ends of one channel.
pub type Link<N> = (<N as Transport>::Sender, <N as Transport>::Receiver);

/// Every channel of one identity, registered and ready.
pub struct Links<N: Transport> {
    /// [`VOTES`].
    pub votes: Link<N>,
    /// [`CERTIFICATES`].
    pub certificates: Link<N>,
    /// [`RESOLVER`].
    pub resolver: Link<N>,
    /// [`BLOCKS`].
    pub blocks: Link<N>,
    /// [`BACKFILL`].
    pub backfill: Link<N>,
    /// [`LANES`].
    pub lanes: Link<N>,
    /// [`ACKS`].
    pub acks: Link<N>,
    /// [`BODIES`].
    pub bodies: Link<N>,
    /// [`SIGHTS`].
    pub sights: Link<N>,
    /// [`CHAIN`].
    pub chain: Link<N>,
}

impl<N: Transport> Links<N> {
    /// Puts links in their places; `links` are in the order of [`CHANNELS`].
    pub fn in_order(links: [Link<N>; CHANNELS.len()]) -> Self {
        let [
            votes,
            certificates,
            resolver,
            blocks,
            backfill,
            lanes,
            acks,
            bodies,
            sights,
            chain,
        ] = links;
        Self {
            votes,
            certificates,
            resolver,
            blocks,
            backfill,
            lanes,
            acks,
            bodies,
            sights,
            chain,
        }
    }

    /// The links in the order of [`CHANNELS`].
    pub fn into_vec(self) -> Vec<Link<N>> {
        vec![
            self.votes,
            self.certificates,
            self.resolver,
            self.blocks,
            self.backfill,
            self.lanes,
            self.acks,
            self.bodies,
            self.sights,
            self.chain,
        ]
    }
}
