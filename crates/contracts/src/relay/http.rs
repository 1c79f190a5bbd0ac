//! `GET /status` and `POST /headers/{height}`.

use super::{Relay, RelayError};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use cortado_types::Height;
use serde_json::json;
use std::sync::Arc;

/// The endpoints of a relay.
pub fn router(relay: Arc<Relay>) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/headers/{height}", post(headers))
        .with_state(relay)
}

async fn status(State(relay): State<Arc<Relay>>) -> Response {
    Json(relay.status()).into_response()
}

async fn headers(State(relay): State<Arc<Relay>>, Path(height): Path<u64>) -> Response {
    match relay.post(Height::new(height)).await {
        Ok(posted) => Json(posted).into_response(),
        Err(error) => {
            let status = match &error {
                RelayError::Past { .. } | RelayError::ChangesSeats { .. } => StatusCode::CONFLICT,
                RelayError::Client(error) if error.is_permanent() => StatusCode::NOT_FOUND,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            };
            (status, Json(json!({ "message": error.to_string() }))).into_response()
        }
    }
}
