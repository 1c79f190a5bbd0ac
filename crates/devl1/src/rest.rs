//! The beacon API: REST and server-sent events, in the shapes of the standard.

mod answers;
mod stream;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use axum::serve::Listener;
use cortado_ethrpc::limits::{IDLE_MAX, WRITE_STALL_MAX};
use cortado_ethrpc::stream::PacedStream;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tower_http::cors::CorsLayer;

use crate::shared::Shared;

/// Connections of the beacon server, event streams included.
pub const CONNECTIONS_MAX: usize = 256;

/// How long a stopping server waits for running requests.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// A running beacon server.
#[derive(Debug)]
pub struct Handle {
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Handle {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends the event streams, lets running requests end, closes.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        if tokio::time::timeout(STOP_GRACE, &mut self.serving)
            .await
            .is_err()
        {
            self.serving.abort();
        }
    }
}

/// What every handler sees.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) shared: Arc<Shared>,
    pub(crate) stopped: watch::Receiver<bool>,
}

/// Serves the beacon API of a chain.
///
/// # Errors
/// When the address cannot be bound.
pub(crate) async fn serve(addr: SocketAddr, shared: Arc<Shared>) -> io::Result<Handle> {
    let listener = TcpListener::bind(addr).await?;
    let addr = listener.local_addr()?;
    let (stop, stopped) = watch::channel(false);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let app = router(Server {
        shared,
        stopped: stopped.clone(),
    });
    let serving = tokio::spawn(async move {
        let mut stopped = stopped;
        let until = async move {
            let _ = stopped.changed().await;
        };
        let server = axum::serve(Paced { listener, places }, app).with_graceful_shutdown(until);
        if let Err(error) = server.await {
            tracing::error!(%error, "the beacon API stopped");
        }
    });
    Ok(Handle {
        addr,
        stop,
        serving,
    })
}

fn router(server: Server) -> Router {
    Router::new()
        .route("/eth/v1/beacon/genesis", get(answers::genesis))
        .route("/eth/v1/beacon/headers", get(answers::head_header))
        .route("/eth/v1/beacon/headers/{block_id}", get(answers::header))
        .route(
            "/eth/v1/beacon/blocks/{block_id}/root",
            get(answers::block_root),
        )
        .route("/eth/v2/beacon/blocks/{block_id}", get(answers::block))
        .route(
            "/eth/v1/beacon/states/{state_id}/root",
            get(answers::state_root),
        )
        .route("/eth/v1/beacon/states/{state_id}/fork", get(answers::fork))
        .route(
            "/eth/v1/beacon/states/{state_id}/finality_checkpoints",
            get(answers::finality_checkpoints),
        )
        .route(
            "/eth/v1/beacon/states/{state_id}/validators",
            get(answers::validators),
        )
        .route(
            "/eth/v1/beacon/states/{state_id}/proposer_lookahead",
            get(answers::proposer_lookahead),
        )
        .route("/eth/v1/config/spec", get(answers::spec))
        .route("/eth/v1/node/health", get(answers::health))
        .route("/eth/v1/node/syncing", get(answers::syncing))
        .route("/eth/v1/node/version", get(answers::version))
        .route(
            "/eth/v1/validator/duties/proposer/{epoch}",
            get(answers::duties_v1),
        )
        .route(
            "/eth/v2/validator/duties/proposer/{epoch}",
            get(answers::duties_v2),
        )
        .route("/eth/v1/events", get(stream::events))
        .fallback(async || Refusal::not_found("no such endpoint"))
        .method_not_allowed_fallback(async || Refusal {
            code: StatusCode::METHOD_NOT_ALLOWED,
            message: "only GET".to_owned(),
        })
        .layer(CorsLayer::permissive())
        .with_state(server)
}

/// An error in the shape of the beacon API.
#[derive(Debug)]
pub(crate) struct Refusal {
    code: StatusCode,
    message: String,
}

impl Refusal {
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self {
            code: StatusCode::BAD_REQUEST,
            message: message.into(),
        }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self {
            code: StatusCode::NOT_FOUND,
            message: message.into(),
        }
    }

    pub(crate) fn internal(message: impl ToString) -> Self {
        Self {
            code: StatusCode::INTERNAL_SERVER_ERROR,
            message: message.to_string(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "code": self.code.as_u16(), "message": self.message });
        (self.code, Json(body)).into_response()
    }
}

/// Accepts connections up to [`CONNECTIONS_MAX`], each with the defences of [`PacedStream`].
struct Paced {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

impl Listener for Paced {
    type Io = PacedStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match self.listener.accept().await {
                Ok((socket, addr)) => {
                    let Ok(place) = self.places.clone().try_acquire_owned() else {
                        tracing::debug!(%addr, "the limit of beacon connections is reached");
                        continue;
                    };
                    let stream = PacedStream::new(socket, WRITE_STALL_MAX, IDLE_MAX);
                    return (stream.holding(place), addr);
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a beacon connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
