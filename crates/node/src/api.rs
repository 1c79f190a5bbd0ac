//! The node's REST interface: everything it knows, with proofs, within limits.
//!
//! ```text
//!   socket ─▶ server (connections, time, header size) ─▶ route ─▶ ChainReader
//!                                                         │
//!                     events: one task a reader, bounded ◀┘
//! ```
//!
//! Every refusal is an [`cortado_client::api::ErrorBody`] with the value and the limit, and is
//! counted by its code. Nothing here changes anything: there are only `GET`s.

mod blocks;
mod error;
mod events;
mod evidence;
mod finality;
pub mod limits;
mod meta;
mod metrics;
mod namespaces;
mod openapi;
mod params;
mod proofs;
mod server;

pub use error::ApiError;
pub use limits::Limits;
pub use metrics::Metrics;
pub use openapi::document as openapi_document;
pub use server::{Server, serve, serve_with};

use crate::reader::{ChainReader, ReadError, Tip};
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::{Next, from_fn, from_fn_with_state},
    response::Response,
    routing::{MethodRouter, get},
};
use cortado_types::Height;
use std::sync::Arc;
use tokio::sync::watch;
use tower_http::cors::{Any, CorsLayer};

/// What every handler shares.
#[derive(Clone)]
pub(crate) struct Shared {
    reader: Arc<dyn ChainReader>,
    metrics: Arc<Metrics>,
    events: events::Events,
    limits: Limits,
}

impl Shared {
    fn new(
        reader: Arc<dyn ChainReader>,
        metrics: Arc<Metrics>,
        limits: Limits,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let events = events::Events::new(limits.event_readers, stop);
        Self {
            reader,
            metrics,
            events,
            limits,
        }
    }

    fn tip(&self) -> Arc<Tip> {
        self.reader.tip().borrow().clone()
    }

    /// Why a block that should be there is not.
    fn absent(&self, height: Height) -> ApiError {
        let (latest, oldest) = (self.tip().height(), self.reader.oldest());
        if height < oldest {
            ApiError::pruned("block", height, oldest)
        } else {
            ApiError::not_final(height, latest)
        }
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        Self::unavailable(error)
    }
}

type Route = (&'static str, MethodRouter<Shared>);

/// Every route; the OpenAPI document has the same, a test compares them.
fn routes() -> Vec<Route> {
    vec![
        ("/health", get(meta::health)),
        ("/metrics", get(meta::metrics)),
        ("/openapi.json", get(meta::openapi)),
        ("/v1/status", get(meta::status)),
        ("/v1/genesis", get(meta::genesis)),
        ("/v1/seats/{epoch}", get(meta::seats)),
        ("/v1/terms/{epoch}/boundary", get(meta::boundary)),
        ("/v1/votes/{epoch}/{view}", get(evidence::votes)),
        ("/v1/evidence", get(evidence::evidence)),
        ("/v1/blocks", get(blocks::range)),
        ("/v1/blocks/{id}", get(blocks::block)),
        ("/v1/blocks/{id}/header", get(blocks::header)),
        ("/v1/blocks/{id}/certificate", get(blocks::certificate)),
        ("/v1/namespaces", get(namespaces::all)),
        ("/v1/namespaces/{namespace}", get(namespaces::one)),
        ("/v1/namespaces/{namespace}/lanes", get(namespaces::lanes)),
        (
            "/v1/namespaces/{namespace}/lanes/{lane_height}/body",
            get(namespaces::body),
        ),
        ("/v1/proofs/lane/{height}/{index}", get(proofs::lane)),
        (
            "/v1/proofs/transaction/{hash}",
            get(proofs::transaction_by_hash),
        ),
        (
            "/v1/proofs/transaction/{namespace}/{lane_height}/{index}",
            get(proofs::transaction),
        ),
        ("/v1/proofs/state/{height}/{kind}/{id}", get(proofs::state)),
        ("/v1/proofs/history/{from}/{at}", get(proofs::history)),
        ("/v1/events", get(events::events)),
    ]
}

/// The paths of all routes, in the notation of OpenAPI.
pub fn paths() -> Vec<&'static str> {
    routes().into_iter().map(|(path, _)| path).collect()
}

fn router(shared: Shared) -> Router {
    let mut router = Router::new();
    for (path, route) in routes() {
        let metrics = shared.metrics.clone();
        let counted = from_fn(move |request: Request, next: Next| {
            let metrics = metrics.clone();
            async move {
                metrics.request(path);
                next.run(request).await
            }
        });
        router = router.route(path, route.layer(counted));
    }
    router
        .fallback(|request: Request| async move { ApiError::no_route(request.uri().path()) })
        .method_not_allowed_fallback(|request: Request| async move {
            ApiError::method(request.method().as_str())
        })
        .layer(from_fn_with_state(shared.clone(), guard))
        .layer(
            CorsLayer::new()
                .allow_origin(Any)
                .allow_methods(Any)
                .allow_headers(Any),
        )
        .with_state(shared)
}

/// Refuses bodies and long targets, bounds the time of an answer, counts refusals.
async fn guard(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let answer = async {
        let target = request
            .uri()
            .path_and_query()
            .map_or(0, |target| target.as_str().len());
        if target > limits::TARGET_BYTES_MAX {
            return Err(ApiError::target(target));
        }
        let headers = request.headers();
        let length = headers.get(header::CONTENT_LENGTH).cloned();
        if length
            .as_ref()
            .is_some_and(|length| length != HeaderValue::from_static("0"))
            || headers.contains_key(header::TRANSFER_ENCODING)
        {
            return Err(ApiError::body(length.as_ref()));
        }
        tokio::time::timeout(limits::ANSWER_TIME, next.run(request))
            .await
            .map_err(|_| ApiError::too_slow())
    };
    let mut response = answer
        .await
        .unwrap_or_else(axum::response::IntoResponse::into_response);
    if let Some(code) = response.extensions_mut().remove::<error::Code>() {
        shared.metrics.refused(code.0);
    }
    response
}
