//! The one byte form of an opening: numbers in LEB128, hashes as they are. Every opening has
//! exactly one encoding; anything else is refused.

use thiserror::Error;

use super::{Node, Opening, PATH_MAX, Step};
use crate::amount::{Gwei, Sum};
use crate::batch::{BUNDLE_MEMBERS_MAX, Member, OwnerId, TicketId};
use crate::uniform::Beacon;

/// Why bytes are no opening.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes end inside a field.
    #[error("the proof ends after {len} bytes, inside field {field}")]
    Truncated {
        /// How many bytes there are.
        len: usize,
        /// The field that is cut.
        field: &'static str,
    },
    /// A number that does not fit its field, or is written with more bytes than it needs.
    #[error("field {field} at byte {at} is not a number in shortest form within its range")]
    Number {
        /// The field.
        field: &'static str,
        /// Where it starts.
        at: usize,
    },
    /// A list longer than its limit.
    #[error("{field} has {found} entries, at most {limit} are allowed")]
    Length {
        /// The list.
        field: &'static str,
        /// Entries announced.
        found: u128,
        /// The limit.
        limit: usize,
    },
    /// Bits or bytes that belong to no field.
    #[error("bytes or bits after the end of field {field}")]
    Trailing {
        /// The last field.
        field: &'static str,
    },
}

impl Opening {
    /// The bytes of the proof.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(400);
        out.extend_from_slice(&self.beacon.0);
        put(&mut out, self.slot.into());
        put(&mut out, self.k.into());
        put(&mut out, self.live.get());
        put(&mut out, self.before.get());
        put(&mut out, self.pot.get());
        put(&mut out, self.members.len() as u128);
        for member in &self.members {
            put(&mut out, member.get().into());
        }
        put(&mut out, self.ticket.get().into());
        put(&mut out, self.owner.get().into());
        put(&mut out, self.stake.get().into());
        put(&mut out, self.path.len() as u128);
        let sides = self
            .path
            .iter()
            .rev()
            .fold(0, |bits, step| bits << 1 | u128::from(step.sibling_is_left));
        put(&mut out, sides);
        for step in &self.path {
            out.extend_from_slice(&step.sibling.hash);
            put(&mut out, step.sibling.sum.get());
        }
        out.extend_from_slice(&self.commitment);
        out
    }

    /// Reads the bytes of a proof; it still has to be checked.
    ///
    /// # Errors
    /// A [`DecodeError`] for anything [`Opening::encode`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Input { bytes, at: 0 };
        let beacon = Beacon(input.hash("beacon")?);
        let slot = input.u64("slot")?;
        let k = input.u32("k")?;
        let live = Sum::new(input.number("live")?);
        let before = Sum::new(input.number("before")?);
        let pot = Sum::new(input.number("pot")?);
        let members = (0..input.length("members", BUNDLE_MEMBERS_MAX)?)
            .map(|_| input.u32("members").map(Member::new))
            .collect::<Result<_, _>>()?;
        let ticket = TicketId::new(input.u64("ticket")?);
        let owner = OwnerId::new(input.u64("owner")?);
        let stake = Gwei::new(input.u64("stake")?);
        let steps = input.length("path", PATH_MAX)?;
        let sides = input.u32("sides")?;
        if sides >> steps != 0 {
            return Err(DecodeError::Trailing { field: "sides" });
        }
        let path = (0..steps)
            .map(|step| {
                let hash = input.hash("path")?;
                let sum = Sum::new(input.number("path")?);
                let sibling_is_left = sides >> step & 1 == 1;
                Ok(Step {
                    sibling_is_left,
                    sibling: Node { hash, sum },
                })
            })
            .collect::<Result<_, _>>()?;
        let commitment = input.hash("commitment")?;
        if input.at != bytes.len() {
            return Err(DecodeError::Trailing {
                field: "commitment",
            });
        }
        Ok(Self {
            beacon,
            slot,
            k,
            live,
            before,
            pot,
            members,
            ticket,
            owner,
            stake,
            path,
            commitment,
        })
    }
}

fn put(out: &mut Vec<u8>, mut number: u128) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Input<'_> {
    fn hash(&mut self, field: &'static str) -> Result<[u8; 32], DecodeError> {
        let rest = &self.bytes[self.at..];
        let hash = rest.first_chunk().ok_or(DecodeError::Truncated {
            len: self.bytes.len(),
            field,
        })?;
        self.at += hash.len();
        Ok(*hash)
    }

    fn number(&mut self, field: &'static str) -> Result<u128, DecodeError> {
        let at = self.at;
        let mut number = 0u128;
        for shift in (0..).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or(DecodeError::Truncated {
                len: self.bytes.len(),
                field,
            })?;
            self.at += 1;
            let part = u128::from(byte & 0x7f);
            let overlong = byte == 0 && shift > 0;
            if overlong || shift > 126 || part << shift >> shift != part {
                return Err(DecodeError::Number { field, at });
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        Ok(number)
    }

    fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        let at = self.at;
        self.number(field)?
            .try_into()
            .map_err(|_| DecodeError::Number { field, at })
    }

    fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        let at = self.at;
        self.number(field)?
            .try_into()
            .map_err(|_| DecodeError::Number { field, at })
    }

    fn length(&mut self, field: &'static str, limit: usize) -> Result<usize, DecodeError> {
        let found = self.number(field)?;
        if found > limit as u128 {
            return Err(DecodeError::Length {
                field,
                found,
                limit,
            });
        }
        Ok(found as usize)
    }
}
