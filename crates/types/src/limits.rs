//! Protocol constants: each limit with its unit last and the reason beside it.

/// Version written into headers and lane headers; a reader refuses any other.
pub const PROTOCOL_VERSION: u16 = 1;

/// Largest RLP size of one lane body, bytes. Four MiB is what one p2p message may carry and what a
/// proposer cuts every few tens of milliseconds under full load.
pub const LANE_BODY_BYTES_MAX: usize = 4 << 20;

/// Transactions in one lane body. Bounds the trie that every attester builds before it acknowledges.
pub const LANE_TRANSACTIONS_MAX: usize = 65_536;

/// Bytes of one rollup transaction: the size Ethereum's pools accept (128 KiB).
pub const TRANSACTION_BYTES_MAX: usize = 128 << 10;

/// Largest RLP size of one block of the finality chain, bytes. Blocks carry headers only, so one
/// MiB holds more than 2,000 lane headers; it keeps the leader's link out of the critical path.
pub const BLOCK_BYTES_MAX: usize = 1 << 20;

/// Lane headers in one block: more would not fit `BLOCK_BYTES_MAX` with their certificates.
pub const LANES_PER_BLOCK_MAX: usize = 2_048;

/// Operations in one block; pointer moves and L1 finality are at most one each.
pub const OPERATIONS_PER_BLOCK_MAX: usize = 64;

/// L1 headers carried by one pointer move (R9). After an outage the pointer catches up in steps.
pub const L1_HEADERS_PER_MOVE_MAX: usize = 64;

/// Bytes of one L1 header: the largest valid header with a 32-byte extra field is under 800 bytes.
pub const L1_HEADER_BYTES_MAX: usize = 1_024;

/// Seats in one set: a bitmap of 1,024 bits is 128 bytes and aggregation stays under a millisecond.
pub const SEATS_MAX: usize = 1_024;

/// Fewest seats that tolerate a fault (R3): fewer than four ⇒ the previous set continues.
pub const SEATS_MIN: usize = 4;

/// Namespaces in one genesis; the whole state is held in memory and hashed for every block.
pub const NAMESPACES_MAX: usize = 65_536;

/// How far ahead of an attester's clock a block may be before it abstains, ms (R5).
pub const DRIFT_MS: u64 = 250;

/// How far behind an attester's clock a new block may be before it abstains, ms (R5).
pub const LAG_MS: u64 = 4_000;

/// How long after its end a slot's lane blocks may still enter, ms (R6); more than `2·DRIFT_MS`.
pub const GRACE_MS: u64 = 600;

/// How many L1 blocks a lane block's context may lie behind the anchor at inclusion (R8a).
pub const CONTEXT_LAG: u64 = 16;

/// How many L1 blocks back a transaction's reference may lie (R11): the EIP-2935 window.
pub const REF_MAX: u64 = 8_191;

/// A gap of finalised timestamps above this is an attester stall, ms (R15, R21).
pub const STALL_MS: u64 = 5_000;

/// Tracked L1 headers above `L1fin`: more than a day of mainnet slots without finality.
pub const L1_TRACKED_HEADERS_MAX: usize = 8_192;

const _: () = assert!(GRACE_MS > 2 * DRIFT_MS);
