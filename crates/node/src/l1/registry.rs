//! Read the registry for the chain: which seats are settled, and the paths that show it (R10).
//!
//! Nothing here has to be believed. What was settled is opened from the state root of a header, and
//! the seats hash to what stands there; a node that lies is found out before anybody is told.

use super::{
    error::L1Error,
    rpc::{L1Rpc, VerifiedHeader},
};
use alloy_primitives::{Bytes, LogData};
use alloy_sol_types::SolEvent;
use cortado_contracts::{
    abi::Registry::Settled,
    seats::{decode_page, page_address},
};
use cortado_l1::read_seats;
use cortado_types::{
    Address, B256, ReadSeats, Seat, SeatsRead, Settlement, U256,
    registry::{LATEST_SLOT, settlement_slot},
};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

/// Blocks whose logs are asked for at a time: what nodes with the strictest limits still answer.
const LOGS_BLOCKS_MAX: u64 = 1_000;

#[derive(Deserialize)]
struct Log {
    topics: Vec<B256>,
    data: Bytes,
}

impl L1Rpc {
    /// Hash and settlement of the seats that `registry` had settled last at the block `at`; none if
    /// none are. As the node says: [`L1Rpc::prove_seats`] shows it.
    ///
    /// # Errors
    /// [`L1Error`] if the node does not answer well.
    pub async fn settled(
        &self,
        registry: Address,
        at: B256,
    ) -> Result<Option<(B256, Settlement)>, L1Error> {
        let hash = self.storage(registry, B256::from(U256::from(LATEST_SLOT)), at);
        let hash = B256::from(hash.await?);
        if hash.is_zero() {
            return Ok(None);
        }
        let word = self.storage(registry, settlement_slot(hash), at).await?;
        Ok(Some((hash, Settlement::from_word(word))))
    }

    /// The seats with this hash, from where the registry says it settled them: the newest of its
    /// events in the blocks `from..=to`. None if there is no such event.
    ///
    /// # Errors
    /// [`L1Error`] if the node does not answer well, or the seats are others.
    pub async fn seats_of(
        &self,
        registry: Address,
        hash: B256,
        (from, to): (u64, u64),
    ) -> Result<Option<Vec<Seat>>, L1Error> {
        let mut high = to;
        loop {
            let low = high.saturating_sub(LOGS_BLOCKS_MAX - 1).max(from);
            let logs: Vec<Log> = self
                .call(
                    "eth_getLogs",
                    json!([{
                        "address": registry,
                        "fromBlock": format!("{low:#x}"),
                        "toBlock": format!("{high:#x}"),
                        "topics": [Settled::SIGNATURE_HASH, null, hash],
                    }]),
                )
                .await?;
            if let Some(log) = logs.into_iter().next_back() {
                return self.listed(registry, log).await.map(Some);
            }
            if low == from {
                return Ok(None);
            }
            high = low - 1;
        }
    }

    /// The seats that an event of settlement lists, from the registry's pages.
    async fn listed(&self, registry: Address, log: Log) -> Result<Vec<Seat>, L1Error> {
        let malformed = |reason: String| L1Error::Malformed {
            method: "eth_getLogs".to_owned(),
            reason,
        };
        let log = LogData::new(log.topics, log.data)
            .ok_or_else(|| malformed("more topics than a log has".to_owned()))?;
        let event = Settled::decode_log_data(&log).map_err(|error| malformed(error.to_string()))?;
        let mut pages = Vec::new();
        for number in event.pages.chunks_exact(4) {
            let number = u32::from_be_bytes(number.try_into().unwrap_or_default());
            let page = page_address(registry, number);
            let code: Bytes = self.call("eth_getCode", json!([page, "latest"])).await?;
            let entries =
                decode_page(number, &code).map_err(|error| malformed(error.to_string()))?;
            let by_place: BTreeMap<u8, Seat> = entries
                .into_iter()
                .map(|(seat, place)| (place.entry, seat))
                .collect();
            pages.push(by_place);
        }
        let mut seats = Vec::new();
        for entry in event.entries.chunks_exact(2) {
            let page = pages.get(usize::from(entry[0]));
            let seat = page.and_then(|page| page.get(&entry[1]));
            let seat = seat.ok_or_else(|| malformed(format!("no entry {entry:?} in its pages")))?;
            seats.push(seat.clone());
        }
        Ok(seats)
    }

    /// The read that shows `seats` to be those that `registry` had settled last at `header`.
    ///
    /// # Errors
    /// [`L1Error`] if the node does not answer well, or what it answers does not show them.
    pub async fn prove_seats(
        &self,
        registry: Address,
        seats: Vec<Seat>,
        header: &VerifiedHeader,
    ) -> Result<SeatsRead, L1Error> {
        let hash = B256::from(alloy_primitives::keccak256(alloy_rlp::encode(&seats)));
        let slots = [B256::from(U256::from(LATEST_SLOT)), settlement_slot(hash)];
        let (account, mut storage) = self.proof(registry, &slots, header.block.hash).await?;
        let (settlement, latest) = (storage.pop().unwrap_or_default(), storage.pop());
        let read = SeatsRead {
            account,
            latest: latest.unwrap_or_default(),
            settlement,
            seats,
        };
        read_seats(&header.raw, registry, &read).map_err(|error| L1Error::Unproved {
            registry,
            number: header.block.number,
            reason: error.to_string(),
        })?;
        Ok(read)
    }

    /// What the chain has to be told of the registry at `header`: other seats than those of this
    /// hash at this price. `since` is the block at which those were read.
    ///
    /// # Errors
    /// [`L1Error`] if the node does not answer well.
    pub(super) async fn news_of_seats(
        &self,
        registry: Address,
        (hash, price): (B256, cortado_types::Gwei),
        since: u64,
        header: &VerifiedHeader,
    ) -> Result<Option<ReadSeats>, L1Error> {
        let settled = self.settled(registry, header.block.hash).await?;
        let Some((latest, settlement)) = settled else {
            return Ok(None);
        };
        if (latest, settlement.price) == (hash, price) {
            return Ok(None);
        }
        let blocks = (since.saturating_add(1), header.block.number);
        let seats = self.seats_of(registry, latest, blocks).await?;
        let seats = seats.ok_or_else(|| L1Error::Unproved {
            registry,
            number: header.block.number,
            reason: format!("no event says which seats {latest} are"),
        })?;
        let read = self.prove_seats(registry, seats, header).await?;
        Ok(Some(ReadSeats {
            header: header.raw.clone(),
            read,
        }))
    }

    async fn storage(&self, account: Address, slot: B256, at: B256) -> Result<U256, L1Error> {
        let params = json!([account, slot, { "blockHash": at }]);
        let word: B256 = self.call("eth_getStorageAt", params).await?;
        Ok(word.into())
    }
}
