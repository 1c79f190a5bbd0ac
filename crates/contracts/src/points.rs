//! Points as EIP-2537 reads them: the precompiles take no compressed ones, so whoever submits
//! decompresses.

use crate::abi;
use alloy_primitives::B256;
use blst::min_sig::{PublicKey, Signature};
use cortado_types::bls::{BlsError, KeyBytes, SignatureBytes};

/// Length of a coordinate of the base field.
const FIELD_BYTES: usize = 48;

/// A coordinate as EIP-2537 pads it: 16 zero bytes, then 48, in two words.
fn words(coordinate: &[u8]) -> [B256; 2] {
    let mut padded = [0; 64];
    padded[64 - FIELD_BYTES..].copy_from_slice(coordinate);
    [
        B256::from_slice(&padded[..32]),
        B256::from_slice(&padded[32..]),
    ]
}

/// A point of G1: a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct G1([B256; 4]);

impl G1 {
    /// Decompresses a signature.
    ///
    /// # Errors
    /// If it is not in the group or is infinity.
    pub fn from_compressed(signature: SignatureBytes) -> Result<Self, BlsError> {
        let point = Signature::sig_validate(signature.as_slice(), true).map_err(|error| {
            BlsError::Signature {
                signature,
                reason: format!("{error:?}"),
            }
        })?;
        let raw = point.serialize();
        let ([a, b], [c, d]) = (words(&raw[..FIELD_BYTES]), words(&raw[FIELD_BYTES..]));
        Ok(Self([a, b, c, d]))
    }
}

/// A point of G2: a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct G2([B256; 8]);

impl G2 {
    /// Decompresses a key.
    ///
    /// # Errors
    /// If it is not in the group or is infinity.
    pub fn from_compressed(key: KeyBytes) -> Result<Self, BlsError> {
        let point = PublicKey::key_validate(key.as_slice()).map_err(|error| BlsError::Key {
            key,
            reason: format!("{error:?}"),
        })?;
        // Zcash's form has the second half of a coordinate first, EIP-2537's the first one.
        let raw = point.serialize();
        let mut out = [B256::ZERO; 8];
        for (place, part) in [1, 0, 3, 2].into_iter().enumerate() {
            let [high, low] = words(&raw[part * FIELD_BYTES..][..FIELD_BYTES]);
            (out[2 * place], out[2 * place + 1]) = (high, low);
        }
        Ok(Self(out))
    }
}

macro_rules! into_g1 {
    ($($module:ident),*) => {$(
        impl From<G1> for abi::$module::G1Point {
            fn from(G1([x_high, x_low, y_high, y_low]): G1) -> Self {
                Self { xHigh: x_high, xLow: x_low, yHigh: y_high, yLow: y_low }
            }
        }
    )*};
}
into_g1!(Registry, Slasher, LightClient);

impl From<G2> for abi::Registry::G2Point {
    fn from(G2([a, b, c, d, e, f, g, h]): G2) -> Self {
        Self {
            x0High: a,
            x0Low: b,
            x1High: c,
            x1Low: d,
            y0High: e,
            y0Low: f,
            y1High: g,
            y1Low: h,
        }
    }
}
