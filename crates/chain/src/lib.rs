//! Apply one block to the replicated state.
