//! What the server allows; limits that the client keeps too are in `cortado_client::api::limits`.

use std::time::Duration;

/// What an operator may set; the rest are constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections.
    pub connections: usize,
    /// Readers of the event stream.
    pub event_readers: usize,
    /// Time that a reader of events may leave its queue full before it is cut off.
    pub event_stall: Duration,
    /// Time for a request's head to arrive, and for the next one on an idle connection.
    pub head_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: CONNECTIONS_MAX,
            event_readers: EVENT_READERS_MAX,
            event_stall: EVENT_STALL,
            head_time: HEAD_TIME,
        }
    }
}

/// Open connections. Each holds a socket and at most [`HEAD_BYTES_MAX`] of unread input.
pub const CONNECTIONS_MAX: usize = 1_024;
/// Bytes of a request's line and headers: browsers send less than 2 KiB.
pub const HEAD_BYTES_MAX: usize = 16 << 10;
/// Headers of a request.
pub const HEADERS_MAX: usize = 64;
/// Bytes of path and query: the longest honest one is a proof by hash, under 200.
pub const TARGET_BYTES_MAX: usize = 512;
/// Time for a request's head to arrive, and for the next one on an idle connection.
pub const HEAD_TIME: Duration = Duration::from_secs(10);
/// Time for an answer to be made.
pub const ANSWER_TIME: Duration = Duration::from_secs(15);
/// Time that a client may take no byte of an answer.
pub const WRITE_STALL: Duration = Duration::from_secs(20);
/// Time for open requests to end when the server stops.
pub const STOP_GRACE: Duration = Duration::from_secs(2);

/// Readers of the event stream. Each may have two events waiting, of 2.5 MiB each when all blocks
/// are as large as they can be; events near the tip are shared by all readers.
pub const EVENT_READERS_MAX: usize = 128;
/// Events that wait for one reader.
pub const EVENT_QUEUE: usize = 1;
/// Time that a reader may leave its queue full before it is cut off.
pub const EVENT_STALL: Duration = Duration::from_secs(10);
/// Newest events kept encoded, to be shared by readers.
pub const EVENTS_SHARED_MAX: usize = 32;
