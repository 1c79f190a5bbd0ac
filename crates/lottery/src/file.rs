//! Lottery files: instances in, answers out, both JSON.
//!
//! An instance file holds one instance or an array of them; the answer is in kind. Everything is
//! read exactly: stakes, reserves, ids and slots as `u64`, totals as decimal strings (they exceed
//! what JSON numbers carry). Unknown fields are ignored, so an answer with its question in one
//! file can be read as either.
//!
//! ```json
//! {"name": "worked", "n": 4, "beacon": "1111…", "reserve": [0, 100, 50, 20],
//!  "bundles": [[1], [2], [1, 2]], "tickets": [[0, 100, 0, 30], [1, 101, 2, 40]],
//!  "slots": [{"slot": 0}]}
//! ```
//!
//! Files are hostile: parsing allocates no more than a small multiple of the file, never panics,
//! and an error names line, column and value.

use thiserror::Error;

use crate::batch::Batch;
use crate::uniform::Beacon;

mod answer;
mod parse;
mod write;

pub use answer::{Answer, AnswerDifference, DrawAnswer, SlotAnswer, parse_answers};
pub use parse::parse;
pub use write::write;

#[cfg(test)]
mod tests;

/// Longest file that is read: ten times the largest allowed batch.
pub const FILE_BYTES_MAX: usize = 256 << 20;
/// Most slots one instance may ask for: 2,048 epochs.
pub const SLOTS_MAX: usize = 1 << 16;

/// One question: a batch, a beacon, and the slots to draw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// What people call it.
    pub name: String,
    /// Beacon of the epoch.
    pub beacon: Beacon,
    /// What is drawn from.
    pub batch: Batch,
    /// The slots asked for, in this order.
    pub slots: Vec<u64>,
}

/// The content of a file: one item, or an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OneOrMany<T> {
    /// The file is one object.
    One(T),
    /// The file is an array.
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// The items in order.
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::One(item) => core::slice::from_ref(item),
            Self::Many(items) => items,
        }
    }

    /// Whether the file is an array.
    pub fn is_many(&self) -> bool {
        matches!(self, Self::Many(_))
    }
}

/// Why a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FileError {
    /// The file is longer than [`FILE_BYTES_MAX`].
    #[error("the file is longer than {FILE_BYTES_MAX} bytes")]
    TooLong,
    /// Something is wrong at a place.
    #[error("line {line}, column {column}: {reason}")]
    At {
        /// Line, from 1.
        line: usize,
        /// Column, from 1; at the end of the offending value.
        column: usize,
        /// What, with the value.
        reason: String,
    },
}

impl From<serde_json::Error> for FileError {
    fn from(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let reason = text.strip_suffix(&format!(" at line {line} column {column}"));
        Self::At {
            line,
            column,
            reason: reason.unwrap_or(&text).to_owned(),
        }
    }
}

/// 32 bytes from exactly 64 hex digits.
fn hash_from_hex(text: &str) -> Result<[u8; 32], String> {
    let mut hash = [0; 32];
    if text.len() != 64 {
        return Err(format!(
            "{} characters where 64 hex digits are needed",
            text.chars().count()
        ));
    }
    hex::decode_to_slice(text, &mut hash).map_err(|error| format!("not 64 hex digits: {error}"))?;
    Ok(hash)
}
