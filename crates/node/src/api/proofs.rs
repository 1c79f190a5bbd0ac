//! `/v1/proofs`: each stands alone, down to the certificate.

use super::{
    ApiError, Shared,
    finality::Finality,
    params::{self, Query},
};
use crate::reader::{LanePlace, TransactionPlace};
use axum::{
    Json,
    extract::{Path, RawQuery, State},
};
use cortado_client::api::{HistoryProofView, LaneProofView, StateProofView, TransactionProofView};
use cortado_types::{Block, Bytes, Header, Height, codec, keccak256, trie};

fn raw(header: &Header) -> Bytes {
    codec::encode(header).into()
}

impl Shared {
    async fn prove_lane(&self, place: LanePlace) -> Result<LaneProofView, ApiError> {
        let Finality { block, certificate } = self.finality(place.height).await?;
        let leaves = Block::lane_leaves(&block.lanes);
        let Some(entry) = leaves.get(place.index) else {
            return Err(ApiError::past_end(
                "lanes in this block",
                place.index,
                leaves.len(),
            ));
        };
        Ok(LaneProofView {
            height: place.height,
            index: place.index,
            entry: entry.clone().into(),
            proof: trie::prove_ordered(&leaves, place.index),
            header: raw(&block.header),
            certificate,
        })
    }

    async fn prove_transaction(
        &self,
        place: TransactionPlace,
    ) -> Result<TransactionProofView, ApiError> {
        let TransactionPlace {
            namespace,
            lane_height,
            index,
        } = place;
        let lane = self.lane(namespace, lane_height).await?;
        let body = self.lane_body(&lane.entry).await?;
        let Some(transaction) = body.transactions.get(index) else {
            let count = body.transactions.len();
            return Err(ApiError::past_end(
                "transactions in this lane block",
                index,
                count,
            ));
        };
        Ok(TransactionProofView {
            namespace,
            lane_height,
            index,
            hash: keccak256(transaction),
            transaction: transaction.clone(),
            proof: trie::prove_ordered(&body.transactions, index),
            lane: self.prove_lane(lane.place).await?,
        })
    }
}

pub(super) async fn lane(
    State(shared): State<Shared>,
    Path((height, index)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Json<LaneProofView>, ApiError> {
    Query::read(query.as_deref(), &[])?;
    let place = LanePlace {
        height: params::height(&height)?,
        index: params::index(&index)?,
    };
    Ok(Json(shared.prove_lane(place).await?))
}

pub(super) async fn transaction(
    State(shared): State<Shared>,
    Path((namespace, lane_height, index)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Json<TransactionProofView>, ApiError> {
    Query::read(query.as_deref(), &[])?;
    let place = TransactionPlace {
        namespace: params::namespace(&namespace)?,
        lane_height: params::lane_height(&lane_height)?,
        index: params::index(&index)?,
    };
    Ok(Json(shared.prove_transaction(place).await?))
}

pub(super) async fn transaction_by_hash(
    State(shared): State<Shared>,
    Path(hash): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<TransactionProofView>, ApiError> {
    Query::read(query.as_deref(), &[])?;
    let hash = params::hash(&hash)?;
    let place = shared.reader.place_of_transaction(hash).await?;
    let place = place.ok_or_else(|| ApiError::unknown("transaction", hash))?;
    Ok(Json(shared.prove_transaction(place).await?))
}

/// Kinds of entries under a state root.
const KINDS: [&str; 2] = [cortado_chain::ENTRY_NAMESPACE, cortado_chain::ENTRY_L1];

pub(super) async fn state(
    State(shared): State<Shared>,
    Path((height, kind, id)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Json<StateProofView>, ApiError> {
    Query::read(query.as_deref(), &[])?;
    let height = params::height(&height)?;
    if !KINDS.contains(&kind.as_str()) {
        return Err(ApiError::parameter(
            "bad_kind",
            "a kind of entry",
            &kind,
            KINDS.join(" or "),
        ));
    }
    let id = params::number("bad_id", "an id", &id)?;
    let Finality { block, certificate } = shared.finality(height).await?;
    let state = shared.reader.state(height).await?;
    let state = state.ok_or_else(|| ApiError::pruned("state", height, "recent blocks"))?;
    let proved = state.prove(&kind, id);
    Ok(Json(StateProofView {
        height,
        kind,
        id,
        key: proved.key,
        value: proved.value.map(Bytes::from),
        proof: proved.proof,
        header: raw(&block.header),
        certificate,
    }))
}

pub(super) async fn history(
    State(shared): State<Shared>,
    Path((from, at)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Json<HistoryProofView>, ApiError> {
    Query::read(query.as_deref(), &[])?;
    let (from, at): (Height, Height) = (params::height(&from)?, params::height(&at)?);
    if from >= at {
        let message = "the ancestor must be below the block";
        return Err(ApiError::range("not_below", message, from.get(), at.get()));
    }
    let Finality { block, certificate } = shared.finality(at).await?;
    let ancestor = shared.block(from).await?;
    let proof = shared.reader.history(from, at).await?;
    let proof = proof.ok_or_else(|| ApiError::unavailable("the history is not complete here"))?;
    Ok(Json(HistoryProofView {
        ancestor: raw(&ancestor.header),
        proof,
        header: raw(&block.header),
        certificate,
    }))
}
