//! What every call passes before its method: counting, the in-flight limit, and the answer to a
//! subscription over plain HTTP.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jsonrpsee::core::middleware::{Batch, BatchEntry, Notification, RpcServiceT};
use jsonrpsee::server::{BatchResponseBuilder, MethodResponse};
use jsonrpsee::types::error::{INVALID_PARAMS_CODE, METHOD_NOT_FOUND_CODE};
use jsonrpsee::types::{ErrorObjectOwned, Request};
use tokio::sync::Semaphore;

use crate::error::LIMIT_EXCEEDED_CODE;
use crate::metrics::Counters;

/// How a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// One request at a time; no subscriptions.
    Http,
    /// Many at a time, and notifications.
    WebSocket,
}

/// Makes a [`Guard`] for a connection.
#[derive(Debug, Clone)]
pub struct GuardLayer {
    /// How the connection speaks.
    pub transport: Transport,
    /// Where to count.
    pub counters: Arc<Counters>,
    /// Calls this connection may have running.
    pub in_flight: usize,
    /// Largest answer of a batch, in bytes.
    pub response_bytes: usize,
    /// Set when a well-formed request arrives, so that the HTTP side can count the others.
    pub reached: Arc<AtomicBool>,
}

impl<S> tower::Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard {
            inner,
            transport: self.transport,
            counters: self.counters.clone(),
            in_flight: Arc::new(Semaphore::new(self.in_flight)),
            in_flight_max: self.in_flight,
            response_bytes: self.response_bytes,
            reached: self.reached.clone(),
        }
    }
}

/// The guard of one connection.
#[derive(Debug, Clone)]
pub struct Guard<S> {
    inner: S,
    transport: Transport,
    counters: Arc<Counters>,
    in_flight: Arc<Semaphore>,
    in_flight_max: usize,
    response_bytes: usize,
    reached: Arc<AtomicBool>,
}

impl<S> Guard<S>
where
    S: RpcServiceT<MethodResponse = MethodResponse> + Clone + Send + Sync + 'static,
{
    fn busy(&self) -> ErrorObjectOwned {
        self.counters.in_flight_refused.inc();
        ErrorObjectOwned::owned(
            LIMIT_EXCEEDED_CODE,
            format!(
                "too many calls at once on this connection: limit {}",
                self.in_flight_max
            ),
            None::<()>,
        )
    }

    /// One call, counted; the in-flight permit is the caller's.
    async fn counted(self, request: Request<'_>) -> MethodResponse {
        self.counters.calls.inc();
        let subscribes = request.method_name().ends_with("_subscribe")
            || request.method_name().ends_with("_unsubscribe");
        let response = if self.transport == Transport::Http && subscribes {
            let error = ErrorObjectOwned::owned(
                METHOD_NOT_FOUND_CODE,
                "notifications not supported over HTTP; use a WebSocket",
                None::<()>,
            );
            MethodResponse::error(request.id, error)
        } else {
            self.inner.call(request).await
        };
        match response.as_error_code() {
            None => {}
            Some(METHOD_NOT_FOUND_CODE) => self.counters.unknown_methods.inc(),
            Some(INVALID_PARAMS_CODE) => self.counters.invalid_params.inc(),
            Some(_) => self.counters.failed_calls.inc(),
        }
        response
    }
}

impl<S> RpcServiceT for Guard<S>
where
    S: RpcServiceT<MethodResponse = MethodResponse> + Clone + Send + Sync + 'static,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.reached.store(true, Ordering::Relaxed);
        let this = self.clone();
        async move {
            let Ok(_permit) = this.in_flight.clone().try_acquire_owned() else {
                return MethodResponse::error(request.id.clone(), this.busy());
            };
            this.counted(request).await
        }
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.reached.store(true, Ordering::Relaxed);
        let this = self.clone();
        async move {
            let Ok(_permit) = this.in_flight.clone().try_acquire_owned() else {
                return MethodResponse::error(jsonrpsee::types::Id::Null, this.busy());
            };
            let mut answers = BatchResponseBuilder::new_with_limit(this.response_bytes);
            let mut notified = false;
            for entry in batch {
                let answer = match entry {
                    Ok(BatchEntry::Call(request)) => this.clone().counted(request).await,
                    Ok(BatchEntry::Notification(_)) => {
                        notified = true;
                        continue;
                    }
                    Err(error) => {
                        this.counters.malformed.inc();
                        let (error, id) = error.into_parts();
                        MethodResponse::error(id, error)
                    }
                };
                if let Err(too_big) = answers.append(answer) {
                    return too_big;
                }
            }
            if answers.is_empty() && notified {
                return MethodResponse::notification();
            }
            // JSON-RPC 2.0: an empty batch is answered as one invalid request.
            MethodResponse::from_batch(answers.finish())
        }
    }

    fn notification<'a>(
        &self,
        _notification: Notification<'a>,
    ) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.reached.store(true, Ordering::Relaxed);
        // A call without an id gets no answer; running it would only cost us.
        async { MethodResponse::notification() }
    }
}
