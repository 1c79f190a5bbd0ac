//! Name the things of the protocol: ids, amounts, blocks, certificates, codecs, proofs.
