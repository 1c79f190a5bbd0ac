//! One TCP port that speaks JSON-RPC over HTTP and WebSocket.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jsonrpsee::Methods;
use jsonrpsee::core::middleware::RpcServiceBuilder;
use jsonrpsee::server::{
    BatchRequestConfig, IdProvider, PingConfig, ServerConfig, StopHandle,
    serve_with_graceful_shutdown, stop_channel, ws,
};
use jsonrpsee::types::SubscriptionId;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, JoinSet};
use tower::Service;
use tower_http::cors::CorsLayer;

use crate::guard::{GuardLayer, Transport};
use crate::limits::{Limits, OUTGOING_MESSAGES_MAX, PING_INTERVAL, STOP_GRACE};
use crate::metrics::Counters;
use crate::stream::PacedStream;

/// What an over-full server says before it hangs up.
const FULL_ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\n\
    content-length: 38\r\nconnection: close\r\n\r\nthe limit of connections is reached.\r\n";

/// A running server. Dropping it stops accepting; [`Handle::stop`] waits for the end.
#[derive(Debug)]
pub struct Handle {
    addr: SocketAddr,
    counters: Arc<Counters>,
    stop: jsonrpsee::server::ServerHandle,
    accepting: JoinHandle<()>,
}

impl Handle {
    /// Where the server listens, with the port the system gave when it was asked for port 0.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What was counted.
    pub fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    /// Stops accepting, lets running calls end for [`STOP_GRACE`], then cuts what is left.
    pub async fn stop(self) {
        // An error only says that it had stopped before.
        let _ = self.stop.stop();
        let _ = self.accepting.await;
    }
}

/// Binds `addr` and serves `methods` until the handle is stopped or dropped.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve(
    addr: SocketAddr,
    methods: impl Into<Methods>,
    limits: Limits,
    counters: Arc<Counters>,
) -> io::Result<Handle> {
    let listener = TcpListener::bind(addr).await?;
    let addr = listener.local_addr()?;
    let (stop_handle, stop) = stop_channel();
    let front = Front {
        methods: methods.into(),
        config: ServerConfig::builder()
            .max_request_body_size(limits.request_bytes)
            .max_response_body_size(limits.response_bytes)
            // One permit per connection is taken in `accept`; this second count is per request.
            .max_connections(u32::MAX >> 4)
            .max_subscriptions_per_connection(limits.subscriptions_per_connection)
            .set_batch_request_config(BatchRequestConfig::Limit(limits.batch_entries))
            .set_message_buffer_capacity(OUTGOING_MESSAGES_MAX)
            .enable_ws_ping(
                PingConfig::new()
                    .ping_interval(PING_INTERVAL)
                    .inactive_limit(limits.idle),
            )
            .set_id_provider(HexIds)
            .build(),
        limits,
        counters: counters.clone(),
        stop: stop_handle,
    };
    let accepting = tokio::spawn(front.accept(listener));
    Ok(Handle {
        addr,
        counters,
        stop,
        accepting,
    })
}

/// What the accept loop hands to each connection.
#[derive(Clone)]
struct Front {
    methods: Methods,
    config: ServerConfig,
    limits: Limits,
    counters: Arc<Counters>,
    stop: StopHandle,
}

impl Front {
    async fn accept(self, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(self.limits.connections));
        let mut connections = JoinSet::new();
        let stopped = self.stop.clone().shutdown();
        tokio::pin!(stopped);
        loop {
            let accepted = tokio::select! {
                () = &mut stopped => break,
                // Reap ended connections, so that the set does not grow with their number.
                Some(_) = connections.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, _)) => match places.clone().try_acquire_owned() {
                    Ok(place) => {
                        self.counters.connections_accepted.inc();
                        connections.spawn(self.clone().connection(socket, place));
                    }
                    Err(_) => {
                        self.counters.connections_refused.inc();
                        // Best effort: an empty socket buffer takes these bytes at once.
                        let _ = socket.try_write(FULL_ANSWER);
                    }
                },
                Err(error) => {
                    // Out of file descriptors, most likely: give the others time to close.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            }
        }
        drop(listener);
        let drained = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_GRACE, drained).await.is_err() {
            tracing::debug!("cutting connections that outlived the grace period");
            connections.shutdown().await;
        }
    }

    async fn connection(self, socket: TcpStream, place: OwnedSemaphorePermit) {
        let _ = socket.set_nodelay(true);
        // The place goes with the socket, also when an upgrade takes that from this task.
        let stream =
            PacedStream::new(socket, self.limits.write_stall, self.limits.idle).holding(place);
        let stop = self.stop.clone();
        let service = tower::service_fn(move |request| {
            let reached = Arc::new(AtomicBool::new(false));
            let transport = if ws::is_upgrade_request(&request) {
                Transport::WebSocket
            } else {
                Transport::Http
            };
            let guard = GuardLayer {
                transport,
                counters: self.counters.clone(),
                in_flight: self.limits.in_flight_per_connection,
                response_bytes: self.limits.response_bytes as usize,
                reached: reached.clone(),
            };
            let mut service = jsonrpsee::server::Server::builder()
                .set_config(self.config.clone())
                .set_rpc_middleware(RpcServiceBuilder::new().layer(guard))
                .set_http_middleware(tower::ServiceBuilder::new().layer(CorsLayer::permissive()))
                .to_service_builder()
                .build(self.methods.clone(), self.stop.clone());
            let counters = self.counters.clone();
            let is_call = request.method() == "POST" && transport == Transport::Http;
            async move {
                let answered = service.call(request).await;
                if let Ok(response) = &answered
                    && is_call
                {
                    if response.status().as_u16() == 413 {
                        counters.oversized.inc();
                    } else if !reached.load(Ordering::Relaxed) {
                        counters.malformed.inc();
                    }
                }
                answered.map_err(io::Error::other)
            }
        });
        if let Err(error) = serve_with_graceful_shutdown(stream, service, stop.shutdown()).await {
            tracing::debug!(%error, "connection ended");
        }
    }
}

/// Subscription ids as Ethereum clients expect them: 0x and 32 hex digits, not guessable.
#[derive(Debug)]
struct HexIds;

impl IdProvider for HexIds {
    fn next_id(&self) -> SubscriptionId<'static> {
        SubscriptionId::Str(format!("{:#034x}", rand::random::<u128>()).into())
    }
}
