//! Check promises: preconfirmations, conditions, evidence.
