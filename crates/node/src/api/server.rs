//! Sockets: how many, how long, how much.

use super::{ApiError, Limits, Metrics, Shared, limits, router};
use crate::reader::ChainReader;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::{JoinHandle, JoinSet},
};
use tokio_io_timeout::TimeoutStream;
use tracing::debug;

/// Pause after the system refused to accept: it is out of sockets, and others have to close first.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Time for a refusal to be taken.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// A running API. Dropping it stops it at once; [`Server::stop`] lets open requests end.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    metrics: Arc<Metrics>,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

/// Binds `address` and serves what `reader` knows.
///
/// # Errors
/// If the address cannot be bound.
pub async fn serve(address: SocketAddr, reader: Arc<dyn ChainReader>) -> io::Result<Server> {
    serve_with(address, reader, Limits::default()).await
}

/// As [`serve`], with other limits.
///
/// # Errors
/// If the address cannot be bound.
pub async fn serve_with(
    address: SocketAddr,
    reader: Arc<dyn ChainReader>,
    limits: Limits,
) -> io::Result<Server> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let metrics = Arc::new(Metrics::default());
    let (stop, stopping) = watch::channel(false);
    let shared = Shared::new(reader, metrics.clone(), limits, stopping.clone());
    let task = tokio::spawn(accept(listener, shared, stopping));
    Ok(Server {
        address,
        metrics,
        stop,
        task: Some(task),
    })
}

impl Server {
    /// Where it listens, with the port that the system gave for port 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Ends event streams, lets open requests end for [`limits::STOP_GRACE`], cuts what is left.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task.take() {
            let _ = task.await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

async fn accept(listener: TcpListener, shared: Shared, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(shared.limits.connections));
    let service = router(shared.clone());
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // Reaps what ended, so that the set does not grow.
            Some(_) = connections.join_next() => continue,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                shared.metrics.refused("accept");
                debug!(%error, "cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            shared.metrics.refused("connections");
            refuse(stream, shared.limits.connections);
            continue;
        };
        let connection = connection(stream, service.clone(), shared.limits.head_time);
        let connection = graceful.watch(connection);
        connections.spawn(run(connection, shared.clone(), place));
    }
    drop(listener);
    let _ = tokio::time::timeout(limits::STOP_GRACE, graceful.shutdown()).await;
    connections.shutdown().await;
}

type Connection = http1::Connection<
    TokioIo<std::pin::Pin<Box<TimeoutStream<TcpStream>>>>,
    TowerToHyperService<axum::Router>,
>;

fn connection(stream: TcpStream, service: axum::Router, head_time: Duration) -> Connection {
    // Events are small and each one counts.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits::WRITE_STALL));
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_time)
        .max_buf_size(limits::HEAD_BYTES_MAX)
        .max_headers(limits::HEADERS_MAX)
        .serve_connection(
            TokioIo::new(Box::pin(stream)),
            TowerToHyperService::new(service),
        )
}

async fn run(
    connection: impl Future<Output = hyper::Result<()>>,
    shared: Shared,
    place: OwnedSemaphorePermit,
) {
    shared.metrics.connections().inc();
    if let Err(error) = connection.await {
        let code = if error.is_timeout() {
            "head_timeout"
        } else if error.is_parse_too_large() {
            "head_too_long"
        } else if error.is_parse() {
            "bad_request_head"
        } else {
            "connection"
        };
        shared.metrics.refused(code);
        debug!(%error, code, "connection ended");
    }
    shared.metrics.connections().dec();
    drop(place);
}

/// Says why before it hangs up.
fn refuse(mut stream: TcpStream, limit: usize) {
    let body = ApiError::connections(limit).into_body();
    let body = serde_json::to_string(&body).unwrap_or_default();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    tokio::spawn(async move {
        let _ = tokio::time::timeout(REFUSAL_TIME, stream.write_all(answer.as_bytes())).await;
    });
}
