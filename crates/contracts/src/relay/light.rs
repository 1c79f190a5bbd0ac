//! What the light client contract says now.

use crate::{
    abi::LightClient as abi,
    rpc::{L1, RpcError, view},
};
use alloy_primitives::{Address, B256};
use cortado_types::{Height, Term};
use std::sync::Arc;

/// Where things stand in a table of seats: see `SeatTable.sol`. Code starts with a zero byte.
const SEATS_AT: usize = 1;
const TERM_AT: usize = SEATS_AT + 224;

/// Where the contract stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LightState {
    /// Newest header that renewed trust or changed seats.
    pub height: Height,
    /// Its time, seconds.
    pub time: u64,
    /// Hash of the seats it believes.
    pub seats: B256,
    /// First term in which these sit.
    pub first_term: Term,
    /// Two headers of one height were shown: it accepts nothing any more.
    pub stopped: bool,
}

/// Reads one light client.
#[derive(Clone)]
pub struct LightReader {
    l1: Arc<dyn L1>,
    address: Address,
}

impl LightReader {
    /// The light client at `address`.
    pub fn new(l1: Arc<dyn L1>, address: Address) -> Self {
        Self { l1, address }
    }

    /// Where it is.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// Where it stands; none before its start.
    ///
    /// # Errors
    /// If the node does not answer, or what is there is no light client.
    pub async fn state(&self) -> Result<Option<LightState>, RpcError> {
        let renewal = view(&*self.l1, self.address, abi::renewalCall {}).await?;
        if renewal.table.is_zero() {
            return Ok(None);
        }
        let code = self.l1.code(renewal.table).await?;
        let (Some(seats), Some(term)) = (
            code.get(SEATS_AT..SEATS_AT + 32),
            code.get(TERM_AT..TERM_AT + 8)
                .and_then(|raw| raw.try_into().ok()),
        ) else {
            return Err(RpcError::Malformed {
                method: "eth_getCode",
                reason: format!("{} is no table of seats", renewal.table),
            });
        };
        Ok(Some(LightState {
            height: Height::new(renewal.height),
            time: renewal.time,
            seats: B256::from_slice(seats),
            first_term: Term::new(u64::from_be_bytes(term)),
            stopped: renewal.stopped,
        }))
    }

    /// The header stored at a height.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn header_at(&self, height: Height) -> Result<Option<B256>, RpcError> {
        let query = abi::headerAtCall {
            height: height.get(),
        };
        let hash = view(&*self.l1, self.address, query).await?;
        Ok((!hash.is_zero()).then_some(hash))
    }

    /// How long it believes seats without news, ms.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn trust_ms(&self) -> Result<u64, RpcError> {
        view(&*self.l1, self.address, abi::TRUST_MSCall {}).await
    }
}
