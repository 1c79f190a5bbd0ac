//! Agree on blocks: the BFT engine, lane dissemination, the simulator.
