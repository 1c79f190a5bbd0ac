//! How rollup nodes and their proposer talk: JSON-RPC over WebSocket.
//!
//! | method | parameters | result |
//! |---|---|---|
//! | `proposer_sendRawTransaction` | namespace, raw transaction | [`Submitted`] |
//! | `proposer_promise` | transaction hash | [`Promises`] or null |
//! | `proposer_subscribe` | namespace, [`Cursor`] or null | notifications of lists of [`Numbered`] events |
//!
//! A subscription resumes after the event that its cursor names. What is no longer held is replaced
//! by a reset and the whole of what is pending, so a reader never has a gap it does not know of.
//!
//! [`Submitted`]: crate::source::Submitted
//! [`Promises`]: crate::source::Promises
//! [`Numbered`]: crate::source::Numbered

mod client;
mod server;

pub use client::{ProposerClient, ProposerStream};
pub use server::{module, serve, server_limits};

use crate::gateway::FeedCursor;
use serde::{Deserialize, Serialize};

/// Events of one notification: a full lane block arrives in a few, and each fits a message.
pub const EVENTS_PER_NOTIFICATION_MAX: usize = 128;
/// Bytes of one notification: the largest transactions fill it with a few.
pub const NOTIFICATION_BYTES_MAX: u32 = 64 << 20;

/// Where a subscriber stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// Run of the proposer that the last event was of.
    pub run: u64,
    /// Number of the last event.
    pub number: u64,
}

impl From<Cursor> for FeedCursor {
    fn from(cursor: Cursor) -> Self {
        Self {
            run: cursor.run,
            number: cursor.number,
        }
    }
}
