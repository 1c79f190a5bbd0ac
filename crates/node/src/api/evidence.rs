//! What accuses seats, and what excuses them (R2).

use super::{
    ApiError, Shared,
    params::{self, Query},
};
use axum::{
    Json,
    extract::{Path, RawQuery, State},
};
use cortado_client::api::{EvidenceList, VotesView};
use cortado_types::{Term, View};

pub(super) async fn votes(
    State(shared): State<Shared>,
    Path((epoch, view)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Json<VotesView>, ApiError> {
    Query::read(query.as_deref(), &[])?;
    let epoch = params::number("bad_epoch", "an epoch", &epoch).map(Term::new)?;
    let view = params::number("bad_view", "a view", &view).map(View::new)?;
    let record = shared.reader.votes(epoch, view).await?;
    Ok(Json(VotesView::new(&record)))
}

pub(super) async fn evidence(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
) -> Result<Json<EvidenceList>, ApiError> {
    Query::read(query.as_deref(), &[])?;
    let evidence = shared.reader.evidence().await?;
    Ok(Json(EvidenceList { evidence }))
}
