//! Turn finalised blocks and an L1 fork into L2 inputs.
