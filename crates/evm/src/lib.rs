//! Execute Ethereum blocks on persistent, provable state.
//!
//! ```text
//!  Genesis ──► ExecutedBlock ──► BlockBuilder ──► ExecutedBlock ──► ChainStore
//!                   ▲            push, credit      record             insert, set_canonical
//!                   │            snapshot          state              persist, finalize
//!                   └──────────────────────────────────┘              logs, lookups
//! ```
//!
//! One hardfork, the latest live on mainnet ([`spec::HARDFORK`]), serves the embedded L1 and the
//! reference rollup alike; what differs between them is a [`ChainSpec`]. Execution is
//! deterministic: the same parent, inputs and transactions give the same block hash. Nothing here
//! is asynchronous, and only [`store`] touches a disk.
//!
//! * [`state`]: the world state as an immutable snapshot over a Merkle-Patricia trie whose versions
//!   share structure ([`trie`]), so a fork or a pending layer is a clone.
//! * [`builder`]: executes transactions one by one the moment they arrive; roots are computed once,
//!   at the end. A rejected transaction leaves no trace and says why ([`TxRejection`]).
//! * [`execute`]: the same for a finished block, which is then compared with its header.
//! * [`call`]: `eth_call`, `eth_estimateGas` and access lists, within limits.
//! * [`store`]: the tree of recent blocks in memory over a database of older ones.
//!
//! No deposit contract exists on these chains, so EIP-6110 requests are always empty; EIP-7002 and
//! EIP-7251 requests are real.

pub mod block;
pub mod builder;
pub mod call;
mod env;
pub mod execute;
pub mod genesis;
mod overlay;
pub mod recover;
pub mod rejection;
pub mod spec;
pub mod state;
pub mod store;
#[cfg(test)]
mod testing;
pub mod trie;

pub use block::{BlockInputs, BlockRecord, Credit, ExecutedBlock, RecentHashes};
pub use builder::{BlockBuilder, BuildError, TxOutcome, TxStatus};
pub use call::{
    CallContext, CallError, CallLimits, CallOutcome, CallRequest, call, create_access_list,
    estimate_gas,
};
pub use env::TX_GAS_LIMIT_MAX;
pub use execute::{ExecutionError, execute_block};
pub use genesis::genesis_block;
pub use recover::{RecoverError, recover_address, recover_signer, recover_signers};
pub use rejection::TxRejection;
pub use spec::{BaseFeeRule, ChainSpec};
pub use state::{Account, AccountChange, Changes, WorldState};
pub use store::{ChainStore, Reorg, StoreError};
