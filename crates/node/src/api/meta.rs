//! Status, genesis, seats, metrics, health, and the document that describes it all.

use super::{
    ApiError, Shared, openapi,
    params::{self, Query},
};
use crate::clock::now;
use axum::{
    Json,
    extract::{Path, RawQuery, State},
    http::header::CONTENT_TYPE,
    response::IntoResponse,
};
use cortado_client::api::{BoundaryView, SeatsView, Status};
use cortado_types::{Genesis, Term};
use serde_json::{Value, json};
use std::sync::Arc;

/// The type that Prometheus asks for.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn status(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
) -> Result<Json<Status>, ApiError> {
    Query::read(query.as_deref(), &[])?;
    let tip = shared.tip();
    let header = &tip.block.header;
    let local = shared.reader.local_status();
    let l1_tip = local.l1_node.as_ref().and_then(|node| node.head);
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        chain_id: header.chain_id,
        genesis_hash: shared.reader.genesis_hash(),
        height: header.height,
        hash: tip.hash,
        slot: header.slot,
        timestamp: header.timestamp,
        oldest_height: shared.reader.oldest(),
        term: header.term,
        seats: tip.state.seats.len(),
        quorum: tip.state.seats.quorum(),
        own_seats: local.own_seats,
        l1_head: header.l1_head.block,
        l1_fin: header.l1_fin,
        l1_depth: l1_tip.map(|tip| tip.number.saturating_sub(header.l1_head.block.number)),
        l1_node: local.l1_node,
        time: now(),
        clock_skew_ms: local.clock_skew_ms,
    }))
}

pub(super) async fn genesis(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
) -> Result<Json<Arc<Genesis>>, ApiError> {
    Query::read(query.as_deref(), &[])?;
    Ok(Json(shared.reader.genesis().clone()))
}

pub(super) async fn seats(
    State(shared): State<Shared>,
    Path(epoch): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<SeatsView>, ApiError> {
    Query::read(query.as_deref(), &[])?;
    let epoch = params::number("bad_epoch", "an epoch", &epoch).map(Term::new)?;
    let seats = shared.reader.seats(epoch).await?;
    let seats = seats.ok_or_else(|| ApiError::unknown("epoch", epoch))?;
    Ok(Json(SeatsView::new(
        epoch,
        &seats,
        shared.reader.genesis().chain_id,
    )))
}

pub(super) async fn boundary(
    State(shared): State<Shared>,
    Path(epoch): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<BoundaryView>, ApiError> {
    Query::read(query.as_deref(), &[])?;
    let epoch = params::number("bad_epoch", "an epoch", &epoch).map(Term::new)?;
    let unknown = || ApiError::unknown("end of epoch", epoch);
    let (header, certificate) = shared.reader.boundary(epoch).await?.ok_or_else(unknown)?;
    let next = epoch.next().ok_or_else(unknown)?;
    let seats = shared.reader.seats(next).await?.ok_or_else(unknown)?;
    Ok(Json(BoundaryView::new(&header, &certificate, &seats)))
}

pub(super) async fn health(State(shared): State<Shared>) -> Json<Value> {
    let tip = shared.tip();
    let age_ms = now().since(tip.block.header.timestamp);
    Json(json!({ "status": "ok", "height": tip.height(), "age_ms": age_ms }))
}

pub(super) async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    let tip = shared.tip();
    shared
        .metrics
        .set_tip(&tip.block.header, &shared.reader.local_status());
    let text = shared.metrics.encode(&shared.reader.metrics());
    ([(CONTENT_TYPE, OPENMETRICS)], text)
}

pub(super) async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], openapi::TEXT)
}
