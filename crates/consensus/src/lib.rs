//! Agree on blocks: the BFT engine, lane dissemination, the simulator.
//!
//! Everything of `commonware` lives here and nowhere else: simplex, marshal, p2p, storage, both
//! runtimes. The rest of the system sees [`node::Node`] to read from and to feed, [`host::Host`] to
//! run one in production, and types of its own.
//!
//! ```text
//!   proposer                               seat (one of n)                              everybody
//!  ┌───────────┐  bodies   ┌───────┐ acks ┌───────┐ runs ┌─────────────┐ votes ┌─────────┐ blocks ┌───────────┐
//!  │ publisher │──────────▶│ lanes │◀────▶│ tally │─────▶│ application │◀─────▶│ simplex │───────▶│ finalizer │
//!  └───────────┘           └───────┘      └───────┘      └──────▲──────┘       └─────────┘ certs  └─────┬─────┘
//!                            disk                               │ operations                            │ state
//!  L1 node ── observations ──────────▶ witness ─────────────────┘                        ledger, events ▼
//! ```
//!
//! From a lane block's body to its finality are five one-way delays: body, acknowledgement,
//! proposal, notarize, finalize. An idle leader waits, and is woken by the certificate.
//!
//! | module | decides or does |
//! |---|---|
//! | [`lanes`] | R6a: what is stored, acknowledged, certified, offered, fetched |
//! | [`publisher`] | what a proposer still has to send, and what became of it |
//! | [`witness`] | R9, R10: what this seat saw on L1, what a quorum saw |
//! | [`tally`] | signatures of seats over one subject, until a quorum |
//! | [`application`] | the glue: propose on a state, check against a state |
//! | [`finalizer`], [`ledger`] | final blocks in order, the state, snapshots |
//! | [`evidence`] | R2: what accuses and what excuses seats |
//! | [`terms`], [`committee`] | R5a: which engine runs, who sits |
//! | [`history`] | final blocks of all terms; catching up across terms |
//! | [`engine`], [`network`], [`scheme`] | how the engine's parts are put together |
//! | [`simulate`] | the same nodes on a simulated network, clock and disk |
//!
//! **Failure.** A part that cannot write ends, and its node with it: a seat that cannot remember
//! must not go on speaking. What peers send is judged alone, bounded, and at worst costs them the
//! connection. What a power cut leaves behind is read back: votes by the engine, acknowledgements
//! by [`lanes`], the state by replaying final blocks on the last snapshot.
//!
//! **Terms.** Seats change by time (R5a). [`terms`] runs one engine a term, each with its own seats,
//! stores and sub-channels; [`history`] has final blocks of all terms and fetches those that the
//! present engine cannot have. Which seats a node counts, and whether it signs, follows from the
//! final state: [`committee`]. See `docs/decisions/0001-terms.md`.

pub mod application;
pub mod block;
pub mod committee;
pub mod engine;
pub mod events;
pub mod evidence;
pub mod finalizer;
pub mod history;
pub mod host;
pub mod lanes;
pub mod ledger;
pub mod network;
pub mod node;
pub mod publisher;
pub mod runtime;
pub mod scheme;
pub mod simulate;
pub mod tally;
pub mod terms;
pub mod witness;
