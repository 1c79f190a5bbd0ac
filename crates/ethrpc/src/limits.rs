//! What one client may take. Every limit is a named constant with its reason; [`Limits`] carries
//! those that an operator (or a test) may want smaller.

use std::time::Duration;

/// Largest request body or WebSocket message, in bytes. A transaction is at most 128 KiB; what
/// remains is room for batches.
pub const REQUEST_BYTES_MAX: u32 = 2 * 1024 * 1024;

/// Largest answer, in bytes, a whole batch included: a full block of calldata as hex still fits.
pub const RESPONSE_BYTES_MAX: u32 = 16 * 1024 * 1024;

/// Entries of one JSON-RPC batch. Wallet libraries batch up to a thousand by default.
pub const BATCH_ENTRIES_MAX: u32 = 1_000;

/// TCP connections of one server. With [`REQUEST_BYTES_MAX`] this bounds what hostile clients
/// that send slowly can make us hold.
pub const CONNECTIONS_MAX: usize = 512;

/// Subscriptions of one WebSocket connection; each costs a task and a queue slot.
pub const SUBSCRIPTIONS_PER_CONNECTION_MAX: u32 = 128;

/// Calls of one WebSocket connection that may run at the same time; further ones are refused.
pub const IN_FLIGHT_PER_CONNECTION_MAX: usize = 64;

/// Messages queued towards one WebSocket client. A full queue holds its subscriptions back, and
/// one that falls behind the chain's own event queue is cut off.
pub const OUTGOING_MESSAGES_MAX: u32 = 64;

/// Heavy calls (execution, proofs, log scans) that may run at the same time on one server; the
/// rest wait their turn, so that reads and submissions stay quick.
pub const HEAVY_CALLS_MAX: usize = 4;

/// Gas of one `eth_call`, `eth_estimateGas` or `eth_createAccessList`.
pub const CALL_GAS_MAX: u64 = 50_000_000;

/// Blocks one `eth_getLogs` may scan.
pub const LOG_RANGE_BLOCKS_MAX: u64 = 10_000;

/// Logs one `eth_getLogs` may return.
pub const LOG_RESULTS_MAX: usize = 10_000;

/// Addresses, or alternatives of one topic position, in a log filter.
pub const LOG_FILTER_ALTERNATIVES_MAX: usize = 1_000;

/// Filters kept by one server (`eth_newFilter` and its kin). A filter belongs to no connection,
/// so only this count and [`FILTER_IDLE_MS_MAX`] bound them.
pub const FILTERS_MAX: usize = 1_024;

/// A filter nobody polled for this long is forgotten, in milliseconds.
pub const FILTER_IDLE_MS_MAX: u64 = 5 * 60 * 1000;

/// Entries a filter gathers between two polls; a filter that overflows is dropped, because a
/// client must not mistake a part for the whole.
pub const FILTER_ENTRIES_MAX: usize = 10_000;

/// Blocks one `eth_feeHistory` may cover.
pub const FEE_HISTORY_BLOCKS_MAX: u64 = 1_024;

/// Percentiles one `eth_feeHistory` may ask for.
pub const FEE_HISTORY_PERCENTILES_MAX: usize = 100;

/// Storage keys of one `eth_getProof`.
pub const PROOF_KEYS_MAX: usize = 1_024;

/// Size of one raw transaction, in bytes: what the public pool of Ethereum admits.
pub const RAW_TRANSACTION_BYTES_MAX: usize = 128 * 1024;

/// Default wait of `eth_sendRawTransactionSync`, in milliseconds (EIP-7966 suggests 2 s).
pub const SYNC_TIMEOUT_MS_DEFAULT: u64 = 2_000;

/// Longest wait of `eth_sendRawTransactionSync`, in milliseconds. Longer requests are cut to it.
pub const SYNC_TIMEOUT_MS_MAX: u64 = 30_000;

/// A peer that takes none of our bytes for this long is disconnected.
pub const WRITE_STALL_MAX: Duration = Duration::from_secs(10);

/// A connection over which nothing went either way for this long is closed, and so is a WebSocket
/// that answered no ping for it. Only half-open and forgotten sockets meet it.
pub const IDLE_MAX: Duration = Duration::from_secs(90);

/// How often a WebSocket client is pinged.
pub const PING_INTERVAL: Duration = Duration::from_secs(20);

/// How long a stopping server waits for running calls before it cuts the connections.
pub const STOP_GRACE: Duration = Duration::from_secs(3);

/// The limits of one server that can be set; the defaults are the constants of this module.
#[derive(Debug, Clone)]
pub struct Limits {
    /// See [`REQUEST_BYTES_MAX`].
    pub request_bytes: u32,
    /// See [`RESPONSE_BYTES_MAX`].
    pub response_bytes: u32,
    /// See [`BATCH_ENTRIES_MAX`].
    pub batch_entries: u32,
    /// See [`CONNECTIONS_MAX`].
    pub connections: usize,
    /// See [`SUBSCRIPTIONS_PER_CONNECTION_MAX`].
    pub subscriptions_per_connection: u32,
    /// See [`IN_FLIGHT_PER_CONNECTION_MAX`].
    pub in_flight_per_connection: usize,
    /// See [`LOG_RANGE_BLOCKS_MAX`].
    pub log_range_blocks: u64,
    /// See [`LOG_RESULTS_MAX`].
    pub log_results: usize,
    /// See [`CALL_GAS_MAX`].
    pub call_gas: u64,
    /// See [`FILTERS_MAX`].
    pub filters: usize,
    /// See [`WRITE_STALL_MAX`].
    pub write_stall: Duration,
    /// See [`IDLE_MAX`].
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes: REQUEST_BYTES_MAX,
            response_bytes: RESPONSE_BYTES_MAX,
            batch_entries: BATCH_ENTRIES_MAX,
            connections: CONNECTIONS_MAX,
            subscriptions_per_connection: SUBSCRIPTIONS_PER_CONNECTION_MAX,
            in_flight_per_connection: IN_FLIGHT_PER_CONNECTION_MAX,
            log_range_blocks: LOG_RANGE_BLOCKS_MAX,
            log_results: LOG_RESULTS_MAX,
            call_gas: CALL_GAS_MAX,
            filters: FILTERS_MAX,
            write_stall: WRITE_STALL_MAX,
            idle: IDLE_MAX,
        }
    }
}
