//! Verify what a node says and trust none.
