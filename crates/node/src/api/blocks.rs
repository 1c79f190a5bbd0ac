//! `/v1/blocks`.

use super::{
    ApiError, Shared,
    params::{self, Query},
};
use axum::{
    Json,
    extract::{Path, RawQuery, State},
};
use cortado_client::api::{
    BlockView, BlocksView, CertificateView, HeaderView, limits::BLOCKS_RANGE_MAX,
};
use cortado_types::Height;

impl Shared {
    /// A block by height, by hash, or `latest`.
    async fn resolve(&self, id: &str) -> Result<Height, ApiError> {
        if id == "latest" {
            return Ok(self.tip().height());
        }
        if id.starts_with("0x") {
            let hash = params::hash(id)?;
            let found = self.reader.height_of(hash).await?;
            return found.ok_or_else(|| ApiError::unknown("block", hash));
        }
        params::height(id)
    }
}

pub(super) async fn range(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
) -> Result<Json<BlocksView>, ApiError> {
    let query = Query::read(query.as_deref(), &["from", "to"])?;
    let latest = shared.tip().height();
    let to = query.get("to", params::height)?.unwrap_or(latest);
    let from = query.get("from", params::height)?.unwrap_or(to);
    let span = params::span(from, to, BLOCKS_RANGE_MAX)?;
    let mut blocks = Vec::new();
    for height in span {
        if height > latest.get() && !blocks.is_empty() {
            break;
        }
        let block = shared.block(Height::new(height)).await?;
        blocks.push(HeaderView::new(block.header.clone()));
    }
    Ok(Json(BlocksView { blocks }))
}

pub(super) async fn block(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<BlockView>, ApiError> {
    Query::read(query.as_deref(), &[])?;
    let height = shared.resolve(&id).await?;
    let block = shared.block(height).await?;
    Ok(Json(BlockView::new(block.as_ref().clone())))
}

pub(super) async fn header(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<HeaderView>, ApiError> {
    Query::read(query.as_deref(), &[])?;
    let height = shared.resolve(&id).await?;
    let block = shared.block(height).await?;
    Ok(Json(HeaderView::new(block.header.clone())))
}

pub(super) async fn certificate(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<CertificateView>, ApiError> {
    Query::read(query.as_deref(), &[])?;
    let height = shared.resolve(&id).await?;
    Ok(Json(shared.finality(height).await?.certificate))
}
